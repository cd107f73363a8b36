"""Kerberos and TLS towards HDFS, without a cluster: tokens, words of Java, tickets, truststores."""

from __future__ import annotations

import base64
import io
import os
import socket
import ssl
import stat
import struct
import threading
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from email.message import Message

import pytest

from mr_als.engine import lease
from mr_als.errors import StorageError, UsageError
from mr_als.storage import tls, tokens, webhdfs
from mr_als.storage.hadoop_client import is_secure, kerberos_trouble, run_client
from mr_als.storage.hadoop_conf import to_hand, web_addresses
from mr_als.storage.hdfs import HdfsStorage
from mr_als.storage.tokens import DelegationToken, read_token, token_of
from mr_als.storage.webhdfs import MISSING

HDFS = "hdfs://namenode:8020"


def token_file(identifier: bytes = b"i" * 200, number: int = 1) -> tuple[bytes, bytes]:
    """Build a file as `fetchdt` writes it, and the token in it: its lengths beyond 127 take three bytes."""

    def text(data: bytes) -> bytes:
        length = bytes([len(data)]) if len(data) < 128 else b"\x8f" + struct.pack(">B", len(data))
        return length + data

    token = text(identifier) + text(b"password") + text(b"HDFS_DELEGATION_TOKEN") + text(b"127.0.0.1:8020")
    return b"HDTS\0" + bytes([number]) + text(b"127.0.0.1:8020") + token + b"\0", token


def test_the_token_of_a_file_is_what_webhdfs_wants():
    data, token = token_file()

    text = read_token(data, HDFS)

    assert "=" not in text
    assert base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) == token


