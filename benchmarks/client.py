"""One measured scan, in a process of its own: the ordinary run, and what the operating system says that it cost.

`python -m benchmarks.client '{"networks": "127.1.0.0/18", "port": 443, …}'` prints one JSON object.
"""

import json
import os
import resource
import sys
import time
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import trio

from scanner.config import Config
from scanner.connection import Timeouts
from scanner.limits import Limits
from scanner.question import Wanted
from scanner.run import Run
from scanner.tls.certificate import PARSED
from scanner.tls.names import versions_named
from scanner.trust_store import system_store


@dataclass(frozen=True, slots=True)
class Work:
    """What to scan: every address of some networks (with a space between them) on one port; and what a file names."""

    networks: str
    port: int
    output: str
    versions: str | None = None  # None: no raw hello
    handshake: bool = False
    endpoints: int = 2_000  # in flight
    connections: int = 500
    stop_after_s: float | None = None  # for scans of servers that never answer
    service: str = "tls"
    certificates: str | None = None  # a file for each distinct one
    input: str | None = None  # a file of targets
    connect_s: float = 60
    allow: str = "127.0.0.0/8"


def main() -> None:
    """Scan, and print the cost."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(json.dumps(measure(Work(**json.loads(sys.argv[1])))))


def measure(work: Work) -> dict[str, Any]:
    """CPU and wall seconds of the run alone, without the start of Python; peak of memory, in bytes; what was cached.

    `waited_s`: how long we could have run, while something else had the core.
    `parsed` and `verified`: how often a certificate, and a chain, was not taken from the cache.
    """
    config = Config(
        targets=tuple(f"{work.service}://{network}:{work.port}" for network in work.networks.split()),
        inputs=(work.input,) if work.input else (),
        wanted=Wanted(versions_named(work.versions) if work.versions else (), handshake=work.handshake),
        allow=(ip_network(work.allow),),
        limits=Limits(work.endpoints, work.connections, rate=0, per_address=0, per_address_rate=0, per_network_rate=0),
        timeouts=Timeouts(connect_s=work.connect_s, greeting_s=60, reply_s=60, tls_s=60),
        retries=0,  # a sample that fails has failed
        progress=False,
    )
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    descriptor = os.open(work.output, flags, 0o644)
    certificates = os.open(work.certificates, flags, 0o644) if work.certificates else None
    run = Run(config, descriptor, system_store(), certificates)
    waited_before_s = _waited_s()
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    trio.run(_scan, run, work.stop_after_s)
    after, wall_s = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - begun
    waited_s = _waited_s() - waited_before_s
    os.close(descriptor)
    return {
        "user_s": after.ru_utime - before.ru_utime,
        "system_s": after.ru_stime - before.ru_stime,
        "wall_s": wall_s,
        "waited_s": waited_s,
        "start_bytes": before.ru_maxrss * 1024,
        "peak_bytes": _peak_bytes(),
        "parsed": PARSED.made,
        "verified": run.recorder.verifier.verified.made,
    }


async def _scan(run: Run, stop_after_s: float | None) -> None:
    with trio.move_on_after(stop_after_s if stop_after_s is not None else float("inf")):
        await run.scan()


def _waited_s() -> float:
    """Runnable, but not running: the second field of schedstat (Documentation/scheduler/sched-stats.rst), in ns."""
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):  # not every kernel counts it
        return 0.0


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
