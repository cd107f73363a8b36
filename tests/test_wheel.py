"""What is installed: the packed files, and a wheel that works without the checkout."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import mr_als
from tests.toy import toy_lines, write

ROOT = Path(__file__).resolve().parents[1]


def call(*command, cwd):
    """Run a command, without this checkout on its path; give its stdout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([str(c) for c in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_package_is_packed():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    files = {path for path in (ROOT / "mr_als").rglob("*") if path.is_file() and path.parent.name != "__pycache__"}
    folders = {path.parent for path in files}
    packages = {".".join(folder.relative_to(ROOT).parts) for folder in folders}

    packed = set(setup["options"]["packages"].split())

    assert packed == packages | {"mr_als.jobs"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Create an environment that contains only the wheel and its dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    call(folder / "bin/python", "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    return folder


@pytest.mark.slow
def test_a_wheel_holds_the_package_and_its_jobs_and_takes_no_other_name(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    assert {name.split("/")[0] for name in names} == {"mr_als", f"mr_als-{mr_als.__version__}.dist-info"}
    assert {"mr_als/jobs/mr_solve.py", "mr_als/py.typed", "mr_als/teaching/page/page.html", "mr_als/teaching/page/model.js"} <= set(
        names
    )


@pytest.mark.slow
def test_an_installed_wheel_tells_its_version_and_has_no_package_called_jobs(installed):
    version = call(installed / "bin/mr-als", "--version", cwd=installed)
    found = call(installed / "bin/python", "-c", "from importlib.util import find_spec; print(find_spec('jobs'))", cwd=installed)

    assert version == f"mr-als {mr_als.__version__}\n"
    assert found == "None\n"


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["inline", "local"])
def test_an_installed_wheel_trains_and_recommends_outside_of_the_checkout(runner, installed, tmp_path):
    """In relative paths, as people type them."""
    write(tmp_path / "counts.tsv", toy_lines())
    program = installed / "bin/mr-als"

    call(program, "train", "counts.tsv", "--model", "model", "--rank", "5", "-r", runner, cwd=tmp_path)
    top = call(program, "recommend", "--model", "model", "user-0", "-n", "1", cwd=tmp_path)

    user, rank, item, _ = top.rstrip("\n").split("\t")
    assert (user, rank) == ("user-0", "1")
    assert item.startswith("taste-0-")
