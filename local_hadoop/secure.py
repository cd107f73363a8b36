"""The single-node Hadoop with Kerberos and TLS, as companies have it: a KDC, keytabs, a keystore, all on loopback.

    python -m local_hadoop.secure start | status | env | kill DAEMON | up DAEMON | stop | clean

Two things are not as on a real one. Containers run as the user that starts the NodeManager: only the LinuxContainerExecutor
changes that, a setuid-root program that Maven does not carry. And Hadoop's native library, which looks whether a map output
belongs to whom it should, is not in Maven Central either: `SecureIOUtils.java` stands in for the class that insists on it.
"""

from __future__ import annotations

import os
import secrets
import ssl
import subprocess
import sys
from pathlib import Path

from local_hadoop import conf, secure_conf
from local_hadoop.cluster import DAEMONS, Cluster, find_java, main
from local_hadoop.fetch import HERE
from local_hadoop.kdc import Kdc

HTTPS = {"namenode": "namenode_https", "httpfs": "httpfs"}


class SecureCluster(Cluster):
    """The five daemons, HttpFS and a KDC; `environment` is that of the user alice, with a ticket of hers."""

    folder = "hadoop-secure-run"
    daemons = {"kdc": "krb5kdc", **DAEMONS, "httpfs": "hdfs"}  # noqa: RUF012  (of a class, as above)
    port_names = (*conf.PORTS, *secure_conf.PORTS)

    def __init__(self, run: Path, home: Path | None = None) -> None:
        super().__init__(run, home)
        self.kdc = Kdc(self.run / "kdc")

    def environment(self, conf_dir: str = "conf", user: str = secure_conf.USERS[0]) -> dict[str, str]:
        """Return the variables by which programs find this cluster, and a user's ticket."""
        realm = f"-Djava.security.krb5.conf={self.kdc.folder}/krb5.conf"
        return {
            **super().environment(conf_dir),
            **self.kdc.environment,
            "KRB5CCNAME": str(self.cache(user)),
            "HADOOP_CLIENT_OPTS": realm,
            "HADOOP_DAEMON_OPTS": realm,
        }

    def cache(self, user: str) -> Path:
        """Return the path of a user's ticket."""
        return self.run / f"tickets/{user}"

    def web(self, daemon: str) -> str:
        """Return the web address of a daemon; that of HDFS speaks TLS."""
        if daemon not in HTTPS:
            return super().web(daemon)
        return f"https://localhost:{self.made['ports'][HTTPS[daemon]]}"

    @property
    def tls(self) -> ssl.SSLContext:  # type: ignore[override]
        """Whom clients trust: the certificate made here."""
        return ssl.create_default_context(cafile=self.run / "tls/certificate.pem")

    def _configure(self, ports: dict[str, int]) -> None:
        """Make the realm, keys and certificate, and the stand-in, besides the configuration."""
        (self.run / "tickets").mkdir(mode=0o700)
        names = [*map(secure_conf.principal, secure_conf.SERVICES), *secure_conf.USERS]
        self.kdc.make(ports["kdc"], [name.partition("@")[0] for name in names])
        sites = conf.sites(self.run, self.home, ports)
        secure_conf.add(sites, self.kdc, ports)
        signing = self.kdc.folder / "signing"
        signing.write_text(secrets.token_hex(16))
        sites["httpfs-site"] = secure_conf.httpfs(self.kdc, ports, signing)
        conf.write(self.run / "conf", {**sites, **secure_conf.tls(self.run / "tls", self._make_stores())})
        self._compile_stand_in()
        self.up("kdc")  # formatting wants a ticket
        self._wait(60, "the KDC to give tickets", self._get_tickets)

    def _make_stores(self) -> str:
        """Make a key, its certificate, and a truststore that holds it; give the password of both stores."""
        folder, password = self.run / "tls", secrets.token_hex(16)
        folder.mkdir(mode=0o700)
        common = ["-alias", "localhost", "-storepass:env", "STORE", "-storetype", "JKS"]
        for words in (
            ["-genkeypair", "-keystore", "keystore.jks", "-keyalg", "RSA", "-dname", "CN=localhost", "-validity", "2",
             "-ext", "SAN=dns:localhost,ip:127.0.0.1", "-keypass:env", "STORE"],
            ["-exportcert", "-rfc", "-keystore", "keystore.jks", "-file", "certificate.pem"],
            ["-importcert", "-noprompt", "-keystore", "truststore.jks", "-file", "certificate.pem"],
        ):  # fmt: skip
            subprocess.run(
                [f"{find_java()}/bin/keytool", *words, *common],
                cwd=folder, env={**os.environ, "STORE": password}, check=True, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        return password

    def _compile_stand_in(self) -> None:
        """Compile it into the directory of the configuration, which all class paths begin with."""
        javac, jars = f"{find_java()}/bin/javac", f"{self.home}/share/hadoop/*"
        words = ["-nowarn", "-proc:none", "-cp", jars, "-d", str(self.run / "conf"), str(HERE / "SecureIOUtils.java")]
        subprocess.run([javac, *words], check=True)

    def _words(self, daemon: str) -> list[str]:
        if daemon == "kdc":
            return self.kdc.command
        # of the NameNode alone: the web pages of the others stay open
        chosen = secure_conf.web(self.kdc) if daemon == "namenode" else {}
        return super()._words(daemon) + [word for name, value in chosen.items() for word in ("-D", f"{name}={value}")]

    def _get_tickets(self) -> bool:
        for user in ("nn/localhost", *secure_conf.USERS):
            self.kdc.ticket(user, self.cache(user.partition("/")[0]))
        return True

    def _make_folders(self) -> bool:
        """Make what jobs expect as the superuser, and a home for each user."""
        homes = [f"/user/{user}" for user in secure_conf.USERS]
        shared = ["/tmp", "/tmp/hadoop-yarn", "/tmp/hadoop-yarn/staging"]
        as_root = {**os.environ, **self.environment(user="nn")}
        orders = [["-mkdir", "-p", *shared, *homes, secure_conf.HISTORY], ["-chmod", "1777", *shared], ["-chmod", "700", *homes]]
        orders += [["-chown", f"{user}:{user}", home] for user, home in zip(secure_conf.USERS, homes, strict=True)]
        for order in orders:
            words = [str(self.home / "bin/hadoop"), "fs", *order]
            subprocess.run(words, env=as_root, check=True, timeout=120, stderr=subprocess.DEVNULL)
        return True


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], SecureCluster))
