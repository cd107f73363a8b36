"""The sample logs: the committed files are what their script makes, with the structure and the faults it promises."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import json
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mr_als import cli
from mr_als.logs.badlines import BadLines
from mr_als.logs.logs import FORMATS, Filter, Layout, chunks
from mr_als.logs.parse import parse_chunk
from mr_als.logs.streams import open_log
from mr_als.maths.drawing.initial import initial_factors
from mr_als.maths.reference import reference_als
from mr_als.maths.weighing.weights import Weights
from mr_als.records.ids import Ids, hash_ids

DIRECTORY = Path(__file__).parents[1] / "sample_logs"


def load_script():
    spec = importlib.util.spec_from_file_location("generate_sample_logs", DIRECTORY / "_generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = load_script()


def text_of(name):
    opened = {".gz": gzip.open, ".bz2": bz2.open, ".tsv": open}[Path(name).suffix]
    with opened(DIRECTORY / name, "rb") as stream:
        return stream.read()


def read(name):
    """Read a file with the project's own reader: its plays of 30 s or more by (user, item), and what was wrong."""
    plays, bad, n_lines = Counter(), BadLines(), 0
    with open_log(str(DIRECTORY / name)) as stream:
        for chunk in chunks(stream):
            parsed = parse_chunk(chunk, Layout(FORMATS["events"], b"\t"), Filter(30000, None, None), bad, name, n_lines)
            n_lines += parsed.lines
            buffer = parsed.buffer.tobytes()
            users, items = (
                [buffer[start : start + length].decode() for start, length in zip(*places, strict=True)]
                for places in (parsed.users, parsed.items)
            )
            plays.update(zip(users, items, strict=True))
    return plays, bad, n_lines


@pytest.fixture(scope="module")
def everything():
    plays, bad, n_lines = Counter(), BadLines(), 0
    for name in generate.FILES:
        more, wrong, n = read(name)
        plays.update(more)
        bad.merge(wrong)
        n_lines += n
    return plays, bad, n_lines


def genre_of(item):
    return item[item.rindex("(") + 1 : -1]


def test_the_files_are_what_the_script_makes():
    texts = generate.make_texts()

    assert sorted(texts) == sorted(path.name for path in DIRECTORY.iterdir() if not path.name.startswith((".", "_")))
    for name, text in texts.items():
        assert text_of(name) == text, f"{name} differs: run python sample_logs/_generate.py"


def test_the_script_writes_the_same_bytes_each_time(tmp_path, capsys):
    for directory in ("once", "again"):
        generate.main(tmp_path / directory)

    printed = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in printed] == 2 * list(generate.FILES)
    for name in generate.FILES:
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_all_files_together_stay_below_two_megabytes():
    assert sum((DIRECTORY / name).stat().st_size for name in generate.FILES) < 2_000_000


def test_one_file_has_two_gzip_members_and_the_others_one():
    for name in generate.FILES:
        if name.endswith(".gz"):
            members, rest = 0, (DIRECTORY / name).read_bytes()
            while rest:
                member = zlib.decompressobj(wbits=31)
                member.decompress(rest)
                members, rest = members + 1, member.unused_data
            assert members == (2 if name == generate.TWO_MEMBERS else 1), name


def test_every_kind_of_bad_line_is_in_its_file_once_as_written():
    lines = text_of(generate.BAD_DAY).split(b"\n")

    for reason, bad in generate.BAD_LINES.items():
        for line in bad:
            # the text ends in a line end, behind which an empty piece remains
            assert lines.count(line) == (1 if line else 2), reason


def test_the_reader_rejects_exactly_the_bad_lines_for_the_reasons_given():
    for name in generate.FILES:
        _, bad, _ = read(name)

        expected = {}
        if name == generate.BAD_DAY:
            expected = {reason: len(lines) for reason, lines in generate.BAD_LINES.items()}
        if name == generate.LONG_DAY:
            expected = {"line over 1 MiB": 1}
        assert bad.counts == expected, name


def test_bad_lines_are_fewer_than_the_default_limit_allows(everything):
    _, bad, n_lines = everything

    assert 0 < sum(bad.counts.values()) < 0.001 * n_lines


