"""File descriptors: how many connections this process can hold open."""

import resource
from dataclasses import replace

import structlog

from scanner.limits import Limits

OWN = 32  # for files, the event loop, and what the process inherits

log = structlog.get_logger()


def fit_to_descriptors(limits: Limits, dns: int, processes: int = 1) -> Limits:
    """The limits, with `connections` lowered to what `ulimit -n` allows beside `dns` descriptors for resolving.

    The soft limit is raised to the hard one first. At most a quarter of all is kept for resolving. Where several
    processes share the connections, each has as many descriptors as we, and none of them resolves.
    """
    descriptors = _most_descriptors()
    if descriptors == resource.RLIM_INFINITY:
        return limits
    kept = 0 if processes > 1 else min(dns, max(0, descriptors - OWN) // 4)
    possible = max(1, descriptors - OWN - kept) * processes
    if 0 < limits.connections <= possible:
        return limits
    if limits.connections:
        log.warning("fewer connections at once: raise `ulimit -n`", asked=limits.connections, possible=possible)
    return replace(limits, connections=possible)


def _most_descriptors() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):  # the kernel has a limit of its own
            return soft
    return hard
