"""A reply of a name server, read from its bytes (RFC 1035 §4). Pure: nothing here waits or asks.

Whatever the bytes are, they are a Reply or MalformedError. Sections are walked by hand, to their last byte, because the
library's reader takes as much as all else of a question together; record data are the library's, as callers get them.
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple

import dns.exception
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.wire
from dns.rdatatype import RdataType

from targets.resolving.question import AUTHENTIC_DATA, MAX_LABEL_BYTES, MAX_NAME_BYTES, Question

MAX_ALIASES = 16  # aliases; resolvers stop at 8 to 17
MAX_RECORDS = 1_000  # of an answer; 64 KB could hold 4,000 names that take a tenth of a millisecond each
MAX_HOPS = 128  # of the pointers of one name, which has at most as many labels
MAX_TTL = 2**31 - 1  # RFC 2181 §8: what is above is 0

_IN = dns.rdataclass.IN
_HEADER_BYTES = 12
_HEADER = struct.Struct("!6H")
_RECORD = struct.Struct("!2HIH")
_POINTER, _POINTER_TARGET = 0xC0, 0x3FFF
_TO_QUESTION = b"\xc0\x0c"  # the usual owner: a pointer to the name in the question
_RESPONSE, _OPCODE, _AUTHORITATIVE, _TRUNCATED, _RCODE = 0x8000, 0x7800, 0x0400, 0x0200, 0x000F
_EXTENDED_ERROR = 15  # an option of EDNS (RFC 8914 §2)
_TLSA_NUMBERS_BYTES = 3  # RFC 6698 §2.1
_SOA_NUMBERS_BYTES = 20
# An error may come without the question that it is about: its sender could not read it.
_QUESTIONLESS = {dns.rcode.FORMERR, dns.rcode.SERVFAIL, dns.rcode.NOTIMP, dns.rcode.REFUSED}


class MalformedError(Exception):
    """The bytes are no message, or not one that holds together; the message says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What was read, along the aliases from the name that was asked.

    `end` is the name behind the last of the `aliases`; the name that was asked, where there are none. `ttl` is the
    least of the records, the aliases and the SOA, in seconds; None where nothing had one.
    """

    rcode: int
    truncated: bool = False
    authenticated: bool = False  # the AD bit
    records: tuple[dns.rdata.Rdata, ...] = ()
    end: bytes = b""
    aliases: int = 0
    ttl: float | None = None
    has_soa: bool = False
    is_referral: bool = False
    extended_errors: tuple[int, ...] = ()  # RFC 8914

    @property
    def rcode_text(self) -> str:
        """Such as `SERVFAIL`."""
        return dns.rcode.to_text(dns.rcode.Rcode(self.rcode))


class _Record(NamedTuple):
    owner: bytes
    kind: int
    group: int  # its class; of OPT, the size of datagrams
    ttl: int
    at: int  # where its data begin
    length: int

    def is_of(self, kind: RdataType, owner: bytes) -> bool:
        return self.kind == kind and self.owner == owner and self.group == _IN

    @property
    def seconds(self) -> int:
        return self.ttl if self.ttl <= MAX_TTL else 0


def is_reply_to(wire: bytes, question: Question) -> bool:
    """Is it an answer to that question, by its header and question section? The id is the caller's matter."""
    if len(wire) < _HEADER_BYTES:
        return False
    _, flags, questions, *_ = _HEADER.unpack_from(wire)
    if not flags & _RESPONSE or flags & _OPCODE:
        return False
    if questions == 0:
        return flags & _RCODE in _QUESTIONLESS
    end = _HEADER_BYTES + len(question.wire)
    asked = wire[_HEADER_BYTES:end]
    if questions != 1 or len(asked) != len(question.wire):
        return False
    name = len(question.qname)
    return asked == question.wire or (asked[:name].lower() == question.qname and asked[name:] == question.wire[name:])


def read_reply(wire: bytes, question: Question) -> Reply:
    """Read what `is_reply_to` let pass. Raises MalformedError."""
    _, flags, questions, *counts = _HEADER.unpack_from(wire)
    if flags & _TRUNCATED:
        return Reply(flags & _RCODE, truncated=True)  # asked again over TCP; what is there may be cut anywhere
    names = {_HEADER_BYTES: question.qname} if questions else {}
    start = _HEADER_BYTES + (len(question.wire) if questions else 0)
    answer, authority, additional = _sections(wire, start, counts, names)
    rcode, errors = _extended(wire, flags & _RCODE, additional)
    found, chain = _follow(wire, question, answer, names)
    soa = None if found else next((each for each in authority if each.kind == RdataType.SOA), None)
    ttls = [each.seconds for each in (*chain, *found)] + ([_negative_ttl(wire, soa)] if soa else [])
    is_referral = any(each.kind == RdataType.NS for each in authority) and not flags & _AUTHORITATIVE
    return Reply(
        rcode=rcode,
        authenticated=bool(flags & AUTHENTIC_DATA),
        records=_data(wire, question.kind, found, names),
        end=_name(wire, chain[-1].at, names)[0] if chain else question.qname,
        aliases=len(chain),
        ttl=min(ttls, default=None),
        has_soa=soa is not None,
        is_referral=not found and not soa and is_referral,
        extended_errors=errors,
    )


def name_text(name: bytes) -> str:
    """A name of a message as text, without its final dot."""
    return dns.name.from_wire(name, 0)[0].to_text(omit_final_dot=True)


