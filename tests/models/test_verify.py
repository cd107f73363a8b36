"""verify: yes to every sound model, however small or odd; no to one that was changed, by as much as a solver could tell."""

from __future__ import annotations

import json
import shutil
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mr_als.models.model import Model
from mr_als.models.verify import Check, verify
from mr_als.options import LoopOptions, PlanOptions, SolverOptions, Training, WeightOptions
from tests.toy import options, run, toy_lines, write

PLAYS = WeightOptions(alpha=10.0, regularization=0.003)
RATINGS = WeightOptions(feedback="explicit", regularization=0.05, regularization_scaling="count")


def found(model) -> dict[str, Check]:
    return {check.name: check for check in verify(Model.open(str(model)))}


def wrong(model) -> list[str]:
    return [name for name, check in found(model).items() if not check.ok]


FOUR = ["ann\tx\t3\n", "ann\ty\t1\n", "bob\tx\t12\n", "bob\tz\t2\n"]
STARS = ["ann\tx\t5\n", "ann\ty\t1\n", "bob\tx\t4\n", "bob\tz\t2\n", "bob\ty\t0\n", "cat\tz\t5\n"]


@pytest.mark.parametrize("kernel", ["numpy", "numba"])
@pytest.mark.parametrize(
    ("lines", "weights", "rank", "iterations"),
    [
        (FOUR, PLAYS, 64, 20),  # fits to 0.6 %: terms of 1000 leave an error of 0.4
        (FOUR, replace(PLAYS, confidence="linear", alpha=1e4), 8, 3),
        (FOUR, replace(PLAYS, regularization=1e-6), 2, 3),
        (FOUR, replace(PLAYS, regularization=1e-9, regularization_scaling="none"), 1, 0),
        (STARS, replace(RATINGS, regularization=0.003), 2, 20),
        (STARS, replace(RATINGS, regularization=1e-6), 8, 3),
        (["a\tb\t1\n"], PLAYS, 3, 2),
        (["a\tb\t3\n"], RATINGS, 3, 2),
    ],
)
def test_a_sound_model_is_right_however_much_cancels(lines, weights, rank, iterations, kernel, tmp_path):
    chosen = Training(
        weights=weights,
        solver=SolverOptions(rank=rank),
        loop=LoopOptions(max_iterations=iterations),
        plan=PlanOptions(kernel=kernel),
    )
    if kernel == "numba":
        pytest.importorskip("numba")

    run([write(tmp_path / "log.tsv", lines)], tmp_path / "model", chosen)

    assert wrong(tmp_path / "model") == []


@pytest.fixture(scope="module", params=["implicit", "explicit"])
def sound(request, tmp_path_factory):
    """Train a model of either kind, of 120 users and 50 items."""
    folder = tmp_path_factory.mktemp(request.param)
    chosen = options(solver="cholesky")
    chosen = replace(chosen, weights=RATINGS if request.param == "explicit" else PLAYS)
    run([write(folder / "log.tsv", toy_lines())], folder / "model", chosen)
    return folder / "model"


@pytest.fixture
def copy(sound, tmp_path):
    """Copy it, to be changed; what is found is then told by its content, for the manifest is made to fit."""
    shutil.copytree(sound, tmp_path / "model")
    return tmp_path / "model"


def change(model, side, name, by):
    """Replace an array of the published generation by what `by` makes of it, and let the manifest say so."""
    generation = Path(Model.open(str(model)).generation)
    path = generation / side / f"{name}.npy"
    np.save(path, by(np.load(path)))
    say_so(generation, f"{side}/{name}.npy")


def say_so(generation, name):
    """Let the manifest say what a file is now."""
    manifest = json.loads((generation / "manifest.json").read_text())
    data = (generation / name).read_bytes()
    manifest["files"][name] = [len(data), zlib.crc32(data)]
    (generation / "manifest.json").write_text(json.dumps(manifest))


def test_it_is_right_to_begin_with(sound):
    assert wrong(sound) == []


@pytest.mark.parametrize("side", ["users", "items"])
def test_two_rows_that_changed_places_are_wrong(side, copy):
    """Two of different tastes, among 120: their vectors are sound, and not theirs."""
    model = Model.open(str(copy))
    ids = list(model.user_ids if side == "users" else model.item_ids)
    names = ("user-0", "user-1") if side == "users" else ("taste-0-item-1", "taste-1-item-1")
    a, b = sorted(ids.index(name) for name in names)

    def swap(factors):
        factors[[a, b]] = factors[[b, a]]
        return factors

    change(copy, side, "factors", swap)

    assert "equations" in wrong(copy)


@pytest.mark.parametrize("share", [0.01, -0.01])
def test_one_number_of_one_user_off_by_a_hundredth_is_wrong(share, copy):
    """Ten times the tolerance of the equations; the loss, which is at its minimum, would not show it."""

    def add(factors):
        factors[7, np.argmax(np.abs(factors[7]))] *= 1 + share
        return factors

    change(copy, "users", "factors", add)

    assert "equations" in wrong(copy)


