"""A real single-node Hadoop: NameNode, DataNode, ResourceManager, NodeManager and JobHistoryServer, each a process.

    python -m local_hadoop.cluster start          fetch it if needed (Maven, a JDK 17), start the daemons, print what to set
    python -m local_hadoop.cluster status
    python -m local_hadoop.cluster kill DAEMON    SIGKILL; `up DAEMON` starts it again
    python -m local_hadoop.cluster stop           HDFS stays for the next start; `clean` removes it

All of it lies in one run directory (`--run`), listens on loopback only, on ports that were free, and shares nothing
with another Hadoop. It is recognised by the id its NameNode was formatted with, see `Cluster.is_ours`.

It is long because starting, watching and ending five daemons share what is known of each.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import random
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local_hadoop import conf
from local_hadoop.fetch import CACHE, default_home, fetch
from local_hadoop.processes import Processes

DAEMONS = {
    "namenode": "hdfs",
    "datanode": "hdfs",
    "resourcemanager": "yarn",
    "nodemanager": "yarn",
    "historyserver": "mapred",
}
WEB_PORTS = {"namenode": "namenode_http", "resourcemanager": "rm_http", "historyserver": "history_http"}


class ClusterError(Exception):
    """The cluster cannot be used; the message says why and what to do."""


def find_java() -> str:
    """Find the JAVA_HOME of a Java 17: Hadoop 3.4 does not start on any newer than 23."""
    named = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    on_path = shutil.which("java")
    found = [Path(on_path).resolve().parents[1]] if on_path else []
    for home in [*named, *found, *sorted(Path("/usr/lib/jvm").glob("*17*"))]:
        release = home / "release"
        if release.exists() and 'JAVA_VERSION="17' in release.read_text():
            return str(home)
    msg = "no JDK 17 in JAVA_HOME, on the PATH or in /usr/lib/jvm; install one (Debian: openjdk-17-jdk-headless) or set JAVA_HOME"
    raise ClusterError(msg)


def free_ports(number: int) -> list[int]:
    """Choose free ports of loopback, below those that the system gives to connections: one of these would be gone soon."""
    found: list[int] = []
    for port in random.SystemRandom().sample(range(12_000, 32_000), 2_000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == number:
            return found
    msg = f"fewer than {number} free ports between 12000 and 32000"
    raise ClusterError(msg)


class Cluster(Processes):
    """The five daemons that live in one run directory.

    folder : name of the run directory in the cache, where none is given
    tls : whom the web addresses have to be signed by, where they speak TLS
    """

    folder = "hadoop-run"
    workers = 1
    daemons = DAEMONS
    port_names = conf.PORTS
    tls: ssl.SSLContext | None = None

    def __init__(self, run: Path, home: Path | None = None) -> None:
        super().__init__(run, home or default_home())

    # what clients need to know

    @property
    def made(self) -> dict[str, Any]:
        """Ports and id, chosen at the first start."""
        return json.loads((self.run / "made.json").read_text())

    @property
    def default_fs(self) -> str:
        """The URI of its HDFS."""
        return f"hdfs://localhost:{self.made['ports']['namenode']}"

    def environment(self, conf_dir: str = "conf") -> dict[str, str]:
        """Return the environment variables by which `hadoop`, mrjob and mr_als find this cluster."""
        return {
            "JAVA_HOME": find_java(),
            "HADOOP_HOME": str(self.home),
            "HADOOP_CONF_DIR": str(self.run / conf_dir),
            "HADOOP_LOG_DIR": str(self.run / "logs"),
            "PATH": f"{self.home / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }

    def command(self, *words: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a client such as `hdfs dfsadmin -report` and give what it printed."""
        full = [str(self.home / "bin" / words[0]), *words[1:]]
        environment = {**os.environ, **self.environment()}
        done = subprocess.run(full, env=environment, check=False, timeout=timeout, capture_output=True, text=True)
        if check and done.returncode:
            msg = f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr[-3000:]}"
            raise ClusterError(msg)
        return done

    def get(self, daemon: str, path: str) -> Any:
        """Ask a daemon's web port for JSON."""
        request = urllib.request.Request(f"{self.web(daemon)}{path}", headers={"Accept": "application/json"})
        with urllib.request.urlopen(request, timeout=5, context=self.tls) as answer:
            return json.load(answer)

    def web(self, daemon: str) -> str:
        """Return the web address of a daemon."""
        return f"http://127.0.0.1:{self.made['ports'][WEB_PORTS[daemon]]}"

    def is_ours(self) -> bool:
        """Say whether the NameNode that answers is the one formatted for this run directory."""
        try:
            beans = self.get("namenode", "/jmx?qry=Hadoop:service=NameNode,name=NameNodeInfo")["beans"]
            return bool(beans[0]["ClusterId"] == self.made["id"])
        except (OSError, ValueError, LookupError):
            return False

    # start and stop

    def start(self) -> None:
        """Start all daemons that are not running and wait until a job can be submitted."""
        fetch(self.home)
        if not (self.run / "made.json").exists():
            self._make()
        for daemon in self.daemons:
            if daemon != "historyserver":  # it wants HDFS at once, the others wait for what they need
                self.up(daemon)
        self._before_hdfs()
        self._wait(180, "the DataNode to register and HDFS to leave safe mode", self._has_hdfs)
        if not self.is_ours():
            msg = f"the NameNode at {self.default_fs} was not started from {self.run}"
            raise ClusterError(msg)
        self._wait(180, "HDFS to make folders", self._make_folders)
        self.up("historyserver")
        self._wait(180, "the NodeManager to register", self.has_node)
        self._wait(180, "the JobHistoryServer", self._has_history)

    def _make(self) -> None:
        """Choose ports and id, write the configuration, format the NameNode."""
        for name in ("logs/userlogs", "pids"):
            (self.run / name).mkdir(parents=True, exist_ok=True)
        ports = dict(zip(self.port_names, free_ports(len(self.port_names)), strict=True))
        self._configure(ports)
        made = {"ports": ports, "id": f"mr-als-test-{secrets.token_hex(8)}"}
        self._format(made["id"])
        (self.run / "made.json").write_text(json.dumps(made, indent=1))

    def _configure(self, ports: dict[str, int]) -> None:
        """Write the configuration, before the NameNode is formatted."""
        conf.write(self.run / "conf", conf.sites(self.run, self.home, ports))

    def _format(self, cluster_id: str) -> None:
        """Format the NameNode."""
        self.command("hdfs", "namenode", "-format", "-nonInteractive", "-force", "-clusterId", cluster_id)

    def _before_hdfs(self) -> None:
        """Do what HDFS waits for, once its daemons are started."""

    def _make_folders(self) -> bool:
        """Make in HDFS what every job expects, through WebHDFS: a JVM would take a second for each."""
        port = self.made["ports"]["namenode_http"]
        for path in ("/tmp/hadoop-yarn/staging", f"/user/{getpass.getuser()}"):
            url = f"http://127.0.0.1:{port}/webhdfs/v1{path}?op=MKDIRS&permission=1777&user.name={getpass.getuser()}"
            urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=30).close()
        return True

    def _has_hdfs(self) -> bool:
        state = self.get("namenode", "/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState")["beans"][0]
        return bool(state["NumLiveDataNodes"] == self.workers and state["FSState"] == "Operational")

    def _has_history(self) -> bool:
        return "startedOn" in self.get("historyserver", "/ws/v1/history/info")["historyInfo"]

    def has_node(self) -> bool:
        """Say whether a NodeManager can take containers."""
        return bool(self.get("resourcemanager", "/ws/v1/cluster/metrics")["clusterMetrics"]["activeNodes"] == self.workers)

    def _wait(self, seconds: float, what: str, ready: Callable[[], bool]) -> None:
        """Wait for a condition; give up at once if a daemon died."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if ready():
                    return
            except (OSError, ValueError, LookupError):
                pass
            for daemon, state in self.status().items():
                if state == "died":
                    tail = "\n".join((self.run / f"logs/{daemon}.log").read_text(errors="replace").splitlines()[-30:])
                    msg = f"{daemon} died while waiting for {what}:\n{tail}"
                    raise ClusterError(msg)
            time.sleep(0.2)
        msg = f"waited {seconds:.0f} s for {what} in vain; see {self.run / 'logs'}"
        raise ClusterError(msg)

    def clean(self) -> None:
        """Kill all daemons, as nothing of theirs is to be kept, and remove the run directory with its HDFS."""
        for daemon in reversed(self.daemons):
            self.kill(daemon)
        self._end_containers()
        shutil.rmtree(self.run, ignore_errors=True)


def main(arguments: list[str], kind: type[Cluster] = Cluster) -> int:
    """Run the command line of a kind of cluster."""
    module = sys.modules[kind.__module__]
    parser = argparse.ArgumentParser(prog="python -m local_hadoop", description=(module.__doc__ or "").split("\n")[0])
    parser.add_argument("verb", choices=("fetch", "start", "status", "env", "kill", "up", "stop", "clean"))
    parser.add_argument("daemon", nargs="?", choices=tuple(kind.daemons), help="for kill and up")
    parser.add_argument("--run", type=Path, default=CACHE / kind.folder, help="run directory (default: %(default)s)")
    parser.add_argument("--home", type=Path, default=default_home(), help="where Hadoop is laid out (default: %(default)s)")
    args = parser.parse_args(arguments)
    if (args.daemon is None) == (args.verb in ("kill", "up")):
        parser.error(f"{args.verb} needs a daemon" if args.daemon is None else f"{args.verb} takes no daemon")
    cluster = kind(args.run, args.home)
    try:
        if args.verb == "fetch":
            fetch(args.home)
        elif args.verb == "status":
            print("\n".join(f"{daemon}\t{state}" for daemon, state in cluster.status().items()))
        elif args.verb in ("kill", "up"):
            getattr(cluster, args.verb)(args.daemon)
        elif args.verb != "env":
            getattr(cluster, args.verb)()
        if args.verb in ("start", "env"):
            print("".join(f"export {name}={value}\n" for name, value in cluster.environment().items()), end="")
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
