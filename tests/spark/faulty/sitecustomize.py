"""Faults of Spark's Python workers: each imports this from its PYTHONPATH, and its tasks do what FAULT names, FAULT_TIMES times.

Times are counted by files in FAULT_PLACE, which all workers of a test see.
"""

from __future__ import annotations

import importlib.machinery
import os
import signal
import sys
import time

PATCHED = "mr_als.engine.spark.tasks"


def first_times():
    """Say whether this is one of the first so many times."""
    for number in range(int(os.environ.get("FAULT_TIMES", "1"))):
        try:
            os.close(os.open(os.path.join(os.environ["FAULT_PLACE"], str(number)), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        return True
    return False


def parent_of(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])


class Lost(Exception):
    """An input that breaks off, as that of a reducer when an executor is lost whose map output it reads."""


def strike():
    """Do what is asked for."""
    if not first_times():
        return
    what = os.environ["FAULT"].split("-")[-1]
    if what == "executor":
        os.kill(parent_of(os.getppid()), signal.SIGKILL)  # worker, daemon, JVM
        time.sleep(60)
    if what == "worker":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "slow":
        time.sleep(8)
    if what == "cut":
        raise Lost


def patched(step):
    """Let mappers or reducers of the first half of the users, when they have begun, strike."""
    role = {"map": "map_to_send", "reduce": "write_part"}[os.environ["FAULT"].split("-")[0]]
    real = getattr(step, role)

    def method(self, *arguments):
        if self.name == "mr_solve" and "--solved=users" in self.arguments:
            try:
                strike()
            except Lost:
                real(self, *arguments[:-1], iter(()))  # the records end, and then Spark says that it was not all
                raise
        return real(self, *arguments)

    setattr(step, role, method)


class Finder:
    """Finds the one module as others do, and patches it when it is loaded."""

    def find_spec(self, name, path=None, target=None):
        if name != PATCHED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        real = spec.loader.exec_module

        class Loader:
            create_module = spec.loader.create_module

            def exec_module(self, module):
                real(module)
                patched(module.Step)

        return importlib.machinery.ModuleSpec(name, Loader(), origin=spec.origin)


if os.environ.get("FAULT"):
    sys.meta_path.insert(0, Finder())
