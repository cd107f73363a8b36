"""Logs as commands take them: compressed by zstd, decaying, refused where an engine cannot read them, the same on any engine."""

from __future__ import annotations

import json
import random
import sys

import pytest

from mr_als import cli
from mr_als.engine.engine import Engine
from mr_als.engine.launch import load_job
from mr_als.errors import BadInputError, UsageError
from mr_als.options import InputOptions
from mr_als.preparing.inputs import check_engine, find_layouts, log_arguments
from mr_als.preparing.prepare import prepare
from mr_als.records.blocks import PlaysBlock
from mr_als.records.lines import LINES
from tests.readlogs import read

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def pairs_of(plays):
    """Decode prepared plays into {(user, item): units}."""
    found, names = {}, {}
    blocks = [PlaysBlock.unpack(bytes(payload)) for data in (plays.items, plays.users) for _, payload in data.blocks()]
    for block in blocks:
        names |= dict(zip(block.hashes.tolist(), block.ids.to_list(), strict=True))
    for _, payload in plays.users.blocks():
        block = PlaysBlock.unpack(bytes(payload))
        for row, user in enumerate(block.ids.to_list()):
            for place in range(block.indptr[row], block.indptr[row + 1]):
                item = names[int(block.columns[block.indices[place]])]
                found[user.decode(), item.decode()] = int(block.units()[place])
    return found


def test_zstd_is_read_through_all_its_frames(tmp_path):
    path = tmp_path / "log.tsv.zst"
    path.write_bytes(zstd.compress(b"a\tb\t1\n" * 100_000) + zstd.compress(b"") + zstd.compress(b"c\td\t2\n"))

    found = read(path)

    assert found.lines == 100_001
    assert found.plays[-1] == ("c", "d", 2.0)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-5], lambda data: data + b"rubbish", lambda data: data[:20] + b"\0" * 9 + data[29:]]
)
def test_damaged_zstd_is_bad_input_that_names_the_file(tmp_path, damage):
    text = b"".join(b"user-%d\titem-%d\t1\n" % (n, n * n) for n in range(5000))
    path = tmp_path / "log.tsv.zst"
    path.write_bytes(damage(zstd.compress(text)))

    with pytest.raises(BadInputError, match=r"log\.tsv\.zst: "):
        read(path)


def test_without_the_library_its_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "log.tsv.zst").write_bytes(zstd.compress(b"a\tb\t1\n"))
    monkeypatch.setitem(sys.modules, zstd.__name__, None)

    with pytest.raises(UsageError, match=r"pip install 'backports.zstd>=1.0'"):
        read(tmp_path / "log.tsv.zst")


def test_a_play_loses_half_of_its_strength_in_a_half_life(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(
        "user,item,timestamp\na,now,2024-03-11\na,half,2024-03-01\na,quarter,1708387200\na,later,2024-03-11T00:00:01Z\n"
    )

    found = read(path, half_life=10.0, as_of="2024-03-11")

    assert found.plays == [("a", "now", 1.0), ("a", "half", 0.5), ("a", "quarter", 0.25)]
    assert found.left_out == 1


def test_the_decay_multiplies_plays(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item,timestamp,plays\na,b,2024-03-01,6\n")

    assert read(path, half_life=5.0, as_of="2024-03-11").plays == [("a", "b", 1.5)]


def test_decayed_sums_do_not_depend_on_the_order_of_plays_nor_on_the_tasks(tmp_path):
    random.seed(4)
    lines = [f"{1_700_000_000 + random.randrange(10**7)}\tu{n % 3}\ti{n % 5}\t60000\n" for n in range(3000)]
    options = InputOptions(half_life=7.3, as_of="2024-04-01")
    (tmp_path / "a.tsv").write_text("".join(lines))
    (tmp_path / "b1.tsv").write_text("".join(sorted(lines[:700])))
    (tmp_path / "b2.tsv").write_text("".join(sorted(lines[700:], reverse=True)))

    one = prepare([str(tmp_path / "a.tsv")], str(tmp_path / "one"), options)
    two = prepare([str(tmp_path / "b1.tsv"), str(tmp_path / "b2.tsv")], str(tmp_path / "two"), options, Engine(tasks=2))

    assert pairs_of(one) == pairs_of(two)
    # each line is rounded to a unit of 2^-16 by itself
    seconds = [(int(line.split("\t")[0]), n) for n, line in enumerate(lines) if n % 15 == 0]
    exact = sum(2.0 ** ((at - 1711929600) / (7.3 * 86400)) for at, _ in seconds)
    assert abs(pairs_of(one)["u0", "i0"] / 65536 - exact) <= len(seconds) / 2 / 65536


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"half_life": 3.0}, "--half-life needs --as-of TIME"), ({"as_of": "2024-01-01"}, "does nothing without --half-life"),
        ({"half_life": 3.0, "as_of": "soon"}, "--as-of: 'soon' is not a time"),
        ({"half_life": 3.0, "as_of": "2024-01-01"}, "need the time of each play, but the columns are user,item,plays"),
        ({"since": "2024-01-01"}, "need the time of each play"), ({"until": "2024-01-01"}, "need the time of each play"),
    ],
)  # fmt: skip
def test_decay_and_windows_without_what_they_need_are_usage_errors(tmp_path, options, message):
    (tmp_path / "log.tsv").write_text("a\tb\t1\n")
    chosen = InputOptions(**options)

    with pytest.raises(UsageError, match=message):
        log_arguments(chosen, find_layouts([str(tmp_path / "log.tsv")], chosen))


