"""What all inputs stand for, counted before anybody is asked: endpoints, what has to be looked up, what is left out.

Addresses are counted as spans, so that a /8 costs nothing; a single IPv4 address takes eight bytes. What the DNS will
say is assumed: `ADDRESSES_OF_A_NAME`, `ENDPOINTS_OF_A_DOMAIN`. Of a share of the input, endpoints are counted, and of
those that are assumed its part; what has to be looked up, and what is left out, is that of the whole.
"""

import os
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address
from typing import assert_never

from targets.crowd import Load, loads
from targets.exclude import Exclusions, Ranges
from targets.excluded import Excluders, blocked_spans
from targets.lines import InputError, blocks_of
from targets.network import Span, address_text, size
from targets.parse import Named, Parser
from targets.place import MIN_V6_PREFIX
from targets.reader import Reader
from targets.rules import Rules
from targets.services import Service
from targets.shares import WHOLE, Share
from targets.target import Address, FormatError, Host, MailDomain, Network, Reason, Rejection

ADDRESSES_OF_A_NAME = 1  # many have one of each family, and some have none
ENDPOINTS_OF_A_DOMAIN = 2  # two MX hosts with an address each; how many domains share one is not known before

Asked = tuple[Service, int]  # on that port
_Lane = tuple[int, Service, int]  # family, service, port


