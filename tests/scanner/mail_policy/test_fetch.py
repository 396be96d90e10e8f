"""The policy fetch, against real HTTPS servers on loopback (RFC 8461 §3.3). Sockets need the real clock."""

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
import trio
import trustme
from OpenSSL import crypto

from scanner import __version__
from scanner.mail_policy.fetch import PolicyFetcher, PolicyHost, PolicyLimits, _Slow
from scanner.mail_policy.https import Cause, Fetched
from scanner.mail_policy.mta_sts import MAX_POLICY_BYTES, read_policy
from scanner.mail_policy.result import Result
from scanner.trust import TrustStore
from targets.answer import DnsStatus
from tests.peers.https_server import HttpsServer, Say, https_server, repeating, response, saying, silent

DOMAIN = "example.org"
HOST = f"mta-sts.{DOMAIN}"
BODY = b"version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n"
PLAIN = "Content-Type: text/plain"
GOOD = response(BODY, "200 OK", PLAIN)
LIMITS = PolicyLimits(fetch_s=20, connect_s=10, rate=0)
HASTY = replace(LIMITS, fetch_s=0.3, connect_s=0.2)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@cache
def authority() -> trustme.CA:
    """Whom the fetcher trusts."""
    return trustme.CA()


@cache
def store() -> TrustStore:
    """The same as a store."""
    return TrustStore((crypto.load_certificate(crypto.FILETYPE_PEM, authority().cert_pem.bytes()),), ("ca.pem",))