@pytest.mark.parametrize(
    "data", [b"", b"HDTS\1x", token_file(number=0)[0], *(token_file()[0][:length] for length in (5, 6, 40, 220, 250))]
)
def test_a_file_without_one_is_refused(data):
    with pytest.raises(
        StorageError, match="fetched no delegation token; see what `hdfs fetchdt -fs hdfs://namenode:8020 FILE` says"
    ):
        read_token(data, HDFS)


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(tokens.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def fetched(monkeypatch):
    """Let tokens be 1, 2, 3 ...; the list of what was fetched."""
    found: list[str] = []

    def fetch(file_system, seconds):
        found.append(str(len(found) + 1))
        return found[-1]

    monkeypatch.setattr(tokens, "_fetch", fetch)
    return found


def test_a_token_is_replaced_at_half_of_its_life_or_when_it_is_refused_and_the_old_one_cancelled(clock, fetched):
    ended = []
    token = DelegationToken(HDFS, 100, ended.append)

    seen = [token.value(), token.value()]
    clock[0] += 51
    seen += [token.value(), token.value(refused="2"), token.value(refused="2")]
    token.close()
    token.close()

    assert seen == ["1", "1", "2", "3", "3"]
    assert ended == ["1", "2", "3"]
    assert "3" not in repr(token)


def test_without_a_ticket_a_token_is_used_up_and_then_that_is_said(clock, fetched, monkeypatch):
    token = DelegationToken(HDFS, 100, lambda text: None)
    token.value()

    def no_ticket(file_system, seconds):
        msg = "run kinit"
        raise StorageError(msg)

    monkeypatch.setattr(tokens, "_fetch", no_ticket)
    clock[0] += 90

    assert token.value() == "1"
    with pytest.raises(StorageError, match="kinit"):
        token.value(refused="1")
    clock[0] += 20
    with pytest.raises(StorageError, match="kinit"):
        token.value()


def test_nobody_who_has_a_valid_token_waits_for_the_next_one(clock, fetched, monkeypatch):
    """A lease ends while its holder waits."""
    token = DelegationToken(HDFS, 100, lambda text: None)
    token.value()
    begun, go_on, times = threading.Event(), threading.Event(), []

    def slow(file_system, seconds):
        times.append(seconds)
        begun.set()
        assert go_on.wait(60)
        return "2"

    monkeypatch.setattr(tokens, "_fetch", slow)
    clock[0] += 60
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(token.value)
        assert begun.wait(60)
        meanwhile = token.value()
        go_on.set()

        assert (meanwhile, first.result(), token.value()) == ("1", "2", "2")
    assert max(times) < lease.EXPIRY - lease.TOUCH


def test_after_trouble_the_next_token_is_not_asked_for_at_every_request(clock, fetched, monkeypatch):
    token = DelegationToken(HDFS, 1000, lambda text: None)
    token.value()
    asked = []

    def hang(file_system, seconds):
        asked.append(clock[0])
        clock[0] += seconds
        msg = "hdfs fetchdt: takes too long"
        raise StorageError(msg)

    monkeypatch.setattr(tokens, "_fetch", hang)
    clock[0] += 600
    seen = [token.value() for _ in range(5)]
    clock[0] += 100
    seen.append(token.value())

    assert (set(seen), len(asked)) == ({"1"}, 2)


def test_a_token_that_cannot_be_cancelled_ends_by_itself(fetched):
    def refuse(text):
        raise OSError

    token = DelegationToken(HDFS, 100, refuse)
    token.value()
    token.close()


def test_all_of_a_process_share_the_token_of_a_file_system(monkeypatch):
    monkeypatch.setattr(tokens, "_tokens", {})
    monkeypatch.setattr(tokens.atexit, "register", lambda function: None)
    conf = {"dfs.namenode.delegation.token.renew-interval": "60000"}

    assert token_of(HDFS, conf, str) is token_of(HDFS, {}, str)
    assert token_of(HDFS, conf, str) is not token_of("hdfs://other", {}, str)


def program(directory, name, script):
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_token_is_fetched_into_a_directory_that_nobody_else_may_enter(tmp_path, monkeypatch):
    data = tmp_path / "data"
    data.write_bytes(token_file()[0])
    log = tmp_path / "log"
    program(tmp_path, "hdfs", f'echo "$@" > {log}; cp {data} "$6"; stat -c %a "$(dirname "$6")" >> {log}')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    assert tokens._fetch(HDFS) == read_token(data.read_bytes(), HDFS)

    command, mode = log.read_text().splitlines()
    *words, path = command.split()
    assert (words[0], words[-2:]) == ("fetchdt", ["-fs", HDFS])
    assert mode == f"{stat.S_IRWXU:o}"
    assert not os.path.exists(os.path.dirname(path))


VALID = 'case "$*" in -s) ;; *) echo "Ticket cache: FILE:/tmp/c"; echo "Default principal: alice@A";; esac'
EXPIRED = VALID.replace("-s) ;;", "-s) exit 1;;")
ELSEWHERE = VALID.replace("FILE:/tmp/c", "KCM:0")


@pytest.mark.parametrize(
    ("klist", "words"),
    [
        ("exit 1", "the cluster asks for Kerberos, and there is no ticket: run kinit"),
        (EXPIRED, "the Kerberos ticket of alice@A has expired: run kinit"),
        (ELSEWHERE, "the Kerberos ticket of alice@A is in KCM:0, where Java does not look: export KRB5CCNAME=/tmp/krb5cc_"),
        (VALID, "the cluster does not take the Kerberos ticket of alice@A: run kinit"),
    ],
)
def test_what_is_wrong_with_a_ticket_is_what_klist_says(klist, words, tmp_path, monkeypatch):
    program(tmp_path, "klist", klist)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    said = kerberos_trouble("Caused by: GSSException: No valid credentials provided (Failed to find any Kerberos tgt)")

    assert words in said
    assert "kinit" in said


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("Server has invalid Kerberos principal: nn/a@R, expecting: nn/b@R", "the server is nn/a@R, which is not the principal"),
        ("KrbException: Server not found in Kerberos database (7)", "does not know the server"),
        ("kinit: Client 'carol@R' not found in Kerberos database", "does not know this principal"),
        ("NoMatchingRule: No rules applied to bob@OTHER", "has no user for the principal bob@OTHER"),
        ("KrbException: Clock skew too great (37) - PROCESS_TGS", "the clock"),
        ("Caused by: java.net.SocketTimeoutException: Receive timed out", "the Kerberos server does not answer"),
        ("KerberosAuthException: failure to login: for principal: carol from keytab /k", "no key of carol where KRB5KEYTAB says"),
        ("IllegalArgumentException: Can't get Kerberos realm", "knows no Kerberos realm"),
    ],
)
def test_words_of_java_become_a_line_that_says_kinit(log, words):
    assert words in kerberos_trouble(f"WARN Client: something\n{log}\n\tat java")
    assert "kinit" in kerberos_trouble(log)


