"""What EMR does with the steps that mrjob adds to a cluster of the stand-in, which itself leaves them waiting for ever.

A step is Hadoop Streaming's command line. This runs it as Hadoop would, in little: files and archives beside the task, a mapper an
input file, lines dealt to reducers by the first field and sorted by the key's, one part a task, `_SUCCESS` at the end. So it
tests the command line, the files, and what the driver makes of the output; what Hadoop itself does is tested in tests/hadoop.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import os
import shlex
import subprocess
import tarfile
import tempfile
import time as clock
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

from mr_als.storage.places import storage_of

OPEN = {".gz": gzip.decompress, ".bz2": bz2.decompress}


class Emr:
    """Stands in for the module `time` in mrjob.emr: while the driver waits, the steps that were added are run.

    Attributes
    ----------
    steps : list of dict, the options of each step's command line, as lists, by name
    bootstraps : list of lists, the texts of the bootstrap scripts of the step's cluster
    runs : whether steps are run; else they only end
    fails : numbers of the steps that fail
    """

    def __init__(self) -> None:
        self.runs = True
        self.fails: set[int] = set()
        self.steps: list[dict[str, list[str]]] = []
        self.bootstraps: list[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(clock, name)

    @property
    def clusters(self) -> list[Any]:
        """List the clusters of the stand-in, oldest first."""
        from moto.emr.models import emr_backends

        found = [c for account in emr_backends.values() for backend in account.values() for c in backend.clusters.values()]
        return sorted(found, key=lambda c: c.creation_datetime)

    def sleep(self, seconds: float) -> None:
        """Run what waits."""
        for cluster in self.clusters:
            for step in cluster.steps:
                if step.state in ("PENDING", "RUNNING"):
                    options = parse(step.args)
                    self.steps.append(options)
                    paths = [action.script_path for action in cluster.bootstrap_actions]
                    self.bootstraps.append([(storage_of(path).read(path) or b"").decode() for path in paths])
                    well = len(self.steps) not in self.fails and (not self.runs or run(options))
                    step.state = "COMPLETED" if well else "FAILED"


def parse(arguments: list[str]) -> dict[str, list[str]]:
    """Read Streaming's options; each may come more than once."""
    assert arguments[0] == "hadoop-streaming"
    options = defaultdict(list)
    for name, value in zip(arguments[1::2], arguments[2::2], strict=True):
        options[name.removeprefix("-")].append(value)
    return dict(options)


def run(options: dict[str, list[str]]) -> bool:
    """Run a step; give False if a task failed."""
    conf = dict(pair.split("=", 1) for pair in options.get("D", []))
    fields, n_reduces = int(conf.get("stream.num.map.output.key.fields", 1)), int(conf["mapreduce.job.reduces"])
    output = options["output"][0].rstrip("/")
    storage = storage_of(output)
    assert not storage.names(output)
    with tempfile.TemporaryDirectory() as place:
        lay_out(options, place)
        mapped = []
        for number, path in enumerate(path for word in options["input"] for path in word.split(",")):
            data = storage.read(path)
            assert data is not None, path
            lines = OPEN.get(os.path.splitext(path)[1], bytes)(data)
            mapped.append(task(options["mapper"][0], lines, place, options, f"m_{number:06d}", path))
        if None in mapped:
            return False
        parts = mapped if not n_reduces else reduce(options, mapped, fields, n_reduces, place)
        if None in parts:
            return False
    for number, part in enumerate(parts):
        storage.write(f"{output}/part-{number:05d}", part)
    storage.write(f"{output}/_SUCCESS", b"")
    return True


def lay_out(options: dict[str, list[str]], place: str) -> None:
    """Put files and unpacked archives where a task finds them."""
    for kind in ("files", "archives"):
        for word in (word for words in options.get(kind, []) for word in words.split(",")):
            uri, name = word.split("#")
            data = storage_of(uri).read(uri)
            assert data is not None, uri
            target = Path(place, name)
            if kind == "files":
                target.write_bytes(data)
                continue
            with tempfile.NamedTemporaryFile() as file:
                file.write(data)
                file.flush()
                with contextlib.closing(tarfile.open(file.name)) as archive:
                    archive.extractall(target, filter="data") if hasattr(tarfile, "data_filter") else archive.extractall(target)


def reduce(options: dict[str, list[str]], mapped: list[Any], fields: int, n_reduces: int, place: str) -> list[Any]:
    """Deal the mappers' lines to reducers, sort and reduce them."""
    shares: list[list[bytes]] = [[] for _ in range(n_reduces)]
    for line in (line for part in mapped for line in part.splitlines(keepends=True)):
        shares[zlib.crc32(line.split(b"\t")[0]) % n_reduces].append(line)
    return [
        task(
            options["reducer"][0],
            b"".join(sorted(share, key=lambda line: line.split(b"\t")[:fields])),
            place,
            options,
            f"r_{number:06d}",
        )
        for number, share in enumerate(shares)
    ]


def task(command: str, lines: bytes, place: str, options: dict[str, list[str]], name: str, path: str = "") -> bytes | None:
    """Run one task; give its output, None if it failed."""
    own = dict(pair.split("=", 1) for pair in options.get("cmdenv", []))
    # how BLAS adds up, as in the process that compares the bytes
    own = {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")} | own
    environment = {
        "PATH": os.environ["PATH"], "HOME": place, "mapreduce_task_attempt_id": f"attempt_1_0001_{name}_0",
        "mapreduce_map_input_file": path, "mapreduce_map_input_start": "0", **own,
    }  # fmt: skip
    done = subprocess.run(shlex.split(command), input=lines, cwd=place, env=environment, capture_output=True, check=False)
    if done.returncode:
        print(done.stderr.decode(errors="replace"))
        return None
    return done.stdout
