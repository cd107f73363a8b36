"""Plays that grow: a directory of segments, each made of some logs. What is trained on is their sum.

<directory>/segments.json   which segments there are, and all about them; replaced in one step
<directory>/<attempt>/      the files of a segment, from which no threshold has left anything out; of a run of them; of the sum
<directory>/plays.json      the sum, made when it is asked for (`mr_als.preparing.summing`)
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from mr_als.engine.runs import crash_point
from mr_als.errors import DamagedDataError, UsageError
from mr_als.logs.meaning.columns import differ
from mr_als.options import InputOptions, flag_of
from mr_als.storage.ours import NUMBER, Kind, parsed
from mr_als.storage.places import storage_of

__all__ = [
    "FORMAT",
    "Segments",
    "check_names",
    "check_options",
    "of_segments",
    "read_info",
    "read_segments",
    "refuse_segments",
    "write_segments",
]

FORMAT = 1
# what readers rely on, of each segment or run and of all
_SEGMENT: dict[str, Any] = {
    "attempt": str, "n_users": int, "n_items": int, "pairs": int, "plays": NUMBER, "blocks": [int], "inputs": dict,
    "users": dict, "items": dict, "bad": {"counts": dict}, "counts": {"lines": int}, "lines": dict, "others": dict,
}  # fmt: skip
_FIELDS: dict[str, Any] = {
    "options": {"salt": int, "duplicates": str, "user_blocks": str, "item_blocks": str}
    | {"min_user_plays": NUMBER, "min_item_plays": NUMBER},
    "ratings": bool,
    "blocks": [int, ...],
    "each": [_SEGMENT, ...],
    "runs": [_SEGMENT, ...],
    "dropped": dict,
}
_KIND = Kind(FORMAT, _FIELDS, "prepare the logs again, into another directory", DamagedDataError)
# what the sum is asked, not the segments
THRESHOLDS = ("min_user_plays", "min_item_plays")
BLOCKS = ("user_blocks", "item_blocks")
# how logs are read, which may be another thing each time
READING = ("format", "columns", "delimiter", "time_unit", "max_bad_lines")


@dataclass(frozen=True)
class Segments:
    """The segments of a plays directory.

    options, ratings : what all were prepared with, as in `plays.json`; the thresholds and `blocks` are those of the sum
    each : what is known of each segment, in the order of adding
    runs : likewise of the sums of some neighbours, which are in `of`: there are fewer of them to be added up
    dropped : fingerprints of logs whose segments were taken away, so that they do not come back
    """

    options: dict[str, Any]
    ratings: bool
    blocks: list[int]
    each: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    dropped: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names of the segments' attempts."""
        return [one["attempt"] for one in self.each]

    @property
    def parts(self) -> list[dict[str, Any]]:
        """What has to be added up: the longest runs, and the segments that are in none of them, in the order of adding."""
        of = {name: one for one in self.each for name in of_segments(one)}
        for run in sorted(self.runs, key=lambda run: len(run["of"])):
            if all(name in of for name in run["of"]):
                of |= dict.fromkeys(run["of"], run)
        parts = list({one["attempt"]: one for one in of.values()}.values())
        if sum(len(of_segments(one)) for one in parts) != len(self.each):
            msg = "segments.json is damaged: a segment is in two runs; prepare the logs anew, into another directory"
            raise DamagedDataError(msg)
        return parts

    @property
    def inputs(self) -> dict[str, Any]:
        """Fingerprints of all logs that are in."""
        return {path: mark for one in self.each for path, mark in one["inputs"].items()}

    @property
    def thresholds(self) -> tuple[float, float]:
        """The plays of users and items below which the sum leaves them out."""
        return self.options["min_user_plays"], self.options["min_item_plays"]


def of_segments(part: dict[str, Any]) -> list[str]:
    """Return the names of the segments that a part is the sum of."""
    return list(part.get("of", [part["attempt"]]))


def read_segments(directory: str) -> Segments | None:
    """Read the segments of a plays directory; None if it has none: it was prepared at once.

    Raises
    ------
    DamagedDataError
        If they cannot be read, or were written by a version that this one does not know.
    """
    path = os.path.join(directory, "segments.json")
    if (found := storage_of(directory).read(path)) is None:
        return None
    info = parsed(found, path, _KIND)
    return Segments(**{one.name: info[one.name] for one in fields(Segments)})


def write_segments(directory: str, segments: Segments, step: str) -> None:
    """Let the segments count from now on; `step` names what was done, for tests of what a kill there leaves."""
    text = json.dumps({"format": FORMAT, **vars(segments)}, indent=1)
    crash_point(f"before-{step}")
    storage_of(directory).replace(os.path.join(directory, "segments.json"), text.encode())
    crash_point(f"after-{step}")


def read_info(directory: str) -> dict[str, Any]:
    """Read `plays.json`; empty if there is none, or it is torn."""
    try:
        found = json.loads(storage_of(directory).read(os.path.join(directory, "plays.json")) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def refuse_segments(directory: str) -> None:
    """Raise UsageError if logs were added to a plays directory, which preparing others would undo."""
    if (segments := read_segments(directory)) is not None:
        msg = (
            f"{directory} holds plays of {len(segments.inputs)} logs that were added with --add; add these to them with --add, "
            "or name another directory"
        )
        raise UsageError(msg)


def check_options(segments: Segments, options: InputOptions, directory: str, *, ratings: bool, reads: bool) -> None:
    """Check that what is asked for is what the segments were made with; if no logs are read, only what is no default.

    Raises
    ------
    UsageError
        If an option differs that would make the sum another one than that of all logs prepared at once.
    """
    defaults = asdict(InputOptions())
    before = {**defaults, **segments.options}  # what an older version did not have was as it is by default
    for name, now in asdict(options).items():
        asked = now != before[name] if reads else now not in (defaults[name], before[name])
        if name in BLOCKS:
            asked = asked and now not in ("auto", str(segments.blocks[BLOCKS.index(name)]))
        if not asked or (name in READING and reads):
            continue
        if name in BLOCKS:
            n_blocks = segments.blocks[BLOCKS.index(name)]
            what = f"{directory} has {n_blocks}; change it with `mr-als prepare --plays {directory} --replan`"
        else:
            what = (
                f"the plays in {directory} were made with {before[name] or 'none'!r}; use the same, or prepare all logs again into "
                f"another directory{_WHY.get(name, '')}"
            )
        msg = f"{flag_of(name)} {now or 'none'}: {what}"
        raise UsageError(msg)
    if (ratings != segments.ratings) and (reads or ratings):
        msg = f"{directory} was made {'with' if segments.ratings else 'without'} --feedback explicit; give the same"
        raise UsageError(msg)


_DECAYED = ": strengths are rounded as they are at that moment, and cannot be carried to another one exactly"
_WHY = {"as_of": _DECAYED, "half_life": _DECAYED}


def check_names(segments: Segments, names: dict[str, str], directory: str) -> None:
    """Raise UsageError if new logs call users or items what means another thing than in the logs before."""
    for column, name in names.items():
        for one in segments.each:
            known = one.get("names", {}).get(column, "")
            if known and differ(column, name, known):
                msg = (
                    f"the {column} of the new logs is {name!r}, in {directory} it is {known!r}; say what is meant with --columns, "
                    "or prepare the new ones into another directory"
                )
                raise UsageError(msg)
