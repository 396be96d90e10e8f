"""A line of input → what it names.

Text has one target a line: `host`, `host:port`, an address, `[v6]:port`, `network/len`, and any of them behind
`service://`. CSV is known by its first line, which names the columns (columns.py). A line that names nothing is a
rejection that says why, never an exception, whatever its bytes are.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network

from targets.columns import Header, Row
from targets.hostname import MAX_REASON, canonical_name
from targets.selection import Selection, port_number, service_named
from targets.services import Service
from targets.target import Address, Host, IPNetwork, Network, Origin, Reason, Rejection, Target, TargetError

MAX_LINE_BYTES = 64 * 1024
MAX_INPUT_BYTES = 1024  # what a record keeps of a line
MIN_V6_PREFIX = 112  # 65,536 addresses: nobody walks through a wider one
_BOM = b"\xef\xbb\xbf"
_SPACE = " \t\r\n"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")  # a tab may stand in a CSV cell
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # what breaks a line, or drives a terminal
_DIGITS_AND_DOTS = re.compile(r"[0-9.]+")


class Parser:
    """Reads the lines of one input in their order: its first line may be a CSV header for all the others."""

    def __init__(self, services: tuple[Service, ...], *, header_allowed: bool = True) -> None:
        self._selection = Selection(services)
        self._header: Header | None = None
        self._header_allowed = header_allowed
        self._at_start = True

    def parse(self, raw: bytes, line: int | None = None) -> Target | Rejection | None:
        """What the line names; None for a blank line, a comment, and the CSV header.

        A line may be cut by the reader behind MAX_LINE_BYTES: it is rejected in any case.
        """
        if self._at_start:
            self._at_start = False
            raw = raw.removeprefix(_BOM)
        try:
            text = _decoded(raw)
            if not text or text[0] == "#":
                return None
            if not text.isprintable() and (control := _CONTROL.search(text)):
                raise TargetError(f"there is a control character, {control.group()!r}, in the line")
            return self._named_by(text, line)
        except TargetError as why:
            return Rejection(Origin(shown(raw.strip()), line), Reason.INVALID, str(why))

    def _named_by(self, text: str, line: int | None) -> Target | None:
        if self._header_allowed:
            self._header_allowed = False
            if header := Header.read(text):
                self._header = header
                return None
        if self._header:
            record = self._header.record(text)
            return self._from_record(record, Origin(_kept(text), line, record.tags))
        return self._from_text(text, Origin(_kept(text), line))

    def _from_text(self, text: str, origin: Origin) -> Target:
        name, mark, rest = text.partition("://")
        service = service_named(name) if mark else None
        written = _taken_apart(rest.removesuffix("/") if mark else text)
        port = None if written.port is None else port_number(written.port)
        asked = self._selection.asked(service, port)
        place = _network(written.place, written.length)
        if place is None:
            return Host(origin, canonical_name(written.place), asked)
        return Network(origin, place, asked)

    def _from_record(self, record: Row, origin: Origin) -> Target:
        service = service_named(record.service) if record.service else None
        asked = self._selection.asked(service, port_number(record.port) if record.port else None)
        beside = _address_cell(record.address) if record.address else None
        if not record.host:
            if beside is None:
                raise TargetError("the line has neither a host nor an address")
            return Network(origin, beside, asked)
        place = _place_cell(record.host)
        if place is not None:
            if beside is not None and beside != place:
                raise TargetError("the host column holds an address, and the address column another one")
            return Network(origin, place, asked)
        return Host(origin, canonical_name(record.host), asked, _only_address(beside))


@dataclass(frozen=True, slots=True)
class _Written:
    """The parts of a text target as they are written, none of them checked."""

    place: str
    length: str | None = None
    port: str | None = None


def shown(raw: bytes) -> str:
    """Bytes from outside as text that is safe in a record: at most 1,024 of them, with nothing raw left."""
    return _UNSAFE.sub(_escaped, raw[:MAX_INPUT_BYTES].decode(errors="backslashreplace"))


def _escaped(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode()


def _kept(text: str) -> str:
    if len(text) <= MAX_INPUT_BYTES // 4 and text.isprintable():
        return text  # at most four bytes a character
    return shown(text.encode())


def _decoded(raw: bytes) -> str:
    if len(raw) > MAX_LINE_BYTES:
        raise TargetError(f"the line is longer than {MAX_LINE_BYTES:,} bytes")
    try:
        return raw.decode().strip(_SPACE)
    except UnicodeDecodeError as error:
        bad = raw[error.start]
        raise TargetError(
            f"byte {error.start + 1} of the line, 0x{bad:02x}, is not UTF-8; convert the input to UTF-8"
        ) from error


def _taken_apart(rest: str) -> _Written:
    if rest.startswith("["):
        return _bracketed(rest)
    if "/" in rest:
        place, _, tail = rest.partition("/")
        if not _is_address_like(place):
            raise TargetError(f"{'/' + tail[:40]!r} is a path; only hosts are scanned, leave it out")
        length, mark, port = tail.partition(":")
        return _Written(place, length, port if mark else None)
    if rest.count(":") == 1:
        place, _, port = rest.partition(":")
        return _Written(place, None, port)
    return _Written(rest)


def _bracketed(rest: str) -> _Written:
    place, closed, tail = rest[1:].partition("]")
    if not closed:
        raise TargetError("the '[' is not closed")
    if ":" not in place:
        raise TargetError("only an IPv6 address stands in brackets")
    before, mark, port = tail.partition(":")
    if before and not before.startswith("/"):
        raise TargetError(f"{tail[:40]!r} behind the ']' is not a port; write [address]:port")
    return _Written(place, before[1:] if before else None, port if mark else None)


def _is_address_like(place: str) -> bool:
    """Digits and dots, or more than one colon. One colon alone stands before a port."""
    return place.count(":") > 1 or _DIGITS_AND_DOTS.fullmatch(place) is not None


def _network(place: str, length: str | None) -> IPNetwork | None:
    """The network that a place is, of one address where no length is given; None for a host name."""
    if not _is_address_like(place):
        if length is not None or ":" in place:  # [a:b], or [a:b]/64
            raise TargetError(f"{place[:60]!r} is not an IPv6 address")
        return None
    address = _address(place)
    bits: int = address.max_prefixlen
    if length is None:
        prefix = bits
    elif length.isascii() and length.isdigit() and len(length) <= 3 and int(length) <= bits:
        prefix = int(length)
    else:
        raise TargetError(f"{length[:40]!r} is not a prefix length; behind an address '/' is for 0 to {bits}")
    if isinstance(address, IPv4Address):
        return IPv4Network((int(address), prefix), strict=False)
    if prefix < MIN_V6_PREFIX:
        raise TargetError(
            f"an IPv6 /{prefix} has too many addresses to walk through; "
            f"the widest is /{MIN_V6_PREFIX} (65,536 addresses): list the addresses that are in use"
        )
    return IPv6Network((int(address), prefix), strict=False)


def _address(place: str) -> Address:
    if "%" in place:
        raise TargetError("an address with a zone ('%…') means something on one machine only and is not scanned")
    try:
        return IPv6Address(place) if ":" in place else IPv4Address(place)
    except AddressValueError as error:
        raise TargetError(_why_no_address(place, error)) from error


def _why_no_address(place: str, error: AddressValueError) -> str:
    why = str(error)[:MAX_REASON]  # it quotes the place, which may be a whole line long
    if ":" in place:
        return f"not an IPv6 address ({why}); with a port write [address]:port"
    return f"not an IPv4 address ({why}), and not a host name (its last label is all digits)"


def _place_cell(cell: str) -> IPNetwork | None:
    """The network or address in a CSV cell, or None for a host name."""
    written = _Written(cell)
    if "/" in cell or cell.startswith("["):
        written = _taken_apart(cell)
    if written.port is not None or cell.count(":") == 1:
        raise TargetError("the port belongs in a column of its own, called 'port'")
    return _network(written.place, written.length)


def _address_cell(cell: str) -> IPNetwork:
    place = _place_cell(cell)
    if place is None:
        raise TargetError(f"{cell[:60]!r} in the address column is not an address")
    return place


def _only_address(beside: IPNetwork | None) -> Address | None:
    if beside is None:
        return None
    if beside.prefixlen != beside.max_prefixlen:
        raise TargetError("a host has one address beside it, not a network")
    return beside.network_address
