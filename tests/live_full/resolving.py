"""NSD with a signed root and an unsigned zone below it, and Unbound, which validates: for the resolver to meet.

Both are processes of our own on loopback, in a directory of their own, and ask nobody else.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import dns.dnssec
import dns.name
import dns.rdataset
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec
from dns.dnssectypes import Algorithm

LOOPBACK = "127.0.0.1"
START_WITHIN_S = 20
HUGE = " ".join('"' + letter * 255 + '"' for letter in "abcdefghijklmnop")  # 4 KB

ROOT = f"""\
@ 300 SOA ns. root. 1 3600 600 86400 120
@ 300 NS ns.
ns. 300 A 127.0.0.1
secure.test. 90 A 192.0.2.1
secure.test. 90 AAAA 2001:db8::1
secure.test. 90 MX 10 mx1.secure.test.
secure.test. 90 MX 20 mx2.secure.test.
_25._tcp.mx1.secure.test. 90 TLSA 3 1 1 {"ab" * 32}
alias.test. 30 CNAME secure.test.
huge.test. 90 TXT {HUGE}
bogus.test. 90 A 192.0.2.2
plain.test. 300 NS ns.
"""
PLAIN = """\
@ 300 SOA ns. root. 1 3600 600 86400 60
@ 300 NS ns.
mail 90 A 192.0.2.3
alias 90 CNAME secure.test.
"""

NSD = """\
server:
  ip-address: 127.0.0.1@{nsd}
  username: ""
  chroot: ""
  zonesdir: "{directory}"
  database: ""
  pidfile: ""
  zonelistfile: "{directory}/zone.list"
  xfrdfile: ""
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: "."
  zonefile: "root.zone"
zone:
  name: "plain.test."
  zonefile: "plain.zone"
"""
UNBOUND = """\
server:
  interface: 127.0.0.1@{port}
  username: ""
  chroot: ""
  directory: "{directory}"
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  do-not-query-localhost: no
  local-zone: "test." nodefault
  module-config: "validator iterator"
  trust-anchor-file: "{directory}/root.key"
  ede: {ede}
stub-zone:
  name: "."
  stub-addr: 127.0.0.1@{nsd}
stub-zone:
  name: "plain.test."
  stub-addr: 127.0.0.1@{nsd}
remote-control:
  control-enable: no
"""


@dataclass(frozen=True, slots=True)
class NameServers:
    """Where they listen, as a resolver takes it: NSD, Unbound, and one that gives no extended errors."""

    nsd: tuple[IPv4Address, int]
    unbound: tuple[IPv4Address, int]
    reticent: tuple[IPv4Address, int]


@contextmanager
def name_servers(directory: Path) -> Iterator[NameServers]:
    """All three, until the context is left."""
    nsd, *unbounds = _free_ports(3)
    _write_zones(directory)
    (directory / "nsd.conf").write_text(NSD.format(directory=directory, nsd=nsd))
    with _running("nsd", ["/usr/sbin/nsd", "-d", "-c", str(directory / "nsd.conf")], nsd, directory):
        commands = []
        for port, ede in zip(unbounds, ("yes", "no"), strict=True):
            path = directory / f"unbound-{port}.conf"
            path.write_text(UNBOUND.format(directory=directory, port=port, nsd=nsd, ede=ede))
            commands.append(["/usr/sbin/unbound", "-d", "-c", str(path)])
        with (
            _running("unbound", commands[0], unbounds[0], directory),
            _running("reticent", commands[1], unbounds[1], directory),
        ):
            yield NameServers(*((IPv4Address(LOOPBACK), port) for port in (nsd, *unbounds)))


def _write_zones(directory: Path) -> None:
    """The root is signed, and then one address in it is changed."""
    zone = dns.zone.from_text(ROOT, origin=dns.name.root, relativize=False)
    private = ec.generate_private_key(ec.SECP256R1())
    key = dns.dnssec.make_dnskey(private.public_key(), Algorithm.ECDSAP256SHA256, flags=257)
    dns.dnssec.sign_zone(zone, keys=[(private, key)], lifetime=86_400, inception=int(time.time()) - 3_600)
    bogus = dns.rdataset.from_text("IN", "A", 90, "192.0.2.66")
    zone.replace_rdataset(dns.name.from_text("bogus.test."), bogus)
    zone.to_file(str(directory / "root.zone"), relativize=False)
    (directory / "root.key").write_text(f". IN DNSKEY {key.to_text()}\n")
    (directory / "plain.zone").write_text(f"$ORIGIN plain.test.\n{PLAIN}")


@contextmanager
def _running(name: str, command: Sequence[str], port: int, directory: Path) -> Iterator[None]:
    log = directory / f"{name}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True, cwd=directory
        )
    try:
        deadline = time.monotonic() + START_WITHIN_S
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.05)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), 1).close()
    except OSError:
        return False
    return True


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
