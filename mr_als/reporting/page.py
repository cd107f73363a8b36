"""The report: one self-contained HTML page, section by section.

Every chart has a caption that says how to read it.

It is long because of its texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from mr_als.maths.array import Array
from mr_als.records.blocks import SIDES
from mr_als.reporting.charts import STYLE, Series, bar_chart, line_chart, number, point_chart

if TYPE_CHECKING:
    from mr_als.api.model import Id, Model

__all__ = ["report"]

# users shown with their recommendations, and items a user
SHOWN_USERS, SHOWN_ITEMS, SHOWN_REASONS = 6, 5, 2


def report(model: Model, evaluation: dict[str, Any] | None = None) -> str:
    """Render the HTML page of a model's training run.

    Parameters
    ----------
    evaluation : what `mr-als evaluate --json` printed, if it was run
    """
    sections = [
        ("Convergence", convergence(model.info)),
        ("Time and bytes", time_and_bytes(model.info)),
        ("The plays", plays(model)),
        ("The factors", norms(model)),
        ("Recommendations", recommendations(model)),
        *([("Evaluation", evaluated(evaluation))] if evaluation else []),
        ("Log lines", log_lines(model.info)),
        ("Options and inputs", options(model.info)),
    ]
    body = "".join(f"<section><h2>{escape(title)}</h2>{html}</section>" for title, html in sections)
    title = f"Training report of {escape(model.info['generation'])}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<style>{STYLE}</style></head><body><main><h1>{title}</h1>{summary(model)}{body}</main></body></html>\n"
    )


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Render a table, with numbers right-aligned."""
    lines = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
    for row in rows:
        cells = ((cell, number(float(cell)) if isinstance(cell, int | float) else escape(str(cell))) for cell in row)
        lines.append("".join(f"<td{' class=n' if isinstance(cell, int | float) else ''}>{text}</td>" for cell, text in cells))
    return f'<div class="wide"><table>{"".join(f"<tr>{line}</tr>" for line in lines)}</table></div>'


def summary(model: Model) -> str:
    """Render the figures one looks for first."""
    info, last = model.info, model.info["history"][-1]
    tiles = [
        ("users", number(info["n_users"])),
        ("items", number(info["n_items"])),
        ("plays", number(info["plays"])),
        ("pairs", number(info["pairs"])),
        ("of all cells", f"{info['pairs'] / max(info['n_users'] * info['n_items'], 1):.2%}"),
        ("rank", str(model.rank)),
        ("half-iterations", str(last["half"])),
        ("weighted RMSE", f"{last['wrmse']:.5f}"),
        ("of the zero model's", f"{last['to_zero_model']:.1%}"),
    ]
    shown = "".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in tiles)
    said = f"<p>Worked out from the plays: {escape(info['auto']['said'])}.</p>" if "auto" in info else ""
    return f'<div class="tiles">{shown}</div><p>Training stopped because: {escape(info["stopped"])}.</p>{said}'


def convergence(info: dict[str, Any]) -> str:
    """Draw weighted RMSE and objective, half by half."""
    history = info["history"]
    halves = [Series(side, *_of(history, side, "wrmse")) for side in SIDES if any(e["solved"] == side for e in history)]
    objective = Series("objective", *(np.array([e[key] for e in history], float) for key in ("half", "objective")))
    return (
        '<div class="pair"><figure>'
        + line_chart("weighted RMSE after each half", halves, "half-iteration", "weighted RMSE")
        + "<figcaption>The weighted RMSE over all user-item pairs, played or not, after each half-iteration. Training stops once "
        "the users' line is flat. The RMSE can rise slightly from one half to the next, because what each half minimises is the "
        "objective, which also includes the regularization term.</figcaption></figure><figure>"
        + line_chart("objective after each half", [objective], "half-iteration", "objective", log_y=True)
        + "<figcaption>The objective: weighted squared error plus regularization. It never rises."
        "</figcaption></figure></div>"
    )


