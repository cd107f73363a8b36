"""Read a log as a map task does, without a job: for tests of formats."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from mr_als.logs.badlines import BadLines
from mr_als.logs.formats import read_chunks
from mr_als.logs.logs import Filter
from mr_als.logs.parse import parse_chunk
from mr_als.logs.times import parse_moment
from mr_als.options import InputOptions, check_decay, check_times
from mr_als.preparing.inputs import find_layouts


class Read(NamedTuple):
    """What is in a log: (user, item, plays) of each play, (line, reason, column) of each bad line, and numbers of lines."""

    plays: list
    bad: list
    lines: int
    left_out: int


def read(path, *, step=None, ratings=False, **options):
    """Read a log in ranges of `step` bytes, by the input options given."""
    options = InputOptions(**options)
    layout = find_layouts([str(path)], options, ratings=ratings).layouts[0]
    wanted = Filter(
        options.min_ms_played, *check_times(options, parse_moment), *(check_decay(options, parse_moment) or (None, None))
    )
    size = Path(path).stat().st_size
    plays, bad, n_lines, left_out = [], [], 0, 0
    for offset in range(0, size, step or size):
        found, before = BadLines(), n_lines
        for chunk in read_chunks(str(path), offset, min(step or size, size - offset), layout):
            parsed = parse_chunk(chunk, layout, wanted, found, "log@0", n_lines - before)
            text = parsed.buffer.tobytes()
            users, items = ([text[s : s + n].decode() for s, n in zip(*side, strict=True)] for side in (parsed.users, parsed.items))
            plays += zip(users, items, [1.0] * len(users) if parsed.amounts is None else parsed.amounts.tolist(), strict=True)
            n_lines += parsed.lines
            left_out += parsed.filtered
        bad += [(before + sample.line, sample.reason, sample.field) for sample in found.samples]
    return Read(plays, sorted(bad), n_lines, left_out)
