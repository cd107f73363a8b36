"""All workarounds for mrjob 0.7.4, the last release (2020): import this before mrjob.

1. `pipes` and `distutils` left Python in 3.12 and 3.13; mrjob wants three names of them. Filling
   `sys.modules` ourselves also saves 80 ms a task: setuptools' `distutils` loads all of setuptools.
2. `decompress` of the inline and local runners reads the first member of a .gz or .bz2 only.
3. The inline and local runners cut every input by bytes; our pieces of one block must stay together,
   so a file is one map task, as `mapreduce.input.fileinputformat.split.minsize` makes it on Hadoop.
4. mrjob imports PySpark, where there is one, to know where its files are: a second a task. It gets the place alone.
5. `sys.stderr` of a task is binary inline, and `print` in a task lands in its output: `text_std` cures both.
6. In a file option, mrjob takes what stands behind a # for another name of the file; to us it is part of the path.
7. A signal while it makes or removes its scratch directory leaves that: `remove_scratch`.
8. The inline and local runners copy each file of a job, though all its tasks only read it: large ones are linked.
9. To add an option, `argparse` asks how wide the terminal is, and mrjob adds hundreds a job: it is asked once.
"""

from __future__ import annotations

import argparse
import bz2
import contextlib
import importlib
import io
import os
import shlex
import shutil
import sys
import tempfile
import types
import warnings
import zlib
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

from mr_als.engine.loose_version import LooseVersion

__all__ = ["load_runner", "remove_scratch", "text_std"]


def remove_scratch(runner: Any) -> None:
    """Remove the scratch directory of a runner that was interrupted, wherever that was."""
    place = runner._opts.get("local_tmp_dir") or tempfile.gettempdir()
    shutil.rmtree(os.path.join(place, runner._job_key), ignore_errors=True)


def _module(name: str, **names: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(names)
    return module


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    """Let mrjob import what it wants of `pipes`, `distutils` and `pyspark`, and put back what was there."""
    spawn = _module("distutils.spawn", find_executable=lambda name, path=None: shutil.which(name, path=path))
    version = _module("distutils.version", LooseVersion=LooseVersion)
    ours = {
        "pipes": _module("pipes", quote=shlex.quote),
        "distutils": _module("distutils", spawn=spawn, version=version),
        "distutils.spawn": spawn,
        "distutils.version": version,
    }
    pyspark = find_spec("pyspark")
    if pyspark is not None:
        ours["pyspark"] = _module("pyspark", __file__=pyspark.origin)
    before = {name: sys.modules.get(name) for name in ours}
    sys.modules.update(ours)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


with _stand_ins(), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mrjob.bin
    import mrjob.cat
    import mrjob.compat
    import mrjob.inline
    import mrjob.job
    import mrjob.local
    import mrjob.options
    import mrjob.runner
    import mrjob.sim
    import mrjob.util


def load_runner(name: str) -> None:
    """Import the module of one of mrjob's runners, which wants the same; only where it is used, as that of EMR loads boto3."""
    with _stand_ins(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module(f"mrjob.{name}")


# on every job, and deprecated since 3.12: `datetime.utcnow()`; in 3.12 and 3.13 `tarfile` without a filter
warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"mrjob\..*")


def _members(readable: Any, new: Any) -> Iterator[bytes]:
    """Decompress all members of a file, one after the other."""
    machine, fed = new(), False
    while chunk := readable.read(1 << 20):
        while chunk := chunk if fed else chunk.lstrip(b"\0"):  # zeros between members are padding
            fed = True
            if data := machine.decompress(chunk):
                yield data
            chunk = b""
            if machine.eof:
                chunk, machine, fed = machine.unused_data, new(), False
    if fed:
        msg = "compressed input ends in the middle of a member"
        raise EOFError(msg)


mrjob.cat.gunzip_stream = lambda readable, bufsize=0: _members(readable, lambda: zlib.decompressobj(16 + zlib.MAX_WBITS))
mrjob.cat.bunzip2_stream = lambda readable, bufsize=0: _members(readable, bz2.BZ2Decompressor)
mrjob.job.parse_legacy_hash_path = lambda kind, path, must_name=None: {"path": path, "name": None, "type": kind}
mrjob.sim.SimMRJobRunner._pick_mapper_split_size = lambda self, input_paths, step_num: 1 << 62

# bytes from which a file is linked and not copied: no script has them
_LARGE = 1 << 20


def _bring(path: str, target: str) -> None:
    """Bring a file to where a job's tasks look for it."""
    if os.path.getsize(path) < _LARGE:
        shutil.copy(path, target)
    else:
        os.symlink(os.path.abspath(path), target)


def _make_executable(path: str, recursive: bool = False, make: Any = mrjob.sim._chmod_u_rx) -> None:
    """Leave alone what a link names: it belongs to others."""
    if not os.path.islink(path):
        make(path, recursive)


mrjob.sim.shutil = _module("shutil", copy=_bring)
mrjob.sim._chmod_u_rx = _make_executable
_formatter = partial(argparse.HelpFormatter, width=shutil.get_terminal_size().columns - 2)
mrjob.job.ArgumentParser = mrjob.options.ArgumentParser = partial(argparse.ArgumentParser, formatter_class=_formatter)


@contextlib.contextmanager
def text_std() -> Iterator[Any]:
    """Send prints, warnings and logging of a task to its log; yield the binary output stream."""
    out: Any = sys.stdout
    err: Any = sys.stderr
    wrapped = None
    if not isinstance(err, io.TextIOBase):
        wrapped = io.TextIOWrapper(err, "utf-8", "backslashreplace", write_through=True)
    sys.stderr = wrapped or err
    sys.stdout = sys.stderr
    try:
        yield getattr(out, "buffer", out)
    finally:
        sys.stdout, sys.stderr = out, err
        if wrapped is not None:
            wrapped.detach()
