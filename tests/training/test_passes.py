"""Alpha and lambda from the data: passes that are jobs, against a dense reference; resumed, recorded, and typed as numbers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mr_als
from mr_als.engine.datasets import Dataset
from mr_als.errors import ResumeError, UsageError
from mr_als.maths.regularization import BOUNDS, PASSES, SHARE, WEIGHT
from mr_als.maths.weighing.weights import Weights
from mr_als.options import SCALINGS, WeightOptions
from mr_als.progress import Progress
from mr_als.records.blocks import FactorBlock
from mr_als.training.train import Engine, train
from tests.toy import RANK, dense_plays, generation_bytes, initial_items, options, run, toy_lines, write


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    return write(tmp_path_factory.mktemp("logs") / "counts.tsv", toy_lines())


def auto(join="broadcast", alpha="auto", regularization="auto", **others):
    """Build the options of a short training whose weights are `auto`."""
    weights = WeightOptions(alpha=alpha, regularization=regularization, **others.pop("weights", {}))
    chosen = options(join, iterations=others.pop("iterations", 1), **others)
    return replace(chosen, weights=weights)


# what a killed driver was; the options are written as Python
DRIVER = """
import sys
from pathlib import Path
from mr_als.options import *
from tests.toy import run
run([sys.argv[1]], Path(sys.argv[2]), eval(sys.argv[3]))
"""


def crash(chosen, logs, model, at):
    """Let a driver in a process of its own die at a crash point."""
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "MR_ALS_CRASH_AT": at}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, logs, str(model), repr(chosen)], env=environment, cwd=root, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.fixture(scope="module")
def undisturbed(logs, tmp_path_factory):
    model = tmp_path_factory.mktemp("models") / "undisturbed"
    return run([logs], model, auto("shuffle")), generation_bytes(model)


def in_dense(lines, alpha="auto", **weights):
    """Compute alpha, sigma_1 and sigma_rank as a training does, from dense matrices in float64."""
    names = [line.split("\t")[:2] for line in lines]
    users, items = (sorted({name[side] for name in names}) for side in (0, 1))
    plays = dense_plays(lines, users, items)
    played, n = plays > 0, plays.shape
    if alpha == "auto":
        mean = np.clip(WEIGHT / played.mean(), *BOUNDS)
        alpha = float(f"{mean / Weights(alpha=1.0, **weights).terms(plays[played]).excess.mean():.3g}")
    unit = Weights(alpha=alpha, regularization=1.0, **weights)
    d_users, d_items = (unit.row_regularization(played.sum(axis=axis), n[axis]) for axis in (1, 0))
    m = np.where(played, unit.confidence_of(plays), 0.0) / np.sqrt(d_users[:, None] * d_items)
    span = np.sqrt(d_items)[:, None] * initial_items(items)
    for number in range(PASSES - 1):
        span, _ = np.linalg.qr((m if number % 2 == 0 else m.T) @ span)
    values = np.linalg.svd(m.T @ span, compute_uv=False)
    return alpha, values[0], values[-1]


def found(info):
    return info["options"]["weights"]["alpha"], info["auto"]["sigma_1"], info["auto"]["sigma_rank"]


@pytest.mark.parametrize("join", ["broadcast", "shuffle"])
@pytest.mark.parametrize("blocks", [1, 3])
def test_the_estimate_is_that_of_dense_matrices(join, blocks, logs, tmp_path):
    info = run([logs], tmp_path / "model", auto(join, blocks=blocks))

    expected = in_dense(toy_lines())
    np.testing.assert_allclose(found(info), expected, rtol=1e-6)
    assert info["options"]["weights"]["regularization"] == float(f"{SHARE * expected[2]:.3g}")
    assert info["auto"]["dimension"] == RANK


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("confidence", ["log", "linear"])
def test_the_estimate_is_that_of_dense_matrices_for_every_scaling(scaling, confidence, logs, tmp_path):
    weights = {"regularization_scaling": scaling, "confidence": confidence, "regularization_exponent": 0.5, "epsilon": 3.0}

    info = run([logs], tmp_path / "model", auto(weights=weights, iterations=0))

    np.testing.assert_allclose(found(info), in_dense(toy_lines(), **weights), rtol=1e-6)


@pytest.mark.parametrize("join", ["broadcast", "shuffle"])
def test_processes_find_the_bytes_of_one_process(join, logs, tmp_path):
    one = run([logs], tmp_path / "one", auto(join))
    several = run([logs], tmp_path / "several", auto(join), runner="local", tasks=2)

    assert {**one["auto"], "seconds": 0} == {**several["auto"], "seconds": 0}
    assert generation_bytes(tmp_path / "one") == generation_bytes(tmp_path / "several")


@pytest.mark.parametrize("point", ["after-pass-000", "before-pass-001", "after-pass-004", "before-weights", "after-weights"])
def test_a_run_killed_in_its_passes_goes_on_to_the_same_bytes(point, logs, undisturbed, tmp_path):
    crash(auto("shuffle"), logs, tmp_path / "model", point)

    info = run([logs], tmp_path / "model", auto("shuffle"))

    assert ({**info["auto"], "seconds": 0}, generation_bytes(tmp_path / "model")) == (
        {**undisturbed[0]["auto"], "seconds": 0},
        undisturbed[1],
    )
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["generations", "lock", "model.json"]


def test_resuming_does_no_finished_pass_again(logs, tmp_path):
    chosen = auto("shuffle")
    crash(chosen, logs, tmp_path / "model", "after-pass-003")
    before = {p.name for p in (tmp_path / "model/work").glob("pass-00[23]-*")}
    crash(chosen, logs, tmp_path / "model", "before-pass-004")

    assert len(before) == 2
    assert before <= {p.name for p in (tmp_path / "model/work").iterdir()}


@pytest.mark.parametrize("join", ["broadcast", "shuffle"])
def test_only_the_last_pass_writes_no_vectors(join, logs, tmp_path):
    """Nobody reads them: all that is asked for is their Gram matrix."""
    crash(auto(join), logs, tmp_path / "model", "after-pass-004")

    written = {}
    for number in (3, 4):
        record = json.loads((tmp_path / f"model/work/pass-00{number}.json").read_text())
        blocks = Dataset.from_json(record["factors"], str(tmp_path / "model/work" / record["attempt"])).blocks()
        written[number] = sum(len(FactorBlock.unpack(payload).hashes) for _, payload in blocks), record["totals"]["rows"]
    assert written[3][0] == written[3][1] > 0
    assert written[4][0] == 0 < written[4][1]


@pytest.mark.parametrize("damaged", ["3", "23"])
def test_damaged_passes_are_done_again(damaged, logs, undisturbed, tmp_path):
    """What a power cut took, too: passes are not laid down to outlast one."""
    chosen = auto("shuffle")
    crash(chosen, logs, tmp_path / "model", "after-pass-003")
    paths = [*(tmp_path / "model/work").glob(f"pass-00[{damaged}]-*/factors.raw")]
    assert len(paths) == len(damaged)
    for path in paths:
        path.write_bytes(path.read_bytes()[:-8])

    run([logs], tmp_path / "model", chosen)

    assert generation_bytes(tmp_path / "model") == undisturbed[1]


def test_the_files_of_the_passes_are_gone_when_the_halves_begin(logs, tmp_path):
    crash(auto(), logs, tmp_path / "model", "after-half-000")

    assert not list((tmp_path / "model/work").glob("pass-*"))


def test_the_options_given_are_compared_when_a_run_is_resumed(logs, tmp_path):
    crash(auto(), logs, tmp_path / "model", "after-half-000")

    with pytest.raises(ResumeError, match=r"--regularization was auto, now auto\*0\.5"):
        run([logs], tmp_path / "model", auto(regularization="auto*0.5"))
    with pytest.raises(ResumeError, match=r"--alpha was auto, now 4"):
        run([logs], tmp_path / "model", auto(alpha=4.0))


def test_the_numbers_that_were_found_give_the_same_bytes_when_they_are_typed(logs, tmp_path):
    info = run([logs], tmp_path / "auto", auto(iterations=3))
    weights = info["options"]["weights"]

    typed = run([logs], tmp_path / "typed", auto(alpha=weights["alpha"], regularization=weights["regularization"], iterations=3))

    assert "auto" not in typed
    assert typed["options"] == info["options"]
    assert generation_bytes(tmp_path / "auto") == generation_bytes(tmp_path / "typed")
    assert mr_als.load(str(tmp_path / "auto")).weights == mr_als.load(str(tmp_path / "typed")).weights


def test_a_multiple_of_auto_is_one(logs, tmp_path):
    whole, half = (run([logs], tmp_path / name, auto(regularization=name)) for name in ("auto", "auto*0.5"))

    lambdas = [info["options"]["weights"]["regularization"] for info in (whole, half)]
    assert lambdas[1] == pytest.approx(lambdas[0] / 2, rel=0.01)  # three digits
    assert (half["auto"]["share"], half["auto"]["sigma_rank"]) == (SHARE / 2, whole["auto"]["sigma_rank"])


def test_only_the_passes_that_are_needed_are_run(logs, tmp_path, capsys):
    for name, chosen in {
        "alpha": auto(regularization=0.01),
        "lambda": auto(alpha=4.0),
        "none": auto(alpha=4.0, regularization=0.01),
    }.items():
        train([logs], str(tmp_path / name), chosen, progress=Progress())
        words = capsys.readouterr().err

        assert (words.count("pass 0"), words.count("pass 1"), words.count("pass 4")) == {
            "alpha": (1, 0, 0),
            "lambda": (1, 2, 1),
            "none": (0, 0, 0),
        }[name]
    weights = [mr_als.load(str(tmp_path / name)).weights for name in ("alpha", "lambda", "none")]
    assert [w.alpha == 4.0 for w in weights] == [False, True, True]
    assert [w.regularization == 0.01 for w in weights] == [True, False, True]


def test_what_was_found_is_said(logs, tmp_path, capsys):
    info = train([logs], str(tmp_path / "model"), auto(), progress=Progress())

    alpha, lam = (info["options"]["weights"][name] for name in ("alpha", "regularization"))
    density = info["pairs"] / (info["n_users"] * info["n_items"])
    assert f"lambda {lam:g}: {SHARE} of sigma_5; alpha {alpha:g}: {density:.3g} of all pairs were played" in capsys.readouterr().err


def test_a_warm_start_changes_nothing_in_the_passes(logs, tmp_path):
    first = run([logs], tmp_path / "first", auto())
    chosen = auto()

    warm = run([logs], tmp_path / "warm", replace(chosen, loop=replace(chosen.loop, warm_start=str(tmp_path / "first"))))

    assert {**first["auto"], "seconds": 0} == {**warm["auto"], "seconds": 0}


def test_rows_below_a_threshold_take_no_part(logs, tmp_path):
    """Hits have few plays each: without the items that have less, the estimate is that of the other lines."""
    kept = [line for line in toy_lines() if int(line.split("\t")[1].split("-")[-1]) < 9 or "hit" in line]
    lines = [*kept, *(f"user-{n}\trare-{n}\t1\n" for n in range(40))]
    chosen = auto("shuffle")
    chosen = replace(chosen, inputs=replace(chosen.inputs, min_item_plays=5.0))

    info = run([write(tmp_path / "counts.tsv", lines)], tmp_path / "model", chosen)

    np.testing.assert_allclose(found(info), in_dense(kept), rtol=1e-6)


def test_ratings_have_a_default_of_their_own_and_no_passes(tmp_path, capsys):
    lines = [f"user-{n % 20}\titem-{n % 7}\t{1 + n % 5}\n" for n in range(140) if n % 3]
    logs = write(tmp_path / "ratings.tsv", lines)

    for name, expected, said in (
        ("auto", 0.1, "the default"), ("auto*0.5", 0.05, "0.5 times the default"), ("auto*3", 0.3, "3 times the default")
    ):  # fmt: skip
        chosen = auto(regularization=name, weights={"feedback": "explicit"})
        info = train([logs], str(tmp_path / name), chosen, progress=Progress())

        assert info["options"]["weights"]["regularization"] == expected
        words = capsys.readouterr().err
        assert f"lambda {expected:g}: {said} for ratings" in words
        assert "pass 0" not in words


def test_nothing_is_said_of_auto_where_all_that_counts_is_given(tmp_path, capsys):
    """Ratings have no alpha."""
    logs = write(tmp_path / "ratings.tsv", [f"user-{n % 20}\titem-{n % 7}\t{1 + n % 5}\n" for n in range(140) if n % 3])

    info = train([logs], str(tmp_path / "model"), auto(regularization=0.05, weights={"feedback": "explicit"}), progress=Progress())

    assert "auto" not in info
    assert info["options"]["weights"]["regularization"] == 0.05
    assert "\n\n" not in capsys.readouterr().err


def test_a_lambda_too_small_to_calculate_with_is_refused_before_it_is_used(logs, tmp_path):
    chosen = auto(alpha=0.001, weights={"regularization_exponent": 4.0})

    with pytest.raises(UsageError, match=r"--regularization auto is \S+e-\d\d for these plays, which cannot be calculated"):
        run([logs], tmp_path / "model", chosen)


@pytest.mark.parametrize(
    ("regularization", "words"),
    [
        ("auto*100", "is at or above sigma_1"),
        ("auto*3", "is above sigma_5"),
        (50.0, "warning: 5 of 5 dimensions have vanished"),
        (0.25, "1 of 5 dimensions have vanished"),
    ],
)
def test_a_lambda_that_wastes_the_rank_is_warned_of(regularization, words, logs, tmp_path, capsys):
    chosen = auto(regularization=regularization, iterations=10)

    train([logs], str(tmp_path / "model"), chosen, engine=Engine(), progress=Progress())

    assert words in capsys.readouterr().err


def test_a_training_goes_on_while_it_comes_down_to_zero_and_may_pass_it(tmp_path):
    """Random vectors are too long for a lambda just below sigma_1: at first the objective only falls towards that of zero."""
    rng = np.random.default_rng(2)
    pairs = {(int(u), int(i)) for u, i in zip(rng.integers(0, 300, 1200), 250 * rng.random(1200) ** 2, strict=True)}
    logs = write(tmp_path / "counts.tsv", [f"u{u}\ti{i}\t1\n" for u, i in sorted(pairs)])
    plain = auto(alpha=20.0, iterations=40)
    below, above = (
        run(
            [logs], tmp_path / str(lam),
            replace(
                plain, loop=replace(plain.loop, tolerance="0.1%"), solver=replace(plain.solver, rank=1),
                weights=replace(plain.weights, regularization=lam),
            ),
        )
        for lam in (0.18, 0.5)
    )  # fmt: skip

    assert below["stopped"].startswith("the weighted RMSE changed by less than")
    assert below["history"][-1]["to_zero_model"] < 0.95
    assert above["stopped"] == "regularization too large: the factors vanish"
    assert above["history"][-1]["half"] < 20


def test_a_lambda_that_wastes_nothing_is_not_warned_of(logs, tmp_path, capsys):
    train([logs], str(tmp_path / "model"), auto(iterations=5), progress=Progress())

    assert "warning" not in capsys.readouterr().err


def test_model_json_says_what_was_asked_for_and_what_it_became(logs, tmp_path):
    run([logs], tmp_path / "model", auto(regularization="auto*0.5"))

    info = json.loads((tmp_path / "model/model.json").read_text())
    assert (info["auto"]["alpha"], info["auto"]["regularization"]) == ("auto", "auto*0.5")
    assert {type(info["options"]["weights"][name]) for name in ("alpha", "regularization")} == {float}
    weights = Weights(**info["options"]["weights"])
    assert info["auto"]["mean_excess"] == pytest.approx(np.clip(WEIGHT / info["auto"]["density"], *BOUNDS), rel=0.01)
    assert weights.regularization == pytest.approx(SHARE / 2 * info["auto"]["sigma_rank"], rel=0.01)
