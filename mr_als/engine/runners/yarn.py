"""What YARN's ResourceManager is asked over HTTP: how much runs at a time, and which jobs a driver that was killed has left."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from typing import Any

from mr_als.errors import JobFailedError, StorageError
from mr_als.storage.hadoop_conf import read_conf

_PATIENCE = 60.0  # seconds
_UNFINISHED = "NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING"


def tag_of(owner: str) -> str:
    """Derive the tag of all jobs that work for one model or directory."""
    return f"mr-als-{hashlib.sha256(owner.encode()).hexdigest()[:20]}"


def capacity() -> int:
    """Return the number of tasks that the cluster can run at a time: its virtual cores."""
    return max(1, int(_ask("/ws/v1/cluster/metrics")["clusterMetrics"]["totalVirtualCores"]))


def applications(owner: str) -> list[str]:
    """List the ids of the unfinished applications with the tag of `owner`."""
    found = _ask(f"/ws/v1/cluster/apps?applicationTags={tag_of(owner)}&states={_UNFINISHED}")
    return [app["id"] for app in (found.get("apps") or {}).get("app", [])]


def end_orphans(owner: str) -> list[str]:
    """End what an earlier driver of `owner` left running, and give the ids."""
    found = applications(owner)
    for application in found:
        yarn = shutil.which("yarn") or os.path.join(os.environ.get("HADOOP_HOME", ""), "bin", "yarn")
        done = subprocess.run([yarn, "application", "-kill", application], capture_output=True, text=True, check=False)
        if done.returncode and application in applications(owner):
            said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            msg = f"{application}, left by an earlier run, cannot be ended ({said}); try: yarn application -kill {application}"
            raise JobFailedError(msg)
    return found


def _ask(path: str) -> Any:
    """Ask the ResourceManager, the active one of a pair, for JSON; for a minute while it does not answer."""
    addresses = resource_managers(read_conf())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + _PATIENCE
    while True:
        for address in addresses:
            request = urllib.request.Request(f"http://{address}{path}", headers={"Accept": "application/json"})
            try:
                with opener.open(request, timeout=20) as answer:
                    return json.load(answer)
            except (OSError, ValueError) as error:
                reason = f"{address}: {error}"
        if time.monotonic() > until:
            msg = f"YARN does not answer ({reason}); is the ResourceManager up, and yarn.resourcemanager.webapp.address right?"
            raise StorageError(msg)
        time.sleep(1)


def resource_managers(conf: dict[str, str]) -> list[str]:
    """List the web addresses of the ResourceManager, or of each one in a highly available pair."""
    suffixes = [f".{name.strip()}" for name in conf.get("yarn.resourcemanager.ha.rm-ids", "").split(",") if name.strip()] or [""]
    found = []
    for suffix in suffixes:
        host = conf.get(f"yarn.resourcemanager.hostname{suffix}", "localhost")
        found.append(conf.get(f"yarn.resourcemanager.webapp.address{suffix}") or f"{host}:8088")
    return found
