"""Sessions: what is offered, and what is gone on with, by each of the three ways."""

import ssl
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from trio.testing import MockClock

from scanner.dialogue import End
from scanner.outcome import Outcome, Stage, Verdict
from scanner.probes.resumption import Resumption
from scanner.tls.handshake import Handshake
from scanner.tls.names import Version
from scanner.tls.overheard import Ticket
from scanner.tls.sessions import MAX_BYTES_BEHIND, MakeSession, Session, Way
from scanner.tls.talk import Whom
from tests.peers.tls_server import HOST, Speaker, TlsServer
from tests.peers.tls_table import context_of
from tests.scanner.probes.asking import (
    OLD,
    VERSIONS,
    Altered,
    Cut,
    OpensslServer,
    Orderly,
    Says,
    asked,
    came,
    known,
    server_of,
    talk_with,
)
from tests.scanner.tls.wire import ClientHello, read_client_hello

TLS10, TLS12, TLS13 = Version.TLS1_0, Version.TLS1_2, Version.TLS1_3
WHOM = Whom(HOST, False)
LIFETIME_S = 7200  # OpenSSL's
SESSION_TICKET, PRE_SHARED_KEY, SUPPORTED_VERSIONS = 35, 41, 43
FAILED = Handshake(failure=Outcome(Verdict.TIMEOUT, Stage.TLS, "timeout"))


def offers(version: Version, *, resumed: bool | None = True, **facts: int | None) -> dict[str, Any]:
    """A way by which a session was offered."""
    return {"version": version, "offered": True, "resumed": resumed, **facts}


def withholds(version: Version, **facts: None) -> dict[str, Any]:
    """A way by which none was offered."""
    return {"version": version, "offered": False, "resumed": None, **facts}


def made_by(lowest: Version, highest: Version, *, options: int = 0, tickets: int = 2) -> ssl.SSLContext:
    """A context of Python's, of its own for its sessions."""
    context_of.cache_clear()
    context = context_of(lowest, highest)
    context_of.cache_clear()
    context.options |= options
    context.num_tickets = tickets
    return context


def orderly(context: ssl.SSLContext) -> Callable[[], Orderly]:
    """A server with it on each connection."""
    return lambda: Orderly(context=context)


# --- whole servers ----------------------------------------------------------------------------------------------------

TICKET: dict[str, Any] = {"lifetime_s": LIFETIME_S}
PSK: dict[str, Any] = {**TICKET, "max_early_data_bytes": 0}
NO_TICKET: dict[str, None] = {"lifetime_s": None}
NO_PSK: dict[str, None] = {**NO_TICKET, "max_early_data_bytes": None}

ROWS: dict[str, tuple[Callable[[], Callable[[], Speaker]], dict[str, Any], int]] = {
    "all there are": (
        lambda: orderly(made_by(TLS10, TLS13)),
        {
            "session_id": offers(TLS12),
            "session_ticket": offers(TLS12, **TICKET),
            "psk": offers(TLS13, **PSK),
        },
        6,
    ),
    "TLS 1.2 without tickets": (
        lambda: orderly(made_by(TLS10, TLS12, options=ssl.OP_NO_TICKET)),
        {"session_id": offers(TLS12), "session_ticket": withholds(TLS12, **NO_TICKET), "psk": None},
        3,
    ),
    "TLS 1.3 alone": (
        lambda: orderly(made_by(TLS13, TLS13)),
        {"session_id": None, "session_ticket": None, "psk": offers(TLS13, **PSK)},
        2,
    ),
    "TLS 1.3 without tickets": (
        lambda: orderly(made_by(TLS13, TLS13, tickets=0)),
        {"session_id": None, "session_ticket": None, "psk": withholds(TLS13, **NO_PSK)},
        1,
    ),
    "TLS 1.0 alone": (
        lambda: orderly(made_by(TLS10, TLS10)),
        {"session_id": offers(TLS10), "session_ticket": offers(TLS10, **TICKET), "psk": None},
        4,
    ),
}


@pytest.mark.parametrize("row", ROWS)
async def test_what_a_server_offers(row: str, autojump_clock: MockClock) -> None:
    """Each way by itself: a handshake, and another where a session was offered."""
    make, expected, connections = ROWS[row]
    begin = make()
    without = await asked((), begin)
    made = await asked("resumption", begin)
    assert made["resumption"] == {"complete": True, **expected}
    assert made["connections"] - without["connections"] == connections
    assert without["resumption"] is None


