"""`mr-als export`: write a model in formats that other programs read."""

from __future__ import annotations

import argparse
from typing import Any

from mr_als.commands.shared import add_command, add_model, print_json, print_text

DESCRIPTION = """\
Write the ids and factors of a model for other programs:

  npz      one file of NumPy arrays: user_ids, user_factors, item_ids, item_factors, and the plays as CSR
  parquet  a directory with users.parquet and items.parquet: columns id and factors (needs the extra `parquet`)
  tsv      a directory with users.tsv and items.tsv: lines `id TAB number TAB number ...`, as --initial-factors reads them"""

EXAMPLE = """\
  mr-als export --model model --format npz -o model.npz"""


def add(subparsers: Any) -> None:
    """Declare the options."""
    parser = add_command(
        subparsers, "export", "--model DIR --format npz|parquet|tsv -o PATH",
        summary="write a model in formats that other programs read", description=DESCRIPTION, example=EXAMPLE,
    )  # fmt: skip
    add_model(parser)
    parser.add_argument("--format", choices=("npz", "parquet", "tsv"), required=True, help="format to write (required)")
    parser.add_argument("-o", "--output", required=True, metavar="PATH", help="new file or directory to write (required)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export, and say what was written."""
    from mr_als.api.model import load

    model = load(args.model)
    model.export(args.output, args.format)
    totals = {"users": len(model.user_ids), "items": len(model.item_ids), "rank": model.rank}
    if args.json:
        print_json({"output": args.output, "format": args.format, **totals})
    else:
        print_text("".join(f"{name}\t{value}\n" for name, value in {"output": args.output, **totals}.items()))
    return 0
