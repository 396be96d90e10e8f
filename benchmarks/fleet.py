"""The servers that are scanned, on loopback: nginx where it is installed, else `openssl s_server`; one
that has STARTTLS, one that keeps silent, and one that stalls.

They run on the last core where there are several, so that they do not take the client's.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

_NGINX = """\
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log crit;
daemon off;
{user}
events {{ worker_connections 16384; multi_accept on; }}
http {{
    access_log off;
    server {{
        listen 0.0.0.0:{port} ssl backlog=8192;
        ssl_certificate {directory}/chain.pem;
        ssl_certificate_key {directory}/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ecdh_curve X25519;
        return 200 "ok";
    }}
}}
"""


SHARED = 20  # certificates of the provider's fleet


@dataclass(frozen=True, slots=True)
class Fleet:
    """Where the servers listen, each on every loopback address."""

    tls: int  # TLS 1.2 and 1.3, ECDSA P-256, X25519
    silent: int  # accepts, and says nothing
    stalled: int  # sends a ServerHello, and nothing more
    smtp: int  # STARTTLS, and behind it the same TLS
    shared: int  # the same, with SHARED certificates in turn
    server: str  # what the first one is


@contextmanager
def fleet() -> Iterator[Fleet]:
    """Start all servers; stop them at the end, by process id."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tlsweep-bench-")))
        _write_certificate(directory)
        (directory / "shared").mkdir()
        _write_shared(directory / "shared")
        tls, silent, stalled, smtp, shared = free_ports(5)
        server, command = _tls_server(directory, tls)
        stack.enter_context(running(command, tls))
        holder = [sys.executable, "-m", "benchmarks.holder", str(silent), str(stalled), str(directory)]
        stack.enter_context(running(holder, stalled))
        mail = [sys.executable, "-m", "benchmarks.smtp_server", str(smtp), str(directory)]
        stack.enter_context(running(mail, smtp))
        many = [sys.executable, "-m", "benchmarks.smtp_server", str(shared), str(directory / "shared")]
        stack.enter_context(running(many, shared))
        yield Fleet(tls, silent, stalled, smtp, shared, server)


@contextmanager
def tls_server() -> Iterator[int]:
    """Only the one that speaks TLS; its port."""
    with tempfile.TemporaryDirectory(prefix="tlsweep-bench-") as name:
        _write_certificate(Path(name))
        (port,) = free_ports(1)
        with running(_tls_server(Path(name), port)[1], port):
            yield port


def server_core() -> set[int]:
    """The core of the servers."""
    return {max(os.sched_getaffinity(0))}


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("0.0.0.0", 0))
        return [each.getsockname()[1] for each in sockets]


def _write_certificate(directory: Path) -> None:
    """A chain of two, ECDSA P-256."""
    root = trustme.CA()
    leaf = root.create_child_ca().issue_cert("bench.example")
    leaf.private_key_pem.write_to_path(str(directory / "key.pem"))
    for part in leaf.cert_chain_pems:
        part.write_to_path(str(directory / "chain.pem"), append=True)


def _write_shared(directory: Path) -> None:
    """Leaves of one authority, each sent alone."""
    root = trustme.CA(key_type=trustme.KeyType.ECDSA)
    for number in range(SHARED):
        leaf = root.issue_cert(f"mx{number}.bench.example", key_type=trustme.KeyType.ECDSA)
        leaf.private_key_pem.write_to_path(str(directory / f"key{number}.pem"))
        leaf.cert_chain_pems[0].write_to_path(str(directory / f"chain{number}.pem"))


def _tls_server(directory: Path, port: int) -> tuple[str, list[str]]:
    if nginx := shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"):
        user = "user root;" if os.geteuid() == 0 else ""
        (directory / "nginx.conf").write_text(_NGINX.format(directory=directory, port=port, user=user))
        return "nginx", [nginx, "-p", str(directory), "-c", str(directory / "nginx.conf"), "-e", "stderr"]
    chain, key = str(directory / "chain.pem"), str(directory / "key.pem")
    command = ["openssl", "s_server", "-accept", str(port), "-cert", chain, "-cert_chain", chain, "-key", key]
    return "openssl s_server", [*command, "-groups", "X25519", "-quiet", "-www"]


@contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    """A server on its core, once it listens; stopped at the end, by process id."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        cwd=Path(__file__).parents[1],
    )
    try:
        os.sched_setaffinity(process.pid, server_core())
        _wait_for(process, port)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{process.args!r} does not listen on {port}")
