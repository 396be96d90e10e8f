"""nmap's output: XML (-oX, and masscan's, which is alike) as a stream, and the grepable form (-oG).

Each port counts as a line; one that is not open, or not TCP, names nothing. A name that the user gave to nmap is the
host; one that nmap found by a PTR record is a tag, `ptr`: it is not what a client would ask for. Grepable output has
only the latter. The document may have a DOCTYPE, as nmap's has, but neither entities, nor attributes that it declares
for every tag, nor depth, nor an endless tag.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.parsers import expat

from targets.row import Row
from targets.shown import shown
from targets.target import NO_TAGS, FormatError, TargetError

_MAX_DEPTH = 64
_MAX_TOKEN_BYTES = 1024 * 1024  # of a tag, or a comment: nmap's <scaninfo> names up to 65,535 ports
_HOST = re.compile(r"Host: (\S+) \(([^)\s]*)\)")
_PORT = re.compile(r"(?:^|, )([^/, ]*)/([^/]*)/([^/]*)/")

Found = tuple[int, Row | None]  # on which line a port stands, and what it says if it is open


def grepable(text: str) -> list[Row | None]:
    """The ports of a line; none for one that only says that a host is up."""
    fields = dict(field.partition(": ")[::2] for field in text.split("\t"))
    host = _HOST.search(text)
    if host is None:
        raise TargetError("not a line of nmap's grepable output: Host: ADDRESS (NAME)")
    tags = {"ptr": host[2]} if host[2] else {}
    ports = _PORT.findall(fields.get("Ports", ""))
    if not ports and fields.get("Ports"):
        raise TargetError("not a list of ports in nmap's grepable output: NUMBER/STATE/PROTOCOL/...")
    return [
        Row(address=host[1], port=number, tags=tags) if (state, protocol) == ("open", "tcp") else None
        for number, state, protocol in ports
    ]


@dataclass(slots=True)
class _Host:
    """What is known of a host when its ports come."""

    address: str = ""
    given: str = ""
    ptr: str = ""
    has_ports: bool = False

    def note_name(self, name: str, kind: str) -> None:
        if kind == "user":
            self.given = name
        elif kind == "PTR":
            self.ptr = shown(name.encode())

    def row(self, port: dict[str, str]) -> Row | None:
        if (port.get("protocol"), port.get("state")) != ("tcp", "open"):
            return None
        tags = {"ptr": self.ptr} if self.ptr else NO_TAGS
        return Row(self.given, self.address, port.get("portid", ""), tags=tags)


class XmlReader:
    """Bytes of a document in any pieces → its ports."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate("UTF-8")  # as all text here, whatever the document declares
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._finish
        self._parser.EntityDeclHandler = self._refuse_entity
        self._parser.AttlistDeclHandler = self._refuse_attributes
        self._parser.buffer_text = False
        self._fed = 0
        self._found: list[Found] = []
        self._depth = 0
        self._host = _Host()
        self._port: dict[str, str] = {}

    def feed(self, data: bytes) -> Iterator[Found]:
        """The ports that are complete now, and then FormatError, if what comes behind them is wrong."""
        try:
            self._parse(data, is_last=False)
        except FormatError:
            yield from self._taken()
            raise
        yield from self._taken()
        self._fed += len(data)
        if self._fed - self._parser.CurrentByteIndex > _MAX_TOKEN_BYTES:
            raise FormatError(f"a tag of the XML is longer than {_MAX_TOKEN_BYTES:,} bytes", self._line)

    def end(self) -> Iterator[Found]:
        """Raises FormatError where the document has no end, as that of an nmap that was stopped."""
        self._parse(b"", is_last=True)
        return self._taken()

    @property
    def _line(self) -> int:
        return self._parser.CurrentLineNumber

    def _taken(self) -> Iterator[Found]:
        found, self._found = self._found, []
        return iter(found)

    def _parse(self, data: bytes, is_last: bool) -> None:
        try:
            self._parser.Parse(data, is_last)
        except expat.ExpatError as error:
            why = expat.errors.messages[error.code]
            raise FormatError(f"not well-formed XML ({why}); what stands before was read", error.lineno) from error

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and name != "nmaprun":
            raise FormatError(f"the XML is not nmap's: its root is {name[:40]!r}, not 'nmaprun'", self._line)
        if self._depth > _MAX_DEPTH:
            raise FormatError("the XML is nested deeper than nmap's", self._line)
        match name:
            case "host":
                self._host = _Host()
            case "address" if attributes.get("addrtype") in ("ipv4", "ipv6"):
                self._host.address = attributes.get("addr", "")
            case "hostname":
                self._host.note_name(attributes.get("name", ""), attributes.get("type", ""))
            case "port":
                self._port = attributes
            case "state":
                self._port = self._port | {"state": attributes.get("state", "")}

    def _finish(self, name: str) -> None:
        self._depth -= 1
        if name == "port":
            self._host.has_ports = True
            self._found.append((self._line, self._host.row(self._port)))
        elif name == "host" and not self._host.has_ports:
            self._found.append((self._line, None))

    def _refuse_entity(self, *_: object) -> None:
        raise FormatError("the XML declares entities, which nmap's never does", self._line)

    def _refuse_attributes(self, *_: object) -> None:
        raise FormatError("the XML declares attributes, which nmap's never does", self._line)
