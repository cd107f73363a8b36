"""Splitting logs against a split by hand of single events, on any engine, and what is refused."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from mr_als import cli
from mr_als.engine import launch
from mr_als.engine.engine import Engine
from mr_als.errors import BadInputError, UsageError
from mr_als.evaluating.split import FOLD_IN, split
from mr_als.options import InputOptions, SplitOptions
from mr_als.progress import Progress

DAY = 86400
START = 1_709_251_200  # 2024-03-01


def events(seed=0, n=1500):
    """Generate (second, user, item) plays: some users come late, many plays are replays, and some share a second."""
    rng = np.random.default_rng(seed)
    users, items = rng.integers(0, 40, n), np.minimum(rng.geometric(0.08, n), 30)
    seconds = START + rng.integers(0, 5 * DAY, n) // 3600 * 3600
    return [(int(s), f"user-{u}", f"item-{i}") for s, u, i in zip(seconds, users, items, strict=True)]


@pytest.fixture
def logs(tmp_path):
    lines = [f"{second}\t{user}\t{item}\t60000\n" for second, user, item in events()]
    (tmp_path / "a.tsv").write_text("".join(lines[::2]))
    (tmp_path / "b.tsv").write_text("".join(lines[1::2]))
    return [str(tmp_path / "a.tsv"), str(tmp_path / "b.tsv")]


def run(logs, folder, engine=Engine(), parts=("train", "validation", "test"), **rule):
    """Split, and give the pairs of each part and what was counted."""
    outputs = {part: str(folder / part) for part in parts}
    info = split(logs, outputs, SplitOptions(**rule), InputOptions(), engine, Progress(quiet=True))
    return {part: pairs(folder / part) for part in parts}, info


def pairs(folder: Path):
    """Read the plays of each pair in a directory, whose names that begin with an underscore do not count."""
    found = {}
    for path in folder.glob("part-*"):
        for line in path.read_text().splitlines():
            user, item, plays = line.split("\t")
            assert (user, item) not in found
            found[user, item] = float(plays)
    return found


def by_hand(cuts):
    """Split the events by time: cuts gives the beginnings of validation and test of a user."""
    first, plays = {}, defaultdict(lambda: [0, 0, 0])
    for second, user, item in events():
        phase = sum(second >= cut for cut in cuts(user))
        plays[user, item][phase] += 1
        first[user, item] = min(first.get((user, item), 2), phase)
    parts = {
        name: {pair: plays[pair][n] for pair, p in first.items() if p == n}
        for n, name in enumerate(("train", "validation", "test"))
    }
    replays = sum(sum(plays[pair][p + 1 :]) for pair, p in first.items())
    return parts, replays


def first_plays():
    """Map each user's items to the second of the first play."""
    first = defaultdict(dict)
    for second, user, item in sorted(events()):
        first[user].setdefault(item, second)
    return first


def test_by_time_a_pair_belongs_to_its_first_play_and_replays_are_left_out(logs, tmp_path):
    expected, replays = by_hand(lambda user: (START + 3 * DAY, START + 4 * DAY))

    actual, info = run(logs, tmp_path, by="time", validation_cut="2024-03-04", cut="2024-03-05")

    assert actual == expected
    assert info["replays"]["plays"] == replays > 0
    assert sum(info[part]["plays"] for part in expected) + replays == len(events())


def test_by_time_without_validation_there_is_one_cut_off(logs, tmp_path):
    expected, _ = by_hand(lambda user: (START + 4 * DAY, START + 99 * DAY))

    actual, _ = run(logs, tmp_path, parts=("train", "test"), by="time", cut="2024-03-05")

    assert actual == {"train": expected["train"], "test": expected["validation"]}


def test_by_last_the_held_out_items_are_the_last_each_user_came_to_play(logs, tmp_path):
    actual, _ = run(logs, tmp_path, by="last", last=2)

    for user, first in first_plays().items():
        parts = [[first[item] for u, item in actual[part] if u == user] for part in ("train", "validation", "test")]
        if len(first) <= 4:
            assert [len(part) for part in parts] == [len(first), 0, 0]
        else:
            assert [len(part) for part in parts] == [len(first) - 4, 2, 2]
            assert max(parts[0]) <= min(parts[1])
            assert max(parts[1]) <= min(parts[2])


