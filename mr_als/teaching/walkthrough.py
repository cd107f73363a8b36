"""The sections of the example in their order, and their text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mr_als.errors import UsageError
from mr_als.teaching import beyond, first_half, training
from mr_als.teaching.lesson import Lesson, Section

SECTIONS: tuple[Section, ...] = (*first_half.SECTIONS, *training.SECTIONS, *beyond.SECTIONS)


def titles() -> Iterator[str]:
    """Give a line for each section."""
    width = max(len(section.name) for section in SECTIONS)
    return (f"{section.name.ljust(width)}  {section.title}" for section in SECTIONS)


def choose(names: Sequence[str] | None) -> Sequence[Section]:
    """Give the sections named, or all.

    Raises
    ------
    UsageError
        If there is no section of that name.
    """
    known = {section.name: section for section in SECTIONS}
    if unknown := [name for name in names or () if name not in known]:
        msg = f"--only {unknown[0]}: no such section; there are {', '.join(known)}"
        raise UsageError(msg)
    return [known[name] for name in names] if names else SECTIONS


def text_of(lesson: Lesson, chosen: Sequence[Section]) -> Iterator[str]:
    """Give the lines of sections; with headings if there are several."""
    for number, section in enumerate(chosen, 1):
        if len(chosen) > 1:
            yield from ("", f"{number}. {section.title}", "")[number == 1 :]
        yield from section.write(lesson)
