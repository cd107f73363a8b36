"""`mr-als recommend`: the best items for one user, some, or all."""

from __future__ import annotations

import argparse
import shutil
import sys
from typing import TYPE_CHECKING, Any

from mr_als.commands.shared import (
    add_command,
    add_engine,
    add_model,
    count,
    engine_of,
    print_bytes,
    progress_of,
    size,
)  # fmt: skip
from mr_als.errors import BadInputError, ModelError, UsageError

if TYPE_CHECKING:
    from mr_als.model import Model

DESCRIPTION = """\
Print the items of highest score for users of a model, best first; what a user has played is left out.
Without USER and --users: for all users, by a MapReduce job over blocks of users.

The output is `user TAB rank TAB item TAB score`, or with --json one object a user and line. Equal scores are in the order of
the item ids. With --output DIR it goes to part files in a new directory, which appears in one step when it is complete."""

EXAMPLE = """\
  mr-als recommend --model model alice -n 5
  mr-als recommend --model model --output top10 -r local"""

# more users than this, and a job is worth its start
FEW = 200


def add(subparsers: Any) -> None:
    """Declare the options."""
    parser = add_command(
        subparsers, "recommend", "--model DIR [USER ... | --users FILE] [options]",
        summary="the best items for one user, some, or all", description=DESCRIPTION, example=EXAMPLE,
    )  # fmt: skip
    parser.add_argument("user", nargs="*", metavar="USER", help="ids of users; one that begins with '-' comes after a '--'")
    add_model(parser)
    parser.add_argument("--users", metavar="FILE", help="a file of user ids, one a line; '-' is stdin (default: none, all users)")
    parser.add_argument("-n", "--number", type=count, default=10, metavar="N", help="items a user (default: 10)")
    parser.add_argument("--include-played", action="store_true", help="do not leave out what was played (default: no)")
    parser.add_argument("-o", "--output", metavar="DIR", help="write part files into this new directory (default: none, to stdout)")
    add_engine(parser)
    parser.add_argument(
        "--task-memory", type=size, default=1 << 30, metavar="SIZE", help="memory of a task, e.g. 512M; decides how many items it "
        "maps at a time (default: 1024M)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Recommend, in this process for a few users, else by a job."""
    engine, progress = engine_of(args), progress_of(args)
    if args.user and args.users:
        msg = "give either USER or --users FILE, not both"
        raise UsageError(msg)
    from mr_als.model import Model

    model = Model.open(args.model)
    rows = rows_of(model, args)
    if rows is not None and len(rows) <= FEW and not args.output:
        recommend_here(model, rows, args)
        return 0
    import numpy as np

    from mr_als.recommend import published, recommend_to

    every = np.arange(len(model.user_ids)) if rows is None else np.array(rows)
    with published(args.output) as directory:
        parts = recommend_to(
            model, every, directory, engine, progress, n=args.number, include_played=args.include_played,
            as_json=args.json, task_memory=args.task_memory,
        )  # fmt: skip
        if not args.output:
            copy_to_stdout(parts)
    if args.output:
        progress.say(f"wrote {args.output}: recommendations for {len(every)} users in {len(parts)} part file(s)")
    return 0


def rows_of(model: Model, args: argparse.Namespace) -> list[int] | None:
    """Give the rows of the users asked for, None for all.

    Raises
    ------
    ModelError
        If a named user, or every user of the file, is unknown.
    """
    if not args.users:
        return [user_row(model, user) for user in dict.fromkeys(args.user)] or None
    users = read_users(args.users)
    known, unknown = [], []
    for user in users:
        try:
            known.append(model.user_index(user))
        except KeyError:
            unknown.append(user)
    if unknown and not known:
        raise ModelError(unknown_user(model, unknown[0]))
    if unknown:
        print(
            f"mr-als: {args.users}: {len(unknown)} of {len(users)} users are unknown and left out, e.g. {unknown[0]!r}",
            file=sys.stderr,
        )
    return known


def user_row(model: Model, user: str) -> int:
    """Give a named user's row."""
    try:
        return model.user_index(user)
    except KeyError:
        raise ModelError(unknown_user(model, user)) from None


def unknown_user(model: Model, user: str) -> str:
    """Say that a user is unknown, and how to find one that is not."""
    examples = ", ".join(repr(model.user_ids[i]) for i in range(min(3, len(model.user_ids))))
    return (
        f"{model.path}: none of its {len(model.user_ids)} users is {user!r}; ids are as in the logs, e.g. {examples}; "
        f"all of them: {model.generation}/users/ids.txt"
    )


def read_users(path: str) -> list[str]:
    """Give the different ids in a file, in order.

    Raises
    ------
    BadInputError
        If it cannot be read, is not UTF-8, or holds no id.
    """
    try:
        if path == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as file:
                data = file.read()
        lines = data.decode("utf-8-sig").split("\n")
    except OSError as error:
        msg = f"--users {path}: {error.strerror}; expected a file of user ids, one a line"
        raise BadInputError(msg) from None
    except UnicodeDecodeError as error:
        msg = f"--users {path}: byte {error.start} is not UTF-8; expected user ids, one a line"
        raise BadInputError(msg) from None
    users = list(dict.fromkeys(line.removesuffix("\r") for line in lines if line.removesuffix("\r")))
    if not users:
        msg = f"--users {path}: no id in it; expected user ids, one a line"
        raise BadInputError(msg)
    return users


def recommend_here(model: Model, rows: list[int], args: argparse.Namespace) -> None:
    """Print recommendations for a few users."""
    import numpy as np

    from mr_als.data.catalogue import rendered

    for row in rows:
        user = model.user_ids[row]
        found = model.recommend(user, args.number, include_played=args.include_played)
        scores = np.array([score for _, score in found])
        print_bytes(rendered(user.encode(), [item.encode() for item, _ in found], scores, as_json=args.json))
        if not found:
            print(f"mr-als: nothing to recommend to {user!r}: all items are played, or the vector is zero", file=sys.stderr)


def copy_to_stdout(parts: list[str]) -> None:
    """Print part files, one after the other."""
    sys.stdout.flush()
    for part in parts:
        with open(part, "rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
    sys.stdout.buffer.flush()
