"""The equal shares that an input is dealt into, so that several machines scan one each; together they are the whole.

An endpoint falls to a share by the network of its address, so that the limits of a network live in one of them; a mail
domain by its name; a line that names no address by its text. Nothing else decides: neither the order nor the machine.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from targets.network import Row, Span, address_text, size
from targets.prefixes import IPV4_BITS, IPV6_BITS, Prefixes, share_of

AT_A_TIME = 4096  # networks that are hashed without letting others run: 5 ms
MOST_OF_A_ROW = 2**24  # networks: all /24 of IPv4


@dataclass(frozen=True, slots=True)
class Share:
    """Number `index`, from 1, of `of` shares."""

    index: int = 1
    of: int = 1
    prefixes: Prefixes = field(default_factory=Prefixes)

    @property
    def is_whole(self) -> bool:
        """Is it all that there is?"""
        return self.of == 1

    def has_address(self, address: str) -> bool:
        """Does the network of this address, in its canonical form, fall to it?"""
        return self.of == 1 or self.has_name(self.prefixes.network_of(address))

    def has_name(self, name: str) -> bool:
        """Does this network, mail domain, or text of a line?"""
        return self.of == 1 or share_of(name, self.of) == self.index - 1

    def rows(self, version: int, spans: Iterable[Span]) -> Iterator[Row | None]:
        """What of these spans falls to it: one row, but of networks that are very many or very far apart several.

        None is the moment to let others run.

        Each network is hashed once, and not each address: a /8 takes a tenth of a second, whatever the share.
        """
        row, hashed = Row(), 0
        for first, last in spans:
            for text, low, high in self._networks(version, first, last):
                hashed += 1
                if self.has_name(text):
                    if not row.reaches(high):
                        yield row
                        row = Row()
                    row.add(low, high)
                if hashed % AT_A_TIME == 0:
                    yield None
                if hashed % MOST_OF_A_ROW == 0:
                    yield row
                    row = Row()
        yield row

    def size(self, version: int, spans: Iterable[Span]) -> int:
        """How many addresses of these spans fall to it."""
        return size(spans) if self.is_whole else sum(len(row) for row in self.rows(version, spans) if row is not None)

    def spans(self, version: int, spans: Iterable[Span]) -> Iterable[Span]:
        """What of these spans falls to it, in order."""
        return spans if self.is_whole else (span for row in self.rows(version, spans) if row for span in row.spans())

    def networks(self, version: int, spans: Iterable[Span]) -> int:
        """How many networks these spans touch."""
        _, shift = self._prefix(version)
        return sum((last >> shift) - (first >> shift) + 1 for first, last in spans)

    def _prefix(self, version: int) -> tuple[int, int]:
        """The bits of a network's prefix, and those behind it."""
        length, bits = (self.prefixes.ipv4, IPV4_BITS) if version == 4 else (self.prefixes.ipv6, IPV6_BITS)
        return length, bits - length

    def _networks(self, version: int, first: int, last: int) -> Iterator[tuple[str, int, int]]:
        """The networks of a span, each with the part of it that is in the span."""
        length, shift = self._prefix(version)
        for number in range(first >> shift, (last >> shift) + 1):
            low = number << shift
            yield f"{address_text(version, low)}/{length}", max(first, low), min(last, low + (1 << shift) - 1)


WHOLE = Share()
