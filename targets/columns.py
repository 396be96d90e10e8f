"""CSV with a header (RFC 4180, one record a line): which column is the host, and which are only carried along."""

import csv
from dataclasses import dataclass
from typing import Self

from targets.row import COLUMNS, NAMING, Row
from targets.target import FormatError, TargetError


@dataclass(frozen=True, slots=True)
class Header:
    """The names of the columns, each once: of two alike, the second is a tag called `name_2`."""

    names: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The header that this line is, or None: it names a host, an address or a domain."""
        try:
            names = _distinct(cells_of(text))
        except TargetError:
            return None
        return cls(names) if NAMING.intersection(names) else None

    def row(self, text: str) -> Row:
        """The line's cells by column. Raises TargetError with what is wrong with the line."""
        cells = cells_of(text)
        if len(cells) != len(self.names):
            raise TargetError(f"the header names {len(self.names)} columns and this line has {len(cells)}")
        return Row.of(zip(self.names, cells, strict=True))


class Csv:
    """The lines of a CSV file: the first is the header."""

    def __init__(self) -> None:
        self._header: Header | None = None

    def rows(self, text: str) -> tuple[Row, ...]:
        """The record of a line; none for the header. Raises TargetError, and FormatError where there is no header."""
        if self._header is not None:
            return (self._header.row(text),)
        self._header = Header.read(text)
        if self._header is None:
            raise FormatError("the first line is no CSV header: it names neither a host, nor an address, nor a domain")
        return ()


def cells_of(text: str) -> list[str]:
    """The cells of a line, without the white space around them. Raises TargetError."""
    try:
        return [cell.strip() for cell in next(csv.reader([text], strict=True))]
    except csv.Error as error:
        why = "a quote is not closed" if "unexpected end" in str(error) else str(error)
        raise TargetError(f"not a CSV record ({why}); one record a line") from error


def _distinct(cells: list[str]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    copies: dict[str, int] = {}  # a header of 32,768 columns may name them all alike: nobody counts them twice
    for number, cell in enumerate(cells, 1):
        name = cell.lower() if cell.lower() in COLUMNS else cell
        name = wanted = name or f"column_{number}"
        while name in names:
            copies[wanted] = copies.get(wanted, 1) + 1
            name = f"{wanted}_{copies[wanted]}"
        names[name] = None
    return tuple(names)
