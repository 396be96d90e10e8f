"""What is written → what it names: a line of text, or the rows of another form.

Text has one target a line: `host`, `host:port`, an address, `[v6]:port`, `network/len`, any of them behind `service://`,
and `mx:domain`. What names nothing is a rejection that says why, never an exception, whatever its bytes are.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from targets.hostname import canonical_name
from targets.place import (
    MIN_V6_PREFIX,
    address_cell,
    is_address_like,
    network,
    network_cell,
    only_address,
    taken_apart,
)
from targets.row import Row
from targets.rules import Rules
from targets.selection import Asked, Selection, port_number, service_named
from targets.services import Service
from targets.shown import kept, shown
from targets.target import Host, IPNetwork, MailDomain, Network, Origin, Reason, Rejection, Target, TargetError

MAX_LINE_BYTES = 64 * 1024
_SPACE = " \t\r\n"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")  # a tab may stand in a CSV cell
_MX = "mx:"
_SMTP_PORT = 25

Named = Target | Rejection | None  # None: a blank line, a comment, a header


class Parser:
    """Knows what the user selected, and by which rules what is written is read."""

    def __init__(self, services: tuple[Service, ...], rules: Rules | None = None) -> None:
        self._selection = Selection(services)
        self._rules = rules or Rules()

    def parse(self, raw: bytes, line: int | None = None) -> Named:
        """What a line of text names; None for a blank line and a comment.

        A line may be cut by the reader behind MAX_LINE_BYTES: it is rejected in any case.
        """
        try:
            text = _content(raw)
            return self._from_text(text, Origin(kept(text), line)) if text else None
        except TargetError as why:
            return _rejected(raw, line, why)

    def parse_rows(self, raw: bytes, line: int, rows: Callable[[str], Iterable[Row | None]]) -> Iterator[Named]:
        """What a line of another form names: None where `rows` finds none, or has None for one.

        Raises FormatError where the input is not of that form at all.
        """
        try:
            text = _content(raw)
            found = tuple(rows(text)) if text else ()
        except TargetError as why:
            yield _rejected(raw, line, why)
            return
        for row in found or (None,):
            yield None if row is None else self.parse_row(row, kept(text), line)

    def parse_row(self, row: Row, written: str, line: int) -> Target | Rejection:
        """What a row names; `written` is what is kept of its text."""
        origin = Origin(written, line, row.tags)
        try:
            return self._from_row(row, origin)
        except TargetError as why:
            return Rejection(origin, Reason.INVALID, str(why))

    def _from_text(self, text: str, origin: Origin) -> Target:
        if text[:3].lower() == _MX and not text[3:].isdigit():  # mx:25 is a host called mx
            return self._mail_domain(text[3:], origin)
        name, mark, rest = text.partition("://")
        service = service_named(name) if mark else None
        written = taken_apart(rest.removesuffix("/") if mark else text)
        port = None if written.port is None else port_number(written.port)
        place = network(written.place, written.length)
        if place is not None:
            return self._network(place, service, port, origin)
        if service is None and port is None and self._rules.names_are_domains:
            return self._plain_domain(written.place, origin)
        return Host(origin, canonical_name(written.place), self._selection.asked(service, port))

    def _from_row(self, row: Row, origin: Origin) -> Target:
        service = service_named(row.service) if row.service else None
        port = port_number(row.port) if row.port else None
        beside = address_cell(row.address) if row.address else None
        if row.domain:
            return self._domain_of_row(row.domain, service, port, origin)
        if not row.host:
            if beside is None:
                raise TargetError("the line has neither a host nor an address")
            return self._network(beside, service, port, origin)
        place = network_cell(row.host)
        if place is not None:
            if beside is not None and beside != place:
                raise TargetError("the host column holds an address, and the address column another one")
            return self._network(place, service, port, origin)
        if service is None and port is None and beside is None and self._rules.names_are_domains:
            return self._plain_domain(row.host, origin)
        asked = self._selection.asked(service, port)
        return Host(origin, canonical_name(row.host), asked, only_address(beside))

    def _network(self, place: IPNetwork, service: Service | None, port: int | None, origin: Origin) -> Network:
        asked: Asked = self._selection.asked(service, port)
        if place.version == 6 and place.prefixlen < MIN_V6_PREFIX and self._rules.ipv6_most is None:
            raise TargetError(
                f"an IPv6 /{place.prefixlen} has too many addresses to walk through; the widest is /{MIN_V6_PREFIX} "
                "(65,536 addresses): list the addresses that are in use, or take some of each by --ipv6-most N"
            )
        return Network(origin, place, asked)

    def _mail_domain(self, written: str, origin: Origin) -> MailDomain:
        """What stands behind `mx:`."""
        if written.startswith("[") or is_address_like(written):
            raise TargetError("an address has no MX records; behind mx: stands the name of a mail domain")
        name, mark, port = written.partition(":")
        number = port_number(port) if mark else _SMTP_PORT
        return MailDomain(origin, canonical_name(name), number, mx=True, srv=self._rules.srv)

    def _plain_domain(self, name: str, origin: Origin) -> MailDomain:
        return MailDomain(origin, canonical_name(name), mx=self._rules.mx, srv=self._rules.srv)

    def _domain_of_row(self, name: str, service: Service | None, port: int | None, origin: Origin) -> MailDomain:
        if service is not None and service.name != "smtp":
            raise TargetError(f"a mail domain is asked by smtp, not by {service.name}; name a host for that")
        return MailDomain(origin, canonical_name(name), port or _SMTP_PORT, mx=True, srv=self._rules.srv)


def _content(raw: bytes) -> str:
    """The text of a line without the white space around it; nothing for a comment. Raises TargetError."""
    text = _decoded(raw)
    if not text or text[0] == "#":
        return ""
    if not text.isprintable() and (control := _CONTROL.search(text)):
        raise TargetError(f"there is a control character, {control.group()!r}, in the line")
    return text


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


def _rejected(raw: bytes, line: int | None, why: TargetError) -> Rejection:
    return Rejection(Origin(shown(raw.strip()), line), Reason.INVALID, str(why))