def context(*names: str, ca: trustme.CA | None = None, **how: Any) -> ssl.SSLContext:
    """A server's, with a certificate for these names."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.set_alpn_protocols(["h2", "http/1.1"])
    (ca or authority()).issue_cert(*(names or (HOST,)), **how).configure_cert(made)
    return made


@cache
def good() -> ssl.SSLContext:
    """One that is right."""
    return context("*.example.org", HOST, "mta-sts.a.example", "mta-sts.b.example")


def found(*addresses: str, **how: Any) -> Callable[[str], Awaitable[PolicyHost]]:
    """A resolver that knows one answer."""

    async def resolve(host: str) -> PolicyHost:
        await trio.lowlevel.checkpoint()
        return PolicyHost(how.get("status", DnsStatus.OK), addresses, how.get("blocked", ()), how.get("detail"))

    return resolve


HERE = found("127.0.0.1")


async def fetched_from(
    say: Say, tls: ssl.SSLContext | None, limits: PolicyLimits = LIMITS
) -> tuple[Fetched, HttpsServer]:
    """What a fetch from such a server comes to."""
    async with https_server(say, tls) as server:
        return await PolicyFetcher(HERE, store(), limits, server.port).fetch(DOMAIN), server


async def test_a_policy() -> None:
    """It comes as it is, by a request that says who we are, for the right host and path, and nothing else."""
    fetched, server = await fetched_from(saying(GOOD), good())
    assert fetched == Fetched(BODY, "text/plain", address="127.0.0.1", status=200)
    assert (fetched.is_plain_text, fetched.firm_result, read_policy(fetched.body or b"").error) == (True, None, None)
    first, *headers = server.requests[0].decode().split("\r\n")
    assert first == "GET /.well-known/mta-sts.txt HTTP/1.1"
    assert sorted(filter(None, headers)) == [
        "Accept: text/plain",
        "Connection: close",
        f"Host: {HOST}:{server.port}",
        f"User-Agent: tlsweep/{__version__}",
    ]


FIRM, MOMENT = Result.STS_POLICY_FETCH_ERROR, None
HTML = "Content-Type: text/html; charset=utf-8"
LARGEST = BODY.ljust(MAX_POLICY_BYTES, b"\n")


@pytest.mark.parametrize(
    ("said", "body", "content_type"),
    [
        (response(LARGEST), LARGEST, None),
        (response(BODY, "200 OK", HTML), BODY, "text/html; charset=utf-8"),
        (response(BODY, "200 OK", "content-type: TEXT/Plain;charset=us-ascii"), BODY, "TEXT/Plain;charset=us-ascii"),
        (response(b""), b"", None),
        (b"HTTP/1.0 200 OK\r\n\r\n" + BODY, BODY, None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nver\r\n2;x=y\r\nsi\r\n0\r\n\r\n", b"versi", None),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + response(BODY), BODY, None),
    ],
)
async def test_bodies(said: bytes, body: bytes, content_type: str | None) -> None:
    """Whatever its form, and with the media type that it has."""
    fetched, _ = await fetched_from(saying(said), good())
    assert (fetched.body, fetched.content_type, fetched.result) == (body, content_type, None)
    assert fetched.is_plain_text is ("plain" in (content_type or "").lower())


ENDLESS = b"HTTP/1.1 200 OK\r\n"
BROKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + BODY


@pytest.mark.parametrize(
    ("say", "cause", "status", "firm"),
    [
        (saying(response(BODY, "404 Not Found")), Cause.STATUS, 404, FIRM),
        (saying(response(BODY, "204 No Content")), Cause.STATUS, 204, FIRM),
        (saying(response(BODY, "500 Internal Server Error")), Cause.STATUS, 500, MOMENT),
        (saying(response(BODY, "503 Service Unavailable")), Cause.STATUS, 503, MOMENT),
        (saying(response(BODY, "429 Too Many Requests")), Cause.STATUS, 429, MOMENT),
        (saying(response(BODY, "301 Moved", f"Location: https://{HOST}/")), Cause.REDIRECT, 301, FIRM),
        (saying(response(BODY, "308 Moved")), Cause.REDIRECT, 308, FIRM),
        (saying(response(LARGEST + b"\n")), Cause.TOO_LARGE, None, FIRM),
        (repeating(b"HTTP/1.0 200 OK\r\n\r\n", b"x" * 1_000), Cause.TOO_LARGE, None, FIRM),
        (repeating(ENDLESS, b"X-Header: x\r\n" * 100), Cause.TOO_LARGE, None, FIRM),
        (repeating(ENDLESS + b"X: ", b"x" * 1_000), Cause.TOO_LARGE, None, FIRM),
        (repeating(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), Cause.TOO_LARGE, None, FIRM),
        (repeating(ENDLESS + b"\r\n", b"x"), Cause.TOO_LARGE, None, FIRM),
        (saying(b"220 mx.example.org ESMTP\r\n\r\n"), Cause.NOT_HTTP, None, FIRM),
        (saying(b"220 mx.example.org ESMTP\r\n"), Cause.CLOSED, None, MOMENT),
        (saying(b""), Cause.CLOSED, None, MOMENT),
        (saying(b"HTTP/1.1 200"), Cause.CLOSED, None, MOMENT),
        (saying(BROKEN), Cause.CLOSED, None, MOMENT),
    ],
)
async def test_no_policy(say: Say, cause: Cause, status: int | None, firm: Result | None) -> None:
    """Anything but a whole 200 is none; what may only be of the moment is not reported (RFC 8460 §4.3.4)."""
    fetched, server = await fetched_from(say, good())
    assert (fetched.cause, fetched.status, fetched.firm_result) == (cause, status, firm)
    assert (fetched.body, fetched.result, fetched.address) == (None, FIRM, "127.0.0.1")
    assert server.connections == 1


async def test_where_a_redirect_leads() -> None:
    """It is told, as text that no terminal obeys, and not followed."""
    where = f"https://{HOST}/elsewhere"
    fetched, server = await fetched_from(saying(response(b"", "302 Found", f"Location: {where}\x1b[31m")), good())
    assert fetched.detail == where + r"\x1b[31m"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "say",
    [
        silent,
        repeating(response(BODY)[:-1], b"", 0.05),
        repeating(ENDLESS, b"X: y\r\n", 0.05),
        repeating(b"HTTP/1.0 200 OK\r\n\r\n", b"x", 0.05),
    ],
)
async def test_what_is_slow(say: Say) -> None:
    """A byte now and then does not put off the deadline."""
    fetched, _ = await fetched_from(say, good(), replace(LIMITS, fetch_s=0.3))
    assert (fetched.cause, fetched.detail, fetched.firm_result) == (Cause.TIMEOUT, "not within 0.3 s", MOMENT)
    assert fetched.address == "127.0.0.1"


def other_ca() -> ssl.SSLContext:
    """By an authority that nobody knows."""
    return context(ca=trustme.CA())


def expired() -> ssl.SSLContext:
    """Of long ago."""
    return context(not_before=LONG_AGO, not_after=LONG_AGO + timedelta(days=90))


def common_name_only() -> ssl.SSLContext:
    """With the host as its common name, and another as its DNS-ID."""
    return context("www.example.org", common_name=HOST)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (other_ca, Result.NOT_TRUSTED),
        (expired, Result.EXPIRED),
        (lambda: context(not_before=datetime(2090, 1, 1, tzinfo=UTC)), Result.EXPIRED),
        (lambda: context("www.example.org"), Result.HOST_MISMATCH),
        (lambda: context(DOMAIN), Result.HOST_MISMATCH),
        (lambda: context("127.0.0.1"), Result.HOST_MISMATCH),
        (common_name_only, Result.HOST_MISMATCH),
    ],
)
async def test_certificates_that_do_not_verify(make: Callable[[], ssl.SSLContext], word: Result) -> None:
    """Nothing is asked of such a host; what is wrong is told in the words for certificates."""
    fetched, server = await fetched_from(saying(GOOD), make())
    assert (fetched.firm_result, fetched.cause, fetched.body) == (Result.STS_WEBPKI_INVALID, word, None)
    assert fetched.detail
    assert server.requests == []


async def test_wildcards_verify() -> None:
    """A wildcard may stand for the label mta-sts (RFC 8461 §3.3)."""
    fetched, _ = await fetched_from(saying(GOOD), context("*.example.org"))
    assert fetched.body == BODY


# In TLS 1.1, with TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA.
SERVER_HELLO = bytes.fromhex("160302002a 02000026 0302") + bytes(32) + bytes.fromhex("00 c013 00")


@pytest.mark.parametrize(
    ("say", "limits", "cause", "firm"),
    [
        (saying(GOOD), LIMITS, Cause.TLS, FIRM),
        (saying(b"\x15\x03\x03\x00\x02\x02\x28"), LIMITS, Cause.TLS, FIRM),  # an alert: handshake_failure
        (saying(SERVER_HELLO), LIMITS, Cause.TLS, FIRM),  # 1.2 is the least
        (saying(b""), LIMITS, Cause.CLOSED, MOMENT),
        (silent, HASTY, Cause.TIMEOUT, MOMENT),
    ],
)
async def test_no_tls(say: Say, limits: PolicyLimits, cause: Cause, firm: Result | None) -> None:
    """Whoever is there does not do the handshake."""
    fetched, _ = await fetched_from(say, None, limits)
    assert (fetched.cause, fetched.firm_result, fetched.address) == (cause, firm, "127.0.0.1")


async def test_a_dead_address_is_passed_over() -> None:
    """The next one is tried, and only when there is no connection."""
    async with https_server(saying(GOOD), good()) as server:
        for addresses in (("127.0.0.2", "127.0.0.1"), ("127.0.0.1", "127.0.0.2")):
            fetched = await PolicyFetcher(found(*addresses), store(), LIMITS, server.port).fetch(DOMAIN)
            assert (fetched.body, fetched.address) == (BODY, "127.0.0.1")
        assert server.connections == 2


async def test_an_address_that_fails_otherwise_is_not() -> None:
    """What one address says is the answer."""
    async with https_server(saying(response(b"", "404 Not Found")), good(), "127.0.0.2") as server:
        fetched = await PolicyFetcher(found("127.0.0.1", "127.0.0.2"), store(), LIMITS, server.port).fetch(DOMAIN)
        assert (fetched.status, fetched.address, server.connections) == (404, "127.0.0.1", 1)


async def test_all_addresses_are_dead() -> None:
    """Refused is firm: the host is there, and has no policy to give."""
    async with https_server(saying(GOOD), good()) as server:
        port = server.port
    fetched = await PolicyFetcher(found("127.0.0.1", "127.0.0.2"), store(), LIMITS, port).fetch(DOMAIN)
    assert (fetched.cause, fetched.firm_result, fetched.address) == (Cause.REFUSED, FIRM, None)


@pytest.mark.parametrize(
    ("resolve", "cause", "detail", "firm"),
    [
        (found(status=DnsStatus.NXDOMAIN), Cause.DNS, "nxdomain", FIRM),
        (found(status=DnsStatus.NODATA), Cause.DNS, "nodata", FIRM),
        (found(status=DnsStatus.SERVFAIL, detail="REFUSED"), Cause.DNS, "REFUSED", MOMENT),
        (found(status=DnsStatus.TIMEOUT), Cause.DNS, "timeout", MOMENT),
        (found(status=DnsStatus.BOGUS), Cause.DNS, "bogus", MOMENT),
        (found(blocked=("10.0.0.1", "::1")), Cause.BLOCKED, "10.0.0.1, ::1", MOMENT),  # that is our own doing
    ],
)
async def test_nowhere_to_ask(
    resolve: Callable[[str], Awaitable[PolicyHost]], cause: Cause, detail: str, firm: Result | None
) -> None:
    """Without an address that may be asked, nobody is."""
    async with https_server(saying(GOOD), good()) as server:
        fetched = await PolicyFetcher(resolve, store(), LIMITS, server.port).fetch(DOMAIN)
        assert (fetched.cause, fetched.detail, fetched.firm_result) == (cause, detail, firm)
        assert server.connections == 0


async def test_the_system_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its resolver, nor its proxies, nor its trust: the policy host is one that nobody else knows."""
    asked = []

    async def resolve(host: str) -> PolicyHost:
        asked.append(host)
        return await HERE(host)

    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    async with https_server(saying(GOOD), context("mta-sts.xn--bcher-kva.invalid")) as server:
        fetched = await PolicyFetcher(resolve, store(), LIMITS, server.port).fetch("xn--bcher-kva.invalid")
    assert fetched.body == BODY
    assert asked == ["mta-sts.xn--bcher-kva.invalid"]


