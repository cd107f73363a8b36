"""Tasks that lose, double or change a block or its report: the run stops and says which, in both forms of records."""

from __future__ import annotations

import json

import pytest

from mr_als.engine.launch import load_job
from mr_als.errors import DamagedDataError
from mr_als.records.blocks import Packed, StatsBlock
from tests.toy import options, run, toy_lines, write

# the block that goes wrong, the second of two
WRONG = 1


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    return write(tmp_path_factory.mktemp("logs") / "counts.tsv", toy_lines())


@pytest.fixture
def break_tasks(monkeypatch):
    """Put `change(kind, payload, report)`, a list of payloads, in the place of what tasks of a job write of a block in the end."""

    def broken(name, change):
        job = load_job(name)
        real = job.write_record

        def write_record(self, kind, block, payload):
            # what mappers of mr_ingest write goes to reducers, which alone have reports
            final = name != "mr_ingest" or hasattr(self, "reports")
            wrong = final and (block == WRONG or kind == "bad")
            whole = b"".join(payload.parts) if isinstance(payload, Packed) else bytes(payload)
            for other in change(kind, whole) if wrong else [payload]:
                yield from real(self, kind, block, other)

        monkeypatch.setattr(job, "write_record", write_record)

    return broken


def flipped(payload):
    """Change one bit."""
    return payload[:-9] + bytes([payload[-9] ^ 1]) + payload[-8:]


def faults(written, is_report):
    """List the faults of the blocks of a kind and of their reports, by name."""
    return {
        "doubled": lambda kind, payload: [payload] * (1 + (kind == written)),
        "lost": lambda kind, payload: [] if kind == written else [payload],
        "changed": lambda kind, payload: [flipped(payload) if kind == written else payload],
        "unreported": lambda kind, payload: [] if is_report(kind, payload) else [payload],
        "gone": lambda kind, payload: [] if kind == written or is_report(kind, payload) else [payload],
    }


INGEST = faults("users", lambda kind, payload: kind == "total" and json.loads(payload)[0] == "users")
SOLVE = faults("factors", lambda kind, _: kind == "stats")
NOT_REPORTED = "block 1 is not what its task reported"
OTHER_SIDE = r"the users have \d+ pairs .* the items \d+ .*: a task's output was lost or doubled; prepare again"
FEWER = "the job wrote 1 of 2 blocks; run the same command again"


@pytest.mark.parametrize(
    ("form", "fault", "said"),
    [
        ("references", "doubled", r"users\.raw: a block came twice; parts of two attempts are mixed"),
        ("references", "lost", f"users {NOT_REPORTED}"),
        ("references", "changed", f"users {NOT_REPORTED}"),
        ("references", "unreported", f"users {NOT_REPORTED}"),
        ("references", "gone", OTHER_SIDE),
        # of lines the driver reads the reports alone: what they do not say is found by who reads the blocks
        ("lines", "doubled", "factors block 1 is in part-00000 and part-00000: parts of two attempts are mixed"),
        ("lines", "lost", f"half 1: {FEWER}"),
        ("lines", "changed", r"a record of \d+ bytes fails its checksum"),
        ("lines", "unreported", OTHER_SIDE),
        ("lines", "gone", OTHER_SIDE),
    ],
)
def test_plays_that_a_task_lost_doubled_or_changed_are_not_trained_on(form, fault, said, logs, break_tasks, tmp_path):
    break_tasks("mr_ingest", INGEST[fault])

    with pytest.raises(DamagedDataError, match=said):
        run([logs], tmp_path / "m", options(iterations=1), form=form)

    assert not (tmp_path / "m" / "model.json").exists()


@pytest.mark.parametrize(
    ("form", "fault", "said"),
    [
        ("references", "doubled", r"factors\.raw: a block came twice; parts of two attempts are mixed"),
        ("references", "lost", f"factors {NOT_REPORTED}"),
        ("references", "changed", f"factors {NOT_REPORTED}"),
        ("references", "unreported", f"factors {NOT_REPORTED}"),
        ("references", "gone", f"half 0: {FEWER}"),
        ("lines", "doubled", f"factors {NOT_REPORTED}"),
        ("lines", "lost", "output/part-00000: factors block 1 is missing"),
        ("lines", "changed", f"factors {NOT_REPORTED}"),
        ("lines", "unreported", f"half 0: {FEWER}"),
        ("lines", "gone", f"half 0: {FEWER}"),
    ],
)
def test_factors_that_a_task_lost_doubled_or_changed_do_not_count(form, fault, said, logs, break_tasks, tmp_path):
    break_tasks("mr_solve", SOLVE[fault])

    with pytest.raises(DamagedDataError, match=said):
        run([logs], tmp_path / "m", options(iterations=1), form=form)

    assert not (tmp_path / "m" / "model.json").exists()


@pytest.mark.parametrize("form", ["references", "lines"])
def test_the_report_of_the_log_lines_may_not_be_missing(form, logs, break_tasks, tmp_path):
    break_tasks("mr_ingest", lambda kind, payload: [] if kind == "bad" else [payload])

    with pytest.raises(DamagedDataError, match="the report of the log lines is missing: a task's output was lost"):
        run([logs], tmp_path / "m", options(iterations=1), form=form)


def test_halves_that_solve_other_numbers_of_pairs_are_refused(logs, break_tasks, tmp_path):
    """One pair fewer in a report of the first user half, whose factors are all there."""
    reports = []

    def change(kind, payload):
        if kind != "stats":
            return [payload]
        reports.append(StatsBlock.unpack(payload))
        # that of half 0 comes first
        return [reports[-1]._replace(observed=reports[-1].observed - (len(reports) == 2)).pack()]

    break_tasks("mr_solve", change)

    with pytest.raises(DamagedDataError, match=r"half 2 solved 1200 pairs, the half before it 1199: plays were lost"):
        run([logs], tmp_path / "m", options(iterations=1))


@pytest.mark.parametrize("lost", ["sums", "seen"])
def test_an_evaluation_whose_report_is_missing_is_refused(lost, logs, cli, monkeypatch, tmp_path):
    run([logs], tmp_path / "m", options(iterations=1))
    job = load_job("mr_evaluate")
    real = job.write_record
    monkeypatch.setattr(
        job, "write_record", lambda self, kind, block, payload: real(self, kind, block, payload) if kind != lost else iter(())
    )

    code, _, err = cli("evaluate", "--model", tmp_path / "m", write(tmp_path / "t.tsv", ["user-0\ttaste-1-item-1\t3\n"]), "-q")

    assert code == 1
    assert f"job mr_evaluate gave {'seen' if lost == 'sums' else 'sums'} where sums and seen are expected" in err
