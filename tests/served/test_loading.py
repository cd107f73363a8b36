"""What docs/examples/nightly.sh brings into PostgreSQL: every id as it is, and all of a generation or nothing of it."""

from __future__ import annotations

import subprocess

import pytest

import mr_als
from mr_als.options import RunOptions
from mr_als.training.train import train
from tests.served.machine import NIGHTLY, Service, recommended
from tests.served.postgres import ask
from tests.toy import options, run, toy_lines, write

pytestmark = pytest.mark.postgres

ODD = [r"back\slash", r"\N", r"\.", "sigur rós", "a 'quoted' \"item\"", "trailing\\", "-- comment; DROP", "%s $1"]


@pytest.fixture
def service(tmp_path, database):
    """Have a model of odd ids, and a night that has come as far as its recommendations."""
    found = Service(tmp_path, database)
    found.state.mkdir()
    lines = [f"fan of {item}\t{other}\t3\n" for n, item in enumerate(ODD) for other in ODD[n % 2 :: 2]]
    run([write(tmp_path / "odd.tsv", [*toy_lines(), *lines])], found.state / "model", options())
    assert found.night("recommend")[0] == 0
    return found


def test_ids_arrive_as_they_are(service):
    assert service.night("load")[0] == service.night("swap")[0] == 0

    generation, rows = service.served()
    model = mr_als.load(str(service.state / "model"))
    assert generation == model.info["generation"]
    assert rows == recommended(model)
    assert {user for user, *_ in rows} >= {f"fan of {item}" for item in ODD}
    assert len({item for _, _, item, _ in rows} & {*ODD}) >= len(ODD) - 1


def test_the_same_steps_again_change_nothing(service):
    for _ in range(2):
        for step in ("recommend", "load", "swap"):
            assert service.night(step)[0] == 0
    assert service.served()[1] == recommended(mr_als.load(str(service.state / "model")))


def test_a_load_that_fails_leaves_no_table_and_is_no_gate(service):
    part = next((service.state / "recommendations" / service.generation).glob("part-*"))
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2] + b"\ntorn\n")

    code, said = service.night("load")

    assert code == 1
    assert "ERROR" in said
    assert ask(service.database, f"SELECT to_regclass('recommendations_{service.generation}') IS NULL") == [["t"]]
    part.write_bytes(whole)
    assert service.night("load")[0] == 0


def generation_more(service, path):
    """Publish one more generation, and return its name."""
    lines = [*toy_lines(), f"{path.name}\tsong\t2\n"]
    train([write(path, lines)], str(service.state / "model"), options(), rules=RunOptions(keep=3))
    return service.generation


def test_going_back_that_is_killed_half_way_does_not_go_back_once_more(service, tmp_path):
    first = service.generation
    second, third = (generation_more(service, tmp_path / name) for name in ("second.tsv", "third.tsv"))
    (service.state / "passed").write_text(f"{first}\n{second}\n{third}\n")
    killing = tmp_path / "killing"
    killing.mkdir()
    (killing / "psql").write_text("#!/bin/sh\nkill -9 $(cat $PIDFILE)\n")
    (killing / "psql").chmod(0o755)
    (killing / "night").write_text(f'#!/bin/sh\necho $$ >"$PIDFILE"\nexec "{NIGHTLY}" back\n')
    (killing / "night").chmod(0o755)
    environment = {**service.environment, "PIDFILE": str(tmp_path / "pid"), "PATH": f"{killing}:{service.environment['PATH']}"}

    killed = subprocess.run([str(killing / "night")], env=environment, capture_output=True, check=False)
    between = service.generation
    code, said = service.night("back")

    assert (killed.returncode, code) == (-9, 0), said
    assert service.served()[0] == service.generation == between == second
    # when it is done, the same command goes back once more
    assert service.night("back")[0] == 0
    assert service.served()[0] == service.generation == first


def test_without_a_model_that_passed_going_back_leaves_the_model(service, tmp_path):
    second = generation_more(service, tmp_path / "second.tsv")
    (service.state / "passed").write_text(f"{second}\n")

    code, said = service.night("back")

    assert (code, service.generation) == (1, second)
    assert "no generation that passed its gate is kept" in said


def test_the_last_one_that_passed_is_served_again_and_no_other(service, tmp_path):
    first = service.generation
    for step in ("load", "swap"):
        assert service.night(step)[0] == 0
    (service.state / "passed").write_text(f"{first}\n")
    generation_more(service, tmp_path / "odd.tsv")  # which did not pass
    second = generation_more(service, tmp_path / "more.tsv")
    (service.state / "passed").write_text(f"{first}\n{second}\n")
    for step in ("recommend", "load", "swap"):
        assert service.night(step)[0] == 0
    assert service.served()[0] == second

    assert service.night("back")[0] == 0

    assert service.served()[0] == service.generation == first
    assert (service.state / "passed").read_text() == f"{first}\n"
