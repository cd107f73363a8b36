"""The whole path on a cluster with Kerberos and TLS, and no token of it to be seen anywhere."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from mr_als.storage import tokens
from mr_als.storage.places import storage_of
from tests.hadoop.runs import ONE, arrays_of, driver, train_on
from tests.spark.standalone import QUICK_JVM

pytestmark = pytest.mark.secure

HADOOP = ("-r", "hadoop", "-D", "mapreduce.map.memory.mb=768", "-D", "mapreduce.reduce.memory.mb=768", "-v")


class Seen:
    """What a token may be found in: all that was started, printed and written."""

    def __init__(self, *places: Path) -> None:
        self.places, self.started, self.tokens = places, [], []

    def leaks(self, *texts: str) -> list[str]:
        """List where a token, or half of one, stands."""
        assert self.tokens
        halves = [half.encode() for token in self.tokens for half in (token[:40], token[-40:])]
        found = {f"text {n}": text.encode() for n, text in enumerate(texts)} | {"processes": repr(self.started).encode()}
        found |= {str(path): path.read_bytes() for place in self.places for path in place.rglob("*") if path.is_file()}
        return [name for name, data in found.items() if any(half in data for half in halves)]


@pytest.fixture
def seen(secure, tmp_path, monkeypatch):
    """Note each token that is fetched, and what each process is started with."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr("tempfile.tempdir", None)
    # not the logs of the daemons themselves: they write down what they are asked, and with it tokens
    seen = Seen(tmp_path, secure.run / "local", secure.run / "logs/userlogs")
    fetch, popen = tokens._fetch, subprocess.Popen.__init__

    def fetched(*words):
        seen.tokens.append(fetch(*words))
        return seen.tokens[-1]

    def started(self, *args, **kwargs):
        seen.started.append((args, kwargs, dict(os.environ)))
        popen(self, *args, **kwargs)

    monkeypatch.setattr(tokens, "_fetch", fetched)
    monkeypatch.setattr(subprocess.Popen, "__init__", started)
    for token in tokens._tokens.values():
        token.close()  # what comes is fetched while we look
    handlers = list(logging.getLogger("mrjob").handlers)
    yield seen
    logging.getLogger("mrjob").handlers[:] = handlers  # -v adds one, which writes to the stream of this test


def test_the_commands_of_the_page_do_what_it_says(session, secure):
    for words, done in session:
        assert done.returncode == 0, (words, done.stderr)

    assert "Crooked Brass (jazz)" in session[-1][1].stdout
    assert storage_of(secure.default_fs).expand([f"{secure.default_fs}/user/alice/top10/part-*"])


def test_no_command_shows_a_token(seen, model, counts, place, cli, caplog, tmp_path):
    storage_of(place).make_directory(f"{place}/test")
    storage_of(place).write(f"{place}/test/counts.tsv", b"jazz-fan-017\tCrooked Brass (jazz)\t3\n")
    told = []
    for command in (
        ["evaluate", "--model", model, f"{place}/test", "--json", *HADOOP],
        ["explain", "--model", model, "jazz-fan-017", "Crooked Brass (jazz)", "--json", "-v"],
        ["verify", "--model", model, "-v"],
        ["train", counts.uri, "--model", f"{place}/m", "--rank", "4", "-D", "mapreduce.job.queuename=none", *HADOOP],
    ):
        code, out, err = cli(*command)
        assert code == (command[0] == "train"), err
        told += [out, err, caplog.text]

    assert seen.leaks(*told) == []
    (tmp_path / "leak").write_text(seen.tokens[0])
    assert seen.leaks(seen.tokens[0]) == ["text 0", str(tmp_path / "leak")]  # or the line before says nothing


