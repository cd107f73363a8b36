"""Draw the pictures of the documentation, as SVG in plain Python; numbers and names in them come from the walkthrough.

python docs/pictures/make.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from drawing import Drawing
from machines import joins, loop, mapreduce
from measured import convergence, curves
from vectors import matrices, parabola, vectors

HERE = Path(__file__).resolve().parent
MEASURED = HERE.parents[1] / "benchmarks" / "curves.json"

PICTURES: dict[str, Callable[[], Drawing]] = {
    draw.__name__: draw for draw in (mapreduce, joins, loop, matrices, vectors, parabola, convergence)
}

if MEASURED.exists():
    PICTURES["curves"] = lambda: curves(json.loads(MEASURED.read_text(encoding="utf-8")))

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (HERE / f"{name}.svg").write_text(draw().svg(), encoding="utf-8")
