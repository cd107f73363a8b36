"""`mr_als.split`, `evaluate` and `sweep` do what the commands do, with DataFrames, matrices and tuples in and out."""

from __future__ import annotations

import json

import numpy as np
import pandas
import polars
import pyarrow
import pytest
from scipy.sparse import coo_array, csr_array, issparse

import mr_als
from mr_als.errors import BadInputError, UsageError
from tests.toy import toy_lines


@pytest.fixture(scope="module")
def events():
    """Draw plays with times, of users who like even or odd items."""
    rng = np.random.default_rng(0)
    user = rng.integers(0, 40, 4000)
    columns = {
        "timestamp": pandas.to_datetime(rng.integers(1709251200, 1709251200 + 86400 * 10, 4000), unit="s", utc=True),
        "user": user, "item": 2 * rng.integers(0, 20, 4000) + user % 2, "ms_played": rng.integers(20_000, 300_000, 4000),
    }  # fmt: skip
    return pandas.DataFrame(columns)


def write(frame, path):
    path.write_text("".join(f"{t.isoformat()}\t{u}\t{i}\t{ms}\n" for t, u, i, ms in frame.itertuples(index=False)))
    return str(path)


def pairs_in(directory):
    """Read all lines of a part that the command wrote."""
    lines = [line for path in sorted(directory.glob("part-*.tsv")) for line in path.read_text().splitlines()]
    return sorted((int(u), int(i), float(p)) for u, i, p in (line.split("\t") for line in lines))


def pairs_of(frame):
    return sorted(frame.itertuples(index=False, name=None)) if frame is not None else []


@pytest.mark.parametrize(
    "rule",
    [{"by": "random", "share": 0.2}, {"by": "users", "share": 0.3, "seed": 4}, {"by": "last", "last": 2},
     {"by": "time", "cut": "2024-03-08", "validation_cut": "2024-03-06"}],
    ids=lambda rule: rule["by"],
)  # fmt: skip
def test_a_split_is_that_of_the_command(rule, events, tmp_path, cli):
    words = [f"--{name.replace('_', '-')}={value}" for name, value in rule.items()]
    paths = [word for part in ("train", "test", "validation") for word in (f"--{part}", tmp_path / part)]
    code, _, err = cli("split", write(events, tmp_path / "log.tsv"), *paths, *words, "-q")
    assert code == 0, err

    parts = mr_als.split(events, validation=True, **rule)

    for name in ("train", "test", "validation"):
        assert pairs_of(getattr(parts, name)) == pairs_in(tmp_path / name), name
    for name in ("test", "validation"):
        assert pairs_of(getattr(parts, f"{name}_history")) == pairs_in(tmp_path / name / "_fold_in"), name


def as_pandas(plays):
    return (
        pandas.DataFrame(plays, columns=["user", "item", "plays"]) if isinstance(plays, list) else pyarrow.table(plays).to_pandas()
    )


def test_parts_come_in_the_form_of_the_whole(events):
    plain = events[["user", "item"]].assign(plays=1.0)
    expected = mr_als.split(plain)
    matrix = csr_array((np.ones(len(plain)), (plain["user"], plain["item"])), shape=(45, 41))

    forms = {
        pandas.DataFrame: plain, polars.DataFrame: polars.DataFrame(plain.to_dict("list")),
        pyarrow.Table: pyarrow.table(plain.to_dict("list")), list: list(plain.itertuples(index=False, name=None)),
    }  # fmt: skip
    for kind, plays in forms.items():
        parts = mr_als.split(plays)
        assert isinstance(parts.test, kind)
        assert pairs_of(as_pandas(parts.test)) == pairs_of(expected.test)
        assert parts.validation is parts.test_history is None
    parts = mr_als.split(matrix)
    assert issparse(parts.test)
    assert parts.test.shape == matrix.shape
    np.testing.assert_array_equal((parts.train + parts.test).toarray(), matrix.toarray())
    assert {(u, i) for u, i, _ in pairs_of(expected.test)} == set(zip(*(a.tolist() for a in parts.test.nonzero()), strict=True))


