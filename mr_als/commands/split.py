"""`mr-als split`: training, validation and test parts of play logs that do not leak into one another."""

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
from mr_als.options import InputOptions, SplitOptions, from_namespace

DESCRIPTION = """\
Split play logs for an evaluation. Pairs of a user and an item are split, never single plays: a later play of something that
the user has played before is a replay, which a list of new items cannot contain. Replays are counted and left out.

  time     one cut-off for everybody; a test pair is one that was first played after it
  last     the items that each user came to play last
  random   a share of all pairs
  users    a share of the users; 80 % of their items are used for fold-in (TEST/_fold_in), the rest are to be found

Each directory contains lines `user TAB item TAB plays`, which other commands take as LOGS. Random choices are a function of
the seed, the user and the item, so the same command always makes the same parts, on any engine."""

EXAMPLE = """\
  mr-als split sample_logs --by time --cut 2024-03-07 --train train --test test
  mr-als train train --model model
  mr-als evaluate --model model test"""


# what comes after the split: thresholds see the training part only
HIDDEN = ("--duplicates", "--min-user-plays", "--min-item-plays", "--item-blocks")


def add(subparsers: Any) -> None:
    """Declare the options."""
    parser = add_command(
        subparsers,
        "split",
        "LOGS... --train DIR --test DIR [--validation DIR] --by RULE [options]",
        summary="training, validation and test parts of play logs",
        description=DESCRIPTION,
        example=EXAMPLE,
    )
    parser.add_argument("logs", nargs="+", metavar="LOGS", help="log files, directories or globs")
    parser.add_argument("--train", required=True, metavar="DIR", help="new directory for the training part (required)")
    parser.add_argument("--test", required=True, metavar="DIR", help="new directory for the test part (required)")
    parser.add_argument("--validation", metavar="DIR", help="new directory for a validation part (default: none)")
    add_options(parser, "what is held out", SplitOptions)
    add_feedback(parser)
    add_options(parser, "what counts as a play", InputOptions, hidden=HIDDEN)
    add_task_memory(parser, "; with less, the parts are in more files")
    add_engine(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Split, and print what is in each part."""
    engine, progress = engine_of(args), progress_of(args)
    from mr_als.evaluating.split import split

    outputs = {part: getattr(args, part) for part in ("train", "validation", "test") if getattr(args, part)}
    rule, inputs = from_namespace(SplitOptions, args), from_namespace(InputOptions, args)
    explicit = args.feedback == "explicit"
    info = split(args.logs, outputs, rule, inputs, engine, progress, args.task_memory, ratings=explicit)
    if args.json:
        print_json({"outputs": outputs, **info})
    else:
        print_text(table(info))
    progress.say(
        f"next: mr-als train {shlex.quote(args.train)} --model MODEL && mr-als evaluate --model MODEL {shlex.quote(args.test)}"
    )
    return 0


def table(info: dict[str, Any]) -> str:
    """Lay the totals out for a reader."""
    names = {
        "train": "train", "validation": "validation", "validation_fold_in": "validation, folded in",
        "test": "test", "test_fold_in": "test, folded in", "replays": "replays, left out",
    }  # fmt: skip
    lines = [f"{'part':22}{'users':>10}{'pairs':>12}{'plays':>14}"]
    for name, shown in names.items():
        row = info[name]
        if row["pairs"]:
            lines.append(f"{shown:22}{row['users'] or '-':>10}{row['pairs']:>12}{row['plays']:>14.12g}")
    if info["undivided"]["users"]:
        lines.append(f"{info['undivided']['users']} users have too few items to hold any out")
    return "\n".join(lines) + "\n"
