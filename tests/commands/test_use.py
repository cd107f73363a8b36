"""`mr-als recommend`, `similar`, `explain` and `verify`, from the outside."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mr_als
from mr_als import cli
from tests.toy import options, run, toy_lines, write

ROOT = Path(cli.__file__).parent.parent


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    run([write(folder / "counts.tsv", toy_lines())], folder / "model", options())
    return str(folder / "model")


@pytest.fixture
def model(path):
    return mr_als.load(path)


@pytest.fixture
def call(path, capfdbinary):
    """Run a command on the model; give exit code, stdout and stderr."""

    def run(command, *arguments, model=path):
        code = cli.main([command, "--model", str(model), *map(str, arguments)])
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return run


def lines_of(model, users, n=10, **asked):
    """What recommend should print."""
    return "".join(
        f"{user}\t{rank}\t{item}\t{score:.6f}\n"
        for user in users
        for rank, (item, score) in enumerate(model.recommend(user, n, **asked), 1)
    )


def test_recommends_to_one_user(call, model):
    assert call("recommend", "user-3", "-n", 4) == (0, lines_of(model, ["user-3"], 4), "")


@pytest.mark.parametrize("command", [["recommend", "user-3"], ["recommend", "--all"], ["similar", "taste-0-item-1"]])
def test_a_number_beyond_the_items_is_as_good_as_all_of_them(command, call):
    """10^20 places would not fit into any memory."""
    assert call(*command, "-n", 10**20, "-q") == call(*command, "-n", 50, "-q")


def test_recommends_to_all_users_by_a_job(call, model):
    assert call("recommend", "--all", "-q") == (0, lines_of(model, model.user_ids), "")


def test_recommendations_to_everybody_are_asked_for(call, model, tmp_path):
    code, out, err = call("recommend")
    filled = call("recommend", "--output", tmp_path / "top", "-q")

    assert (code, out) == (2, "")
    assert "--output DIR" in err
    assert "--all" in err
    assert filled == (0, "", "")
    assert sum(len(part.read_text().splitlines()) for part in (tmp_path / "top").glob("part-*")) == 10 * len(model.user_ids)
    assert call("recommend", "user-3", "--all")[0] == 2


def test_recommends_played_items_too_when_asked(call, model):
    code, out, _ = call("recommend", "user-3", "--include-played", "-n", 50)

    assert (code, out) == (0, lines_of(model, ["user-3"], 50, include_played=True))


def test_json_is_one_object_a_user(call, model):
    _, out, _ = call("recommend", "user-3", "user-4", "--json")

    found = [json.loads(line) for line in out.splitlines()]
    assert [entry["user"] for entry in found] == ["user-3", "user-4"]
    assert [r["item"] for r in found[0]["recommendations"]] == [item for item, _ in model.recommend("user-3")]


def test_an_unknown_named_user_is_an_error_that_says_where_ids_are(call, model):
    code, out, err = call("recommend", "user-3", "nobody")

    assert (code, out) == (1, "")
    assert "'nobody'" in err
    assert "ids.txt" in err
    assert repr(model.user_ids[0]) in err
    assert Path(model.generation, "users", "ids.txt").exists()


@pytest.mark.parametrize(
    ("name", "meant"), [("USER-3", "user-3"), (" user-17\t", "user-17"), ("uesr-17", "user-17"), ("user_101", "user-101")]
)
def test_an_id_that_was_nearly_given_is_named(name, meant, call):
    for command in (["recommend", name], ["explain", name, "hit-0"], ["recommend", "--fallback", "none", name]):
        code, _, err = call(*command)

        assert code == 1
        assert f"did you mean {meant!r}?" in err
    assert "did you mean 'taste-1-item-3'? Ids are as in the logs" in call("similar", "Taste-1-Item-3")[2]
    assert "did you mean" not in call("recommend", "somebody else")[2]


def test_unknown_users_of_a_list_are_counted_and_left_out(call, model, tmp_path):
    (tmp_path / "users").write_text("user-3\nnobody\r\nuser-4\nnobody2\nuser-3\n")

    code, out, err = call("recommend", "--users", tmp_path / "users", "-n", 3)

    assert (code, out) == (0, lines_of(model, ["user-3", "user-4"], 3))
    assert "2 of 4 users are unknown" in err


def test_a_list_of_unknown_users_only_is_an_error(call, tmp_path):
    (tmp_path / "users").write_text("nobody\n")

    code, out, err = call("recommend", "--users", tmp_path / "users")

    assert (code, out) == (1, "")
    assert "nobody" in err


@pytest.mark.parametrize(("content", "text"), [(None, "No such file"), (b"\n\n", "no id in it"), (b"a\xff\n", "not UTF-8")])
def test_a_list_that_cannot_be_read_is_one_sentence(content, text, call, tmp_path):
    if content is not None:
        (tmp_path / "users").write_bytes(content)

    code, _, err = call("recommend", "--users", tmp_path / "users")

    assert code == 1
    assert text in err
    assert len(err.splitlines()) == 1


def test_names_and_a_list_together_are_a_usage_error(call):
    assert call("recommend", "user-3", "--users", "x")[0] == call("recommend", "--all", "--users", "x")[0] == 2


@pytest.mark.parametrize("asked", [["--all"], ["user-3"], ["--all", "--json"]])
def test_an_output_directory_appears_whole_and_is_not_overwritten(asked, call, tmp_path):
    _, expected, _ = call("recommend", *asked)

    code, out, err = call("recommend", *asked, "--output", tmp_path / "top")
    again, _, refusal = call("recommend", *asked, "--output", tmp_path / "top")

    assert (code, out) == (0, "")
    assert str(tmp_path / "top") in err
    assert "".join(part.read_text() for part in sorted((tmp_path / "top").glob("part-*"))) == expected
    assert (tmp_path / "top" / "_SUCCESS").exists()
    assert again == 2
    assert "exists" in refusal
    assert [entry.name for entry in tmp_path.iterdir()] == ["top"]


def test_an_output_that_cannot_be_written_is_a_usage_error(call, tmp_path):
    code, _, err = call("recommend", "--output", tmp_path / "missing" / "top")

    assert code == 2
    assert "cannot be written" in err


@pytest.mark.parametrize("command", ["recommend", "explain"])
def test_help_says_what_a_score_is(command, capsys):
    assert cli.main([command, "--help"]) == 0

    text = " ".join(capsys.readouterr().out.split())
    assert "Higher is better" in text
    assert "can be above 1 or below 0" in text


@pytest.mark.parametrize("asked", ["--all", "user-3 user-4 user-5"])
def test_a_reader_that_leaves_early_is_no_error(asked, path):
    command = f"set -o pipefail; {sys.executable} -m mr_als recommend --model {path} {asked} -n 40 -q | head -1"

    done = subprocess.run(
        ["bash", "-c", command], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


def test_prints_neighbours(call, model):
    code, out, _ = call("similar", "taste-1-item-3", "-n", 3)

    found = model.similar_items("taste-1-item-3", 3)
    assert (code, out) == (0, "".join(f"taste-1-item-3\t{r}\t{name}\t{cosine:.6f}\n" for r, (name, cosine) in enumerate(found, 1)))


def test_prints_neighbours_as_json(call):
    found = json.loads(call("similar", "taste-1-item-3", "--json")[1])

    assert found["item"] == "taste-1-item-3"
    assert [entry["rank"] for entry in found["similar"]] == list(range(1, 11))


def test_an_unknown_item_is_an_error_that_says_where_ids_are(call):
    for arguments in (["similar", "nothing"], ["explain", "user-3", "nothing"]):
        code, out, err = call(*arguments)

        assert (code, out) == (1, "")
        assert "'nothing'" in err
        assert "items/ids.txt" in err


def test_explains_a_score_by_plays_that_sum_to_it(call, model):
    _, text, _ = call("explain", "user-1", "taste-1-item-3", "-n", 2)
    why = json.loads(call("explain", "user-1", "taste-1-item-3", "--json")[1])

    shown = [line.split(None, 2) for line in text.splitlines()[2:4]]
    assert [line[2] for line in shown] == [part["item"] for part in why["parts"][:2]]
    assert f"({len(why['parts']) - 2} more)" in text
    assert "sum of the parts" in text.splitlines()[-1]
    assert sum(part["part"] for part in why["parts"]) == pytest.approx(why["score"], abs=2e-3)
    assert {part["item"]: part["plays"] for part in why["parts"]} == dict(model.plays("user-1"))


def test_a_sound_model_passes_all_checks(call):
    code, out, err = call("verify")

    assert (code, err) == (0, "")
    assert [line.split("\t")[:2] for line in out.splitlines()] == [
        ["ok", name] for name in ("checksums", "users", "items", "plays", "wrmse", "objective", "equations")
    ]
    assert json.loads(call("verify", "--json")[1])["ok"] is True


def damaged(path, tmp_path, change, *, honest=True):
    """Copy a model, change it, and if `honest` let the manifest say so, so that only the content is wrong."""
    shutil.copytree(path, tmp_path / "m")
    generation = Path(mr_als.load(str(tmp_path / "m")).generation)
    change(generation)
    if honest:
        from mr_als.records.spill import file_checksum

        manifest = json.loads((generation / "manifest.json").read_text())
        manifest["files"] = {n: [os.path.getsize(generation / n), file_checksum(str(generation / n))] for n in manifest["files"]}
        (generation / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path / "m"


def add_to(name, amount):
    """Make a change that adds to the first numbers of an array."""

    def change(generation):
        array = np.load(generation / name, mmap_mode="r+")
        array[:3] += np.asarray(amount, array.dtype)
        array.flush()

    return change


def rows_of(side, order, *, names=None):
    """Make a change that leaves these rows of a side, in this order, or only of some of its arrays."""

    def change(generation):
        folder = generation / side
        ids = (folder / "ids.txt").read_bytes().splitlines(keepends=True)
        rows = order(np.arange(len(ids)))
        for name in names or ("factors", "hashes"):
            np.save(folder / f"{name}.npy", np.load(folder / f"{name}.npy")[rows])
        if not names:
            (folder / "ids.txt").write_bytes(b"".join(ids[row] for row in rows))
            np.save(folder / "ids_start.npy", np.cumsum([0, *(len(ids[row]) for row in rows)]))

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (rows_of("items", lambda rows: rows[[1, 0, *rows[2:]]]), "items\tthe rows are not in the order of their hashes"),
        (rows_of("users", lambda rows: rows[[0, 1, 1, *rows[3:]]]), "users\tthe rows are not in the order of their hashes"),
        (rows_of("items", lambda rows: rows[:-1]), "items\tfactors (49, 5), 49 ids, but model.json says 50 rows of rank 5"),
        (rows_of("users", lambda rows: rows[:-1], names=["factors"]), "users\tfactors (119, 5), 120 ids, but model.json says 120"),
        (rows_of("users", lambda rows: rows[:-1], names=["hashes"]), "users\tfactors (120, 5), 120 ids, but model.json says 120"),
        (
            rows_of("items", lambda rows: rows[[1, 0, *rows[2:]]], names=["hashes"]),
            "items\tan id and its hash do not belong together",
        ),
    ],
    ids=["order", "twice", "fewer", "fewer factors", "fewer hashes", "other hashes"],
)
def test_verify_knows_rows_out_of_order_and_of_another_number(change, said, call, path, tmp_path):
    code, out, _ = call("verify", model=damaged(path, tmp_path, change))

    assert code == 1
    assert f"WRONG\t{said}" in out


@pytest.mark.parametrize(
    ("change", "honest", "wrong"),
    [
        (add_to("users/factors.npy", 0.5), False, "checksums"),
        (add_to("users/factors.npy", 0.5), True, "wrmse"),
        (add_to("users/factors.npy", 0.1), True, "equations"),
        (add_to("users/plays_amount.npy", 1), True, "objective"),
        (add_to("items/hashes.npy", 1), True, "items"),
        (add_to("items/factors.npy", np.nan), True, "items"),
    ],
)
def test_verify_names_what_is_wrong(change, honest, wrong, call, path, tmp_path):
    code, out, err = call("verify", model=damaged(path, tmp_path, change, honest=honest))

    assert code == 1
    assert f"WRONG\t{wrong}\t" in out
    assert wrong in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("command", [["recommend", "u"], ["similar", "i"], ["explain", "u", "i"], ["verify"]])
def test_a_directory_without_a_model_is_one_sentence(command, call, tmp_path):
    code, out, err = call(*command, model=tmp_path)

    assert (code, out) == (1, "")
    assert "no published model" in err
    assert "mr-als train" in err
    assert len(err.splitlines()) == 1


def test_a_model_with_a_missing_file_is_one_sentence(call, path, tmp_path):
    model = damaged(path, tmp_path, lambda generation: (generation / "users" / "ids.txt").unlink(), honest=False)

    code, _, err = call("recommend", "user-3", model=model)

    assert code == 1
    assert "ids.txt" in err
    assert "train again" in err
