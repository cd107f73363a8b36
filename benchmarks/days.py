"""Measure plays that grow by a day: adding one to ninety, and a training from ninety-one segments.

python benchmarks/days.py days M-events.tsv M-days     91 logs, and of them a directory of plays a day at a time
python benchmarks/days.py add M-days                   the last day to the ninety before
python benchmarks/days.py all M-days                   all 91 at once
python benchmarks/days.py train M-days --segments      a training with the defaults, which adds up 91 segments first
python benchmarks/days.py train M-days                 the same from plays of one piece
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()  # before the imports: they are part of what is measured

import argparse  # noqa: E402
import os  # noqa: E402
import shutil  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402

from ours import digest_of, run  # noqa: E402

DAYS = 91


def days(path: str, place: Path) -> None:
    """Cut a log into 91, and add them to a directory one after the other; prepare them at once into another one, last."""
    if (place / "one" / "plays.json").exists():
        return  # another row has done it
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    with open(path, "rb") as log:
        size = os.path.getsize(path) // DAYS
        for number in range(DAYS):
            lines = log.readlines(size) if number < DAYS - 1 else log.readlines()
            (place / f"day-{number:02d}.tsv").write_bytes(b"".join(lines))
    logs = sorted(map(str, place.glob("day-*.tsv")))
    for number, log_of_a_day in enumerate(logs):
        if number == DAYS - 1:
            shutil.copytree(place / "segments", place / "ninety")
        run("prepare", log_of_a_day, "--plays", str(place / "segments"), "--add", *blocks_of(logs))
    run("prepare", *logs, "--plays", str(place / "one"), *blocks_of(logs))


def blocks_of(logs: list[str]) -> list[str]:
    """Return the options for the blocks that all logs together get, which the first day alone would not."""
    from mr_als.planning.choices import choose_blocks

    n_blocks = choose_blocks(sum(map(os.path.getsize, logs)))
    return [f"--user-blocks={n_blocks}", f"--item-blocks={n_blocks}"]


def prepare(place: Path, *, add: bool) -> None:
    """Seconds from the start of the process to the finished plays, of the last day or of all."""
    from common import report

    logs = sorted(map(str, place.glob("day-*.tsv")))
    with tempfile.TemporaryDirectory(dir=place) as work:
        copied = time.perf_counter()
        if add:
            shutil.copytree(place / "ninety", work, dirs_exist_ok=True)
        copied = time.perf_counter() - copied
        run("prepare", *logs, "--plays", work, *["--add"] * add, *blocks_of(logs))
        seconds = time.perf_counter() - STARTED - copied

        from mr_als.preparing.summing import open_plays

        plays = open_plays(work)
        digests = [digest_of(plays, "users", "items"), digest_of(plays, "items", "users")]
        report(seconds, users=plays.n_users, items=plays.n_items, pairs=plays.pairs, plays=plays.plays, digests=digests)


def train(place: Path, *, segments: bool) -> None:
    """Seconds of a training, in a process in which one was done before; from segments nobody has added up yet, or from one."""
    from common import report

    run("train", "--plays", str(place / "one"), "--model", str(place / "first"), "--max-iterations=0")
    with tempfile.TemporaryDirectory(dir=place) as work:
        shutil.copytree(place / ("segments" if segments else "one"), work, dirs_exist_ok=True)
        started = time.perf_counter()
        info = run("train", "--json", "--plays", work, "--model", os.path.join(work, "model"))
        report(time.perf_counter() - started, wrmse=info["history"][-1]["wrmse"], halves=len(info["history"]))


def main() -> None:
    """Run one measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("days", "add", "all", "train"))
    parser.add_argument("paths", nargs="+", help="for days a log, and for all the directory of the days")
    parser.add_argument("--segments", action="store_true", help="train from segments (default: no, from one piece)")
    given = parser.parse_args()
    place = Path(given.paths[-1])
    if given.task == "days":
        days(given.paths[0], place)
    elif given.task == "train":
        train(place, segments=given.segments)
    else:
        prepare(place, add=given.task == "add")


if __name__ == "__main__":
    main()