@pytest.mark.parametrize("later", ["early", "late"])
def test_by_last_two_plays_within_one_second_are_in_their_order(later, tmp_path):
    """Of a hundred users, all of whom came to play one item a tenth of a second after the other."""
    times = {later: "2024-03-01T12:00:00.900Z", "early late".replace(later, "").strip(): "2024-03-01T12:00:00.800Z"}
    lines = [f"{times[item]}\tuser-{user}\t{item}\t60000\n" for user in range(100) for item in ("early", "late")]
    (tmp_path / "log.tsv").write_text("".join(lines))

    actual, _ = run([str(tmp_path / "log.tsv")], tmp_path, parts=("train", "test"), by="last")

    assert {item for _, item in actual["test"]} == {later}
    assert len(actual["test"]) == len(actual["train"]) == 100


def test_by_last_of_plays_at_one_moment_the_seed_decides(tmp_path):
    lines = [f"2024-03-01T12:00:00Z\tuser-{user}\t{item}\t60000\n" for user in range(100) for item in ("a", "b")]
    (tmp_path / "log.tsv").write_text("".join(lines))

    held_out = []
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        actual, info = run([str(tmp_path / "log.tsv")], tmp_path / str(seed), parts=("train", "test"), by="last", seed=seed)
        held_out.append(set(actual["test"]))
        # the plays of that very moment stay in training
        assert len(actual["train"]) == len(actual["test"]) == 100
        assert info["replays"]["plays"] == 0
        assert 30 < sum(item == "a" for _, item in actual["test"]) < 70

    assert 30 < len(held_out[0] & held_out[1]) < 70


def test_by_last_nothing_played_after_the_first_held_out_item_is_seen_in_training(logs, tmp_path):
    actual, info = run(logs, tmp_path, parts=("train", "test"), by="last", last=3)

    first = first_plays()
    cut = {user: min((first[user][item] for u, item in actual["test"] if u == user), default=START + 99 * DAY) for user in first}
    expected = defaultdict(int)
    for second, user, item in events():
        if (user, item) in actual["train"]:
            expected[user, item] += second <= cut[user]
    assert actual["train"] == expected
    assert info["replays"]["plays"] == len(events()) - sum(sum(part.values()) for part in actual.values())


def test_by_random_a_share_of_pairs_is_held_out_with_all_its_plays(logs, tmp_path):
    actual, info = run(logs, tmp_path, by="random", share=0.2)

    total = defaultdict(int)
    for _, user, item in events():
        total[user, item] += 1
    assert actual["train"] | actual["validation"] | actual["test"] == total
    assert sum(len(part) for part in actual.values()) == len(total)
    for part in ("validation", "test"):
        assert abs(len(actual[part]) / len(total) - 0.2) < 0.05
    assert info["replays"]["pairs"] == 0


def test_by_users_whole_users_are_held_out_and_four_fifths_of_their_items_folded_in(logs, tmp_path):
    actual, _ = run(logs, tmp_path, by="users", share=0.2)

    users = {part: {user for user, _ in found} for part, found in actual.items()}
    assert not users["train"] & (users["test"] | users["validation"])
    assert not users["test"] & users["validation"]
    assert len(users["test"]) > 2
    first = first_plays()
    for part in ("validation", "test"):
        folded = pairs(tmp_path / part / FOLD_IN)
        for user in users[part]:
            scored, seen = ({item for u, item in of if u == user} for of in (actual[part], folded))
            assert scored | seen == set(first[user])
            assert not scored & seen
            assert len(scored) == max(1, round(len(first[user]) / 5))


