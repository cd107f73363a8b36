"""Fetch a Hadoop from Maven Central and lay it out: 214 jars, 104 MB, once.

<home>/share/hadoop/*.jar    all jars of `pom.xml` and what they need
<home>/share/web/webapps/    two empty folders that the HDFS daemons insist on
<home>/bin/hadoop            `launcher.sh`, also as hdfs, yarn and mapred
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "mr_als"
VERSION = re.findall(r"<hadoop.version>(.*)</hadoop.version>", (HERE / "pom.xml").read_text())[0]

# the main classes, and some that are loaded so late that a daemon would die of them only then
NEEDED = [
    "org/apache/hadoop/hdfs/server/namenode/NameNode", "org/apache/hadoop/hdfs/server/datanode/DataNode",
    "org/apache/hadoop/fs/http/server/HttpFSServerWebServer",
    "org/apache/hadoop/yarn/server/resourcemanager/ResourceManager", "org/apache/hadoop/yarn/server/nodemanager/NodeManager",
    "org/apache/hadoop/mapreduce/v2/hs/JobHistoryServer", "org/apache/hadoop/mapreduce/v2/app/MRAppMaster",
    "org/apache/hadoop/mapred/YarnChild", "org/apache/hadoop/mapred/ShuffleHandler", "org/apache/hadoop/streaming/HadoopStreaming",
    "org/apache/hadoop/yarn/server/timelineservice/collector/TimelineCollectorManager",
    "org/bouncycastle/operator/OperatorCreationException", "org/fusesource/leveldbjni/JniDBFactory",
    "com/google/inject/Guice", "javax/servlet/Servlet", "org/apache/hadoop/fs/s3a/S3AFileSystem",
    "software/amazon/awssdk/services/s3/S3Client", "org/slf4j/impl/StaticLoggerBinder",
]  # fmt: skip
SECOND_LOG_BINDINGS = ("slf4j-simple", "slf4j-jdk14", "slf4j-nop", "slf4j-log4j12", "logback-classic", "log4j-slf4j")


def default_home() -> Path:
    """Return the directory that `fetch` fills when none is named; another list of jars or launcher gets another one."""
    laid_out = b"".join((HERE / name).read_bytes() for name in ("pom.xml", "launcher.sh"))
    return CACHE / f"hadoop-{VERSION}-{zlib.crc32(laid_out):08x}"


def fetch(home: Path) -> None:
    """Lay Hadoop out in `home`, unless it is there already; it appears whole or not at all."""
    if home.exists():
        return
    scratch = home.with_name(f"{home.name}.{os.getpid()}")
    jars = scratch / "share/hadoop"
    jars.mkdir(parents=True)
    maven = ["mvn", "-B", "-q", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies"]
    subprocess.run([*maven, f"-DoutputDirectory={jars}", "-DincludeScope=runtime"], check=True, timeout=1200, stdout=sys.stderr)
    if list(jars.glob("jakarta.servlet-api-4*")):
        for older in jars.glob("javax.servlet-api-*"):  # the same package again
            older.unlink()
    check(jars)
    for daemon in ("hdfs", "datanode"):
        folder = scratch / "share/web/webapps" / daemon / "WEB-INF"
        folder.mkdir(parents=True)
        (folder / "web.xml").write_text('<web-app xmlns="http://java.sun.com/xml/ns/javaee" version="2.5"/>\n')
    (scratch / "bin").mkdir()
    for name in ("hadoop", "hdfs", "yarn", "mapred"):
        shutil.copy(HERE / "launcher.sh", scratch / "bin" / name)
        (scratch / "bin" / name).chmod(0o755)
    scratch.rename(home)


def check(jars: Path) -> None:
    """Stop if a class is missing, or if there are two log bindings."""
    have: set[str] = set()
    for jar in jars.glob("*.jar"):
        if jar.name.startswith(SECOND_LOG_BINDINGS):
            msg = f"{jar}: a second slf4j binding beside slf4j-reload4j; exclude it in {HERE / 'pom.xml'}"
            raise SystemExit(msg)
        with zipfile.ZipFile(jar) as archive:
            have.update(archive.namelist())
    if missing := [name for name in NEEDED if f"{name}.class" not in have]:
        msg = f"{jars}: classes are missing: {', '.join(missing)}; complete {HERE / 'pom.xml'}"
        raise SystemExit(msg)
