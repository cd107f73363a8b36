"""The halves of a run: each is a job, its checks, and a record with which it counts: the checkpoint from which a run resumes.

Half 0 writes initial item factors; halves 1, 3, 5 ... solve the users, halves 2, 4, 6 ... the items. Which one comes next is
decided in `mr_als.training.train`.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from mr_als.engine.engine import Data, Engine, Job
from mr_als.engine.runs import Run
from mr_als.errors import DamagedDataError
from mr_als.options import Training, to_arguments
from mr_als.planning.choices import Choices
from mr_als.planning.plan import took
from mr_als.preparing.plays import Plays
from mr_als.progress import Progress, what_a_half_does
from mr_als.records.blocks import FACTORS, SIDES
from mr_als.training.checks import check_half
from mr_als.training.fixed_side import write_fixed, write_initial
from mr_als.training.half import Half, collect, in_a_line, sides_of, written


class Halves:
    """The halves of one run: runs them, checks them, and remembers those that count."""

    KIND = "half"
    check = staticmethod(check_half)

    def __init__(self, run: Run, plays: Plays, options: Training, engine: Engine, choices: Choices, progress: Progress) -> None:
        self.run, self.plays, self.options, self.engine, self.progress = run, plays, options, engine, progress
        self.choices = choices
        self.history: list[dict[str, Any]] = []
        # where numbers of the weights are from that were not given (`mr_als.training.passes`)
        self.auto: dict[str, Any] = {}

    @classmethod
    def name_of(cls, number: int) -> str:
        """Name the attempts and the record of half `number`."""
        return f"{cls.KIND}-{number:03d}"

    def describe(self, reason: str) -> dict[str, Any]:
        """Describe the run as `model.json` records it."""
        chosen = self.choices
        plan = {"join": chosen.join, "why": chosen.why, "blocks": self.plays.info["blocks"], "kernel": chosen.kernel}
        foretold, actual = took(self.history, self.engine.how.runs_here)
        plan |= {"expected": {**chosen.expected, **foretold}, "actual": actual}
        lines = {"counts": self.plays.info["counts"], "bad": self.plays.info["bad"]["counts"]}
        # the plays may have been prepared with other input options, of which the salt says where an id is
        options = {**asdict(self.options), "inputs": self.plays.info["options"]}
        keys = {"options": options, "plan": plan, "inputs": self.plays.info["inputs"], "lines": lines}
        if self.auto:
            keys["auto"] = self.auto
        # what a program gave may name users and items by numbers
        keys |= {"ids": self.plays.info["ids"]} if "ids" in self.plays.info else {}
        return {**keys, "seed": self.options.solver.seed, "stopped": reason, "history": self.history}

    def last_finished(self) -> Half | None:
        """Find where a killed run stopped: the last half that counts and whose files are whole."""
        number = 0
        while (record := self.run.record(self.name_of(number))) is not None:
            if number:
                self.history.append(record["entry"])
            number += 1
        for candidate in (number - 1, number - 2):
            half = self.load(candidate)
            if half is None:
                break
            try:
                half.factors.check()
            except DamagedDataError as error:
                self.progress.say(f"{self.KIND} {candidate} is damaged and done again: {error}")
                self.run.forget(self.name_of(candidate))
                self.history = self.history[: max(candidate - 1, 0)]
                continue
            return half
        if number > 2:
            msg = f"{self.run.directory}: the last two halves are damaged; start again with --restart"
            raise DamagedDataError(msg)
        return None

    def load(self, number: int) -> Half | None:
        """Load a half that counts; None if there is none."""
        record = self.run.record(self.name_of(number)) if number >= 0 else None
        if record is None:
            return None
        return Half.from_json(number, record, self.engine, self.run.path(record["attempt"]))

    def solve(self, number: int, fixed: Half | None) -> Half:
        """Run half `number` against the `fixed` side's last half; it counts once its record is written."""
        started = time.monotonic()
        plays: Data = getattr(self.plays, sides_of(number)[0])
        self._announce(number)
        directory = self.run.attempt(self.name_of(number))
        inputs = [plays, fixed.factors] if fixed and self.choices.join == "shuffle" else [plays]
        arguments = self._arguments(number, directory, fixed)
        memory = self.options.plan.task_memory
        job = Job("mr_solve", inputs, arguments, kinds=[FACTORS], written=written, task_memory=memory)
        output = self.engine.run(job, directory)
        half = collect(number, output, plays, fixed, started)
        if self.history:
            self.check(self.history[-1], half.entry)
        self._commit(half, directory)
        return half

    def _arguments(self, number: int, directory: str, fixed: Half | None) -> list[str]:
        """Write what the job needs beside the plays, and list its arguments."""
        solved, other = sides_of(number)
        # all blocks, not only those that hold a row: the number decides which block a hash belongs to
        fixed_blocks = self.plays.info["blocks"][SIDES.index(other)]
        n_fixed = fixed.rows if fixed else getattr(self.plays, f"n_{other}")
        arguments = [f"--solved={solved}", f"--n-fixed={n_fixed}", f"--fixed-blocks={fixed_blocks}"]
        arguments += self._beside(directory, fixed)
        arguments += [f"--join={self.choices.join}", f"--kernel={self.choices.kernel}", f"--threads={self.engine.threads}"]
        return [*arguments, *to_arguments(self.options.solver), *to_arguments(self.options.weights)]

    def _announce(self, number: int) -> None:
        """Say what is done first."""
        if words := what_a_half_does(number, *sides_of(number), self.choices.join):
            self.progress.say(words)

    def _beside(self, directory: str, fixed: Half | None) -> list[str]:
        """Write the files of a half beside the plays, and list the arguments that name them."""
        options = self.options
        if fixed is not None:
            return write_fixed(self.run.storage, directory, fixed, self.choices.join)
        salt = self.plays.info["options"]["salt"]
        return ["--init=items", *write_initial(self.run.storage, directory, options.loop, options.solver.rank, salt)]

    def _report(self, half: Half) -> None:
        """Say what came out."""
        if half.number:
            self.progress.say(in_a_line(half.entry), "half", **half.entry)

    def _commit(self, half: Half, directory: str) -> None:
        """Let a half count, and clean away what it supersedes."""
        if half.number > 0:
            self.history.append(half.entry)
        self.run.commit(self.name_of(half.number), half.to_json(directory, self.choices.kernel))
        if half.number >= 2:
            self.run.clean(self.name_of(half.number - 2))
        self._report(half)
