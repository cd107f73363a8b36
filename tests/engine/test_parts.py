"""Parts and raw files that were torn, mixed, cut off or changed after they were written are refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from mr_als.engine import parts as engine_parts
from mr_als.engine.datasets import SHARDS, Dataset, Writer, lay, read_parts
from mr_als.engine.engine import Written
from mr_als.engine.parts import SUCCESS, Parts, read_reports
from mr_als.errors import DamagedDataError
from mr_als.records.lines import LINES, REFERENCES, Reader, Record, ShardWriter, end_line, write_lines
from mr_als.records.spill import checksum
from mr_als.storage.local import LocalStorage

# blocks 0, 2, 4 in one part and 1, 3 in another, as two reduce tasks write them
BLOCKS = {"part-00000": (0, 2, 4), "part-00001": (1, 3)}


def payload(block):
    return b"factors of block %d" % block


def part(blocks, reports=b"report"):
    """Write the lines of a part: its blocks, their reports and the line that ends it."""
    pairs = [pair for block in blocks for pair in write_lines("factors", block, payload(block))]
    ends = [pair for block in blocks for pair in write_lines("stats", block, reports)]
    return b"".join(b"\t".join((kind, *value)) + b"\n" for kind, value in [*pairs, *ends, end_line(ends)])


@pytest.fixture
def written(tmp_path):
    """Write the parts; return their data set."""
    for name, blocks in BLOCKS.items():
        (tmp_path / name).write_bytes(part(blocks))
    (tmp_path / SUCCESS).touch()
    return parts_of(tmp_path, BLOCKS)


def parts_of(directory, blocks):
    sizes = {name: (directory / name).stat().st_size for name in blocks}
    reported = {
        name: [Written("factors", block, len(payload(block)), checksum(payload(block))) for block in held]
        for name, held in blocks.items()
    }
    return Parts.of("factors", str(directory), sizes, reported)


def read(data):
    return [(block, bytes(buffer)) for block, buffer in data.blocks()]


def test_the_blocks_of_all_parts_come_in_order(written):
    assert read(written) == [(block, payload(block)) for block in range(5)]
    assert read(Parts.from_json(written.to_json(), f"{written.directory}/..")) == read(written)
    written.check()


def lines_of(path):
    return path.read_bytes().splitlines(keepends=True)


def test_a_block_in_two_parts_is_a_mixture_of_attempts(written, tmp_path):
    with pytest.raises(DamagedDataError, match="factors block 2 is in part-00000 and part-00001: parts of two attempts are mixed"):
        parts_of(tmp_path, {"part-00000": (0, 2, 4), "part-00001": (1, 2, 3)})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [lines[0], *lines], "block 0 is not what its task reported"),
        (lambda lines: [lines[0], lines[1], lines[1], *lines[2:]], "block 2 is not what its task reported"),
        (lambda lines: lines[1:], "block 1 is not what its task reported"),
        (lambda lines: lines[:2] + lines[3:], "part-00000: factors block 4 is missing"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "is not what its task reported"),
        (lambda lines: [lines[0].replace(b"00000000.", b"00000009."), *lines[1:]], "is not what its task reported"),
        (lambda lines: [lines[1].replace(b"00000002.", b"00000000."), *lines[1:]], "block 0 is not what its task reported"),
    ],
    ids=["first twice", "second twice", "first gone", "last gone", "exchanged", "another number", "another payload"],
)
def test_blocks_that_are_not_those_that_were_reported_are_refused(change, said, written, tmp_path):
    path = tmp_path / "part-00000"
    path.write_bytes(b"".join(change(lines_of(path))))

    with pytest.raises(DamagedDataError, match=said):
        read(written)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"factors\t00000002", "part-00000: a line has 2 fields where kind, block and payload are expected: truncated?"),
        (b"factors\t00000002.0000.0001\tAAAA", "part-00000: a line has 3 fields where kind, block and payload are expected"),
        (b"factors\t00000002.0000.0001\tAAAA\tAAAA\n", "part-00000: a line has 4 fields"),
        (b"factors\t00000002.0000.0002\tAAAA\n", "factors block 2 ends after 1 pieces: the file is truncated"),
    ],
    ids=["no payload", "no line end", "too many", "a piece of two"],
)
def test_a_torn_line_is_refused_and_its_part_named(line, said, tmp_path):
    (tmp_path / "part-00000").write_bytes(b"".join(lines_of_part()[:1]) + line)

    with pytest.raises(DamagedDataError, match=said):
        list(read_parts([str(tmp_path / "part-00000")], LINES))


def lines_of_part():
    return part((0, 2, 4)).splitlines(keepends=True)


def test_a_part_that_is_gone_in_the_meantime_is_named(written, tmp_path):
    (tmp_path / "part-00001").unlink()

    with pytest.raises(DamagedDataError, match=r"part-00001: .*No such file"):
        read(written)


def test_sizes_and_the_end_of_the_job_are_checked_without_reading(written, tmp_path):
    path = tmp_path / "part-00001"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        DamagedDataError, match=rf"part-00001: {path.stat().st_size} bytes where the manifest says {path.stat().st_size + 1}"
    ):
        written.check()
    path.unlink()
    with pytest.raises(DamagedDataError, match="part-00001: -1 bytes where the manifest says"):
        written.check_sizes()
    (tmp_path / SUCCESS).unlink()
    with pytest.raises(DamagedDataError, match=f"no {SUCCESS} in it, so no job has finished it"):
        written.check_sizes()


# the reports at the end of a part


def reports_of(data, directory):
    (directory / "part").write_bytes(data)
    return read_reports(LocalStorage(), str(directory / "part"), len(data))


@pytest.mark.parametrize("size", [6, 40_000], ids=["in one read", "beyond the first read"])
def test_reports_are_read_from_the_end(size, tmp_path):
    found = reports_of(part((0, 2, 4), b"r" * size), tmp_path)

    assert 3 * size < engine_parts.TAIL or 4 * size > engine_parts.TAIL
    assert found == [Record("stats", block, b"r" * size) for block in (0, 2, 4)]
    assert reports_of(b"", tmp_path) == []


def test_a_part_cut_off_anywhere_does_not_pass_for_whole(tmp_path):
    """What is left may end in a whole line, in a report, or in the middle of anything."""
    data = part((0, 2, 4))

    for end in range(1, len(data)):
        with pytest.raises(DamagedDataError, match="does not end in its reports|fields where kind|not base64"):
            reports_of(data[:end], tmp_path)


def test_a_part_that_is_shorter_than_its_reports_is_refused(tmp_path):
    with pytest.raises(DamagedDataError, match=r"part: \d+ bytes, fewer than its reports should have"):
        reports_of(lines_of_part()[-1], tmp_path)


# raw files


@pytest.fixture
def laid(tmp_path):
    """Lay three blocks down in a raw file; return their data set."""
    with Writer("factors", str(tmp_path / "factors.raw")) as writer:
        for block in (2, 0, 1):
            writer.add(block, payload(block))
        return writer.close()


def test_a_raw_file_gives_its_blocks_in_order(laid):
    assert read(laid) == read(Dataset.from_json(laid.to_json(), laid.path.rsplit("/", 1)[0])) == [(n, payload(n)) for n in range(3)]
    laid.check()


def test_a_block_that_comes_twice_is_refused(tmp_path):
    with Writer("factors", str(tmp_path / "factors.raw")) as writer:
        for block in (2, 0, 2):
            writer.add(block, payload(block))
        with pytest.raises(DamagedDataError, match=r"factors\.raw: a block came twice; parts of two attempts are mixed"):
            writer.close()


@pytest.mark.parametrize("place", [0, 20, 50])
def test_a_changed_byte_of_a_raw_file_is_found_by_its_check_and_by_who_reads_it(place, laid):
    with open(laid.path, "r+b") as file:
        file.seek(place)
        file.write(b"X")

    for look in (laid.check, lambda: read(laid)):
        with pytest.raises(DamagedDataError, match=r"factors\.raw: bytes \d+ to \d+ are damaged"):
            look()


def test_a_raw_file_of_another_size_or_none_is_refused(laid):
    path = Path(laid.path)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DamagedDataError, match=rf"factors\.raw: {laid.n_bytes + 1} bytes where the manifest says {laid.n_bytes}"):
        laid.check()

    path.unlink()
    with pytest.raises(DamagedDataError, match=rf"factors\.raw: -1 bytes where the manifest says {laid.n_bytes}"):
        laid.check()


@pytest.fixture
def tasks_write(tmp_path):
    """Write blocks as tasks do, each list of blocks in a task of its own; return the records, and the files by their nodes."""
    (tmp_path / SHARDS).mkdir()

    def write(*tasks, directory=tmp_path / SHARDS):
        pairs = []
        for blocks in tasks:
            writer = ShardWriter(str(directory))
            for block in blocks:
                pairs.append(writer.write("factors", block, payload(block)))
                writer.write("stats", block, b"report")
            writer.close()
        reader = Reader(REFERENCES)
        return [reader.add(*pair) for pair in pairs], {path.stat().st_ino: path for path in directory.glob("*-factors.raw")}

    return write


def test_the_file_of_a_task_that_wrote_all_blocks_becomes_the_raw_file(tasks_write, tmp_path):
    records, (node,) = tasks_write((2, 0, 1))

    laid = lay("factors", str(tmp_path), records)

    assert read(laid) == [(n, payload(n)) for n in range(3)]
    assert Path(laid.path).stat().st_ino == node
    laid.check()


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_file_of_more_than_the_blocks_is_left_and_they_are_copied(lost, tasks_write, tmp_path):
    records, (node,) = tasks_write((2, 0, 1))
    del records[lost]

    laid = lay("factors", str(tmp_path), records)

    assert [block for block, _ in read(laid)] == sorted({2, 0, 1} - {(2, 0, 1)[lost]})
    assert Path(laid.path).stat().st_ino != node
    laid.check()


def test_files_of_several_tasks_are_copied_together(tasks_write, tmp_path):
    records, files = tasks_write((2, 0), (1,))

    laid = lay("factors", str(tmp_path), records)

    assert read(laid) == [(n, payload(n)) for n in range(3)]
    assert all(path.exists() for path in files.values())
    laid.check()


def test_a_file_that_lies_elsewhere_is_never_moved(tasks_write, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    records, files = tasks_write((0, 1), directory=tmp_path / "elsewhere")

    assert read(lay("factors", str(tmp_path), records)) == [(n, payload(n)) for n in range(2)]
    assert all(path.exists() for path in files.values())


def test_a_block_that_a_task_wrote_twice_is_refused(tasks_write, tmp_path):
    records, _ = tasks_write((2, 0, 2))

    with pytest.raises(DamagedDataError, match=r"factors\.raw: a block came twice; parts of two attempts are mixed"):
        lay("factors", str(tmp_path), records)
