"""TLS towards the cluster: whom this machine trusts, and whom the cluster's ssl-client.xml trusts besides."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
from functools import cache

from mr_als.errors import UsageError
from mr_als.storage.hadoop_conf import find_conf, read_files

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
    directory = find_conf()
    conf = read_files(directory / "ssl-client.xml") if directory else {}
    store = conf.get("ssl.client.truststore.location", "")
    if store and (trusted := _certificates(store, conf.get("ssl.client.truststore.password", ""))):
        context.load_verify_locations(cadata=trusted)
    return context


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
