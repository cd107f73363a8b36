"""The plan: its arithmetic against what the jobs write, its words, and what a training records of it."""

from __future__ import annotations

import json
import math
import os
import re

import pytest

import mr_als
from mr_als import cli
from mr_als.engine.engine import Engine
from mr_als.engine.spark.shuffle import AT_ONCE, HELD
from mr_als.options import ClusterOptions, InputOptions, PlanOptions, SolverOptions, Training
from mr_als.planning.choices import blocks_that_fit, kernel_for
from mr_als.planning.estimate import (
    PYSPARK,
    Measured,
    cluster_seconds,
    half_bytes,
    largest_task_of_a_half,
    process_memory,
    task_memory,
    worker_memory,
)
from mr_als.planning.sizes import distinct, guess_sizes
from mr_als.planning.words import too_large
from mr_als.preparing.plays import sizes_of
from mr_als.preparing.prepare import prepare
from mr_als.progress import size
from mr_als.training.calibrate import DENSEST, calibrate, lines_of, shape_of_copy
from tests.toy import options, run, write

SHAPE = (300, 200, 6000)
BLOCKS = (4, 3)
RANK = 8


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return write(tmp_path_factory.mktemp("planning") / "counts.tsv", lines_of(*SHAPE))


@pytest.fixture(scope="module")
def plays(log, tmp_path_factory):
    inputs = InputOptions(format="counts", user_blocks=str(BLOCKS[0]), item_blocks=str(BLOCKS[1]))
    return prepare([log], str(tmp_path_factory.mktemp("planning") / "plays"), inputs)


def trained(plays, folder, join):
    """Train on prepared plays; give model.json."""
    from mr_als.training.train import train

    chosen = options(join=join, iterations=2)
    return train([], str(folder), chosen, plays=plays.users.path.rsplit("/", 2)[0])


@pytest.mark.parametrize("join", ["broadcast", "shuffle"])
def test_bytes_are_those_that_the_jobs_write_and_shuffle(join, plays, tmp_path):
    info = trained(plays, tmp_path / "model", join)

    expected, actual = info["plan"]["expected"], info["plan"]["actual"]
    assert set(actual) == set(expected)
    for name, value in expected.items():
        if name.startswith(("bytes_written", "bytes_shuffled")):
            assert value == pytest.approx(actual[name], rel=0.01), name
    assert (actual["bytes_shuffled_by_user_half"] > 0) == (join == "shuffle")


def test_sizes_guessed_from_numbers_are_close_to_those_of_such_plays(plays):
    known = sizes_of(plays, RANK)

    guessed = guess_sizes(plays.n_users, plays.n_items, plays.pairs, BLOCKS, RANK)

    assert guessed.vectors == pytest.approx(known.vectors, rel=0.1)
    assert guessed.play_bytes == pytest.approx(known.play_bytes, rel=0.2)


def test_a_block_that_needs_every_column_needs_each_once():
    assert distinct(50, 10, 1e6, 1) == pytest.approx(50)
    assert distinct(10**6, 10, 100, 1) == pytest.approx(100, rel=0.1)


def test_more_blocks_take_less_memory_of_a_task_and_move_more_bytes():
    few, many = (guess_sizes(10**6, 10**5, 10**8, (n, n), 64) for n in (8, 64))

    assert half_bytes(many, 0, "shuffle").sent > half_bytes(few, 0, "shuffle").sent
    name = "half, reduce task"
    assert task_memory(many, "shuffle", "numpy", 1 << 30)[name] < task_memory(few, "shuffle", "numpy", 1 << 30)[name]


def test_the_largest_process_holds_what_its_tasks_hold():
    sizes = guess_sizes(10**5, 10**5, 10**7, (8, 8), 64)
    tasks = task_memory(sizes, "broadcast", "numpy", 1 << 30, 2)

    assert process_memory(sizes, "broadcast", "numpy", 1 << 30, 2, read_logs=True) == max(tasks.values())
    assert process_memory(sizes, "broadcast", "numpy", 1 << 30, 0, read_logs=True) >= max(tasks.values())


