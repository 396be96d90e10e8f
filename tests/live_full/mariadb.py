"""MariaDB: with TLS and without, with all connections taken, and as a client meets it that is blocked, or not known.

The scanner comes from 127.0.0.1, which is never blocked; a relay lets it come from elsewhere.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tests.live.certificates import WEB_RSA, Certificates
from tests.live.servers import TLS13, Listener, NotStartedError, Server, Truth, spoken_by_openssl
from tests.live_full.crowd import aborted, held
from tests.live_full.truths import Like, accepted, encrypted, not_encrypted, refused
from tests.live_full.unpacked import CERTIFICATES, directory_of, inside, unpacked

PORT = 3306
ENCRYPTED, PLAIN, FULL, BLOCKED, STRANGER = (f"127.77.15.{number}" for number in range(1, 6))
BLOCKED_CLIENT, UNKNOWN_CLIENT = "127.77.15.14", "127.77.15.15"
MAX_CONNECTIONS = 10  # the least that MariaDB takes; it lets one more in, for an administrator

PROGRAM = "/usr/sbin/mariadbd"
CONFIGURATION = """\
[mariadbd]
user = mysql
datadir = {home}
socket = {home}/socket
pid_file = {home}/pid
bind_address = {address}
port = {port}
innodb = OFF
default_storage_engine = Aria
aria_pagecache_buffer_size = 1M
key_buffer_size = 64K
max_connections = {max_connections}
max_connect_errors = 1
connect_timeout = 600
"""
WITH_TLS = f"""\
tls_version = TLSv1.2,TLSv1.3
ssl_cert = {CERTIFICATES / WEB_RSA.label}.pem
ssl_key = {CERTIFICATES / WEB_RSA.label}.key
"""
# What mariadb-install-db does, as far as it is needed: root may come from this machine, and somebody from one address.
BEGIN = b"create database mysql;\nuse mysql;\n"
SYSTEM = ("mysql_system_tables.sql", "mysql_system_tables_data.sql")
END = f"insert into global_priv values ('{BLOCKED_CLIENT}', 'somebody', '{{}}');\n".encode()
# The server asks for the names of its clients, but for 127.0.0.1, and counts the errors of those that have one.
HOSTS = f"127.0.0.1 localhost\n{BLOCKED_CLIENT} blocked.live.test\n{UNKNOWN_CLIENT} unknown.live.test\n"

VERSION = Like(r"5\.5\.5-10\.11\.\d+-MariaDB-\S+")
GREETING: Truth = {"auth": ["mysql_native_password"], "login_disabled": None}
OFFERED = encrypted(
    accepted(None, VERSION, before=GREETING | {"capabilities": ["CLIENT_SSL"]}, inside=None, required=None),
    spoken_by_openssl("TLSv1.2", "TLSv1.3"),
    None,
    tls=TLS13 | {"client_certificate": "requested"},
)
NOT_OFFERED = not_encrypted(
    "no_tls",
    refused("not_offered", "greeting", text=VERSION, advertised=False, before=GREETING | {"capabilities": []}),
    None,
    "starttls-not-offered",
)


def turned_away(verdict: str, code: str, text: str) -> Truth:
    """The record where there is an error in the place of a greeting."""
    return not_encrypted("inconclusive", refused(verdict, "greeting", code, text), None)


TOO_MANY = turned_away("rate_limited", "1040", "Too many connections")
HOST_BLOCKED = turned_away(
    "rate_limited",
    "1129",
    f"Host '{BLOCKED_CLIENT}' is blocked because of many connection errors; unblock with 'mariadb-admin flush-hosts'",
)
NOT_ALLOWED = turned_away(
    "refused_session", "1130", "Host 'unknown.live.test' is not allowed to connect to this MariaDB server"
)


def configure(
    address: str, tls: str, max_connections: int = 100
) -> Callable[[Path, Certificates], Sequence[str | Path]]:
    """One file, and fresh system tables, in the root that all of them share."""

    def write(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        root = unpacked("mariadb", directory.parent, certificates, programs=[PROGRAM], accounts=["mysql"])
        home = f"/{directory.name}"
        directory_of(root, "mysql", home)
        settings = CONFIGURATION.format(home=home, address=address, port=PORT, max_connections=max_connections)
        inside(root, f"/etc{home}.cnf").write_text(settings + tls)
        inside(root, "/etc/hosts").write_text(HOSTS)
        command = ("chroot", root, PROGRAM, f"--defaults-file=/etc{home}.cnf")
        tables = [inside(root, f"/usr/share/mysql/{name}").read_bytes() for name in SYSTEM]
        sql = b"".join((BEGIN, *tables, END))
        with (directory / "log").open("wb") as log:
            made = subprocess.run([*command, "--bootstrap"], input=sql, check=False, stdout=log, stderr=log, timeout=60)
        if made.returncode:
            raise NotStartedError(f"no system tables:\n{(directory / 'log').read_text('utf-8', 'replace')[-2000:]}")
        return command

    return write


def relay(address: str, client: str) -> Callable[[Path, Certificates], Sequence[str | Path]]:
    """Another address of the server with TLS, at which everybody comes from `client`."""
    program = Path(__file__).with_name("relay.py")
    command = (sys.executable, "-P", program, address, str(PORT), ENCRYPTED, str(PORT), client)
    return lambda *_: command


SERVERS = (
    Server(
        "mariadb",
        configure(ENCRYPTED, WITH_TLS),
        (Listener("web.live.test", ENCRYPTED, PORT, "mysql", OFFERED, leaf=WEB_RSA),),
    ),
    Server(
        "mariadb-plain",
        configure(PLAIN, ""),
        (Listener("web.live.test", PLAIN, PORT, "mysql", NOT_OFFERED),),
    ),
    Server(
        "mariadb-full",
        configure(FULL, WITH_TLS, MAX_CONNECTIONS),
        (Listener("web.live.test", FULL, PORT, "mysql", TOO_MANY),),
        partial(held, FULL, PORT, MAX_CONNECTIONS + 1, holds=b"mysql_native_password"),
    ),
    Server(
        "mariadb-blocked",
        relay(BLOCKED, BLOCKED_CLIENT),
        (Listener("web.live.test", BLOCKED, PORT, "mysql", HOST_BLOCKED),),
        partial(aborted, BLOCKED, PORT, 2),
    ),
    Server(
        "mariadb-not-allowed",
        relay(STRANGER, UNKNOWN_CLIENT),
        (Listener("web.live.test", STRANGER, PORT, "mysql", NOT_ALLOWED),),
    ),
)
