"""What became of the lines of logs: bad ones and their samples, a sum of all, windows of time that did nothing, no play at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mr_als.engine.outputs import lasts
from mr_als.errors import BadInputError
from mr_als.logs.badlines import LATE, OTHER_HEADER, BadLines, numbered, quarantine_table
from mr_als.logs.tally import HEADER, NOBODY, OUTSIDE, SHORT, ZERO
from mr_als.logs.times import in_words, parse_moment
from mr_als.options import InputOptions, check_times
from mr_als.progress import Progress

if TYPE_CHECKING:
    from mr_als.storage.storage import Storage

__all__ = ["check_lines", "check_usable", "tell_lines"]


def check_lines(info: dict[str, Any], options: InputOptions, quarantine: str, storage: Storage) -> str:
    """Write the quarantine file; give what is to be said of bad lines.

    Raises
    ------
    BadInputError
        If there are too many bad lines.
    """
    bad = BadLines.from_dict(info["bad"])
    n_lines, n_bad = info["counts"]["lines"], sum(bad.counts.values())
    storage.replace(quarantine, quarantine_table(bad, info["lines"]).encode("utf-8", "surrogateescape"))
    limit = options.max_bad_lines
    allowed = float(limit[:-1]) / 100 * n_lines if limit.endswith("%") else float(limit)
    for path, line, sample in numbered(bad, info["lines"]):
        if sample.reason == LATE:
            msg = (
                f"{path}, record {line}: it names {sample.field}, which none of the first records does, so what those mean is not "
                "known; say which names count with --columns: a record without one of them is a bad line then"
            )
            raise BadInputError(msg)
        if sample.reason == OTHER_HEADER:
            msg = (
                f"{path}, line {line}: it names other columns than the first lines have, so what follows is not known: "
                f"{sample.text!r}; cut the file in two there"
            )
            raise BadInputError(msg)
    reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(bad.counts.items()))
    example = "".join(
        f", such as {path}, line {line}: {one.text[:80]!r}" for path, line, one in [*numbered(bad, info["lines"])][:1]
    )
    if n_bad > allowed:
        see = f"; see {quarantine}" if lasts(quarantine) else example
        msg = f"{n_bad} of {n_lines} lines are bad ({reasons}), more than --max-bad-lines {limit}{see}"
        raise BadInputError(msg)
    see = f"; samples in {quarantine}" if lasts(quarantine) else example
    return f"{n_bad} of {n_lines} lines are bad ({reasons}) and left out{see}" if n_bad else ""


def tell_lines(info: dict[str, Any], options: InputOptions, progress: Progress, command: str) -> None:
    """Say what became of all lines, and where a window of time did nothing."""
    for text in windows_said(info, options):
        progress.warn(f"warning: {command}: {text}")
    progress.say(f"{command}: {lines_said(info)}")


def lines_said(info: dict[str, Any]) -> str:
    """Say what became of all lines: a sum."""
    n_lines, n_bad = info["counts"]["lines"], sum(info["bad"]["counts"].values())
    others = {name: info["others"][name] for name in (SHORT, OUTSIDE, NOBODY, ZERO, HEADER) if name in info["others"]}
    others |= {"bad": n_bad} if n_bad else {}
    n_plays = n_lines - sum(others.values())
    return f"{n_lines} lines = {' + '.join([f'{n_plays} plays', *(f'{n} {name}' for name, n in others.items())])}"


def windows_said(info: dict[str, Any], options: InputOptions) -> Iterator[str]:
    """Say where a window of time leaves out nothing or all, with the first and last time read."""
    given = {f"--{name.replace('_', '-')}": getattr(options, name) for name in ("since", "until", "as_of")}
    given = {flag: text for flag, text in given.items() if text}
    if not given or not info["times"]:
        return
    first, last = info["times"]
    since, until = check_times(options, parse_moment)
    as_of = parse_moment(options.as_of) if options.as_of else None
    # whether the first and the last one are left in
    inside = {
        "--since": since is not None and (first >= since, last >= since),
        "--until": until is not None and (first < until, last < until),
        "--as-of": as_of is not None and (first <= as_of, last <= as_of),
    }
    for flag, text in given.items():
        if (ends := inside[flag]) and ends[0] == ends[1]:
            what = "nothing" if ends[0] else "everything"
            yield f"{flag} {text} leaves out {what}: times are from {in_words(first)} to {in_words(last)}"


# which option it is that leaves lines out, by what is said of them
_BY = {
    SHORT: "shorter than --min-ms-played",
    OUTSIDE: "by --since, --until or --as-of",
    NOBODY: "take another column by --columns",
    ZERO: "is it the right column of plays? See --columns",
    "bad": "samples are in the file bad-lines.tsv; see --columns",
    "of users or items below a threshold": "--min-user-plays, --min-item-plays",
}


def check_usable(info: dict[str, Any], plays: float) -> None:
    """Raise BadInputError if the lines hold no plays that count, and name what left them out."""
    if plays:
        return
    n_lines, lost = info["counts"]["lines"], {**info["others"], "bad": sum(info["bad"]["counts"].values())}
    lost["of users or items below a threshold"] = n_lines - sum(lost.values())
    reasons = "; ".join(f"{n} {name}{f' ({_BY[name]})' if name in _BY else ''}" for name, n in lost.items() if n)
    msg = f"no usable play in {n_lines} lines{': ' if reasons else ''}{reasons}"
    raise BadInputError(msg)
