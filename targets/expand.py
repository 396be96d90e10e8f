"""A target → the endpoints that it stands for, without those that are blocked and those that were there before.

A network goes service by service, each in an order of its own that the seed decides (permutation.py): one address is
then not asked seven times in a row, neighbours are not asked together, and networks of any size start at once. It comes
in chunks, so that whoever takes them can let others run in between.

Of an IPv6 network that is too wide to walk through, the first addresses of that order are taken, as many as --ipv6-most
says: the same for each of its services.

Where a run has a share of its input (shares.py), what falls to others is neither given nor remembered. A line counts in
one share: that of its first address, of those that may be scanned; without one, that of its text.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from targets.domain_expand import DomainExpander
from targets.domain_targets import DomainTargets
from targets.exclude import Exclusions, Ranges
from targets.network import Span, address_text, addresses, size
from targets.place import MIN_V6_PREFIX
from targets.resolver import Failure, Resolver
from targets.seen import Lane, Seen
from targets.services import Service
from targets.shares import WHOLE, Share
from targets.target import Address, Endpoint, Host, Network, Origin, Reason, Rejection

Item = Endpoint | Rejection | DomainTargets

CHUNK = 256  # addresses of a network at a time


@dataclass(frozen=True, slots=True)
class Line:
    """What a name gave. `counts`: is it this share that its line counts in?"""

    items: list[Item]
    counts: bool = True


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Addresses of a network that are new, and how many among them were not."""

    new: list[int]
    repeated: int = 0


