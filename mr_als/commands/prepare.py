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
from mr_als.options import InputOptions, PlanOptions, SolverOptions, from_namespace

DESCRIPTION = """\
Read play logs once and keep what training needs: who played what how often, as blocks of users and
blocks of items. `mr-als train --plays DIR` starts from them, as often as you like, without reading the logs again.

A log is CSV, JSON or Parquet that names its fields, or lines `timestamp TAB user TAB item TAB ms_played` (events) or
`user TAB item TAB plays` (counts). How each kind of file is read is said with its first record; what is not understood
is refused, with what to say. Ratings are no plays: they are taken with --feedback explicit.
Bad lines are counted and sampled into DIR/bad-lines.tsv."""

EXAMPLE = """\
  mr-als prepare logs/2024-03-*.tsv.gz --plays plays --min-user-plays 5
  mr-als train --plays plays --model model"""


def add(subparsers: Any) -> None:
    """Declare the options."""
    parser = add_command(
        subparsers, "prepare", "LOGS... --plays DIR [options]",
        summary="only read the logs; train --plays goes on from there", description=DESCRIPTION, example=EXAMPLE,
    )  # fmt: skip
    parser.add_argument("logs", nargs="+", metavar="LOGS", help="log files, directories or globs")
    parser.add_argument("--plays", required=True, metavar="DIR", help="directory to write (no default: must be given)")
    add_task_memory(parser, "; with less of it there are more blocks")
    add_feedback(parser)
    add_options(parser, "what counts as a play", InputOptions)
    add_engine(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prepare, and print the totals."""
    engine, progress = engine_of(args), progress_of(args)
    from mr_als.preparing.prepare import prepare

    # the rank that they will be trained with is not known yet: that of most trainings
    plan, rank = PlanOptions(task_memory=args.task_memory), SolverOptions().rank
    options, ratings = from_namespace(InputOptions, args), args.feedback == "explicit"
    plays = prepare(args.logs, args.plays, options, engine, progress, plan, rank, ratings=ratings)
    totals = {"users": plays.n_users, "items": plays.n_items, "pairs": plays.pairs, "plays": plays.plays}
    totals |= {"lines": plays.info["counts"]["lines"], "bad_lines": sum(plays.info["bad"]["counts"].values())}
    if args.json:
        print_json({"directory": args.plays, **totals})
    else:
        print_text("".join(f"{name}\t{value:.12g}\n" for name, value in totals.items()))
    progress.say(f"next: mr-als train --plays {shlex.quote(args.plays)} --model MODEL")
    return 0