async def test_ids_without_a_cache(autojump_clock: MockClock) -> None:
    """A server that keeps no sessions gives no ids."""
    context = server_of(TLS12, TLS12)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET)
    made = await asked("resumption", lambda: OpensslServer(context), versions=OLD)
    assert made["resumption"] == {
        "complete": True,
        "session_id": withholds(TLS12),
        "session_ticket": withholds(TLS12, **NO_TICKET),
        "psk": None,
    }


@pytest.mark.parametrize("suite", ["TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"])
async def test_a_suite_that_openssl_does_not_offer_unasked(autojump_clock: MockClock, suite: str) -> None:
    """The full handshake offers them all the same, and so does this one, and reads its ticket."""
    context = server_of(TLS13, TLS13)
    context.set_tls13_ciphersuites(suite.encode())
    made = await asked("resumption", lambda: OpensslServer(context), versions=(TLS13,))
    assert made["tls"]["cipher"] == suite
    assert made["resumption"]["psk"] == offers(TLS13, **PSK)


async def test_offered_and_not_resumed(autojump_clock: MockClock) -> None:
    """Several servers behind one address that share no keys: the second connection meets another one."""
    begin = orderly(made_by(TLS12, TLS13))
    made = await asked("resumption", begin, besides=lambda: Orderly(context=made_by(TLS12, TLS13)))
    assert made["resumption"] == {
        "complete": True,
        "session_id": offers(TLS12, resumed=False),
        "session_ticket": offers(TLS12, resumed=False, **TICKET),
        "psk": offers(TLS13, resumed=False, **PSK),
    }


async def test_a_greeting_in_front_of_the_ticket(autojump_clock: MockClock) -> None:
    """What a server says inside TLS is passed over."""
    context = made_by(TLS13, TLS13)
    begin = lambda: Orderly(context=context, greeting=b"220 mx\r\n" * 99)  # noqa: E731
    assert (await asked("resumption", begin))["resumption"]["psk"] == offers(TLS13, **PSK)


# --- what cannot be told ----------------------------------------------------------------------------------------------

UNTOLD = {"version": TLS13, "offered": None, "resumed": None, **NO_PSK}


async def test_silence_in_place_of_a_ticket(autojump_clock: MockClock) -> None:
    """It may come yet: a server without a goodbye has not said that there is none."""
    context = made_by(TLS13, TLS13, tickets=0)
    made = await asked("resumption", lambda: TlsServer(context=context))
    assert made["resumption"]["psk"] == UNTOLD


async def test_a_server_that_fails_besides(autojump_clock: MockClock) -> None:
    """Each way stays unknown, and asks for no second connection."""
    for failing in (Says(b""), Says(b"", closes=True), Says(b"HTTP/1.1 400 Bad Request\r\n\r\n", closes=True)):
        made = await asked("resumption", orderly(made_by(TLS12, TLS13)), besides=lambda each=failing: each)  # type: ignore[misc]
        assert made["resumption"] == {
            "complete": True,
            "session_id": {"version": TLS12, "offered": None, "resumed": None},
            "session_ticket": {"version": TLS12, "offered": None, "resumed": None, "lifetime_s": None},
            "psk": UNTOLD,
        }


@pytest.mark.parametrize("versions", [(), (Version.SSLV2, Version.SSLV3)])
def test_no_version_that_the_library_has(versions: tuple[Version, ...]) -> None:
    """Nothing is asked, and nothing is told."""
    assert Resumption().ask(known(*versions), []) == []
    assert Resumption().result(known(*versions), []) == {"session_id": None, "session_ticket": None, "psk": None}


def test_the_second_round() -> None:
    """It goes on with each session that there is, and is the last."""
    met, probe = known(*VERSIONS), Resumption()
    first = probe.ask(met, [])
    assert first == [MakeSession(Way.ID, TLS12), MakeSession(Way.TICKET, TLS12), MakeSession(Way.PSK, TLS13)]
    one, other = SSL.Session(), SSL.Session()
    told = [Session(version=TLS12, offered=True, resumable=one), FAILED]
    told.append(Session(version=TLS13, offered=True, ticket=Ticket(9, 8), resumable=other))
    talked = came(first, *told)
    second = probe.ask(met, talked)
    assert second == [MakeSession(Way.ID, TLS12, one), MakeSession(Way.PSK, TLS13, other)]
    talked += came(second, FAILED, None)
    assert probe.ask(met, talked) == []
    assert probe.result(met, talked) == {
        "session_id": offers(TLS12, resumed=None),
        "session_ticket": {"version": TLS12, "offered": None, "resumed": None, "lifetime_s": None},
        "psk": offers(TLS13, resumed=None, lifetime_s=9, max_early_data_bytes=8),
    }


