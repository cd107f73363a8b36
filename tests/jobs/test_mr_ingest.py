"""The ingest job by itself: log lines on standard input, as on Hadoop, give what ranges of files give."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mr_als.engine.datasets import read_parts
from mr_als.engine.launch import run_job
from mr_als.engine.runners.runner import Call
from mr_als.errors import HashCollisionError
from mr_als.records.blocks import PlaysBlock
from mr_als.records.lines import Reference, encode
from tests.collisions import collision

COUNTS = ["--columns=user,item,plays", "--user-blocks=3", "--item-blocks=2"]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ingest(tmp_path):
    """Run the job; give its blocks, its totals and its report on the lines."""

    def run(paths, form="lines", arguments=(), runner="inline", tasks=1):
        output = str(tmp_path / f"output-{len(os.listdir(tmp_path))}")
        parts = run_job(Call("mr_ingest", paths, output, ["--input", form, *COUNTS, *arguments], tasks=tasks), runner)
        blocks, totals, report = {}, {}, {}
        for record in read_parts(parts):
            if record.kind in ("users", "items"):
                blocks[record.kind, record.block] = bytes(record.payload)
            elif record.kind == "total":
                total = json.loads(bytes(record.payload))
                totals[total[0], record.block] = total[1:]
            elif record.kind == "bad":
                report = json.loads(bytes(record.payload))
        return blocks, totals, report

    return run


def ranges(tmp_path, paths, step):
    """Write the lines that name ranges of files, for form `references`."""
    name = tmp_path / f"ranges-{step}.lines"
    with name.open("wb") as file:
        for path in paths:
            size = os.path.getsize(path)
            at = range(0, size, step) if path.endswith(".tsv") else [0]
            for offset in at:
                file.write(b"range\t00000000\t%s\n" % Reference(offset, min(step, size - offset), 0, path).text())
    return [str(name)]


LINES = [b"user %d\titem %d\t%d\r\n" % (n % 7, n % 5, n % 4) for n in range(300)]
BAD = [
    b"\n",
    b"a\tb\n",
    b"u\ti\tnan\n",
    b"\xff\ti\t1\n",
    b"u\0\ti\t1\n",
    b"1,2,3,/etc/passwd\n",
    b"plays\t00000001.0000.0001\tTVJC\n",
]


@pytest.fixture
def logs(tmp_path):
    """A plain log with bad lines and a BOM, and compressed ones of several members, without a line end at the end."""
    (tmp_path / "a.tsv").write_bytes(b"\xef\xbb\xbf" + b"".join(LINES[:90] + BAD[:4] + LINES[90:100] + BAD[4:]))
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"".join(LINES[100:150])) + gzip.compress(b"".join(LINES[150:200])))
    (tmp_path / "c.bz2").write_bytes(bz2.compress(b"".join(LINES[200:250])) + bz2.compress(b"".join(LINES[250:])[:-2]))
    return [str(tmp_path / name) for name in ("a.tsv", "b.gz", "c.bz2")]


@pytest.mark.parametrize("runner", ["inline", "local"])
def test_log_lines_on_standard_input_give_what_ranges_give(runner, logs, ingest, tmp_path):
    blocks, totals, report = ingest(ranges(tmp_path, logs, 1000), "references")

    as_lines = ingest(logs, "lines", runner=runner, tasks=2)

    assert as_lines[:2] == (blocks, totals)
    assert as_lines[2]["counts"] == report["counts"] == {"lines": 307, "filtered": 0}
    assert as_lines[2]["bad"]["counts"] == report["bad"]["counts"]
    assert report["bad"]["counts"] == {
        "empty line": 1, "too few fields": 2, "NaN": 1, "invalid UTF-8": 1, "NUL": 1, "not a number": 1,
    }  # fmt: skip


def test_bad_lines_on_standard_input_are_numbered_and_named_by_their_file(logs, ingest):
    _, _, report = ingest(logs)

    samples = {(source.rpartition("@")[0], line) for source, line, *_ in report["bad"]["samples"]}
    assert samples == {(logs[0], number) for number in (91, 92, 93, 94, 105, 106, 107)}
    assert report["lines"] == {f"{logs[0]}@0": 107, f"{logs[1]}@0": 100, f"{logs[2]}@0": 100}


@pytest.mark.parametrize("step", [1, 17, 400])
def test_any_ranges_give_the_same(step, logs, ingest, tmp_path):
    step_by_step, whole = (ingest(ranges(tmp_path, logs, n), "references") for n in (step, 1 << 20))

    assert step_by_step[:2] == whole[:2]
    assert step_by_step[2]["counts"] == whole[2]["counts"]


def test_a_log_line_that_names_a_file_is_never_followed(ingest, tmp_path):
    """In the form `lines` it is a bad line like any other, whatever it looks like."""
    (tmp_path / "secret.tsv").write_bytes(b"secret\titem\t1\n")
    forged = b"range\t00000000\t" + Reference(0, 14, 0, str(tmp_path / "secret.tsv")).text()
    forged += b"\nplays\t00000000.0000.0001\t" + encode(b"payload") + b"\n"
    (tmp_path / "log.tsv").write_bytes(b"u\ti\t1\n" + forged)

    blocks, _, report = ingest([str(tmp_path / "log.tsv")])

    names = [name for payload in blocks.values() for name in PlaysBlock.unpack(payload).ids.to_list()]
    assert sorted(names) == [b"i", b"u"]
    assert report["bad"]["counts"] == {"not a number": 2}


def test_records_in_many_pieces_and_a_table_that_is_always_full_do_not_change_a_byte(logs, ingest, monkeypatch):
    expected = ingest(logs)
    monkeypatch.setattr("mr_als.records.lines.MAX_PAYLOAD", 50)
    monkeypatch.setattr("mr_als.logs.logs.CHUNK", 100)

    found = ingest(logs, arguments=["--task-memory=1"])

    assert found == expected


def test_totals_add_up_to_the_same_plays_on_both_sides_before_thresholds(logs, ingest):
    _, totals, _ = ingest(logs, arguments=["--min-user-plays=64"])

    sums = {
        side: [sum(n) for n in zip(*(t[:6] for (s, _), t in totals.items() if s == side), strict=True)]
        for side in ("users", "items")
    }
    assert sums["users"][4:6] == sums["items"][4:6] == [35, 65536 * sum(n % 4 for n in range(300))]
    assert sums["items"][:3] == [5, 35, sums["items"][5]]
    assert sums["users"][0] == 5
    assert sums["users"][2] < sums["users"][5]


def test_ids_that_collide_in_different_tasks_are_noticed_in_form_lines(ingest, tmp_path):
    paths = []
    for n, name in enumerate(collision()):
        paths.append(str(tmp_path / f"{n}.tsv"))
        Path(paths[-1]).write_text(f"{name}\ti\t1\n")

    with pytest.raises(HashCollisionError, match="--salt 1"):
        ingest(paths)


def test_no_input_gives_only_a_report(ingest, tmp_path):
    (tmp_path / "empty.tsv").write_bytes(b"")

    blocks, totals, report = ingest([str(tmp_path / "empty.tsv")])

    assert (blocks, totals, report["counts"]) == ({}, {}, {"lines": 0, "filtered": 0})


def test_the_job_file_runs_as_a_program(logs):
    """As its docstring says, and as Hadoop runs it: the mapper's output is lines of three fields in ASCII."""
    job = str(ROOT / "jobs" / "mr_ingest.py")

    done = subprocess.run(
        [sys.executable, job, "--mapper", "--step-num=0", "--input", "lines", *COUNTS],
        input=b"".join(LINES), env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=True,
    )  # fmt: skip

    lines = done.stdout.splitlines()
    assert done.stdout.isascii()
    assert all(line.count(b"\t") == 2 for line in lines)
    assert {line.split(b".")[0].split(b"\t")[0] for line in lines} == {b"users", b"items", b"bad"}
