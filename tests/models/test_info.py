"""What `model.json` must be: every reader says what it is instead, and training says so first, and replaces it."""

from __future__ import annotations

import json
import shutil

import pytest

import mr_als
from mr_als.errors import ModelError
from mr_als.models.info import find_info, read_info
from mr_als.models.kept import current, kept
from mr_als.options import RunOptions
from mr_als.training.train import train
from tests.toy import options, run, toy_lines, write


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    run([write(folder / "log.tsv", toy_lines())], folder / "model", options(iterations=0))
    return folder


@pytest.fixture
def model(made, tmp_path):
    shutil.copytree(made / "model", tmp_path / "model")
    return tmp_path / "model"


def torn(text):
    return text[:300]


def foreign(_):
    return json.dumps({"name": "another program", "layers": [1, 2]})


def a_list(_):
    return "[1, 2]"


def empty(_):
    return ""


def newer(text):
    return json.dumps({**json.loads(text), "format": 2})


def without_options(text):
    return json.dumps({key: value for key, value in json.loads(text).items() if key != "options"})


def without_weights(text):
    info = json.loads(text)
    del info["options"]["weights"]
    return json.dumps(info)


def of_other_types(text):
    return json.dumps({**json.loads(text), "n_users": "many", "history": [3]})


BAD = [
    (torn, r"model\.json cannot be read \(no JSON: .*torn, or of another program; train again"),
    (empty, r"model\.json cannot be read \(no JSON: .*torn"),
    (foreign, r"model\.json cannot be read \(no format in it, but fields 'name', 'layers'\): of another program; train again"),
    (a_list, r"model\.json cannot be read \(no format in it, but list\)"),
    (newer, r"model\.json has format 2, and mr_als .* reads format 1; use the version that wrote it \(0\.2\.0.*\), or train again"),
    (without_weights, r"model\.json cannot be read \(no options\.weights\): damaged, train again"),
    (of_other_types, r"model\.json cannot be read \(n_users is 'many', history\[0\] is 3\): damaged, train again"),
    (without_options, r"model\.json cannot be read \(no options\): damaged, train again"),
]


def spoil(model, by):
    path = model / "model.json"
    path.write_text(by(path.read_text()))


@pytest.mark.parametrize(("by", "words"), BAD)
def test_every_command_that_reads_a_model_says_what_it_is(by, words, model, made, tmp_path, cli):
    spoil(model, by)

    for command in (
        ["recommend", "--model", model, "user-1"],
        ["similar", "--model", model, "hit-0"],
        ["explain", "--model", model, "user-1", "hit-0"],
        ["evaluate", "--model", model, made / "log.tsv"],
        ["export", "--model", model, "--format", "tsv", "-o", tmp_path / "out"],
        ["report", "--model", model, "-o", tmp_path / "out"],
        ["verify", "--model", model],
        ["models", "--model", model],
        ["train", made / "log.tsv", "--model", tmp_path / "new", "--warm-start", model, "--rank", 5],
    ):
        code, out, err = cli(*command, "-q")

        assert (code, out, len(err.splitlines())) == (1, "", 1), command
        with pytest.raises(ModelError, match=words):
            raise ModelError(err)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("by", "words"), BAD)
def test_train_says_so_before_it_begins_and_replaces_it(by, words, model, made, cli):
    before = (model / "model.json").read_text()
    spoil(model, by)

    code, _, err = cli("train", made / "log.tsv", "--model", model, "--rank", 2, "--max-iterations", 1)

    assert code == 0
    with pytest.raises(ModelError, match=words + ".*replaces it"):
        raise ModelError(err.splitlines()[0])
    assert mr_als.load(str(model)).rank == 2
    assert find_info(str(model))["generation"] != json.loads(before)["generation"]
    assert len(kept(str(model))) == 2


def test_quiet_training_says_it_too(model, made, cli):
    spoil(model, torn)

    _, _, err = cli("train", made / "log.tsv", "--model", model, "--rank", 2, "--max-iterations", 0, "-q")

    assert len(err.splitlines()) == 1
    assert "replaces it" in err


def test_a_gate_that_has_nothing_to_compare_with_is_shut(model, made):
    """Else a model that lost most of its users would pass because the one before is torn."""
    spoil(model, torn)

    with pytest.raises(ModelError, match=r"torn.*Nothing can be compared.*--min-size"):
        train([str(made / "log.tsv")], str(model), options(iterations=0), rules=RunOptions(min_size=0.5))

    assert current(str(model)) == {}


def test_a_manifest_is_held_to_the_same(model):
    path = next(model.glob("generations/*/manifest.json"))
    sound = path.read_text()
    for text, words in (
        (sound[:40], r"manifest\.json cannot be read \(no JSON"),
        (sound.replace('"format": 1', '"format": 7'), r"manifest\.json has format 7"),
        ('{"format": 1, "records": {}}', r"its manifest names no arrays"),
        (sound.replace("users/", "../users/"), "outside of it"),
    ):
        path.write_text(text)
        with pytest.raises(ModelError, match=words):
            mr_als.load(str(model))
    path.unlink()
    with pytest.raises(ModelError, match=r"no manifest\.json in it: damaged, train again"):
        mr_als.load(str(model))


def test_a_generation_outside_of_the_model_is_not_opened(model):
    spoil(model, lambda text: json.dumps({**json.loads(text), "generation": "../../elsewhere"}))

    with pytest.raises(ModelError, match="outside of it: forged"):
        read_info(str(model))


def test_none_at_all_is_no_error_to_who_looks_for_one(tmp_path):
    assert find_info(str(tmp_path)) is None
    with pytest.raises(ModelError, match="no published model in it"):
        read_info(str(tmp_path))
