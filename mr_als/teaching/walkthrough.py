"""The sections of the example in their order, and their text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mr_als.errors import UsageError
from mr_als.teaching import beyond, first_half, industry, spark, trace_text, training
from mr_als.teaching.lesson import Lesson, Section
from mr_als.teaching.using import practice, real_job

SECTIONS: tuple[Section, ...] = (
    *first_half.SECTIONS,
    *training.SECTIONS,
    *beyond.SECTIONS,
    *practice.SECTIONS,
    *real_job.SECTIONS,
)
TRACE: tuple[Section, ...] = (*trace_text.SECTIONS, *spark.SECTIONS, *industry.SECTIONS)


def titles(sections: Sequence[Section] = SECTIONS) -> Iterator[str]:
    """Yield one line per section."""
    width = max(len(section.name) for section in sections)
    return (f"{section.name.ljust(width)}  {section.title}" for section in sections)


def choose(names: Sequence[str] | None, sections: Sequence[Section] = SECTIONS) -> Sequence[Section]:
    """Select the named sections, or all.

    Raises
    ------
    UsageError
        If there is no section of that name.
    """
    known = {section.name: section for section in sections}
    if unknown := [name for name in names or () if name not in known]:
        msg = f"--only {unknown[0]}: no such section; there are {', '.join(known)}"
        raise UsageError(msg)
    return [known[name] for name in names] if names else sections


def text_of(lesson: Lesson, chosen: Sequence[Section]) -> Iterator[str]:
    """Yield the lines of sections, with headings if there are several."""
    for number, section in enumerate(chosen, 1):
        if len(chosen) > 1:
            yield from ("", f"{number}. {section.title}", "")[number == 1 :]
        yield from section.write(lesson)
