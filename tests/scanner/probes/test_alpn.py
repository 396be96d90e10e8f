"""ALPN: which names are taken, in whose order, and what is done where none is."""

from collections.abc import Callable
from typing import Any

import pytest
from OpenSSL import SSL
from trio.testing import MockClock

from scanner.outcome import Outcome, Stage, Verdict
from scanner.probes import Known
from scanner.probes.alpn import GREASE, MOST_NAMES, Alpn, names_for
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.handshake import Handshake
from scanner.tls.names import Version
from scanner.tls.offer import Offer
from scanner.tls.shake import ShakeHands
from scanner.tls.talk import SayHello, Talk, Whom
from scanner.wire_text import printable
from targets.services import SERVICES
from tests.peers.tls_server import HOST
from tests.scanner.probes.asking import (
    OLD,
    VERSIONS,
    Altered,
    Cut,
    OpensslServer,
    Says,
    alerted,
    asked,
    came,
    hello,
    known,
    server_of,
    talk_with,
)
from tests.scanner.tls.wire import HANDSHAKE, extension, record, server_hello, u16

ALPN = 16
TLS12, TLS13, SSL3 = Version.TLS1_2, Version.TLS1_3, Version.SSLV3

Choose = Callable[[list[bytes]], Any]


class NoneOfTheseError(SSL.Error):
    """Raised by a server that refuses all names."""


def takes(choose: Choose, lowest: Version = Version.TLS1_0, highest: Version = TLS13) -> Callable[[], OpensslServer]:
    """A server that is asked for its choice of what is offered."""
    context = server_of(lowest, highest)
    context.set_alpn_select_callback(lambda _, offered: choose(offered))
    return lambda: OpensslServer(context)


def servers_order(*names: bytes) -> Choose:
    """Its first that is offered, else a refusal."""

    def choose(offered: list[bytes]) -> bytes:
        if common := [name for name in names if name in offered]:
            return common[0]
        raise NoneOfTheseError

    return choose


def clients_order(*names: bytes) -> Choose:
    """The client's first that it has, else nothing."""
    return lambda offered: next((name for name in offered if name in names), SSL.NO_OVERLAPPING_PROTOCOLS)


def part(name: bytes) -> bytes:
    """What stands in the extension of a ServerHello."""
    return u16(len(name) + 1) + bytes([len(name)]) + name


def chosen(name: bytes | None) -> HelloAnswer:
    """A ServerHello with this choice."""
    return hello(TLS12, {} if name is None else {ALPN: part(name)})


# --- servers of both kinds --------------------------------------------------------------------------------------------

ROWS: dict[str, tuple[Choose, list[str], str | None, str, int]] = {
    "its own order": (servers_order(b"http/1.1", b"h2"), ["http/1.1", "h2"], "server", "refused", 4),
    "its own, and the same as ours": (servers_order(b"h2", b"http/1.1"), ["h2", "http/1.1"], "server", "refused", 4),
    "the client's": (clients_order(b"http/1.1", b"h2"), ["h2", "http/1.1"], "client", "ignored", 4),
    "the client's, of three": (clients_order(b"dot", b"ftp", b"h2"), ["h2", "ftp", "dot"], "client", "ignored", 5),
    "one": (servers_order(b"h2"), ["h2"], None, "refused", 2),
    "another service's": (servers_order(b"xmpp-client"), ["xmpp-client"], None, "refused", 2),
    "none, and refuses": (servers_order(), [], None, "refused", 1),
    "none, and ignores": (clients_order(), [], None, "ignored", 1),
    "all there are": (clients_order(*names_for(SERVICES["https"])), [], "client", "ignored", MOST_NAMES + 2),
    "whatever is offered": (lambda offered: offered[0], [], "client", "accepted", MOST_NAMES + 2),
    "nobody's": (lambda offered: offered[-1], [], None, "accepted", 1),
}


@pytest.mark.parametrize("highest", [TLS12, TLS13])
@pytest.mark.parametrize("row", ROWS)
async def test_what_a_server_takes(row: str, highest: Version, autojump_clock: MockClock) -> None:
    """In plaintext as in handshakes of TLS 1.3: a connection for each name, one more, and one for the order."""
    choose, names, order, no_match, connections = ROWS[row]
    begin = takes(choose, Version.TLS1_0 if highest is TLS12 else TLS13, highest)
    without = await asked((), begin)
    made = await asked("alpn", begin)
    if connections > MOST_NAMES:
        names = [name.decode() for name in names_for(SERVICES["https"])[:MOST_NAMES]]
    assert made["alpn"] == {
        "complete": True, "version": highest, "protocols": names, "order": order, "no_match": no_match
    }  # fmt: skip
    assert made["connections"] - without["connections"] == connections


