"""masscan's JSON, element by element: an array that is never in memory, and never quite JSON.

Versions differ: commas behind or between the elements, `{finished: 1}` as the last, no brackets at all, or one object a
line (-oD). All write objects, and these are cut out by their braces.
"""

import re
from collections.abc import Iterator

from targets.objects import json_object
from targets.parse import MAX_LINE_BYTES
from targets.row import Row
from targets.target import TargetError

_TOKEN = re.compile(rb'["\\{}\n]')
_FRAME = b" \t\r\n,[]"
_FINISHED = re.compile(r"\{\s*\"?finished\"?\s*:\s*1\s*\}")
_WHITE = bytes.maketrans(b"\t\r\n", b"   ")
Element = tuple[int, bytes]  # its first line, and itself on one line


class ElementSplitter:
    """Bytes in any pieces → the objects at the top of an array, and what stands between them and is no framing.

    An object over the cap is cut to one byte more than it, and given up at the next newline.
    """

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max = max_bytes
        self._held = b""
        self._line = self._begun = 1
        self._depth = 0
        self._in_string = self._is_escaped = False

    def feed(self, data: bytes) -> Iterator[Element]:
        """The elements that are complete now."""
        start = 0
        escaped = 0 if self._is_escaped else -1  # the place of a byte that a backslash stands before
        for match in _TOKEN.finditer(data):
            at, token = match.start(), match.group()
            if at == escaped and token != b"\n":
                continue
            if token == b"\\":
                escaped = at + 1 if self._in_string else escaped
            elif ends := self._ends_by(token, len(self._held) + at - start):
                yield from self._cut(data[start : at + ends[0]])
                start, self._begun = at + ends[1], self._line
        self._is_escaped = escaped == len(data)
        self._hold(data[start:])

    def end(self) -> Iterator[Element]:
        """What was begun and is not complete."""
        yield from self._cut(b"")

    def _ends_by(self, token: bytes, length: int) -> tuple[int, int] | None:
        """Where, from the token on, ends what was begun, of so many bytes; and where begins what follows."""
        match token:
            case b"\n":
                self._line += 1
                self._in_string = False  # no string spans lines: one that is not closed takes no more than its own
                if self._depth == 0 or length > self._max:
                    self._depth = 0
                    return 0, 1
            case b'"':
                self._in_string = not self._in_string
            case b"{" if not self._in_string:
                self._depth += 1
                return (0, 0) if self._depth == 1 else None
            case b"}" if not self._in_string and self._depth:
                self._depth -= 1
                return (1, 1) if self._depth == 0 else None
        return None

    def _hold(self, data: bytes) -> None:
        self._held = (self._held + data[: self._max + 1])[: self._max + 1]

    def _cut(self, data: bytes) -> Iterator[Element]:
        self._hold(data)
        element, self._held = self._held.translate(_WHITE).strip(_FRAME), b""
        if element:
            yield self._begun, element


def rows(text: str) -> list[Row | None]:
    """The ports of an element; None for one that is closed or not TCP, or for a banner: its port has a record too."""
    if _FINISHED.fullmatch(text):
        return []
    found = json_object(text)
    address = found.get("ip")
    ports = found.get("ports", [found | _status_of(found.get("data"))])
    if not isinstance(address, str) or not isinstance(ports, list):
        raise TargetError('not an element of masscan\'s JSON: {"ip": ADDRESS, "ports": [...]}')
    return [_row(address, port) for port in ports]


def _status_of(data: object) -> dict[str, object]:
    """Where `-oD` has it."""
    return {"status": data.get("status")} if isinstance(data, dict) else {}


def _row(address: str, port: object) -> Row | None:
    if not isinstance(port, dict) or not isinstance(number := port.get("port"), int):
        raise TargetError("a port of the element has no number")
    if port.get("proto", "tcp") != "tcp" or port.get("status") != "open":
        return None
    return Row(address=address, port=str(number))
