"""The configuration of the Hadoop that this machine is a client of: core-site, hdfs-site, yarn-site and mapred-site."""

from __future__ import annotations

import getpass
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

from mr_als.errors import UsageError

# set in a task on a machine that may have no configuration: the properties that say where HDFS is
HANDED = "MR_ALS_HADOOP_CONF"
# the user as whom HDFS is asked, where that is not the one of the process
USER = "HADOOP_USER_NAME"
# leads to the cluster through a gateway, such as https://gateway:8443/gateway/default
GATEWAY = "MR_ALS_WEBHDFS"
# beginnings of their names
ADDRESSES = ("fs.defaultFS", "dfs.nameservices", "dfs.ha.namenodes", "dfs.namenode.http", "dfs.namenode.rpc", "dfs.http.policy")
# schemes of URIs, and of the web addresses where theirs are; hdfs:// has them in the configuration
WEB_SCHEMES = {"webhdfs": "http", "swebhdfs": "https"}
FILES = ("core-site.xml", "hdfs-site.xml", "yarn-site.xml", "mapred-site.xml")


def find_conf() -> Path | None:
    """Find the directory of the configuration files; None if there is none."""
    homes = [os.environ[name] for name in ("HADOOP_HOME", "HADOOP_PREFIX", "HADOOP_INSTALL") if os.environ.get(name)]
    places = [os.environ.get("HADOOP_CONF_DIR", ""), *(os.path.join(home, "etc", "hadoop") for home in homes), "/etc/hadoop/conf"]
    return next((Path(place) for place in places if place and Path(place, "core-site.xml").exists()), None)


def read_conf() -> dict[str, str]:
    """Read all properties, `${...}` replaced.

    Raises
    ------
    UsageError
        If there is no configuration, or a file of it cannot be read.
    """
    if (handed := os.environ.get(HANDED)) is not None:
        return dict(json.loads(handed))
    directory = find_conf()
    if directory is None:
        msg = "no Hadoop configuration: set HADOOP_CONF_DIR to the directory that holds core-site.xml"
        raise UsageError(msg)
    return read_files(*(directory / name for name in FILES))


def read_files(*paths: Path) -> dict[str, str]:
    """Read the properties of files, those of a later one in place of an earlier one's, `${...}` replaced; none where none is.

    Raises
    ------
    UsageError
        If a file cannot be read.
    """
    values: dict[str, str] = {}
    for path in paths:
        if path.exists():
            values.update(_properties(path))
    return {name: _replaced(value, values) for name, value in values.items()}


def to_hand() -> dict[str, str]:
    """Return the variables by which a task on another machine, whoever runs it, comes to HDFS as this user.

    None if this machine knows of no HDFS.
    """
    try:
        found = read_conf()
    except UsageError:
        return {}
    addresses = {name: value for name, value in found.items() if name.startswith(ADDRESSES)}
    gateway = {name: os.environ[name] for name in (GATEWAY,) if name in os.environ}
    return {HANDED: json.dumps(addresses), USER: os.environ.get(USER) or getpass.getuser(), **gateway}


def _properties(path: Path) -> Iterator[tuple[str, str]]:
    try:
        for element in ElementTree.parse(path).getroot().iter("property"):
            if name := (element.findtext("name") or "").strip():
                yield name, (element.findtext("value") or "").strip()
    except ElementTree.ParseError as error:
        msg = f"{path}: not well-formed XML ({error}); expected <configuration> with <property> elements"
        raise UsageError(msg) from None
    except OSError as error:
        msg = f"{path}: {error.strerror}; ask for the right to read it, or set HADOOP_CONF_DIR to a directory that you may read"
        raise UsageError(msg) from None


def _replaced(value: str, values: dict[str, str], depth: int = 20) -> str:
    """Put the values of other properties and of the environment in place of `${name}`."""
    known = re.compile(r"\$\{(env\.)?([^}$\s]+)\}")
    for _ in range(depth):
        new = known.sub(lambda m: (os.environ.get(m[2]) if m[1] else values.get(m[2])) or m[0], value)
        if new == value:
            break
        value = new
    return value


def web_addresses(authority: str, conf: dict[str, str], uri_scheme: str = "hdfs") -> list[str]:
    """List the web addresses of the NameNode, or of each NameNode of a high-availability pair."""
    policy = "https" if conf.get("dfs.http.policy", "HTTP_ONLY") == "HTTPS_ONLY" else "http"
    scheme = WEB_SCHEMES.get(uri_scheme, policy)
    key, port = ("dfs.namenode.https-address", 9871) if scheme == "https" else ("dfs.namenode.http-address", 9870)
    pair = conf.get(f"dfs.ha.namenodes.{authority}")
    if pair:
        names = [f"{key}.{authority}.{node.strip()}" for node in pair.split(",")]
        return [f"{scheme}://{conf[name]}" for name in names if name in conf]
    if uri_scheme in WEB_SCHEMES:
        return [f"{scheme}://{authority}" if ":" in authority else f"{scheme}://{authority}:{port}"]
    host = authority.rsplit(":", 1)[0]
    is_default = urlsplit(conf.get("fs.defaultFS", "")).netloc == authority
    address = conf.get(key, "") if is_default else ""
    web_host, _, web_port = address.partition(":")
    # 0.0.0.0 is where the NameNode listens, not where it is
    return [f"{scheme}://{host if web_host in ('', '0.0.0.0') else web_host}:{web_port or port}"]
