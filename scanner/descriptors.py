"""File descriptors: how many connections this process can hold open."""

import resource
from dataclasses import replace

import structlog

from scanner.limits import Limits
from targets.source import MAX_RESOLVING

OWN = 32  # for files, the event loop, and what the process inherits
PER_NAME = 2  # a name asks for A and AAAA at once

log = structlog.get_logger()


def fit_to_descriptors(limits: Limits) -> tuple[Limits, int]:
    """The limits, with `connections` lowered to what `ulimit -n` allows, and how many names may be resolved at once.

    The soft limit is raised to the hard one first. At most a quarter of all descriptors is for names.
    """
    descriptors = _most_descriptors()
    if descriptors == resource.RLIM_INFINITY:
        return limits, MAX_RESOLVING
    names = max(1, min(MAX_RESOLVING, (descriptors - OWN) // 4 // PER_NAME))
    possible = max(1, descriptors - OWN - PER_NAME * names)
    if 0 < limits.connections <= possible:
        return limits, names
    if limits.connections:
        log.warning("fewer connections at once: raise `ulimit -n`", asked=limits.connections, possible=possible)
    return replace(limits, connections=possible), names


def _most_descriptors() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):  # the kernel has a limit of its own
            return soft
    return hard
