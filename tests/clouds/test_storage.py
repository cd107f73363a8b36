"""Files in a cloud: the promises of `Storage`, against a stand-in of each; and what is said where one is not to be had."""

from __future__ import annotations

import pytest

from mr_als.errors import StorageError, UsageError
from mr_als.storage.clouds import azure as azures
from mr_als.storage.clouds import trouble
from mr_als.storage.mirror import fetch_range
from mr_als.storage.places import storage_of
from tests.clouds.stand_ins import ACCOUNT, AZURE, GS, answering
from tests.storage.storage_promises import StoragePromises


class TestClouds(StoragePromises):
    @pytest.fixture
    def place(self, bucket):
        return f"{bucket}/folder"

    def test_the_time_of_a_change_is_in_milliseconds(self, storage, place):
        """So leases are told from dead ones."""
        storage.write(f"{place}/a", b"1")

        assert 1.7e12 < storage.identify(f"{place}/a")[1] < 1e13

    def test_a_large_file_is_created_once_too(self, storage, place):
        """More than is put by one request."""
        data = bytes(range(256)) * (70 << 12)

        assert storage.create(f"{place}/large", data)
        assert not storage.create(f"{place}/large", data[1:])
        assert storage.size(f"{place}/large") == len(data)

    def test_a_log_is_fetched_in_ranges_of_whole_lines(self, storage, place, tmp_path):
        lines = [b"user %d\titem %d\n" % (n, n * n) for n in range(20_000)]
        data, step = b"".join(lines), 150_000
        storage.write(f"{place}/day 1/log ä.tsv", data)

        for offset in range(0, len(data), step):
            copy = fetch_range(f"{place}/day 1/log ä.tsv", offset, step, str(tmp_path))

            with open(copy, "rb") as file:
                file.seek(offset)
                assert file.read(step) == data[offset : offset + step]


def test_a_bucket_that_is_not_there_is_named(cloud):
    with pytest.raises(UsageError, match=r"no (bucket|container) 'no-such-bucket'"):
        storage_of(f"{cloud.missing}/m").make_directory(f"{cloud.missing}/m")


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        pytest.param("s3:///m", "names no bucket; write s3://BUCKET/", marks=pytest.mark.s3),
        pytest.param("gs:///m", "names no bucket; write gs://BUCKET/", marks=pytest.mark.gs),
        pytest.param("abfss:///m", "names no container; write abfss://CONTAINER@ACCOUNT", marks=pytest.mark.azure),
        pytest.param("abfss://c/m", "names no storage account; write abfss://CONTAINER@ACCOUNT", marks=pytest.mark.azure),
        pytest.param("abfss://c/m@x", "names no storage account; write abfss://CONTAINER@ACCOUNT", marks=pytest.mark.azure),
        pytest.param("abfss://c@/m", "names no storage account; write abfss://CONTAINER@ACCOUNT", marks=pytest.mark.azure),
    ],
)
def test_a_uri_without_a_bucket_is_refused(uri, why):
    with pytest.raises(UsageError, match=why):
        storage_of(uri)


@pytest.mark.parametrize(
    ("uri", "package"),
    [("s3://b/m", "s3fs"), ("gs://b/m", "gcsfs"), ("abfss://c@a.dfs.core.windows.net/m", "adlfs")],
)
@pytest.mark.parametrize("found", [None, "2024.6.1", "0.9"])
def test_an_extra_that_is_missing_or_old_is_named_in_one_line(uri, package, found, monkeypatch):
    monkeypatch.setattr(trouble, "_version", lambda name: found if name == package else "2030.1")

    with pytest.raises(UsageError, match=rf"needs {package}, .*: pip install '{package}>=2024.12'") as caught:
        storage_of(uri)

    assert "\n" not in str(caught.value)


@pytest.mark.azure
def test_a_connection_string_of_another_account_is_refused(azure):
    with pytest.raises(UsageError, match=f"AZURE_STORAGE_CONNECTION_STRING is of the account '{ACCOUNT}', not 'other'"):
        storage_of("abfss://c@other.dfs.core.windows.net/m")


@pytest.mark.parametrize("cloud", [pytest.param(AZURE, marks=pytest.mark.azure)], indirect=True)
def test_what_is_renamed_is_kept_until_its_copy_is_whole(bucket, monkeypatch):
    """Azure may copy later; the copy is empty until then."""
    storage = storage_of(bucket)
    storage.write(f"{bucket}/old/a", b"abc")
    monkeypatch.setattr(storage._fs, "cp_file", lambda old, new: storage._fs.pipe_file(new, b""))
    monkeypatch.setattr(azures, "_PATIENCE", -1.0)

    with pytest.raises(StorageError, match="Azure has not copied it"):
        storage.rename(f"{bucket}/old", f"{bucket}/new")

    assert storage.read(f"{bucket}/old/a") == b"abc"


@pytest.mark.parametrize("cloud", [pytest.param(GS, marks=pytest.mark.gs)], indirect=True)
@pytest.mark.parametrize(
    ("status", "why"),
    [
        (401, r"Google Cloud Storage refuses \(no no, 401\); set GOOGLE_APPLICATION_CREDENTIALS"),
        (403, "check the roles of the account"),
    ],
)
def test_a_refusal_says_what_to_do(cloud, status, why):
    with answering(status, {"error": {"code": status, "message": "no no"}}) as address:
        storage = storage_of("gs://b/x")
        storage._fs = type(storage._fs)(endpoint_url=address, use_listings_cache=False, skip_instance_cache=True)

        with pytest.raises(UsageError, match=why):
            storage.read("gs://b/x")
