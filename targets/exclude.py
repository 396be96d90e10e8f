"""What is not scanned: special-purpose ranges, and the user's block list. Asked after DNS, for every address.

The special-purpose ranges are those of RFC 6890 and its successors in IANA's registries. `--allow` lifts them where
somebody scans their own network; the user's list always wins. An IPv6 address with an IPv4 address in it (mapped,
NAT64, 6to4) is blocked with that IPv4 address, so that a list of IPv4 networks cannot be gone around.

All is kept as intervals of numbers, so that 10.0.0.0/8 is answered for at once and not 16 million times.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from itertools import islice

from targets.network import Span, address_text, size
from targets.target import Address, IPNetwork


@dataclass(frozen=True, slots=True)
class SpecialRange:
    """One row: a network that is not the public Internet, what it is for, and who says so."""

    network: IPNetwork
    purpose: str
    source: str


SPECIAL_RANGES: tuple[SpecialRange, ...] = tuple(
    SpecialRange(ip_network(network), purpose, source)
    for network, purpose, source in (
        ("0.0.0.0/8", "this network", "RFC 791 §3.2"),
        ("10.0.0.0/8", "private use", "RFC 1918"),
        ("100.64.0.0/10", "carrier-grade NAT", "RFC 6598"),
        ("127.0.0.0/8", "loopback", "RFC 1122 §3.2.1.3"),
        ("169.254.0.0/16", "link-local", "RFC 3927"),
        ("172.16.0.0/12", "private use", "RFC 1918"),
        ("192.0.0.0/24", "IETF protocol assignments", "RFC 6890 §2.1"),
        ("192.0.2.0/24", "documentation", "RFC 5737"),
        ("192.88.99.0/24", "6to4 relay anycast, deprecated", "RFC 7526"),
        ("192.168.0.0/16", "private use", "RFC 1918"),
        ("198.18.0.0/15", "benchmarking", "RFC 2544"),
        ("198.51.100.0/24", "documentation", "RFC 5737"),
        ("203.0.113.0/24", "documentation", "RFC 5737"),
        ("224.0.0.0/4", "multicast", "RFC 5771"),
        ("240.0.0.0/4", "reserved", "RFC 1112 §4"),
        ("255.255.255.255/32", "limited broadcast", "RFC 919 §7"),
        ("::/128", "unspecified", "RFC 4291 §2.5.2"),
        ("::1/128", "loopback", "RFC 4291 §2.5.3"),
        ("::ffff:0:0/96", "IPv4-mapped", "RFC 4291 §2.5.5.2"),
        ("64:ff9b::/96", "NAT64", "RFC 6052"),
        ("64:ff9b:1::/48", "NAT64 for local use", "RFC 8215"),
        ("100::/64", "discard-only", "RFC 6666"),
        ("2001::/23", "IETF protocol assignments", "RFC 2928"),
        ("2001:2::/48", "benchmarking", "RFC 5180"),
        ("2001:10::/28", "ORCHID, deprecated", "RFC 4843"),
        ("2001:db8::/32", "documentation", "RFC 3849"),
        ("2002::/16", "6to4", "RFC 3056"),
        ("3fff::/20", "documentation", "RFC 9637"),
        ("5f00::/16", "segment routing SIDs", "RFC 9602"),
        ("fc00::/7", "unique local", "RFC 4193"),
        ("fe80::/10", "link-local", "RFC 4291 §2.5.6"),
        ("ff00::/8", "multicast", "RFC 4291 §2.7"),
    )
)

# Where IPv6 holds an IPv4 address: behind which prefix, and how many bits follow it.
_EMBEDDINGS: tuple[tuple[int, int], ...] = (
    (int(IPv6Address("::ffff:0:0")), 0),  # RFC 4291 §2.5.5.2
    (int(IPv6Address("64:ff9b::")), 0),  # RFC 6052 §2.2
    (int(IPv6Address("2002::")), 80),  # RFC 3056 §2
)
_EXAMPLES = 3  # how many ranges of the block list are named for a network


class Ranges:
    """A set of numbers, kept as sorted intervals that neither overlap nor touch."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in sorted(spans):  # in order, each is added at the end
            self.add(first, last)

    def add(self, first: int, last: int) -> None:
        """Put in every number from `first` to `last`, both included."""
        low = bisect_left(self._lasts, first - 1)  # from here on, intervals end where they overlap or touch
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]

    def __contains__(self, value: int) -> bool:
        index = bisect_left(self._lasts, value)
        return index < len(self._firsts) and self._firsts[index] <= value

    def __iter__(self) -> Iterator[Span]:
        return zip(self._firsts, self._lasts, strict=True)

    def around(self, value: int) -> Span | None:
        """The interval that holds the number."""
        index = bisect_left(self._lasts, value)
        if index < len(self._firsts) and self._firsts[index] <= value:
            return self._firsts[index], self._lasts[index]
        return None

    def within(self, first: int, last: int) -> Iterator[Span]:
        """The parts of `first` to `last` that are in the set, in order."""
        for index in range(bisect_left(self._lasts, first), len(self._firsts)):
            if self._firsts[index] > last:
                return
            yield max(first, self._firsts[index]), min(last, self._lasts[index])

    def without(self, first: int, last: int) -> Iterator[Span]:
        """The parts of `first` to `last` that are not in the set, in order."""
        for taken_first, taken_last in self.within(first, last):
            if first < taken_first:
                yield first, taken_first - 1
            first = taken_last + 1
        if first <= last:
            yield first, last

    @property
    def count(self) -> int:
        """How many numbers are in the set."""
        return size(self)


