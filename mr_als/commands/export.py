"""`mr-als export`: write a model in formats that other programs read."""

from __future__ import annotations

import argparse
from typing import Any

from mr_als.commands.shared import add_command, add_model, add_task_memory, print_json, print_text

DESCRIPTION = """\
Write the ids and factors of a model for other programs:

  npz      one file of NumPy arrays: user_ids, user_factors, item_ids, item_factors, and the plays as CSR
  parquet  a directory with users.parquet and items.parquet: columns id and factors (needs the extra `parquet`)
  tsv      a directory with users.tsv and items.tsv: lines `id TAB number TAB number ...`, as --initial-factors reads them
  voyager  a directory with an index of the items for approximate nearest neighbours by inner product, Spotify's Voyager
           (needs the extra `ann`), the ids beside it, one a line: line i is Voyager's id i; recall@10 against exact search
           is printed. A catalogue beyond --task-memory is cut into blocks, each an index of its own"""

EXAMPLE = """\
  mr-als export --model model --format npz -o model.npz"""


def add(subparsers: Any) -> None:
    """Declare the options."""
    parser = add_command(
        subparsers, "export", "--model DIR --format npz|parquet|tsv|voyager -o PATH",
        summary="write a model in formats that other programs read", description=DESCRIPTION, example=EXAMPLE,
    )  # fmt: skip
    add_model(parser)
    parser.add_argument("--format", choices=("npz", "parquet", "tsv", "voyager"), required=True, help="format to write (required)")
    parser.add_argument("-o", "--output", required=True, metavar="PATH", help="new file or directory to write (required)")
    add_task_memory(parser, "; for voyager: with less there are more blocks")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export, and say what was written."""
    from mr_als.api.model import load
    from mr_als.models.export import export

    model = load(args.model)
    figures = export(model, args.format, args.output, args.task_memory)
    totals = {"users": len(model.user_ids), "items": len(model.item_ids), "rank": model.rank, **figures}
    if args.json:
        print_json({"output": args.output, "format": args.format, **totals})
    else:
        print_text("".join(f"{name}\t{value}\n" for name, value in {"output": args.output, **totals}.items()))
    return 0