def test_a_cluster_takes_less_time_with_more_machines_but_never_less_than_its_jobs_need_to_start():
    sizes = guess_sizes(10**6, 10**6, 10**9, (1000, 1000), 64)
    measured = Measured(0.1, (1e-6, 1e-6), 1e-6, 1)

    found = [sum(cluster_seconds(sizes, "shuffle", measured, ClusterOptions(nodes=n)).values()) for n in (1, 10, 100)]

    assert found == sorted(found, reverse=True)
    assert found[-1] > 2 * ClusterOptions().job_seconds


def test_cores_beyond_the_number_of_blocks_solve_nothing():
    sizes = guess_sizes(10**6, 10**6, 10**9, (8, 8), 64)
    measured = Measured(0.1, (1e-6, 1e-6), 0.0, 1)

    one, ten = (cluster_seconds(sizes, "broadcast", measured, ClusterOptions(nodes=n, cores=8))["solving"] for n in (1, 10))

    assert one == ten


def test_where_plays_stay_a_half_reads_none_of_them_again():
    sizes = guess_sizes(100_000, 50_000, 10_000_000, (100, 100), 64)
    measured = Measured(0.1, (1e-6, 1e-6), 0.0, 1)

    again, stay = (cluster_seconds(sizes, "broadcast", measured, ClusterOptions(), lasting)["moving"] for lasting in (False, True))

    assert stay < again


@pytest.mark.parametrize("join", ["broadcast", "shuffle"])
def test_calibration_trains_a_copy_and_gives_costs(join, monkeypatch):
    monkeypatch.setattr("mr_als.training.calibrate.WORK", {"cg": 1 << 14, "cholesky": 1 << 14})
    sizes = guess_sizes(3000, 1000, 20000, (4, 4), RANK)

    measured = calibrate(sizes, Training(solver=SolverOptions(rank=RANK), plan=PlanOptions()), Engine(), join, "numpy")

    assert measured.start > 0
    assert measured.cores == min(os.cpu_count() or 1, 4)
    assert (measured.vector == 0) or join == "shuffle"
    assert measured.seconds(sizes, 0) >= measured.start


@pytest.mark.parametrize("shape", [(10**6, 10**5, 10**8), (10**5, 10**3, 2 * 10**7), (500, 10**5, 10**6), (100, 50, 1000)])
def test_a_copy_is_bounded_in_work_and_hardly_denser_than_the_data(shape):
    users, items, pairs = shape

    (copied_users, copied_items, copied), _ = shape_of_copy(guess_sizes(*shape, (4, 4), 64), 1 << 22)

    assert copied <= max(1, (1 << 22) / 64)
    assert copied / (copied_users * copied_items) <= 1.05 * max(DENSEST, pairs / (users * items))


def test_random_plays_have_the_shape_that_was_asked_for():
    lines = [tuple(map(int, line.split("\t"))) for line in lines_of(*SHAPE)]

    assert len({line[:2] for line in lines}) == SHAPE[2]
    assert all(0 <= user < SHAPE[0] and 0 <= item < SHAPE[1] and plays > 0 for user, item, plays in lines)


def test_the_command_prints_the_plan_of_logs(log, capsys):
    assert cli.main(["plan", log, "--rank", "8", "--no-measure", "-q"]) == 0

    out = capsys.readouterr().out
    assert f" {SHAPE[2]} pairs: counted in the logs" in out
    assert "join      broadcast: the larger side's factors" in out
    assert "prepare, reduce task" in out


def test_the_command_plans_from_numbers_as_json(capsys):
    sizes = ["--users", "24M", "--items", "20M", "--pairs", "3.3G", "--log-size", "500G"]
    assert cli.main(["plan", *sizes, "--no-measure", "--json", "-q"]) == 0

    plan = json.loads(capsys.readouterr().out)
    assert (plan["users"], plan["join"], plan["blocks"]) == (24_000_000, "shuffle", [8000, 8000])
    assert plan["halves"]["user"]["sent"] > plan["halves"]["user"]["read"]