ARRAY = '[{"user": "a", "item": "b"}]'


@pytest.mark.parametrize(
    ("name", "reason"),
    [("log.json", "is an array of JSON"), ("log.tsv.zst", "is compressed by zstd"), ("log.parquet", "is parquet")],
)
def test_what_a_cluster_cannot_read_is_refused_before_the_start(tmp_path, name, reason):
    path = tmp_path / name
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow.parquet").write_table(
            pytest.importorskip("pyarrow").table({"user": ["a"], "item": ["b"]}), path
        )
    else:
        path.write_bytes(zstd.compress(b"a\tb\t1\n") if name.endswith("zst") else ARRAY.encode())
    understood = find_layouts([str(path)], InputOptions())

    with pytest.raises(
        UsageError, match=rf"{name} {reason}, which -r hadoop cannot read.*`mr-als prepare \.\.\. -r local --plays DIR`"
    ):
        check_engine(understood, Engine("hadoop", LINES))
    check_engine(understood, Engine("local"))


def test_lines_are_read_by_a_cluster(tmp_path):
    for name, text in (("a.csv", 'user,item\n"a",b\n'), ("b.jsonl", '{"user": "a", "item": "b"}\n'), ("c.tsv", "a\tb\t1\n")):
        (tmp_path / name).write_text(text)
        check_engine(find_layouts([str(tmp_path / name)], InputOptions()), Engine("hadoop", LINES))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("log.csv", '\ufeffuser,"the, item",plays\r\n"a","b, ""c""",1.5\r\nx,y,z\r\n'),
        ("log.jsonl", '{"user": "a", "item": "b, \\"c\\"", "plays": 1.5}\n{"user": "x"}\n'),
        ("log.tsv", 'user\tthe, item\tplays\na\tb, "c"\t1.5\nx\ty\tz\n'),
    ],
)
def test_a_job_reads_lines_as_it_reads_ranges(tmp_path, name, text):
    """The header, the delimiter and the columns travel to tasks as arguments, which must survive the way."""
    path = tmp_path / name
    path.write_text(text, newline="")
    options = InputOptions(columns="" if name.endswith("jsonl") else "user,item,plays", max_bad_lines="9")
    understood = find_layouts([str(path)], options)
    plays = prepare([str(path)], str(tmp_path / "plays"), options)

    job = load_job("mr_ingest")(["-r", "inline", "--no-conf", "--input", LINES, *log_arguments(options, understood), str(path)])
    with job.make_runner() as runner:
        runner.run()
        records = b"".join(runner.cat_output()).decode().splitlines()

    assert pairs_of(plays) == {("a", 'b, "c"'): 98304}
    assert plays.info["columns"] == ["user", "item", "plays"]
    assert sum(line.startswith("total") for line in records) == 2
    assert sum(plays.info["bad"]["counts"].values()) == 1


def test_a_streaming_history_becomes_a_model_in_one_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    streams = [
        {"ts": f"2023-02-0{1 + n % 9}T12:30:00Z", "username": f"u{n % 4}", "ms_played": 99000,
         "master_metadata_album_artist_name": None if n % 10 == 0 else f"artist {n * n % 7}"}
        for n in range(80)
    ]  # fmt: skip
    (tmp_path / "StreamingHistory0.json").write_text(json.dumps(streams[:40], indent=1))
    (tmp_path / "StreamingHistory1.json").write_text(json.dumps(streams[40:]))

    assert cli.main(["train", "StreamingHistory0.json", "StreamingHistory1.json", "--model", "m", "--rank", "2", "-q"]) == 0
    assert "4 users" in capsys.readouterr().out
