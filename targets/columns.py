"""CSV with a header (RFC 4180, one record a line): which column is the host, and which are only carried along."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from targets.target import NO_TAGS, TargetError

HOST, ADDRESS, PORT, SERVICE = "host", "address", "port", "service"
_OURS = (HOST, ADDRESS, PORT, SERVICE)


@dataclass(frozen=True, slots=True)
class Row:
    """One record; what it does not say is empty."""

    host: str
    address: str
    port: str
    service: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Header:
    """The names of the columns, each once: of two alike, the second is a tag called `name_2`."""

    names: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The header that this line is, or None: it has a comma, and names a host or an address."""
        if "," not in text:
            return None
        try:
            names = _distinct(_cells(text))
        except TargetError:
            return None
        return cls(names) if HOST in names or ADDRESS in names else None

    def record(self, text: str) -> Row:
        """The line's cells by column. Raises TargetError with what is wrong with the line."""
        cells = _cells(text)
        if len(cells) != len(self.names):
            raise TargetError(f"the header names {len(self.names)} columns and this line has {len(cells)}")
        row = dict(zip(self.names, cells, strict=True))
        host, address, port, service = (row.pop(name, "") for name in _OURS)
        return Row(host, address, port, service, tags=row or NO_TAGS)


def _cells(text: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([text], strict=True))]
    except csv.Error as error:
        why = "a quote is not closed" if "unexpected end" in str(error) else str(error)
        raise TargetError(f"not a CSV record ({why}); one record a line") from error


def _distinct(cells: list[str]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    copies: dict[str, int] = {}  # a header of 32,768 columns may name them all alike: nobody counts them twice
    for number, cell in enumerate(cells, 1):
        name = cell.lower() if cell.lower() in _OURS else cell
        name = wanted = name or f"column_{number}"
        while name in names:
            copies[wanted] = copies.get(wanted, 1) + 1
            name = f"{wanted}_{copies[wanted]}"
        names[name] = None
    return tuple(names)
