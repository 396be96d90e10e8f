"""How what is written is to be read: what the user says of all inputs, beside the services."""

from dataclasses import dataclass
from enum import StrEnum


class Format(StrEnum):
    """The forms of an input. Their names are those of the tools that write them."""

    TEXT = "text"
    CSV = "csv"
    JSONL = "jsonl"
    TRANCO = "tranco"
    ZMAP = "zmap"
    MASSCAN = "masscan"
    NMAP = "nmap"
    ZGRAB2 = "zgrab2"


@dataclass(frozen=True, slots=True)
class Rules:
    """`format` is of all inputs; None: each is recognised by its first lines.

    With `mx` or `srv`, a plain name (without service, port and address) is a mail domain. `ipv6_most` is how many
    addresses are taken of an IPv6 network that is too wide to walk through; None: such a network is rejected.
    """

    format: Format | None = None
    mx: bool = False
    srv: bool = False
    ipv6_most: int | None = None

    @property
    def names_are_domains(self) -> bool:
        """Is a plain name the name of a mail domain, and not of a host?"""
        return self.mx or self.srv
