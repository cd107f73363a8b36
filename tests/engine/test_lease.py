"""The lock of places where the kernel holds none, on files of this machine: who has it, and when it may be taken over."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from mr_als.engine import lease
from mr_als.engine.lease import Lease
from mr_als.errors import BusyError
from mr_als.storage.local import LocalStorage


@pytest.fixture(autouse=True)
def milliseconds(monkeypatch):
    """Let times of change be in milliseconds, as they are in HDFS and S3, where leases are."""
    real = LocalStorage.identify

    def identify(self, path):
        size, changed = real(self, path)
        return [size, changed // 10**6]

    monkeypatch.setattr(LocalStorage, "identify", identify)


def lock_of(directory):
    return json.loads((directory / "lock").read_bytes())


def hold(directory, process, host=None):
    """Write the lock of a holder."""
    (directory / "lock").write_text(json.dumps({"host": host or socket.gethostname(), "process": process, "name": "x"}))


def test_it_names_its_holder_and_goes_with_it(tmp_path):
    with Lease(str(tmp_path)):
        assert (lock_of(tmp_path)["host"], lock_of(tmp_path)["process"]) == (socket.gethostname(), os.getpid())
        with (
            pytest.raises(BusyError, match=rf"{tmp_path}: process {os.getpid()} on .* is working on it; wait until"),
            Lease(str(tmp_path)),
        ):
            pass

    assert list(tmp_path.iterdir()) == []


def test_it_goes_when_what_is_done_under_it_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), Lease(str(tmp_path)):
        raise ZeroDivisionError

    assert list(tmp_path.iterdir()) == []


def test_of_a_living_process_of_this_host_it_is_not_taken_over(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    hold(tmp_path, child.pid)

    with pytest.raises(BusyError, match=f"process {child.pid} on "), Lease(str(tmp_path)):
        pass

    assert lock_of(tmp_path)["process"] == child.pid
    child.communicate()


@pytest.mark.parametrize("scratch", ["lock.0123.new", ".lock.0123.new"])  # the second in HDFS
def test_of_a_dead_process_of_this_host_it_is_taken_over_at_once_with_what_it_left(scratch, tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    hold(tmp_path, child.pid)
    (tmp_path / scratch).touch()  # it died as it touched its lock
    (tmp_path / "lockers.new").touch()

    with Lease(str(tmp_path)):
        assert lock_of(tmp_path)["process"] == os.getpid()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "lockers.new"]


def test_a_process_that_waits_to_be_reaped_holds_nothing(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is a zombie until it is waited for
    hold(tmp_path, child.pid)

    with Lease(str(tmp_path)):
        assert lock_of(tmp_path)["process"] == os.getpid()

    assert child.wait() == 0


@pytest.mark.parametrize("process", [None, "x", -1, [1], {}])
def test_a_holder_of_this_host_that_names_no_process_holds_nothing(process, tmp_path):
    hold(tmp_path, process)

    with Lease(str(tmp_path)):
        assert lock_of(tmp_path)["process"] == os.getpid()


def test_of_another_host_it_is_taken_over_when_it_has_not_been_touched_for_long(tmp_path, monkeypatch):
    hold(tmp_path, os.getpid(), "elsewhere")
    before = time.time_ns() - 10**9 * 30
    os.utime(tmp_path / "lock", ns=(before, before))
    with pytest.raises(BusyError, match=f"process {os.getpid()} on elsewhere is working on it"), Lease(str(tmp_path)):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]

    monkeypatch.setattr(lease, "EXPIRY", -1.0)

    with Lease(str(tmp_path)):
        assert lock_of(tmp_path)["host"] == socket.gethostname()


@pytest.mark.parametrize("held", [b"", b"[]", b'{"host": ', b"\xff"])
def test_a_torn_lock_is_that_of_somebody_elsewhere(held, tmp_path):
    (tmp_path / "lock").write_bytes(held)

    with pytest.raises(BusyError, match=r"process \? on \? is working on it"), Lease(str(tmp_path)):
        pass


def test_its_holder_touches_it_and_leaves_it_to_who_took_it_over(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "TOUCH", 0.01)

    def touched():
        return (tmp_path / "lock").stat().st_mtime_ns

    with Lease(str(tmp_path)):
        first, end = touched(), time.monotonic() + 30
        while touched() == first:
            assert time.monotonic() < end
            time.sleep(0.01)
        other = {"host": "elsewhere", "process": 7, "name": "x"}
        # who takes it over waits for a minute of silence: here the holder may have looked just before, and write after
        while lock_of(tmp_path) != other:
            assert time.monotonic() < end
            (tmp_path / "other").write_text(json.dumps(other))
            (tmp_path / "other").replace(tmp_path / "lock")
            time.sleep(0.1)

    assert lock_of(tmp_path) == other
