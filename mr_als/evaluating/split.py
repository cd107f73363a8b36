"""Split play logs into training, validation and test parts: the driver of `jobs/mr_split.py`.

    <part>/part-00000.tsv ...              lines `user TAB item TAB plays`: each part can be given as LOGS again
    <part>/_fold_in/part-00000.tsv ...     by users: what the model may see of held-out users; a name that LOGS skips
    <part>/_split.json                     how it was made

Each directory appears whole, the training part last.
"""

from __future__ import annotations

import itertools
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import Any

from mr_als.engine.datasets import read_parts
from mr_als.engine.engine import Engine, Job
from mr_als.engine.outputs import new_output, scratch
from mr_als.errors import BadInputError, UsageError
from mr_als.logs.times import parse_moment
from mr_als.options import TASK_MEMORY, InputOptions, SplitOptions
from mr_als.plays.partition import PARTS
from mr_als.preparing.became import check_lines, check_usable, tell_lines
from mr_als.preparing.ingesting import count_blocks
from mr_als.preparing.inputs import Understood, check_engine, find_layouts, log_arguments
from mr_als.preparing.log_files import Logs, by_archive, place_of, unpacking
from mr_als.progress import Progress
from mr_als.records.blocks import STRENGTH_UNIT, unpack
from mr_als.storage.places import storage_of

__all__ = ["FOLD_IN", "split"]

# held-out users' items that may be seen; LOGS skips names that begin with an underscore
FOLD_IN = "_fold_in"


def split(
    logs: Sequence[str],
    outputs: dict[str, str],
    rule: SplitOptions,
    inputs: InputOptions,
    engine: Engine,
    progress: Progress,
    task_memory: int = TASK_MEMORY,
    *,
    ratings: bool = False,
) -> dict[str, Any]:
    """Split logs into the directories `outputs`, by part: "train", "test" and perhaps "validation"; give what is in them.

    With `ratings` logs may hold ratings instead of plays.

    Raises
    ------
    UsageError
        If a directory exists, or the rule does not fit the logs.
    BadInputError
        If there is no usable line, too many bad ones, or a part is empty.
    """
    engine.check_place(*logs, *outputs.values())
    check_apart(outputs)
    named = Logs.of(logs, engine.form)
    with ExitStack() as stack:
        work = stack.enter_context(scratch("mr-als-split-"))
        stack.enter_context(unpacking(work))
        found = named.unpacked(work)
        understood = find_layouts(found.paths, inputs, ratings=ratings, scratch=place_of(work))
        check_engine(understood, engine)
        found = found.understood(understood.kinds, understood.left_out)
        found.tell(progress, "split")
        paths = found.paths
        cuts = check_rule(rule, understood, with_validation="validation" in outputs)
        directories = {part: stack.enter_context(_whole(part, path)) for part, path in sorted(outputs.items())}
        place = stack.enter_context(engine.workplace(outputs["train"], work))
        understood.tell(progress, "split")
        progress.say(f"split: {len(paths)} log file(s), by {rule.by}, job mr_split on {engine.runner}")
        arguments = [*log_arguments(inputs, understood), *_arguments(rule, cuts, "validation" in outputs)]
        arguments.append(f"--user-blocks={count_blocks(found, inputs, task_memory)[0]}")
        job = Job("mr_split", [found], arguments, task_memory=task_memory)
        info = by_archive(lay_down(engine.run(job, place).parts, engine.form, directories), work)
        _check(info, outputs, inputs, progress)
        made = {"inputs": named.fingerprint(), "rule": asdict(rule), "options": asdict(inputs), "totals": info}
        for directory in directories.values():
            storage_of(directory).replace(os.path.join(directory, "_split.json"), json.dumps(made, indent=1).encode())
    return info


def _check(info: dict[str, Any], outputs: dict[str, str], inputs: InputOptions, progress: Progress) -> None:
    """Say what became of the lines, and check that there are plays in each part.

    Raises
    ------
    BadInputError
        If there are none, or too many bad lines.
    """
    # beside the training part, where it stays when the split is refused
    quarantine, storage = f"{outputs['train'].rstrip('/')}-bad-lines.tsv", storage_of(outputs["train"])
    if said := check_lines(info, inputs, quarantine, storage):
        progress.say(f"split: {said}")
    else:
        storage.remove(quarantine)
    tell_lines(info, inputs, progress, "split")
    check_usable(info, sum(info[part]["plays"] for part in PARTS))
    check_parts(info, outputs)


