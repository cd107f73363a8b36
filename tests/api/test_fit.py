"""`mr_als.fit`: the model of the command line, whatever the plays come as; options, interruption, what is shown."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

import mr_als
from mr_als import cli
from mr_als.errors import BadInputError, ResumeError, UsageError
from mr_als.options import InputOptions, PlanOptions, RunOptions, SolverOptions, WeightOptions
from tests.toy import generation_bytes, toy_lines, write

ROOT = Path(__file__).resolve().parents[2]
FEW = {"rank": 5, "max_iterations": 3, "tolerance": 0}


def rows_of(lines):
    return [(user, item, float(plays)) for user, item, plays in (line.split("\t") for line in lines)]


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """Train by the command line, and give the bytes of the model's files."""
    folder = tmp_path_factory.mktemp("command")
    log = write(folder / "counts.tsv", toy_lines())
    words = [f"--{name.replace('_', '-')}={value}" for name, value in FEW.items()]
    assert cli.main(["train", log, "--model", str(folder / "model"), "-q", *words]) == 0
    return log, generation_bytes(folder / "model")


def forms():
    import duckdb
    import pandas
    import polars
    import pyarrow

    rows = rows_of(toy_lines())
    columns = dict(zip(("user", "item", "plays"), zip(*rows, strict=True), strict=True))
    return {
        "tuples": rows, "pandas": pandas.DataFrame(columns), "polars": polars.DataFrame(columns),
        "pyarrow": pyarrow.table(columns), "a reader of batches": pyarrow.table(columns).to_reader(100),
        "DuckDB": duckdb.from_arrow(pyarrow.table(columns)),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("form", "runner"),
    [("tuples", "inline"), ("pandas", "inline"), ("polars", "inline"), ("pyarrow", "inline"), ("a reader of batches", "inline"),
     ("DuckDB", "inline"), ("pandas", "local")],
)  # fmt: skip
def test_every_form_of_plays_gives_the_bytes_of_the_command_line(form, runner, command, tmp_path):
    model = mr_als.fit(forms()[form], path=tmp_path / "model", runner=runner, **FEW)

    assert generation_bytes(tmp_path / "model") == command[1]
    assert list(model.user_ids) == [line.decode() for line in command[1]["users/ids.txt"].split()]


def test_logs_are_read_as_by_the_command_line(command, tmp_path):
    mr_als.fit(command[0], path=tmp_path / "one", **FEW)
    mr_als.fit([Path(command[0])], path=tmp_path / "many", **FEW)

    assert generation_bytes(tmp_path / "one") == generation_bytes(tmp_path / "many") == command[1]


def test_a_matrix_is_named_by_its_numbers_which_come_back_as_integers(tmp_path):
    dense = np.random.default_rng(0).poisson(0.3, (40, 30)).astype(np.float32)
    dense[7] = 0
    plays = csr_array(dense)
    rows, columns = plays.nonzero()
    log = write(tmp_path / "log.tsv", [f"{u}\t{i}\t{plays[u, i]:.0f}\n" for u, i in zip(rows, columns, strict=True)])

    model = mr_als.fit(plays, path=tmp_path / "matrix", **FEW)

    mr_als.fit(log, path=tmp_path / "log", **FEW)
    assert generation_bytes(tmp_path / "matrix") == generation_bytes(tmp_path / "log")
    assert sorted(model.user_ids) == [u for u in range(40) if u != 7]
    assert model.info["ids"] == {"users": "int", "items": "int"}
    np.testing.assert_array_equal(model.user_items.toarray(), plays.toarray()[np.ix_(list(model.user_ids), list(model.item_ids))])


def test_a_model_without_a_path_goes_with_its_last_reference(tmp_path):
    model = mr_als.fit(rows_of(toy_lines()), **FEW)
    place = Path(model.path)
    assert place.is_dir()

    saved = model.save(tmp_path / "saved")

    assert generation_bytes(tmp_path / "saved") == generation_bytes(place)
    assert saved.recommend("user-3") == model.recommend("user-3")
    del model
    assert not place.exists()
    assert saved.recommend("user-3")


