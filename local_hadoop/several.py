"""Three machines in small: two NameNodes of which one is active, and three workers, each with files of its own.

    python -m local_hadoop.several start | status | env | kill DAEMON | up DAEMON | stop | clean

`lose` ends a whole worker, `recover` starts it again with what it had on its disk; `fail_over` makes the second NameNode active.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path

from local_hadoop import conf
from local_hadoop.cluster import Cluster, main

WORKERS = 3
SERVICE = "several"
OF_WORKER = ("datanode", "nodemanager")
# what a worker and a NameNode have of their own: ports and, by property, directories
WORKER_PORTS = ("datanode", "datanode_http", "datanode_ipc", "nm", "nm_localizer", "nm_http", "shuffle")
NAMENODE_PORTS = ("namenode", "namenode_http")


def number_of(daemon: str) -> int:
    """Return the number of a daemon's machine, as of namenode-2."""
    return int(daemon.partition("-")[2] or 1)


class SeveralCluster(Cluster):
    """Two NameNodes, ResourceManager, history server, three workers."""

    folder = "hadoop-several-run"
    workers = WORKERS
    daemons = {  # noqa: RUF012  (of a class, as above)
        "namenode": "hdfs",
        "namenode-2": "hdfs",
        **{"-".join(filter(None, ("datanode", n))): "hdfs" for n in ("", "2", "3")},
        "resourcemanager": "yarn",
        **{"-".join(filter(None, ("nodemanager", n))): "yarn" for n in ("", "2", "3")},
        "historyserver": "mapred",
    }
    port_names = (
        *conf.PORTS,
        *(f"{name}-{n}" for n in range(2, WORKERS + 1) for name in WORKER_PORTS),
        *(f"{name}-2" for name in NAMENODE_PORTS),
    )

    @property
    def default_fs(self) -> str:
        """The URI of its HDFS, which names no machine."""
        return f"hdfs://{SERVICE}"

    def conf_dir(self, daemon: str) -> str:
        """Return the name of the directory that a daemon's configuration is in."""
        number = number_of(daemon)
        return "conf" if number == 1 else f"conf-{number}"

    def _configure(self, ports: dict[str, int]) -> None:
        """Write a configuration for clients and the first machine, and one for each other."""
        for number in range(1, WORKERS + 1):
            own = ports | {name: ports[f"{name}-{number}"] for name in WORKER_PORTS if number > 1}
            sites = conf.sites(self.run, self.home, own)
            several(sites, self.run, ports)
            if number > 1:
                apart(sites, self.run, number)
            conf.write(self.run / self.conf_dir(f"worker-{number}"), sites)

    def _words(self, daemon: str) -> list[str]:
        kind, number = daemon.partition("-")[0], number_of(daemon)
        words = [str(self.home / "bin" / self.daemons[daemon]), kind]
        return [*words, "-D", f"dfs.ha.namenode.id=nn{number}"] if kind == "namenode" else words

    def _format(self, cluster_id: str) -> None:
        """Format the first NameNode and the edits that both share; the second begins as its copy."""
        words = ("-D", "dfs.ha.namenode.id=nn1", "-format", "-nonInteractive", "-force", "-clusterId", cluster_id)
        self.command("hdfs", "namenode", *words)
        shutil.copytree(self.run / "namenode", self.run / "namenode-2")

    def _before_hdfs(self) -> None:
        """Make the first NameNode the active one."""
        self._wait(180, "the first NameNode to become active", lambda: self.fail_over(1))

    def fail_over(self, number: int = 2) -> bool:
        """Make a NameNode the active one; say whether it is."""
        self.command("hdfs", "haadmin", "-transitionToActive", "--forceactive", f"nn{number}", check=False)
        return "active" in self.command("hdfs", "haadmin", "-getServiceState", f"nn{number}", check=False).stdout

    def lose(self, number: int) -> None:
        """Kill all that runs on a worker at once: DataNode, NodeManager, and the containers that it has started."""
        for kind in OF_WORKER:
            self.signal(self._daemon(kind, number))
        ours = f"{self.local(number)}/usercache/".encode()
        for _ in range(2):  # what one of them has just started, too
            for path in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):  # it has ended meanwhile
                    if ours in (path / "cmdline").read_bytes() or os.readlink(path / "cwd").encode().startswith(ours):
                        os.kill(int(path.name), signal.SIGKILL)
        for kind in OF_WORKER:
            self.kill(self._daemon(kind, number))

    def recover(self, number: int) -> None:
        """Start a worker again."""
        for kind in OF_WORKER:
            self.up(self._daemon(kind, number))

    def _daemon(self, kind: str, number: int) -> str:
        return kind if number == 1 else f"{kind}-{number}"

    def local(self, number: int) -> Path:
        """Return the directory in which the containers of a worker run."""
        return self.run / ("local" if number == 1 else f"local-{number}")

    def worker_of(self, variable: str) -> int:
        """Find the worker whose container has a variable of the environment, as of `CONTAINER_ID=container_1_0001_01_000001`."""
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if f"\0{variable}\0".encode() in path.read_bytes():
                    place = os.readlink(path.parent / "cwd")
                    return next(n for n in range(1, WORKERS + 1) if place.startswith(f"{self.local(n)}/"))
        msg = f"no container with {variable}"
        raise LookupError(msg)

    def live(self) -> tuple[int, int]:
        """Count the DataNodes and NodeManagers that the others know to live."""
        active = next(name for name in ("namenode", "namenode-2") if self._is_active(name))
        state = self.get(active, "/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState")["beans"][0]
        metrics = self.get("resourcemanager", "/ws/v1/cluster/metrics")["clusterMetrics"]
        return state["NumLiveDataNodes"], metrics["activeNodes"]

    def _is_active(self, namenode: str) -> bool:
        with contextlib.suppress(OSError):
            status = self.get(namenode, "/jmx?qry=Hadoop:service=NameNode,name=NameNodeStatus")["beans"][0]
            return bool(status["State"] == "active")
        return False

    def web(self, daemon: str) -> str:
        """Return the web address of a daemon, the second NameNode among them."""
        return f"http://127.0.0.1:{self.made['ports']['namenode_http-2']}" if daemon == "namenode-2" else super().web(daemon)