def check_apart(outputs: dict[str, str]) -> None:
    """Check that each part has a directory of its own.

    Raises
    ------
    UsageError
        If one is that of another part, or lies in it.
    """
    places = {part: storage_of(path).absolute(path).rstrip("/") + "/" for part, path in outputs.items()}
    for (part, place), (other, within) in itertools.permutations(places.items(), 2):
        if within.startswith(place):
            msg = f"--{other} {outputs[other]} is in the directory of --{part} {outputs[part]}; name one for each part"
            raise UsageError(msg)


def check_rule(rule: SplitOptions, understood: Understood, *, with_validation: bool) -> list[float]:
    """Check that the rule fits the logs; give the cut-offs, ascending.

    Raises
    ------
    UsageError
        If not.
    """
    timed = rule.by in ("time", "last")
    if timed and (other := understood.without("timestamp")):
        columns = ", ".join(other.layout.columns)
        msg = f"--by {rule.by} needs a timestamp, but the columns are {columns} in {other.path}; use --by random or users"
        raise UsageError(msg)
    return cuts_of(rule, with_validation=with_validation)


def cuts_of(rule: SplitOptions, *, with_validation: bool) -> list[float]:
    """Read the cut-offs of a rule, ascending.

    Raises
    ------
    UsageError
        If they are not those that it needs.
    """
    wanted = ["validation_cut", "cut"] if with_validation else ["cut"]
    cuts = []
    for name in ("validation_cut", "cut"):
        flag, text = f"--{name.replace('_', '-')}", getattr(rule, name)
        if (rule.by == "time" and name in wanted) != bool(text):
            msg = f"{flag} goes with --by time{' and --validation' if name == 'validation_cut' else ''}, and is required there"
            raise UsageError(msg)
        try:
            cuts += [parse_moment(text)] if text else []
        except ValueError:
            msg = f"{flag}: {text!r} is not a time such as 2024-03-07 or 2024-03-07T12:00:00Z"
            raise UsageError(msg) from None
    if cuts != sorted(set(cuts)):
        msg = f"--validation-cut {rule.validation_cut} is not before --cut {rule.cut}"
        raise UsageError(msg)
    return cuts


def _arguments(rule: SplitOptions, cuts: Sequence[float], validation: bool) -> list[str]:
    arguments = [f"--by={rule.by}", f"--share={rule.share}", f"--last={rule.last}", f"--seed={rule.seed}"]
    return arguments + [f"--cut={cut}" for cut in cuts] + ["--with-validation"] * validation


@contextmanager
def _whole(part: str, path: str) -> Iterator[str]:
    """Yield a directory to write to, which becomes `path` if all goes well."""
    storage, scratch = storage_of(path), f"{path.rstrip('/')}.{uuid.uuid4().hex[:8]}.new"
    storage.make_directory(scratch)  # and its parents, which the lock needs
    try:
        with new_output(f"--{part}", path):
            yield scratch
            storage.rename(scratch, path)
    finally:
        storage.remove(scratch)


def lay_down(parts: Sequence[str], form: str, directories: dict[str, str]) -> dict[str, Any]:
    """Write the lines of each part, one file a block, and add up the totals."""
    places = dict(directories) | {
        f"{part}_fold_in": os.path.join(path, FOLD_IN) for part, path in directories.items() if part != "train"
    }
    totals = {name: [0, 0, 0] for name in (*PARTS, "replays", "undivided")}
    info: dict[str, Any] = {}
    for record in read_parts(parts, form):
        if record.kind in places:
            storage = storage_of(places[record.kind])
            storage.make_directory(places[record.kind])
            storage.write(os.path.join(places[record.kind], f"part-{record.block:05d}.tsv"), unpack(record.payload)[0].tobytes())
        elif record.kind == "total":
            for name, numbers in json.loads(bytes(record.payload)).items():
                totals[name] = [a + b for a, b in zip(totals[name], numbers, strict=True)]
        elif record.kind == "bad":
            info |= json.loads(bytes(record.payload))
    for name, (users, pairs, units) in totals.items():
        info[name] = {"users": users, "pairs": pairs, "plays": units / STRENGTH_UNIT}
    return info


def check_parts(info: dict[str, Any], outputs: dict[str, str]) -> None:
    """Check that no part is empty.

    Raises
    ------
    BadInputError
        If one is.
    """
    for part in outputs:
        if not info[part]["pairs"]:
            msg = f"--{part}: no pair is in this part ({info['train']['pairs']} are in the training part); choose another rule"
            raise BadInputError(msg)
