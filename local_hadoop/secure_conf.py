"""What a cluster with Kerberos and TLS has in its configuration besides that of `conf`."""

from __future__ import annotations

from pathlib import Path

from local_hadoop.conf import CONTAINER_JVM
from local_hadoop.kdc import REALM, Kdc

# daemons, by the first part of their principals; the second is the host
SERVICES = ("nn", "dn", "httpfs", "rm", "nm", "jhs", "HTTP")
# people: the first may all that one should, the second nothing
USERS = ("alice", "bob")
HISTORY = "/mr-history"
HTTP_LOGIN = "hadoop.http.authentication"
PORTS = ("kdc", "namenode_https", "datanode_https", "httpfs")


def principal(service: str) -> str:
    """Return the full name of a daemon."""
    return f"{service}/localhost@{REALM}"


def add(sites: dict[str, dict[str, object]], kdc: Kdc, p: dict[str, int]) -> None:
    """Add Kerberos and TLS to the files of `conf.sites`."""
    sites["core-site"] |= core()
    sites["hdfs-site"] |= hdfs(kdc, p)
    sites["yarn-site"] |= login("yarn.resourcemanager.{}", "rm", kdc) | login("yarn.nodemanager.{}", "nm", kdc)
    sites["yarn-site"] |= {"yarn.acl.enable": "true", "yarn.admin.acl": "rm"}
    sites["mapred-site"] |= login("mapreduce.jobhistory.{}", "jhs", kdc) | mapred(kdc)
    sites["capacity-scheduler"] |= queues()


def login(name: str, service: str, kdc: Kdc) -> dict[str, object]:
    """Name a daemon's principal and keytab, by two properties of YARN or MapReduce."""
    return {name.format("principal"): principal(service), name.format("keytab"): kdc.keytab(service)}


def core() -> dict[str, object]:
    """Nobody without a ticket; users are mapped to groups here, as they need not exist on this machine."""
    groups = {"nn": "supergroup", "jhs": "supergroup", **dict.fromkeys(("dn", "httpfs", "rm", "nm", "HTTP"), "hadoop")}
    groups |= {user: user for user in USERS}
    return {
        "hadoop.security.authentication": "kerberos",
        "hadoop.security.authorization": "true",
        "hadoop.rpc.protection": "privacy",
        "hadoop.user.group.static.mapping.overrides": ";".join(f"{user}={group}" for user, group in groups.items()),
        # seconds until a client that failed to log in again may try again
        "hadoop.kerberos.min.seconds.before.relogin": 5,
        # HttpFS asks in the name of who asks it
        "hadoop.proxyuser.httpfs.hosts": "*",
        "hadoop.proxyuser.httpfs.groups": "*",
    }


def hdfs(kdc: Kdc, p: dict[str, int]) -> dict[str, object]:
    """HTTPS alone, and with it a DataNode that needs no privileged port: data are transferred under SASL."""
    return {
        "dfs.permissions.enabled": "true",
        "dfs.permissions.superusergroup": "supergroup",
        "dfs.block.access.token.enable": "true",
        "dfs.http.policy": "HTTPS_ONLY",
        "dfs.data.transfer.protection": "integrity",
        "dfs.namenode.https-address": f"localhost:{p['namenode_https']}",
        "dfs.datanode.https.address": f"localhost:{p['datanode_https']}",
        "dfs.namenode.kerberos.principal": principal("nn"),
        "dfs.namenode.keytab.file": kdc.keytab("nn"),
        "dfs.datanode.kerberos.principal": principal("dn"),
        "dfs.datanode.keytab.file": kdc.keytab("dn"),
        "dfs.web.authentication.kerberos.principal": principal("HTTP"),
        "dfs.web.authentication.kerberos.keytab": kdc.keytab("HTTP"),
        # a day elsewhere: so a training outlives some tokens
        "dfs.namenode.delegation.token.renew-interval": 60_000,
    }


def httpfs(kdc: Kdc, p: dict[str, int], secret: Path) -> dict[str, object]:
    """HttpFS: WebHDFS by one machine that talks to all others; `secret` is a file with what it signs cookies with."""
    return {
        "httpfs.http.hostname": "localhost",
        "httpfs.http.port": p["httpfs"],
        "httpfs.ssl.enabled": "true",
        "httpfs.hadoop.authentication.type": "kerberos",
        "httpfs.hadoop.authentication.kerberos.principal": principal("httpfs"),
        "httpfs.hadoop.authentication.kerberos.keytab": kdc.keytab("httpfs"),
        **_spnego(kdc),
        f"{HTTP_LOGIN}.signature.secret.file": secret,
    }


def _spnego(kdc: Kdc) -> dict[str, object]:
    """Ask for a ticket over HTTP."""
    return {
        f"{HTTP_LOGIN}.type": "kerberos",
        f"{HTTP_LOGIN}.kerberos.principal": principal("HTTP"),
        f"{HTTP_LOGIN}.kerberos.keytab": kdc.keytab("HTTP"),
    }


def web(kdc: Kdc) -> dict[str, object]:
    """Give out tokens over HTTPS to whom has a ticket; what we look at without one stays open."""
    return {
        "hadoop.http.filter.initializers": "org.apache.hadoop.hdfs.web.AuthFilterInitializer",
        **_spnego(kdc),
        f"{HTTP_LOGIN}.kerberos.endpoint.whitelist": "/jmx",
    }


def mapred(kdc: Kdc) -> dict[str, object]:
    """Map outputs travel under TLS; tasks know the realm."""
    realm = f"{CONTAINER_JVM} -Djava.security.krb5.conf={kdc.folder}/krb5.conf"
    return {
        "mapreduce.shuffle.ssl.enabled": "true",
        # the default is below a directory that the history server opens to nobody
        "mapreduce.jobhistory.intermediate-done-dir": f"{HISTORY}/tmp",
        "mapreduce.jobhistory.done-dir": f"{HISTORY}/done",
        "yarn.app.mapreduce.am.command-opts": f"-Xmx512m {realm}",
        "mapreduce.map.java.opts": f"-Xmx320m {realm}",
        "mapreduce.reduce.java.opts": f"-Xmx320m {realm}",
    }


def queues() -> dict[str, object]:
    """Only the first user may submit; by default everybody may, in the queue above all."""
    prefix = "yarn.scheduler.capacity.root"
    closed = {f"{prefix}.acl_{right}": " " for right in ("submit_applications", "administer_queue")}
    return {**closed, f"{prefix}.default.acl_submit_applications": USERS[0], f"{prefix}.default.acl_administer_queue": USERS[0]}


def tls(folder: Path, password: str) -> dict[str, dict[str, object]]:
    """Build the two files that name the keystore of the servers and the truststore of the clients."""
    files: dict[str, dict[str, object]] = {"ssl-server": {}, "ssl-client": {}}
    for side, stores in (("server", ("keystore", "truststore")), ("client", ("truststore",))):
        for store in stores:
            files[f"ssl-{side}"] |= {
                f"ssl.{side}.{store}.location": folder / f"{store}.jks",
                f"ssl.{side}.{store}.password": password,
                f"ssl.{side}.{store}.type": "jks",
            }
    files["ssl-server"]["ssl.server.keystore.keypassword"] = password
    return files
