"""The configuration of the single-node cluster: everything on loopback, ports that were free, small and quick to start."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from xml.sax.saxutils import escape

PORTS = (
    *("namenode", "namenode_http", "datanode", "datanode_http", "datanode_ipc"),
    *("rm", "rm_scheduler", "rm_tracker", "rm_admin", "rm_http"),
    *("nm", "nm_localizer", "nm_http", "shuffle"),
    *("history", "history_http", "history_admin"),
    # nobody listens there unless a test starts a stand-in of S3
    "s3",
)

# the launcher writes client logs to stderr in this layout; mrjob reads counters and job ids out of it
LOG4J = """\
log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
log4j.logger.org.apache.hadoop.util.NativeCodeLoader=ERROR
log4j.logger.org.apache.hadoop.metrics2=WARN
"""

OPENS = "--add-opens=java.base/java.lang=ALL-UNNAMED --add-opens=java.base/java.util=ALL-UNNAMED"
CONTAINER_JVM = f"-XX:+UseSerialGC -XX:TieredStopAtLevel=1 {OPENS}"


def write(folder: Path, files: dict[str, dict[str, object]]) -> None:
    """Write a directory of configuration files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in files.items():
        rows = "".join(f"<property><name>{k}</name><value>{escape(str(v))}</value></property>\n" for k, v in values.items())
        (folder / f"{name}.xml").write_text(f'<?xml version="1.0"?>\n<configuration>\n{rows}</configuration>\n')
    (folder / "log4j.properties").write_text(LOG4J)


def sites(run: Path, home: Path, p: dict[str, int]) -> dict[str, dict[str, object]]:
    """Build the settings, by file."""
    return {
        "core-site": core(run, p),
        "hdfs-site": hdfs(run, p),
        "yarn-site": yarn(run, home, p) | recovery(run),
        "mapred-site": mapred(home, p),
        "capacity-scheduler": scheduler(),
    }


def core(run: Path, p: dict[str, int]) -> dict[str, object]:
    """HDFS is the default file system; clients give up on a dead daemon in seconds."""
    return {
        "fs.defaultFS": f"hdfs://localhost:{p['namenode']}",
        "hadoop.tmp.dir": run / "tmp",
        "hadoop.http.staticuser.user": getpass.getuser(),
        "ipc.client.connect.max.retries": 5,
        "ipc.client.connect.retry.interval": 500,
        "fs.s3a.endpoint": f"http://127.0.0.1:{p['s3']}",
        "fs.s3a.endpoint.region": "eu-west-1",
        "fs.s3a.path.style.access": "true",
        # a stand-in takes any
        "fs.s3a.access.key": "test",
        "fs.s3a.secret.key": "test",
    }


def hdfs(run: Path, p: dict[str, int]) -> dict[str, object]:
    """One NameNode and one DataNode, no replicas, no permissions, small blocks so that little data makes many splits."""
    return {
        "dfs.replication": 1,
        "dfs.permissions.enabled": "false",
        "dfs.namenode.name.dir": f"file://{run}/namenode",
        "dfs.datanode.data.dir": f"file://{run}/datanode",
        "dfs.namenode.rpc-bind-host": "127.0.0.1",
        "dfs.namenode.http-address": f"127.0.0.1:{p['namenode_http']}",
        "dfs.datanode.hostname": "localhost",
        "dfs.datanode.address": f"127.0.0.1:{p['datanode']}",
        "dfs.datanode.http.address": f"127.0.0.1:{p['datanode_http']}",
        "dfs.datanode.ipc.address": f"127.0.0.1:{p['datanode_ipc']}",
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        "dfs.namenode.safemode.extension": 0,
        "dfs.namenode.safemode.min.datanodes": 1,
        "dfs.client.block.write.replace-datanode-on-failure.policy": "NEVER",
        "dfs.namenode.fs-limits.min-block-size": 65536,
        "dfs.blocksize": "16m",
        "dfs.namenode.resource.du.reserved": 10 << 20,
        # a NameNode that is started again is waited for
        "dfs.client.retry.policy.enabled": "true",
        "dfs.client.retry.policy.spec": "1000,60",
    }


