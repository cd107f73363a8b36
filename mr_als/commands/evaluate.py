"""`mr-als evaluate`: how well a model finds what its users played later, beside popularity."""

from __future__ import annotations

import argparse
from typing import Any

from mr_als.commands.shared import (
    LEFT_TO_THE_MODEL,
    add_command,
    add_engine,
    add_model,
    add_options,
    add_task_memory,
    engine_of,
    print_json,
    print_text,
    progress_of,
    ranks,
)
from mr_als.errors import GateError, UsageError
from mr_als.options import InputOptions, from_namespace, number, whole

DESCRIPTION = """\
For each user of the test part, rank all items that were not played in training, and show where the test items ended up: for
the model, and for popularity (the number of listeners in training), which knows nothing about the user. The 95 % interval
is that of the difference, from 1000 bootstrap samples of the users. For items with equal scores, the expected value counts.

  recall@k           hits among the first k / test items        capped_recall@k    hits / min(k, test items)
  precision@k        hits / k                                   hit_rate@k         share of users with a hit
  ndcg@k, map@k      hits, early ones count more                mrr                1 / rank of the first hit
  percentile_rank    mean rank of the test items, weighted by plays; 0 best, 0.5 random (Hu et al. 2008)
  coverage@k         share of all items that are among the first k of any user

Users and items that the model does not know, and pairs played in training, are left out and counted. New users with a history
(--history, or TEST/_fold_in from `mr-als split --by users`) are folded in: their vectors are solved from that history."""

EXAMPLE = """\
  mr-als split sample_logs --by time --cut 2024-03-07 --train train --test test
  mr-als train train --model model
  mr-als evaluate --model model test -k 5,10"""

LIMITS = {
    "candidates": "Ranks among given candidates cannot be compared with ranks among all items (Krichene and Rendle, KDD 2020).",
    "wrmse": "The weighted RMSE is not comparable across alpha, epsilon or confidence.",
}


def add(subparsers: Any) -> None:
    """Declare the options."""
    parser = add_command(
        subparsers,
        "evaluate",
        "--model DIR TEST... [options]",
        summary="how well a model finds what users played later, compared with popularity",
        description=DESCRIPTION,
        example=EXAMPLE,
    )
    parser.add_argument("test", nargs="+", metavar="TEST", help="logs of the test part: files, directories or globs")
    add_model(parser)
    parser.add_argument("-k", type=ranks, metavar="K,K,...", help="lengths of the lists to evaluate (default: 10,20)")
    parser.add_argument(
        "--candidates",
        metavar="FILE",
        default="",
        help="rank only the items in FILE, lines `user TAB item ...`, and the test items (default: all items not played)",
    )
    parser.add_argument(
        "--history",
        metavar="LOGS",
        action="append",
        default=[],
        help="what users who were not in training played before; may be repeated (default: TEST/_fold_in, if there is one)",
    )
    parser.add_argument("--seed", type=whole, default=0, metavar="N", help="random seed of the bootstrap (default: 0)")
    add_task_memory(parser)
    group = parser.add_argument_group("gates: exit code 3 if the model does not pass")
    group.add_argument(
        "--fail-below", action="append", default=[], type=bound, metavar="METRIC=VALUE",
        help="METRIC must be at least VALUE (percentile_rank: at most), e.g. ndcg@10=0.30; may be repeated (default: none)",
    )  # fmt: skip
    group.add_argument(
        "--fail-below-popularity", action="store_true", help="no metric of the model may be worse than popularity's (default: off)"
    )
    add_options(parser, "what counts as a play", InputOptions, hidden=LEFT_TO_THE_MODEL)
    add_engine(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate, and print the table."""
    engine, progress = engine_of(args), progress_of(args)
    from mr_als.evaluating.evaluate import Asked, evaluate
    from mr_als.models.model import Model

    asked = Asked(args.k or (10, 20), tuple(args.history), args.candidates, args.seed, args.task_memory)
    report = evaluate(Model.open(args.model), args.test, asked, from_namespace(InputOptions, args), engine, progress)
    if args.json:
        notes = [LIMITS["candidates"]] * bool(args.candidates) + [LIMITS["wrmse"]] * ("wrmse" in report["held_out"])
        print_json({**report, "notes": notes})
    else:
        print_text(table(report))
    if failed := below(report, args.fail_below, args.fail_below_popularity):
        msg = f"{args.model} does not pass: {'; '.join(failed)}"
        raise GateError(msg)
    return 0


def bound(text: str) -> tuple[str, float]:
    """Read METRIC=VALUE."""
    name, _, value = text.rpartition("=")
    try:
        found = number(value)
    except ValueError:
        name = ""
    if not name:
        msg = f"{text!r} is not of the form METRIC=VALUE, such as ndcg@10=0.30"
        raise argparse.ArgumentTypeError(msg)
    return name, found


def below(report: dict[str, Any], bounds: list[tuple[str, float]], popularity: bool) -> list[str]:
    """Say which metrics are worse than asked for.

    Raises
    ------
    UsageError
        If a metric is not in the report.
    """
    metrics, failed = report["metrics"], []
    for name, value in bounds:
        if name not in metrics:
            msg = f"--fail-below {name}: not among the metrics of this evaluation, {', '.join(metrics)}; -k says which ranks count"
            raise UsageError(msg)
        if not better(name, metrics[name]["model"], value):
            failed.append(f"{name} is {metrics[name]['model']:.4f}, --fail-below {value:g}")
    if popularity:
        worse = [name for name, row in metrics.items() if not better(name, row["model"], row["popularity"])]
        failed += [f"{name} is {metrics[name]['model']:.4f}, popularity's {metrics[name]['popularity']:.4f}" for name in worse]
    return failed


def better(name: str, value: float, other: float) -> bool:
    """Say whether a metric is as good as another value of it, or better."""
    return value <= other if name == "percentile_rank" else value >= other


def table(report: dict[str, Any]) -> str:
    """Lay the report out for a reader."""
    left = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in report["left_out"].items() if n)
    lines = [
        f"{report['users']} users, {report['pairs']} test pairs; ranked: {report['ranked']}",
        f"left out: {left or 'nothing'}",
        "",
        f"{'metric':20}{'model':>10}{'popularity':>12}{'difference':>12}   95 % interval",
    ]
    for name, row in report["metrics"].items():
        low, high = row["interval"]
        lines.append(
            f"{name:20}{row['model']:10.4f}{row['popularity']:12.4f}{row['difference']:+12.4f}   [{low:+.4f}, {high:+.4f}]"
        )
    for name, row in report.get("coverage", {}).items():
        lines.append(f"{name:20}{row['model']:10.4f}{row['popularity']:12.4f}")
    held_out = report["held_out"]
    name = "wrmse" if "wrmse" in held_out else "rmse"
    lines += ["", f"held-out {name} {held_out[name]:.6g}; of the zero model, which scores all 0: {held_out['zero_model']:.6g}"]
    if name == "wrmse":
        lines.append(LIMITS["wrmse"])
    if "coverage" not in report:
        lines.append(LIMITS["candidates"])
    return "\n".join([*lines, "percentile_rank: lower is better; all others: higher"]) + "\n"
