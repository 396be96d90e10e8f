"""What one record of a table or of another tool's output says, by the names of its columns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from targets.target import NO_TAGS

HOST, ADDRESS, PORT, SERVICE, DOMAIN = "host", "address", "port", "service", "domain"
COLUMNS = (HOST, ADDRESS, PORT, SERVICE, DOMAIN)
NAMING = frozenset({HOST, ADDRESS, DOMAIN})  # one of them a record needs


@dataclass(frozen=True, slots=True)
class Row:
    """One record; what it does not say is empty. `domain` is a mail domain."""

    host: str = ""
    address: str = ""
    port: str = ""
    service: str = ""
    domain: str = ""
    tags: Mapping[str, str] = field(default_factory=lambda: NO_TAGS)

    @classmethod
    def of(cls, cells: Iterable[tuple[str, str]]) -> Self:
        """The record with these cells. What is not one of our columns is a tag, and so is a domain beside a host."""
        tags = dict(cells)
        host, address, port, service = (tags.pop(name, "") for name in COLUMNS[:-1])
        domain = "" if host or address else tags.pop(DOMAIN, "")
        return cls(host, address, port, service, domain, tags or NO_TAGS)
