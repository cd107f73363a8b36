"""Stand-ins of clouds, on loopback: moto's server for S3, fake-gcs-server for Google Cloud Storage, Azurite for Azure.

`make test-emr` installs them. Each is started once for all tests, since clients remember where they found it.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.emr import stand_in as aws

VENV = Path(sys.prefix)
# what must never be seen anywhere
TOKEN = "ya29.canary-token-canary-token"
ACCOUNT, ACCOUNT_KEY = "canaryaccount", base64.b64encode(b"canary key " * 6).decode()


@dataclass(frozen=True)
class Cloud:
    """A cloud, as tests know it.

    name : of its marker, of the fixture that starts its stand-in, and of the scheme of URIs
    make_bucket : makes a bucket or container, and returns its URI; `missing` is one that is not there
    secrets : returns what must never be seen
    """

    name: str
    make_bucket: Callable[[], str]
    missing: str
    secrets: Callable[[], list[str]]


@contextlib.contextmanager
def surroundings(variables: Mapping[str, str], unset: tuple[str, ...] = ()) -> Iterator[None]:
    """Set variables of the environment, and unset others."""
    with pytest.MonkeyPatch.context() as patch:
        for name in unset:
            patch.delenv(name, raising=False)
        for name, value in {**variables, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}.items():
            patch.setenv(name, value)
        yield


@contextlib.contextmanager
def server(command: list[str | Path], port: int, **variables: str) -> Iterator[None]:
    """Run a server until it is no longer needed; wait until it answers."""
    if not Path(command[0]).exists():
        pytest.fail(f"there is no {command[0]}: make {VENV}/.done-clouds")
    with subprocess.Popen(command, env={**os.environ, **variables}, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                assert process.poll() is None, f"{command[0]} has ended"
                time.sleep(0.1)
            yield
        finally:
            process.terminate()


def free_port() -> int:
    """Find a port that nobody listens to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def answering(status: int, body: Mapping[str, Any]) -> Iterator[str]:
    """Answer every request alike, and yield the address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PUT = do_GET

        def log_message(self, *words: Any) -> None:
            """Say nothing."""

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}"
    finally:
        httpd.shutdown()
        httpd.server_close()


def write_key(path: Path, token_uri: str) -> None:
    """Write the key of a service account that gets its tokens at a place."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(*form).decode()
    words = {"type": "service_account", "project_id": "tests", "client_email": "tests@example.org", "token_uri": token_uri}
    path.write_text(json.dumps({**words, "private_key_id": "1", "private_key": private}))


@pytest.fixture(scope="session")
def gs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run fake-gcs-server, and what gives a service account its tokens."""
    port, key = free_port(), tmp_path_factory.mktemp("google") / "key.json"
    program = [VENV / "bin" / "fake-gcs-server", "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1"]
    with (
        answering(200, {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}) as tokens,
        server([*program, "-port", str(port), "-log-level", "error"], port),
        surroundings({"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}", "GOOGLE_APPLICATION_CREDENTIALS": str(key)}),
    ):
        write_key(key, tokens)
        yield


@pytest.fixture(scope="session")
def azure() -> Iterator[None]:
    """Run Azurite, with an account of our own."""
    port = free_port()
    program = [VENV / "azurite" / "node_modules" / ".bin" / "azurite-blob", "--inMemoryPersistence", "--silent"]
    # clients may be newer than the versions of Azure's interface that it knows
    words = ["--disableTelemetry", "--skipApiVersionCheck", "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    endpoint = f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT}"
    found = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};{endpoint}"
    with (
        server([*program, *words], port, AZURITE_ACCOUNTS=f"{ACCOUNT}:{ACCOUNT_KEY}"),
        surroundings({"AZURE_STORAGE_CONNECTION_STRING": found}),
    ):
        yield


def make_gs_bucket() -> str:
    """Create a bucket and return its URI."""
    from gcsfs.core import GCSFileSystem

    name = f"bucket-{uuid.uuid4().hex[:8]}"
    GCSFileSystem(project="tests").mkdir(name)
    return f"gs://{name}"


def make_container() -> str:
    """Create a container and return its URI."""
    from adlfs import AzureBlobFileSystem

    name = f"container-{uuid.uuid4().hex[:8]}"
    AzureBlobFileSystem(account_name=ACCOUNT).mkdir(name)
    return f"abfss://{name}@{ACCOUNT}.dfs.core.windows.net"


def private_key() -> str:
    """Return a line of the service account's key."""
    return str(json.loads(Path(os.environ["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())["private_key"]).splitlines()[5]


S3 = Cloud("s3", lambda: f"s3://{aws.make_bucket()}", "s3://no-such-bucket", lambda: [*aws.CANARIES.values()])
GS = Cloud("gs", make_gs_bucket, "gs://no-such-bucket", lambda: [TOKEN, private_key()])
AZURE = Cloud("azure", make_container, f"abfss://no-such-bucket@{ACCOUNT}.dfs.core.windows.net", lambda: [ACCOUNT_KEY])
CLOUDS = (S3, GS, AZURE)
