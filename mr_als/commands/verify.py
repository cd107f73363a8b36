"""`mr-als verify`: recompute what a model says of itself."""

from __future__ import annotations

import argparse
from typing import Any

from mr_als.commands.shared import add_command, add_model, count, print_json, print_text
from mr_als.errors import DamagedDataError

DESCRIPTION = """\
Check a model against its own files: every checksum; whether ids, hashes and factors belong together; the weighted RMSE and
the objective over all cells, recomputed and compared with the last entry of its history; and whether the vectors of sampled
users solve their normal equations for the published items. Exit code 1 if anything is wrong."""

EXAMPLE = """\
  mr-als verify --model model"""


def add(subparsers: Any) -> None:
    """Declare the options."""
    parser = add_command(
        subparsers, "verify", "--model DIR [options]",
        summary="recompute from its files what a model says about itself", description=DESCRIPTION, example=EXAMPLE,
    )  # fmt: skip
    add_model(parser)
    parser.add_argument(
        "--sample", type=count, default=1000, metavar="N", help="number of users whose equations are checked (default: 1000)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check, and print what was found."""
    from mr_als.models.cached import copy_of
    from mr_als.models.model import Model
    from mr_als.models.verify import verify
    from mr_als.storage.places import scheme_of

    # of a model elsewhere what lies there is checked, not what was fetched at some time
    model = args.model if scheme_of(args.model) == "file" else copy_of(args.model, fresh=True)

    checks = []
    for check in verify(Model.open(model), args.sample):
        checks.append(check)
        if not args.json:
            print_text(f"{'ok' if check.ok else 'WRONG'}\t{check.name}\t{check.found}\n")
    wrong = [check for check in checks if not check.ok]
    if args.json:
        print_json({"model": args.model, "ok": not wrong, "checks": [check._asdict() for check in checks]})
    if wrong:
        msg = f"{args.model}: {len(wrong)} of {len(checks)} checks failed: " + "; ".join(f"{c.name}: {c.found}" for c in wrong)
        raise DamagedDataError(msg)
    return 0
