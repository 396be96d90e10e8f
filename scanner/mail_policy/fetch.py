"""Fetches MTA-STS policies: https://mta-sts.<domain>/.well-known/mta-sts.txt (RFC 8461 §3.3).

The policy host is resolved by whoever hands in `resolve`, which has the resolvers and the exclusions of the run, and a
connection is made to one of those addresses and to no other: the HTTP library gets its connections from here. No
redirect is followed, no proxy of the environment is asked, no cookie is kept. What comes is bounded in size and time.

At most so many fetches are under way at once and so many begin a second; an address is asked by one at a time, because
hosters serve the policies of thousands of domains from it. Who waits for a busy address holds no permit.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from math import inf

import httpcore
import trio
from OpenSSL import crypto

from scanner import __version__
from scanner.cache import Cache
from scanner.connection import outcome_of
from scanner.mail_policy.mta_sts import MAX_POLICY_BYTES
from scanner.mail_policy.result import Result
from scanner.outcome import Verdict
from scanner.trust import TrustStore
from scanner.wire_text import printable
from targets.answer import DnsStatus

PATH = b"/.well-known/mta-sts.txt"
MAX_RESPONSE_BYTES = MAX_POLICY_BYTES + 32_768  # with its headers, and how it is packed
MAX_RECEIVES = 4_096  # of one response: each takes work, and may bring one byte
MAX_ADDRESSES = 8  # are tried; a policy host has two or four
MAX_HOST = 253  # RFC 1035 §2.3.4
MAX_CACHED_BYTES = 8_388_608  # of bodies, with so many bytes on top for each: 10,000 ordinary policies
CACHE_ENTRY_BYTES = 512

_HEADERS = ((b"User-Agent", f"tlsweep/{__version__}".encode()), (b"Accept", b"text/plain"), (b"Connection", b"close"))
# X509_V_ERR_*
_NAME_ERRORS = {62, 64}  # HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH
_TIME_ERRORS = {9, 10}  # CERT_NOT_YET_VALID, CERT_HAS_EXPIRED
_BUSY = {408, 429}  # RFC 9110 §15.5.9, RFC 6585 §4; and all of 500 and above


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


class Cause(StrEnum):
    """Why there is no policy. What failed of a certificate is told in RFC 8460's words instead."""

    DNS = "dns"
    BLOCKED = "blocked"  # all its addresses are excluded from the scan
    REFUSED = "refused"
    TIMEOUT = "timeout"
    NO_ROUTE = "no_route"
    PROHIBITED = "prohibited"
    CLOSED = "closed"  # or reset
    TLS = "tls"  # no handshake, and not for the certificate
    NOT_HTTP = "not_http"
    REDIRECT = "redirect"
    STATUS = "status"  # another one than 200
    TOO_LARGE = "too_large"
    LOCAL_LIMITATION = "local_limitation"  # ours