def test_fractions_of_plays_survive_a_matrix_of_integers():
    parts = mr_als.split(csr_array(np.full((9, 9), 3, np.int64)))

    assert parts.train.dtype == np.int64
    assert set(parts.train.data.tolist()) == {3}


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"by": "last"}, "needs a timestamp, but the columns are user, item, plays; split by random or users"),
        ({"by": "time", "cut": "2024-03-01"}, "needs a timestamp"),
        ({"by": "time"}, "--cut goes with --by time, and is required there"),
        ({"shre": 0.1}, r"did you mean 'share'\?"),
        ({"share": 0.7}, "share must be a number above 0 and below 0.5"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(keywords, said):
    with pytest.raises(UsageError, match=said):
        mr_als.split([("a", "x", 1), ("b", "y", 1)], **keywords)


def test_logs_are_split_by_the_command():
    with pytest.raises(UsageError, match="logs are split by the command: mr-als split"):
        mr_als.split("sample_logs")


def test_a_part_without_a_pair_and_bad_rows_are_errors():
    with pytest.raises(BadInputError, match="no pair is in the test part"):
        mr_als.split([("a", "x", 1)], share=0.01)
    with pytest.raises(BadInputError, match="1 of 2 rows are bad, more than max_bad_lines 1%; the first is row 1, plays negative"):
        mr_als.split([("a", "x", 1), ("a", "y", -1)])


@pytest.fixture(scope="module")
def parts():
    rows = [(user, item, float(plays)) for user, item, plays in (line.split("\t") for line in toy_lines())]
    return mr_als.split(rows, share=0.2)


@pytest.fixture(scope="module")
def model(parts):
    return mr_als.fit(parts.train, rank=5, max_iterations=3)


def test_an_evaluation_is_that_of_the_command(parts, model, tmp_path, cli):
    log = tmp_path / "test.tsv"
    log.write_text("".join(f"{u}\t{i}\t{p:g}\n" for u, i, p in parts.test))
    code, out, _ = cli("evaluate", "--model", model.path, log, "-k", "5,10", "--json", "-q")
    assert code == 0
    theirs = json.loads(out)
    theirs.pop("notes")

    frame = pandas.DataFrame(parts.test, columns=["user", "item", "plays"])
    reports = [model.evaluate(form, k=[10, 5, 5]) for form in (parts.test, frame, str(log))]

    assert all(report == theirs for report in reports)
    assert reports[0]["metrics"]["ndcg@5"]["model"] > reports[0]["metrics"]["ndcg@5"]["popularity"]


def test_numbers_of_numpy_are_as_good(parts, model):
    report = model.evaluate(parts.test, k=np.array([10, 5]), seed=np.int64(3))

    assert json.loads(json.dumps(report)) == model.evaluate(parts.test, k=[5, 10], seed=3)
    assert model.evaluate(parts.test, k=np.int64(5)) == model.evaluate(parts.test, k=5)


@pytest.mark.parametrize("k", [0, -1, [], "10", True, 2.5, None, [5, 0], ["5"]])
def test_a_length_of_lists_is_an_integer_of_at_least_one(k, parts, model):
    for measure in (lambda: model.evaluate(parts.test, k=k), lambda: mr_als.sweep(parts.train, parts.test, rank=[1, 2], k=k)):
        with pytest.raises(UsageError, match="^k is .*; expected the length of the lists that count"):
            measure()


def test_an_evaluation_of_no_model_or_without_an_integer_for_a_seed_is_an_error(parts, model):
    with pytest.raises(UsageError, match=r"model is a str; expected a Model, as of mr_als.fit or mr_als.load"):
        mr_als.evaluate(model.path, parts.test)
    with pytest.raises(UsageError, match="seed is '1'; expected an integer"):
        model.evaluate(parts.test, seed="1")


def test_a_report_becomes_a_dataframe_and_a_table(parts, model):
    report = mr_als.evaluate(model, parts.test, k=5)

    frame = report.to_pandas()
    assert frame.loc["ndcg@5", "model"] == report["metrics"]["ndcg@5"]["model"]
    assert frame.loc["ndcg@5", "low"] == report["metrics"]["ndcg@5"]["interval"][0]
    assert polars.DataFrame(report.columns()).height == len(frame) == len(report["metrics"]) + 1
    assert "<td>ndcg@5</td>" in report._repr_html_()


def test_users_that_are_held_out_are_folded_in_from_their_history():
    rows = [(user, item, float(plays)) for user, item, plays in (line.split("\t") for line in toy_lines())]
    parts = mr_als.split(rows, by="users", share=0.2)
    model = mr_als.fit(parts.train, rank=5, max_iterations=3)

    report = mr_als.evaluate(model, parts.test, history=parts.test_history, k=5)

    assert report["users"] == len({user for user, _, _ in parts.test})
    with pytest.raises(BadInputError, match="no test pair can be evaluated"):
        mr_als.evaluate(model, parts.test, k=5)


def test_a_matrix_of_held_out_plays_has_the_numbers_of_the_one_that_was_fitted():
    board = (np.add.outer(np.arange(40), np.arange(40)) % 2 == 0).astype(float)
    parts = mr_als.split(csr_array(board), share=0.2)

    report = mr_als.fit(parts.train, rank=2, regularization=0.01).evaluate(parts.test, k=2)

    assert report["metrics"]["hit_rate@2"]["model"] == 1.0


def test_a_sweep_finds_the_best_point_and_goes_on_with_more(parts, tmp_path):
    found = mr_als.sweep(parts.train, parts.test, test=parts.test, path=tmp_path / "sweep", rank=[1, 5], max_iterations=3, k=5)

    assert found.winner == "rank=5,max-iterations=3"
    assert found.model.rank == 5
    assert found.test["metrics"].keys() == found.points[0]["validation"]["metrics"].keys()
    frame = found.to_pandas()
    assert list(frame.index) == [found.winner, "rank=1,max-iterations=3"]
    assert frame["ndcg@5"].is_monotonic_decreasing
    assert "rank=5" in found._repr_html_()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "sweep").glob("*/model/model.json")}
    same = {"test": parts.test, "path": tmp_path / "sweep", "max_iterations": 3, "k": 5}
    more = mr_als.sweep(parts.train, parts.test, rank=[1, 5, 6], **same)
    assert [point["name"][:6] for point in more.points] == ["rank=1", "rank=5", "rank=6"]
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    with pytest.raises(UsageError, match="other validation: its figures cannot be compared"):
        mr_als.sweep(parts.train, parts.test[1:], rank=[1], **same)