def test_a_model_is_saved_over_another_in_one_step_and_the_other_can_be_gone_back_to(tmp_path, cli):
    mr_als.fit([("a", "x"), ("b", "y")], path=tmp_path / "model", rank=1)
    open_before = mr_als.load(tmp_path / "model")

    mr_als.fit(rows_of(toy_lines()), **FEW).save(tmp_path / "model")

    assert not open_before.is_current()
    assert len(mr_als.load(tmp_path / "model").user_ids) == 120
    code, *_ = cli("models", "--model", tmp_path / "model", "--back")
    assert code == 0
    assert sorted(mr_als.load(tmp_path / "model").user_ids) == ["a", "b"]


def test_what_fails_leaves_no_temporary_directory(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with pytest.raises(BadInputError, match="no usable play"):
        mr_als.fit([("a", "x", 0)], **FEW)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"rnk": 3}, "no keyword is named 'rnk'; did you mean 'rank'?"),
        ({"progres": True}, "did you mean 'progress'?"),
        ({"factors": 3}, "no keyword is named 'factors'; here it is 'rank'"),
        ({"show_progress": True}, "no keyword is named 'show_progress'; here it is 'progress'"),
        ({"rank": 2.5}, "rank is 2.5, which it cannot be"),
        ({"rank": 0}, "rank must be a number from 1 to 2048, got 0"),
        ({"solver": "qr"}, "solver must be one of cg, cholesky, got 'qr'"),
        ({"runner": "sparc"}, "runner is 'sparc'; expected one of .*; did you mean 'spark'?"),
        ({"tolerance": "many"}, "tolerance is 'many'"),
        ({"columns": {"usr": "a"}}, "is not of the form COLUMN=NAME"),
    ],
)
def test_an_option_that_is_none_is_an_error_that_helps(keywords, said):
    import pandas

    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        mr_als.fit(pandas.DataFrame({"user": ["a"], "item": ["b"]}), **keywords)


def test_names_that_other_libraries_have_stand_for_keywords():
    import inspect

    from mr_als.api.keywords import ELSEWHERE

    names = inspect.signature(mr_als.fit).parameters
    assert set(ELSEWHERE.values()) <= set(names)
    assert not set(ELSEWHERE) & set(names)


def test_an_array_is_refused_with_what_can_be_given_for_it():
    with pytest.raises(UsageError, match=r"an array of shape \(5, 6\); .* scipy.sparse.csr_array\(plays\), .* plays.tolist\(\)"):
        mr_als.fit(np.ones((5, 6)), **FEW)
    assert len(mr_als.fit(np.array([[1, 2], [3, 4], [1, 4]]).tolist(), **FEW).user_ids) == 2


def test_options_are_recorded_as_the_command_line_records_them(command, tmp_path):
    given = {"rank": np.int64(3), "alpha": 7, "since": None, "max_iterations": 1, "task_memory": "512M", "tolerance": 0.01}
    mr_als.fit(command[0], path=tmp_path / "fit", **given)

    words = ["--rank=3", "--alpha=7", "--max-iterations=1", "--task-memory=512M", "--tolerance=0.01"]
    assert cli.main(["train", command[0], "--model", str(tmp_path / "train"), "-q", *words]) == 0

    one, other = (json.loads((tmp_path / name / "model.json").read_text()) for name in ("fit", "train"))
    assert one["options"] == other["options"]


def test_the_docstring_and_the_signature_name_all_options():
    import inspect

    names = [f for kind in (InputOptions, PlanOptions, RunOptions, SolverOptions, WeightOptions) for f in kind.__dataclass_fields__]

    assert set(names) <= set(inspect.signature(mr_als.fit).parameters)
    assert all(f"\n{name} : " in mr_als.fit.__doc__ for name in names)
    assert "whitened conjugate gradient" in mr_als.fit.__doc__
    assert "OPTIONS" not in mr_als.fit.__doc__ + mr_als.split.__doc__ + mr_als.evaluate.__doc__ + mr_als.sweep.__doc__


def test_each_half_is_called_back_with_its_history_entry():
    entries = []

    model = mr_als.fit(rows_of(toy_lines()), callback=entries.append, **FEW)

    assert entries == model.info["history"]
    assert [entry["solved"] for entry in entries[:3]] == ["users", "items", "users"]


