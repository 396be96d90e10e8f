"""The same work by other scanners, where they are installed: client CPU for one endpoint, and what that covers.

Each with its own limiters off, as far as it has a switch for that. sslyze lives in a virtual environment of its own,
because it pins an older cryptography: `make bench-peers` makes it.
"""

import os
import re
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.fleet import Fleet

ROOT = Path(__file__).parents[1]
SSLYZE = ROOT / ".venv-peers" / "bin" / "sslyze"
MICRO = 1_000_000
BOUND_S = 300


@dataclass(frozen=True, slots=True)
class Peer:
    """A scanner's cost for one endpoint, the start of the program included, shared by all."""

    name: str
    covers: str
    lacks: str
    cpu_us: float | None = None  # None: not installed, or it did not end well
    wall_us: float | None = None

    def document(self) -> dict[str, Any]:
        """As the results file has it."""
        return {
            "name": self.name,
            "cpu_us": self.cpu_us,
            "wall_us": self.wall_us,
            "covers": self.covers,
            "lacks": self.lacks,
        }


@dataclass(frozen=True, slots=True)
class Way:
    """How a scanner is asked. Of arguments, `{targets}` is a file of address:port, `{hosts}` one of addresses."""

    peer: Peer
    programs: Sequence[str | Path]  # the first that is there
    arguments: str
    proof: str  # what a line of its output has for every endpoint that it told of
    endpoints: int


WAYS = (
    Way(
        Peer("sslscan", "six versions, leaf certificate", "chain, trust, other hosts meanwhile (one after the other)"),
        ("sslscan",),
        "--no-colour --no-ciphersuites --no-compression --no-fallback --no-groups --no-heartbleed --no-renegotiation"
        " --targets={targets}",
        r"^TLSv1\.3 +enabled",
        250,
    ),
    Way(
        Peer(
            "sslyze",
            "six versions by trying every suite of each, chain, trust",
            "more than ten hosts at once (no switch at its command line)",
        ),
        (SSLYZE,),
        "--sslv2 --sslv3 --tlsv1 --tlsv1_1 --tlsv1_2 --tlsv1_3 --certinfo --targets_in={targets}",
        r"^ +TLS_AES_128_GCM_SHA256 ",
        20,
    ),
    Way(
        Peer(
            "testssl.sh",
            "six versions, chain, trust, extensions, sessions, OCSP, clock (-p -S)",
            "hosts at once (one after the other; `--parallel` starts it many times)",
        ),
        ("testssl", "testssl.sh"),
        "--quiet --color 0 --warnings off --nodns none -p -S 127.60.0.1:{port}",
        r"^ TLS 1\.3 +offered",
        1,
    ),
    Way(
        Peer(
            "nmap",
            "SSLv3 to TLS 1.3 by trying every suite of each, leaf certificate (ssl-enum-ciphers, ssl-cert)",
            "SSLv2, chain, trust",
        ),
        ("nmap",),
        "-Pn -n -sT -T5 --max-retries 0 --min-parallelism 100 --min-hostgroup 64 --script +ssl-enum-ciphers,+ssl-cert"
        " -p {port} -iL {hosts}",
        r"^\| +TLSv1\.3:",
        50,
    ),
    Way(
        Peer("zgrab2", "one handshake (up to TLS 1.2 or 1.3), chain, its log", "which versions: one is negotiated"),
        ("zgrab2",),
        "tls --port {port} --senders 500 --input-file {hosts}",
        r'"status":"success"',
        2_000,
    ),
    Way(
        Peer("tlsx", "TLS 1.0 to 1.3 one by one, chain", "SSLv2, raw SSLv3, suites, trust unless asked for"),
        ("tlsx",),
        "-l {hosts} -p {port} -c 500 -retry 0 -version-enum -tls-chain -json -silent -disable-update-check",
        r'"tls13"',
        2_000,
    ),
    Way(
        Peer("tls-scan", "versions that its own OpenSSL has, chain, trust", "versions that its own OpenSSL has not"),
        ("tls-scan",),
        "--port={port} --ip --version-enum --concurrency=500 --infile={hosts}",
        r'"tlsVersions"',
        2_000,
    ),
)


def peers(fleet: Fleet) -> list[Peer]:
    """Each of them, on as many endpoints as it does in bearable time; and those that are not there."""
    return [asked(way, fleet.tls) for way in WAYS]


def asked(way: Way, port: int) -> Peer:
    """With its cost, if it is installed and its output tells of every endpoint."""
    program = next(filter(None, (shutil.which(each) for each in way.programs)), None)
    if program is None:
        return way.peer
    addresses = [f"127.60.{number // 250}.{number % 250 + 1}" for number in range(way.endpoints)]
    with tempfile.TemporaryDirectory(prefix="tlsweep-bench-peers-") as name:
        targets, hosts = Path(name) / "targets.txt", Path(name) / "hosts.txt"
        targets.write_text("".join(f"{address}:{port}\n" for address in addresses))
        hosts.write_text("".join(f"{address}\n" for address in addresses))
        command = [program, *way.arguments.format(targets=targets, hosts=hosts, port=port).split()]
        return _timed(way, command)


def _timed(way: Way, command: Sequence[str]) -> Peer:
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    pin = {min(os.sched_getaffinity(0))}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, pin),
            timeout=BOUND_S,
            check=False,  # sslyze's exit status says what it thinks of the server
        )
    except subprocess.TimeoutExpired:
        print(f"{way.peer.name} took more than {BOUND_S} s")
        return way.peer
    after, wall_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - begun
    told = len(re.findall(way.proof.encode(), done.stdout, re.MULTILINE))
    if told < way.endpoints:
        print(f"{way.peer.name} told of {told} of {way.endpoints} endpoints, and ended with status {done.returncode}")
        return way.peer
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    cpu_us, wall_us = (spent / way.endpoints * MICRO for spent in (cpu_s, wall_s))
    return Peer(way.peer.name, way.peer.covers, way.peer.lacks, cpu_us, wall_us)
