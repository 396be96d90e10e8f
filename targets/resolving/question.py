"""A question of the DNS, and the bytes that ask it (RFC 1035 §4.1), written by hand: a sixth of what a library takes.

AD is set, so that a validating resolver says what it has validated without sending signatures (RFC 6840 §5.7). EDNS
offers 1,232 bytes, which fit into every IPv6 path (RFC 6891, DNS flag day 2020).
"""

import struct
from dataclasses import dataclass

import dns.exception
import dns.name
from dns.rdatatype import RdataType

UDP_PAYLOAD_BYTES = 1232
MAX_NAME_BYTES = 255  # RFC 1035 §2.3.4, with the length of each label
MAX_LABEL_BYTES = 63

RECURSION_DESIRED = 0x0100
AUTHENTIC_DATA = 0x0020
CHECKING_DISABLED = 0x0010

_CLASS_IN = 1
_HEADER = struct.Struct("!6H")
_KIND_AND_CLASS = struct.Struct("!2H")
_OPT = b"\0" + struct.pack("!2HI H", RdataType.OPT, UDP_PAYLOAD_BYTES, 0, 0)  # RFC 6891 §6.1.2; no DO


class InvalidNameError(ValueError):
    """The text is no name that the DNS could have: too long, or with an empty label."""


@dataclass(frozen=True, slots=True)
class Question:
    """A name and a type, in text and as they stand in a message. Make it with `question_of`."""

    name: str  # lower case, without the final dot
    kind: RdataType
    qname: bytes  # lower case, uncompressed
    wire: bytes  # the whole question section

    def query(self, number: int, *, edns: bool = True, checking_disabled: bool = False) -> bytes:
        """The message that asks it, under this id."""
        flags = RECURSION_DESIRED | AUTHENTIC_DATA | (CHECKING_DISABLED if checking_disabled else 0)
        if edns:
            return _HEADER.pack(number, flags, 1, 0, 0, 1) + self.wire + _OPT
        return _HEADER.pack(number, flags, 1, 0, 0, 0) + self.wire


def question_of(name: str, kind: RdataType) -> Question:
    """Names are absolute, with a final dot or without, escaped as in zone files. Raises InvalidNameError."""
    lower = name.lower()
    if "\\" in lower:
        lower, qname = _escaped(lower)
    else:
        lower = lower.removesuffix(".")
        qname = _wire_name(lower)
    return Question(lower, kind, qname, qname + _KIND_AND_CLASS.pack(kind, _CLASS_IN))


def _wire_name(name: str) -> bytes:
    if not name:
        return b"\0"
    if not name.isascii():
        raise InvalidNameError("the name is not in ASCII")
    labels = name.encode().split(b".")
    wire = b"".join([len(label).to_bytes(1, "big") + label for label in labels if len(label) <= MAX_LABEL_BYTES])
    if b"" in labels or len(wire) != len(name) + 1:
        raise InvalidNameError("a label of the name is empty or longer than 63 bytes")
    return _bounded(wire + b"\0")


def _escaped(name: str) -> tuple[str, bytes]:
    """A rare name, by the library."""
    try:
        parsed = dns.name.from_text(name)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise InvalidNameError(f"no name of the DNS: {error}") from error
    return parsed.to_text(omit_final_dot=True).lower(), _bounded(parsed.to_digestable())


def _bounded(wire: bytes) -> bytes:
    if len(wire) > MAX_NAME_BYTES:
        raise InvalidNameError("the name is longer than 255 bytes")
    return wire