async def test_plaintext_is_asked_where_there_is_any(autojump_clock: MockClock) -> None:
    """A server of TLS 1.2 and 1.3 is not asked for handshakes."""
    made = await asked("alpn", takes(servers_order(b"h2")))
    assert made["alpn"]["version"] == TLS12


async def test_not_asked_is_null(autojump_clock: MockClock) -> None:
    """And so it is where no TLS was met."""
    assert (await asked((), takes(servers_order(b"h2"))))["alpn"] is None
    assert (await asked("alpn", lambda: Says(b"HTTP/1.1 400 Bad Request\r\n\r\n")))["alpn"] is None


# --- what is offered --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", SERVICES)
def test_the_names_of_a_service_come_first(service: str) -> None:
    """All are offered to all, each once, and short enough for the list to be of little weight in a hello."""
    names = names_for(SERVICES[service])
    assert set(names) == set(names_for(SERVICES["https"]))
    assert len(set(names)) == len(names)
    assert all(printable(name) == name.decode("ascii") and 0 < len(name) < 256 for name in names)
    assert len(b"".join(map(part, names))) < 400
    first = {"imaps": b"imap", "pop3": b"pop3", "sieve": b"managesieve", "ftp": b"ftp", "xmpps-client": b"xmpp-client"}
    first |= {"https": b"h2", "ircs": b"irc", "nntps": b"nntp", "postgresql-direct": b"postgresql"}
    assert names[0] == first.get(service, names[0])


def test_nobody_has_the_last_name() -> None:
    """It is one of those that are reserved for nobody (RFC 8701 §2)."""
    (talk,) = Alpn().ask(known(TLS12), [])
    assert isinstance(talk, SayHello)
    assert talk.offer == Offer(TLS12, alpn=(*names_for(SERVICES["https"]), GREASE))
    assert GREASE[0] == GREASE[1]
    assert GREASE[0] & 0x0F == 0x0A


@pytest.mark.parametrize("versions", [(), (Version.SSLV2,), (Version.SSLV2, SSL3)])
def test_without_extensions_there_is_none(versions: tuple[Version, ...]) -> None:
    """SSL has none."""
    assert Alpn().ask(known(*versions), []) == []
    assert Alpn().result(known(*versions), []) == {
        "version": None, "protocols": None, "order": None, "no_match": None
    }  # fmt: skip


# --- servers that do otherwise ----------------------------------------------------------------------------------------


def walk(met: Known, *found: object) -> tuple[list[Talk], dict[str, Any]]:
    """(what is asked next, the result) after these answers, one after the other."""
    talks: list[Talk] = []
    for number in range(len(found)):
        talks += Alpn().ask(met, came(talks, *found[:number]))
    talked = came(talks, *found)
    return Alpn().ask(met, talked), Alpn().result(met, talked)


SILENCE = HelloAnswer(Evidence.TIMEOUT)
FAILED = Handshake(failure=Outcome(Verdict.TIMEOUT, Stage.TLS, "timeout"))
NOTHING_TOLD: dict[str, object] = {
    "silence": SILENCE,
    "closed": HelloAnswer(Evidence.CLOSED),
    "another alert": alerted(40),
    "turned away": None,
    "a name that was not offered": chosen(b"spdy/9"),
    "half an extension": hello(TLS12, {ALPN: part(b"h2")[:-1]}),
    "two names": hello(TLS12, {ALPN: u16(6) + b"\x02h2\x02h3"}),
    "an empty extension": hello(TLS12, {ALPN: b""}),
    "an empty name": hello(TLS12, {ALPN: part(b"")}),
}