class Expander:
    """Holds what a run excludes and what it has seen; its answers depend on the order in which it is asked.

    `seed` decides the order in which networks are walked through, and `ipv6_most` how far in a wide one.
    `with_policies`: are mail domains asked for what they promise?
    """

    def __init__(
        self,
        exclusions: Exclusions,
        seen: Seen,
        resolver: Resolver,
        *,
        with_policies: bool = True,
        seed: int = 0,
        ipv6_most: int | None = None,
        share: Share = WHOLE,
    ) -> None:
        self.exclusions = exclusions
        self.share = share
        self._elsewhere = 0
        self.domains = DomainExpander(exclusions, seen, resolver, with_policies=with_policies, share=share)
        self._seen = seen
        self._resolver = resolver
        self._seed = seed
        self._ipv6_most = ipv6_most

    @property
    def elsewhere(self) -> int:
        """How many endpoints were named that fall to other shares; each time that they were."""
        return self._elsewhere + self.domains.elsewhere

    async def resolve(self, host: Host) -> Line:
        """The endpoints of a name that is to be looked up: its services on all its addresses.

        Raises NoNameServersError where there is nobody to ask.
        """
        resolution = await self._resolver.resolve(host.name)
        items = self._host_items(host, resolution.addresses)
        if resolution.failures and self.share.has_name(host.origin.input):
            items.append(_dns_rejection(host.origin, resolution.failures))
        return Line(items, self._counts(host, resolution.addresses))

    def counts(self, target: Host | Network) -> bool:
        """Is it this share that the line counts in? Of a target for which nobody is asked."""
        if isinstance(target, Host):
            return self._counts(target, (target.address,) if target.address else ())
        if self.share.is_whole:
            return True
        spans, _ = self.exclusions.remaining(target.network)
        first = address_text(target.network.version, spans[0][0]) if spans else None
        return self._falls_here(target.origin, first)

    def _counts(self, host: Host, found: Iterable[Address]) -> bool:
        if self.share.is_whole:
            return True
        first = next((str(address) for address in found if not self.exclusions.blocked(address)), None)
        return self._falls_here(host.origin, first)

    def _falls_here(self, origin: Origin, address: str | None) -> bool:
        """What belongs to an address, or else to a line alone."""
        return self.share.has_name(origin.input) if address is None else self.share.has_address(address)

    def chunks(self, target: Host | Network) -> Iterable[list[Item]]:
        """The endpoints of a network, or of a name with its address, for which nobody is asked.

        A chunk may be empty: that is the moment to let others run.
        """
        if isinstance(target, Host):
            if target.address is None:
                raise ValueError(f"{target.name} has to be resolved")
            return (self._host_items(target, (target.address,)),)
        if target.network.prefixlen == target.network.max_prefixlen:
            return (self._address_items(target),)
        return self._network_chunks(target)

    def _host_items(self, host: Host, found: Iterable[Address]) -> list[Item]:
        items: list[Item] = []
        repeated: list[Endpoint] = []
        for address in found:
            text, why = str(address), self.exclusions.blocked(address)
            if not self.share.has_address(text):
                self._elsewhere += 0 if why else len(host.services)
                continue
            if why:
                items.append(Rejection(host.origin, Reason.BLOCKED, why, text))
                continue
            for service, port in host.services:
                is_new = self._seen.add_named(host.name, text, port, service.name)
                endpoint = Endpoint(host.origin, host.name, text, port, service)
                items.append(endpoint) if is_new else repeated.append(endpoint)
        if repeated:
            items.append(_duplicates(host.origin, repeated))
        return items

    def _address_items(self, target: Network) -> list[Item]:
        """The same for one address without a name; the path of most lines of most inputs, hence apart."""
        version = target.network.version
        value = int(target.network.network_address)
        text = address_text(version, value)
        is_blocked = self.exclusions.is_blocked(version, value)
        if not self.share.has_address(text):
            self._elsewhere += 0 if is_blocked else len(target.services)
            return []
        if is_blocked:
            why = self.exclusions.blocked(target.network.network_address)
            return [Rejection(target.origin, Reason.BLOCKED, why or "", text)]
        items: list[Item] = []
        repeated: list[Endpoint] = []
        for service, port in target.services:
            is_new = self._seen.lane(version, service.name, port).add(value)
            endpoint = Endpoint(target.origin, None, text, port, service)
            items.append(endpoint) if is_new else repeated.append(endpoint)
        if repeated:
            items.append(_duplicates(target.origin, repeated))
        return items

    def _network_chunks(self, target: Network) -> Iterator[list[Item]]:
        spans, blocked = self.exclusions.remaining(target.network)
        falls_here = self.share.has_name(target.origin.input)
        if blocked and falls_here:
            why = f"{blocked:,} addresses of it are blocked: {self.exclusions.blocked_within(target.network)}"
            yield [Rejection(target.origin, Reason.BLOCKED, why, count=blocked)]
        wanted = min(size(spans), self._most_of(target))
        if (beyond := size(spans) - wanted) and falls_here:
            why = f"{beyond:,} addresses of it are left out: --ipv6-most takes {wanted:,} of such a network"
            yield [Rejection(target.origin, Reason.CAPPED, why, count=beyond)]
        repeated = 0
        for service, port in target.services:
            lane = self._seen.lane(target.network.version, service.name, port)
            for chunk in (
                self._first(target, spans, wanted, lane) if beyond else self._all(target, spans, lane, service)
            ):
                repeated += chunk.repeated
                texts = (address_text(target.network.version, value) for value in chunk.new)
                yield [Endpoint(target.origin, None, text, port, service) for text in texts]
        if repeated:
            why = f"{repeated:,} endpoints of it are already in this run"
            yield [Rejection(target.origin, Reason.DUPLICATE, why, count=repeated)]

    def _most_of(self, target: Network) -> int:
        """How many addresses are taken of a network at most."""
        is_wide = target.network.version == 6 and target.network.prefixlen < MIN_V6_PREFIX
        return self._ipv6_most if is_wide and self._ipv6_most is not None else target.network.num_addresses

    def _all(self, target: Network, spans: list[Span], lane: Lane, service: Service) -> Iterator[_Chunk]:
        """The new ones of all addresses: that the network was there is remembered as its spans, at no cost."""
        fresh = lane.add_network(spans)
        key = self._key(target, service.name)
        if self.share.is_whole:
            if repeated := size(spans) - size(fresh):
                yield _Chunk([], repeated)
            yield from _new(lane, addresses(fresh, key))
            return
        yield from self._repeated(target, spans, fresh)
        left = size(fresh)
        for row in self.share.rows(target.network.version, fresh):
            if row is None:
                yield _Chunk([])
            else:
                left -= len(row)
                yield from _new(lane, row.addresses(key))
        self._elsewhere += left

    def _repeated(self, target: Network, spans: list[Span], fresh: list[Span]) -> Iterator[_Chunk]:
        """How many addresses of this share other networks had before."""
        for row in self.share.rows(target.network.version, _without(spans, fresh)):
            if row is None or len(row):
                yield _Chunk([], 0 if row is None else len(row))

    def _first(self, target: Network, spans: list[Span], count: int, lane: Lane) -> Iterator[_Chunk]:
        """The new ones of the first addresses, each remembered by itself: others of the network may come singly."""
        for chunk in _in_chunks(islice(addresses(spans, self._key(target, "")), count)):
            own = chunk if self.share.is_whole else [value for value in chunk if self._has(target, value)]
            new = [value for value in own if lane.add(value)]
            self._elsewhere += len(chunk) - len(own)
            yield _Chunk(new, len(own) - len(new))

    def _has(self, target: Network, value: int) -> bool:
        return self.share.has_address(address_text(target.network.version, value))

    def _key(self, target: Network, what: str) -> bytes:
        """What decides an order: the same seed gives the same network the same order, whatever else is scanned."""
        return f"{self._seed}/{target.network}/{what}".encode()


def _new(lane: Lane, fresh: Iterator[int]) -> Iterator[_Chunk]:
    """Without those that came singly."""
    for chunk in _in_chunks(fresh):
        new = [value for value in chunk if not lane.seen_singly(value)] if lane.singles else chunk
        yield _Chunk(new, len(chunk) - len(new))


def _without(spans: list[Span], taken: list[Span]) -> list[Span]:
    """The parts of some spans that are not in others."""
    ranges = Ranges(taken)
    return [left for first, last in spans for left in ranges.without(first, last)]


def _in_chunks(values: Iterator[int]) -> Iterator[list[int]]:
    while chunk := list(islice(values, CHUNK)):
        yield chunk


def _duplicates(origin: Origin, repeated: list[Endpoint]) -> Rejection:
    """One rejection for all endpoints of a line that are there already."""
    own = {endpoint.address for endpoint in repeated}
    why = f"already in this run: {repeated[0].id}"
    if len(repeated) > 1:
        why += f" and {len(repeated) - 1} more"
    address = own.pop() if len(own) == 1 else None
    return Rejection(origin, Reason.DUPLICATE, why, address, len(repeated))


def _dns_rejection(origin: Origin, failures: tuple[Failure, ...]) -> Rejection:
    return Rejection(origin, failures[0].reason, "; ".join(failure.detail for failure in failures))