async def test_nobody_to_trust() -> None:
    """That is a limit of ours, and says nothing about the domain."""
    fetched = await PolicyFetcher(HERE, None, LIMITS).fetch(DOMAIN)
    assert (fetched.cause, fetched.firm_result) == (Cause.LOCAL_LIMITATION, None)


async def test_names_that_are_too_long() -> None:
    """A domain may have so long a name that its policy host can have none."""
    domain = ".".join(["a" * 49] * 5)
    fetched = await PolicyFetcher(HERE, store(), LIMITS).fetch(domain)
    assert (fetched.cause, fetched.firm_result) == (Cause.DNS, FIRM)


async def fetch_all(fetcher: PolicyFetcher, domains: list[str]) -> list[Fetched]:
    """All at once."""
    results: dict[int, Fetched] = {}

    async def fetch(number: int, domain: str) -> None:
        results[number] = await fetcher.fetch(domain)

    async with trio.open_nursery() as nursery:
        for number, domain in enumerate(domains):
            nursery.start_soon(fetch, number, domain)
    return [results[number] for number in range(len(domains))]


def slowly(say: Say, pause_s: float = 0.02) -> Say:
    """The same, a little later."""

    async def later(stream: trio.abc.Stream) -> None:
        await trio.sleep(pause_s)
        await say(stream)

    return later