def several(sites: dict[str, dict[str, object]], run: Path, p: dict[str, int]) -> None:
    """Change the configuration of one machine to that of several: a pair of NameNodes, two copies of each block."""
    hdfs, proxy = sites["hdfs-site"], "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider"
    del hdfs["dfs.namenode.http-address"]
    sites["core-site"]["fs.defaultFS"] = f"hdfs://{SERVICE}"
    hdfs |= {
        "dfs.replication": 2,
        "dfs.nameservices": SERVICE,
        f"dfs.ha.namenodes.{SERVICE}": "nn1,nn2",
        f"dfs.client.failover.proxy.provider.{SERVICE}": proxy,
        # the other NameNode is asked at once, not after a minute of patience with the first
        "dfs.client.retry.policy.enabled": "false",
        "dfs.ha.fencing.methods": "shell(/bin/true)",
        "dfs.namenode.shared.edits.dir": f"file://{run}/shared-edits",
        "dfs.ha.tail-edits.period": 1,
        # seconds after which a machine is given up, not minutes
        "dfs.namenode.heartbeat.recheck-interval": 5000,
        "dfs.heartbeat.interval": 1,
        "dfs.namenode.safemode.min.datanodes": 2,
    }
    for node, suffix in (("nn1", ""), ("nn2", "-2")):
        hdfs[f"dfs.namenode.rpc-address.{SERVICE}.{node}"] = f"localhost:{p[f'namenode{suffix}']}"
        hdfs[f"dfs.namenode.http-address.{SERVICE}.{node}"] = f"127.0.0.1:{p[f'namenode_http{suffix}']}"
    sites["yarn-site"] |= {
        "yarn.nm.liveness-monitor.expiry-interval-ms": 20000,
        "yarn.am.liveness-monitor.expiry-interval-ms": 20000,
        "yarn.nodemanager.resource.memory-mb": 4096,
    }


def apart(sites: dict[str, dict[str, object]], run: Path, number: int) -> None:
    """Give another machine directories of its own."""
    sites["hdfs-site"]["dfs.namenode.name.dir"] = f"file://{run}/namenode-{number}"
    sites["hdfs-site"]["dfs.datanode.data.dir"] = f"file://{run}/datanode-{number}"
    sites["core-site"]["hadoop.tmp.dir"] = run / f"tmp-{number}"
    sites["yarn-site"] |= {
        "yarn.nodemanager.local-dirs": run / f"local-{number}",
        "yarn.nodemanager.log-dirs": run / f"logs/userlogs-{number}",
        "yarn.nodemanager.recovery.dir": run / f"nm-state-{number}",
    }


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], SeveralCluster))
