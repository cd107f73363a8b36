"""`mr-als models`: the generations of a model that are kept, and the way back to the one before."""

from __future__ import annotations

import argparse
import os
from typing import Any

from mr_als.commands.shared import add_command, add_model, count, print_json, print_text

DESCRIPTION = """\
List the generations of a model that have been kept, newest first: when each was published, its numbers of users, items and
plays, its weighted RMSE, and its size. `*` marks the current one.

--back publishes the generation before it, in one step: commands and services that open the model from then on get that one;
those that have the other one open keep it. `mr-als train --keep N` sets how many are kept."""

EXAMPLE = """\
  mr-als models --model model
  mr-als models --model model --back"""


def add(subparsers: Any) -> None:
    """Declare the options."""
    parser = add_command(
        subparsers, "models", "--model DIR [--back | --keep N]",
        summary="the generations of a model; go back to the one before", description=DESCRIPTION, example=EXAMPLE,
    )  # fmt: skip
    add_model(parser)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--back", action="store_true", help="publish the generation before the current one (default: off)")
    group.add_argument("--keep", type=count, metavar="N", help="remove all but the N newest and the current one (default: none)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Go back or clean up if asked to, and list what is kept."""
    from mr_als.models.kept import go_back, keep_only, kept

    if args.back:
        go_back(args.model)
    if args.keep:
        keep_only(args.model, args.keep)
    rows = [row(args.model, one) for one in kept(args.model)]
    if args.json:
        print_json({"model": args.model, "generations": rows})
    else:
        print_text(table(rows))
    return 0


def row(model: str, one: Any) -> dict[str, Any]:
    """Describe a generation; what is not known is None."""
    from mr_als.models.kept import size_of

    info, last = one.info, (one.info.get("history") or [{}])[-1]
    return {
        "generation": one.name,
        "current": one.current,
        "published": one.published or None,
        **{name: info.get(name) for name in ("n_users", "n_items", "pairs", "plays")},
        "wrmse": last.get("wrmse"),
        "inputs": sorted(map(str, info["inputs"])) if "inputs" in info else None,
        "bytes": size_of(os.path.join(model, "generations", one.name)),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Lay the generations out for a reader."""
    from mr_als.progress import size

    lines = [f"  {'generation':14}{'published (UTC)':21}{'users':>9}{'items':>9}{'plays':>11}{'wRMSE':>10}{'size':>9}  from"]
    for one in rows:
        when = (one["published"] or "unknown").split(".")[0].split("+")[0]
        wrmse = "-" if one["wrmse"] is None else f"{one['wrmse']:.6f}"
        counts = [("-" if one[name] is None else f"{one[name]:.0f}") for name in ("n_users", "n_items", "plays")]
        lines.append(
            f"{'*' if one['current'] else ' '} {one['generation']:14}{when:21}{counts[0]:>9}{counts[1]:>9}{counts[2]:>11}"
            f"{wrmse:>10}{size(one['bytes']):>9}  {source(one['inputs'] or [])}"
        )
    return "\n".join(lines) + "\n"


def source(inputs: list[str]) -> str:
    """Say what a generation was made from, by the names of the first and the last file.

    >>> source(["/logs/2024-03-01.tsv", "/logs/2024-03-02.tsv", "/logs/2024-03-03.tsv"]), source(["/logs/all.tsv"]), source([])
    ('3 files, 2024-03-01.tsv to 2024-03-03.tsv', 'all.tsv', '')
    """
    names = [os.path.basename(path) for path in inputs]
    return f"{len(names)} files, {names[0]} to {names[-1]}" if len(names) > 1 else "".join(names)