async def test_one_fetch_for_all_who_ask() -> None:
    """However many ask for a domain, then and later, it is fetched once; failures too."""
    async with https_server(slowly(saying(GOOD)), good()) as server:
        fetcher = PolicyFetcher(HERE, store(), LIMITS, server.port)
        for _ in range(2):
            assert await fetch_all(fetcher, [DOMAIN, "a.example"] * 10) == [await fetcher.fetch(DOMAIN)] * 20
        assert server.connections == 2
        server.say = silent
        hasty = PolicyFetcher(HERE, store(), HASTY, server.port)
        assert {each.cause for each in await fetch_all(hasty, [DOMAIN] * 5)} == {Cause.TIMEOUT}
        assert server.connections == 3


async def test_who_is_cancelled_takes_nobody_along() -> None:
    """The next one who waits takes over."""
    came = trio.Event()

    async def first_silent(stream: trio.abc.Stream) -> None:
        if came.is_set():
            await stream.send_all(GOOD)
        else:
            came.set()
            await trio.sleep_forever()

    async with https_server(first_silent, good()) as server, trio.open_nursery() as nursery:
        fetcher, first = PolicyFetcher(HERE, store(), LIMITS, server.port), trio.CancelScope()

        async def fetch_first() -> None:
            with first:
                await fetcher.fetch(DOMAIN)

        async def cancel_first() -> None:
            await trio.testing.wait_all_tasks_blocked(0.02)
            first.cancel()

        nursery.start_soon(fetch_first)
        await came.wait()
        nursery.start_soon(cancel_first)
        assert (await fetcher.fetch(DOMAIN)).body == BODY
        assert server.connections == 2


