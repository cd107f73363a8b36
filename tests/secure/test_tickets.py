"""Tickets and tokens on a cluster that asks for them, and its certificate."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from mr_als.storage import tokens
from mr_als.storage.places import storage_of
from mr_als.storage.webhdfs import WebHdfs
from tests.secure.gateway import gateway
from tests.storage.storage_promises import StoragePromises

pytestmark = pytest.mark.secure

EXPLAIN = ("explain", "user-0", "taste-0-item-1", "--model")


class TestHdfs(StoragePromises):
    """With a token got by RPC."""


class TestSwebhdfs(StoragePromises):
    """With the web address in the URI, and a token got over HTTPS with a ticket."""

    @pytest.fixture
    def place(self, secure, place):
        return place.replace(secure.default_fs, f"swebhdfs://localhost:{secure.made['ports']['namenode_https']}")


def test_without_a_token_it_answers_nobody(secure):
    with pytest.raises(urllib.error.HTTPError, match="401"):
        secure.get("namenode", "/webhdfs/v1/user?op=LISTSTATUS&user.name=alice")


def test_no_ticket_an_expired_one_and_a_wrong_principal_are_one_line_that_says_kinit(as_user, secure, tmp_path, changed_conf):
    secure.kdc.ticket("alice", tmp_path / "expired", "-l", "1s")
    pattern = "<property><name>dfs.namenode.kerberos.principal.pattern</name><value>namenode/*</value></property>"
    other = changed_conf("hdfs-site.xml", "</configuration>", f"{pattern}</configuration>")
    model = f"{secure.default_fs}/user/alice/none"
    for variables, words in (
        ({"KRB5CCNAME": str(tmp_path / "none")}, "the cluster asks for Kerberos, and there is no ticket: run kinit"),
        (
            {"HADOOP_CONF_DIR": other},
            r"the server is nn/localhost@MR-ALS.TEST, which is not the principal in the configuration here",
        ),
        ({"KRB5CCNAME": str(tmp_path / "expired")}, "the Kerberos ticket of alice@MR-ALS.TEST has expired: run kinit"),
        ({"KRB5PRINCIPAL": "carol", "KRB5KEYTAB": str(secure.kdc.keytab("alice"))}, "there is no key of carol"),
    ):
        code, out, err = as_user("alice", *EXPLAIN, model, **variables)
        assert (code, out) == (1, ""), err
        assert words in err
        assert "kinit" in err
        assert len(err.splitlines()) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused_in_words(as_user, secure, changed_conf):
    unknown = changed_conf("ssl-client.xml", "ssl.client.truststore.location", "ssl.client.other")

    code, _, err = as_user("alice", *EXPLAIN, f"{secure.default_fs}/user/alice/none", HADOOP_CONF_DIR=unknown)

    assert code == 1
    assert "certificate verify failed" in err
    assert "ssl.client.truststore.location" in err
    assert len(err.splitlines()) == 1


def test_a_gateway_is_named_by_a_variable(as_user, secure, place):
    storage_of(place).write(f"{place}/model/model.json", b"{}")
    with gateway(secure, "/gateway/default") as (address, asked):
        code, _, err = as_user("alice", *EXPLAIN, f"{place}/model", MR_ALS_WEBHDFS=address)

    assert code == 1
    assert "model.json" in err  # it was read, and is none
    assert f"/webhdfs/v1{place.removeprefix(secure.default_fs)}/model/model.json" in {path.split("?")[0] for path in asked}
    assert any(path.startswith("/data/") for path in asked)


def test_logs_and_models_are_read_through_httpfs_and_writing_one_is_refused(as_user, secure, model, counts, place):
    """It gives tokens of its own, and cannot rename one file onto another."""
    httpfs = f"swebhdfs://localhost:{secure.made['ports']['httpfs']}"
    there = {path: path.replace(secure.default_fs, httpfs) for path in (model, counts.uri, place)}

    told = [as_user("alice", "explain", "--model", path, "jazz-fan-017", "Crooked Brass (jazz)") for path in (model, there[model])]
    assert told[0] == told[1]
    assert (told[0][0], "Crooked Brass (jazz)" in told[0][1]) == (0, True)
    assert storage_of(httpfs).expand([there[counts.uri].replace("counts.tsv", "c*")]) == [there[counts.uri]]
    assert storage_of(httpfs).read_range(there[counts.uri], 3, 40) == storage_of(place).read_range(counts.uri, 3, 40)

    code, _, err = as_user("alice", "train", there[counts.uri], "--model", f"{there[place]}/m", "-q")
    assert code == 2
    assert "HttpFS cannot put one file in the place of another" in err
    assert "write to hdfs://NAMENODE" in err
    assert len(err.splitlines()) == 1
    assert storage_of(place).names(f"{place}/m") == []


def test_a_token_is_fetched_once_replaced_when_it_is_refused_and_cancelled_in_the_end(secure, place, monkeypatch):
    fetch, fetched, ended = tokens._fetch, [], []
    monkeypatch.setattr(tokens, "_fetch", lambda *words: fetched.append(fetch(*words)) or fetched[-1])
    web = WebHdfs(secure.default_fs)
    token = tokens.DelegationToken(secure.default_fs, 3600, web._cancel)
    web._token = token
    for _ in range(3):
        web.json("GET", "GETFILESTATUS", "/user/alice")
    assert len(fetched) == 1

    web._cancel(fetched[0])  # as if it had come to its end
    web.json("GET", "GETFILESTATUS", "/user/alice")
    assert len(fetched) == 2

    token.close()
    for value in fetched:
        monkeypatch.setattr(token, "value", lambda refused="", value=value: ended.append(value) or value)
        with pytest.raises(Exception, match="InvalidToken"):
            web.json("GET", "GETFILESTATUS", "/user/alice")
    assert set(ended) == set(fetched)