def test_what_is_interrupted_goes_on_when_the_same_is_called_again(command, tmp_path):
    rows, halves = rows_of(toy_lines()), []

    def interrupt(entry):
        halves.append(entry["half"])
        if entry["half"] == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mr_als.fit(rows, path=tmp_path / "model", callback=interrupt, **FEW)
    with pytest.raises(ResumeError, match="list has changed"):
        mr_als.fit(rows[1:], path=tmp_path / "model", **FEW)
    with pytest.raises(ResumeError, match="--rank was 5, now 6"):
        mr_als.fit(rows, path=tmp_path / "model", **{**FEW, "rank": 6})
    mr_als.fit((row for row in rows), path=tmp_path / "other", callback=halves.append, **FEW)
    halves.clear()
    mr_als.fit(list(rows), path=tmp_path / "model", callback=lambda entry: halves.append(entry["half"]), **FEW)

    assert halves == [5, 6, 7]
    assert generation_bytes(tmp_path / "model") == generation_bytes(tmp_path / "other") == command[1]


def test_of_another_plan_a_run_begins_anew_when_asked_to(tmp_path):
    def stop(entry):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mr_als.fit(rows_of(toy_lines()), path=tmp_path / "model", callback=stop, **FEW)

    model = mr_als.fit(rows_of(toy_lines())[1:], path=tmp_path / "model", on_change="restart", **FEW)

    assert model.info["pairs"] < 1200


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("progress", "terminal", "bar", "lines"), [
    (None, True, True, False), (None, False, False, False), (True, False, False, True), (True, True, True, True),
    (False, True, False, False),
])  # fmt: skip
def test_a_bar_is_drawn_where_it_can_be_seen_and_lines_where_they_are_asked_for(progress, terminal, bar, lines, monkeypatch):
    shown = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)

    mr_als.fit(rows_of(toy_lines()), progress=progress, **FEW)

    assert ("[###" in shown.getvalue()) == bar
    assert ("half   1  iteration  0" in shown.getvalue()) == lines
    assert bool(shown.getvalue()) == (bar or lines)


def in_a_fresh_interpreter(code, *, without=()):
    """Run code where some libraries cannot be imported; give what it prints."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({list(without)!r}))\n"
    command = [sys.executable, "-c", blocked + textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_alone_loads_nothing_and_knows_its_names():
    printed = in_a_fresh_interpreter("""
        import sys
        before = set(sys.modules)
        import mr_als
        print(sorted(m for m in set(sys.modules) - before if m.split(".")[0] not in ("typing", "_typing", "collections")))
        print(sorted(set(mr_als.__all__) - set(dir(mr_als))))
        import mr_als.errors
        print([name for name in mr_als.__all__ if not hasattr(mr_als, name)])
        try:
            mr_als.nothing
        except AttributeError as error:
            print(error)
    """)

    assert printed.splitlines() == ["['mr_als']", "[]", "[]", "module 'mr_als' has no attribute 'nothing'"]


def test_fit_works_without_any_extra():
    printed = in_a_fresh_interpreter(
        """
        import mr_als
        from scipy.sparse import csr_matrix
        model = mr_als.fit(csr_matrix([[3, 1, 0], [2, 0, 1], [0, 1, 5]]), rank=2, regularization=0.01)
        print(len(model.recommend(0)), len(mr_als.fit([("a", "b"), ("c", "d")], rank=1).user_ids))
        try:
            mr_als.fit(type("Table", (), {"__arrow_c_stream__": None})())
        except mr_als.MRALSError as error:
            print(error)
        """,
        without=["numba", "pyarrow", "pandas", "polars", "implicit", "IPython", "pyspark", "s3fs"],
    )

    assert printed.splitlines()[0] == "1 2"
    assert "pip install 'pyarrow>=16'" in printed


def test_explicit_feedback_and_ratings_that_came_twice(tmp_path):
    ratings = [(u, i, 1 + (u * i) % 5) for u in range(20) for i in range(15) if (u + i) % 3]

    model = mr_als.fit(ratings, feedback="explicit", rank=2, regularization=0.05)

    assert "RMSE" in repr(model)
    with pytest.raises(BadInputError, match="1 lines rate what their user has rated already"):
        mr_als.fit([*ratings, ratings[0]], feedback="explicit", rank=2)
    assert mr_als.fit([*ratings, ratings[0]], feedback="explicit", duplicates="mean", rank=2).info["pairs"] == len(ratings)


def test_the_directory_may_be_on_another_path_later(tmp_path):
    mr_als.fit(rows_of(toy_lines()), path=tmp_path / "model", **FEW)
    shutil.move(tmp_path / "model", tmp_path / "moved")

    assert mr_als.load(tmp_path / "moved").recommend("user-1")
