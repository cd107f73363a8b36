"""Ratings of one pair that come several times: the last or the mean counts, the same on both sides, however the lines are dealt."""

from __future__ import annotations

import random

import numpy as np
import pytest

from mr_als.engine.engine import Engine
from mr_als.errors import BadInputError, UsageError
from mr_als.maths.reference import reference_als
from mr_als.maths.weighing.weights import Weights
from mr_als.models.model import Model
from mr_als.options import InputOptions, LoopOptions, SolverOptions, Training, WeightOptions
from mr_als.preparing.prepare import prepare
from mr_als.records.blocks import PlaysBlock
from mr_als.training.train import train
from tests.toy import initial_items, write

COLUMNS = "timestamp,user,item,plays"
STARS = (0.0, 0.5, 1.0, 2.5, 4.0, 5.0)


def rated(n=600, seed=0):
    """Generate (time, user, item, stars), many of the same pair, some at the same moment."""
    rng = random.Random(seed)
    return [
        (rng.randrange(10**9, 10**9 + 50), f"u{rng.randrange(25)}", f"i{rng.randrange(9)}", rng.choice(STARS)) for _ in range(n)
    ]


def lines_of(ratings):
    return [f"{time}\t{user}\t{item}\t{stars}\n" for time, user, item, stars in ratings]


def by_hand(ratings, rule):
    found = {}
    for time, user, item, stars in ratings:
        found.setdefault((user, item), []).append((time, stars))
    if rule == "last":
        return {pair: max(every)[1] for pair, every in found.items()}
    return {pair: float(np.mean([stars for _, stars in every])) for pair, every in found.items()}


def prepared(plays, side):
    """Decode the ratings of a side by pair of ids; columns are known by their hash alone."""
    names = {}
    for other in ("users", "items"):
        for _, payload in getattr(plays, other).blocks():
            block = PlaysBlock.unpack(payload)
            names |= dict(zip(block.hashes.tolist(), block.ids.to_list(), strict=True))
    found = {}
    for _, payload in getattr(plays, side).blocks():
        block = PlaysBlock.unpack(payload)
        for row in range(len(block.hashes)):
            for at in range(block.indptr[row], block.indptr[row + 1]):
                pair = (names[int(block.hashes[row])].decode(), names[int(block.columns[block.indices[at]])].decode())
                found[pair if side == "users" else pair[::-1]] = float(block.amounts[at])
    return found


@pytest.mark.parametrize("rule", ["last", "mean"])
@pytest.mark.parametrize("side", ["users", "items"])
def test_one_rating_of_each_pair_counts(rule, side, tmp_path):
    options = InputOptions(columns=COLUMNS, duplicates=rule, user_blocks="3", item_blocks="2")

    plays = prepare([write(tmp_path / "log.tsv", lines_of(rated()))], str(tmp_path / "plays"), options)

    expected = by_hand(rated(), rule)
    found = prepared(plays, side)
    assert found.keys() == expected.keys()
    assert all(found[pair] == pytest.approx(stars, abs=2**-17) for pair, stars in expected.items())


@pytest.mark.parametrize("rule", ["last", "mean"])
@pytest.mark.parametrize("engine", [Engine(), Engine(form="lines"), Engine("local", tasks=2)])
def test_no_byte_depends_on_the_order_of_lines_or_the_engine(rule, engine, tmp_path):
    options = InputOptions(columns=COLUMNS, duplicates=rule, user_blocks="3", item_blocks="2")
    lines = lines_of(rated())
    once = prepare([write(tmp_path / "log.tsv", lines)], str(tmp_path / "once"), options)
    random.Random(1).shuffle(lines)
    parts = [write(tmp_path / f"part-{n}.tsv", lines[n::3]) for n in range(3)]

    again = prepare(parts, str(tmp_path / "again"), options, engine)

    for side in ("users", "items"):
        assert {n: bytes(b) for n, b in getattr(once, side).blocks()} == {n: bytes(b) for n, b in getattr(again, side).blocks()}


def test_the_last_rating_needs_times(tmp_path):
    log = write(tmp_path / "log.tsv", ["u\ti\t4\n"])

    with pytest.raises(UsageError, match=r"needs the time of each rating.*use mean"):
        prepare([log], str(tmp_path / "plays"), InputOptions(duplicates="last"))


def test_ratings_are_never_added_up(tmp_path):
    log = write(tmp_path / "log.tsv", ["u\ti\t4\n", "u\ti\t5\n", "v\ti\t1\n"])
    explicit = Training(weights=WeightOptions(feedback="explicit"), solver=SolverOptions(rank=2))
    prepare([log], str(tmp_path / "plays"), InputOptions())

    for logs, plays in (([log], None), ([], str(tmp_path / "plays"))):
        with pytest.raises(BadInputError, match=r"1 lines rate what their user has rated already.*--duplicates mean"):
            train(logs, str(tmp_path / "model"), explicit, plays=plays)


@pytest.mark.parametrize("rule", ["last", "mean"])
def test_explicit_training_reaches_the_rmse_of_a_dense_als_wr(rule, tmp_path):
    log = write(tmp_path / "log.tsv", lines_of(rated(900, seed=3)))
    options = Training(
        inputs=InputOptions(columns=COLUMNS, duplicates=rule),
        weights=WeightOptions(feedback="explicit", regularization=0.05, regularization_scaling="count"),
        solver=SolverOptions(rank=3, solver="cholesky"),
        loop=LoopOptions(tolerance="0", max_iterations=5),
    )

    info = train([log], str(tmp_path / "model"), options)

    model = Model.open(str(tmp_path / "model"))
    users, items = list(model.user_ids), list(model.item_ids)
    ratings = np.full((len(users), len(items)), np.nan)
    for (user, item), stars in by_hand(rated(900, seed=3), rule).items():
        ratings[users.index(user), items.index(item)] = stars
    weights = Weights(feedback="explicit", regularization=0.05, regularization_scaling="count")
    X, Y, history = reference_als(ratings, initial_items(items, rank=3), weights, tolerance=0.0, max_iterations=5)
    assert info["history"][-1]["wrmse"] == pytest.approx(history[-1]["wrmse"], rel=1e-5)
    scores = model.user_factors.astype(float) @ model.item_factors.astype(float).T
    seen = ~np.isnan(ratings)
    assert np.sqrt(((ratings - scores)[seen] ** 2).mean()) == pytest.approx(
        np.sqrt(((ratings - X @ Y.T)[seen] ** 2).mean()), rel=1e-5
    )
