"""How many endpoints an input will give, for a progress bar: exact, or not known.

Known are small files of addresses and networks, in any form: counted as intervals, so that a /8 costs nothing. What the
DNS, a pipe or an archive will say is not known before, and neither is what a part of an IPv6 network has in common with
others.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from targets.archive import is_packed
from targets.census import Census
from targets.exclude import Exclusions
from targets.excluded import Excluders
from targets.lines import STDIN
from targets.parse import Named, Parser
from targets.reader import Reader
from targets.rules import Rules
from targets.services import Service
from targets.shares import WHOLE, Share
from targets.target import FormatError

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
        census = Census(exclusions, Excluders(), (rules or Rules()).ipv6_most, share)
        for named in _named(services, targets, contents, rules):
            census.note(named)
            if not census.is_exact:
                return None
        return census.endpoints().total() if census.dealt <= MOST_DEALT else None
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
