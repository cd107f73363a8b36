"""`mr-als walkthrough`: the numerical example, every number on the way."""

from __future__ import annotations

import argparse
from typing import Any

from mr_als.commands.shared import add_command, print_json, write_html
from mr_als.options import whole

DESCRIPTION = """\
Follow implicit matrix factorisation by hand on a small utility matrix: formula, code and numbers of every step, from the
plays to a recommendation and its reasons, and then the same numbers out of the MapReduce job."""

EXAMPLE = """\
  mr-als walkthrough                          the example of docs/worked-example.md: 4 users, 5 items
  mr-als walkthrough --only gram,users        only some sections
  mr-als walkthrough mine.csv --rank 3        a matrix of your own: item names in the first row, then a row for each user
  mr-als walkthrough --html als.html          the same to play with, in a browser: edit the matrix, step half by half
  mr-als walkthrough --trace                  the records of docs/scaling.md: broadcast, full grid, half grid, a killed task"""


def add(subparsers: Any) -> None:
    """Declare the options."""
    parser = add_command(
        subparsers, "walkthrough", "[MATRIX.csv] [options]",
        summary="the numerical example, every number on the way", description=DESCRIPTION, example=EXAMPLE,
    )  # fmt: skip
    parser.add_argument("matrix", nargs="?", metavar="MATRIX.csv", help="a small utility matrix (default: that of the example)")
    group = parser.add_argument_group("the model")
    group.add_argument("--rank", type=int, default=2, metavar="K", help="length of the vectors, 1 to 5 (default: 2)")
    group.add_argument(
        "--alpha",
        type=float,
        default=1.0,
        metavar="NUMBER",
        help="how much a play adds to the confidence: c = 1 + alpha r (default: 1)",
    )
    group.add_argument(
        "--regularization", type=float, default=1.0, metavar="LAMBDA", help="lambda, the weight of the penalty (default: 1)"
    )
    group.add_argument(
        "--initial-factors", metavar="FILE",
        help="initial item vectors, lines of an item and --rank numbers (default: those of the example, or random ones)",
    )  # fmt: skip
    group.add_argument("--seed", type=whole, default=0, metavar="N", help="random seed of the initial item vectors (default: 0)")
    group.add_argument(
        "--tolerance", type=percent, default="0.1%", metavar="SHARE",
        help="stop when the weighted RMSE of two user halves differs by less than this share of it, e.g. 0.1%%; 0 to go on "
        "until --max-iterations (default: 0.1%%)",
    )  # fmt: skip
    group.add_argument("--max-iterations", type=whole, default=20, metavar="N", help="stop after N item halves (default: 20)")
    group = parser.add_argument_group("what is shown")
    group.add_argument("--user", metavar="NAME", help="user to work out in full (default: the first)")
    group.add_argument("--item", metavar="NAME", help="item to work out in full (default: the first)")
    group.add_argument(
        "--trace", action="store_true", help="show every record that the jobs exchange, and the arithmetic of scale (default: off)"
    )
    group.add_argument("--only", metavar="NAMES", help="only these sections, separated by commas (default: all, see --list)")
    group.add_argument("--html", metavar="PAGE", help="write an interactive page instead, which needs no network (default: off)")
    group.add_argument("--list", action="store_true", help="list the sections (default: off)")
    parser.set_defaults(run=run)


def percent(text: str) -> float:
    """Read a share such as 0.1%, or 0."""
    value = float(text.removesuffix("%")) / 100
    if not 0 <= value < 1 or not (text.endswith("%") or value == 0):
        msg = f"{text!r} is neither a share such as 0.1% nor 0"
        raise argparse.ArgumentTypeError(msg)
    return value


def run(args: argparse.Namespace) -> int:
    """Print the sections that were asked for."""
    from mr_als.teaching.walkthrough import SECTIONS, TRACE, choose, text_of, titles

    sections = TRACE if args.trace else SECTIONS
    if args.list:
        print("\n".join(titles(sections)))
        return 0
    if args.html:
        return write_page(args)
    lesson, chosen = lesson_of(args), choose(args.only.split(",") if args.only else None, sections)
    if args.json:
        print_json({section.name: "\n".join(section.write(lesson)) for section in chosen})
        return 0
    for line in text_of(lesson, chosen):
        print(line)
    return 0


def write_page(args: argparse.Namespace) -> int:
    """Write the interactive page, and say where it is."""
    from mr_als.teaching.interactive import interactive_page

    return write_html(args, "page", "--html", args.html, interactive_page(lesson_of(args)))


def lesson_of(args: argparse.Namespace) -> Any:
    """Build the lesson from the arguments.

    Raises
    ------
    UsageError
        If an option is out of range, or names nobody.
    """
    import numpy as np

    from mr_als.maths.drawing.initial import initial_factors
    from mr_als.records.ids import Ids, hash_ids
    from mr_als.teaching.lesson import Lesson
    from mr_als.teaching.matrix import EXAMPLE, EXAMPLE_FACTORS, read_factors, read_matrix

    _check_ranges(args)
    matrix = read_matrix(args.matrix) if args.matrix else EXAMPLE
    if args.initial_factors:
        start = read_factors(args.initial_factors, matrix.items, args.rank)
    elif not args.matrix and args.rank == 2:
        start = EXAMPLE_FACTORS
    else:
        hashes = hash_ids(Ids.of(item.encode() for item in matrix.items))
        # one digit is enough to begin with, and easier to type
        start = initial_factors(hashes, args.seed, "items", args.rank).astype(np.float64).round(1)
    user, item = _index("user", args.user, matrix.users), _index("item", args.item, matrix.items)
    return Lesson(matrix, start, args.alpha, args.regularization, user, item, args.tolerance, args.max_iterations)


def _check_ranges(args: argparse.Namespace) -> None:
    """Raise UsageError if a number is out of range."""
    from mr_als.errors import UsageError

    if not 1 <= args.rank <= 5:
        msg = f"--rank {args.rank} is out of range: expected 1 to 5, longer vectors are for `mr-als train`"
        raise UsageError(msg)
    for name in ("alpha", "regularization"):
        if not 1e-6 <= getattr(args, name) <= 1e6:
            msg = f"--{name} {getattr(args, name)} is out of range: expected a number above 0, from 1e-6 to 1e6"
            raise UsageError(msg)
    if not 1 <= args.max_iterations <= 10_000:
        msg = f"--max-iterations {args.max_iterations} is out of range: expected 1 to 10000"
        raise UsageError(msg)


def _index(what: str, name: str | None, names: tuple[str, ...]) -> int:
    from mr_als.errors import UsageError

    if name is not None and name not in names:
        msg = f"--{what} {name}: there is no such {what}; there are {', '.join(names)}"
        raise UsageError(msg)
    return names.index(name) if name is not None else 0
