"""One Hadoop with Kerberos and TLS for all tests of this folder, in which this process is the user alice.

`MR_ALS_SECURE_RUN=DIR` names one that `python -m local_hadoop.secure start --run DIR` has started.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local_hadoop.fetch import CACHE
from local_hadoop.secure import SecureCluster
from mr_als.storage import tokens
from tests.hadoop.fixtures import running, toy_arrays, toy_logs
from tests.hadoop.runs import ROOT, Logs

# gives exit code, stdout and stderr
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def secure() -> Iterator[SecureCluster]:
    """Yield a running cluster; the token of this process is cancelled before it ends."""
    lent = os.environ.get("MR_ALS_SECURE_RUN")
    cluster = SecureCluster(Path(lent) if lent else CACHE / "hadoop-secure-test")
    with running(cluster, bool(lent)):
        yield cluster
        for token in tokens._tokens.values():
            token.close()
        tokens._tokens.clear()


@pytest.fixture
def place(secure: SecureCluster) -> str:
    """Return the URI of a folder of alice's for one test; it does not exist yet."""
    return f"{secure.default_fs}/user/alice/{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def counts(secure: SecureCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logs]:
    """Yield the logs of the toy data set, here and there."""
    with toy_logs(f"{secure.default_fs}/user/alice/counts", tmp_path_factory) as logs:
        yield logs


@pytest.fixture(scope="session")
def expected(counts: Logs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the arrays that every training by the plan `SHORT` must end with."""
    return toy_arrays(counts, tmp_path_factory)


@pytest.fixture(scope="session")
def session(secure: SecureCluster, counts: Logs) -> list[tuple[list[str], subprocess.CompletedProcess[str]]]:
    """Run the commands that docs/engines.md gives to try a company's cluster, as alice, from kinit to explain."""
    page = (ROOT / "docs/engines.md").read_text().split("**Try it in five minutes**")[1].split("\n\n")[1]
    commands = [shlex.split(line) for line in page.splitlines()]
    assert commands[0] == ["kinit", "alice"]
    secure.kdc.ticket("alice", secure.cache("alice"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = []
    for program, *words in commands[1:]:
        start = [sys.executable, "-m", "mr_als"] if program == "mr-als" else [program]
        done.append(
            (words, subprocess.run([*start, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False))
        )
    return done


@pytest.fixture(scope="session")
def model(session: list[tuple[list[str], subprocess.CompletedProcess[str]]]) -> str:
    """Return the URI of the model that was trained by these commands; no test changes it."""
    words = session[1][0]
    return words[words.index("--model") + 1]


@pytest.fixture
def as_user(secure: SecureCluster) -> Command:
    """Return a function that runs `mr-als` as a user in a process of its own, with variables for it alone."""

    def run_as(user: str, *arguments: str, **variables: str) -> tuple[int, str, str]:
        environment = {**os.environ, **secure.environment(user=user), "PYTHONPATH": str(ROOT), **variables}
        words = [sys.executable, "-m", "mr_als", *arguments]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=900)
        return done.returncode, done.stdout, done.stderr

    return run_as


@pytest.fixture
def changed_conf(secure: SecureCluster, tmp_path: Path) -> Callable[[str, str, str], str]:
    """Return a function that copies the configuration with a text in one of its files replaced, and gives the directory."""

    def change(name: str, old: str, new: str) -> str:
        shutil.copytree(secure.run / "conf", tmp_path / "conf")
        text = (tmp_path / "conf" / name).read_text()
        assert old in text
        (tmp_path / "conf" / name).write_text(text.replace(old, new))
        return str(tmp_path / "conf")

    return change
