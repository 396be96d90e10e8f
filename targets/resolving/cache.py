"""Answers that were had, each until its time is over; those used last, within a bound of memory.

Pure: times are handed in (seconds of any steady clock).
"""

from collections import OrderedDict
from typing import NamedTuple

import dns.name
import dns.rdata
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.rdtypes.IN.SRV import SRV

from targets.answer import DnsAnswer

MAX_BYTES = 16 * 2**20

# What an answer takes, measured with tracemalloc (tests/targets/resolving/test_cache.py holds it): 650 bytes with one
# address, 850 with one MX record, so that 20,000 answers or more fit into the default.
ENTRY_BYTES = 550
RECORD_BYTES = 150
LABEL_BYTES = 50  # of a name in a record
STRING_BYTES = 40  # besides what is in it
Key = tuple[str, RdataType]


class _Held(NamedTuple):
    answer: DnsAnswer
    until: float
    weight: int


class Cache:
    """Counts what it holds by an estimate of its bytes; what was used longest ago goes first."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._held: OrderedDict[Key, _Held] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: Key, now: float) -> DnsAnswer | None:
        """The answer, if it is there and holds."""
        held = self._held.get(key)
        if held is None or now >= held.until:
            return None
        self._held.move_to_end(key)
        return held.answer

    def put(self, key: Key, answer: DnsAnswer, now: float) -> None:
        """Keep it for its TTL; an answer that is larger than the whole cache is not kept."""
        if held := self._held.pop(key, None):
            self.bytes -= held.weight
        weight = ENTRY_BYTES + sum(map(_weight, answer.records))
        if weight > self._max_bytes:
            return
        self._held[key] = _Held(answer, now + answer.ttl_s, weight)
        self.bytes += weight
        while self.bytes > self._max_bytes:
            _, oldest = self._held.popitem(last=False)
            self.bytes -= oldest.weight


def _weight(record: dns.rdata.Rdata) -> int:
    match record:
        case A() | AAAA():
            return RECORD_BYTES
        case MX(exchange=dns.name.Name() as name) | SRV(target=dns.name.Name() as name):
            return RECORD_BYTES + LABEL_BYTES * len(name.labels)
        case TXT(strings=strings):
            return RECORD_BYTES + sum(STRING_BYTES + len(each) for each in strings)
        case _:
            return RECORD_BYTES + 2 * len(record.to_wire() or b"")
