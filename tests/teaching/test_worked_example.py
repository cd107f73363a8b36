"""The numerical example: exact arithmetic agrees with it, so does the code that scales, and the page shows it."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mr_als
from mr_als import cli
from mr_als.errors import BadInputError
from mr_als.maths.reference import reference_als
from mr_als.maths.solve import Fixed, Method, Observed, solve_block
from mr_als.maths.solving import kernels, normal_equations
from mr_als.maths.weighing.loss import weighted_rmse
from mr_als.maths.weighing.weights import Weights
from mr_als.teaching import beyond, formulas
from mr_als.teaching.lesson import Lesson
from mr_als.teaching.matrix import EXAMPLE, EXAMPLE_FACTORS, UtilityMatrix, read_factors, read_matrix, write_counts, write_factors
from mr_als.teaching.using import practice
from mr_als.teaching.walkthrough import SECTIONS, choose, text_of
from tests.teaching.prose import SUM, sums

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "worked-example.md"


@pytest.fixture(scope="module")
def lesson():
    return Lesson(EXAMPLE, EXAMPLE_FACTORS)


def shown(lesson, *names):
    return "\n".join(text_of(lesson, choose(names)))


def exact_rows(plays, fixed):
    """Solve all rows of the example (alpha = lambda = 1, rank 2) with fractions, cell by cell."""
    rows = []
    for row in plays:
        a, b, d, e, f = Fraction(1), Fraction(0), Fraction(1), Fraction(0), Fraction(0)
        for r, (y0, y1) in zip(row, fixed, strict=True):
            c, p = 1 + Fraction(int(r)), int(r > 0)
            a, b, d, e, f = a + c * y0 * y0, b + c * y0 * y1, d + c * y1 * y1, e + c * p * y0, f + c * p * y1
        det = a * d - b * b
        rows.append((det, ((d * e - b * f) / det, (a * f - b * e) / det)))
    return rows


def test_exact_arithmetic_gives_the_first_half():
    rows = exact_rows(EXAMPLE.plays, [[Fraction(int(v)) for v in y] for y in EXAMPLE_FACTORS])

    assert [det for det, _ in rows] == [36, 39, 27, 41]
    assert rows[0][1] == (Fraction(13, 18), Fraction(1, 9))


def test_exact_arithmetic_gives_every_half_that_is_shown(lesson):
    plays, Y = EXAMPLE.plays, [[Fraction(int(v)) for v in y] for y in EXAMPLE_FACTORS]
    table = shown(lesson, "halves")
    for half in range(1, 6):
        if half % 2:
            X = [x for _, x in exact_rows(plays, Y)]
        else:
            Y = [y for _, y in exact_rows(plays.T, X)]
        scores = [[x[0] * y[0] + x[1] * y[1] for y in Y] for x in X]
        error = sum(
            (1 + int(r)) * (int(r > 0) - s) ** 2
            for row, ss in zip(plays, scores, strict=True)
            for r, s in zip(row, ss, strict=True)
        )
        penalty = sum(v * v for vectors in (X, Y) for x in vectors for v in x)

        line = re.search(rf"^{half} .*$", table, re.MULTILINE)[0].split()
        assert line[3:] == [f"{float(v):.4f}" for v in (float(error / 36) ** 0.5, error, penalty, error + penalty)]


def test_the_formulas_are_those_of_the_code_that_scales(lesson):
    u, Y = 0, EXAMPLE_FACTORS
    items, c, p = lesson.played(u), lesson.confidence[u], lesson.preference[u]
    gram = normal_equations.gram_matrix(Y)
    expected = normal_equations.solve_row(gram, Y[items], c[items], 1.0)
    spectrum, basis = normal_equations.eigenbasis(gram)
    indptr = np.concatenate([[0], np.cumsum((EXAMPLE.plays > 0).sum(axis=1))])
    strengths = EXAMPLE.plays[EXAMPLE.plays > 0]

    block = solve_block(
        Observed(indptr, np.nonzero(EXAMPLE.plays)[1], strengths),
        Fixed(normal_equations.project(Y, basis), spectrum, basis, 5),
        lesson.weights,
        Method("cholesky"),
    )

    np.testing.assert_allclose(np.linalg.solve(*formulas.over_all_cells(Y, c, p, 1.0)), expected, rtol=1e-14)
    np.testing.assert_allclose(np.linalg.solve(*formulas.by_the_gram_trick(gram, Y[items], c[items], 1.0)), expected, rtol=1e-14)
    np.testing.assert_allclose(lesson.first_users, block.factors, rtol=1e-6)
    error, penalty, wrmse = lesson.losses(lesson.first_users, Y)
    np.testing.assert_allclose([error, penalty - (Y**2).sum()], [block.loss.squared_error, block.loss.penalty], rtol=1e-6)
    assert wrmse == pytest.approx(weighted_rmse(block.loss), rel=1e-6)


def test_conjugate_gradient_takes_the_steps_of_the_kernel(lesson):
    items = lesson.played(1)
    c, gram = lesson.confidence[1, items], EXAMPLE_FACTORS.T @ EXAMPLE_FACTORS
    z, scale, Q = formulas.whiten(gram, EXAMPLE_FACTORS[items], 1.0)

    for steps, v in enumerate(formulas.conjugate_gradient(z, c, 2), 1):
        single = [np.float32(x)[None] for x in (z / scale, c - 1, c, scale)]
        w, _ = kernels.conjugate_gradient(*single, tolerance=0.0, max_steps=steps)
        np.testing.assert_allclose(scale * v, w[0], rtol=1e-5)
    np.testing.assert_allclose(Q @ (scale * v), lesson.first_users[1], rtol=1e-12)


def test_the_parts_of_a_score_add_up_to_it(lesson):
    X, Y, _ = lesson.trained
    for u in range(4):
        items = lesson.played(u)
        for i in range(5):
            parts = formulas.parts_of_score(lesson.equations(u, Y)[0], Y[items], lesson.confidence[u, items], Y[i])
            assert parts.sum() == pytest.approx(X[u] @ Y[i], abs=1e-12)


def test_the_mapreduce_job_gives_the_same_numbers(lesson):
    job, halves, model = (shown(lesson, name).splitlines() for name in ("mapreduce", "halves", "model"))

    ours = [line.split() for line in halves if line[:1].isdigit()]
    theirs = [line.split() for line in job if line[:1].isdigit()]
    vectors = [line.split() for line in model if re.fullmatch(r"(u\d|[a-e]\w+)( +-?[\d.]+){2}", line)]
    assert [[line[0], line[1], line[3], line[6]] for line in ours] == theirs
    assert len(vectors) == 9
    assert [vector for vector in vectors if vector not in [line.split() for line in job]] == []
    assert job[-1].endswith("below 1e-06")


def test_the_new_user_is_the_one_that_the_product_folds_in(lesson, tmp_path):
    plays, items, path = (str(tmp_path / name) for name in ("plays.tsv", "items.tsv", "model"))
    write_counts(EXAMPLE, plays)
    write_factors(EXAMPLE.items, EXAMPLE_FACTORS, items)
    choices = "--format counts --rank 2 --alpha 1 --confidence linear --regularization 1 --regularization-scaling none"
    cli.main(["train", plays, "--model", path, "--initial-factors", items, "--solver=cholesky", "-q", *choices.split()])

    found = mr_als.load(path).recommend(plays={"aria": 1}, n=4)

    scores = re.search(r"scores of the others:  (.*)", shown(lesson, "fold-in"))[1]
    assert scores == "   ".join(f"{item} {score:.4f}" for item, score in found)


def test_evaluation_by_hand_agrees_with_a_count_by_hand(lesson):
    text = shown(lesson, "evaluate")

    # u1 without aria: aria and etude, then, are one another's twins; u4 without blues: no user joins the two groups
    assert re.search(r"^u1 +aria .* 1 to 2 +3 to 4$", text, re.MULTILINE)
    assert re.search(r"^u4 +blues .* 1 to 3 +1 to 2$", text, re.MULTILINE)
    assert "left out: u2 etude;" in text
    # seven are first, one first or second, one anywhere among three
    assert f"hit rate@1                {(7 + 1 / 2 + 1 / 3) / 9:.4f}" in text
    assert f"mrr                       {(7 + 3 / 4 + (1 + 1 / 2 + 1 / 3) / 3) / 9:.4f}" in text


def test_hidden_plays_are_ranked_by_a_model_that_has_not_seen_them(lesson):
    hidden = practice.hide(lesson, 3, 2)

    plays = EXAMPLE.plays.copy()
    plays[3, 2] = 0
    X, Y, _ = reference_als(plays, EXAMPLE_FACTORS, lesson.weights)
    assert hidden.ranked.startswith(f"conga {X[3] @ Y[2]:.4f}")
    assert (hidden.above, hidden.equal, hidden.popularity) == (0, 1, (1, 2))


def test_a_score_of_nothing_is_not_shared_out(tmp_path, capsys):
    path = tmp_path / "two groups.csv"
    path.write_text(",a,b\nu,1,\nv,,1\n")

    cli.main(["walkthrough", str(path), "--only", "explain"])

    printed = capsys.readouterr().out
    assert "%" not in printed
    assert "a score this close to 0 has no reasons" in printed


def test_a_training_goes_on_as_long_as_it_is_told(capsys):
    cli.main(["walkthrough", "--only", "halves", "--alpha", "40", "--tolerance", "0", "--max-iterations", "30"])

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:10]] == ["1", "2", "3", "4", "...", "58", "59", "60", "61"]


def test_the_defaults_are_those_of_the_product(lesson):
    text = shown(lesson, "defaults")

    mean = np.log1p(EXAMPLE.plays[EXAMPLE.plays > 0]).mean()
    assert f"alpha = 3 / {mean:.4f} = {3 / mean:.3g}" in text
    assert "largest difference from the scores of the exact solver: below 1e-0" in text


def test_training_on_ratings_gives_the_explicit_scores(lesson, tmp_path):
    plays, items, model = (str(tmp_path / name) for name in ("plays.tsv", "items.tsv", "model"))
    write_counts(EXAMPLE, plays)
    write_factors(EXAMPLE.items, EXAMPLE_FACTORS, items)
    choices = "--format counts --feedback explicit --rank 2 --regularization 0.1 --regularization-scaling count --solver cholesky"

    code = cli.main(
        ["train", plays, "--model", model, "--initial-factors", items, "--tolerance=0", "--max-iterations=20", *choices.split()]
    )

    trained = mr_als.load(model)
    scores = [
        [float(trained.user_factors[trained.user_index(u)] @ trained.item_factors[trained.item_index(i)]) for i in EXAMPLE.items]
        for u in EXAMPLE.users
    ]
    assert code == 0
    for line in (line for line in shown(lesson, "explicit").splitlines() if re.match(r"u\d ", line) and "*" in line):
        name, *cells = line.replace("*", "").split()
        assert cells == [f"{score:.2f}" for score in scores[EXAMPLE.users.index(name)]]


@pytest.mark.parametrize(("share", "dies"), [(0.97, False), (1.03, True)])
def test_the_model_vanishes_where_lambda_passes_the_largest_singular_value(lesson, share, dies):
    largest = np.linalg.svd(lesson.confidence * lesson.preference)[1][0]
    weights = Weights("linear", 1.0, 1.0, share * largest, "none")

    X, _, _ = reference_als(EXAMPLE.plays, EXAMPLE_FACTORS, weights, 0.0, 300)

    assert bool(np.abs(X).max() < 1e-3) is dies


@settings(max_examples=15)
@given(st.data())
def test_every_section_can_be_written_for_any_small_matrix(data):
    n_users, n_items, rank = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    plays = np.array(
        data.draw(st.lists(st.lists(st.integers(0, 9), min_size=n_items, max_size=n_items), min_size=n_users, max_size=n_users)),
        float,
    )
    plays[np.arange(max(n_users, n_items)) % n_users, np.arange(max(n_users, n_items)) % n_items] = 1  # nobody played nothing
    start = np.array(
        data.draw(st.lists(st.lists(st.integers(-3, 3), min_size=rank, max_size=rank), min_size=n_items, max_size=n_items)), float
    )
    users, items = (tuple(f"{side}{n}" for n in range(count)) for side, count in (("u", n_users), ("i", n_items)))
    lesson = Lesson(UtilityMatrix(users, items, plays), start)

    for section in SECTIONS:
        if section.name not in ("mapreduce", "defaults"):  # slow, and tested elsewhere
            text = "\n".join(section.write(lesson))
            assert text
            assert "nan" not in text


def test_a_matrix_of_ones_own_gives_the_same_numbers_out_of_mapreduce(tmp_path, capsys):
    path = tmp_path / "mine.csv"
    path.write_text("\ufeffname,Abba,Bach,Cream\r\nann,3,,1\r\nbob,,2,\r\n\r\ncy,1,5,2.5\r\n", encoding="utf-8")

    code = cli.main(["walkthrough", str(path), "--rank", "3", "--only", "plays,mapreduce", "--user", "cy"])

    printed = capsys.readouterr().out
    assert code == 0
    assert "below 1e-06" in printed
    assert "3 users x 3 items = 9 cells, 6 of them played, 14.5 plays" in printed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a row of item names and a row for each user, got 0 rows"),
        (",A\n", "got 1 rows"),
        (",A,B\nu1,1\n", ":2: expected a user and 2 numbers, one for each item, got 2 cells"),
        (",A,B\nu1,1,x\n", ":2: expected a number of plays of at least 0 for B, got 'x'"),
        (",A,B\nu1,1,-1\n", "for B, got '-1'"),
        (",A,B\nu1,1,nan\n", "for B, got 'nan'"),
        (",A,A\nu1,1,1\n", "item names must differ"),
        (",A,\nu1,1,1\n", "item names must differ, be not empty"),
        (",A\nu1,1\nu1,1\n", "user names must differ"),
        (",A,B\nu1,1,0\n", "nobody played item 'B'; leave the column out"),
        (",A\nu1,1\nu2,0\n", "user 'u2' played nothing; leave the row out"),
        ("," + ",".join(f"i{n}" for n in range(13)) + "\nu" + ",1" * 13 + "\n", "13 items; a matrix one can follow has 1 to 12"),
    ],
)
def test_a_matrix_that_is_none_is_refused_with_the_place(tmp_path, text, message):
    path = tmp_path / "mine.csv"
    path.write_text(text)

    with pytest.raises(BadInputError, match=re.escape(message)):
        read_matrix(str(path))


def test_initial_factors_must_fit_the_matrix(tmp_path):
    path = tmp_path / "start.tsv"
    path.write_text("A\t1\nB\t2\n")

    assert read_factors(str(path), ("B", "A"), 1).tolist() == [[2], [1]]
    with pytest.raises(BadInputError, match="no line for item 'C'"):
        read_factors(str(path), ("A", "C"), 1)
    with pytest.raises(BadInputError, match="1 numbers per line, but --rank is 2"):
        read_factors(str(path), ("A", "B"), 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rank", "6"], "--rank 6 is out of range"),
        (["--alpha", "0"], "--alpha 0.0 is out of range"),
        (["--alpha", "1e300"], "from 1e-6 to 1e6"),
        (["--regularization", "nan"], "--regularization nan is out of range"),
        (["--max-iterations", "0"], "--max-iterations 0 is out of range"),
        (["--tolerance", "5"], "'5' is neither a share such as 0.1% nor 0"),
        (["--user", "u9"], "there are u1, u2, u3, u4"),
        (["--item", "Z"], "there are aria, blues, conga, disco, etude"),
        (["--only", "plays,nothing"], "--only nothing: no such section"),
    ],
)
def test_an_option_out_of_range_is_a_usage_error(capsys, arguments, message):
    code = cli.main(["walkthrough", *arguments])

    assert code == 2
    assert message in capsys.readouterr().err


def test_the_command_prints_all_sections_as_text_and_as_json(capsys):
    cli.main(["walkthrough", "--list"])
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    cli.main(["walkthrough", "--only", "users", "--json"])
    assert list(json.loads(capsys.readouterr().out)) == ["users"]

    cli.main(["walkthrough"])

    text = capsys.readouterr().out
    assert names == [section.name for section in SECTIONS]
    assert [f"{n}. {section.title}" in text for n, section in enumerate(SECTIONS, 1)] == [True] * len(SECTIONS)


def test_the_page_shows_every_section():
    commands = " ".join(re.findall(r"^\$ mr-als walkthrough --only (\S+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE))

    assert [s.name for s in SECTIONS if s.name not in re.split(r"[ ,]", commands)] == []


def test_the_table_over_lambda_ends_where_the_algorithm_does(lesson):
    for lam in (0.31, 5.0):
        X, Y, history = reference_als(EXAMPLE.plays, EXAMPLE_FACTORS, Weights("linear", 1.0, 1.0, lam, "none"), 0.0, 200)

        assert f"{lam:g} " in shown(lesson, "lambda")
        assert f"{history[-1]['wrmse']:.4f}" in shown(lesson, "lambda")
        for found, expected in zip(beyond.alternate(lesson, lam, 200), (X, Y), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-8)


def prose_and_outputs():
    page = PAGE.read_text(encoding="utf-8")
    block = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return block.sub("", page), "\n".join(block.findall(page))


def test_every_number_in_the_prose_is_one_that_a_command_prints():
    prose, outputs = prose_and_outputs()
    prose = SUM.sub("", prose)  # checked below
    known = set(re.findall(r"\d+(?:\.\d+)?(?:/\d+)?", outputs))

    unknown = {n for n in re.findall(r"(?<![\w.-])\d+\.\d+|\d+/\d+|(?<![\w.-])\d\d+(?![\w.])", prose) if n not in known}
    assert unknown == {"2008"}  # the year of the paper


def test_every_sum_in_the_prose_is_right():
    found = sums(prose_and_outputs()[0])
    for left, value, shown_value in found:
        assert value == pytest.approx(shown_value, abs=3e-4), left
    assert len(found) >= 8
