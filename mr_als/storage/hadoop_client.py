"""Hadoop's own clients, `hdfs` and `yarn`, where HTTP does not do; and what their words of Java about Kerberos mean."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from mr_als.errors import StorageError

_AGAIN = "and give the same command again"
_KINIT = f"run kinit (or kinit -kt KEYTAB PRINCIPAL), {_AGAIN}"

# what clients and daemons say, and what that means; the first that is found counts, so what is particular comes first
_MEANING = (
    (r"Server has invalid Kerberos principal: ([^\s,]+)", "the server is {0}, which is not the principal in the configuration "
     "here; take the cluster's own configuration (HADOOP_CONF_DIR), then kinit " + _AGAIN),
    (r"Server not found in Kerberos database", "Kerberos does not know the server by the name in the configuration here; "
     "take the cluster's own configuration (HADOOP_CONF_DIR), then kinit " + _AGAIN),
    (r"Client (?:'(\S+)' )?not found in Kerberos database", "Kerberos does not know this principal; " + _KINIT),
    (r"No rules applied to (\S+)", "the cluster has no user for the principal {0}; kinit as one of its own realm " + _AGAIN),
    (r"Clock skew too great", "the clock of this machine is not that of the Kerberos server; set it, then kinit " + _AGAIN),
    (r"Cannot (?:contact any|locate) KDC|Receive timed out|KDC unreachable", "the Kerberos server does not answer; see that it can "
     "be reached (/etc/krb5.conf), then kinit " + _AGAIN),
    (r"failure to login: for principal: (\S+)", "there is no key of {0} where KRB5KEYTAB says; see it and "
     "KRB5PRINCIPAL, or unset both, run kinit " + _AGAIN),
    (r"Can't get Kerberos realm", "this machine knows no Kerberos realm; take the company's /etc/krb5.conf, then kinit " + _AGAIN),
)  # fmt: skip
_NO_TICKET = (
    r"Failed to find any Kerberos t(?:gt|icket)|Client cannot authenticate via|Ticket expired|No valid credentials provided"
    r"|Delegation Token can be issued only with kerberos|SIMPLE authentication is not enabled"
)


def is_secure(conf: dict[str, str]) -> bool:
    """Say whether the cluster of a configuration asks for Kerberos."""
    return conf.get("hadoop.security.authentication", "simple").lower() == "kerberos"


def find_client(program: str) -> str:
    """Find the path of `hadoop`, `hdfs` or `yarn`; only its name if it is nowhere, never a path in the current directory."""
    home = os.environ.get("HADOOP_HOME", "")
    return shutil.which(program) or (os.path.join(home, "bin", program) if home else program)


def run_client(program: str, *words: str, seconds: float = 300) -> str:
    """Run a client and return what it prints.

    Raises
    ------
    StorageError
        If it is not there or fails; in one line, whose end says what to do.
    """
    what = " ".join((program, *words[:1]))
    try:
        done = subprocess.run(
            [find_client(program), *words], capture_output=True, text=True, errors="replace", check=False, timeout=seconds
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = "takes too long" if isinstance(error, subprocess.TimeoutExpired) else f"cannot be run: {error.strerror}"
        msg = f"{what}: {reason}; set HADOOP_HOME, or put Hadoop's bin on the PATH"
        raise StorageError(msg) from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or ["it says nothing"]
        cause = next((line for line in said if re.match(r"\S*(?:Exception|Error)\b|\w+: ", line)), said[-1])
        raise StorageError(kerberos_trouble(done.stderr) or f"{what}: {cause.strip()}")
    return done.stdout


def kerberos_trouble(log: str) -> str:
    """Say in one line what a log's words of Java about Kerberos mean, and what to do; nothing where there are none.

    >>> kerberos_trouble("KrbException: Clock skew too great (37)")
    'the clock of this machine is not that of the Kerberos server; set it, then kinit and give the same command again'
    """
    for pattern, meaning in _MEANING:
        if found := re.search(pattern, log):
            return meaning.format(*found.groups())
    return _ticket() if re.search(_NO_TICKET, log) else ""


def _ticket() -> str:
    """Say what is wrong with the ticket, as `klist` sees it."""
    told = _klist()
    if told is None or told[0]:
        return f"the cluster asks for Kerberos, and there is no ticket: {_KINIT}"
    owner, cache = (found[1] if (found := re.search(rf"{name}: (.+)", told[1])) else "" for name in ("principal", "cache"))
    expired = _klist("-s")
    if expired is None or expired[0]:
        return f"the Kerberos ticket of {owner} has expired: {_KINIT}"
    if not cache.startswith(("FILE:", "DIR:", "/")):
        own = f"/tmp/krb5cc_{os.getuid()}"
        return f"the Kerberos ticket of {owner} is in {cache}, where Java does not look: export KRB5CCNAME={own}, {_KINIT}"
    return f"the cluster does not take the Kerberos ticket of {owner}: {_KINIT}"


def _klist(*words: str) -> tuple[int, str] | None:
    """Run `klist` in English; return its exit code and what it prints, None if there is no `klist`."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(["klist", *words], env=environment, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.returncode, done.stdout
