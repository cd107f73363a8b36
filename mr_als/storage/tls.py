"""TLS towards the cluster: whom this machine trusts, and whom the cluster's ssl-client.xml trusts besides."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from mr_als.errors import UsageError
from mr_als.storage.hadoop_conf import GATEWAY, find_conf, read_conf, read_files

# set in a task on a machine that may have no truststore: the certificates, as PEM, of whom the driver trusts
TRUSTED = "MR_ALS_TRUSTED"
_OWN = "or name a PEM file of the authority's certificate in SSL_CERT_FILE"


@cache
def tls_context() -> ssl.SSLContext:
    """Make the context of connections to the cluster; what `SSL_CERT_FILE` names is trusted besides its truststore.

    Raises
    ------
    UsageError
        If there is a truststore that cannot be read.
    """
    context = ssl.create_default_context()
    handed = os.environ.get(TRUSTED)
    if trusted := _of_the_cluster() if handed is None else handed:
        context.load_verify_locations(cadata=trusted)
    return context


@cache
def _of_the_cluster() -> str:
    """Read the certificates of the truststore that ssl-client.xml names, if it does."""
    directory = find_conf()
    conf = read_files(directory / "ssl-client.xml") if directory else {}
    store = conf.get("ssl.client.truststore.location", "")
    return _certificates(store, conf.get("ssl.client.truststore.password", "")) if store else ""


def trust_to_hand(paths: Iterable[str]) -> dict[str, str]:
    """Return the variable by which a task on another machine trusts whom this one trusts; none if its files come without TLS.

    Certificates are no secret: neither the truststore's password nor a key is handed on.
    """
    schemes = {path.partition("://")[0] for path in paths}
    if "swebhdfs" not in schemes and not (schemes & {"hdfs", "webhdfs"} and _speaks_tls()):
        return {}
    own = os.environ.get("SSL_CERT_FILE", "")
    certificates = [_of_the_cluster(), Path(own).read_text(errors="replace") if own and os.path.exists(own) else ""]
    return {TRUSTED: "\n".join(filter(None, certificates))}


def _speaks_tls() -> bool:
    """Say whether the HDFS that is configured is reached over TLS."""
    if gateway := os.environ.get(GATEWAY):
        return gateway.startswith("https:")
    try:
        return read_conf().get("dfs.http.policy") == "HTTPS_ONLY"
    except UsageError:
        return False


def _certificates(store: str, password: str) -> str:
    """Read the certificates of a Java truststore as PEM, by the JDK's `keytool`; the password is not on its command line.

    Nothing without a keytool, if `SSL_CERT_FILE` says whom to trust.
    """
    home = os.environ.get("JAVA_HOME", "")
    keytool = (shutil.which(os.path.join(home, "bin", "keytool")) if home else None) or shutil.which("keytool")
    if not keytool and os.environ.get("SSL_CERT_FILE"):
        return ""
    if not keytool:
        msg = f"{store}: there is no keytool to read it; set JAVA_HOME, {_OWN}"
        raise UsageError(msg)
    words = [keytool, "-list", "-rfc", "-keystore", store, *(["-storepass:env", "MR_ALS_STORE"] if password else [])]
    environment = {**os.environ, "LC_ALL": "C", "MR_ALS_STORE": password}
    # without a password it asks for one, and an empty line will do for certificates
    try:
        told = subprocess.run(words, env=environment, input="\n", capture_output=True, text=True, check=False, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        told = f"{keytool}: an error, or no answer within a minute"
    found = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", told, re.DOTALL)
    if not found:
        said = next((line for line in told.splitlines() if "rror" in line), "it holds no certificate")
        msg = f"{store}: {said.strip()}; see ssl.client.truststore.* in ssl-client.xml, {_OWN}"
        raise UsageError(msg)
    return "\n".join(found)
