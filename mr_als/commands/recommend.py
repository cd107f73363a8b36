"""`mr-als recommend`: the best items for one user, some users, or all.

It is long because users, items and outputs can each be given in several ways, and each way has its own errors.
"""

from __future__ import annotations

import argparse
import contextlib
import glob
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from mr_als.commands.shared import (
    SCORE,
    add_command,
    add_engine,
    add_model,
    add_task_memory,
    complain,
    count,
    engine_of,
    print_bytes,
    progress_of,
    unknown_id,
)  # fmt: skip
from mr_als.errors import ModelError, UsageError

if TYPE_CHECKING:
    from mr_als.engine.engine import Engine
    from mr_als.models.model import Model
    from mr_als.progress import Progress
    from mr_als.recommending.fold_in import FoldIn
    from mr_als.recommending.recommend import Wanted
    from mr_als.records.catalogue import UsersBlock

DESCRIPTION = f"""\
Print the items with the highest scores for users of a model, best first, without those that the user has played.
With --all, or with --output DIR and no user named, it does so for all users, by a MapReduce job over blocks of users. With
--plays, it does so for users who were not in training, from the plays in LOGS (fold-in: the same equations, with the item
vectors as they are). For users without any plays (cold start) see --fallback.

{SCORE}

The output is `user TAB rank TAB item TAB score`, or with --json one object per user and line. Items with equal scores are
ordered by their ids. With --output DIR the output goes to part files in a new directory, which appears in one step once it
is complete."""

EXAMPLE = """\
  mr-als recommend --model model alice -n 5
  mr-als recommend --model model --output top10 -r local
  mr-als recommend --model model --plays new-users.tsv"""

NOTHING = "all items are played or denied, or the vector is zero"

# more users than this, and a job is worth its start
FEW = 200


