"""PostgreSQL: with TLS, without, and with all connections taken, which it tells inside TLS alone.

Debian 12 has version 15, and direct TLS came with 17: to this one a ClientHello is a packet that says that it is much
too long.
"""

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.live.certificates import WEB, Certificates
from tests.live.servers import TLS13, VERSIONS, Listener, Server, Truth, spoken_by_openssl
from tests.live_full.crowd import held
from tests.live_full.truths import accepted, encrypted, not_encrypted, refused
from tests.live_full.unpacked import library_path, unpacked

PORT = 5432
ENCRYPTED, PLAIN, FULL = "127.77.16.1", "127.77.16.2", "127.77.16.3"

PROGRAMS = "/usr/lib/postgresql/15/bin"
AS_NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "env")
# Nobody is asked for a password, and nothing is written with care: there is nothing to lose.
INITDB = ("--auth", "trust", "--username", "postgres", "--no-locale", "--encoding", "UTF8", "--no-sync")
SETTINGS = {"port": PORT, "unix_socket_directories": "", "fsync": "off", "max_wal_senders": 0}
WITH_TLS = {"ssl": "on"}
ONE_CONNECTION = {"max_connections": 1, "superuser_reserved_connections": 0}

# A StartupMessage of version 3.0, and how its answers begin: AuthenticationOk, or an error.
LOGIN = bytes.fromhex("00000029 00030000") + b"user\0postgres\0database\0postgres\0\0"
WELCOME, ERROR = b"R\0\0\0\x08\0\0\0\0", b"E\0\0\0"
TOO_MANY = b"\0C53300\0"

# It wants P-256, and asks for it by a HelloRetryRequest.
P256: Truth = {"group": "secp256r1", "group_id": "0x0017"}
OFFERED = encrypted(
    accepted("S", "S", before=None, inside=None, required=None),
    spoken_by_openssl(
        "TLSv1.2", "TLSv1.3", known={"TLSv1.3": {"evidence": "hello_retry_request", "flags": ["hrr"]} | P256}
    ),
    None,
    tls=TLS13 | P256,
)
NOT_OFFERED = not_encrypted(
    "no_tls", refused("not_offered", "reply", "N", "N", advertised=False), None, "starttls-not-offered"
)
CLOSED: Truth = {"verdict": "closed", "stage": "tls", "cause": "eof", "alert": None, "hint": None}
NO_DIRECT_TLS: Truth = {
    "status": "inconclusive",
    "mode": "implicit",
    "starttls": None,
    "versions": {version: {"verdict": "unknown", "evidence": "closed"} for version in VERSIONS},
    "tls": {"version": None, "chain": None, "error": CLOSED},
    "certificate": None,
    "findings": [],
    "clients": None,
    "flags": [],
}


def configure(address: str, **settings: object) -> Callable[[Path, Certificates], Sequence[str | Path]]:
    """A fresh cluster of databases. The programs find their files wherever they are; root they refuse to serve."""

    def write(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        programs = [f"{PROGRAMS}/{name}" for name in ("postgres", "initdb")]
        root = unpacked("postgresql", directory.parent, certificates, programs=programs)
        server, initdb = (root / program.lstrip("/") for program in programs)
        run = (*AS_NOBODY, f"LD_LIBRARY_PATH={library_path(root)}")
        data, key = directory / "data", directory / "key.pem"
        data.mkdir(mode=0o700)
        shutil.copyfile(certificates.key_file(WEB), key)
        key.chmod(0o600)
        for path in (data, key):
            shutil.chown(path, "nobody", "nogroup")
        with (directory / "log").open("wb") as log:
            subprocess.run([*run, initdb, *INITDB, data], check=True, stdout=log, stderr=log, timeout=60)
        files = {"ssl_cert_file": certificates.chain_file(WEB), "ssl_key_file": key}
        every = SETTINGS | {"listen_addresses": address} | files | settings
        return *run, server, "-D", data, *(f"--{name}={value}" for name, value in every.items())

    return write


@contextlib.contextmanager
def full() -> Iterator[None]:
    """Somebody is logged in, which is all that the server allows: who comes is told so, once it has said who it is."""
    with held(FULL, PORT, 1, LOGIN, WELCOME), held(FULL, PORT, 1, LOGIN, ERROR, TOO_MANY):
        yield


SERVERS = (
    Server(
        "postgresql",
        configure(ENCRYPTED, **WITH_TLS),
        (
            Listener("web.live.test", ENCRYPTED, PORT, "postgresql", OFFERED, leaf=WEB),
            Listener("web.live.test", ENCRYPTED, PORT, "postgresql-direct", NO_DIRECT_TLS),
        ),
    ),
    Server(
        "postgresql-plain",
        configure(PLAIN),
        (Listener("web.live.test", PLAIN, PORT, "postgresql", NOT_OFFERED),),
    ),
    Server(
        "postgresql-full",
        configure(FULL, **WITH_TLS, **ONE_CONNECTION),
        (Listener("web.live.test", FULL, PORT, "postgresql", OFFERED, leaf=WEB),),
        full,
    ),
)
