"""What stands around the nightly script: schedules call its steps, alerts ask for figures that there are, a service answers."""

from __future__ import annotations

import configparser
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest

from mr_als.reporting.prometheus import HELP
from tests.toy import options, run, toy_lines, write

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PAGE = (ROOT / "docs" / "production.md").read_text(encoding="utf-8")
SCRIPT = (EXAMPLES / "nightly.sh").read_text(encoding="utf-8")
STEPS = re.search(r"^  for step in (.*); do$", SCRIPT, re.MULTILINE)[1].split()


def blocks_of(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_is_one_that_bash_reads_and_its_steps_are_functions_of_it():
    subprocess.run(["bash", "-n", str(EXAMPLES / "nightly.sh")], check=True)

    functions = set(re.findall(r"^(\w+)\(\) \{", SCRIPT, re.MULTILINE))
    assert {*STEPS, "back"} <= functions
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == STEPS


@pytest.mark.parametrize(("variable", "code"), [("LOGS", 1), ("STATE", 1)])
def test_a_setting_that_is_missing_is_named(variable, code, tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "LOGS": str(tmp_path), "STATE": str(tmp_path / "state")}
    del environment[variable]

    done = subprocess.run([str(EXAMPLES / "nightly.sh")], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == code
    assert f"{variable}: a directory" in done.stderr


def test_what_is_said_is_json_whatever_a_directory_is_called(tmp_path):
    logs = tmp_path / 'of "me"\\and\tyou'
    logs.mkdir()
    environment = {"PATH": "/usr/bin:/bin", "LOGS": str(logs), "STATE": str(tmp_path / "state")}

    done = subprocess.run([str(EXAMPLES / "nightly.sh"), "add"], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    said = json.loads(done.stderr)
    assert (said["level"], said["event"]) == ("error", "add")
    assert said["message"].startswith(f"{logs} holds no two days".replace("\t", " "))


class Operator:
    """As much of an operator of Airflow as the DAG uses."""

    made: ClassVar[list[Operator]] = []

    def __init__(self, **keys):
        self.keys, self.after = keys, []
        self.made.append(self)

    def __rshift__(self, other):
        other.after.append(self.keys["task_id"])
        return other


class Dag:
    def __init__(self, name, **keys):
        self.name, self.keys = name, keys

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def test_the_dag_has_the_steps_of_the_script_in_their_order(monkeypatch):
    """Airflow itself brings two hundred packages; its names that are used are those of version 3."""
    names = {"airflow.sdk": {"DAG": Dag}, "airflow.providers.standard.operators.bash": {"BashOperator": Operator}}
    for path, content in names.items():
        parts = path.split(".")
        for n in range(1, len(parts) + 1):
            monkeypatch.setitem(sys.modules, ".".join(parts[:n]), ModuleType(".".join(parts[:n])))
        vars(sys.modules[path]).update(content)
    monkeypatch.setattr(Operator, "made", [])

    dag = load("nightly_dag").dag

    assert [task.keys["task_id"] for task in Operator.made] == STEPS
    assert [task.after for task in Operator.made] == [[], *([step] for step in STEPS[:-1])]
    assert [task.keys["bash_command"].split()[1:] for task in Operator.made] == [[step] for step in STEPS]
    assert all(task.keys["bash_command"].split()[0].endswith("docs/examples/nightly.sh") for task in Operator.made)
    assert dag.keys["max_active_runs"] == 1


def test_the_crontab_has_one_line_of_five_times_and_the_script():
    (table,) = blocks_of("crontab")

    settings = [line.partition("=")[0] for line in table.splitlines()[:-1]]
    *times, command = table.splitlines()[-1].split(None, 5)
    assert {"LOGS", "STATE", "PATH"} <= set(settings)
    assert len(times) == 5
    assert command.startswith("/opt/mr_als/docs/examples/nightly.sh ")


def test_the_units_of_systemd_name_the_script_and_each_other():
    service, timer = (configparser.ConfigParser(strict=False, interpolation=None) for _ in range(2))
    for unit, text in zip((service, timer), blocks_of("ini"), strict=True):
        unit.optionxform = str
        unit.read_string(text)

    assert service["Service"]["ExecStart"] == "/opt/mr_als/docs/examples/nightly.sh"
    assert service["Service"]["Type"] == "oneshot"
    assert timer["Timer"]["OnCalendar"]
    names = [text.splitlines()[0].removeprefix("# ") for text in blocks_of("ini")]
    assert [name.rpartition(".")[0] for name in names] == ["mr-als-nightly"] * 2  # a timer starts the service of its name


def test_alerts_ask_for_figures_that_are_written():
    (rules,) = blocks_of("yaml")

    asked = set(re.findall(r"mr_als_train_(\w+)", rules))
    assert asked
    assert asked <= set(HELP)
    assert rules.count("- alert:") == rules.count("expr:") == 5


@pytest.fixture
def service(tmp_path):
    run([write(tmp_path / "counts.tsv", toy_lines()[:800])], tmp_path / "model", options())
    return load("service").Recommender(str(tmp_path / "model"))


def test_a_service_counts_what_was_played_today(service):
    model = service.model
    user, played = "user-1", dict(model.plays("user-1"))
    today = {next(item for item, _ in model.recommend(user, 5)): 3}

    found = dict(service.recommend(user, today, 50))

    assert found == dict(model.recommend(plays={**played, **today}, n=50))
    assert not set(found) & ({*played} | {*today})
    taste = next(iter(today)).split("-item")[0]
    assert taste in {item.split("-item")[0] for item, _ in service.recommend("new", today, 3)}
    assert service.recommend("new", {"an item of today": 1}) == []


def test_a_service_opens_the_next_model_when_there_is_one(service, tmp_path):
    before = service.model
    service.reload()
    assert service.model is before

    run([write(tmp_path / "more.tsv", toy_lines())], tmp_path / "model", options())
    service.reload()

    assert len(service.model.user_ids) == 120