def add(subparsers: Any) -> None:
    """Declare the options."""
    parser = add_command(
        subparsers, "recommend", "--model DIR [USER ... | --users FILE | --all] [options]",
        summary="the best items for one user, some users, or all", description=DESCRIPTION, example=EXAMPLE,
    )  # fmt: skip
    parser.add_argument("user", nargs="*", metavar="USER", help="user ids; put `--` before ids that begin with '-'")
    add_model(parser)
    parser.add_argument("--users", metavar="FILE", help="file of user ids, one per line; '-' for stdin (default: none)")
    parser.add_argument("--all", action="store_true", help="print recommendations for all users (default: only with --output)")
    parser.add_argument(
        "--plays", metavar="LOGS", action="append", default=[],
        help="recommend to the users in LOGS, from their plays there, known to the model or not; may be repeated (default: none)",
    )  # fmt: skip
    parser.add_argument("--allow", metavar="FILE", help="recommend only the items in FILE, one id per line (default: all items)")
    parser.add_argument("--deny", metavar="FILE", help="do not recommend the items in FILE, one id per line (default: none)")
    parser.add_argument(
        "--fallback", choices=("none", "popular"), default="none",
        help="popular: unknown users get the items with the most listeners, scored by their share of all listeners and marked "
        "`popular` in a fifth column (default: none, unknown users are an error)",
    )  # fmt: skip
    parser.add_argument("-n", "--number", type=count, default=10, metavar="N", help="items per user (default: 10)")
    parser.add_argument("--include-played", action="store_true", help="also recommend items that were played (default: off)")
    parser.add_argument("-o", "--output", metavar="DIR", help="write part files to this new directory (default: stdout)")
    parser.add_argument(
        "--format", choices=("tsv", "jsonl", "parquet"), default="",
        help="format of the files in --output: tsv; jsonl: one object per user, as with --json; parquet: columns user, rank, item, "
        "score and fallback, all rows of a user in one row group (default: tsv)",
    )  # fmt: skip
    add_engine(parser)
    add_task_memory(parser, "; decides how many items are scored at a time")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Recommend, in this process for a few users, else by a job."""
    engine, progress = engine_of(args), progress_of(args)
    check_asked(args, engine)
    from mr_als.models.model import Model
    from mr_als.recommending.named import kept_items
    from mr_als.recommending.recommend import Wanted

    model = Model.open(args.model)
    wanted = Wanted(
        args.number,
        args.include_played,
        args.json,
        args.task_memory,
        kept_items(model, args.allow, args.deny, partial(complain, args)),
    )
    with work_of(args, engine) as work:
        users = users_of(model, args, work, engine, progress)
        if users.n <= FEW and not args.output and (users.named or args.plays):
            recommend_few(model, users, wanted, args)
        else:
            recommend_many(model, users, wanted, args, work, engine, progress)
        if users.unknown:
            recommend_popular(model, users.unknown, wanted.kept, args, work, engine)
        if args.output:
            finish(model, users, args, work)
        if users.fold_in and users.fold_in.n_unknown:
            n = users.fold_in.n_unknown
            progress.say(f"recommend: {n} pairs of --plays are left out because the model does not know their items")
    if args.output:
        progress.say(f"wrote {args.output}: recommendations for {users.n + len(users.unknown)} users")
    return 0


class Work(NamedTuple):
    """Where recommendations are made: a directory here, and one on the cluster if the job runs there, else ""."""

    here: str
    there: str

    @property
    def place(self) -> str:
        """Where the output is."""
        return self.there or self.here


class Users(NamedTuple):
    """To whom: blocks of `n` users, the names that were given, those of them who get popular items, and who folds in."""

    blocks: Iterator[UsersBlock]
    n: int
    named: list[str]
    unknown: list[str]
    fold_in: FoldIn | None


@contextlib.contextmanager
def work_of(args: argparse.Namespace, engine: Engine) -> Iterator[Work]:
    """Make the directories to work in; what is in their `output` becomes --output at the end."""
    from mr_als.recommending.recommend import published, published_there

    if args.output and engine.on_cluster:
        with published(None) as here, published_there(args.output) as there:
            yield Work(here, there)
    else:
        with published(args.output) as here:
            yield Work(here, "")


def users_of(model: Model, args: argparse.Namespace, work: Work, engine: Engine, progress: Progress) -> Users:
    """Find the users who are asked for, in --plays or in the model."""
    import numpy as np

    from mr_als.recommending.fold_in import FoldIn, prepare_new
    from mr_als.recommending.named import read_ids
    from mr_als.recommending.recommend import stored_users

    named = read_ids("--users", args.users) if args.users else list(dict.fromkeys(args.user))
    if args.plays:
        fold_in = FoldIn(model)
        plays = prepare_new(model, args.plays, os.path.join(work.place, "plays"), engine, progress, args.task_memory)
        return Users(fold_in.blocks(plays, named), len(named) or plays.n_users, named, [], fold_in)
    known, unknown = find_users(model, named, args)
    rows = np.array(known, np.int64) if named else np.arange(len(model.user_ids))
    return Users(stored_users(model, rows), len(rows), named, unknown, None)


def find_users(model: Model, named: list[str], args: argparse.Namespace) -> tuple[list[int], list[str]]:
    """Find the rows of the named users, and the users who get popular items instead.

    Raises
    ------
    ModelError
        If a USER, or every user of --users, is unknown and there is no fallback.
    """
    known, unknown = [], []
    for user in named:
        try:
            known.append(model.user_index(user))
        except KeyError:
            unknown.append(user)
    if args.fallback == "popular":
        return known, unknown
    if unknown and (not known or not args.users):
        raise ModelError(unknown_id(model, "users", unknown[0]))
    if unknown:
        complain(args, f"{args.users}: {len(unknown)} of {len(named)} users are unknown and left out, e.g. {unknown[0]!r}")
    return known, []


def recommend_few(model: Model, users: Users, wanted: Wanted, args: argparse.Namespace) -> None:
    """Print the recommendations of a few users, computed in this process."""
    from mr_als.recommending.recommend import recommend_here

    for user, found in recommend_here(model, users.blocks, wanted):
        print_user(user, found, args)
        if not found:
            complain(args, f"nothing to recommend to {user!r}: {NOTHING}")


def recommend_many(
    model: Model, users: Users, wanted: Wanted, args: argparse.Namespace, work: Work, engine: Engine, progress: Progress
) -> None:
    """Recommend by a job, to part files; print them if there is no --output."""
    from mr_als.recommending.recommend import recommend_to

    parts = recommend_to(model, users.blocks, wanted, work.here, engine, progress, work.there)
    if not args.output:
        copy_to_stdout(parts)


def finish(model: Model, users: Users, args: argparse.Namespace, work: Work) -> None:
    """Bring the part files into the form that is asked for, and say beside them what they are."""
    from mr_als.recommending.serving import to_parquet, write_manifest

    if args.format == "parquet":
        to_parquet(sorted(glob.glob(os.path.join(glob.escape(work.here), "output", "part-*"))))
    form = args.format or ("jsonl" if args.json else "tsv")
    asked = {"format": form, "n": args.number, "users": users.n + len(users.unknown)}
    write_manifest(os.path.join(work.place, "output"), model, asked)


def check_asked(args: argparse.Namespace, engine: Engine) -> None:
    """Check that it is clear to whom, in which form, and that the job can write it where it is wanted.

    Raises
    ------
    UsageError
        If not.
    """
    named_by = bool(args.user) + bool(args.users) + args.all
    if named_by > 1:
        msg = "give one of USER, --users FILE and --all"
        raise UsageError(msg)
    if not named_by and not args.plays and not args.output:
        msg = "no user is named; give USER or --users FILE, or for all of them --output DIR, or --all to print them"
        raise UsageError(msg)
    check_format(args)
    if args.output and engine.on_cluster:
        if args.format == "parquet":
            where = f"the parts by -r {engine.runner} are in {args.output}"
            msg = f"--format parquet is written on this machine, and {where}; give -r local"
            raise UsageError(msg)
        engine.check_place(args.output)


def check_format(args: argparse.Namespace) -> None:
    """Refuse a --format that says nothing, or another thing than --json; jobs write JSON, of which Parquet is made."""
    if args.format and not args.output:
        msg = f"--format {args.format} is of what is written with --output DIR; what is printed is text, or with --json JSON"
        raise UsageError(msg)
    if args.json and args.format in ("tsv", "parquet"):
        msg = f"--json and --format {args.format} contradict each other; use one of them"
        raise UsageError(msg)
    args.json = args.json or args.format in ("jsonl", "parquet")


def recommend_popular(model: Model, users: list[str], kept: Any, args: argparse.Namespace, work: Work, engine: Engine) -> None:
    """Write the items with the most listeners for unknown users, marked as such, to a part file or stdout."""
    from mr_als.recommending.popularity import most_popular

    rows, shares = most_popular(model, args.number, kept)
    found = [(model.item_ids[int(row)], float(share)) for row, share in zip(rows, shares, strict=True)]
    complain(args, f"{len(users)} users are unknown and get the most popular items, e.g. {users[0]!r}")
    if not args.output:
        for user in users:
            print_user(user, found, args, fallback="popular")
        return
    path = os.path.join(work.here, *(() if work.there else ("output",)), "part-popular")
    with open(path, "wb") as file:
        file.writelines(lines_of(user, found, args, fallback="popular") for user in users)
    engine.stage([path], os.path.join(work.there, "output"))


def print_user(user: str, found: list[tuple[str, float]], args: argparse.Namespace, fallback: str = "") -> None:
    """Print the recommendations of one user."""
    print_bytes(lines_of(user, found, args, fallback))


def lines_of(user: str, found: list[tuple[str, float]], args: argparse.Namespace, fallback: str = "") -> bytes:
    """Format the lines of one user."""
    import numpy as np

    from mr_als.records.catalogue import rendered

    items, scores = [item.encode(errors="surrogateescape") for item, _ in found], np.array([score for _, score in found])
    return rendered(user.encode(errors="surrogateescape"), items, scores, as_json=args.json, fallback=fallback)


def copy_to_stdout(parts: Sequence[str]) -> None:
    """Print part files, one after the other."""
    sys.stdout.flush()
    for part in parts:
        with open(part, "rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
    sys.stdout.buffer.flush()