def test_the_command_says_what_an_iteration_takes_here_and_there_and_what_it_costs(log, capsys, monkeypatch):
    monkeypatch.setattr("mr_als.training.calibrate.calibrate", lambda *_: Measured(0.1, (1e-6, 2e-6), 0.0, 1))
    assert cli.main(["plan", log, "--rank", "8", "--price-per-node-hour", "2", "--nodes", "3", "-q"]) == 0

    out = capsys.readouterr().out
    assert "0.218 s per iteration" in out
    assert "0.1 s to start a half; 1 us per pair in a user half, 2 us in an item half" in out
    hours = 12 * 80 / 3600
    assert f"{3 * hours:.3g} node-hours, cost {6 * hours:.1f}" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give either log files, or --plays DIR, or all of --users, --items and --pairs"),
        (["--users", "5", "--items", "5"], "give either log files"),
        (["--users", "5", "--items", "5", "--pairs", "26"], "more than --users 5 times --items 5"),
        (["--users", "none"], "'none' is not a number from 1 to 1e+15"),
    ],
)
def test_sizes_that_do_not_make_sense_are_refused(arguments, said, capsys):
    assert cli.main(["plan", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_no_cluster_is_needed_to_plan_for_one_whose_tasks_have_no_compiler(capsys):
    sizes = ["--users", "1M", "--items", "1M", "--pairs", "1G", "-r", "hadoop", "--no-measure", "--json", "-q"]
    assert cli.main(["plan", *sizes]) == 0

    plan = json.loads(capsys.readouterr().out)
    assert (plan["kernel"], plan["runner"]) == ("numpy", "inline")


@pytest.mark.parametrize(("on", "kernel"), [(["local[4]"], "numba"), (["yarn"], "numpy"), (["spark://host:7077"], "numpy")])
def test_on_spark_compiled_code_is_planned_where_tasks_run_on_this_machine(on, kernel, monkeypatch, capsys):
    monkeypatch.setattr("mr_als.planning.choices.find_spec", lambda name: object())
    sizes = ["--users", "1M", "--items", "1M", "--pairs", "100M", "-r", "spark", "--no-measure", "--json", "-q"]

    assert cli.main(["plan", *sizes, "--master", *on]) == 0
    assert json.loads(capsys.readouterr().out)["kernel"] == kernel
    assert cli.main(["plan", *sizes, "-D", f"spark.master={on[0]}"]) == 0

    assert json.loads(capsys.readouterr().out)["kernel"] == kernel
    assert (Engine("spark", mrjob_arguments=("--spark-master", *on)).compiled_work < math.inf) == (kernel == "numba")


@pytest.mark.parametrize(
    ("given", "seconds"), [([], 1), (["--job-seconds", "40"], 40), (["--job-seconds", "7"], 7), (["-r", "hadoop"], 40)]
)
def test_the_seconds_of_a_job_that_are_given_hold_even_if_they_are_the_usual_ones(given, seconds, capsys):
    sizes = ["--users", "1K", "--items", "1K", "--pairs", "9K", "-r", "spark", "--no-measure", "--json", "-q"]

    assert cli.main(["plan", *sizes, *given]) == 0

    assert json.loads(capsys.readouterr().out)["cluster"]["job_seconds"] == seconds


def test_a_worker_of_spark_holds_what_it_sends_and_what_comes_to_it_besides():
    """It sorts vectors and solves the block; what a share of its memory cannot hold is in a file."""
    budget = 1 << 30
    few, many = (guess_sizes(rows, rows, 10 * rows, (8, 8), 64) for rows in (10**5, 10**6))

    for sizes, came in ((few, few.vectors[1] / 8 * 264), (many, budget / HELD)):
        task, worker = (found(sizes, "shuffle", "numpy", budget) for found in (task_memory, worker_memory))
        assert worker["driver"] == task["driver"]
        assert worker["half, map task"] - task["half, map task"] == pytest.approx(PYSPARK + 2 * AT_ONCE)
        assert worker["half, reduce task"] - task["half, reduce task"] == pytest.approx(PYSPARK + 2 * AT_ONCE + came, rel=0.1)


def test_the_plan_for_spark_says_what_a_worker_takes_and_what_to_do_if_it_is_too_much(capsys):
    sizes = ["--users", "1M", "--items", "1M", "--pairs", "2M", "--user-blocks", "4", "--item-blocks", "4", "--no-measure", "-q"]
    plan = ["plan", *sizes, "--join", "shuffle", "--task-memory", "256M", "-r", "spark"]

    assert cli.main(plan) == 0
    said = capsys.readouterr().out
    assert cli.main([*plan, "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["executors"]["worker"] == max(n for name, n in found["memory"].items() if name != "driver") > 256 << 20
    assert re.search(rf"each core: a Python worker +{size(found['executors']['worker'])}", said)
    blocks = re.search(r"more than --task-memory 256M.*(--user-blocks \d+) (--item-blocks \d+)", said)
    assert cli.main([*plan, *" ".join(blocks.groups()).split()]) == 0
    assert "more than --task-memory" not in capsys.readouterr().out


def test_a_plan_is_the_same_whether_plays_are_counted_or_prepared(log, plays, capsys):
    blocks = ["--user-blocks", str(BLOCKS[0]), "--item-blocks", str(BLOCKS[1]), "--no-measure", "--json", "-q"]
    found = []
    for source in ([log, *blocks], ["--plays", plays.users.path.rsplit("/", 2)[0], *blocks]):
        cli.main(["plan", *source])
        found.append({**json.loads(capsys.readouterr().out), "known": ""})

    assert found[0] == found[1]


def test_a_training_records_what_was_expected_and_what_came(log, tmp_path):
    run([log], tmp_path / "model", options(iterations=3))

    plan = mr_als.load(str(tmp_path / "model")).info["plan"]
    assert set(plan["expected"]) == set(plan["actual"]) >= {"bytes_of_memory", "seconds_of_an_iteration"}


def test_blocks_of_many_rows_get_the_advice_of_smaller_ones_which_fit():
    budget = 256 << 20
    wide = guess_sizes(1_000_000, 1_000_000, 2_000_000, (4, 4), 64)
    blocks = blocks_that_fit(wide, "shuffle", "numpy", budget)

    assert largest_task_of_a_half(wide, "shuffle", "numpy", budget) > budget
    fitting = guess_sizes(1_000_000, 1_000_000, 2_000_000, blocks, 64)
    assert largest_task_of_a_half(fitting, "shuffle", "numpy", budget) <= budget
    assert f"--user-blocks {blocks[0]} --item-blocks {blocks[1]}" in too_large(wide, "shuffle", "numpy", budget)
    assert too_large(fitting, "shuffle", "numpy", budget) == ""


def test_blocks_are_left_as_they_are_where_no_number_of_them_would_fit():
    sizes = guess_sizes(10**6, 10**6, 2 * 10**6, (4, 4), 64)

    assert blocks_that_fit(sizes, "broadcast", "numpy", 256 << 20) == (4, 4)
    assert "however small the blocks are: raise it, or --join shuffle" in too_large(sizes, "broadcast", "numpy", 256 << 20)


def test_a_row_of_very_many_pairs_counts_whatever_the_number_of_blocks():
    sizes = guess_sizes(10**6, 10**6, 10**7, (8, 8), 64)
    poisoned = sizes._replace(excess=(0.0, 5e6))

    less, more = (largest_task_of_a_half(some, "broadcast", "numpy", 1 << 30) for some in (sizes, poisoned))

    # its plays, and what it gathers, of which a task takes no more than an eighth of its memory
    assert more - less == pytest.approx(5e6 * 10 + (1 << 27), rel=0.01)


def test_compiled_code_is_not_chosen_where_a_task_has_no_memory_for_it(monkeypatch):
    monkeypatch.setattr("mr_als.planning.choices.choose_kernel", lambda kernel, *_: "numba" if kernel == "auto" else kernel)
    sizes = guess_sizes(10**5, 10**5, 10**6, (4, 4), 64)

    found = [kernel_for(PlanOptions(kernel=kernel, task_memory=n), 1.0, sizes, "shuffle") for kernel, n in (
        ("auto", 1 << 30), ("auto", 200 << 20), ("numba", 200 << 20),
    )]  # fmt: skip

    assert found == ["numba", "numpy", "numba"]