def test_a_log_of_another_matter_is_none_of_kerberos():
    assert kerberos_trouble("java.io.IOException: No space left on device") == ""


def test_a_client_that_fails_or_is_not_there_is_named(tmp_path, monkeypatch):
    program(tmp_path, "yarn", 'echo "INFO x" >&2; echo "java.net.ConnectException: refused" >&2; exit 1')
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HADOOP_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    with pytest.raises(StorageError, match="^yarn node: java.net.ConnectException: refused$"):
        run_client("yarn", "node", "-list")
    with pytest.raises(StorageError, match="^hdfs-client-of-nobody x: cannot be run: No such file.*; set HADOOP_HOME"):
        run_client("hdfs-client-of-nobody", "x")
    monkeypatch.delenv("HADOOP_HOME")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin", "hdfs-client-of-nobody", "exit 0")
    with pytest.raises(StorageError, match="cannot be run: No such file"):  # not what lies in the current directory
        run_client("hdfs-client-of-nobody", "x")


@pytest.mark.parametrize(
    "torn", [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", b'HTTP/1.0 200 OK\r\n\r\n{"FileSta'], ids=["short", "no length"]
)
def test_an_answer_that_breaks_off_is_asked_for_again(torn, monkeypatch):
    monkeypatch.setattr(webhdfs, "read_conf", dict)
    whole = b'HTTP/1.0 200 OK\r\n\r\n{"FileStatus": {"type": "FILE", "length": 7}}'
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        server.settimeout(20)

        def answer():
            for text in (torn, whole):
                connection, _ = server.accept()
                with connection:
                    connection.recv(1 << 16)
                    connection.sendall(text)

        answered = pool.submit(answer)
        size = HdfsStorage(uri := f"webhdfs://127.0.0.1:{server.getsockname()[1]}/logs/a.tsv").size(uri)

        answered.result(60)
    assert size == 7


def test_what_asks_for_kerberos_and_where_the_web_is():
    assert is_secure({"hadoop.security.authentication": "Kerberos"})
    assert not is_secure({})
    assert web_addresses("httpfs:14000", {}, "webhdfs") == ["http://httpfs:14000"]
    assert web_addresses("nn", {}, "swebhdfs") == ["https://nn:9871"]
    pair = {"dfs.ha.namenodes.prod": "a", "dfs.namenode.https-address.prod.a": "a:9871"}
    assert web_addresses("prod", pair, "swebhdfs") == ["https://a:9871"]


def test_a_truststore_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    conf = "<configuration><property><name>ssl.client.truststore.location</name><value>{}</value></property></configuration>"
    (tmp_path / "core-site.xml").write_text("<configuration/>")
    (tmp_path / "ssl-client.xml").write_text(conf.format(tmp_path / "none.jks"))
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    program(tmp_path, "keytool", "echo 'keytool error: java.lang.Exception: Keystore file does not exist'; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    tls.tls_context.cache_clear()
    tls._of_the_cluster.cache_clear()

    with pytest.raises(UsageError, match="none.jks: keytool error: .*Keystore file does not exist; see ssl.client.truststore"):
        tls.tls_context()


# of an authority that signs nothing: the key is nowhere
AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBmDCCAT+gAwIBAgIUc/MIKgcRQzxox/UZfcklXZF/HBwwCgYIKoZIzj0EAwIw
ITEfMB0GA1UEAwwWQXV0aG9yaXR5IG9mIGEgY2x1c3RlcjAgFw0yNjExMjcwNjAw
NDJaGA8yMTI2MTEwMzA2MDA0MlowITEfMB0GA1UEAwwWQXV0aG9yaXR5IG9mIGEg
Y2x1c3RlcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLnpQyOyxG+2pi+BkJfJ
axw6KL9AuK9e8gefPcNx/aEOM8K/7LQRATPWkJCDpbDyAI04+FslmEywNHC+6s2N
haSjUzBRMB0GA1UdDgQWBBTcMQtfKA+ntm/ROyFHvlqT3tHqkTAfBgNVHSMEGDAW
gBTcMQtfKA+ntm/ROyFHvlqT3tHqkTAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49
BAMCA0cAMEQCIC/BxeSDgzEAurPq9JcshbLsVhfcqLqPxSBW+1tJZ7KGAiBdjZyN
ZJiGk7SAOA8lvwX2HNHoZr+lG8EeGzUgxrB1YA==
-----END CERTIFICATE-----
"""
STORE = "<configuration><property><name>ssl.client.truststore.location</name><value>/store.jks</value></property></configuration>"


@pytest.fixture
def trusting(tmp_path, monkeypatch):
    """Configure a cluster whose truststore holds one certificate; what is looked up once is forgotten."""
    (tmp_path / "core-site.xml").write_text("<configuration/>")
    (tmp_path / "ssl-client.xml").write_text(STORE)
    program(tmp_path, "keytool", f"echo 'Your keystore contains 1 entry'; cat <<'END'\n{AUTHORITY}END")
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    for name in ("JAVA_HOME", "SSL_CERT_FILE", "MR_ALS_WEBHDFS", tls.TRUSTED):
        monkeypatch.delenv(name, raising=False)
    caches = (tls.tls_context, tls._of_the_cluster)
    for found in caches:
        found.cache_clear()
    yield tmp_path
    for found in caches:
        found.cache_clear()


def names_of(context):
    return [dict(pairs[0] for pairs in found["subject"])["commonName"] for found in context.get_ca_certs()]


def test_a_task_elsewhere_trusts_whom_the_driver_trusts_without_a_configuration(trusting, monkeypatch):
    handed = tls.trust_to_hand(["swebhdfs://namenode:9871/logs/a.tsv", "swebhdfs://namenode:9871/m"])
    monkeypatch.setattr(tls.ssl, "create_default_context", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    # as on a node: no configuration, no keytool
    monkeypatch.setenv("HADOOP_CONF_DIR", str(trusting / "none"))
    monkeypatch.setenv("PATH", "")
    for name, value in handed.items():
        monkeypatch.setenv(name, value)

    assert names_of(tls.tls_context()) == ["Authority of a cluster"]


def test_certificates_are_handed_on_where_files_come_over_tls_and_nowhere_else(trusting, monkeypatch):
    assert tls.trust_to_hand(["hdfs:///logs", "s3://b/m"]) == {}

    (trusting / "core-site.xml").write_text(
        "<configuration><property><name>dfs.http.policy</name><value>HTTPS_ONLY</value></property></configuration>"
    )
    (trusting / "ca.pem").write_text("of my own")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusting / "ca.pem"))

    assert tls.trust_to_hand(["s3://b/logs", "s3://b/m"]) == {}
    assert tls.trust_to_hand(["hdfs:///logs", "s3://b/m"]) == {tls.TRUSTED: f"{AUTHORITY.strip()}\nof my own"}
    monkeypatch.setenv("MR_ALS_WEBHDFS", "http://gateway:8080")
    assert tls.trust_to_hand(["hdfs:///logs"]) == {}
    assert to_hand()["MR_ALS_WEBHDFS"] == "http://gateway:8080"


def test_without_a_keytool_that_is_said_unless_there_is_a_file_of_ones_own(monkeypatch):
    monkeypatch.setattr(tls.shutil, "which", lambda name: None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(UsageError, match="no keytool to read it; set JAVA_HOME, or name a PEM file"):
        tls._certificates("/store.jks", "secret")
    monkeypatch.setenv("SSL_CERT_FILE", "/ca.pem")

    assert tls._certificates("/store.jks", "secret") == ""


@pytest.mark.parametrize(
    ("code", "body", "words"),
    [
        (403, b'{"RemoteException": {"exception": "AccessControlException", "message": "/a/f (is not a directory)"}}', MISSING),
        (403, b'{"RemoteException": {"exception": "AccessControlException", "message": "Permission denied"}}', "AccessControl"),
        (401, b"<html>", "it asks for Kerberos, and hadoop.security.authentication is not kerberos here"),
        (500, b"<html>", "HTTP 500: <html>"),
        (502, b"no /logs?op=OPEN&delegation=IAAEamFuZQ&offset=0", "HTTP 502: no /logs?op=OPEN&delegation=...&offset=0"),
    ],
)
def test_what_hdfs_refuses_is_told_by_its_kind(code, body, words):
    """Where it looks at permissions, a name below a file is one that nobody may enter; it is only missing."""
    answer = urllib.error.HTTPError("https://namenode:9871/webhdfs/v1/?delegation=secret", code, "", Message(), io.BytesIO(body))

    error = webhdfs._remote_error(answer)

    assert words in str(error)
    assert "secret" not in str(error)
