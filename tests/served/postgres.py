"""A PostgreSQL of one's own, on loopback and in a directory that goes with it: Debian's package, as a user that is not root."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

# where Debian and its relatives install it, and what else is on the path
PLACES = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)), Path("/usr/local/pgsql/bin")]


def program(name: str) -> str:
    """Find a program of the server."""
    found = shutil.which(name) or next((str(path / name) for path in reversed(PLACES) if (path / name).exists()), None)
    assert found, f"{name} is missing: apt-get install postgresql"
    return found


@contextlib.contextmanager
def postgres() -> Iterator[dict[str, str]]:
    """Start a server with an empty database; yield the environment by which psql and pgbench find it."""
    # initdb refuses root; the package has made a user
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="mr-als-postgres-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    if user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    keys = {"user": user, "cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(folder)}}
    try:
        made = [program("initdb"), "-D", str(folder / "data"), "-U", "music", "--auth=trust", "--no-sync", "--encoding=UTF8"]
        subprocess.run(made, check=True, capture_output=True, **keys)
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off"}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with open(folder / "log", "wb") as log:
            server = subprocess.Popen([program("postgres"), "-D", str(folder / "data"), *words], stdout=log, stderr=log, **keys)
        try:
            there = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": port, "PGUSER": "music", "PGDATABASE": "postgres"}
            _wait(there, server)
            yield there
        finally:
            server.terminate()  # of the postmaster: no new connections, and an end when the last one has gone
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.send_signal(2)  # and without waiting for them
                server.wait(30)
    finally:
        shutil.rmtree(folder)


def _wait(there: dict[str, str], server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers."""
    for _ in range(200):
        assert server.poll() is None, "postgres ended"
        if (
            subprocess.run([program("psql"), "-qc", "SELECT 1"], check=False, env=there, capture_output=True, timeout=60).returncode
            == 0
        ):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(0.1)
    msg = "postgres does not answer"
    raise AssertionError(msg)


def ask(there: dict[str, str], query: str) -> list[list[str]]:
    """Run a query; return its rows as text."""
    command = [program("psql"), "--no-psqlrc", "-qAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", query]
    done = subprocess.run(command, env=there, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.removesuffix("\n").split("\n") if line]