class Exclusions:
    """What may not be connected to: special-purpose ranges without those that are allowed, and the user's list."""

    def __init__(self, allow: Iterable[IPNetwork] = (), block: Iterable[IPNetwork] = ()) -> None:
        allowed = by_version(allow)
        special = by_version(row.network for row in SPECIAL_RANGES)
        self._special = {version: _difference(special[version], allowed[version]) for version in (4, 6)}
        self._listed = by_version(block)
        blocked_v4 = Ranges([*self._special[4], *self._listed[4]])
        blocked_v6 = Ranges([*self._special[6], *self._listed[6], *_embeddings_of(blocked_v4)])
        self._blocked = {4: blocked_v4, 6: blocked_v6}

    def is_blocked(self, version: int, value: int) -> bool:
        """Whether an address, given as its number, may not be connected to."""
        return value in self._blocked[version]

    def blocked(self, address: Address) -> str | None:
        """Why the address may not be connected to (the range, and what would allow it), or None if it may."""
        value = int(address)
        if not self.is_blocked(address.version, value):
            return None
        if why := self._why(address.version, value):
            return why
        inner = _embedded_in(value)
        return f"the IPv4 address in it is {IPv4Address(inner)}; {self._why(4, inner)}"

    def remaining(self, network: IPNetwork) -> tuple[list[Span], int]:
        """The parts of the network that may be scanned, and how many of its addresses may not be."""
        first, last = ends_of(network)
        spans = list(self.allowed_within(network.version, first, last))
        return spans, last - first + 1 - size(spans)

    def allowed_within(self, version: int, first: int, last: int) -> Iterator[Span]:
        """The parts of `first` to `last` that may be scanned, in order."""
        return self._blocked[version].without(first, last)

    def blocked_within(self, network: IPNetwork) -> str:
        """Why parts of the network may not be scanned: the special-purpose ranges, the first on the block list."""
        version, (first, last) = network.version, ends_of(network)
        special = [row for row in SPECIAL_RANGES if network.overlaps(row.network) and self._holds(row, network)]
        listed = list(islice(self._listed[version].within(first, last), _EXAMPLES + 1))
        parts = []
        if special:
            named = ", ".join(f"{row.network} ({row.purpose}, {row.source})" for row in special)
            parts.append(f"special-purpose: {named}; --allow CIDR lets such a range be scanned")
        if listed:
            named = ", ".join(_span_text(version, span) for span in listed[:_EXAMPLES])
            parts.append(f"on the block list: {named}{' and more' if len(listed) > _EXAMPLES else ''}")
        return "; ".join(parts) or "the IPv4 addresses in them are blocked"

    def _holds(self, row: SpecialRange, network: IPNetwork) -> bool:
        """Whether something of the row is in the network and not allowed."""
        (first, last), (row_first, row_last) = ends_of(network), ends_of(row.network)
        left = self._special[network.version].within(max(first, row_first), min(last, row_last))
        return next(left, None) is not None

    def _why(self, version: int, value: int) -> str | None:
        if span := self._listed[version].around(value):
            return f"it is on the block list ({_span_text(version, span)})"
        if value not in self._special[version]:
            return None
        row = _special_range_of(version, value)
        return (
            f"it is in {row.network}, a special-purpose range ({row.purpose}, {row.source}); "
            f"--allow {row.network} lets it be scanned"
        )


