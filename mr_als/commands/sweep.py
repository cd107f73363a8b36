"""`mr-als sweep`: a grid of options over the same plays, the winner chosen by the validation part and tested once."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from mr_als.commands.shared import (
    LEFT_TO_THE_MODEL,
    add_command,
    add_engine,
    add_options,
    engine_of,
    print_json,
    print_text,
    progress_of,
    ranks,
)
from mr_als.options import InputOptions, LoopOptions, PlanOptions, SolverOptions, WeightOptions, add_arguments, from_namespace

DESCRIPTION = """\
Train a model for each combination of the given options (hyperparameters) on the same plays, choose the best one by a metric
on the validation part, and evaluate that one on the test part. Each training option takes several values, separated by
commas.

Everything is kept in the directory --output, with a model and a report for each point. If it was killed, the same command
resumes; with more values, it trains only the new points."""

EXAMPLE = """\
  mr-als split LOGS --by last --train train --validation validation --test test
  mr-als prepare train --plays plays
  mr-als sweep --plays plays --validation validation --test test --output sweep --rank 16,64 \\
      --regularization 'auto*0.5,auto,auto*2'"""

# training options that take lists
VARIED = {"confidence and regularization": WeightOptions, "the factors": SolverOptions, "when to stop": LoopOptions}
HIDDEN = ("--initial-factors", "--warm-start")


def add(subparsers: Any) -> None:
    """Declare the options."""
    parser = add_command(
        subparsers,
        "sweep",
        "--plays DIR --validation LOGS [--test LOGS] --output DIR [options]",
        summary="train a grid of hyperparameters, choose by the validation part, test the winner once",
        description=DESCRIPTION,
        example=EXAMPLE,
    )
    parser.add_argument("--plays", required=True, metavar="DIR", help="output of `mr-als prepare` (required)")
    parser.add_argument(
        "--validation", required=True, nargs="+", metavar="LOGS", help="logs of the validation part, to choose by (required)"
    )
    parser.add_argument(
        "--test", nargs="+", default=[], metavar="LOGS", help="logs of the test part, to evaluate the winner on (default: none)"
    )
    parser.add_argument("--output", "-o", required=True, metavar="DIR", help="directory for the models and reports (required)")
    parser.add_argument("-k", type=ranks, metavar="K,K,...", help="lengths of the lists to evaluate (default: 10,20)")
    parser.add_argument(
        "--select", metavar="METRIC", default="", help="metric to choose by (default: ndcg at the first k; rmse for ratings)"
    )
    for title, kind in VARIED.items():
        add_lists(parser, title, kind)
    add_options(parser, "how plays and factors are joined", PlanOptions)
    add_options(parser, "what counts as a play in the held-out parts", InputOptions, hidden=LEFT_TO_THE_MODEL)
    add_engine(parser)
    parser.set_defaults(run=run)


def add_lists(parser: argparse.ArgumentParser, title: str, kind: type[Any]) -> None:
    """Add the flags of an options dataclass, each with a list of values."""
    group = parser.add_argument_group(title)

    def add(flag: str, **keys: Any) -> None:
        if flag not in HIDDEN:
            listed = values(keys.get("type", str), keys.get("choices"))
            group.add_argument(flag, dest=keys["dest"], help=keys["help"], type=listed, metavar="VALUE,...")

    add_arguments(kind, add)


def values(one: Callable[[str], Any], choices: tuple[str, ...] | None) -> Callable[[str], tuple[Any, ...]]:
    """Make the argparse type of a list of values with commas between, each once."""

    def parse(text: str) -> tuple[Any, ...]:
        found = [one(part) for part in text.split(",")]
        for value in found:
            if choices and value not in choices:
                msg = f"{value!r} is none of {', '.join(choices)}"
                raise argparse.ArgumentTypeError(msg)
        return tuple(dict.fromkeys(found))

    return parse


def run(args: argparse.Namespace) -> int:
    """Sweep, and print the table."""
    engine, progress = engine_of(args), progress_of(args)
    from mr_als.evaluating.evaluate import Asked
    from mr_als.evaluating.sweep import Parts, select_by, sweep
    from mr_als.options import Training

    plan = from_namespace(PlanOptions, args)
    grid = [Training(weights=weights, solver=solver, loop=loop, plan=plan) for weights, solver, loop in combinations(args)]
    asked = Asked(args.k or (10, 20), task_memory=plan.task_memory)
    select = select_by(args.select, asked.ks, grid)
    parts = Parts(args.plays, tuple(args.validation), tuple(args.test), from_namespace(InputOptions, args))
    try:
        found = sweep(grid, parts, args.output, asked, select, engine, progress)
    finally:
        progress.done()
    if args.json:
        print_json(found)
    else:
        print_text(table(found))
    return 0


def combinations(args: argparse.Namespace) -> list[tuple[Any, ...]]:
    """List the weights, solver and loop options of each point of the grid; the last option varies fastest."""
    return list(itertools.product(*(variants(kind, args) for kind in VARIED.values())))


def variants(kind: type[Any], args: argparse.Namespace) -> list[Any]:
    """Build an options dataclass for each combination of the given values, with defaults for the rest."""
    lists = {f.name: getattr(args, f.name, None) or (f.default,) for f in fields(kind)}
    return [kind(**dict(zip(lists, point, strict=True))) for point in itertools.product(*lists.values())]


def table(found: dict[str, Any]) -> str:
    """Lay the points out for a reader, and the winner's test report."""
    from mr_als.commands.evaluate import table as report
    from mr_als.evaluating.sweep import value_of

    first = found["points"][0]["validation"]
    k = first["k"][0]
    shown = [found["select"], f"ndcg@{k}", f"recall@{k}", f"map@{k}", "mrr", "percentile_rank"]
    metrics = [name for name in dict.fromkeys(shown) if name == "rmse" or name in first["metrics"]]
    width = max(len(point["name"]) for point in found["points"])

    def row(mark: str, name: str, iterations: Any, cells: Sequence[str]) -> str:
        columns = (f"{cell:>{max(len(metric), 6) + 3}}" for metric, cell in zip(metrics, cells, strict=True))
        return f"{mark} {name:{width}}{iterations:>13}{''.join(columns)}"

    lines = [f"on the validation part: {first['users']} users, {first['pairs']} pairs; * is best by {found['select']}", ""]
    lines.append(row(" ", "", "iterations", metrics))
    for point in found["points"]:
        cells = [f"{value_of(point['validation'], name):.4f}" for name in metrics]
        lines.append(row("*" if point["name"] == found["winner"] else " ", point["name"], point["iterations"], cells))
    popular = [f"{first['metrics'][name]['popularity']:.4f}" if name in first["metrics"] else "" for name in metrics]
    lines += [row(" ", "popularity", "", popular), "", f"model\t{found['model']}"]
    text = "\n".join(lines) + "\n"
    return text + (f"\non the test part:\n{report(found['test'])}" if found["test"] else "")