def test_one_number_of_one_item_off_by_a_tenth_is_wrong(copy):
    def add(factors):
        factors[7, 0] *= 1.1
        return factors

    change(copy, "items", "factors", add)

    assert {"wrmse", "objective", "equations"} & set(wrong(copy))


def test_the_item_factors_of_another_half_are_wrong(copy, tmp_path):
    """The users of three iterations with the items of two."""
    before = Model.open(str(copy)).info
    chosen = replace(options(solver="cholesky", iterations=2), weights=WeightOptions(**before["options"]["weights"]))
    run([write(tmp_path / "log.tsv", toy_lines())], tmp_path / "earlier", chosen)
    earlier = np.array(Model.open(str(tmp_path / "earlier")).item_factors)

    change(copy, "items", "factors", lambda _: earlier)

    assert "equations" in wrong(copy)


def test_halves_that_changed_places_are_wrong(copy):
    model = Model.open(str(copy))
    n = len(model.item_hashes)
    users, items = np.array(model.user_factors), np.array(model.item_factors)

    change(copy, "users", "factors", lambda _: np.vstack([items, users[n:]]))
    change(copy, "items", "factors", lambda _: users[:n])

    assert {"wrmse", "objective", "equations"} <= set(wrong(copy))


def test_a_play_that_is_missing_is_wrong(copy):
    def one_less(starts):
        starts[3:] -= 1
        return starts

    change(copy, "users", "plays_start", one_less)
    change(copy, "users", "plays_item", lambda items: np.delete(items, int(np.load(start_of(copy))[3])))
    change(copy, "users", "plays_amount", lambda amounts: np.delete(amounts, int(np.load(start_of(copy))[3])))

    assert wrong(copy) == ["plays"]
    assert "1199 pairs" in found(copy)["plays"].found


def start_of(model):
    return Path(Model.open(str(model)).generation) / "users/plays_start.npy"


def test_a_play_of_another_amount_is_wrong(copy):
    def more(amounts):
        amounts[5] *= 2
        return amounts

    change(copy, "users", "plays_amount", more)

    assert {"wrmse", "objective"} & set(wrong(copy))


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("plays_item", lambda items: items[::-1].copy()),  # not ascending
        ("plays_item", lambda items: np.where(np.arange(len(items)) == 4, 50, items)),  # 50 items, from 0
        ("plays_item", lambda items: np.where(np.arange(len(items)) == 4, -1, items)),
        ("plays_amount", lambda amounts: np.where(np.arange(len(amounts)) == 4, np.nan, amounts)),
        ("plays_amount", lambda amounts: np.where(np.arange(len(amounts)) == 4, -1.0, amounts)),
        ("plays_amount", lambda amounts: amounts[:-1]),
        ("plays_start", lambda starts: starts[:-1]),
        ("plays_start", lambda starts: np.where(np.arange(len(starts)) == 4, 10**6, starts)),
    ],
)
def test_plays_that_do_not_fit_are_wrong_and_no_traceback(name, by, copy):
    change(copy, "users", name, by)

    assert wrong(copy) == ["plays"]
    assert "equations" not in found(copy)


@pytest.mark.parametrize("side", ["users", "items"])
def test_rows_out_of_order_are_wrong(side, copy):
    """Ids, hashes and factors of two rows change places: all fit each other, and no search finds them any more."""
    generation = Path(Model.open(str(copy)).generation)
    text = (generation / side / "ids.txt").read_text().splitlines()
    text[0], text[1] = text[1], text[0]
    (generation / side / "ids.txt").write_text("\n".join([*text, ""]))
    for name in ("hashes", "factors"):
        change(copy, side, name, lambda rows: rows[[1, 0, *range(2, len(rows))]])
    change(copy, side, "ids_start", lambda _: np.cumsum([0, *(len(line) + 1 for line in text)]))
    say_so(generation, f"{side}/ids.txt")

    assert wrong(copy) == [side]
    assert "not in the order of their hashes" in found(copy)[side].found


@pytest.mark.parametrize("side", ["users", "items"])
@pytest.mark.parametrize("name", ["factors", "hashes"])
def test_rows_of_another_number_are_wrong(side, name, copy):
    change(copy, side, name, lambda rows: rows[:-1])

    assert side in wrong(copy)
    assert "rows of rank 5" in found(copy)[side].found


def test_factors_of_another_rank_are_wrong(copy):
    change(copy, "items", "factors", lambda factors: factors[:, :-1])

    assert "items" in wrong(copy)


def test_a_history_that_says_something_else_is_wrong(copy):
    path = copy / "model.json"
    info = json.loads(path.read_text())
    info["history"][-1]["objective"] *= 1 + 1e-5
    path.write_text(json.dumps(info))

    assert wrong(copy) == ["objective"]