class BlockListError(ValueError):
    """A line of a block list that cannot be read; nothing is scanned with half a block list."""

    def __init__(self, path: str, line: int, why: str) -> None:
        super().__init__(f"{path}:{line}: {why}")
        self.path = path
        self.line = line
        self.why = why


def block_list(lines: Iterable[bytes], path: str) -> list[IPNetwork]:
    """The networks of a block list in ZMap's format: one CIDR or address a line, `#` begins a comment anywhere.

    `path` is for the messages. Raises BlockListError for the first line that is anything else.
    """
    networks: list[IPNetwork] = []
    for number, raw in enumerate(lines, 1):
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8").partition("#")[0].strip()
            if text:
                networks.append(ip_network(text, strict=False))
        except UnicodeDecodeError as error:
            raise BlockListError(path, number, "not UTF-8 text") from error
        except ValueError as error:
            raise BlockListError(path, number, f"{text[:60]!r} is neither a CIDR nor an address") from error
    return networks


def by_version(networks: Iterable[IPNetwork]) -> dict[int, Ranges]:
    """Their addresses as numbers, of IPv4 (4) and of IPv6 (6)."""
    spans: dict[int, list[Span]] = {4: [], 6: []}
    for network in networks:
        spans[network.version].append(ends_of(network))
    return {version: Ranges(ends) for version, ends in spans.items()}


def ends_of(network: IPNetwork) -> Span:
    """The first of its addresses, and the last."""
    return int(network.network_address), int(network.broadcast_address)


def _difference(ranges: Ranges, taken: Ranges) -> Ranges:
    return Ranges(left for first, last in ranges for left in taken.without(first, last))


def _embeddings_of(v4: Ranges) -> Iterator[Span]:
    """The IPv6 spans whose addresses hold an IPv4 address of these."""
    for first, last in v4:
        for prefix, bits_behind in _EMBEDDINGS:
            yield prefix + (first << bits_behind), prefix + ((last + 1) << bits_behind) - 1


def _embedded_in(value: int) -> int:
    """The IPv4 address in an IPv6 address of one of the embedding prefixes."""
    for prefix, bits_behind in _EMBEDDINGS:
        if value >> bits_behind + 32 == prefix >> bits_behind + 32:
            return value >> bits_behind & 0xFFFFFFFF
    raise ValueError("no IPv4 address in it")


def _special_range_of(version: int, value: int) -> SpecialRange:
    """The narrowest row that holds the address."""
    rows = (row for row in SPECIAL_RANGES if row.network.version == version)
    holding = (row for row in rows if ends_of(row.network)[0] <= value <= ends_of(row.network)[1])
    return max(holding, key=lambda row: row.network.prefixlen)


def _span_text(version: int, span: Span) -> str:
    first, last = span
    if first == last:
        return address_text(version, first)
    return f"{address_text(version, first)} to {address_text(version, last)}"
