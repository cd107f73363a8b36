"""`mr-als train`: logs in, a published model out."""

from __future__ import annotations

import argparse
import shlex
import time
from typing import Any

from mr_als.commands.shared import add_command, add_engine, add_options, engine_of, print_json, print_text, progress_of
from mr_als.options import InputOptions, LoopOptions, PlanOptions, RunOptions, SolverOptions, WeightOptions, from_namespace

DESCRIPTION = """\
Learn a model from play logs (implicit feedback). Preference is 1 where a user played an item and 0 elsewhere; confidence
grows with the number of plays; user and item vectors minimise the weighted squared error over all cells, plus lambda
times their squared lengths. Users and items are solved in turn, each by one MapReduce job, until the weighted RMSE
stops changing.

To resume a run that was interrupted or killed, give the same command again. The model appears in one step at the end;
until then, an older one in DIR stays readable.

LOGS and the DIR of the model may be URIs: hdfs://, s3://, gs:// or abfss://."""

EXAMPLE = """\
  mr-als train sample_logs --model model
  mr-als recommend --model model USER"""

GROUPS = {
    "inputs": ("what counts as a play", InputOptions),
    "weights": ("confidence and regularization", WeightOptions),
    "solver": ("the factors", SolverOptions),
    "loop": ("when to stop", LoopOptions),
    "plan": ("how plays and factors are joined", PlanOptions),
}


def add(subparsers: Any) -> None:
    """Declare the options."""
    parser = add_command(
        subparsers, "train", "(LOGS... | --plays DIR) --model DIR [options]",
        summary="learn a model from play logs; the main job", description=DESCRIPTION, example=EXAMPLE,
    )  # fmt: skip
    parser.add_argument("logs", nargs="*", metavar="LOGS", help="log files, directories or globs; or use --plays")
    parser.add_argument("--model", required=True, metavar="DIR", help="directory to write the model to (required)")
    parser.add_argument("--plays", metavar="DIR", help="start from the output of `mr-als prepare` instead of LOGS (default: none)")
    parser.add_argument("--restart", action="store_true", help="discard an unfinished run and start over (default: off, resume it)")
    parser.add_argument(
        "--metrics", metavar="FILE",
        help="write figures of the run to FILE, for the textfile collector of the Prometheus node exporter (default: none)",
    )  # fmt: skip
    for title, kind in GROUPS.values():
        add_options(parser, title, kind)
    add_options(parser, "nightly runs", RunOptions)
    add_engine(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, and print what came out; with --metrics also write figures, of a failure too."""
    if not args.metrics:
        return _train(args)[0]
    from mr_als.reporting.prometheus import check_metrics, write_metrics

    check_metrics(args.metrics)
    started, code, info = time.time(), 1, None
    try:
        code, info = _train(args)
    except BaseException as error:
        # of ours; of a signal; else as `mr_als.cli` ends
        code = getattr(error, "exit_code", getattr(error, "code", 130 if isinstance(error, KeyboardInterrupt) else 1))
        raise
    finally:
        write_metrics(args.metrics, args.model, code, started, info)
    return code


def _train(args: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    engine, progress = engine_of(args), progress_of(args)
    from mr_als.options import Training
    from mr_als.training.train import train

    options = Training(**{name: from_namespace(kind, args) for name, (_, kind) in GROUPS.items()})
    try:
        info = train(
            args.logs, args.model, options, plays=args.plays, engine=engine, restart=args.restart,
            rules=from_namespace(RunOptions, args), progress=progress,
        )  # fmt: skip
    finally:
        progress.done()
    if args.json:
        print_json(info)
    else:
        print_text(summary(args.model, info))
    if args.log_format == "text":
        progress.say(next_commands(args.model))
    return 0, info


def summary(model: str, info: dict[str, Any]) -> str:
    """Say what was learnt, in six lines."""
    last = info["history"][-1]
    error = "RMSE" if info["options"]["weights"]["feedback"] == "explicit" else "wRMSE"
    return (
        f"model\t{model}\n"
        f"data\t{info['n_users']} users, {info['n_items']} items, {info['pairs']} pairs, {info['plays']:.12g} plays\n"
        f"weights\t{weights_in_words(info)}\n"
        f"halves\t{last['half']}: {info['stopped']}\n"
        f"{error}\t{last['wrmse']:.6g}, {last['to_zero_model']:.3f} of that of a model that knows nothing\n"
        f"objective\t{last['objective']:.6g}\n"
    )


def weights_in_words(info: dict[str, Any]) -> str:
    """Say which lambda and alpha the model was trained with, and where those are from that were not given."""
    weights, said = info["options"]["weights"], info.get("auto", {}).get("said", "")
    numbers = {"lambda": weights["regularization"]} | ({} if weights["feedback"] == "explicit" else {"alpha": weights["alpha"]})
    given = [f"{name} {value:g}" for name, value in numbers.items() if f"{name} " not in said]
    return "; ".join([said, *given] if said else given)


def next_commands(path: str) -> str:
    """Say what can be run now."""
    from mr_als.models.model import Model
    from mr_als.storage.places import scheme_of

    user, item = "USER", "ITEM"
    if scheme_of(path) == "file":  # a model on a cluster would have to be fetched
        model = Model.open(path)
        user, item = (shlex.quote(ids[0]) if len(ids) else name for ids, name in ((model.user_ids, user), (model.item_ids, item)))
    where = shlex.quote(path)
    commands = [f"recommend --model {where} {user}", f"similar --model {where} {item}", f"recommend --model {where} --output DIR"]
    return "next:" + "".join(f"\n  mr-als {command}" for command in commands)