def test_byte_order_mark_crlf_and_a_missing_last_line_end_are_there():
    text = text_of(generate.BAD_DAY)

    assert text.startswith(b"\xef\xbb\xbf2024-03-04T")
    assert 0.1 < text.count(b"\r\n") / text.count(b"\n") < 0.2
    assert not text_of(generate.LAST_DAY).endswith(b"\n")
    assert all(text_of(name).endswith(b"\n") for name in generate.FILES if name != generate.LAST_DAY)


def test_each_file_holds_the_plays_of_its_day_in_order_of_time():
    for name in generate.FILES:
        bad = {line for kind in generate.BAD_LINES.values() for line in kind}
        lines = text_of(name).removeprefix(b"\xef\xbb\xbf").splitlines()

        times = [line[:20].decode() for line in lines if line not in bad and line != generate.LONG_LINE]

        assert times == sorted(times)
        assert {time[:10] for time in times} == {name[:10]}


def test_plays_are_as_described(everything):
    """Sizes, names, repeated and skipped plays, and a heavy tail."""
    plays, bad, n_lines = everything
    users = Counter()
    for (user, _), n in plays.items():
        users[user] += n
    activity = np.sort(list(users.values()))
    genres = Counter(genre_of(item) for item in {item for _, item in plays})

    assert 25_000 < n_lines < 35_000
    assert 1_500 < len(users) < 3_000
    assert {"jazz-fan-017", "listener-0421"} <= set(users)
    assert len(genres) == 12
    assert all(25 <= n <= 40 for n in genres.values())
    assert 0.1 < 1 - (plays.total() + sum(bad.counts.values())) / n_lines < 0.2  # skipped
    assert np.mean([n > 1 for n in plays.values()]) > 0.2
    assert activity[-17:].sum() > 4 * 17 * np.median(activity)


def test_a_fan_is_recommended_unplayed_artists_of_the_genre_and_popularity_does_not_do_that(everything):
    """The share of the ten best unplayed artists that are of the fan's genre, by the dense reference."""
    plays, _, _ = everything
    users, items = (sorted({pair[side] for pair in plays}) for side in (0, 1))
    row, column = ({name: place for place, name in enumerate(names)} for names in (users, items))
    matrix = np.zeros((len(users), len(items)))
    for (user, item), n in plays.items():
        matrix[row[user], column[item]] = n
    genre = np.array([genre_of(item) for item in items])
    fans = [user for user in users if "-fan-" in user]
    hashes = hash_ids(Ids.of(item.encode() for item in items))

    X, Y, _ = reference_als(matrix, initial_factors(hashes, 0, "items", 16), Weights())

    shares = {"model": [], "popularity": []}
    for fan in fans:
        played = matrix[row[fan]] > 0
        own = genre == fan[: fan.index("-fan-")]
        assert (own & ~played).sum() >= 10
        for name, score in (("model", Y @ X[row[fan]]), ("popularity", (matrix > 0).sum(axis=0))):
            best = np.argsort(np.where(played, -np.inf, score))[-10:]
            shares[name].append(own[best].mean())
    assert np.mean(shares["model"]) > 0.9
    assert np.mean(np.array(shares["model"]) >= 0.8) > 0.9
    assert np.mean(shares["popularity"]) < 0.15


def test_the_model_beats_popularity_in_every_metric_on_the_time_split(tmp_path, capsys):
    """The commands of the README, with no option given; of no difference does the interval hold 0."""
    train, test, model = (str(tmp_path / name) for name in ("train", "test", "model"))
    split = ["split", str(DIRECTORY), "--by", "time", "--cut", "2024-03-07", "--train", train, "--test", test, "-q"]
    for command in (split, ["train", train, "--model", model, "-q"]):
        assert cli.main(command) == 0
    capsys.readouterr()

    assert cli.main(["evaluate", "--model", model, test, "-k", "5,10", "--json", "-q"]) == 0

    metrics = json.loads(capsys.readouterr().out)["metrics"]
    worst = metrics.pop("percentile_rank")["interval"][1]
    assert len(metrics) == 13
    assert min(row["interval"][0] for row in metrics.values()) > 0
    assert worst < 0
