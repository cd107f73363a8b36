"""A Kerberos server of one's own on loopback: MIT's, from Debian's krb5-kdc, krb5-admin-server and krb5-user."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from pathlib import Path

REALM = "MR-ALS.TEST"
PACKAGES = "krb5-kdc krb5-admin-server krb5-user"

KRB5_CONF = """\
[libdefaults]
 default_realm = {realm}
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
[realms]
 {realm} = {{
  kdc = 127.0.0.1:{port}
 }}
[domain_realm]
 localhost = {realm}
"""
KDC_CONF = """\
[kdcdefaults]
 kdc_listen = 127.0.0.1:{port}
 kdc_tcp_listen = 127.0.0.1:{port}
[realms]
 {realm} = {{
  database_name = {folder}/principals
  key_stash_file = {folder}/stash
  max_life = 1d
  max_renewable_life = 7d
 }}
"""


class Kdc:
    """A realm, its server's files and its keytabs, in one directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which MIT's programs find this realm."""
        return {"KRB5_CONFIG": str(self.folder / "krb5.conf"), "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf")}

    @property
    def command(self) -> list[str]:
        """The command that serves tickets, and stays."""
        return [_program("krb5kdc"), "-n"]

    def keytab(self, name: str) -> Path:
        """Return the path of a principal's keytab; of a service that of its first part."""
        return self.folder / f"{name.partition('/')[0]}.keytab"

    def make(self, port: int, principals: list[str]) -> None:
        """Make the realm, and a keytab for each principal."""
        self.folder.mkdir(mode=0o700)
        words = {"realm": REALM, "port": port, "folder": self.folder}
        (self.folder / "krb5.conf").write_text(KRB5_CONF.format(**words))
        (self.folder / "kdc.conf").write_text(KDC_CONF.format(**words))
        self._run("kdb5_util", "create", "-s", "-r", REALM, "-P", secrets.token_hex(16))
        orders = [f"addprinc -randkey {name}\nktadd -k {self.keytab(name)} {name}\n" for name in principals]
        self._run("kadmin.local", "-r", REALM, orders="".join(orders))
        if missing := [name for name in principals if not self.keytab(name).exists()]:
            msg = f"kadmin.local made no keytab of {', '.join(missing)}"
            raise OSError(msg)

    def ticket(self, name: str, cache: Path, *options: str) -> None:
        """Get a ticket by a keytab, as for `kinit` with its options."""
        self._run("kinit", "-c", str(cache), "-k", "-t", str(self.keytab(name)), *options, name)

    def _run(self, program: str, *words: str, orders: str = "") -> None:
        environment = {**os.environ, **self.environment}
        done = subprocess.run(
            [_program(program), *words], env=environment, input=orders, check=False, text=True, timeout=60, capture_output=True
        )
        if done.returncode:
            msg = f"{program}: {done.stderr.strip()}"
            raise OSError(msg)


def _program(name: str) -> str:
    """Find one of MIT's programs; those of a server are where only root looks."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if not found:
        msg = f"no {name}; install MIT Kerberos (Debian: apt-get install {PACKAGES})"
        raise FileNotFoundError(msg)
    return found
