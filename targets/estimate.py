"""How many endpoints an input will give, for a progress bar: exact, or not known.

Known are small files of addresses and networks: counted as intervals, so that a /8 costs nothing. What the DNS or a
pipe will say is not known before.
"""

import os
import stat
from collections import defaultdict
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from targets.exclude import Exclusions, Ranges
from targets.lines import STDIN, LineSplitter
from targets.network import Span, size
from targets.parse import Parser
from targets.services import Service
from targets.target import Host, Network, Rejection, Target

MAX_BYTES = 1024 * 1024


def estimate(
    services: tuple[Service, ...], exclusions: Exclusions, targets: Sequence[str], inputs: Sequence[str]
) -> int | None:
    """The number of endpoints, each counted once, or None if it is not to be had cheaply."""
    try:
        if not _is_small(inputs):
            return None
        tally = _Tally(exclusions)
        return tally.count if all(map(tally.note, _named(services, targets, inputs))) else None
    except OSError:
        return None  # reading it will say why


def _is_small(inputs: Sequence[str]) -> bool:
    found = [os.stat(path) for path in inputs if path != STDIN]
    is_regular = all(stat.S_ISREG(each.st_mode) for each in found)
    return STDIN not in inputs and is_regular and sum(each.st_size for each in found) <= MAX_BYTES


def _named(
    services: tuple[Service, ...], targets: Sequence[str], inputs: Sequence[str]
) -> Iterator[Target | Rejection | None]:
    parser = Parser(services, header_allowed=False)
    yield from (parser.parse(os.fsencode(target)) for target in targets)
    for path in inputs:
        parser, splitter = Parser(services), LineSplitter()
        yield from map(parser.parse, [*splitter.feed(Path(path).read_bytes()), *splitter.end()])


class _Tally:
    """Endpoints by name, and spans of addresses for each family, service and port."""

    def __init__(self, exclusions: Exclusions) -> None:
        self._exclusions = exclusions
        self._named: set[tuple[str, str, int, str]] = set()
        self._spans: defaultdict[tuple[int, str, int], list[Span]] = defaultdict(list)

    def note(self, named: Target | Rejection | None) -> bool:
        """Count a target; False if it cannot be counted before the DNS is asked."""
        match named:
            case Host(address=None):
                return False
            case Host(address=IPv4Address() | IPv6Address() as address):
                if not self._exclusions.is_blocked(address.version, int(address)):
                    for service, port in named.services:
                        self._named.add((named.name, str(address), port, service.name))
            case Network(network=network):
                span = int(network.network_address), int(network.broadcast_address)
                for service, port in named.services:
                    self._spans[network.version, service.name, port].append(span)
        return True

    @property
    def count(self) -> int:
        """How many endpoints were noted, each once."""
        spans = sum(self._allowed(version, Ranges(each)) for (version, *_), each in self._spans.items())
        return len(self._named) + spans

    def _allowed(self, version: int, ranges: Ranges) -> int:
        return sum(size(self._exclusions.allowed_within(version, first, last)) for first, last in ranges)
