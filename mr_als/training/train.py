"""The training loop: alternate users and items until the weighted RMSE stops changing.

Half 0 writes initial item factors; halves 1, 3, 5 ... solve the users, halves 2, 4, 6 ... the items. A run stops only
after a user half, so that every published user vector is the exact answer to the published item vectors.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from mr_als.engine.engine import Engine
from mr_als.engine.runs import Run, lock_of
from mr_als.errors import BadInputError, DamagedDataError, ModelError, ResumeError, UsageError
from mr_als.models.model import Model
from mr_als.models.publish import publish
from mr_als.options import LoopOptions, RunOptions, Training
from mr_als.planning.choices import Choices, choose
from mr_als.planning.plan import expect
from mr_als.planning.words import choices_in_words
from mr_als.preparing.log_files import fingerprint
from mr_als.preparing.plays import Plays, check_ratings, reading, sizes_of
from mr_als.preparing.prepare import Source, fingerprint_of, prepare
from mr_als.preparing.summing import identify, open_plays
from mr_als.progress import Progress
from mr_als.records.lines import LINES
from mr_als.storage.local import LocalStorage
from mr_als.storage.mirror import mirror_of
from mr_als.storage.places import storage_of
from mr_als.training.checks import vanished
from mr_als.training.gates import Gates
from mr_als.training.half import Half
from mr_als.training.halves import Halves
from mr_als.training.passes import BEGINNINGS, resolve

# above this share of the objective of X = Y = 0 the factors have learnt nothing yet
LEARNT = 0.999
# share of the rank that may vanish without a warning
WASTED = 0.1


def train(
    logs: Sequence[str] | Source,
    model: str,
    options: Training,
    *,
    plays: str | Plays | None = None,
    engine: Engine = Engine(),
    restart: bool = False,
    rules: RunOptions = RunOptions(),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train on logs, or on plays, a prepared directory or one that is open, and publish the model; return its `model.json`.

    The same call goes on where a killed one stopped, and ends with the bytes of an undisturbed run.

    Raises
    ------
    GateError
        If the plays or the new model do not pass what `rules` ask of them; the published model stays.
    ResumeError
        If an unfinished run has other inputs or options, and `rules.on_change` is not "restart".
    """
    progress = progress or Progress(quiet=True)
    engine = engine.owned_by(model)
    storage_of(model).make_directory(model)
    with lock_of(model), contextlib.ExitStack() as until_done:
        gates = Gates(model, rules, progress)
        run = _unfinished(model, engine, discarded=restart, from_logs=bool(logs))
        data = _plays_of(plays, logs, engine, progress, options)
        if data:
            until_done.enter_context(reading(data))
        if _begin(run, describe(logs, data, options), rules.on_change, progress):
            progress.say(f"going on with the unfinished run in {run.directory}")
        given = data.directory if data else ""
        data = data or _prepare(run, logs, options, engine, progress)
        gates.check_size(data)
        choices = _choices_of(run, data, options, engine, progress, given)
        named = given or (str(logs) if isinstance(logs, Source) else ", ".join(logs))
        return _trained(Halves(run, data, options, engine, choices, progress), model, gates, rules.keep, named)


def _unfinished(model: str, engine: Engine, *, discarded: bool, from_logs: bool) -> Run:
    """Return the run of a model, in which there may be an unfinished one."""
    # tasks that see this machine's files alone have their work here, wherever the model is published
    run = Run.of(model if engine.form == LINES else mirror_of(model))
    # an unfinished run without finished plays holds nothing worth keeping: it does not bind this one
    if discarded or (from_logs and run.storage.size(run.path("plays", "plays.json")) < 0):
        run.remove()
    return run


def _trained(halves: Halves, model: str, gates: Gates, keep: int, named: str) -> dict[str, Any]:
    """Do what is done with plays, whose files messages call `named`; publish."""
    try:
        if halves.options.weights.feedback == "explicit":
            check_ratings(halves.plays, named)
        resolve(halves)
        return _alternate(halves, model, gates, keep)
    except BadInputError:
        halves.run.remove()  # nothing worth keeping: what comes next has other options
        raise


def _begin(run: Run, plan: dict[str, Any], on_change: str, progress: Progress) -> bool:
    """Begin a run, or go on with an unfinished one of the same plan; say whether there was one."""
    try:
        return run.start(plan)
    except (ResumeError, DamagedDataError) as error:
        if on_change != "restart":
            raise
        progress.say(f"beginning anew, as --on-change restart says: {error}")
        run.remove()
        return run.start(plan)


def describe(logs: Sequence[str] | Source, plays: Plays | None, options: Training) -> dict[str, Any]:
    """Describe the plan that a resumed run must share: inputs and options, but neither runner nor number of tasks."""
    ratings = options.weights.feedback == "explicit"
    inputs = identify(plays) if plays else fingerprint_of(logs, options.inputs, ratings=ratings)
    if options.loop.initial_factors:
        inputs |= fingerprint(LocalStorage().expand([options.loop.initial_factors]))
    if options.loop.warm_start:
        if options.loop.initial_factors:
            msg = "give either --initial-factors or --warm-start"
            raise UsageError(msg)
        inputs[f"{options.loop.warm_start}/model.json"] = Model.open(options.loop.warm_start).info["generation"]
    return {"inputs": inputs, "options": asdict(options)}


