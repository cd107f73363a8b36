"""`mr-als similar`: the items whose vectors point the same way."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from mr_als.commands.shared import add_command, add_model, count, print_json, print_text, unknown_id
from mr_als.errors import ModelError

if TYPE_CHECKING:
    from mr_als.models.model import Model

DESCRIPTION = """\
Print the nearest neighbours of items: those whose vectors have the highest cosine, from 1 (the same listeners) down to -1.
An item is not its own neighbour, and items whose vector is all zeros are not anybody's.

The output is `item TAB rank TAB neighbour TAB cosine`, or with --json one object per item and line."""

EXAMPLE = """\
  mr-als similar --model model 'miles davis' -n 5"""


def add(subparsers: Any) -> None:
    """Declare the options."""
    parser = add_command(
        subparsers, "similar", "--model DIR ITEM ... [options]",
        summary="the nearest neighbours of items", description=DESCRIPTION, example=EXAMPLE,
    )  # fmt: skip
    parser.add_argument("item", nargs="+", metavar="ITEM", help="item ids; put `--` before ids that begin with '-'")
    add_model(parser)
    parser.add_argument("-n", "--number", type=count, default=10, metavar="N", help="neighbours per item (default: 10)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the neighbours of each item."""
    from mr_als.api.model import load

    model = load(args.model)
    for item in args.item:
        check_item(model, item)
    for item in args.item:
        found = model.similar_items(item, args.number)
        if args.json:
            similar = [{"rank": rank, "item": str(name), "cosine": round(score, 6)} for rank, (name, score) in enumerate(found, 1)]
            print_json({"item": item, "similar": similar})
        else:
            print_text("".join(f"{item}\t{rank}\t{name}\t{score:.6f}\n" for rank, (name, score) in enumerate(found, 1)))
    return 0


def check_item(model: Model, item: str) -> None:
    """Raise ModelError if an item is unknown, and say how to find one that is not."""
    try:
        model.item_index(item)
    except KeyError:
        raise ModelError(unknown_id(model, "items", item)) from None
