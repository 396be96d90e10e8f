"""Fetches MTA-STS policies: https://mta-sts.<domain>/.well-known/mta-sts.txt (RFC 8461 §3.3).

The policy host is resolved by whoever hands in `resolve`, which has the resolvers and the exclusions of the run, and a
connection is made to one of those addresses and to no other: the HTTP library gets its connections from here. No
redirect is followed, no proxy of the environment is asked, no cookie is kept. What comes is bounded in size and time.

At most so many fetches are under way at once and so many begin a second; an address is asked by one at a time, because
hosters serve the policies of thousands of domains from it. Who waits for a busy address holds no permit; and one that
is slow is not waited for by all of them (`_Slow`): a single address would hold up a run for days.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from math import inf

import trio

from scanner.cache import Cache
from scanner.mail_policy.https import Cause, Exchange, Fetched, context_of, failed_fetch
from scanner.trust import TrustStore
from targets.answer import DnsStatus

MAX_ADDRESSES = 8  # are tried; a policy host has two or four
MAX_HOST = 253  # RFC 1035 §2.3.4
MAX_CACHED_BYTES = 8_388_608  # of bodies, with so many bytes on top for each: 10,000 ordinary policies
CACHE_ENTRY_BYTES = 512
EASY_S = 2.0  # a fetch; what it takes longer, its address owes
MOST_OWED_S = 60.0  # who owes more is left alone
FORGIVEN = 0.1  # seconds of what it owes, a second
V6_PREFIX = 64  # of the addresses that owe together: whoever has one of them has them all


@dataclass(frozen=True, slots=True)
class PolicyLimits:
    """At most so many fetches at once, and connections a second (0 is no limit); and how long one may take, seconds.

    `fetch_s` bounds all connections of a fetch together, without what it waits for its turn: a minute is what RFC 8461
    §3.3 suggests. `connect_s` bounds the TCP connection, and after it the TLS handshake.
    """

    fetches: int = 50
    rate: float = 20
    fetch_s: float = 60
    connect_s: float = 10


@dataclass(frozen=True, slots=True)
class PolicyHost:
    """Where a policy host is: the addresses that may be asked, in the order to be tried, and those that may not be.

    `status`: of the look-ups together; `ok` where there is an address of either kind.
    """

    status: DnsStatus
    addresses: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    detail: str | None = None


Resolve = Callable[[str], Awaitable[PolicyHost]]


class PolicyFetcher:
    """Fetches the policies of a run: that of a domain once, for all who ask, and remembers 8 MiB of them.

    `resolve` must not raise. `store`: whom to trust; without one, nothing is fetched: it could not be believed.
    """

    def __init__(
        self, resolve: Resolve, store: TrustStore | None, limits: PolicyLimits | None = None, port: int = 443
    ) -> None:
        self.fetched = Cache[Fetched](MAX_CACHED_BYTES)
        self._resolve = resolve
        self._limits = limits or PolicyLimits()
        self._port = port
        self._context = context_of(store) if store else None
        self._domains, self._addresses, self._slow = _Turns(), _Turns(), _Slow()
        self._permits = trio.CapacityLimiter(self._limits.fetches or inf)
        self._pace = _Pace(self._limits.rate)

    async def fetch(self, domain: str) -> Fetched:
        """The policy of a mail domain (lower case, A-labels), as it is or why not. Never raises.

        Who asks while it is being fetched waits for that; if the one who fetches is cancelled, the next takes over.
        """
        async with self._domains.of(domain):
            if found := self.fetched.find(domain):
                return found
            fetched = await self._fetch(f"mta-sts.{domain}")
            size = len(fetched.body or b"") + CACHE_ENTRY_BYTES
            return self.fetched.get(domain, lambda: fetched, size)

    async def _fetch(self, host: str) -> Fetched:
        if self._context is None:
            return failed_fetch(Cause.LOCAL_LIMITATION, "nobody to trust: no certificates of authorities were found")
        if len(host) > MAX_HOST:
            return failed_fetch(Cause.DNS, "the name of the policy host would be too long")
        found = await self._resolve(host)
        if found.status is not DnsStatus.OK:
            return failed_fetch(Cause.DNS, found.detail or found.status, transient=not found.status.is_final)
        if not found.addresses:
            return failed_fetch(Cause.BLOCKED, ", ".join(found.blocked[:MAX_ADDRESSES]))
        return await self._fetch_from(found.addresses[:MAX_ADDRESSES], host, self._context)

    async def _fetch_from(self, addresses: tuple[str, ...], host: str, context: ssl.SSLContext) -> Fetched:
        """From the first one that takes a connection; where none does, one that may do so later counts for more."""
        left_s, failed = self._limits.fetch_s, list[Fetched]()
        for address in addresses:
            fetched, took_s = await self._fetch_from_one(address, host, context, left_s)
            failed.append(fetched)
            left_s -= took_s
            if fetched.address or left_s <= 0:
                return fetched
        return next((each for each in failed if each.transient), failed[-1])

    async def _fetch_from_one(
        self, address: str, host: str, context: ssl.SSLContext, left_s: float
    ) -> tuple[Fetched, float]:
        """What came of it, and how many seconds it took."""
        async with self._addresses.of(address):
            if self._slow.owes_too_much(address, trio.current_time()):
                return failed_fetch(Cause.TIMEOUT, f"{address} is left alone: it kept others waiting too long"), 0
            async with self._permits:
                await self._pace.turn()
                asked = Exchange(host, address, self._port, self._limits.connect_s, context)
                started = trio.current_time()
                fetched = await asked.within(left_s)
                took_s = trio.current_time() - started
            self._slow.note(address, took_s, trio.current_time())
        return fetched, took_s


class _Turns:
    """One at a time for each key. A key is kept for as long as somebody has its turn or waits for it."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, trio.Lock] = {}

    @asynccontextmanager
    async def of(self, key: Hashable) -> AsyncIterator[None]:
        """Wait for the turn, and have it."""
        lock = self._locks.setdefault(key, trio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked() and self._locks.get(key) is lock:  # a lock that is let go of goes to whoever waits
                del self._locks[key]


class _Slow:
    """What addresses owe: the time that fetches from them took beyond what is easy, less what is forgiven since."""

    def __init__(self) -> None:
        self._owed: dict[str, tuple[float, float]] = {}  # seconds, and when; each has cost a fetch

    def owes_too_much(self, address: str, now: float) -> bool:
        """Is it to be left alone?"""
        return self._owes(_together(address), now) > MOST_OWED_S

    def note(self, address: str, took_s: float, now: float) -> None:
        """A fetch took so long."""
        key = _together(address)
        owed = self._owes(key, now) + took_s - EASY_S
        self._owed.pop(key, None)
        if owed > 0:
            self._owed[key] = owed, now

    def _owes(self, key: str, now: float) -> float:
        owed, since = self._owed.get(key, (0.0, now))
        return max(0.0, owed - FORGIVEN * (now - since))


def _together(address: str) -> str:
    """The network that an IPv6 address owes with; an IPv4 address is by itself."""
    return str(ip_network(f"{address}/{V6_PREFIX}", strict=False)) if ":" in address else address


class _Pace:
    """Turns at an even pace."""

    def __init__(self, rate: float) -> None:
        self._interval_s = 1 / rate if rate else 0.0
        self._next = -inf

    async def turn(self) -> None:
        """Wait for the next one."""
        start = max(trio.current_time(), self._next)
        self._next = start + self._interval_s
        await trio.sleep_until(start)