@pytest.mark.parametrize("by", ["random", "users", "last"])
def test_the_split_depends_on_no_order_no_blocks_and_no_engine(by, logs, tmp_path):
    lines = [line for path in logs for line in Path(path).read_text().splitlines(keepends=True)]
    np.random.default_rng(5).shuffle(lines)
    (tmp_path / "shuffled.tsv").write_text("".join(lines))

    outputs = {}
    for name, given, engine, blocks in (
        ("inline", logs, Engine(), "3"),
        ("local", logs, Engine("local", tasks=2), "3"),
        ("lines", logs, Engine("local", form="lines", tasks=2), "3"),
        ("shuffled", [str(tmp_path / "shuffled.tsv")], Engine(), "1"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        parts = {part: str(folder / part) for part in ("train", "test")}
        split(given, parts, SplitOptions(by=by), InputOptions(user_blocks=blocks), engine, Progress(quiet=True))
        outputs[name] = {part: pairs(folder / part) for part in parts} | {"fold in": pairs(folder / "test" / FOLD_IN)}

    assert outputs["inline"] == outputs["local"] == outputs["lines"]
    assert outputs["inline"] == outputs["shuffled"]


def test_another_seed_holds_out_other_pairs(logs, tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "1").mkdir()

    one, _ = run(logs, tmp_path / "0", by="random", seed=0)
    other, _ = run(logs, tmp_path / "1", by="random", seed=1)

    assert set(one["test"]) != set(other["test"])


def test_amounts_survive_the_way_through_the_files(tmp_path):
    (tmp_path / "counts.tsv").write_text("".join(f"u{n}\ti{m}\t{(n + 1) / 8}\n" for n in range(9) for m in range(9)))

    actual, _ = run([str(tmp_path / "counts.tsv")], tmp_path, by="random", share=0.3)

    assert all(plays == (int(user[1:]) + 1) / 8 for part in actual.values() for (user, _), plays in part.items())


def test_a_job_that_reads_lines_gives_the_same_as_one_that_reads_ranges(logs, tmp_path):
    expected, _ = run(logs, tmp_path, by="random")
    job = launch.load_job("mr_split")
    arguments = ["-r", "inline", "--no-conf", "--input", "lines", "--by", "random", "--with-validation", "--user-blocks", "4"]

    made = job([*arguments, "--output-dir", str(tmp_path / "out"), *logs])
    with made.make_runner() as runner:
        runner.run()

    from mr_als.engine.datasets import read_parts
    from mr_als.records.blocks import unpack

    records = read_parts(sorted(str(path) for path in (tmp_path / "out").glob("part-*")))
    text = b"".join(unpack(record.payload)[0].tobytes() for record in records if record.kind == "test").decode()
    assert {tuple(line.split("\t")[:2]) for line in text.splitlines()} == set(expected["test"])


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"by": "time"}, "goes with --by time and --validation, and is required there"),
        ({"by": "random", "cut": "2024-03-05"}, "--cut goes with --by time"),
        ({"by": "time", "cut": "2024-03-05"}, "--validation-cut goes with"),
        ({"by": "time", "cut": "2024-03-04", "validation_cut": "2024-03-05"}, "is not before --cut"),
        ({"by": "time", "cut": "soon", "validation_cut": "2024-03-04"}, "'soon' is not a time"),
    ],
)
def test_a_rule_that_says_too_little_or_too_much_is_refused(rule, message, logs, tmp_path):
    with pytest.raises(UsageError, match=message):
        run(logs, tmp_path, **rule)

    assert {path.name for path in tmp_path.iterdir()} == {"a.tsv", "b.tsv"}


def test_splitting_counts_by_time_is_refused(tmp_path):
    (tmp_path / "counts.tsv").write_text("a\tb\t1\n")

    with pytest.raises(UsageError, match="needs a timestamp"):
        run([str(tmp_path / "counts.tsv")], tmp_path, by="last")


def test_an_empty_part_is_an_error_and_leaves_nothing_behind(logs, tmp_path):
    with pytest.raises(BadInputError, match="--test: no pair"):
        run(logs, tmp_path, parts=("train", "test"), by="time", cut="2030-01-01")

    assert {path.name for path in tmp_path.iterdir()} == {"a.tsv", "b.tsv"}


def test_bad_lines_are_sampled_beside_the_training_part_and_fatal_when_too_many(logs, tmp_path):
    with open(logs[0], "a") as file:
        file.write(f"{START}\tuser\titem\tsoon\n" * 20)

    with pytest.raises(BadInputError, match=r"train-bad-lines\.tsv"):
        run(logs, tmp_path)

    assert (tmp_path / "train-bad-lines.tsv").read_text().count("not a number") == 20
    assert not (tmp_path / "train").exists()


def test_logs_without_a_usable_play_are_refused(tmp_path):
    (tmp_path / "short.tsv").write_text(f"{START}\tuser\titem\t1000\n")

    with pytest.raises(BadInputError, match=r"no usable play in 1 lines: 1 too short \(shorter than --min-ms-played\)$"):
        run([str(tmp_path / "short.tsv")], tmp_path)


def test_the_command_prints_what_is_in_each_part_and_never_overwrites(logs, tmp_path, capsys):
    command = ["split", *logs, "--by", "last", "--train", str(tmp_path / "train"), "--test", str(tmp_path / "test"), "--json"]

    assert cli.main(command) == 0
    printed = json.loads(capsys.readouterr().out)
    again = cli.main(command)

    assert printed["test"]["pairs"] == len(pairs(tmp_path / "test"))
    assert again == 2
    assert "exists" in capsys.readouterr().err


def test_a_part_can_be_given_as_logs_again(logs, tmp_path, capsys):
    cli.main(["split", *logs, "--by", "users", "--train", str(tmp_path / "train"), "--test", str(tmp_path / "test"), "-q"])
    capsys.readouterr()

    assert cli.main(["prepare", str(tmp_path / "test"), "--plays", str(tmp_path / "plays"), "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["pairs"] == len(pairs(tmp_path / "test"))
