"""The interactive page: its numbers are those of the Python code, in headless Chromium."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from mr_als import cli
from mr_als.maths.reference import reference_als
from mr_als.maths.weighing.weights import Weights
from mr_als.planning.estimate import half_bytes, moving_seconds
from mr_als.planning.sizes import Sizes
from mr_als.teaching import interactive
from mr_als.teaching.full_grid import full_grid
from mr_als.teaching.industry import CASES, HEADER, INDUSTRY, Scale, extrapolate
from mr_als.teaching.lesson import Lesson
from mr_als.teaching.matrix import EXAMPLE, EXAMPLE_FACTORS
from mr_als.teaching.text import number, vector
from mr_als.teaching.trace import Traced
from tests.teaching.lessons import LESSON, LESSONS, OTHER

lessons = pytest.mark.parametrize("name", LESSONS)


def test_is_one_file_that_needs_no_network():
    text = interactive.interactive_page(OTHER)
    # the one address is a name of MathML and SVG, which is not fetched
    assert set(re.findall(r"https?://[^\"']*", text)) == {"http://www.w3.org/1998/Math/MathML", "http://www.w3.org/2000/svg"}
    assert not re.search(r"<script[^>]+src|<img|@import|url\((?!#)|fetch\(|XMLHttpRequest", text)
    assert "<b>" not in text
    assert not re.search(r"\{(style|script|data)\}", text)


def test_the_command_writes_it(tmp_path, capsys):
    path = tmp_path / "page.html"

    assert cli.main(["walkthrough", "--html", str(path), "--alpha", "40", "-q"]) == 0
    assert path.read_text(encoding="utf-8") == interactive.interactive_page(replace(LESSON, alpha=40.0))
    assert capsys.readouterr().out == f"{path}\n"

    assert cli.main(["walkthrough", "--html", str(tmp_path / "no" / "page.html")]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.slow
@lessons
def test_the_halves_are_those_of_the_reference(name, chromium, pages):
    lesson = LESSONS[name]
    chromium.open(pages[name])
    X, Y, history = reference_als(lesson.matrix.plays, lesson.start, lesson.weights)

    chromium.run('byId("finish").click()')
    shown = chromium.run("run(problem(), state.half)")

    assert [(s["half"], s["solved"]) for s in shown[1:]] == [(entry["half"], entry["solved"]) for entry in history]
    for figure in ("wrmse", "objective"):
        np.testing.assert_allclose([s[figure] for s in shown[1:]], [entry[figure] for entry in history], rtol=1e-9)
    np.testing.assert_allclose(shown[-1]["X"], X, atol=1e-9)
    np.testing.assert_allclose(shown[-1]["Y"], Y, atol=1e-9)
    assert number(history[-1]["wrmse"]) in chromium.run('byId("status").textContent')
    assert chromium.errors == []


@pytest.mark.slow
def test_halves_of_random_problems_are_those_of_the_reference(page):
    rng = np.random.default_rng(7)
    for _ in range(20):
        users, items, rank = rng.integers(2, 9), rng.integers(2, 9), rng.integers(1, 6)
        plays, start = rng.integers(0, 4, (users, items)).astype(float), rng.normal(size=(items, rank))
        plays[0] += 1  # nobody and nothing is without plays
        plays[:, 0] += 1
        alpha, lam = 10 ** rng.uniform(-1, 1.5), 10 ** rng.uniform(-1.5, 1)
        X, Y, history = reference_als(plays, start, Weights("linear", alpha, 1.0, lam, "none"), 0.001, 20)

        problem = json.dumps({"plays": plays.tolist(), "start": start.tolist(), "alpha": alpha, "lambda": lam})
        last = page.run(f"lastHalf({problem}, 0.001, 20)")
        state = page.run(f"run({problem}, {last})[{last}]")

        assert last == len(history)
        np.testing.assert_allclose(state["X"], X, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(state["Y"], Y, rtol=1e-6, atol=1e-7)
        assert state["wrmse"] == pytest.approx(history[-1]["wrmse"], rel=1e-9)


@pytest.mark.slow
def test_cells_follow_what_is_typed_and_chosen(page):
    page.run("step(1)")
    page.run("cells[0][4].cell.querySelector('input').focus()")
    page.press("End")
    page.type("2")
    plays = EXAMPLE.plays.copy()
    plays[0, 4] = 2  # "02"
    changed = Lesson(EXAMPLE._replace(plays=plays), EXAMPLE_FACTORS)

    for view, values in (
        ("score", changed.first_users @ changed.start.T),
        ("preference", changed.preference),
        ("confidence", changed.confidence),
        ("error", changed.confidence * (changed.preference - changed.first_users @ changed.start.T) ** 2),
    ):
        page.run(f"byId('view').value = '{view}'; byId('view').dispatchEvent(new Event('change'))")
        shown = page.run("cells.map(row => row.map(({shown}) => Number(shown.textContent)))")
        np.testing.assert_allclose(shown, values, atol=0.0051)


@pytest.mark.slow
def test_what_is_no_number_of_plays_is_marked_and_not_taken(page):
    page.run("const field = cells[0][0].cell.querySelector('input'); field.value = -1; field.dispatchEvent(new Event('input'))")

    assert page.run("field.getAttribute('aria-invalid')") == "true"
    assert page.run("state.plays[0][0]") == EXAMPLE.plays[0, 0]


@pytest.mark.slow
@lessons
def test_a_name_shows_the_sum_that_solves_its_row(name, chromium, pages):
    lesson = LESSONS[name]
    chromium.open(pages[name])
    chromium.run("document.querySelector('button.row.users').click()")
    a, b = lesson.equations(0, lesson.start)

    spoken = chromium.run("[...document.querySelectorAll('#sum math')].map(m => m.getAttribute('aria-label'))")
    rows = "; ".join(", ".join(number(v) for v in row) for row in a)

    assert f"= [{rows}]" in spoken
    assert f"= [{'; '.join(number(v) for v in b)}]" in spoken
    assert f"x = A⁻¹ b = [{'; '.join(number(v) for v in lesson.first_users[0])}]" in spoken
    assert chromium.run("document.activeElement.id") == "row-title"

    chromium.run("step(1); show('items', 1)")
    spoken = chromium.run("[...document.querySelectorAll('#sum math')].map(m => m.getAttribute('aria-label'))")
    assert f"x = A⁻¹ b = [{'; '.join(number(v) for v in lesson.first_items[1])}]" in spoken
    assert vector(lesson.start[1]) in chromium.run("byId('sum').textContent")


def records_of(half):
    reads = sorted((task, what, size) for task, what, size in half.reads)
    return reads, sorted((s.producer, s.consumer, what, len(s.line)) for s, what in half.sent)


@pytest.mark.slow
@lessons
def test_the_records_and_their_bytes_are_those_of_the_jobs(name, chromium, pages):
    chromium.open(pages[name])
    traced = Traced(LESSONS[name])

    for join, half in (("broadcast", traced.broadcast()), ("full grid", full_grid(traced)), ("half grid", traced.half_grid())):
        shown = chromium.run(f"JOINS['{join}'](state.plays, data.layout, data.start[0].length)")
        reads = sorted((r["task"], r["what"], r["bytes"]) for r in shown["reads"])
        sent = sorted((r["from"], r["to"], r["what"], r["bytes"]) for r in shown["sent"])
        assert (reads, sent) == records_of(half), join


@pytest.mark.slow
@pytest.mark.parametrize(
    ("join", "dead"),
    [(join, dead) for join in ("broadcast", "full grid", "half grid") for dead in ("nothing", "map 1", "machine 1")]
    + [("full grid", "reduce 0"), ("half grid", "reduce 0")],
)
def test_what_dies_is_done_again_elsewhere_and_nothing_else(join, dead, page):
    steps = page.run(f"story('{join}', '{dead}')")
    once = page.run(f"story('{join}', 'nothing')")
    again = [step for step in steps if step.get("again")]

    assert bool(again) == (dead != "nothing")
    assert [s for s in steps if not s.get("again") and not s.get("dead")][:-1] == once[:-1]
    for step in again:
        assert all(machine == 1 - int(task.split()[1]) for task, machine in step["moved"].items())
        assert all(read["task"] in step["moved"] for read in step.get("reads", []))
        assert all(record["to"] in step["moved"] for record in step.get("sent", []))


@pytest.mark.slow
def test_the_steps_of_a_half_are_told_with_their_bytes(page):
    half = Traced(LESSON).half_grid()
    sent = sum(len(s.line) for s, _ in half.sent)
    between = sum(len(s.line) for s, _ in half.sent if s.producer[-1] != s.consumer[-1])

    page.run("byId('machine-next').focus()")
    page.press("Enter", 2)

    assert f"{sent} sent, {between} of these between machines" in page.run("byId('machine-status').textContent")
    assert page.run("byId('records').rows.length") == len(half.sent) + sum(task.startswith("map") for task, _, _ in half.reads)


def at_rank(a, rank):
    """Assume another rank: a step of conjugate gradients takes 4 rank operations a pair, so a core solves as many pairs fewer."""
    return a._replace(rank=rank, pairs_a_second=a.pairs_a_second * a.rank / rank)


SCALES = (INDUSTRY, Scale(100_000, 50_000, 10**7, 8), Scale(10**9, 10**4, 10**12, 10_000))


@pytest.mark.slow
@pytest.mark.parametrize("join", ["shuffle", "broadcast"])
@pytest.mark.parametrize("case", range(len(CASES)), ids=HEADER[1:])
def test_the_seconds_of_a_half_are_those_of_the_plan(case, join, page):
    for scale in SCALES:
        for a in (CASES[case], at_rank(CASES[case], 16), CASES[case]._replace(cluster=replace(CASES[case].cluster, nodes=3))):
            expected = extrapolate(a, scale, join)
            arguments = ", ".join(json.dumps(value) for value in (interactive.case(a), scale._asdict(), join))
            found = page.run(f"extrapolate({arguments}, data.known)")

            parts = found.pop("parts")
            moving = parts["network"] + parts["disk"] + parts["coding"]
            shown = found | {"solving": parts["solving"], "starting": parts["starting"], "moving": moving}
            assert shown.pop("half") == pytest.approx(sum(parts.values()))
            assert shown == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
def test_moving_is_made_of_the_parts_that_python_names(page):
    sizes = Sizes((5000, 700), 90_000, (40, 40), 16, (8e5, 8e5), (2e4, 9e4))
    a = CASES[1].cluster
    for join in ("shuffle", "broadcast"):
        for side in (0, 1):
            moved = half_bytes(sizes, side, join)
            given = {"rank": 16, "rows": [5000, 700], "blocks": 40, "plays": 8e5, "vectors": [2e4, 9e4]}
            call = f"halfBytes({json.dumps(given)}, {side}, '{join}')"
            assert page.run(call) == pytest.approx(moved._asdict())
            found = page.run(f"movingSeconds({call}, '{join}', 7, {json.dumps(interactive.case(CASES[1]))}, data.known)")
            assert found == pytest.approx(moving_seconds(moved, join, 7, a))


@pytest.mark.slow
def test_sliders_move_the_seconds_by_the_keyboard(page):
    page.run("byId('scale-rank').focus()")
    page.press("ArrowLeft", 2)

    expected = extrapolate(at_rank(CASES[1], 16))
    assert page.run("document.activeElement.getAttribute('aria-valuetext')") == "16"
    assert f"{number(expected['node_hours'], 0)} node-hours" in page.run("byId('half-seconds').textContent")