def _of(history: list[dict[str, Any]], side: str, key: str) -> tuple[Array, Array]:
    """Select the numbers of the halves that solved a side, and one of their figures."""
    entries = [entry for entry in history if entry["solved"] == side]
    return np.array([e["half"] for e in entries], float), np.array([e[key] for e in entries], float)


def time_and_bytes(info: dict[str, Any]) -> str:
    """Draw the seconds of each half; show the plan, and compare it with what the run took."""
    history, plan = info["history"], info["plan"]
    series = [Series(side, *_of(history, side, "seconds")) for side in SIDES if any(e["solved"] == side for e in history)]
    total = sum(entry["seconds"] for entry in history)
    rows = [["join", plan["join"]], ["why", plan["why"]], ["blocks of users, of items", " and ".join(map(str, plan["blocks"]))]]
    rows += [["seconds of all halves", total], ["bytes of factors written", sum(e["bytes"] for e in history)]]
    return (
        "<figure>"
        + bar_chart("seconds of each half", series, "half-iteration", "seconds")
        + "<figcaption>Seconds per half-iteration, including the start of its job.</figcaption></figure>"
        + table(["plan", ""], rows)
        + _expected(plan, total)
    )


def _expected(plan: dict[str, Any], seconds: float) -> str:
    """Compare the plan with what the run took, where the plan has figures."""
    expected = plan.get("expected")
    if not expected:
        return ""
    actual = {"seconds": seconds, **plan.get("actual", {})}
    rows = [
        [name.replace("_", " "), value, actual.get(name, ""), _error(value, actual.get(name))] for name, value in expected.items()
    ]
    return table(["plan and actual", "plan", "actual", "plan is off by"], rows) + (
        "<p>Bytes and memory were estimated before the first half, from the sizes of the plays. For the seconds of an iteration, "
        "the plan is the first iteration, and the actual figure is the mean of those after it.</p>"
    )


def _error(planned: float, actual: float | None) -> str:
    return f"{100 * (planned / actual - 1):+.1f} %" if actual else ""


def plays(model: Model) -> str:
    """Draw how plays are spread over users and items."""
    per_user = np.diff(model.plays_start)
    per_item = np.bincount(np.asarray(model.plays_item), minlength=len(model.item_hashes))
    series = [Series(name, *_survival(counts)) for name, counts in (("users", per_user), ("items", per_item))]
    return (
        "<figure>"
        + point_chart("distribution of pairs over users and items", series, "pairs, at least", "share of users or items")
        + "<figcaption>A point at (x, y) means that a share y of the users (or items) has at least x pairs. "
        f"The median user played {number(float(np.median(per_user)))} items, the most active one {number(float(per_user.max()))}; "
        f"the median item was played by {number(float(np.median(per_item)))} users, the most popular one by "
        f"{number(float(per_item.max()))}. A straight line is a heavy tail: a few have most of the pairs.</figcaption></figure>"
    )


def _survival(counts: Array) -> tuple[Array, Array]:
    values, n = np.unique(counts, return_counts=True)
    return values.astype(float), np.cumsum(n[::-1])[::-1] / max(n.sum(), 1)


def norms(model: Model) -> str:
    """Draw the lengths of item vectors against the popularity of the items."""
    popularity = np.bincount(np.asarray(model.plays_item), minlength=len(model.item_hashes)).astype(float)
    lengths = np.sqrt(np.einsum("ij,ij->i", model.item_factors, model.item_factors, dtype=np.float64))
    return (
        "<figure>"
        + point_chart("length of item vectors against popularity", [Series("items", popularity, lengths)],
                      "users who played the item", "length of its vector", log_y=False)
        + "<figcaption>Items that few users played have short vectors: regularization holds back what is based on little evidence. "
        "If all vectors are short, regularization is too strong; if rare items have the longest ones, it is too weak and the "
        "model is overfitting.</figcaption></figure>"
    )  # fmt: skip