_TRANSIENT = {Cause.TIMEOUT, Cause.NO_ROUTE, Cause.PROHIBITED, Cause.CLOSED, Cause.BLOCKED, Cause.LOCAL_LIMITATION}


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch came to: a body, or a result with its cause.

    `transient`: it may be of the moment, or of us, and is not to be reported (RFC 8460 §4.3.4). `address`: the one that
    took the connection. `status`: of HTTP.
    """

    body: bytes | None = None
    content_type: str | None = None
    result: Result | None = None
    cause: str | None = None
    detail: str | None = None
    transient: bool = False
    address: str | None = None
    status: int | None = None

    @property
    def firm_result(self) -> Result | None:
        """What is to be reported of it."""
        return None if self.transient else self.result

    @property
    def is_plain_text(self) -> bool:
        """Is the media type the one that a policy should have (RFC 8461 §3.2), which senders should look at?"""
        return (self.content_type or "").partition(";")[0].strip().lower() == "text/plain"


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
        self._context = _context(store.anchors) if store else None
        self._domains, self._addresses = _Turns(), _Turns()
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
            return _failed(Cause.LOCAL_LIMITATION, "nobody to trust: no certificates of authorities were found")
        if len(host) > MAX_HOST:
            return _failed(Cause.DNS, "the name of the policy host would be too long")
        found = await self._resolve(host)
        if found.status is not DnsStatus.OK:
            return _failed(Cause.DNS, found.detail or found.status, transient=not found.status.is_final)
        if not found.addresses:
            return _failed(Cause.BLOCKED, ", ".join(found.blocked[:MAX_ADDRESSES]))
        return await self._fetch_from(found.addresses[:MAX_ADDRESSES], host, self._context)

    async def _fetch_from(self, addresses: tuple[str, ...], host: str, context: ssl.SSLContext) -> Fetched:
        """From the first one that takes a connection; where none does, one that may do so later counts for more."""
        left_s, failed = self._limits.fetch_s, list[Fetched]()
        for address in addresses:
            async with self._addresses.of(address), self._permits:
                await self._pace.turn()
                asked = _Exchange(host, address, self._port, self._limits.connect_s, context)
                started = trio.current_time()
                failed.append(fetched := await asked.within(left_s))
                left_s -= trio.current_time() - started
            if fetched.address or left_s <= 0:
                return fetched
        return next((each for each in failed if each.transient), failed[-1])


class _Exchange:
    """One request on a connection of its own to one address."""

    def __init__(self, host: str, address: str, port: int, connect_s: float, context: ssl.SSLContext) -> None:
        self._host = host
        self._address = address
        self._port = port
        self._connect_s = connect_s
        self._context = context
        self._network = _OneAddress(address)

    async def within(self, left_s: float) -> Fetched:
        """What it comes to, in time."""
        with trio.move_on_after(left_s):
            try:
                return await self._ask()
            except _TooLarge:
                return self._failed(Cause.TOO_LARGE)
            except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
                return self._failure(error)
            finally:
                await self._network.close()
        return self._failed(Cause.TIMEOUT, f"not within {left_s:g} s")

    async def _ask(self) -> Fetched:
        host = self._host.encode("ascii")
        url = httpcore.URL(scheme=b"https", host=host, port=self._port, target=PATH)
        timeouts = {"connect": self._connect_s}
        connection = httpcore.AsyncHTTPConnection(url.origin, self._context, network_backend=self._network)
        async with connection, connection.stream("GET", url, headers=_HEADERS, extensions={"timeout": timeouts}) as got:
            return await self._read(got)

    async def _read(self, got: httpcore.Response) -> Fetched:
        if got.status != 200:
            is_redirect = 300 <= got.status < 400
            where = _header(got, b"location") if is_redirect else None
            transient = got.status >= 500 or got.status in _BUSY
            cause = Cause.REDIRECT if is_redirect else Cause.STATUS
            return self._failed(cause, where, transient=transient, status=got.status)
        body = await got.aread()  # as far as the connection lets it come
        if len(body) > MAX_POLICY_BYTES:
            raise _TooLarge
        return Fetched(body, _header(got, b"content-type"), address=self._address, status=got.status)

    def _failure(self, error: Exception) -> Fetched:
        if isinstance(error, httpcore.TimeoutException):
            awaited = "handshake" if self._network.connected else "connection"
            return self._failed(Cause.TIMEOUT, f"no {awaited} within {self._connect_s:g} s")
        reason = _first_reason(error)
        match reason:
            case ssl.SSLCertVerificationError():
                return self._untrusted(reason)
            case ssl.SSLEOFError() | ssl.SSLSyscallError():
                return self._failed(Cause.CLOSED)
            case ssl.SSLError():
                return self._failed(Cause.TLS, printable((reason.reason or str(reason)).encode()))
            case OSError() if not self._network.connected:
                return self._not_connected(reason)
        if isinstance(error, httpcore.ProtocolError) and not self._network.ended:
            return self._failed(Cause.NOT_HTTP, printable(str(error).encode()))
        return self._failed(Cause.CLOSED)

    def _not_connected(self, error: OSError) -> Fetched:
        outcome = outcome_of(error)
        if outcome.verdict is Verdict.UNREACHABLE:
            return self._failed(Cause(outcome.cause or Cause.NO_ROUTE))
        return self._failed(Cause.LOCAL_LIMITATION, outcome.detail or outcome.cause)

    def _untrusted(self, error: ssl.SSLCertVerificationError) -> Fetched:
        word = Result.NOT_TRUSTED
        if error.verify_code in _NAME_ERRORS:
            word = Result.HOST_MISMATCH
        elif error.verify_code in _TIME_ERRORS:
            word = Result.EXPIRED
        detail = printable(error.verify_message.encode())
        return Fetched(result=Result.STS_WEBPKI_INVALID, cause=word, detail=detail, address=self._address)

    def _failed(
        self, cause: Cause, detail: str | None = None, *, transient: bool = False, status: int | None = None
    ) -> Fetched:
        address = self._address if self._network.connected else None
        return _failed(cause, detail, transient=transient, address=address, status=status)


def _failed(
    cause: Cause,
    detail: str | None = None,
    *,
    transient: bool = False,
    address: str | None = None,
    status: int | None = None,
) -> Fetched:
    return Fetched(
        result=Result.STS_POLICY_FETCH_ERROR,
        cause=cause,
        detail=detail,
        transient=transient or cause in _TRANSIENT,
        address=address,
        status=status,
    )


def _header(response: httpcore.Response, name: bytes) -> str | None:
    """The first one of that name."""
    return next((printable(value) for each, value in response.headers if each.lower() == name), None)


def _first_reason(error: BaseException) -> BaseException:
    """What an error came from in the end: each layer puts one of its own on top, and trio a group, of one address."""
    if isinstance(error, BaseExceptionGroup):
        return _first_reason(error.exceptions[0])
    return error if error.__cause__ is None else _first_reason(error.__cause__)


def _context(anchors: Iterable[crypto.X509]) -> ssl.SSLContext:
    """As RFC 8461 §3.3 asks for: a certificate with the name as a DNS-ID, never as a common name. TLS 1.2 or later."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as in `trust`: an anchor need not be a root
    for anchor in anchors:
        with suppress(ssl.SSLError):  # the library here is another one than that which has read them
            context.load_verify_locations(cadata=crypto.dump_certificate(crypto.FILETYPE_ASN1, anchor))
    return context