def _plays_of(
    plays: str | Plays | None, logs: Sequence[str] | Source, engine: Engine, progress: Progress, options: Training
) -> Plays | None:
    """Open the plays that are given, before a run is bound to them; None if there are logs, which the run prepares."""
    if bool(logs) == bool(plays):
        msg = "give either log files or --plays DIR"
        raise UsageError(msg)
    return open_plays(plays, engine, progress, options.plan.task_memory) if isinstance(plays, str) else plays


def _prepare(run: Run, logs: Sequence[str] | Source, options: Training, engine: Engine, progress: Progress) -> Plays:
    ratings = options.weights.feedback == "explicit"
    return prepare(logs, run.path("plays"), options.inputs, engine, progress, options.plan, options.solver.rank, ratings=ratings)


def _choices_of(run: Run, plays: Plays, options: Training, engine: Engine, progress: Progress, given: str) -> Choices:
    """Choose join and kernel, of which a resumed run keeps its own, and say what the run will take."""
    sizes = sizes_of(plays, options.solver.rank)
    begun = next((record for name in BEGINNINGS if (record := run.record(name))), {"kernel": ""})
    choices = choose(sizes, options.plan, engine.compiled_work, begun["kernel"])
    choices = replace(choices, expected=expect(sizes, choices, engine, not given))
    for line in choices_in_words(sizes, choices, given, engine.how.lasting and engine.on_cluster):
        progress.say(line)
    return choices


def _alternate(halves: Halves, model: str, gates: Gates, keep: int) -> dict[str, Any]:
    """Run the algorithm: initial items, then users and items in turn, then publish."""
    progress, loop = halves.progress, halves.options.loop
    last = halves.last_finished()
    if last is None:
        last = halves.solve(0, None)
    most = 2 * loop.max_iterations + 1
    while not (reason := finished(halves.history, loop)):
        progress.step(last.number, most, f"half {last.number + 1} of at most {most}")
        last = halves.solve(last.number + 1, last)
    progress.done()
    progress.say(f"stopped: {reason}")
    if advice := _wasted(halves, last):
        progress.warn(advice)
    users, items = last, halves.load(last.number - 1)
    if items is None:
        msg = f"{halves.run.directory}: the item factors of half {last.number - 1} are gone; start again with --restart"
        raise ModelError(msg)
    gates.check_error(users.entry, halves.options.weights, halves.auto)
    # what has a vector: users and items of which no play counts have none
    info = {**halves.describe(reason), "n_users": users.rows, "n_items": items.rows, "pairs": users.entry["pairs"]}
    info = publish(model, halves.run.name, halves.plays, users.factors, items.factors, info, keep)
    halves.run.remove()
    bad = os.path.join(model, "generations", info["generation"], "bad-lines.tsv")
    samples = f"; samples of bad lines in {bad}" if storage_of(bad).size(bad) >= 0 else ""
    size = f"{info['n_users']} users, {info['n_items']} items, rank {info['options']['solver']['rank']}"
    progress.say(f"published {model}: {size}{samples}")
    return info


def _wasted(halves: Halves, last: Half) -> str:
    """Warn if much of the rank vanished for a lambda that was given as a number; of another it is known before."""
    rank, weights = len(last.gram), halves.options.weights
    usable = min(rank, halves.plays.n_users, halves.plays.n_items)
    gone = vanished(last.gram) - (rank - usable)
    if weights.feedback == "explicit" or "sigma_1" in halves.auto or gone <= WASTED * usable:
        return ""
    return (
        f"warning: {gone} of {usable} dimensions have vanished: lambda {weights.regularization:g} is above their singular "
        "values, or the plays have no more of them; --regularization auto finds a lambda for all that there are"
    )


def finished(history: list[dict[str, Any]], loop: LoopOptions) -> str:
    """Say why training is over, or an empty string: only after a user half, see the module's docstring."""
    if not history or history[-1]["solved"] != "users":
        return ""
    last = history[-1]
    if last["iteration"] >= loop.max_iterations:
        learnt = last["to_zero_model"] ** 2 < 1
        return f"{loop.max_iterations} iterations done" + (
            "" if learnt else ", and the regularization is too large: nothing was learnt"
        )
    if len(history) < 3:
        return ""
    before = history[-3]["wrmse"]
    text = loop.tolerance
    bound = float(text[:-1]) / 100 * before if text.endswith("%") else float(text)
    if abs(last["wrmse"] - before) >= bound:
        return ""
    if last["objective"] > LEARNT * last["zero_objective"]:
        # near X = Y = 0 changes are small at first too, and an objective still above that of zero falls on, perhaps below it
        there = abs(last["objective"] - last["zero_objective"]) <= 1e-9 * last["zero_objective"]
        return "regularization too large: the factors vanish" if there else ""
    return f"the weighted RMSE changed by less than {text}"
