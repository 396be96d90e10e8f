"""The bytes of one input → what they name, line by line, in the form that the user names or that the first lines show.

A line is what is counted: in nmap's XML and grepable output and in masscan's JSON, each port is one, and the framing
around it is none. In all forms, the number of a line that a record has is where it stands.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, assert_never

from targets import lists, masscan, nmap, objects
from targets.columns import Csv
from targets.format import format_of
from targets.parse import MAX_LINE_BYTES, Named, Parser
from targets.row import Row
from targets.rules import Format, Rules
from targets.services import Service
from targets.shown import kept
from targets.splitter import LineSplitter

_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
Rows = Callable[[str], Iterable[Row | None]]


class Reader:
    """Reads one input. Its answers are lazy: take each to its end before the next bytes are fed.

    Raises FormatError where the input as a whole is not of its form; what it named before holds.
    """

    def __init__(self, services: tuple[Service, ...], rules: Rules | None = None) -> None:
        self._rules = rules or Rules()
        self._parser = Parser(services, self._rules)
        self._body: _Body | None = None
        self._held = b""
        self._line = 1
        self._at_start = True

    def feed(self, data: bytes) -> Iterable[Named]:
        """What the lines name that are complete now; None for each that names nothing and is no mistake."""
        return self._body.feed(data) if self._body else self._begin(data, is_end=False)

    def end(self) -> Iterator[Named]:
        """The same for what no newline ended."""
        if self._body is None:
            yield from self._begin(b"", is_end=True)
        if self._body:
            yield from self._body.end()

    def _begin(self, data: bytes, is_end: bool) -> Iterator[Named]:
        """Skip what does not tell the form; at most one line is held back for it."""
        self._held += data
        while self._held:
            line, newline, rest = self._held.partition(b"\n")
            if not (newline or is_end or len(line) > MAX_LINE_BYTES):
                return
            if self._at_start:
                self._at_start = False
                self._held, line = self._held.removeprefix(_BOM), line.removeprefix(_BOM)
            if form := format_of(line[:MAX_LINE_BYTES]):
                self._body = self._body_of(self._rules.format or form, line)
                held, self._held = self._held, b""
                yield from self._body.feed(held)
                return
            yield self._parser.parse(line, self._line)  # a blank line or a comment, or one that is not even text
            self._held = rest
            self._line += 1

    def _body_of(self, form: Format, line: bytes) -> "_Body":
        """The reader of a form that has variants, by the line that it begins with."""
        match form:
            case Format.TEXT:
                return _Lines(self._parser, self._line, None)
            case Format.NMAP if line.lstrip(_SPACE).startswith(b"<"):
                return _Xml(self._parser, self._line)
            case Format.MASSCAN if line.lstrip(_SPACE).startswith((b"[", b"{")):
                return _Json(self._parser, self._line)
        return _Lines(self._parser, self._line, _rows_of(form))


def _rows_of(form: Format) -> Rows:
    match form:
        case Format.CSV:
            return Csv().rows
        case Format.JSONL:
            return objects.rows
        case Format.TRANCO:
            return lists.tranco
        case Format.ZMAP:
            return lists.Zmap().rows
        case Format.MASSCAN:
            return lists.masscan
        case Format.NMAP:
            return nmap.grepable
        case Format.ZGRAB2:
            return lists.zgrab2
        case Format.TEXT:
            raise ValueError("text has no rows")
        case never:
            assert_never(never)


class _Body(Protocol):
    """What reads an input from the line on that told its form."""

    def feed(self, data: bytes) -> Iterable[Named]: ...

    def end(self) -> Iterable[Named]: ...


class _Lines:
    """Lines of text (without rows), or of another form."""

    def __init__(self, parser: Parser, line: int, rows: Rows | None) -> None:
        self._parser = parser
        self._splitter = LineSplitter()
        self._line = line
        self._rows = rows

    def feed(self, data: bytes) -> Iterator[Named]:
        return self._named(self._splitter.feed(data))

    def end(self) -> Iterator[Named]:
        return self._named(self._splitter.end())

    def _named(self, lines: list[bytes]) -> Iterator[Named]:
        for line in lines:
            number = self._line
            self._line = number + 1
            if self._rows is None:
                yield self._parser.parse(line, number)
            else:
                yield from self._parser.parse_rows(line, number, self._rows)


class _Xml:
    """nmap's XML."""

    def __init__(self, parser: Parser, line: int) -> None:
        self._parser = parser
        self._reader = nmap.XmlReader()
        self._before = line - 1

    def feed(self, data: bytes) -> Iterator[Named]:
        return self._named(self._reader.feed(data))

    def end(self) -> Iterator[Named]:
        return self._named(self._reader.end())

    def _named(self, found: Iterable[nmap.Found]) -> Iterator[Named]:
        for line, row in found:
            yield None if row is None else self._parser.parse_row(row, _as_text(row), self._before + line)


class _Json:
    """masscan's JSON."""

    def __init__(self, parser: Parser, line: int) -> None:
        self._parser = parser
        self._splitter = masscan.ElementSplitter()
        self._before = line - 1

    def feed(self, data: bytes) -> Iterator[Named]:
        return self._named(self._splitter.feed(data))

    def end(self) -> Iterator[Named]:
        return self._named(self._splitter.end())

    def _named(self, elements: Iterable[masscan.Element]) -> Iterator[Named]:
        for line, element in elements:
            yield from self._parser.parse_rows(element, self._before + line, masscan.rows)


def _as_text(row: Row) -> str:
    """How the target would be written as text, for what was never written in one piece."""
    place = row.host or (f"[{row.address}]" if ":" in row.address else row.address)
    return kept(f"{place}:{row.port}")