class _TooLarge(Exception):  # noqa: N818
    """More came than a policy can have."""


class _OneAddress(httpcore.AsyncNetworkBackend):
    """Connects to one address, whichever host it is asked for: that was resolved, and checked, by others."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._tcp: httpcore.AsyncNetworkStream | None = None
        self.ended = False  # has the server closed it?

    @property
    def connected(self) -> bool:
        """Was there a connection?"""
        return self._tcp is not None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the address."""
        self._tcp = await httpcore.TrioBackend().connect_tcp(self._address, port, timeout)
        return _Bounded(self._tcp, self)

    async def close(self) -> None:
        """Let go of it, also where the library was stopped in its handshake and has not."""
        if self._tcp is not None:
            with trio.CancelScope(shield=True):
                await self._tcp.aclose()


class _Bounded(httpcore.AsyncNetworkStream):
    """A connection that brings no more than a response can have."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, network: _OneAddress) -> None:
        self._inner = inner
        self._network = network
        self._left = MAX_RESPONSE_BYTES
        self._receives = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What comes next."""
        data = await self._inner.read(max_bytes, timeout)
        self._network.ended = not data
        self._left -= len(data)
        self._receives += 1
        if self._left < 0 or self._receives > MAX_RECEIVES:
            raise _TooLarge
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it."""
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        """Let go of it."""
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """The inside of TLS, which has a bound of its own."""
        return _Bounded(await self._inner.start_tls(ssl_context, server_hostname, timeout), self._network)

    def get_extra_info(self, info: str) -> object:
        """What the library wants to know."""
        return self._inner.get_extra_info(info)


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
