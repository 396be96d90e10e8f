"""BER (ITU-T X.690) as far as LDAP has it (RFC 4511 §5.1): definite lengths of any form, tags of one byte.

Active Directory writes `30 84 00 00 00 28` where others write `30 28`: what stands where is told by the lengths alone.
"""

from dataclasses import dataclass
from enum import IntEnum

from scanner.dialogue import Violation

MOST_LENGTH_BYTES = 8  # none needs more than four; zeros in front are legal (X.690 §8.1.3.5)


class Tag(IntEnum):
    """Those that X.690 gives to everybody, with the bit of the constructed ones."""

    BOOLEAN = 0x01
    INTEGER = 0x02
    OCTET_STRING = 0x04
    ENUMERATED = 0x0A
    SEQUENCE = 0x30
    SET = 0x31


@dataclass(frozen=True, slots=True)
class Element:
    """A tag, and what is in it."""

    tag: int
    content: bytes

    def holds(self) -> tuple["Element", ...]:
        """The elements in a constructed one. Raises Violation."""
        return elements(self.content)

    def number(self) -> int:
        """The value of an INTEGER or ENUMERATED. Raises Violation."""
        if not 1 <= len(self.content) <= 8:
            raise Violation("not a number", self.content)
        return int.from_bytes(self.content, "big", signed=True)


def header_size(second: int) -> int:
    """How long tag and length are together, by the first byte of the length. Raises Violation."""
    if second == 0x80:
        raise Violation("an indefinite length", bytes((second,)))
    more = second & 0x7F if second & 0x80 else 0
    if more > MOST_LENGTH_BYTES:
        raise Violation("a length of too many bytes", bytes((second,)))
    return 2 + more


def length_of(header: bytes) -> int:
    """The length that a whole header tells."""
    return int.from_bytes(header[2:], "big") if header[1] & 0x80 else header[1]


def elements(data: bytes) -> tuple[Element, ...]:
    """What stands one after another in `data`. Raises Violation when it does not come out even."""
    found = []
    at = 0
    while at < len(data):
        if len(data) < at + 2 or data[at] & 0x1F == 0x1F:  # a tag of several bytes: LDAP has none
            raise Violation("not an element", data[at:])
        start = at + header_size(data[at + 1])
        end = start + length_of(data[at:start]) if start <= len(data) else start
        if end > len(data):
            raise Violation("an element beyond its end", data[at:])
        found.append(Element(data[at], data[start:end]))
        at = end
    return tuple(found)


def encoded(tag: int, *contents: bytes) -> bytes:
    """An element, for what we say ourselves: all of it is short."""
    content = b"".join(contents)
    if len(content) > 0x7F:
        raise ValueError("longer than the short form of a length can tell")
    return bytes((tag, len(content))) + content
