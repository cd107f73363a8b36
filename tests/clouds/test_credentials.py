"""Credentials are never printed, passed on or written: canaries in the environment appear nowhere, whatever is done or fails."""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest

from mr_als.cli import main, make_parser
from mr_als.engine import mrjob_fixes
from mr_als.errors import MRALSError
from mr_als.storage.clouds.azure import _file_system
from mr_als.storage.places import storage_of
from tests.clouds.stand_ins import ACCOUNT, ACCOUNT_KEY, GS, S3, answering, surroundings
from tests.emr.stand_in import CANARIES
from tests.emr.streaming import Emr
from tests.toy import toy_lines, write

PLAN = ("--rank", "4", "--max-iterations", "1", "--user-blocks", "2", "--item-blocks", "2", "-v")


@pytest.fixture
def seen(tmp_path, monkeypatch, capfd, caplog, cloud, bucket):
    """Return a function that looks for canaries wherever something may have been written since."""
    words = [secret[:12].encode() for secret in cloud.secrets()]  # a part of one would be as bad
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)

    def look(*texts):
        out, err = capfd.readouterr()
        places = {"stdout": out.encode(), "stderr": err.encode(), "log": caplog.text.encode()}
        places |= {f"text {n}": text.encode() for n, text in enumerate(texts)}
        places |= {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        storage = storage_of(bucket)
        if storage.names(bucket):
            places |= {path: storage.read(path) or b"" for path in storage.expand([bucket, f"{bucket}/*"])}
        assert [name for name, data in places.items() if any(word in data for word in words)] == []
        return err

    return look


def test_the_canaries_would_be_found(seen, cloud, tmp_path):
    """Else the tests below would hold whatever happens."""
    for secret in cloud.secrets():
        (tmp_path / "leak").write_text(secret)

        with pytest.raises(AssertionError, match="leak"):
            seen()


@pytest.mark.parametrize("runner", ["inline", "local"])
def test_no_command_shows_them_when_all_goes_well(runner, seen, bucket, tmp_path):
    storage_of(bucket).write(f"{bucket}/logs/a.tsv", "".join(toy_lines()).encode())
    storage_of(bucket).write(f"{bucket}/test/a.tsv", b"user-0\ttaste-1-item-1\t3\n")
    logs, model, local = f"{bucket}/logs", f"{bucket}/m", str(tmp_path)
    engine = ["-r", runner, "-v"]

    for command in (
        ["train", logs, "--model", model, *engine, *PLAN],
        ["prepare", logs, "--plays", f"{local}/plays", *engine],
        ["recommend", "--model", model, "--output", f"{bucket}/out", *engine],
        ["recommend", "--model", model, "user-1", *engine],
        ["split", logs, "--train", f"{local}/train", "--test", f"{local}/test", *engine],
        ["evaluate", "--model", model, f"{bucket}/test", *engine],
        ["similar", "--model", model, "taste-0-item-1", "-v"],
        ["explain", "--model", model, "user-0", "taste-0-item-1", "-v"],
        ["verify", "--model", model, "-v"],
        ["export", "--model", model, "--format", "tsv", "-o", f"{local}/export", "-v"],
        ["report", "--model", model, "-o", f"{local}/report.html", "-v"],
    ):
        assert main(command) == 0, command
        seen()


@pytest.mark.parametrize(
    "command",
    [
        ["train", "MISSING/logs", "--model", "BUCKET/m", *PLAN],
        ["train", "BUCKET/bad", "--model", "BUCKET/m", *PLAN],
        ["train", "BUCKET/bad", "--model", "BUCKET/m", "-r", "local", "--max-bad-lines", "100%", *PLAN],
        ["train", "BUCKET/none", "--model", "MISSING/m", *PLAN],
        ["recommend", "--model", "BUCKET/none", "user-1", "-v"],
        ["verify", "--model", "BUCKET/none", "-v"],
    ],
)
def test_no_failure_shows_them(command, seen, cloud, bucket):
    storage_of(bucket).write(f"{bucket}/bad/a.tsv", b"u\ti\tmany\n")
    command = [word.replace("BUCKET", bucket).replace("MISSING", cloud.missing) for word in command]

    assert main(command) in (1, 2)

    assert "mr-als: " in seen()


@pytest.mark.parametrize("cloud", [pytest.param(S3, marks=pytest.mark.s3)], indirect=True)
def test_what_is_submitted_to_emr_does_not_hold_them(seen, bucket, monkeypatch):
    """A job whose step fails, with all that mrjob says: request, bootstrap, step, uploaded files."""
    mrjob_fixes.load_runner("emr")
    stand_in = Emr()
    stand_in.fails = {1}
    monkeypatch.setattr("mrjob.emr.time", stand_in)
    storage_of(bucket).write(f"{bucket}/logs/a.tsv", "".join(toy_lines()).encode())

    assert main(["prepare", f"{bucket}/logs", "--plays", f"{bucket}/plays", "-r", "emr", "-v"]) == 1

    assert "job mr_ingest failed on runner emr" in seen(repr(stand_in.steps), repr([vars(c) for c in stand_in.clusters]))


def unreachable_s3():
    """Build what cannot reach S3, nor find the profile that it is told."""
    from mr_als.storage.clouds.s3 import S3Storage

    for more in ({}, {"AWS_PROFILE": "none"}):
        with surroundings({"AWS_ENDPOINT_URL": "http://127.0.0.1:9", **more}):
            storage = S3Storage("s3://bucket")
            storage._fs = type(storage._fs)(
                use_listings_cache=False, skip_instance_cache=True, config_kwargs={"retries": {"total_max_attempts": 1}}
            )
            storage._fs.retries = 1
            yield storage, "s3://bucket/x"


def unreachable_gs():
    """Build what cannot reach Google Cloud Storage, and what it refuses for all sorts of reasons."""
    from gcsfs.core import GCSFileSystem

    from mr_als.storage.clouds.gcs import GcsStorage

    error = {"message": f"https://storage.googleapis.com/?access_token={GS.secrets()[0]}"}
    with answering(401, {"error": error}) as refuses, answering(403, {"error": error}) as forbids, answering(400, {}) as fails:
        for address in ("http://127.0.0.1:9", refuses, forbids, fails):
            storage = GcsStorage("gs://bucket")
            storage._fs = GCSFileSystem(endpoint_url=address, use_listings_cache=False, skip_instance_cache=True)
            yield storage, "gs://bucket/x"


def unreachable_azure():
    """Build what cannot reach Azure, does it with another key, or with a signature in the URL."""
    from mr_als.storage.clouds.azure import AzureStorage

    known, uri = os.environ["AZURE_STORAGE_CONNECTION_STRING"], f"abfss://c@{ACCOUNT}.dfs.core.windows.net/x"
    signature = f"sv=2024-11-04&ss=b&srt=sco&sp=r&sig={quote(ACCOUNT_KEY)}"
    for found in (
        re.sub(r"127.0.0.1:\d+", "127.0.0.1:9", known),
        known.replace(ACCOUNT_KEY, ACCOUNT_KEY[:40] + ACCOUNT_KEY[:40] + "AAAAAA=="),
        re.sub(r"AccountKey=[^;]+", f"SharedAccessSignature={signature}", known),
        known.replace("AccountKey=", "AccountKey=?"),
    ):
        with surroundings({"AZURE_STORAGE_CONNECTION_STRING": found}):
            _file_system().clear_instance_cache()
            yield AzureStorage(uri), uri
    _file_system().clear_instance_cache()


UNREACHABLE = {"s3": unreachable_s3, "gs": unreachable_gs, "azure": unreachable_azure}


def test_no_exception_holds_them_when_a_cloud_refuses_or_does_not_answer(seen, cloud, monkeypatch):
    """Not in its text, nor in those of its causes, nor in any line of its traceback."""

    async def no_sleep(*words):
        """Try again at once."""

    monkeypatch.setattr("asyncio.sleep", no_sleep)
    told = []
    for storage, path in UNREACHABLE[cloud.name]():
        with pytest.raises(MRALSError) as caught:
            storage.read(path)
        told.append("".join(traceback.format_exception(caught.value)))

    assert all(any(name in text for name in ("S3", "AWS", "Google", "Azure")) for text in told)
    seen(*told)


@pytest.mark.s3
def test_no_option_takes_them():
    """Neither ours nor one of a job: what stands in a command line stands in the list of processes."""
    names = [
        action.option_strings
        for sub in make_parser()._subparsers._group_actions
        for p in sub.choices.values()
        for action in p._actions
    ]

    assert not [name for group in names for name in group if any(word in name for word in ("key", "secret", "token", "password"))]


@pytest.mark.s3
def test_no_module_reads_them():
    """What does not look at them cannot pass them on: that is left to the libraries of the clouds."""
    sources = Path(__file__).resolve().parents[2]
    texts = {path: path.read_text() for folder in ("mr_als", "jobs") for path in (sources / folder).rglob("*.py")}

    assert [
        str(path) for path, text in texts.items() if any(name in text for name in (*CANARIES, "aws_secret", "aws_access"))
    ] == []


def test_the_local_log_is_written_in_a_place_that_is_looked_at(seen, tmp_path):
    """The scratch directory of mrjob is among the places: so a job that leaves its files behind is found out."""
    log = write(tmp_path / "counts.tsv", toy_lines())

    assert main(["prepare", log, "--plays", str(tmp_path / "plays"), "-r", "local", "-v"]) == 0

    assert str(tmp_path / "scratch") in seen()
