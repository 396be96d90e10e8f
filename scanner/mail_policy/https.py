"""One HTTPS request for a policy, to one address that was checked, and what it comes to (RFC 8461 §3.3).

The HTTP library gets its connections from here, so that nobody resolves the name again; the certificate is verified for
the name all the same. It reads a body to its end, because to stop in its middle would leave its generators open: it is
the connection that brings no more than a response can have.
"""

import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpcore
import trio
from OpenSSL import crypto

from scanner import __version__
from scanner.mail_policy.mta_sts import MAX_POLICY_BYTES
from scanner.mail_policy.result import Result
from scanner.outcome import Verdict
from scanner.trust import TrustStore
from scanner.wire_text import printable
from scanner.wires import outcome_of

PATH = b"/.well-known/mta-sts.txt"
MAX_RESPONSE_BYTES = MAX_POLICY_BYTES + 32_768  # with its headers, and how it is packed
MAX_RECEIVES = 4_096  # of one response: each takes work, and may bring one byte
MAX_TLS_BYTES = 1_048_576  # of it as they come: a record of TLS may bring no data at all, such as one more ticket

_HEADERS = ((b"User-Agent", f"tlsweep/{__version__}".encode()), (b"Accept", b"text/plain"), (b"Connection", b"close"))
# X509_V_ERR_*
_NAME_ERRORS = {62, 64}  # HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH
_TIME_ERRORS = {9, 10}  # CERT_NOT_YET_VALID, CERT_HAS_EXPIRED
_BUSY = {408, 429}  # RFC 9110 §15.5.9, RFC 6585 §4; and all of 500 and above


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


class Exchange:
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
        return failed_fetch(cause, detail, transient=transient, address=address, status=status)


def failed_fetch(
    cause: Cause,
    detail: str | None = None,
    *,
    transient: bool = False,
    address: str | None = None,
    status: int | None = None,
) -> Fetched:
    """There is no policy, for this cause."""
    return Fetched(
        result=Result.STS_POLICY_FETCH_ERROR,
        cause=cause,
        detail=detail,
        transient=transient or cause in _TRANSIENT,
        address=address,
        status=status,
    )


def context_of(store: TrustStore) -> ssl.SSLContext:
    """As RFC 8461 §3.3 asks for: a certificate with the name as a DNS-ID, never as a common name. TLS 1.2 or later."""
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as in `trust`: an anchor need not be a root
    for anchor in store.anchors:
        with suppress(ssl.SSLError):  # the library here is another one than that which has read them
            context.load_verify_locations(cadata=crypto.dump_certificate(crypto.FILETYPE_ASN1, anchor))
    return context


def _header(response: httpcore.Response, name: bytes) -> str | None:
    """The first one of that name."""
    return next((printable(value) for each, value in response.headers if each.lower() == name), None)


def _first_reason(error: BaseException) -> BaseException:
    """What an error came from in the end: each layer puts one of its own on top, and trio a group, of one address."""
    if isinstance(error, BaseExceptionGroup):
        return _first_reason(error.exceptions[0])
    return error if error.__cause__ is None else _first_reason(error.__cause__)


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


class _Tls(ssl.SSLObject):
    """The inside of TLS, which takes no more of the outside than a response can have."""

    incoming: ssl.MemoryBIO
    _left = MAX_TLS_BYTES
    _unread = 0

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002
        """What comes next; what is no data counts as well."""
        self._left -= self.incoming.pending - self._unread
        if self._left < 0:
            raise _TooLarge
        try:
            return super().read(len, buffer)
        finally:
            self._unread = self.incoming.pending


class _Context(ssl.SSLContext):
    """Makes these."""

    sslobject_class = _Tls

    def wrap_bio(self, incoming: ssl.MemoryBIO, *args: Any, **how: Any) -> Any:
        """As it is, and it knows where its bytes come from."""
        made: Any = super().wrap_bio(incoming, *args, **how)
        made.incoming = incoming
        return made
