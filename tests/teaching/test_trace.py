"""The trace of records: what it says of the jobs is true."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mr_als import cli
from mr_als.teaching.cluster import partition, run_task, shuffle
from mr_als.teaching.full_grid import full_grid
from mr_als.teaching.industry import CENTRAL, HIGH, LOW, SHAPES, extrapolate, full_grid_bytes, half_grid_bytes
from mr_als.teaching.lesson import Lesson
from mr_als.teaching.matrix import EXAMPLE, EXAMPLE_FACTORS, UtilityMatrix
from mr_als.teaching.trace import SHARED, Traced
from mr_als.teaching.walkthrough import TRACE, choose, text_of
from tests.teaching.prose import sums

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def lesson():
    return Lesson(EXAMPLE, EXAMPLE_FACTORS)


@pytest.fixture(scope="module")
def traced(lesson):
    return Traced(lesson)


def shown(lesson, *names):
    return "\n".join(text_of(lesson, choose(names, TRACE)))


def test_all_three_joins_solve_the_users(lesson, traced):
    for half in (traced.broadcast(), traced.half_grid(), full_grid(traced)):
        solved = [half.factors[user] for user in EXAMPLE.users]
        np.testing.assert_allclose(solved, lesson.first_users, rtol=1e-6)


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_all_three_joins_agree_on_any_matrix(seed, rank):
    rng = np.random.default_rng(seed)
    plays = rng.integers(0, 3, (5, 4)).astype(float)
    plays[:, 0] += 1
    plays[0] += 1
    matrix = UtilityMatrix(tuple(f"user {n}" for n in range(5)), tuple(f"item {n}" for n in range(4)), plays)
    lesson = Lesson(matrix, rng.normal(size=(4, rank)).round(1), alpha=2.0, regularization=0.5)
    traced = Traced(lesson)

    for half in (traced.broadcast(), traced.half_grid(), full_grid(traced)):
        solved = [half.factors[user] for user in matrix.users]
        np.testing.assert_allclose(solved, lesson.first_users, rtol=1e-5, atol=1e-6)


def test_all_three_joins_are_billed_for_the_gram_matrix(traced):
    for half in (traced.broadcast(), traced.half_grid(), full_grid(traced)):
        shared = [size for _, what, size in half.reads if what == SHARED]
        assert shared == [96] * len(shared)
        assert len(shared) >= 2


def test_the_driver_adds_up_the_gram_matrices_of_the_blocks(lesson):
    text = shown(lesson, "gram")

    X = lesson.first_users
    assert "[3 1; 1 1]" in text
    assert "[0 0; 0 2]" in text
    assert f"{(X[:, 0] ** 2).sum():.4f}" in text


def test_the_word_count_sends_each_item_to_one_reduce_task(lesson):
    lines = [line.split() for line in shown(lesson, "word-count").splitlines()[3:]]

    assert [line[0] for line in lines] == list(EXAMPLE.items)
    assert [float(line[-1]) for line in lines] == EXAMPLE.plays.sum(axis=0).tolist()


def test_vectors_written_are_counted_without_statistics(lesson):
    written = re.search(r"vectors written +(\d+)", shown(lesson, "cache"))[1]

    assert int(written) % 3 == 0
    assert int(written) // 3 == 2 * 200


def test_the_half_grid_sends_each_vector_once_to_each_block_that_needs_it(traced):
    sent = [(what.split(" of ")[1], s.partition) for s, what in traced.half_grid().sent if what.startswith("vectors")]

    needed = set()
    for block, users in enumerate(traced.blocks(EXAMPLE.users)):
        rows = [EXAMPLE.users.index(user) for user in users]
        needed |= {(item, block) for n, item in enumerate(EXAMPLE.items) if EXAMPLE.plays[rows, n].any()}
    assert sorted((item, block) for items, block in sent for item in items.split()) == sorted(needed)


def test_the_partitioner_is_that_of_hadoop():
    # String.hashCode of "users.00000000" in Java is 1254406128
    java = 0
    for byte in b"users.00000000":
        java = (java * 31 + byte) & 0xFFFFFFFF

    assert [partition(b"users.00000000", n) for n in (1, 2, 7)] == [(java & 0x7FFFFFFF) % n for n in (1, 2, 7)]
    assert partition(b"a", 1000) == 97


def test_a_killed_map_task_changes_nothing_and_a_doubled_sum_does(lesson):
    text = shown(lesson, "killed")

    assert text.count("yes") == 3
    assert "no;" not in text
    assert "instead of (0.0488, 0.8780)" in text


def test_reduce_tasks_give_the_same_bytes_in_whatever_order_maps_finish(traced, tmp_path):
    arguments = traced.arguments(str(tmp_path), "shuffle")
    written = {task: run_task("mr_solve", arguments, "map", lines) for task, lines in traced.half_grid_input(str(tmp_path)).items()}

    outputs = []
    for order in (list(written), list(written)[::-1]):
        arrived, _ = shuffle({task: written[task] for task in order}, 2)
        outputs.append([run_task("mr_solve", arguments, "reduce", lines) for lines in arrived])

    assert outputs[0] == outputs[1]


def test_bounds_on_bytes_hold_where_they_are_counted(lesson, traced):
    """The formulas count numbers; the records hold them and hashes, in base64 with a header."""
    shape = SHAPES[0]._replace(users=4, items=5, pairs=10, rank=2, blocks=2, nodes=2)

    vectors = sum(len(what.split(" of ")[1].split()) for _, what in traced.half_grid().sent if what.startswith("vectors"))
    parts = sum(len(what.split(" of u")[1].split()) for _, what in full_grid(traced).sent)
    assert vectors * (4 * 2 + 8) <= half_grid_bytes(shape)
    assert parts * 4 * (3 + 2) <= full_grid_bytes(shape)


def test_the_extrapolation_grows_with_its_assumptions():
    low, central, high = (extrapolate(a) for a in (LOW, CENTRAL, HIGH))

    assert all(low[name] <= central[name] <= high[name] for name in low)
    assert central["pairs"] == pytest.approx(1e10 / 3)


def test_the_sums_in_the_prose_are_right():
    prose = " ".join((ROOT / "docs" / "scaling.md").read_text(encoding="utf-8").split())
    ratios = sorted(full_grid_bytes(shape) / half_grid_bytes(shape) for shape in SHAPES)

    for claim, value, shown in (
        ("five item vectors of rank 2 take {} bytes", 5 * 2 * 4, "40"),
        ("twenty million of rank 64 take {} GB", 20e6 * 64 * 4 / 1e9, "5.1"),
        ("every vector, {} GB for 20M items of rank 64", 20e6 * (64 * 4 + 8) / 1e9, "5.3"),
        ("one million vectors of rank 64 take {} GB", 1e6 * 64 * 4 / 1e9, "0.26"),
        ("it has {} + 64 = 2144", 64 * 65 / 2, "2080"),
        ("moves {} to 164 times", ratios[0], "32"),
        ("moves 32 to {} times", ratios[-1], "164"),
    ):
        assert claim.format(shown) in prose
        assert float(shown) == pytest.approx(value, rel=0.02)


def test_the_answers_to_the_exercises_are_right(traced):
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    answers = page[page.index("### Answers") : page.index("## 18. Quiz")]

    found = sums(re.sub(r"^```.*?^```$", "", answers, flags=re.MULTILINE | re.DOTALL))
    for left, value, shown_value in found:
        assert value == pytest.approx(shown_value, rel=2e-3), left
    assert len(found) >= 9
    Y = EXAMPLE_FACTORS.copy()
    Y[4] = 2, 0
    assert (Y.T @ Y).tolist() == [[6, 1], [1, 3]]
    assert cluster_wins(45, 20, 2) < 45
    assert cluster_wins(40, 20, 2) == 40


def cluster_wins(t, j, m):
    return t / m + j


def test_without_the_bridge_five_vectors_travel(capsys):
    arguments = ["--trace", "--only", "half-grid", "--initial-factors", str(ROOT / "docs" / "examples" / "start.tsv")]
    cli.main(["walkthrough", str(ROOT / "docs" / "examples" / "no-bridge.csv"), *arguments])

    sent = re.findall(r"^map \d .*reduce \d .* vectors of (.*)$", capsys.readouterr().out, re.MULTILINE)
    assert sent == ["aria blues etude", "conga disco"]


def test_the_same_shape_has_the_bytes_that_the_page_says_for_its_blocks():
    page = " ".join((ROOT / "docs" / "scaling.md").read_text(encoding="utf-8").split())
    four_million = SHAPES[1]

    assert half_grid_bytes(four_million) == pytest.approx(4.2e9, rel=0.01)
    assert half_grid_bytes(four_million._replace(blocks=179)) == pytest.approx(15e9, rel=0.01)
    assert half_grid_bytes(SHAPES[2]) == pytest.approx(880e9, rel=0.01)
    assert extrapolate(CENTRAL)["sent"] == pytest.approx(614e9, rel=0.01)
    for claim in ("4.2 GB here", "15 GB at most", "880 GB here", "base64: 614 GB", "expects 12.3 GB"):
        assert claim in page


def test_the_trace_is_a_command(capsys):
    assert cli.main(["walkthrough", "--trace", "--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [section.name for section in TRACE]

    assert cli.main(["walkthrough", "--trace"]) == 0
    text = capsys.readouterr().out
    assert all(section.title in text for section in TRACE)
