"""File descriptors: how many connections this process can hold open."""

import resource
from dataclasses import replace

import structlog

from scanner.limits import Limits
from targets.source import MAX_RESOLVING

RESERVED = 64 + 2 * MAX_RESOLVING  # for files and the event loop; and a name asks for A and AAAA at once

log = structlog.get_logger()


def fit_to_descriptors(limits: Limits) -> Limits:
    """The limits, with `connections` lowered to what `ulimit -n` allows; its soft limit is raised first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY:
        return limits
    possible = max(1, hard - RESERVED)
    if 0 < limits.connections <= possible:
        return limits
    if limits.connections:
        log.warning("fewer connections at once: raise `ulimit -n`", asked=limits.connections, possible=possible)
    return replace(limits, connections=possible)
