"""Archives: members are laid down as they are, and what must not be unpacked is refused by name."""

from __future__ import annotations

import io
import random
import struct
import tarfile
import zipfile
from unittest import mock

import pytest

from mr_als.errors import BadInputError
from mr_als.logs import archives
from mr_als.logs.archives import unpack

MEMBERS = {"a.tsv": b"ann\tx\t1\n" * 1000, "day 1/ü.tsv": b"", "day 1/b.tsv.gz": bytes(range(256))}


def make_zip(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as packed:
        for name, data in members.items():
            packed.writestr(name, data)


def make_tar(path, members, *links):
    with tarfile.open(path, f"w:{'gz' if str(path).endswith('gz') else ''}") as packed:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            packed.addfile(entry, io.BytesIO(data))
        for name, kind in links:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            packed.addfile(entry)


def make(path, members=MEMBERS):
    (make_zip if path.suffix.lower() == ".zip" else make_tar)(path, members)
    return path


def found_in(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["x.zip", "X.ZIP", "x.tar.gz", "x.tgz", "x.tar"])
def test_members_are_laid_down_as_they_are(tmp_path, name):
    assert unpack(str(make(tmp_path / name)), str(tmp_path / "out")) == {}

    assert found_in(tmp_path / "out") == MEMBERS


def test_a_stored_zip_and_one_with_directories_are_read(tmp_path):
    make_zip(tmp_path / "x.zip", {"day/": b"", "day/a.tsv": b"ann\tx\t1\n"}, zipfile.ZIP_STORED)

    unpack(str(tmp_path / "x.zip"), str(tmp_path / "out"))

    assert found_in(tmp_path / "out") == {"day/a.tsv": b"ann\tx\t1\n"}


def test_of_two_members_of_one_name_the_last_one_stays(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.writestr("a", b"older and longer")
        with pytest.warns(UserWarning, match="Duplicate name"):
            packed.writestr("a", b"newer")

    unpack(str(tmp_path / "x.zip"), str(tmp_path / "out"))

    assert found_in(tmp_path / "out") == {"a": b"newer"}


def test_links_and_devices_are_left_out_and_told(tmp_path):
    make_tar(tmp_path / "x.tar", {"a": b"1"}, ("soft", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("pipe", tarfile.FIFOTYPE))
    link = zipfile.ZipInfo("soft")
    link.external_attr = 0o120777 << 16
    make_zip(tmp_path / "x.zip", {"a": b"1", link: b"/etc/passwd"})

    left_out = unpack(str(tmp_path / "x.tar"), str(tmp_path / "tar"))

    assert left_out == {"soft": "a link in an archive", "hard": "a link in an archive", "pipe": "neither a file nor a directory"}
    assert unpack(str(tmp_path / "x.zip"), str(tmp_path / "zip")) == {"soft": "a link in an archive"}
    assert found_in(tmp_path / "tar") == found_in(tmp_path / "zip") == {"a": b"1"}


@pytest.mark.parametrize("end", ["zip", "tar.gz"])
@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("../../up.tsv", "'../../up.tsv' lies outside of it"), ("/etc/cron.d/x", "'/etc/cron.d/x' lies outside of it"),
        ("a/../../x", "'a/../../x' lies outside of it"), ("day/inner.zip", "'day/inner.zip' is an archive itself; unpack both"),
        ("b.tgz", "'b.tgz' is an archive itself"), ("a.tsv/x", "is a file and a directory"),
    ],
)  # fmt: skip
def test_a_member_that_must_not_be_unpacked_is_refused_by_name(tmp_path, end, member, message):
    path = make(tmp_path / f"x.{end}", {"a.tsv": b"", member: b"x"})

    with pytest.raises(BadInputError, match=rf"x\.{end}: .*{message}"):
        unpack(str(path), str(tmp_path / "out/deep"))
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()} == {f"x.{end}", "out/deep/a.tsv"}


def test_an_encrypted_member_is_refused_by_name(tmp_path):
    make_zip(tmp_path / "x.zip", {"a.tsv": b"secret"})
    data = bytearray((tmp_path / "x.zip").read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "x.zip").write_bytes(data)

    with pytest.raises(BadInputError, match=r"x\.zip: its member 'a\.tsv' is encrypted; unpack it with its password"):
        unpack(str(tmp_path / "x.zip"), str(tmp_path / "out"))


@pytest.mark.parametrize("end", ["zip", "tar.gz"])
def test_an_archive_that_grows_beyond_all_measure_is_refused_on_the_way(tmp_path, end):
    path = make(tmp_path / f"x.{end}", {f"{n}.tsv": bytes(1 << 20) for n in range(4)})

    with mock.patch.object(archives, "_LARGE", 1 << 20), pytest.raises(BadInputError, match="more than 250 times its size"):
        unpack(str(path), str(tmp_path / "out"))
    assert sum(map(len, found_in(tmp_path / "out").values())) <= 250 * path.stat().st_size + (1 << 20)
    unpack(str(path), str(tmp_path / "small"))


@pytest.mark.parametrize("end", ["zip", "tar.gz", "tar"])
def test_damaged_archives_are_bad_input_that_names_them_or_give_what_they_hold(tmp_path, end):
    whole = make(tmp_path / f"x.{end}").read_bytes()
    draw = random.Random(5)
    damaged = [b"", b"PK", whole[:-1000], whole[: len(whole) // 2], b"ann\tx\t1\n" * 99, struct.pack("<I", 7) + whole]
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(draw.choice([1, 3, 20])):
            data[draw.randrange(len(data))] = draw.randrange(256)
        damaged.append(bytes(data))
    refused = 0
    for data in damaged:
        (tmp_path / f"x.{end}").write_bytes(data)
        try:
            unpack(str(tmp_path / f"x.{end}"), str(tmp_path / "out"))
        except BadInputError as error:
            refused += 1
            assert str(error).startswith(f"{tmp_path}/x.{end}: ")
    assert refused >= 5
