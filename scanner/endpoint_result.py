"""What the record of a mail domain needs of an endpoint's, in 16 bytes: they are kept for every domain that may ask.

    status | its certificate, in RFC 8460's words | the same for DANE-TA | TLSA records that match | which those were

TLSA records are told by a digest: what matched one RRset says nothing about another.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from scanner.conclusion import Status
from scanner.mail_policy.dane import Dane, Tlsa, usability
from scanner.mail_policy.result import Result

_PACKED = struct.Struct(">BBBxIQ")  # the bits of 32 TLSA records: `targets.mail_answer.MAX_TLSA`
_STATUSES = tuple(Status)
_WORDS = (Result.HOST_MISMATCH, Result.EXPIRED, Result.NOT_TRUSTED, Result.FAILURE)
_IS_KNOWN = 0x80  # beside the words: was there a certificate, were the TLSA records matched
_UNNAMED = 0x40  # beside the words of DANE: the base domain is not among the names of the leaf


@dataclass(frozen=True, slots=True)
class TlsaToMatch:
    """What the chain of an endpoint is to be matched with: a set of TLSA records, its digest, and its base domain."""

    base: str
    digest: int
    records: tuple[Tlsa, ...]


@dataclass(frozen=True, slots=True)
class EndpointResult:
    """What an endpoint came to. `certificate`: the words that apply to it; None where none was seen.

    `dane`: what its chain came to with the TLSA records that `tlsa` is the digest of; None where nobody looked.
    """

    status: Status
    certificate: tuple[Result, ...] | None = None
    tlsa: int = 0
    dane: Dane | None = None

    @property
    def packed(self) -> bytes:
        """All but the names of a leaf that DANE would need: `needs_names`."""
        certificate = 0 if self.certificate is None else _IS_KNOWN | _bits(self.certificate)
        about_dane = matched = 0
        if self.dane and all(record.matched is not None for record in self.dane.records if record.usable):
            about_dane = _IS_KNOWN | _bits(self.dane.certificate) | (_UNNAMED if self.dane.unnamed is not None else 0)
            matched = sum(1 << number for number, record in enumerate(self.dane.records) if record.matched)
        return _PACKED.pack(_STATUSES.index(self.status), certificate, about_dane, matched, self.tlsa)


def dane_part(result: EndpointResult) -> dict[str, Any] | None:
    """What the endpoint's record says of TLSA records; None where nobody looked."""
    if result.dane is None:
        return None
    return {
        "rrset": f"{result.tlsa:016x}",
        "tlsa": [
            {
                "usage": each.tlsa.usage,
                "selector": each.tlsa.selector,
                "matching": each.tlsa.matching,
                "data": each.tlsa.data.hex(),
                "matched": each.matched,
            }
            for each in result.dane.records
        ],
        "certificate": result.dane.certificate,
        "unnamed": None if result.dane.unnamed is None else sorted(result.dane.unnamed),
    }


def recorded_result(record: Mapping[str, Any]) -> EndpointResult:
    """What an endpoint came to, by its record. Raises KeyError, TypeError and ValueError for what is none."""
    certificate, dane = record["certificate"], record.get("dane")
    words = None if certificate is None else tuple(map(Result, certificate["results"]))
    if dane is None:
        return EndpointResult(Status(record["status"]), words)
    judged = usability(
        Tlsa(each["usage"], each["selector"], each["matching"], bytes.fromhex(each["data"])) for each in dane["tlsa"]
    )
    records = tuple(replace(own, matched=each["matched"]) for own, each in zip(judged, dane["tlsa"], strict=True))
    unnamed = None if dane["unnamed"] is None else frozenset(dane["unnamed"])
    found = Dane(records, tuple(map(Result, dane["certificate"])), unnamed)
    return EndpointResult(Status(record["status"]), words, int(dane["rrset"], 16), found)


def unpacked(value: bytes, tlsa: TlsaToMatch | None, names: frozenset[str] | None) -> EndpointResult:
    """A result that was packed, for these TLSA records; `names` are those of the leaf, where they are needed and kept.

    Of other records than it was packed with, it is not known which match.
    """
    status, certificate, about_dane, matched, digest = _PACKED.unpack(value)
    words = _words(certificate) if certificate & _IS_KNOWN else None
    found = EndpointResult(_STATUSES[status], words, digest)
    if tlsa is None:
        return found
    judged = usability(tlsa.records)
    if digest != tlsa.digest or not about_dane & _IS_KNOWN:
        return replace(found, dane=Dane(judged))
    records = tuple(
        replace(record, matched=bool(matched >> number & 1)) if record.usable else record
        for number, record in enumerate(judged)
    )
    return replace(found, dane=Dane(records, _words(about_dane), names if about_dane & _UNNAMED else None))


def _bits(words: Iterable[Result]) -> int:
    return sum(1 << _WORDS.index(word) for word in words)


def _words(bits: int) -> tuple[Result, ...]:
    return tuple(word for number, word in enumerate(_WORDS) if bits >> number & 1)