class Census:
    """Takes what the lines name; tells what they come to."""

    def __init__(
        self, exclusions: Exclusions, excluders: Excluders, ipv6_most: int | None = None, share: Share = WHOLE
    ) -> None:
        self.blocked: Counter[str] = Counter()  # addresses, by what says so
        self.names: dict[str, tuple[Asked, ...]] = {}  # to be looked up
        self.domains: set[str] = set()
        self._exclusions = exclusions
        self._excluders = excluders
        self._ipv6_most = ipv6_most
        self._share = share
        self._rejected: Counter[Reason] = Counter()
        self._named: set[tuple[str, int, int, Asked]] = set()  # name, family, address
        self._singles: defaultdict[_Lane, array[int]] = defaultdict(lambda: array("Q"))  # of IPv4
        self._spans: defaultdict[_Lane, list[Span]] = defaultdict(list)
        self._parts: dict[tuple[_Lane, Span], int] = {}  # of wide IPv6 networks: so many addresses

    def note(self, named: Named) -> None:
        """Count what a line names."""
        match named:
            case None:
                pass
            case Rejection(reason=reason):
                self._rejected[reason] += 1
            case Host(address=IPv4Address() | IPv6Address() as address):
                self._note_host(named, address)
            case Host():
                self._note_name(named)
            case Network():
                self._note_network(named)
            case MailDomain():
                self._rejected[Reason.DUPLICATE] += named.id in self.domains
                self.domains.add(named.id)
            case never:
                assert_never(never)

    @property
    def is_exact(self) -> bool:
        """Is nothing assumed?"""
        return not (self.names or self.domains or self._parts)

    def endpoints(self) -> Counter[Service]:
        """How many there are for each service, each once; those of mail domains are not among them."""
        found = Counter[Service]()
        for (version, service, _), spans in self._lanes.items():
            found[service] += self._share.size(version, spans)
        for (_, service, _), _, count in self._wide():
            found[service] += count
        found.update(service for _, _, (service, _) in self._own_named())
        of_names = Counter(service for asked in self.names.values() for service, _ in asked)
        for service, names in of_names.items():
            found[service] += self._part(names * ADDRESSES_OF_A_NAME)
        return found

    @property
    def of_domains(self) -> int:
        """How many endpoints mail domains are assumed to have."""
        return self._part(len(self.domains) * ENDPOINTS_OF_A_DOMAIN)

    @property
    def dealt(self) -> int:
        """How many networks have to be dealt into shares to know this: 1.2 µs each."""
        if self._share.is_whole:
            return 0
        return sum(self._share.networks(version, spans) for (version, _, _), spans in self._lanes.items())

    def _own_named(self) -> Iterator[tuple[int, int, Asked]]:
        """Names with their addresses, of this share: family, address, what is asked."""
        for _, family, value, asked in self._named:
            if self._share.has_address(address_text(family, value)):
                yield family, value, asked

    def _part(self, count: int) -> int:
        """Of what nobody knows the network of, rounded up."""
        return -(-count // self._share.of)

    def excluded(self) -> Counter[Reason]:
        """What is left out, counted as the records of a run would: lines, addresses, and endpoints that come again."""
        noted = sum(map(len, self._singles.values())) + sum(map(size, self._spans.values()))
        repeated = noted - sum(map(size, self._lanes.values()))
        return +(self._rejected + Counter({Reason.DUPLICATE: repeated}))

    def crowds(self, version: int, bits: int, weigh: Callable[[Service], int]) -> Iterator[Iterator[Load]]:
        """What falls on each network of so many host bits, lane by lane: `weigh` tells what an endpoint is worth."""
        for (family, service, _), spans in self._lanes.items():
            if family == version:
                yield loads(self._share.spans(version, spans), bits, weigh(service))
        on = Counter[int]()
        for family, value, (service, _) in self._own_named():
            if family == version:
                on[value >> bits] += weigh(service)
        yield ((number, number, on[number]) for number in sorted(on))
        for (family, service, _), (first, last), count in self._wide():
            if family == version:
                networks = (last >> bits) - (first >> bits) + 1
                yield iter([(first >> bits, last >> bits, -(-count // networks) * weigh(service))])

    def _note_name(self, host: Host) -> None:
        known = self.names.get(host.name, ())
        fresh = tuple(asked for asked in host.services if asked not in known)
        self._rejected[Reason.DUPLICATE] += len(host.services) - len(fresh)
        self.names[host.name] = known + fresh if known else host.services

    def _note_host(self, host: Host, address: Address) -> None:
        version, value = address.version, int(address)
        if self._is_blocked(version, value):
            return
        for asked in host.services:
            key = host.name, version, value, asked
            self._rejected[Reason.DUPLICATE] += key in self._named
            self._named.add(key)

    def _is_blocked(self, version: int, value: int) -> bool:
        """Then it is counted so."""
        if not self._exclusions.is_blocked(version, value):
            return False
        self._note_blocked(version, [(value, value)])
        return True

    def _note_blocked(self, version: int, spans: list[Span]) -> None:
        self._rejected[Reason.BLOCKED] += size(spans)
        self.blocked += self._excluders.count(version, spans)

    def _note_network(self, target: Network) -> None:
        network = target.network
        version, first = network.version, int(network.network_address)
        if network.prefixlen == network.max_prefixlen:
            if not self._is_blocked(version, first):
                self._note_address(version, first, target.services)
            return
        span = first, int(network.broadcast_address)
        if blocked := blocked_spans(self._exclusions, version, span):
            self._note_blocked(version, blocked)
        allowed = list(self._exclusions.allowed_within(version, *span))
        is_wide = version == 6 and network.prefixlen < MIN_V6_PREFIX
        if is_wide and self._ipv6_most is not None and size(allowed) > self._ipv6_most:
            self._rejected[Reason.CAPPED] += size(allowed) - self._ipv6_most
            for service, port in target.services:
                self._note_part((version, service, port), span, self._ipv6_most)
            return
        for service, port in target.services:
            self._spans[version, service, port] += allowed

    def _note_address(self, version: int, value: int, services: Sequence[Asked]) -> None:
        for service, port in services:
            if version == 4:
                self._singles[version, service, port].append(value)
            else:
                self._spans[version, service, port].append((value, value))

    def _note_part(self, lane: _Lane, span: Span, count: int) -> None:
        """The same network has the same first addresses."""
        self._rejected[Reason.DUPLICATE] += self._parts.get((lane, span), 0)
        self._parts[lane, span] = count

    @cached_property
    def _lanes(self) -> dict[_Lane, Ranges]:
        """Addresses without a name, each once, in order; to be asked for when all are noted."""
        return {
            lane: Ranges([*((value, value) for value in self._singles.get(lane, ())), *self._spans.get(lane, ())])
            for lane in dict.fromkeys((*self._singles, *self._spans))
        }

    def _wide(self) -> Iterator[tuple[_Lane, Span, int]]:
        for (lane, span), count in self._parts.items():
            yield lane, span, self._part(count)


async def take_census(
    census: Census,
    services: tuple[Service, ...],
    targets: Sequence[str],
    inputs: Sequence[str],
    rules: Rules,
    stdin: int = 0,
) -> None:
    """Count what the command line and all inputs name, to their ends. Raises InputError."""
    parser = Parser(services, rules)
    for target in targets:
        census.note(parser.parse(os.fsencode(target)))
    for path in inputs:
        await _take(census, path, Reader(services, rules), stdin)


async def _take(census: Census, path: str, reader: Reader, stdin: int) -> None:
    try:
        async with aclosing(blocks_of(path, stdin)) as blocks:
            async for block in blocks:
                for named in reader.feed(block):
                    census.note(named)
        for named in reader.end():
            census.note(named)
    except FormatError as error:
        raise InputError(path, error.line, str(error)) from error
