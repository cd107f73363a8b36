"""`mr-als prepare`: play logs become plays, blocks of users and blocks of items."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from mr_als.commands.shared import (
    add_command,
    add_engine,
    add_feedback,
    add_options,
    add_task_memory,
    engine_of,
    print_json,
    print_text,
    progress_of,
)
from mr_als.errors import UsageError
from mr_als.options import InputOptions, PlanOptions, SolverOptions, from_namespace

DESCRIPTION = """\
Read play logs once and keep what training needs: who played what, and how often, in blocks of users and blocks of items.
`mr-als train --plays DIR` starts from these, as often as you like, without reading the logs again.

A log is CSV, JSON or Parquet with named fields, or lines `timestamp TAB user TAB item TAB ms_played` (events) or
`user TAB item TAB plays` (counts). For each kind of file, the command shows how it reads the first record; it rejects
what it does not understand and says which option would help. Ratings are not plays: they need --feedback explicit.
Bad lines are counted, and a sample of them is written to DIR/bad-lines.tsv.

With --add, only logs that are not yet in DIR are read; they become a new segment. Training uses the sum of the segments,
which is the same as if all logs had been prepared at once, and is made when it is first needed."""

EXAMPLE = """\
  mr-als prepare logs/2024-03-*.tsv.gz --plays plays --min-user-plays 5
  mr-als train --plays plays --model model

every night, with whatever is in logs/ by then, keeping the last 90 days:
  mr-als prepare logs --plays plays --add --drop 90d --min-user-plays 5"""


def add(subparsers: Any) -> None:
    """Declare the options."""
    parser = add_command(
        subparsers, "prepare", "LOGS... --plays DIR [options]",
        summary="read the logs only; train --plays continues from there", description=DESCRIPTION, example=EXAMPLE,
    )  # fmt: skip
    parser.add_argument("logs", nargs="*", metavar="LOGS", help="log files, directories or globs")
    parser.add_argument("--plays", required=True, metavar="DIR", help="directory to write (required)")
    group = parser.add_argument_group("adding new logs")
    group.add_argument(
        "--add", action="store_true", help="add LOGS to what is in DIR; logs that are already there are skipped (default: off)"
    )
    group.add_argument(
        "--drop", metavar="OLDER_THAN", default="",
        help="remove segments whose plays are all older than a time such as 2024-03-01, or than the last 90d (default: none)",
    )  # fmt: skip
    group.add_argument(
        "--replan", action="store_true",
        help="rewrite DIR in as many blocks as its plays need by now, or as --user-blocks and --item-blocks say (default: off)",
    )  # fmt: skip
    add_task_memory(parser, "; with less there are more blocks")
    add_feedback(parser)
    add_options(parser, "what counts as a play", InputOptions)
    add_engine(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prepare, and print the totals."""
    check(args)
    engine, progress = engine_of(args), progress_of(args)
    from mr_als.preparing.growing import grow
    from mr_als.preparing.ingesting import Task
    from mr_als.preparing.prepare import prepare
    from mr_als.preparing.replanning import replan

    # the rank that they will be trained with is not known yet: that of most trainings
    plan, rank = PlanOptions(task_memory=args.task_memory), SolverOptions().rank
    options, ratings = from_namespace(InputOptions, args), args.feedback == "explicit"
    task = Task(args.plays, options, engine, progress, plan, rank, ratings)
    if args.add or args.drop:
        grown = grow(args.logs, task, args.drop)
        totals = {name: getattr(grown, name) for name in ("added", "skipped", "dropped", "segments", "logs")} | totals_of(
            grown.info
        )
    elif args.replan:
        totals = totals_of(replan(task).info)
    else:
        totals = totals_of(prepare(args.logs, args.plays, options, engine, progress, plan, rank, ratings=ratings).info)
    if args.json:
        print_json({"directory": args.plays, **totals})
    else:
        print_text("".join(f"{name}\t{value:.12g}\n" for name, value in totals.items()))
    progress.say(f"next: mr-als train --plays {shlex.quote(args.plays)} --model MODEL")
    return 0


def totals_of(info: dict[str, Any] | None) -> dict[str, float]:
    """Return what is printed of prepared plays; nothing of none."""
    if not info:
        return {}
    totals = {"users": info["n_users"], "items": info["n_items"], "pairs": info["pairs"], "plays": info["plays"]}
    return totals | {"lines": info["counts"]["lines"], "bad_lines": sum(info["bad"]["counts"].values())}


def check(args: argparse.Namespace) -> None:
    """Check that what is asked for goes together.

    Raises
    ------
    UsageError
        If not.
    """
    if args.replan and (args.logs or args.add or args.drop):
        msg = "--replan reads no logs; give it alone with --plays DIR, and add or drop by a command of its own"
    elif args.logs and args.drop and not args.add:
        msg = "--drop removes segments, but LOGS are given; use --add to add them"
    elif not args.logs and not (args.replan or (args.drop and not args.add)):
        msg = "no LOGS; name log files, directories or globs"
    else:
        return
    raise UsageError(msg)
