"""What docs/examples/nightly.sh brings into PostgreSQL: every id as it is, and all of a generation or nothing of it."""

from __future__ import annotations

import pytest

import mr_als
from mr_als.options import RunOptions
from mr_als.training.train import train
from tests.served.machine import Service, recommended
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


def test_the_last_one_that_passed_is_served_again_and_no_other(service, tmp_path):
    first = service.generation
    for step in ("load", "swap"):
        assert service.night(step)[0] == 0
    (service.state / "passed").write_text(f"{first}\n")
    for name in ("odd.tsv", "more.tsv"):  # the first of which did not pass
        lines = [*toy_lines(), f"{name}\tsong\t2\n"]
        train([write(tmp_path / name, lines)], str(service.state / "model"), options(), rules=RunOptions(keep=3))
    second = service.generation
    (service.state / "passed").write_text(f"{first}\n{second}\n")
    for step in ("recommend", "load", "swap"):
        assert service.night(step)[0] == 0
    assert service.served()[0] == second

    assert service.night("back")[0] == 0

    assert service.served()[0] == service.generation == first
    assert (service.state / "passed").read_text() == f"{first}\n"