def yarn(run: Path, home: Path, p: dict[str, int]) -> dict[str, object]:
    """One NodeManager with room for an application master and a few tasks."""
    local = "localhost"
    return {
        "yarn.resourcemanager.hostname": local,
        "yarn.resourcemanager.bind-host": "127.0.0.1",
        "yarn.resourcemanager.address": f"{local}:{p['rm']}",
        "yarn.resourcemanager.scheduler.address": f"{local}:{p['rm_scheduler']}",
        "yarn.resourcemanager.resource-tracker.address": f"{local}:{p['rm_tracker']}",
        "yarn.resourcemanager.admin.address": f"{local}:{p['rm_admin']}",
        "yarn.resourcemanager.webapp.address": f"{local}:{p['rm_http']}",
        "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": 200,
        "yarn.nodemanager.hostname": local,
        "yarn.nodemanager.bind-host": "127.0.0.1",
        # fixed, so that a NodeManager that is started again is the same node
        "yarn.nodemanager.address": f"{local}:{p['nm']}",
        "yarn.nodemanager.localizer.address": f"{local}:{p['nm_localizer']}",
        "yarn.nodemanager.webapp.address": f"{local}:{p['nm_http']}",
        "yarn.nodemanager.local-dirs": run / "local",
        # where mrjob looks for the logs of tasks
        "yarn.nodemanager.log-dirs": run / "logs/userlogs",
        "yarn.nodemanager.delete.debug-delay-sec": 0,
        "yarn.nodemanager.aux-services": "mapreduce_shuffle",
        "yarn.nodemanager.aux-services.mapreduce_shuffle.class": "org.apache.hadoop.mapred.ShuffleHandler",
        # with the variables by which BLAS chooses how to add up: the tests compare bytes with those of this process
        "yarn.nodemanager.env-whitelist": "JAVA_HOME,HADOOP_HOME,HADOOP_COMMON_HOME,HADOOP_HDFS_HOME,HADOOP_YARN_HOME,"
        "HADOOP_MAPRED_HOME,HADOOP_CONF_DIR,PATH,LANG,TZ,OPENBLAS_CORETYPE,OPENBLAS_L2_SIZE",
        "yarn.application.classpath": f"{run}/conf,{home}/share/hadoop/*",
        "yarn.nodemanager.resource.memory-mb": 8192,
        # as many tasks as there are cores are worth while; what runs at a time follows from memory
        "yarn.nodemanager.resource.cpu-vcores": os.cpu_count() or 1,
        "yarn.scheduler.minimum-allocation-mb": 256,
        "yarn.scheduler.maximum-allocation-mb": 4096,
        # virtual memory says nothing about JVMs and BLAS; resident memory is enforced, by the NodeManager for want of cgroups
        "yarn.nodemanager.vmem-check-enabled": "false",
        "yarn.nodemanager.pmem-check-enabled": "true",
        "yarn.nodemanager.resource.memory.enforced": "false",
        "yarn.nodemanager.container-monitor.interval-ms": 500,
        "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": 99.5,
        "yarn.nodemanager.disk-health-checker.min-free-space-per-disk-mb": 512,
        # a loaded machine may keep them from saying so for a while
        "yarn.nm.liveness-monitor.expiry-interval-ms": 300000,
        "yarn.am.liveness-monitor.expiry-interval-ms": 300000,
    }


def recovery(run: Path) -> dict[str, object]:
    """Let ResourceManager and NodeManager, killed and started again, go on with the jobs that run."""
    return {
        "yarn.nodemanager.recovery.enabled": "true",
        "yarn.nodemanager.recovery.supervised": "true",
        "yarn.nodemanager.recovery.dir": run / "nm-state",
        "yarn.resourcemanager.recovery.enabled": "true",
        "yarn.resourcemanager.store.class": "org.apache.hadoop.yarn.server.resourcemanager.recovery.LeveldbRMStateStore",
        "yarn.resourcemanager.leveldb-state-store.path": run / "rm-state",
    }


def mapred(home: Path, p: dict[str, int]) -> dict[str, object]:
    """MapReduce on YARN; what our own jobs must set for themselves is left at Hadoop's defaults."""
    return {
        "mapreduce.framework.name": "yarn",
        "mapreduce.application.classpath": f"{home}/share/hadoop/*",
        "mapreduce.jobhistory.address": f"localhost:{p['history']}",
        "mapreduce.jobhistory.webapp.address": f"localhost:{p['history_http']}",
        "mapreduce.jobhistory.admin.address": f"localhost:{p['history_admin']}",
        "mapreduce.jobhistory.bind-host": "127.0.0.1",
        "mapreduce.shuffle.port": p["shuffle"],
        "yarn.app.mapreduce.am.resource.mb": 768,
        "yarn.app.mapreduce.am.command-opts": f"-Xmx512m {CONTAINER_JVM}",
        "mapreduce.map.java.opts": f"-Xmx320m {CONTAINER_JVM}",
        "mapreduce.reduce.java.opts": f"-Xmx320m {CONTAINER_JVM}",
        "mapreduce.task.io.sort.mb": 64,
        # quick turn-round
        "mapreduce.client.progressmonitor.pollinterval": 200,
        "mapreduce.client.completion.pollinterval": 200,
        "yarn.app.mapreduce.am.scheduler.heartbeat.interval-ms": 200,
        "mapreduce.task.timeout.check-interval-ms": 2000,
    }


def scheduler() -> dict[str, object]:
    """Two queues, of which jobs use `default` unless they name the other; no jar holds this file."""
    prefix = "yarn.scheduler.capacity"
    return {
        f"{prefix}.root.queues": "default,nightly",
        f"{prefix}.root.default.capacity": 80,
        f"{prefix}.root.default.maximum-capacity": 100,
        f"{prefix}.root.nightly.capacity": 20,
        f"{prefix}.root.nightly.maximum-capacity": 100,
        f"{prefix}.root.default.user-limit-factor": 10,
        f"{prefix}.root.nightly.user-limit-factor": 10,
        f"{prefix}.maximum-am-resource-percent": 0.6,
        f"{prefix}.node-locality-delay": 0,
    }