# --- on the wire ------------------------------------------------------------------------------------------------------

WAYS = {Way.ID: TLS12, Way.TICKET: TLS12, Way.PSK: TLS13}
each_way = pytest.mark.parametrize("way", Way)


class Hello(Orderly):
    """Keeps the ClientHello."""

    client: ClientHello | None = None

    def hear(self, data: bytes) -> bytes:
        """As usual."""
        self.client = self.client or read_client_hello(data)
        return super().hear(data)


@each_way
def test_each_way_offers_itself_alone(way: Way) -> None:
    """A server cannot go on with a session by another way than the one that is measured."""
    context = made_by(TLS12, TLS13)
    kept = [Hello(context=context), Hello(context=context)]
    first = talk_with(MakeSession(way, WAYS[way]).begin(WHOM), kept[0])
    assert isinstance(first, Session)
    second = talk_with(MakeSession(way, WAYS[way], first.resumable).begin(WHOM), kept[1])
    assert isinstance(second, Session)
    assert (first.resumed, second.resumed) == (False, True)
    before, after = (each.client for each in kept)
    assert before is not None
    assert after is not None
    assert before.extensions is not None
    assert after.extensions is not None
    assert (PRE_SHARED_KEY in before.extensions, PRE_SHARED_KEY in after.extensions) == (False, way is Way.PSK)
    assert (SUPPORTED_VERSIONS in after.extensions) == (way is Way.PSK)
    assert bool(before.extensions.get(SESSION_TICKET)) is False
    assert bool(after.extensions.get(SESSION_TICKET)) == (way is Way.TICKET)
    assert (SESSION_TICKET in before.extensions) or way is Way.ID
    assert all(each.closed_politely for each in kept)


@each_way
def test_a_session_is_told_apart_by_nothing_but_the_wire(way: Way) -> None:
    """A server that has forgotten: what the client offers is not what is resumed."""
    talk = MakeSession(way, WAYS[way])
    first = talk_with(talk.begin(WHOM), kept := Orderly(context=made_by(TLS12, TLS13)))
    assert isinstance(first, Session)
    second = MakeSession(way, WAYS[way], first.resumable)
    again = talk_with(second.begin(WHOM), Orderly(context=made_by(TLS12, TLS13)))
    assert isinstance(again, Session)
    assert (again.offered, again.resumed) == (True, False)
    assert kept.closed_politely


class Talks(TlsServer):
    """Says, behind a handshake without a ticket, more than anybody wants to hear."""

    said_bytes = 0

    def hear(self, data: bytes) -> bytes:
        """As usual, and then a text without end."""
        said = super().hear(data)
        if self.closed_politely:
            for _ in range(16):
                self._tls.write(bytes(8_192))
            said += self._outgoing.read()
            self.said_bytes += len(said)
        return said


def test_no_ticket_in_a_flood() -> None:
    """It is read for so long, and no longer; that there is none, nobody has said."""
    dialogue = MakeSession(Way.PSK, TLS13).begin(WHOM)
    found = talk_with(dialogue, server := Talks(context=made_by(TLS12, TLS13, tickets=0)))
    assert server.said_bytes > 2 * MAX_BYTES_BEHIND
    assert isinstance(found, Session)
    assert (found.offered, dialogue.ended) == (None, None)


CONTEXT = made_by(TLS12, TLS13)


@pytest.mark.parametrize("end", [End.EOF, End.RESET, End.TIMEOUT, End.DEADLINE, End.CAP])
@pytest.mark.parametrize("size", range(0, 3200, 160))
def test_a_connection_that_is_cut(size: int, end: End) -> None:
    """It never means that there is no session."""
    for way, version in WAYS.items():
        found = talk_with(MakeSession(way, version).begin(WHOM), Cut(Orderly(context=CONTEXT), size), end)
        assert not isinstance(found, Session) or found.offered is not False
        assert isinstance(found, Session) or found.failure is not None


@settings(max_examples=60)
@given(st.sampled_from(list(Way)), st.integers(0, 2600), st.integers(1, 255))
def test_a_connection_that_is_altered(way: Way, at: int, by: int) -> None:
    """Whatever comes, there is a result."""
    found = talk_with(MakeSession(way, WAYS[way]).begin(WHOM), Altered(Orderly(context=CONTEXT), at, by))
    assert isinstance(found, Session) or found.failure is not None