def test_a_sweep_reads_what_can_be_read_once(parts):
    options = {"rank": [1, 2], "max_iterations": 2, "k": 5}
    columns = dict(zip(("user", "item", "plays"), zip(*parts.test, strict=True), strict=True))

    found = mr_als.sweep((row for row in parts.train), pyarrow.table(columns).to_reader(), test=iter(parts.test), **options)

    again = mr_als.sweep(parts.train, parts.test, test=parts.test, **options)
    for point, other in zip(found.points, again.points, strict=True):
        assert point["validation"]["metrics"] == other["validation"]["metrics"]
    assert found.test["metrics"] == again.test["metrics"]
    with pytest.raises(UsageError, match="a generator, which can be read once, and are needed again; give a list"):
        mr_als.sweep(parts.train, (row for row in parts.test), feedback="explicit", **options)


def test_what_all_points_share_has_one_value(parts):
    with pytest.raises(UsageError, match="salt has 2 values, and all points of a sweep share one"):
        mr_als.sweep(parts.train, parts.test, salt=[1, 2])
    with pytest.raises(UsageError, match="rank has 0 values, and a sweep needs one at least"):
        mr_als.sweep(parts.train, parts.test, rank=[])
    with pytest.raises(UsageError, match="no keyword is named 'min_size'"):  # what publishes a model is no part of a grid
        mr_als.sweep(parts.train, parts.test, min_size=5)


def test_a_split_of_a_matrix_holds_the_sums_of_its_entries():
    users, items = (numbers.ravel() for numbers in np.mgrid[:20, :20])
    thrice = coo_array((np.full(1200, 100, np.int8), (np.tile(users, 3), np.tile(items, 3))), shape=(20, 20))

    parts = mr_als.split(thrice)

    assert parts.train.sum() + parts.test.sum() == 1200 * 100


def test_a_split_gives_back_ids_of_64_bits():
    numbers = np.arange(400, dtype=np.uint64)
    frame = pandas.DataFrame({"user": 2**63 + numbers // 20, "item": numbers % 20})

    parts = mr_als.split(frame)

    assert {*parts.train["user"], *parts.test["user"]} == {*frame["user"]}
