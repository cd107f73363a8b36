"""`mr-als explain`: which plays earned a recommendation."""

from __future__ import annotations

import argparse
from typing import Any

from mr_als.commands.shared import SCORE, add_command, add_model, count, print_json, print_text, user_row

DESCRIPTION = f"""\
Take a score apart (Hu, Koren and Volinsky 2008, section 5). With W the inverse of the matrix of the user's normal equations,

    score of item i = sum over the played items j of  c_j y_i' W y_j

so each played item has its part, and the parts add up to the score. y_i' W y_j says how similar i and j are from this
user's point of view; c_j is how much the user's plays of j count or, in a model of ratings, the rating.

{SCORE}"""

EXAMPLE = """\
  mr-als explain --model model alice 'miles davis'"""


def add(subparsers: Any) -> None:
    """Declare the options."""
    parser = add_command(
        subparsers, "explain", "--model DIR USER ITEM [options]",
        summary="which plays earned a recommendation", description=DESCRIPTION, example=EXAMPLE,
    )  # fmt: skip
    parser.add_argument("user", metavar="USER", help="id of a user")
    parser.add_argument("item", metavar="ITEM", help="id of any item, played or not")
    add_model(parser)
    parser.add_argument("-n", "--number", type=count, default=10, metavar="N", help="plays to show; --json shows all (default: 10)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the parts of a score."""
    from mr_als.api.model import load
    from mr_als.commands.similar import check_item

    model = load(args.model)
    user_row(model, args.user)
    check_item(model, args.item)
    why = model.explain(args.user, args.item)
    if args.json:
        parts = [{"item": str(item), "plays": plays, "part": part} for item, plays, part in why["parts"]]
        print_json({**why, "parts": parts})
    else:
        print_text(table(why, args.number, ("rating", "rated") if model.weights.explicit else ("plays", "played")))
    return 0


def table(why: dict[str, Any], n: int, words: tuple[str, str]) -> str:
    """Lay the parts out for a reader: the largest n, the sum of the others, and the score."""
    shown, others = why["parts"][:n], why["parts"][n:]
    lines = [f"{part:9.4f}  {plays:9.6g}  {item}" for item, plays, part in shown]
    if others:
        lines.append(f"{sum(part for _, _, part in others):9.4f}  {'':9}  ({len(others)} more)")
    head = [f"score of {why['item']!r} for {why['user']!r}", f"{'part':>9}  {words[0]:>9}  {words[1]} item"]
    return (
        "\n".join([*head, *lines, f"{why['total']:9.4f}  {'':9}  sum of the parts; the stored vectors give {why['score']:.4f}"])
        + "\n"
    )
