"""`mr-als plan`: what a training will take, before anything runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from mr_als.commands.shared import (
    add_command,
    add_engine,
    add_options,
    engine_of,
    mrjob_arguments,
    print_json,
    print_text,
    progress_of,
)
from mr_als.errors import UsageError
from mr_als.options import LARGEST, ClusterOptions, InputOptions, PlanOptions, SolverOptions, WeightOptions, from_namespace, memory

if TYPE_CHECKING:
    from mr_als.options import Training
    from mr_als.planning.sizes import Sizes

DESCRIPTION = """\
Estimate what a training run will take before it starts: how rows and vectors are joined and why, the number of blocks, the
memory of each kind of task, the bytes that each half-iteration moves, the seconds of an iteration on this machine and on a
cluster, and the cost. Sizes come from LOGS, which are read once, from prepared plays, or from numbers. To estimate the time,
the command trains on a smaller copy of the data (random plays) on this machine for some seconds; --no-measure skips that.
Nothing runs on a cluster."""

EXAMPLE = """\
  mr-als plan sample_logs --rank 16
  mr-als plan --users 24M --items 20M --pairs 3.3G --log-size 500G --nodes 100 --cores 16 --price-per-node-hour 0.5 --no-measure"""

GROUPS = {
    "inputs": ("what counts as a play", InputOptions),
    "weights": ("confidence and regularization", WeightOptions),
    "solver": ("the factors", SolverOptions),
    "plan": ("how plays and factors are joined", PlanOptions),
}
# a line of a counts file, about
LINE_BYTES = 30


def add(subparsers: Any) -> None:
    """Declare the options."""
    parser = add_command(
        subparsers, "plan", "(LOGS... | --plays DIR | --users N --items N --pairs N) [options]",
        summary="what a training run will take: join, memory, bytes, time, cost", description=DESCRIPTION, example=EXAMPLE,
    )  # fmt: skip
    parser.add_argument("logs", nargs="*", metavar="LOGS", help="log files, directories or globs, as for train")
    parser.add_argument("--plays", metavar="DIR", help="the output of `mr-als prepare` (default: none)")
    group = parser.add_argument_group("sizes, instead of LOGS; numbers may end in K, M or G")
    group.add_argument("--users", type=_many, metavar="N", help="number of users (default: that in LOGS)")
    group.add_argument("--items", type=_many, metavar="N", help="number of items (default: that in LOGS)")
    group.add_argument(
        "--pairs", type=_many, metavar="N", help="number of pairs of a user and a played item (default: that in LOGS)"
    )
    group.add_argument("--log-size", type=memory, metavar="SIZE", help="size of the logs (default: 30 bytes per pair)")
    parser.add_argument("--no-measure", action="store_true", help="skip the time estimate (default: off)")
    for title, kind in GROUPS.values():
        add_options(parser, title, kind)
    add_options(parser, "assumptions about the cluster", ClusterOptions)
    add_engine(parser)
    # to know whether it was given: on Spark it is another one
    parser.set_defaults(run=run, job_seconds=None)


def _many(text: str) -> int:
    """Read a number of at least 1, such as 3500 or 2.5M, in powers of ten."""
    unit = {"K": 10**3, "M": 10**6, "G": 10**9}.get(text[-1:].upper(), 1)
    try:
        value = int(float(text if unit == 1 else text[:-1]) * unit)
    except (ValueError, OverflowError):
        value = 0
    if not 1 <= value <= LARGEST:
        msg = f"{text!r} is not a number from 1 to {LARGEST:g}, such as 3500 or 2.5M"
        raise argparse.ArgumentTypeError(msg)
    return value


def run(args: argparse.Namespace) -> int:
    """Plan, and print the plan."""
    progress = progress_of(args)
    from mr_als.engine.engine import Engine
    from mr_als.engine.runners.runner import runner_of
    from mr_als.options import Training
    from mr_als.planning.choices import choose
    from mr_als.planning.plan import LASTING_SECONDS, make_plan, plan_of_weights
    from mr_als.planning.words import plan_in_words

    options = Training(**{name: from_namespace(kind, args) for name, (_, kind) in GROUPS.items()})
    sizes, known = _sizes(args, options)
    runner = runner_of(args.runner)
    choices = choose(sizes, options.plan, runner.compiled_from(mrjob_arguments(args)))
    # what is measured is measured here, wherever the training is to run, and without that there: no cluster is needed to plan
    here = engine_of(args) if runner.runs_here else Engine()
    measured = None
    if not args.no_measure:
        from mr_als.training.calibrate import calibrate

        progress.say("measuring this machine: training a smaller copy of the data")
        measured = calibrate(sizes, options, here, choices.join, choices.kernel)
    if args.job_seconds is None:
        args.job_seconds = LASTING_SECONDS if runner.lasting else ClusterOptions.job_seconds
    cluster = from_namespace(ClusterOptions, args)
    found = make_plan(sizes, known, choices, here, measured, cluster, runner.lasting) | {
        "weights": plan_of_weights(sizes, options.weights)
    }
    if args.json:
        print_json(found)
    else:
        print_text(plan_in_words(found))
    return 0


def _sizes(args: argparse.Namespace, options: Training) -> tuple[Sizes, str]:
    """Find the sizes, and say where they are from."""
    from mr_als.engine.engine import Engine
    from mr_als.engine.outputs import scratch
    from mr_als.preparing.plays import sizes_of
    from mr_als.preparing.prepare import prepare
    from mr_als.preparing.summing import open_plays
    from mr_als.storage.places import scheme_of

    numbers = [args.users, args.items, args.pairs]
    given = [bool(args.logs), bool(args.plays), any(n is not None for n in numbers)]
    if sum(given) != 1 or (given[2] and None in numbers):
        msg = "give either log files, or --plays DIR, or all of --users, --items and --pairs"
        raise UsageError(msg)
    rank = options.solver.rank
    if args.plays:
        # no cluster is needed for what lies here; elsewhere segments may have to be added up
        engine = Engine() if scheme_of(args.plays) == "file" else engine_of(args)
        return sizes_of(open_plays(args.plays, engine, progress_of(args)), rank), f"from {args.plays}"
    if args.logs:
        with scratch("mr-als-plan-") as work:
            ratings = options.weights.feedback == "explicit"
            plays = prepare(
                args.logs, work, options.inputs, progress=progress_of(args), plan=options.plan, rank=rank, ratings=ratings
            )
            return sizes_of(plays, rank), "counted in the logs"
    return _guessed(args, options), "as given, spread as plays usually are"


def _guessed(args: argparse.Namespace, options: Training) -> Sizes:
    """Guess the sizes from numbers of users, items and pairs."""
    from mr_als.planning.choices import choose_blocks, fitting_blocks, given_or
    from mr_als.planning.sizes import guess_sizes

    users, items, pairs, rank = args.users, args.items, args.pairs, options.solver.rank
    if pairs > users * items:
        msg = f"--pairs {pairs} is more than --users {users} times --items {items}; a pair counts once, however often it was played"
        raise UsageError(msg)
    auto = choose_blocks(args.log_size or LINE_BYTES * pairs, options.plan.task_memory)
    sizes = guess_sizes(users, items, pairs, given_or((auto, auto), options.inputs), rank)
    if (fitting := fitting_blocks(sizes, options.inputs, options.plan)) != sizes.blocks:
        sizes = guess_sizes(users, items, pairs, fitting, rank)
    return sizes