def test_a_ticket_that_expires_in_the_middle_ends_the_run_in_a_line_that_says_kinit_and_with_one_it_goes_on(
    secure, counts, expected, place, monkeypatch, tmp_path, capfd
):
    """Then the driver is killed; the last one has no ticket, but a keytab: Hadoop's clients log in by themselves."""
    model, cache = f"{place}/model", tmp_path / "ticket"
    monkeypatch.setenv("KRB5CCNAME", str(cache))
    secure.kdc.ticket("alice", cache)
    with driver(counts.uri, model) as process:
        process.wait_for_application()
        secure.kdc.ticket("alice", cache, "-l", "1s")
        assert process.process.wait(900) == 1
    assert "the Kerberos ticket of alice@MR-ALS.TEST has expired: run kinit" in capfd.readouterr().err.splitlines()[-1]
    secure.kdc.ticket("alice", cache)
    with driver(counts.uri, model, crash_at="after-half-000") as process:
        assert process.process.wait(900) < 0
    cache.unlink()
    monkeypatch.setenv("KRB5KEYTAB", str(secure.kdc.keytab("alice")))
    monkeypatch.setenv("KRB5PRINCIPAL", "alice")

    train_on(counts.uri, model)

    assert arrays_of(model) == expected


def test_a_ticket_that_may_be_renewed_is_and_tokens_are_replaced_in_time(secure, counts, place, monkeypatch, tmp_path):
    """An iteration takes longer than the ticket is valid, and longer than a token."""
    cache, fetch, fetched = tmp_path / "ticket", tokens._fetch, []
    secure.kdc.ticket("alice", cache, "-l", "30s", "-r", "1h")
    first = shutil.copy(cache, tmp_path / "first")
    monkeypatch.setenv("KRB5CCNAME", str(cache))
    monkeypatch.setattr(tokens, "_fetch", lambda *words: fetched.append(fetch(*words)) or fetched[-1])

    train_on(counts.uri, f"{place}/model", ONE)

    assert subprocess.run(["klist", "-s", "-c", str(first)], check=False).returncode == 1
    assert len(set(fetched)) == len(fetched) > 1
    assert json.loads(storage_of(place).read(f"{place}/model/model.json") or b"")["history"]


def test_a_user_who_has_no_right_to_it_is_refused_in_words(as_user, secure, model, counts):
    """Neither to alice's model, nor to the queue."""
    code, _, err = as_user("bob", "explain", "--model", model, "jazz-fan-017", "Crooked Brass (jazz)")
    assert code == 2
    assert 'Permission denied: user=bob, access=EXECUTE, inode="/user/alice"' in err
    assert len(err.splitlines()) == 1

    own = f"{secure.default_fs}/user/bob/{uuid.uuid4().hex[:8]}.tsv"
    put = [str(secure.home / "bin/hadoop"), "fs", "-put", counts.local, own]
    subprocess.run(put, env={**os.environ, **secure.environment(user="bob")}, check=True)
    code, _, err = as_user("bob", "prepare", own, "--plays", f"{secure.default_fs}/user/bob/plays", *HADOOP[:-1])
    assert code == 1
    assert re.search("Hadoop rejects it: .*User bob does not have permission to submit .*queue", err.splitlines()[-1]), err


def test_spark_on_one_machine_trains_from_it_and_to_it(as_user, secure, counts, place, tmp_path):
    """Its JVM logs in by the ticket; only the realm is not where a company has it, in /etc/krb5.conf."""
    realm = f"{QUICK_JVM} -Djava.security.krb5.conf={secure.kdc.folder}/krb5.conf"
    plan = ("--rank", "4", "--max-iterations", "1", "--alpha", "10", "--regularization", "0.003", "--join", "shuffle", "-q")
    code, _, err = as_user(
        "alice", "train", counts.uri, "--model", f"{place}/m", *plan, "-r", "spark", "--master", "local[2]", SPARK_SUBMIT_OPTS=realm
    )
    assert code == 0, err
    code, _, err = as_user("alice", "train", counts.local, "--model", str(tmp_path / "m"), *plan)
    assert code == 0, err

    assert arrays_of(f"{place}/m") == arrays_of(str(tmp_path / "m"))
