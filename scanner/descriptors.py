"""File descriptors: how many connections this process can hold open."""

import resource
from contextlib import suppress
from dataclasses import replace

import structlog

from scanner.limits import Limits

OWN = 32  # for files, the event loop, and what the process inherits

log = structlog.get_logger()


def fit_to_descriptors(limits: Limits, dns: int, processes: int = 1) -> Limits:
    """The limits, with `connections` lowered to what `ulimit -n` allows beside `dns` descriptors for resolving.

    At most a quarter of all is kept for resolving. Where several processes share the connections, each has as many
    descriptors as we, and none of them resolves.
    """
    spare = spare_descriptors()
    if spare is None:
        return limits
    kept = 0 if processes > 1 else min(dns, max(0, spare) // 4)
    possible = max(1, spare - kept) * processes
    if 0 < limits.connections <= possible:
        return limits
    if limits.connections:
        log.warning("fewer connections at once: raise `ulimit -n`", asked=limits.connections, possible=possible)
    return replace(limits, connections=possible)


def spare_descriptors() -> int | None:
    """So many may be open at most beside those that we need ourselves, perhaps less than none; None without a limit.

    The soft limit is raised to the hard one first.
    """
    most, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != hard:
        with suppress(ValueError, OSError):  # the kernel has a limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            most = hard
    return None if most == resource.RLIM_INFINITY else most - OWN
