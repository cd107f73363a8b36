"""What YARN's ResourceManager is asked: how much runs at a time, and which jobs a driver that was killed has left.

Over HTTP, which takes milliseconds; where the cluster asks for Kerberos by Hadoop's own client, which has the ticket.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import time
import urllib.error
import urllib.request
from typing import Any

from mr_als.errors import JobFailedError, StorageError
from mr_als.storage.hadoop_client import is_secure, run_client
from mr_als.storage.hadoop_conf import read_conf
from mr_als.storage.tls import tls_context

_PATIENCE = 60.0  # seconds
_UNFINISHED = "NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING"


def tag_of(owner: str) -> str:
    """Derive the tag of all jobs that work for one model or directory."""
    return f"mr-als-{hashlib.sha256(owner.encode()).hexdigest()[:20]}"


def capacity() -> int:
    """Return the number of tasks that the cluster can run at a time: its virtual cores."""
    if is_secure(read_conf()):
        said = run_client("yarn", "node", "-list", "-showDetails")
        return max(1, sum(int(cores) for cores in re.findall(r"Configured Resources : <.*?vCores:(\d+)", said)))
    return max(1, int(_ask("/ws/v1/cluster/metrics")["clusterMetrics"]["totalVirtualCores"]))


def applications(owner: str) -> list[str]:
    """List the ids of the unfinished applications with the tag of `owner`."""
    if is_secure(read_conf()):
        said = run_client("yarn", "application", "-list", "-appTags", tag_of(owner), "-appStates", _UNFINISHED)
        return re.findall(r"^\s*(application_\d+_\d+)\s", said, re.MULTILINE)
    found = _ask(f"/ws/v1/cluster/apps?applicationTags={tag_of(owner)}&states={_UNFINISHED}")
    return [app["id"] for app in (found.get("apps") or {}).get("app", [])]


def end_orphans(owner: str) -> list[str]:
    """End what an earlier driver of `owner` left running, and give the ids."""
    found = applications(owner)
    for application in found:
        try:
            run_client("yarn", "application", "-kill", application)
        except StorageError as error:
            if application in applications(owner):
                msg = f"{application}, left by an earlier run, cannot be ended ({error}); try: yarn application -kill {application}"
                raise JobFailedError(msg) from None
    return found


def _ask(path: str) -> Any:
    """Ask the ResourceManager, the active one of a pair, for JSON; for a minute while it does not answer."""
    addresses = resource_managers(read_conf())
    handlers: list[Any] = [urllib.request.ProxyHandler({})]
    if any(address.startswith("https:") for address in addresses):
        handlers.append(urllib.request.HTTPSHandler(context=tls_context()))
    opener = urllib.request.build_opener(*handlers)
    until = time.monotonic() + _PATIENCE
    while True:
        for address in addresses:
            request = urllib.request.Request(f"{address}{path}", headers={"Accept": "application/json"})
            try:
                with opener.open(request, timeout=20) as answer:
                    return json.load(answer)
            except (OSError, ValueError, http.client.HTTPException) as error:
                reason = f"{address}: {error}"
        if time.monotonic() > until:
            msg = f"YARN does not answer ({reason}); is the ResourceManager up, and yarn.resourcemanager.webapp.address right?"
            raise StorageError(msg)
        time.sleep(1)


def resource_managers(conf: dict[str, str]) -> list[str]:
    """List the web addresses of the ResourceManager, or of each one in a highly available pair."""
    secure = conf.get("yarn.http.policy") == "HTTPS_ONLY"
    scheme, key, port = ("https", "webapp.https.address", 8090) if secure else ("http", "webapp.address", 8088)
    suffixes = [f".{name.strip()}" for name in conf.get("yarn.resourcemanager.ha.rm-ids", "").split(",") if name.strip()] or [""]
    found = []
    for suffix in suffixes:
        host = conf.get(f"yarn.resourcemanager.hostname{suffix}", "localhost")
        found.append(f"{scheme}://" + (conf.get(f"yarn.resourcemanager.{key}{suffix}") or f"{host}:{port}"))
    return found
