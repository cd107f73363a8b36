"""The example as an interactive page: one self-contained HTML file that calculates in the browser and needs no network.

Its parts are the files in `page/`: the page, its style sheet and its scripts, readable as they are. What only Python knows is
given to them as JSON: the matrix, in which blocks its ids fall, and the constants of the cost model. Each script does what
Python code does, against which tests/teaching/test_interactive.py holds it.

    model.js      mr_als.maths.reference       records.js    the records of mr_als.teaching.trace and full_grid
    cost.js       mr_als.planning.estimate     draw.js       elements, arrows and curves
    lesson.js, machines.js, industry.js        what is shown, and what happens when one touches it
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import numpy as np

from mr_als.planning.estimate import BASE64, REPLICAS
from mr_als.teaching.industry import CASES, HEADER, INDUSTRY, Assumptions
from mr_als.teaching.lesson import Lesson
from mr_als.teaching.trace import SHARED, Traced

__all__ = ["interactive_page"]

_PARTS = files("mr_als.teaching").joinpath("page")
SCRIPTS = ("model", "records", "cost", "draw", "lesson", "machines", "industry")


def interactive_page(lesson: Lesson) -> str:
    """Render the page for a lesson: HTML with everything in it."""
    parts = {
        "style": _PARTS.joinpath("page.css").read_text(encoding="utf-8"),
        "script": "\n".join(_PARTS.joinpath(f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS),
        # a name of the matrix must not end the element
        "data": json.dumps(page_data(lesson)).replace("<", "\\u003c"),
    }
    page = _PARTS.joinpath("page.html").read_text(encoding="utf-8")
    for name, text in parts.items():
        page = page.replace(f"{{{name}}}", text)
    return page


def page_data(lesson: Lesson) -> dict[str, Any]:
    """Collect what the scripts have to know of a lesson and of the Python code."""
    users, items, plays = lesson.matrix
    return {
        "users": users,
        "items": items,
        "plays": plays.tolist(),
        "start": lesson.start.tolist(),
        "alpha": lesson.alpha,
        "lambda": lesson.regularization,
        "user": lesson.user,
        "tolerance": lesson.tolerance,
        "maxIterations": lesson.max_iterations,
        "layout": layout(lesson),
        "shared": SHARED,
        "known": {
            "base64": BASE64,
            "replicas": REPLICAS,
            "scale": {**INDUSTRY._asdict()},
            "cases": {name: case(a) for name, a in zip(HEADER[1:], CASES, strict=True)},
        },
    }


def layout(lesson: Lesson) -> dict[str, Any]:
    """Say for each side where its ids lie: their order by hash, and the places of each block's members."""
    traced, found = Traced(lesson), {}
    for side, names in (("users", lesson.matrix.users), ("items", lesson.matrix.items)):
        members = [[names.index(name) for name in block] for block in traced.blocks(names)]
        found[side] = {"names": names, "order": np.argsort(traced.hashes(names)).tolist(), "members": members}
    return found


def case(a: Assumptions) -> dict[str, float]:
    """List the assumptions of a case, those about the cluster among them."""
    cluster = {name: getattr(a.cluster, name) for name in a.cluster.__dataclass_fields__ if name != "price_per_node_hour"}
    return {**{name: value for name, value in a._asdict().items() if name != "cluster"}, **cluster}