def _follow(
    wire: bytes, question: Question, answer: list[_Record], names: dict[int, bytes]
) -> tuple[list[_Record], list[_Record]]:
    """The records that were asked for, and the aliases on the way to them (RFC 1034 §3.6.2)."""
    owner, chain = question.qname, list[_Record]()
    while not (found := [each for each in answer if each.is_of(question.kind, owner)]):
        alias = next((each for each in answer if each.is_of(RdataType.CNAME, owner)), None)
        if alias is None or len(chain) == MAX_ALIASES:
            break
        chain.append(alias)
        owner, after = _name(wire, alias.at, names)
        if after != alias.at + alias.length:
            raise MalformedError("an alias that is not as long as it says")
    return found, chain


def _data(wire: bytes, kind: RdataType, found: list[_Record], names: dict[int, bytes]) -> tuple[dns.rdata.Rdata, ...]:
    """Each once (RFC 2181 §5)."""
    if len(found) > MAX_RECORDS:
        raise MalformedError(f"more than {MAX_RECORDS:,} records")
    if len(found) > 1:
        copies = {_identity(wire, kind, each, names): each for each in reversed(found)}
        found = list(reversed(copies.values()))
    data = []
    for each in found:
        parser = dns.wire.Parser(wire, each.at)
        parser.end = each.at + each.length
        try:
            data.append(dns.rdata.from_wire_parser(_IN, kind, parser))
        except dns.exception.DNSException as error:
            if kind == RdataType.TLSA and each.length >= _TLSA_NUMBERS_BYTES:
                # Somebody's mistake (a digest of another length than its kind has), and none of the message's: the
                # library refuses it, and whoever reads the records has to see it.
                data.append(dns.rdata.GenericRdata(_IN, kind, wire[each.at : each.at + each.length]))
                continue
            raise MalformedError(f"{kind.name} data that cannot be read") from error
        if parser.remaining():
            raise MalformedError(f"{kind.name} data that are longer than they say")
    return tuple(data)


def _identity(wire: bytes, kind: RdataType, record: _Record, names: dict[int, bytes]) -> bytes:
    """What two copies have in common; of the types that are asked for, only MX has a name that may be compressed."""
    data = wire[record.at : record.at + record.length]
    return data[:2] + _name(wire, record.at + 2, names)[0] if kind == RdataType.MX else data


def _negative_ttl(wire: bytes, soa: _Record) -> int:
    """The lesser of its own TTL and its last number (RFC 2308 §3, §5)."""
    if soa.length < _SOA_NUMBERS_BYTES + 2:
        raise MalformedError("an SOA that is too short")
    minimum = int.from_bytes(wire[soa.at + soa.length - 4 : soa.at + soa.length], "big")
    return min(soa.seconds, minimum if minimum <= MAX_TTL else 0)


def _extended(wire: bytes, rcode: int, additional: list[_Record]) -> tuple[int, tuple[int, ...]]:
    """The whole rcode (RFC 6891 §6.1.3), and the extended errors."""
    opt = next((each for each in additional if each.kind == RdataType.OPT), None)
    if opt is None:
        return rcode, ()
    errors, at, end = [], opt.at, opt.at + opt.length
    while at < end:
        if at + 4 > end:
            raise MalformedError("an EDNS option that is cut off")
        option, length = struct.unpack_from("!2H", wire, at)
        at += 4 + length
        if at > end:
            raise MalformedError("an EDNS option that is longer than its record")
        if option == _EXTENDED_ERROR and length >= 2:
            errors.append(int.from_bytes(wire[at - length : at - length + 2], "big"))
    return (opt.ttl >> 24) << 4 | rcode, tuple(errors)


def _sections(wire: bytes, at: int, counts: list[int], names: dict[int, bytes]) -> list[list[_Record]]:
    """The records of the answer, the authority and the additional section, which together are all that there is.

    Only those of the answer have their owner: of the others, nothing depends on it.
    """
    sections, size = list[list[_Record]](), len(wire)
    for count in counts:
        records = []
        for _ in range(count):
            owner, at = (b"", _after_name(wire, at)) if sections else _name(wire, at, names)
            if at + _RECORD.size > size:
                raise MalformedError("a record that is cut off")
            kind, group, ttl, length = _RECORD.unpack_from(wire, at)
            at += _RECORD.size
            records.append(_Record(owner, kind, group, ttl, at, length))
            at += length
        sections.append(records)
    if at != size:
        raise MalformedError("records and bytes do not agree")
    return sections


def _after_name(wire: bytes, at: int) -> int:
    while at < len(wire):
        length = wire[at]
        if length >= _POINTER:
            return at + 2
        at += 1 + length
        if not length:
            return at
        if length > MAX_LABEL_BYTES:
            raise MalformedError("a label of an unknown kind")
    raise MalformedError("a name that is cut off")


def _name(wire: bytes, at: int, names: dict[int, bytes]) -> tuple[bytes, int]:
    """A name in lower case without compression, and where what comes after it begins.

    Pointers lead backwards only. `names` are those that are known by where they stand.
    """
    if wire[at : at + 2] == _TO_QUESTION and (known := names.get(_HEADER_BYTES)):
        return known, at + 2
    labels, taken, after, hops, place = [], 0, None, 0, at
    while True:
        if place >= len(wire):
            raise MalformedError("a name that is cut off")
        length = wire[place]
        if length >= _POINTER:
            target = int.from_bytes(wire[place : place + 2], "big") & _POINTER_TARGET
            after, hops = after or place + 2, hops + 1
            if target >= place or hops > MAX_HOPS:
                raise MalformedError("a name that points to where it must not")
            place = target
            continue
        if length > MAX_LABEL_BYTES:
            raise MalformedError("a label of an unknown kind")
        labels.append(wire[place : place + 1 + length])
        taken, place = taken + 1 + length, place + 1 + length
        if taken > MAX_NAME_BYTES or place > len(wire):
            raise MalformedError("a name that is too long")
        if not length:
            return b"".join(labels).lower(), after or place