async def test_an_address_is_asked_by_one_at_a_time() -> None:
    """However many domains have their policies there."""
    async with https_server(slowly(saying(GOOD)), good()) as server:
        fetcher = PolicyFetcher(HERE, store(), LIMITS, server.port)
        await fetch_all(fetcher, ["example.org", "a.example", "b.example"])
        assert (server.connections, server.most_at_once) == (3, 1)


async def test_so_many_at_once() -> None:
    """Over all addresses together; and who waits for a busy address keeps nobody from another."""
    domains = [f"{number}.example" for number in range(6)]
    addresses = {f"mta-sts.{domain}": f"127.0.0.{number + 1}" for number, domain in enumerate(domains)}

    async def resolve(host: str) -> PolicyHost:
        await trio.lowlevel.checkpoint()
        return PolicyHost(DnsStatus.OK, (addresses[host],))

    others = list(addresses.values())[1:]
    async with https_server(slowly(saying(GOOD), 0.1), context(*addresses), *others) as server:
        fetcher = PolicyFetcher(resolve, store(), replace(LIMITS, fetches=2), server.port)
        assert {each.body for each in await fetch_all(fetcher, domains)} == {BODY}
        assert (server.connections, server.most_at_once) == (6, 2)


async def test_so_many_a_second() -> None:
    """Connections begin at an even pace."""
    async with https_server(saying(GOOD), good()) as server:
        fetcher = PolicyFetcher(HERE, store(), replace(LIMITS, rate=20), server.port)
        started = trio.current_time()
        await fetch_all(fetcher, ["example.org", "a.example", "b.example"])
        assert trio.current_time() - started >= 2 / 20


async def test_a_slow_address_is_not_waited_for_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """After what one of them has waited there, the others are told so; and when it is forgiven, it is asked again."""
    monkeypatch.setattr("scanner.mail_policy.fetch.EASY_S", 0.05)
    monkeypatch.setattr("scanner.mail_policy.fetch.MOST_OWED_S", 0.2)
    monkeypatch.setattr("scanner.mail_policy.fetch.FORGIVEN", 0)
    domains = [f"{number}.example" for number in range(20)]
    async with https_server(silent, context(HOST, *(f"mta-sts.{domain}" for domain in domains))) as server:
        fetcher = PolicyFetcher(HERE, store(), HASTY, server.port)
        waited = await fetch_all(fetcher, domains)
        assert {(each.cause, each.firm_result) for each in waited} == {(Cause.TIMEOUT, None)}
        assert min(each.detail or "" for each in waited).startswith("127.0.0.1 is left alone")
        assert server.connections == 1
        monkeypatch.setattr("scanner.mail_policy.fetch.FORGIVEN", 1_000)
        await trio.sleep(0.01)
        server.say = saying(GOOD)
        assert (await fetcher.fetch(DOMAIN)).body == BODY


@pytest.mark.parametrize(
    ("slow", "other", "is_left_alone"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
def test_what_an_address_owes(slow: str, other: str, is_left_alone: bool) -> None:
    """Quick fetches and the time that goes by take from it; in IPv6, the addresses of one network owe together."""
    owed = _Slow()
    assert not owed.owes_too_much(slow, 0)
    owed.note(slow, 60, 60)
    assert not owed.owes_too_much(slow, 60)
    owed.note(slow, 60, 120)
    assert owed.owes_too_much(slow, 120)
    assert owed.owes_too_much(other, 120) == is_left_alone
    assert owed.owes_too_much(slow, 600)
    assert not owed.owes_too_much(slow, 700)
    for _ in range(1_000):
        owed.note(slow, 0.2, 700)
    owed.note(slow, 59, 760)
    assert not owed.owes_too_much(slow, 760)


async def test_tickets_without_end() -> None:
    """What TLS brings besides data is bounded as well: it would keep us at work for a minute."""
    tls = context()
    tls.num_tickets = 20_000
    fetched, _ = await fetched_from(saying(GOOD), tls)
    assert (fetched.cause, fetched.firm_result) == (Cause.TOO_LARGE, Result.STS_POLICY_FETCH_ERROR)


async def test_some_tickets() -> None:
    """Those that a server sends are in nobody's way."""
    tls = context()
    tls.num_tickets = 10
    fetched, _ = await fetched_from(saying(GOOD), tls)
    assert fetched.body == BODY