def recommendations(model: Model) -> str:
    """Show some users, from the most active to the least, with reasons for what they get."""
    per_user = np.diff(model.plays_start)
    order = np.argsort(-per_user, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(SHOWN_USERS, len(order))).astype(int)]
    return (
        "<p>Users from the most to the least active. The reasons are the plays that contribute most to an item's score.</p>"
        + "".join(_user(model, model.user_ids[int(row)], int(per_user[row])) for row in chosen)
    )


def _user(model: Model, user: Id, n_played: int) -> str:
    rows = []
    for item, score in model.recommend(user, SHOWN_ITEMS):
        reasons = [f"{name} ({part:.2f})" for name, _, part in model.explain(user, item)["parts"][:SHOWN_REASONS]]
        rows.append([str(item), f"{score:.3f}", "because of " + ", ".join(reasons)])
    most = ", ".join(str(item) for item, _ in model.plays(user)[:SHOWN_ITEMS])
    return f"<h3>{escape(str(user))}</h3><p>played {number(n_played)} items, most often {escape(most)}</p>" + table(
        ["recommended", "score", "reasons"], rows
    )


def evaluated(evaluation: dict[str, Any]) -> str:
    """Show the results of an evaluation: the model beside popularity, then everything else as it was printed."""
    groups = [evaluation.get(name, {}) for name in ("metrics", "coverage")]
    metrics = {name: found for group in groups for name, found in group.items()}
    rest = {name: value for name, value in evaluation.items() if name not in ("metrics", "coverage")}
    flat = [(name, value) for name, value in _leaves(rest) if isinstance(value, int | float | str)]
    if not metrics:
        return table(["figure", "value"], flat)
    rows = [
        [
            name,
            found["model"],
            found["popularity"],
            found.get("difference", ""),
            " to ".join(map(number, found.get("interval", []))),
        ]
        for name, found in metrics.items()
    ]
    return (
        table(["held-out plays", "model", "popularity", "difference", "95 % interval of it"], rows)
        + "<p>The popularity baseline recommends to each user the most popular items that they have not played. If the interval "
        "excludes 0, the difference is not just due to which users happened to be tested. Coverage is the share of items that are "
        "recommended to at least one user. Lower is better for percentile rank, higher for everything else.</p>"
        + table(["figure", "value"], flat)
    )


def _leaves(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    if not isinstance(data, dict | list):
        yield path, data
    for name, value in pairs:
        yield from _leaves(value, f"{path} {name}".strip())


def log_lines(info: dict[str, Any]) -> str:
    """Show what became of the log lines."""
    counts, bad = info["lines"]["counts"], info["lines"]["bad"]
    n_bad = sum(bad.values())
    rows: list[list[Any]] = [["lines", counts["lines"]], ["left out by filters", counts.get("filtered", 0)], ["bad", n_bad]]
    rows += [[f"bad: {reason}", n] for reason, n in sorted(bad.items(), key=lambda pair: (-pair[1], pair[0]))]
    where = "<p>Samples of the bad lines are in <code>bad-lines.tsv</code> of the model's generation.</p>" if n_bad else ""
    return table(["log lines", "number"], rows) + where


def options(info: dict[str, Any]) -> str:
    """Show every option, the inputs and the versions."""
    chosen = [
        [name, value if not isinstance(value, bool) else str(value)] for name, value in _leaves(info["options"]) if value != ""
    ]
    inputs = [[path, *(stamp if isinstance(stamp, list) else [stamp])][:2] for path, stamp in info["inputs"].items()]
    versions = [[name, str(version)] for name, version in info["versions"].items()]
    return (
        table(["option", "value"], [[name, json.dumps(value) if value is None else value] for name, value in chosen])
        + (table(["made of", ""], [list(pair) for pair in info["auto"].items()]) if "auto" in info else "")
        + table(["input", "bytes"], inputs)
        + table(["version of", ""], versions)
    )
