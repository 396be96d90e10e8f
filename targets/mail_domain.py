"""A mail domain → what the DNS says of it: MX hosts, SRV targets, their addresses and TLSA records, policy records.

    MX, TXT, SRV ──▶ the hosts that they name: A, AAAA ──▶ TLSA, where DNSSEC does not rule it out

What is asked at each step, is asked side by side; of the hosts, a few at a time. Hosts whose turn does not come in
time, because others were slow, are not asked: domains with a hundred of them held up all others for half an hour.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from math import inf
from typing import Generic, Protocol, TypeVar

import trio
from dns.rdata import GenericRdata, Rdata
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.rdtypes.IN.SRV import SRV

from targets.answer import DnsAnswer, Dnssec, DnsStatus
from targets.mail_answer import (
    MAX_ADDRESSES,
    MAX_SRV,
    MAX_TLSA,
    MAX_TLSA_BYTES,
    MIN_TLSA_BYTES,
    SRV_SERVICES,
    DomainAnswer,
    MailHost,
    Mx,
    MxSet,
    Oddity,
    Srv,
    SrvAnswer,
    mx_oddities,
    mx_set,
    name_text,
    of_both_families,
    srv_oddities,
    srv_records,
    weakest,
)
from targets.services import Service
from targets.shares import WHOLE, Share
from targets.target import Address, MailDomain

HOSTS_AT_ONCE = 10  # of one domain
HOSTS_S = 60.0  # after which no other one is begun
_FAMILIES = (RdataType.A, RdataType.AAAA)

T = TypeVar("T")
_Ask = Callable[[str, RdataType], Awaitable[DnsAnswer]]


class Asks(Protocol):
    """Whoever asks the DNS."""

    async def ask(self, name: str, kind: RdataType) -> DnsAnswer:
        """The answer to one question."""

    def known(self, name: str, kind: RdataType) -> DnsAnswer | None:
        """The same where nobody has to be asked."""


async def ask_domain(resolver: Asks, domain: MailDomain, *, with_policies: bool, share: Share = WHOLE) -> DomainAnswer:
    """All that the DNS says of a domain. Raises NoNameServersError.

    Without policies, neither TLSA records nor those of MTA-STS and TLS-RPT are asked for. Where another `share` of the
    input has the domain, only TLSA records are, of hosts with an address in this one: their endpoints are scanned here.
    """
    asking = _Asking(resolver, domain, with_policies=with_policies, share=share)
    # By itself, so that what it raises where there is nobody to ask comes out as it is, and not in a group.
    if not domain.mx:
        await resolver.ask(_srv_name(SRV_SERVICES[0], domain), RdataType.SRV)
        return await asking.about(None, MxSet())
    mx = await resolver.ask(domain.name, RdataType.MX)
    named, mx = mx_set(mx), _without_records(mx)
    return await asking.about(mx, named)


async def ask_host(resolver: Asks, name: str) -> MailHost:
    """All addresses of a host, IPv4 first, up to a bound."""
    families = [known for kind in _FAMILIES if (known := resolver.known(name, kind))]
    if len(families) < len(_FAMILIES):  # else no task is needed, as for nearly all of a thousand domains with one host
        families = await _side_by_side([partial(resolver.ask, name, kind) for kind in _FAMILIES])
    found = [address for answer in families for address in _addresses(answer)]
    return MailHost(
        name,
        of_both_families(answer.status for answer in families),
        weakest(answer.dnssec for answer in families),
        tuple(found[:MAX_ADDRESSES]),
        next((answer.canonical for answer in families if answer.canonical), None),
        oddities=frozenset({Oddity.TOO_MANY_ADDRESSES} if len(found) > MAX_ADDRESSES else ()),
        is_final=all(answer.status.is_final for answer in families),
    )


class _Asking:
    """The questions about one domain."""

    def __init__(self, resolver: Asks, domain: MailDomain, *, with_policies: bool, share: Share) -> None:
        self._resolver = resolver
        self._domain = domain
        self._ask = resolver.ask
        self._below: _Ask = resolver.ask  # names below the domain
        self._with_policies = with_policies
        self._share = share
        self._is_own = share.has_name(domain.name)
        self._at_once = trio.Semaphore(HOSTS_AT_ONCE)
        self._until = inf

    async def about(self, mx: DnsAnswer | None, named: MxSet) -> DomainAnswer:
        """All of them. Where the domain does not exist, nothing below it does (RFC 8020 §2): then nobody is asked."""
        if mx and mx.status is DnsStatus.NXDOMAIN and mx.canonical is None:
            self._below = _gone(mx)
        self._until = trio.current_time() + HOSTS_S
        domain, policies = self._domain, self._with_policies and self._is_own and mx is not None
        async with trio.open_nursery() as nursery:
            mta_sts = _Started(nursery, partial(self._text, f"_mta-sts.{domain.name}")) if policies else None
            tls_rpt = _Started(nursery, partial(self._text, f"_smtp._tls.{domain.name}")) if policies else None
            srv = _Started(nursery, self._srv) if domain.srv else None
            hosts = await self._mx_hosts(mx, named)
        return DomainAnswer(
            domain,
            mx,
            hosts,
            is_implicit=mx is not None and mx.status is DnsStatus.NODATA and bool(hosts),
            is_null=named.is_null,
            srv=srv.value if srv else None,
            mta_sts=mta_sts.value if mta_sts else None,
            tls_rpt=tls_rpt.value if tls_rpt else None,
            oddities=named.oddities,
        )

    async def _text(self, name: str) -> DnsAnswer:
        return await self._below(name, RdataType.TXT)

    async def _mx_hosts(self, mx: DnsAnswer | None, named: MxSet) -> tuple[Mx, ...]:
        if mx is not None and mx.status is DnsStatus.NODATA:
            return await self._implicit()
        port = self._domain.port
        hosts = await _side_by_side([partial(self._host, name, port, named_by="mx") for _, name in named.names])
        return tuple(Mx(preference, host) for (preference, _), host in zip(named.names, hosts, strict=True))

    async def _implicit(self) -> tuple[Mx, ...]:
        """The domain is its own MX host, with preference 0, if it has addresses; or if nobody can tell yet."""
        host = await self._host(self._domain.name, self._domain.port)
        there = host.status is DnsStatus.OK or not host.status.is_final
        return (Mx(0, host),) if there else ()

    async def _srv(self) -> dict[Service, SrvAnswer]:
        found = await _side_by_side([partial(self._srv_of, service) for service in SRV_SERVICES])
        return dict(zip(SRV_SERVICES, found, strict=True))

    async def _srv_of(self, service: Service) -> SrvAnswer:
        answer = await self._below(_srv_name(service, self._domain), RdataType.SRV)
        oddities = frozenset({Oddity.SRV_TOO_MANY} if len(answer.records) > MAX_SRV else ())
        records, answer = srv_records(answer), _without_records(answer)
        if records is None:
            return SrvAnswer(answer, None, oddities)
        targets = await _side_by_side([partial(self._srv_target, each) for each in records])
        return SrvAnswer(answer, tuple(targets), oddities)

    async def _srv_target(self, record: SRV) -> Srv:
        host = await self._host(name_text(record.target), None, named_by="srv")
        return Srv(record.priority, record.weight, record.port, host)

    async def _host(self, name: str, tlsa_port: int | None, named_by: str | None = None) -> MailHost:
        """A host with its addresses, and its TLSA records for that port."""
        async with self._at_once:
            if trio.current_time() >= self._until:
                return MailHost(name, DnsStatus.TIMEOUT, is_final=False)
            host = await ask_host(self._resolver, name)
            if tlsa_port and self._wants_tlsa(host):
                host = await self._with_tlsa(host, tlsa_port)
        return replace(host, oddities=host.oddities | _oddities(named_by, host))

    def _wants_tlsa(self, host: MailHost) -> bool:
        if not self._with_policies or host.status is not DnsStatus.OK or not _may_have_tlsa(host.dnssec):
            return False
        return self._is_own or any(self._share.has_address(str(address)) for address in host.addresses)

    async def _with_tlsa(self, host: MailHost, port: int) -> MailHost:
        answer, base = await self._tlsa(host.name, host.canonical, port)
        kept, left_out = _tlsa_records(answer)
        return replace(
            host,
            dnssec=weakest((host.dnssec, answer.dnssec)),
            tlsa=kept,
            tlsa_base=base,
            tlsa_left_out=left_out,
            is_final=host.is_final and answer.status.is_final,
        )

    async def _tlsa(self, name: str, canonical: str | None, port: int) -> tuple[DnsAnswer, str]:
        """The TLSA records of a host, and the name that has them: the end of its aliases first (RFC 7672 §2.2.2)."""
        if canonical is not None and canonical != name:
            at_end = await self._ask(f"_{port}._tcp.{canonical}", RdataType.TLSA)
            if not at_end.status.is_final or (at_end.status is DnsStatus.OK and _may_have_tlsa(at_end.dnssec)):
                return at_end, canonical
        return await self._ask(f"_{port}._tcp.{name}", RdataType.TLSA), name


class _Started(Generic[T]):
    """What a task of a nursery comes to; its value is there when the nursery is left."""

    value: T

    def __init__(self, nursery: trio.Nursery, ask: Callable[[], Awaitable[T]]) -> None:
        nursery.start_soon(self._run, ask)

    async def _run(self, ask: Callable[[], Awaitable[T]]) -> None:
        self.value = await ask()


async def _side_by_side(asks: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """What each comes to, in their order. The last needs no task of its own."""
    if not asks:
        return []
    async with trio.open_nursery() as nursery:
        tasks = [_Started(nursery, ask) for ask in asks[:-1]]
        last = await asks[-1]()
    return [*(task.value for task in tasks), last]


def _gone(domain: DnsAnswer) -> _Ask:
    """Says of every name what was said of the domain above it."""

    async def ask(_name: str, _kind: RdataType) -> DnsAnswer:
        await trio.lowlevel.checkpoint()
        return domain

    return ask


def _without_records(answer: DnsAnswer) -> DnsAnswer:
    """What was taken out of them is kept, and they are not: 1,000 names of 80 labels take 4 MB, of each domain."""
    return replace(answer, records=())


def _srv_name(service: Service, domain: MailDomain) -> str:
    return f"_{service.name}._tcp.{domain.name}"


def _may_have_tlsa(dnssec: Dnssec) -> bool:
    """Where the addresses are known to be insecure, TLSA records are not looked up (RFC 7672 §2.2.2).

    They are where nobody validates: they count for nothing then, and are facts all the same.
    """
    return dnssec in (Dnssec.SECURE, Dnssec.INDETERMINATE)


def _addresses(answer: DnsAnswer) -> list[Address]:
    """In the order of their numbers."""
    addresses = {ip_address(record.address) for record in answer.records if isinstance(record, A | AAAA)}
    return sorted(addresses, key=int)


def _tlsa_records(answer: DnsAnswer) -> tuple[tuple[Rdata, ...] | None, int]:
    """The short ones rather than the long; what does not fit is cut off, and then no whole certificate or key.

    And how many are not there, or not whole.
    """
    if not answer.status.is_final:
        return None, 0
    kept, left, whole = list[Rdata](), MAX_TLSA_BYTES, 0
    wires = {record.to_wire() or b"": record for record in answer.records}
    for wire in sorted(wires, key=lambda wire: (len(wire), wire))[:MAX_TLSA]:
        if left < MIN_TLSA_BYTES:
            break
        whole += len(wire) <= left
        kept.append(wires[wire] if len(wire) <= left else GenericRdata(RdataClass.IN, RdataType.TLSA, wire[:left]))
        left -= len(wire)
    return tuple(sorted(kept, key=lambda record: record.to_wire() or b"")), len(wires) - whole


def _oddities(named_by: str | None, host: MailHost) -> frozenset[Oddity]:
    match named_by:
        case "mx":
            return mx_oddities(host)
        case "srv":
            return srv_oddities(host)
        case _:
            return frozenset()
