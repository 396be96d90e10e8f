"""How many endpoints an input will give, for a progress bar: exact, or not known.

Known are small files of addresses and networks, in any form: counted as intervals, so that a /8 costs nothing. What the
DNS, a pipe or an archive will say is not known before, and neither is what a part of an IPv6 network has in common with
others.
"""

import os
import stat
from collections import defaultdict
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from targets.archive import is_packed
from targets.exclude import Exclusions, Ranges
from targets.lines import STDIN
from targets.network import Span
from targets.parse import Named, Parser
from targets.place import MIN_V6_PREFIX
from targets.reader import Reader
from targets.rules import Rules
from targets.services import Service
from targets.shares import WHOLE, Share
from targets.target import FormatError, Host, MailDomain, Network

MAX_BYTES = 1024 * 1024
MOST_DEALT = 100_000  # networks that are dealt into shares: a tenth of a second


def estimate(
    services: tuple[Service, ...],
    exclusions: Exclusions,
    targets: Sequence[str],
    inputs: Sequence[str],
    rules: Rules | None = None,
    share: Share = WHOLE,
) -> int | None:
    """The number of endpoints of a share, each counted once, or None if it is not to be had cheaply."""
    try:
        if not _is_small(inputs):
            return None
        contents = [Path(path).read_bytes() for path in inputs]
        if any(map(is_packed, contents)):
            return None
        tally = _Tally(exclusions, share)
        return tally.count() if all(map(tally.note, _named(services, targets, contents, rules))) else None
    except (OSError, FormatError):
        return None  # reading it will say why


def _is_small(inputs: Sequence[str]) -> bool:
    found = [os.stat(path) for path in inputs if path != STDIN]
    is_regular = all(stat.S_ISREG(each.st_mode) for each in found)
    return STDIN not in inputs and is_regular and sum(each.st_size for each in found) <= MAX_BYTES


def _named(
    services: tuple[Service, ...], targets: Sequence[str], contents: Sequence[bytes], rules: Rules | None
) -> Iterator[Named]:
    parser = Parser(services, rules)
    yield from (parser.parse(os.fsencode(target)) for target in targets)
    for content in contents:
        reader = Reader(services, rules)
        yield from reader.feed(content)
        yield from reader.end()


class _Tally:
    """Endpoints by name, and spans of addresses for each family, service and port."""

    def __init__(self, exclusions: Exclusions, share: Share) -> None:
        self._exclusions = exclusions
        self._share = share
        self._named: set[tuple[str, str, int, str]] = set()
        self._spans: defaultdict[tuple[int, str, int], list[Span]] = defaultdict(list)

    def note(self, named: Named) -> bool:
        """Count a target; False if it cannot be counted before the DNS is asked."""
        match named:
            case Host(address=None) | MailDomain():
                return False
            case Host(address=IPv4Address() | IPv6Address() as address):
                is_blocked = self._exclusions.is_blocked(address.version, int(address))
                if not is_blocked and self._share.has_address(str(address)):
                    for service, port in named.services:
                        self._named.add((named.name, str(address), port, service.name))
            case Network(network=network) if network.version == 6 and network.prefixlen < MIN_V6_PREFIX:
                return False
            case Network(network=network):
                span = int(network.network_address), int(network.broadcast_address)
                for service, port in named.services:
                    self._spans[network.version, service.name, port].append(span)
        return True

    def count(self) -> int | None:
        """How many endpoints were noted, each once; None where that takes long."""
        spans = [(version, self._allowed(version, Ranges(each))) for (version, *_), each in self._spans.items()]
        networks = 0 if self._share.is_whole else sum(self._share.networks(version, each) for version, each in spans)
        if networks > MOST_DEALT:
            return None
        return len(self._named) + sum(self._share.size(version, each) for version, each in spans)

    def _allowed(self, version: int, ranges: Ranges) -> list[Span]:
        return [span for ends in ranges for span in self._exclusions.allowed_within(version, *ends)]