@pytest.mark.parametrize("case", NOTHING_TOLD)
def test_what_tells_nothing_ends_it(case: str) -> None:
    """At once nothing is known; later, what was told before stays, and it is not complete."""
    answer = NOTHING_TOLD[case]
    asks, told = walk(known(TLS12), answer)
    assert not asks
    assert told == {"complete": False, "version": TLS12, "protocols": None, "order": None, "no_match": None}
    asks, told = walk(known(TLS12), chosen(b"h2"), answer)
    assert not asks
    assert told == {"complete": False, "version": TLS12, "protocols": ["h2"], "order": None, "no_match": None}


def test_an_order_that_is_neither() -> None:
    """Of three, the middle one of those in reverse; and silence there leaves it open, but for that all is known."""
    three = [chosen(b"h2"), chosen(b"ftp"), chosen(b"dot"), alerted(120)]
    for answer in (chosen(b"ftp"), SILENCE, chosen(None)):
        asks, told = walk(known(TLS12), *three, answer)
        assert not asks
        assert (told["protocols"], told["order"], told["no_match"]) == (["h2", "ftp", "dot"], None, "refused")


def test_a_name_that_was_chosen_is_not_offered_again() -> None:
    """So a server that insists on it is told by that."""
    asks, told = walk(known(TLS12), chosen(b"h2"), chosen(b"h2"))
    assert (asks, told["complete"], told["protocols"]) == ([], False, ["h2"])


def test_handshakes_that_fail() -> None:
    """By the alert for it they tell; by anything else they do not."""
    refused = Handshake(failure=Outcome(Verdict.HANDSHAKE_FAILED, Stage.TLS, "alert", alert="no_application_protocol"))
    _, told = walk(known(TLS13), Handshake(alpn="h2"), refused)
    assert (told["protocols"], told["no_match"]) == (["h2"], "refused")
    _, told = walk(known(TLS13), Handshake(alpn="h2"), FAILED)
    assert (told["protocols"], told["no_match"], told["complete"]) == (["h2"], None, False)
    _, told = walk(known(TLS13), Handshake(alpn="spdy/9"))
    assert (told["protocols"], told["complete"]) == (None, False)


# --- on the wire ------------------------------------------------------------------------------------------------------


def test_a_handshake_with_names() -> None:
    """The names are those of the connection; the next one has others."""
    begin = takes(clients_order(b"h2", b"http/1.1"))
    whom = Whom(HOST, False)
    for names, choice in (((b"h2",), "h2"), ((b"http/1.1", b"h2"), "http/1.1"), ((b"ftp",), None)):
        assert talk_with(ShakeHands(names).begin(whom), begin()).alpn == choice


@pytest.mark.parametrize("size", range(0, 2400, 97))
def test_a_handshake_that_is_cut(size: int) -> None:
    """It is one with this choice, or none at all."""
    begin = takes(clients_order(b"h2"), TLS13)
    shaken = talk_with(ShakeHands((b"h2",)).begin(Whom(HOST, False)), Cut(begin(), size))
    assert shaken.failure is not None or shaken.alpn == "h2"


@pytest.mark.parametrize("at", range(0, 1500, 61))
def test_a_handshake_that_is_altered(at: int) -> None:
    """Whatever comes, there is a result."""
    begin = takes(clients_order(b"h2"), TLS13)
    shaken = talk_with(ShakeHands((b"h2",)).begin(Whom(HOST, False)), Altered(begin(), at, 0x41))
    assert shaken.failure is not None or shaken.alpn == "h2"


async def test_a_server_that_is_silent_at_the_third_name(autojump_clock: MockClock) -> None:
    """What it said before is known; that it has no more is not."""
    context, met = takes(servers_order(b"h2", b"http/1.1"), highest=TLS12), list[int]()

    def begin() -> Any:
        met.append(1)
        return context() if len(met) <= 2 else Says(b"")

    made = await asked("alpn", context, besides=begin, versions=OLD)
    assert made["alpn"] == {
        "complete": False, "version": TLS12, "protocols": ["h2", "http/1.1"], "order": None, "no_match": None
    }  # fmt: skip


async def test_a_hello_in_plaintext(autojump_clock: MockClock) -> None:
    """The extension of a ServerHello, as it stands on the wire."""
    said = record(HANDSHAKE, server_hello(0x0303, 0xC02F, extension(ALPN, part(b"http/1.1"))))
    made = await asked("alpn", takes(servers_order()), besides=lambda: Says(said), versions=VERSIONS)
    assert (made["alpn"]["protocols"], made["alpn"]["complete"]) == (["http/1.1"], False)
