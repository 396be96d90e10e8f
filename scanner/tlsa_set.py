"""TLSA records as the DNS has them; to match chains takes nothing of the DNS (`mail_policy/dane.py`). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from dns.rdata import Rdata
from dns.rdatatype import RdataType

from scanner.endpoint_result import TlsaToMatch
from scanner.mail_policy.dane import Tlsa

_NUMBERS = 3  # octets before the data


@dataclass(frozen=True, slots=True)
class TlsaSet:
    """The TLSA records of a host, in one order, and the name that they were found under."""

    base: str
    records: tuple[Rdata, ...]

    @property
    def digest(self) -> int:
        """64 bits that tell it from others, and are never 0."""
        hasher = blake2b(self.base.encode(), digest_size=8)
        for record in self.records:
            wire = record.to_wire() or b""
            hasher.update(b"/%d/" % len(wire) + wire)
        return int.from_bytes(hasher.digest(), "big") or 1

    @property
    def to_match(self) -> TlsaToMatch:
        """The same without the DNS around it."""
        return TlsaToMatch(self.base, self.digest, tlsas_of(self.records))


def tlsas_of(records: Iterable[Rdata]) -> tuple[Tlsa, ...]:
    """The TLSA records of an answer; what the DNS library would not read as one (its length is wrong), too."""
    wires = (record.to_wire() for record in records if record.rdtype == RdataType.TLSA)
    return tuple(Tlsa(wire[0], wire[1], wire[2], wire[_NUMBERS:]) for wire in wires if wire)
