"""The pieces of the engine on Spark that need no Spark: order in a partition, ranges of logs elsewhere, the file to submit."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import Future
from functools import partial
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace

import pytest

from mr_als.api.fit import fit
from mr_als.engine.launch import load_job
from mr_als.engine.runners import spark
from mr_als.engine.runners.runner import Call
from mr_als.engine.spark import jobs, session, tasks
from mr_als.engine.spark.shuffle import Frames, in_order, partition_of
from mr_als.engine.spark.submit import main as submit
from mr_als.engine.spark.tasks import Laid, Step, lacking
from mr_als.engine.spark.turns import Turns
from mr_als.errors import UsageError
from mr_als.logs.logs import ByteRange, chunks
from mr_als.records.lines import Reference
from mr_als.storage import mirror
from mr_als.storage.hadoop_conf import to_hand
from mr_als.storage.local import LocalStorage


def sent(*keys):
    return [((key[:1], key[1:]), b"") for key in keys]


@pytest.mark.parametrize(
    ("lay", "came", "expected"),
    [
        ((b"10", b"20"), (b"11", b"12", b"21"), (b"10", b"11", b"12", b"20", b"21")),
        ((b"10",), (b"11", b"12"), (b"10", b"11", b"12")),
        ((b"10", b"20"), (), (b"10", b"20")),
        ((), (b"11", b"21"), (b"11", b"21")),
    ],
)
def test_plays_that_lie_in_a_partition_come_before_the_vectors_of_their_block(lay, came, expected):
    assert list(in_order([*sent(*lay), *sent(*came)], 1 << 20)) == sent(*expected)


@pytest.mark.parametrize("room", [0, 3000, 1 << 20])
def test_what_came_to_a_partition_is_sorted_whether_memory_holds_it_or_not(room):
    came = [((b"%08d" % (n * 7 % 50), b"%d" % (n % 3)), bytes([n]) * (n * 13 % 97)) for n in range(100)]

    assert list(in_order(came, room)) == sorted(came, key=itemgetter(0))


def test_a_partition_holds_no_more_of_what_came_than_it_may():
    tracemalloc.start()
    try:
        total = sum(len(value) for _, value in in_order(((sent(b"%03d" % n)[0][0], bytes(1 << 20)) for n in range(64)), 4 << 20))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert total == 64 << 20
    assert peak < 8 << 20


def test_what_is_sent_goes_in_frames_that_are_small_whatever_the_size_of_a_record():
    """The records of a task, of which PySpark would hold ten a partition at least."""
    records = [((b"%08d" % (n % 3), b"%d" % n), bytes(1 << 20)) for n in range(60)]

    packed = [*Frames(3, 4 << 20, pickle.dumps).pack(iter(records))]

    found = [(int.from_bytes(number, "big"), pickle.loads(frame)) for number, frame in zip(packed[::2], packed[1::2], strict=True)]
    assert max(map(len, packed)) < 3 << 20
    assert all(partition_of(key) == number for number, frame in found for key, _ in frame)
    assert sorted(item for _, frame in found for item in frame) == sorted(records)


def test_blocks_that_lie_in_a_partition_are_mapped_before_what_was_sent_there_is_read():
    lying = [Laid((b"%08d" % n, b"users"), b"plays %d" % n) for n in (4, 1)]
    came = sent(b"11", b"12")

    found = list(Passing("mr_solve", (), "").mapped_there(iter([*lying, *came])))

    assert found == [(laid.key, laid.payload) for laid in lying] + came


class Passing(Step):
    """Maps nothing, but sends all on."""

    def map_to_send(self, pairs):
        return (((numbered[:8], kind), payload) for kind, (numbered, payload) in pairs)


@pytest.mark.parametrize("step", [7, 64, 1000, 5000, 1 << 20])
def test_ranges_that_are_fetched_hold_each_line_once(step, tmp_path, monkeypatch):
    """Pieces and heads are made small, so that lines end behind them."""
    monkeypatch.setattr(mirror, "storage_of", lambda path: LocalStorage())
    monkeypatch.setattr(mirror, "PIECE", 50)
    monkeypatch.setattr(mirror, "HEAD", 16)
    data = b"".join(b"%d\t%s\n" % (n, b"x" * (n * 37 % 90)) for n in range(60)) + b"the last\tone"
    source, place = tmp_path / "log.tsv", tmp_path / "here"
    source.write_bytes(data)
    place.mkdir()

    found = []
    for offset in range(0, len(data), step):
        with ByteRange(mirror.fetch_range(str(source), offset, step, str(place)), offset, min(step, len(data) - offset)) as stream:
            found += b"".join(chunks(stream)).splitlines()

    assert found == data.splitlines()


@pytest.fixture(autouse=True)
def freezes(monkeypatch):
    """Count what would be frozen in a worker; the process of the tests stays as it is."""
    found = []
    monkeypatch.setattr(tasks.gc, "freeze", lambda: found.append(len(sys.modules)))
    return found


def test_a_worker_looks_once_at_what_it_has_imported(tmp_path, freezes, monkeypatch):
    """Spark collects garbage after each task: among all modules that takes a tenth of a second."""
    monkeypatch.setattr(tasks, "_spared", 0)
    step = Step("mr_solve", (), str(tmp_path))

    step.write_part(0, iter([]))
    step.write_part(1, iter([]))
    monkeypatch.setitem(sys.modules, "mr_als_another", tasks)
    step.write_part(2, iter([]))

    assert freezes == [len(sys.modules) - 1, len(sys.modules)]


def test_parts_are_those_of_the_attempts_that_count_and_nothing_else_is_left(tmp_path):
    """An attempt whose input broke off has written less, before the one that counts, or after it."""
    step = Step("mr_solve", (), str(tmp_path))
    (tmp_path / "_metadata").touch()
    broken = step.write_part(3, iter([b"a"]))
    counted = [step.write_part(number, iter([b"a", b"b"])) for number in (3, 12)]
    late = step.write_part(12, iter([]))

    assert len({broken, late, *counted}) == 4
    assert all(os.path.basename(path).startswith(".") for path in (broken, late, *counted))
    parts = jobs.keep(str(tmp_path), counted)

    assert parts == [str(tmp_path / "part-00003"), str(tmp_path / "part-00012")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_metadata", "part-00003", "part-00012"]
    assert {Path(part).read_bytes() for part in parts} == {b"a\nb\n"}


PAGES = """
import sys
sys.path.insert(0, sys.argv[1])
from mr_als.reporting.charts import STYLE
from mr_als.teaching.interactive import _PARTS
assert sys.argv[1] in str(_PARTS) and STYLE and _PARTS.joinpath("page.html").read_text()
"""


def test_the_file_to_submit_is_the_whole_program(tmp_path):
    file = str(tmp_path / "mr-als.py")
    assert submit([file]) == 0
    plan = ["plan", "-r", "spark", "--users", "100", "--items", "50", "--pairs", "1000", "--no-measure"]

    done = subprocess.run([sys.executable, file, *plan], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert "all executors of Spark together" in done.stdout
    subprocess.run([sys.executable, "-c", PAGES, file], cwd=tmp_path, check=True)
    assert submit(["mr-als.zip"]) == 2


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("SparkException: Python worker exited unexpectedly (crashed)", "a Python worker was killed.*--task-memory"),
        ("ExecutorLostFailure: Container killed by YARN for exceeding physical memory limits", "spark.executor.memoryOverhead"),
        ("ModuleNotFoundError: No module named 'numpy'", "a worker's Python lacks numpy; set PYSPARK_PYTHON"),
        ('java.io.IOException: Cannot run program "python3.99": error=2', "there is no python3.99"),
        (
            "[PYTHON_VERSION_MISMATCH] Python in worker has different version: 3.9 than that in driver: 3.11",
            "not that of the driver",
        ),
    ],
)
def test_what_spark_says_of_workers_is_told_with_the_remedy(log, said):
    assert re.search(said, session.told(log))
    assert session.told("ValueError: something else") == ""


def test_the_master_is_what_is_named_in_whatever_way(tmp_path):
    conf = tmp_path / "mrjob.conf"
    conf.write_text("runners: {spark: {spark_master: yarn}}")

    named = [("--spark-master", "yarn"), ("-D", "spark.master=yarn"), ("-c", str(conf)), ("-D", "a=b")]

    assert [session.master_of(given) for given in named] == ["yarn", "yarn", "yarn", ""]
    assert session.wanted(named[1])[:2] == ("yarn", ())


def test_an_interrupt_ends_also_what_begins_only_after_it(monkeypatch):
    """The first cancellation comes too early, and the second one fails."""
    ended, cancelled = threading.Event(), []

    def cancel():
        cancelled.append(1)
        if len(cancelled) == 2:
            raise OSError
        if len(cancelled) == 3:
            ended.set()

    monkeypatch.setattr(session, "wait", lambda running, seconds: None)
    monkeypatch.setattr(Future, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        session.aside(ended.wait, cancel)

    assert ended.is_set()


def interrupted(self):
    raise KeyboardInterrupt


def test_a_job_that_cannot_be_loaded_is_not_taken_for_loaded(monkeypatch):
    monkeypatch.setitem(sys.modules, "mr_als.engine.playsjob", None)
    monkeypatch.delitem(sys.modules, "mr_als_job_mr_merge", raising=False)

    for _ in range(2):
        with pytest.raises(ImportError):
            load_job("mr_merge")


def test_tasks_elsewhere_come_to_hdfs_as_the_user_of_the_driver(tmp_path, monkeypatch):
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    monkeypatch.delenv("HADOOP_USER_NAME", raising=False)
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    (tmp_path / "core-site.xml").write_text("<configuration/>")

    assert to_hand()["HADOOP_USER_NAME"] == "ann"


def test_a_program_whose_session_is_on_a_cluster_names_places_that_all_machines_see(monkeypatch):
    monkeypatch.setattr(session, "_lent", lambda: SimpleNamespace(master="yarn"))
    monkeypatch.setattr(spark, "_file_system", lambda path: "ext4")

    with pytest.raises(UsageError, match="is on the ext4 file system of this machine, which tasks on yarn do not see"):
        fit([("ann", "jazz", 1)], runner="spark")


def test_executors_forget_plays_that_nobody_will_read_again(monkeypatch):
    forgotten = []
    kept = {("app", f"plays{n}", "users"): SimpleNamespace(unpersist=partial(forgotten.append, n)) for n in range(3)}
    kept["over", "plays", "users"] = None
    monkeypatch.setattr(jobs, "_laid", kept)

    jobs.let_go("app", "plays1")
    assert forgotten == [0, 2]
    spark.Spark().let_go()

    assert forgotten == [0, 2, 1]
    assert kept == {}


def test_executors_keep_plays_on_which_another_thread_trains(monkeypatch):
    forgotten, started, over = [], threading.Event(), threading.Event()
    kept = {("app", f"plays{n}", "users"): SimpleNamespace(unpersist=partial(forgotten.append, n)) for n in range(2)}
    context, data = SimpleNamespace(applicationId="app"), [SimpleNamespace(directory=f"plays{n}", kind="users") for n in range(2)]
    monkeypatch.setattr(jobs, "_laid", kept)
    monkeypatch.setattr(jobs, "_users", {})

    def train():
        jobs.use(context, data[0])
        started.set()
        over.wait(60)

    other = threading.Thread(target=train)
    other.start()
    assert started.wait(60)
    jobs.use(context, data[1])
    jobs.let_go()
    assert forgotten == [1]
    over.set()
    other.join()
    jobs.let_go()

    assert forgotten == [1, 0]


def test_who_needs_another_session_waits_until_nobody_uses_the_one_that_is_there():
    turns, there, seen = Turns(), ["none"], []
    inside, leave = threading.Event(), threading.Event()

    def using(wanted, act):
        with turns.using(lambda: there[0] == wanted, lambda: there.__setitem__(0, wanted)):
            act()
            seen.append((wanted, there[0]))

    first = threading.Thread(target=using, args=("a", lambda: inside.set() or leave.wait(60)))
    first.start()
    assert inside.wait(60)
    using("a", lambda: None)
    waiting = threading.Thread(target=using, args=("b", lambda: None))
    waiting.start()
    waiting.join(0.2)
    assert there == ["a"]
    leave.set()
    waiting.join(60)
    first.join(60)

    assert seen == [("a", "a"), ("a", "a"), ("b", "b")] or seen == [("a", "a"), ("b", "b"), ("a", "b")]


def test_a_session_that_another_thread_makes_is_not_taken_for_one_of_the_program(monkeypatch):
    spark_knows, goes_on = threading.Event(), threading.Event()
    known = SimpleNamespace(_active_spark_context=None)
    context = SimpleNamespace(master="local[2]")

    def make(*given):
        known._active_spark_context = context
        spark_knows.set()
        goes_on.wait(60)
        monkeypatch.setattr(session, "_made", SimpleNamespace(context=context))

    monkeypatch.setitem(sys.modules, "pyspark", known)
    monkeypatch.setattr(session, "_context_class", lambda: known)
    monkeypatch.setattr(session, "_make", make)
    maker = threading.Thread(target=session._make_alone, args=(asked(), 1))
    maker.start()
    assert spark_knows.wait(60)
    found = []
    asker = threading.Thread(target=lambda: found.append(session.master_of(())))
    asker.start()
    asker.join(0.2)
    goes_on.set()
    asker.join(60)
    maker.join(60)

    assert found == [""]


def lent(**others):
    conf = SimpleNamespace(getAll=lambda: [("spark.executorEnv.GIVEN", "1")])
    known = {"master": "yarn", "pythonExec": "python3.11", "environment": {"SET": "2"}, "getConf": lambda: conf}
    return SimpleNamespace(**known | others)


def asked(**others):
    return session.Wanted("", (), (), "", ())._replace(**others)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (asked(environment=(("GIVEN", "2"),)), "cmdenv GIVEN: 2, of mrjob's configuration, has no effect"),
        (asked(environment=(("SET", "2"), ("OTHER", "x"))), "cmdenv OTHER: x, of mrjob's configuration, has no effect"),
        (asked(python="venv/bin/python"), "python_bin: venv/bin/python, of mrjob's configuration, has no effect"),
        (asked(properties=(("spark.x", "1"),)), "-D spark.x=1 has no effect"),
    ],
)
def test_what_a_session_of_the_program_cannot_give_is_refused(wanted, said):
    with pytest.raises(UsageError, match=f"has a Spark session already, on yarn, in which {said}; leave it out, or give it where"):
        session._check_lent(lent(), wanted)


def test_what_a_session_of_the_program_gives_already_may_be_asked_for(monkeypatch):
    sent = []
    context = lent(applicationId="theirs", addPyFile=sent.append, defaultParallelism=1)
    monkeypatch.setattr(session, "_lent", lambda: context)
    monkeypatch.setattr(session, "_zip", lambda: "package.zip")
    monkeypatch.setattr(session, "_check_workers", lambda context, needed: sent.append(sorted(needed)))
    wanted = asked(environment=(("GIVEN", "1"), ("SET", "2")), python="python3.11", files=("mine.py",))

    for needed in (session.NEEDED, session.NEEDED, (*session.NEEDED, "s3fs")):
        assert session.session(wanted, needed=needed) is context

    assert sorted(sent[:2]) == ["mine.py", "package.zip"]
    assert sent[2:] == [["mrjob", "numpy"], ["s3fs"]]


def test_workers_are_asked_for_what_reads_the_storage_of_the_job():
    calls = [Call("mr_solve", [f"{place}/part-0"], f"{place}/out") for place in ("s3a://b", "hdfs:///b")]

    assert [spark._needed(call, there) for call in calls for there in (True, False)] == [
        ["numpy", "mrjob", "s3fs"],
        *[["numpy", "mrjob"]] * 3,
    ]
    assert next(what for _, what in lacking(["numpy", "no_such_module"], ())).endswith("lacks no_such_module")
    assert list(lacking(["numpy", "mrjob"], ())) == []


def test_logs_are_cut_into_a_range_a_core_and_compressed_ones_are_whole():
    sizes = {"hdfs:///a.tsv": 5 << 20, "hdfs:///b.tsv.gz": 3 << 20, "hdfs:///empty.tsv": 0}

    ranges = [Reference.parse(line.split(b"\t")[2]) for line in jobs.ranges_of([*sizes], 4, sizes)]

    assert [(at.path[-5:], at.offset >> 20, at.length >> 20) for at in ranges] == [
        ("a.tsv", 0, 2),
        ("a.tsv", 2, 2),
        ("a.tsv", 4, 1),
        ("sv.gz", 0, 3),
        ("y.tsv", 0, 0),
    ]
