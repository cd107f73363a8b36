"""Which files of a directory are logs: the others are named, and archives are directories."""

from __future__ import annotations

import gzip
import os

import pytest

from mr_als import cli
from mr_als.engine.engine import Engine
from mr_als.errors import BadInputError, UsageError
from mr_als.evaluating.split import split
from mr_als.logs.foreign import kind_of
from mr_als.options import InputOptions, SplitOptions
from mr_als.preparing.log_files import Logs
from mr_als.preparing.prepare import prepare
from mr_als.progress import Progress
from mr_als.records.lines import LINES
from tests.logs.test_archives import make_tar, make_zip
from tests.preparing.test_inputs import pairs_of

FOREIGN = {
    "ReadMeFirst.pdf": (b"%PDF-1.4\n%\xe2\xe3", "a PDF document"), "cover.png": (b"\x89PNG\r\n\x1a\n", "a picture"),
    "cover.jpg": (b"\xff\xd8\xff\xe0\0\x10JFIF", "a picture"), "music.db": (b"SQLite format 3\0\x10\0", "an SQLite database"),
    "plays.xlsx": (b"PK\x03\x04\x14\0\6\0\x08\0\0\0!\0[Content_Types].xml", "an Office document: save its sheet as CSV"),
    "plays.ods": (b"PK\x03\x04mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "a spreadsheet: save its sheet as CSV"),
    "plays.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document"),
    "export.bin": (b"PK\x03\x04\x14\0\0\0\x08\0", "a zip archive: its name must end in .zip"),
    "a.tsv": (gzip.compress(b"ann\tx\t1\n"), "compressed by gzip: its name must end in .gz"),
    "a.csv": ("ann,x,1\n".encode("utf-16-le"), "text in UTF-16 without a byte-order mark"),
    "a.txt": ("ann,x,1\n".encode("utf-32"), "text in UTF-32"),
    "history.html": (b"<!DOCTYPE html>\n<html>", "an HTML page"), "Library.xml": (b'<?xml version="1.0"?>', "an XML document"),
    "logs.gz": (gzip.compress(bytes(257) + b"ustar\0" + bytes(400)), "a tar archive: its name must end in .tar"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_is_no_log_is_named_as_what_it_is(tmp_path, name):
    data, kind = FOREIGN[name]
    (tmp_path / name).write_bytes(data)
    (tmp_path / "log.tsv").write_text("ann\tx\t1\n")

    logs = Logs.of([str(tmp_path)])

    assert logs.paths == (str(tmp_path / "log.tsv"),)
    assert logs.left_out[str(tmp_path / name)].startswith(kind)
    with pytest.raises(BadInputError, match=f"{name}: no log, but {kind}"):
        Logs.of([str(tmp_path / "log.tsv"), str(tmp_path / name)])
    (tmp_path / "log.tsv").unlink()
    with pytest.raises(BadInputError, match=f"no log in it, but .*{name}: {kind}"):
        Logs.of([str(tmp_path)])


@pytest.mark.parametrize(
    "head",
    [
        b"", b"BMG records\tx\t1\n", b"ORCHESTRA,x\n", b"ID3,x\n", b"PAR1\x15\x04", b"PAR1" + b"\1\0\0\0" * 9,
        b"\xff\xfea\0\t\0b\0", b"a\0b\0c,d,e,f\n", b"<unknown>\tx\t1\n", b"\xef\xbb\xbfann\tx\t1\n", b"\n" * 600, b"ustar\tx\t1\n",
    ],
)  # fmt: skip
def test_what_may_be_a_log_is_one(head):
    assert kind_of(head) == ""


def test_what_is_not_read_is_said_and_in_quiet_too_unless_its_name_says_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("logs")
    for name in ["a.tsv", "_SUCCESS", *(f".{n}.crc" for n in range(9))]:
        (tmp_path / "logs" / name).write_text("ann\tx\t1\n")
    (tmp_path / "logs/me.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "logs/old").symlink_to("/nowhere")
    (tmp_path / "logs/today.tsv").symlink_to("a.tsv")

    assert cli.main(["prepare", "logs", "--plays", "p"]) == 0
    said = capsys.readouterr().err.splitlines()
    assert cli.main(["prepare", "logs", "--plays", "p2", "-q"]) == 0
    warned = capsys.readouterr().err.splitlines()

    hidden = "logs/.0.crc, logs/.1.crc, logs/.2.crc, logs/.3.crc, logs/.4.crc and 5 more: names that begin with . or _"
    assert said[:2] == [
        f"prepare: not read: {hidden}", "prepare: not read: logs/today.tsv: other names of files that are read",
    ]  # fmt: skip
    assert said[2:4] == warned == [
        "warning: prepare: not read: logs/me.jpg: a picture", "warning: prepare: not read: logs/old: a link that leads nowhere",
    ]  # fmt: skip


@pytest.fixture
def members(tmp_path):
    """Logs in a directory, and the same in archives."""
    texts = {f"day/{n}.csv": "user,item,plays\n" + "".join(f"u{k % 7},i{n * k % 5},{k + n}\n" for k in range(40)) for n in range(3)}
    inside = {name: text.encode() for name, text in texts.items()} | {"day/3.csv.gz": gzip.compress(b"user,item,plays\nu1,i9,4\n")}
    other = {"README.pdf": b"%PDF-1.4", "__MACOSX/._0.csv": b"\0\5\x16\7", "day/_SUCCESS": b""}
    make_zip(tmp_path / "logs.zip", inside | other)
    make_tar(tmp_path / "logs.tar.gz", inside | other)
    for name, data in inside.items():
        (tmp_path / "logs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "logs" / name).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize("name", ["logs.zip", "logs.tar.gz"])
@pytest.mark.parametrize("engine", [Engine(), pytest.param(Engine("local", tasks=2), marks=pytest.mark.slow)])
def test_an_archive_is_a_directory(members, name, engine, capsys):
    expected = prepare([str(members / "logs")], str(members / "from-logs"), InputOptions())

    found = prepare([str(members / name)], str(members / "from-archive"), InputOptions(), engine)

    assert pairs_of(found) == pairs_of(expected)
    assert found.info["counts"] == expected.info["counts"]
    assert list(found.info["inputs"]) == [str(members / name)]
    assert set(found.info["lines"]) == {f"{members}/{name}/day/{n}.csv{'.gz' * (n == 3)}@0" for n in range(4)}
    assert sorted(os.listdir(members / "from-archive")) == sorted(["plays.json", "bad-lines.tsv", found.info["attempt"]])
    assert f"{name}/README.pdf: a PDF document" in capsys.readouterr().err


def test_archives_in_directories_are_read_and_finished_plays_need_no_unpacking(members, monkeypatch):
    (members / "logs/more.zip").write_bytes((members / "logs.zip").read_bytes())

    plays = prepare([str(members / "logs")], str(members / "plays"), InputOptions())
    monkeypatch.setattr("mr_als.preparing.log_files.unpack", None)

    assert prepare([str(members / "logs")], str(members / "plays"), InputOptions()).info == plays.info
    once = prepare([str(members / "logs/day")], str(members / "once"), InputOptions())
    assert pairs_of(plays) == {pair: 2 * units for pair, units in pairs_of(once).items()}


def test_bad_lines_are_named_by_archive_and_member(tmp_path):
    make_zip(tmp_path / "x.zip", {"day/a.tsv": b"ann\tx\t1\nann\tx\n"})

    prepare([str(tmp_path / "x.zip")], str(tmp_path / "plays"), InputOptions(format="counts", max_bad_lines="1"))

    bad = (tmp_path / "plays/bad-lines.tsv").read_text().splitlines()[1]
    assert bad == f"{tmp_path}/x.zip/day/a.tsv\t2\ttoo few fields\t\tann\\tx"


def test_a_member_that_is_not_understood_is_named_by_its_archive(tmp_path, capsys):
    make_zip(tmp_path / "x.zip", {"day/a.txt": b"hello\n"})
    make_zip(
        tmp_path / "y.zip", {"day/a.csv": b"user,item,weight\nann,x,3\n", "b.csv": b"user,item,album length\nann,x,3\nbob,y,4\n"}
    )

    with pytest.raises(BadInputError, match=rf"^{tmp_path}/x\.zip/day/a\.txt: its lines have 1 fields.*; or unpack the archive"):
        prepare([str(tmp_path / "x.zip")], str(tmp_path / "plays"), InputOptions())
    with pytest.raises(BadInputError, match=rf"^{tmp_path}/x\.zip/day/a\.txt: its lines have 1 fields"):
        outputs = {part: str(tmp_path / part) for part in ("train", "test")}
        split([str(tmp_path / "x.zip")], outputs, SplitOptions(by="random"), InputOptions(), Engine(), Progress(quiet=True))
    prepare([str(tmp_path / "y.zip")], str(tmp_path / "plays"), InputOptions())
    make_zip(tmp_path / "z.zip", {"a.csv.gz": gzip.compress(b"user,item\nann,x\n" * 9000)[:-9]})
    with pytest.raises(BadInputError, match=rf"^{tmp_path}/z\.zip/a\.csv\.gz: .*compressed data are damaged"):
        prepare([str(tmp_path / "z.zip")], str(tmp_path / "plays"), InputOptions())

    assert f"warning: prepare: {tmp_path}/y.zip/b.csv: numbers that are not used: album length" in capsys.readouterr().err


def test_what_was_unpacked_is_removed_when_a_run_fails_and_by_the_next_one_when_it_was_killed(members, monkeypatch):
    (members / "plays/unpacked/of").mkdir(parents=True)
    (members / "plays/unpacked/of/another.csv").write_text("not a log")

    with pytest.raises(BadInputError):
        prepare([str(members / "logs.zip")], str(members / "plays"), InputOptions(columns="user=nobody,item=item"))

    assert "unpacked" not in os.listdir(members / "plays")


def test_an_archive_without_a_log_is_refused_by_name(tmp_path):
    make_zip(tmp_path / "x.zip", {"README.pdf": b"%PDF-1.4"})
    make_zip(tmp_path / "empty.zip", {})

    with pytest.raises(BadInputError, match=rf"^{tmp_path}/x\.zip.*: no log in it, but .*README\.pdf: a PDF document"):
        prepare([str(tmp_path / "x.zip")], str(tmp_path / "plays"), InputOptions())
    with pytest.raises(BadInputError, match=rf"^{tmp_path}/empty\.zip/?: no such file, and no file in it"):
        prepare([str(tmp_path / "empty.zip")], str(tmp_path / "plays"), InputOptions())


def test_archives_and_utf16_are_refused_where_tasks_read_lines(members):
    (members / "a.tsv").write_bytes("\ufeffann\tx\t1\n".encode("utf-16-le"))

    for name, said in (("logs.zip", "archives are"), ("a.tsv", "UTF-16 is")):
        message = rf"{name}: {said} read by the engines of one machine only.*`mr-als prepare \.\.\. -r local --plays DIR`"
        with pytest.raises(UsageError, match=message):
            Logs.of([str(members / name)], LINES)


def test_archives_are_split_as_directories_are(members):
    parts = {}
    for name in ("logs", "logs.zip"):
        outputs = {part: str(members / f"{name}-{part}") for part in ("train", "test")}
        split([str(members / name)], outputs, SplitOptions(by="random"), InputOptions(), Engine(), Progress(quiet=True))
        parts[name] = {
            str(path.relative_to(members))[len(name) :]: path.read_bytes() for path in sorted(members.glob(f"{name}-*/part-*"))
        }

    assert parts["logs.zip"] == parts["logs"]
    assert any(parts["logs"].values())


@pytest.mark.parametrize("mark", ["\t", "\n", "\r"])
@pytest.mark.parametrize("command", ["prepare --plays", "train --model", "split --by random --test test --train"])
def test_an_output_that_cannot_be_named_in_a_field_of_a_line_is_refused_first(tmp_path, monkeypatch, capsys, command, mark):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.tsv").write_text("ann\tx\t1\nbob\ty\t2\n")
    name, *options = command.split()

    assert cli.main([name, "log.tsv", *options, f"mo{mark}del", "-q"]) == 2

    assert "a tab or a line end in the name of a directory" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["log.tsv"]
    (tmp_path / f"a{mark}b").mkdir()
    monkeypatch.chdir(tmp_path / f"a{mark}b")
    assert cli.main([name, "../log.tsv", *options, "model", "-q"]) == 2
