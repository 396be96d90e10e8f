"""The same work by other scanners, where they are installed: client CPU for one endpoint, and what that covers.

sslyze lives in a virtual environment of its own, because it pins an older cryptography: `make bench-peers` makes it.
"""

import os
import resource
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fleet import Fleet

ROOT = Path(__file__).parents[1]
SSLYZE = ROOT / ".venv-peers" / "bin" / "sslyze"
ENDPOINTS = 20


@dataclass(frozen=True, slots=True)
class Peer:
    """A scanner's cost for one endpoint."""

    name: str
    covers: str
    cpu_us: float | None  # None: not installed


def peers(fleet: Fleet) -> list[Peer]:
    """sslscan and sslyze on twenty endpoints each; the start of the program is in it, once."""
    targets = [f"127.60.0.{last}:{fleet.tls}" for last in range(1, ENDPOINTS + 1)]
    found = []
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("\n".join(targets) + "\n")
        listed.flush()
        only_versions = ["ciphersuites", "compression", "fallback", "groups", "heartbleed", "renegotiation"]
        sslscan = ["--no-colour", *(f"--no-{test}" for test in only_versions), f"--targets={listed.name}"]
        found.append(_run("sslscan", shutil.which("sslscan"), "six versions, certificate", sslscan))
        versions = ["--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3"]
        sslyze = [*versions, "--certinfo", f"--targets_in={listed.name}"]
        every = "six versions by trying every suite of each, certificate with trust"
        found.append(_run("sslyze", str(SSLYZE) if SSLYZE.exists() else None, every, sslyze))
    return found


def _run(name: str, program: str | None, covers: str, arguments: list[str]) -> Peer:
    if program is None:
        return Peer(name, covers, None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    pin = {min(os.sched_getaffinity(0))}
    subprocess.run(
        [program, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, pin),
        timeout=300,
        check=False,  # sslyze's exit status says what it thinks of the server
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Peer(name, covers, cpu / ENDPOINTS * 1_000_000)
