"""Renegotiation: is it secure (RFC 5746), and does the server let a client begin one?"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from trio.testing import MockClock

from scanner.dialogue import End
from scanner.outcome import Outcome, Stage, Verdict
from scanner.probes.renegotiation import RENEGOTIATION_INFO, Renegotiation
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.handshake import Handshake
from scanner.tls.names import Version
from scanner.tls.offer import Offer
from scanner.tls.renegotiation import Answer, Renegotiate, Renegotiated
from scanner.tls.talk import SayHello, Whom
from tests.peers.tls_server import HOST, Closed, TlsServer
from tests.peers.tls_table import context_of
from tests.scanner.probes.asking import (
    ALLOW_CLIENT_RENEGOTIATION,
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
from tests.scanner.tls.wire import HANDSHAKE, record, server_hello

SSL2, SSL3, TLS10, TLS11, TLS12, TLS13 = Version
WHOM = Whom(HOST, False)
PROBE = Renegotiation()
LEGACY, BY_CLIENT = "insecure-renegotiation", "client-renegotiation"


def willing(highest: Version = TLS12, greeting: bytes = b"") -> Callable[[], OpensslServer]:
    """A server that lets clients begin one."""
    context = server_of(TLS10, highest)
    return lambda: OpensslServer(context, greeting, ALLOW_CLIENT_RENEGOTIATION)


def unwilling(highest: Version = TLS12) -> Callable[[], OpensslServer]:
    """OpenSSL as it is."""
    context = server_of(TLS10, highest)
    return lambda: OpensslServer(context)


def ids(made: dict[str, Any]) -> set[str]:
    """Its findings about renegotiation."""
    return {finding["id"] for finding in made["findings"]} & {LEGACY, BY_CLIENT}


# --- whole servers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("highest", [TLS10, TLS12, TLS13])
@pytest.mark.parametrize("greeting", [b"", b"220 mx.example.test ESMTP\r\n"])
async def test_a_server_that_lets_clients(highest: Version, greeting: bytes, autojump_clock: MockClock) -> None:
    """A second handshake, whole, though a greeting comes into the middle of it."""
    begin = willing(highest, greeting)
    without = await asked((), begin, "https")
    made = await asked("renegotiation", begin)
    assert made["renegotiation"] == {
        "complete": True,
        "version": min(highest, TLS12, key=lambda version: version.code),
        "secure": True,
        "client_initiated": "accepted",
        "alert": None,
        "cause": None,
    }
    assert made["connections"] - without["connections"] == 2
    assert ids(made) == {BY_CLIENT}


@pytest.mark.parametrize("begin", [unwilling(), lambda: TlsServer(context=context_of(TLS10, TLS12))])
async def test_a_server_that_refuses(begin: Callable[[], TlsServer], autojump_clock: MockClock) -> None:
    """By the alert for it: there is nothing wrong with that."""
    made = await asked("renegotiation", begin)
    part = made["renegotiation"]
    assert (part["secure"], part["client_initiated"], part["alert"]) == (True, "refused", "no_renegotiation")
    assert ids(made) == set()


async def test_tls13_has_none(autojump_clock: MockClock) -> None:
    """Nothing is asked."""
    begin = lambda: TlsServer(context=context_of(TLS13, TLS13))  # noqa: E731
    without = await asked((), begin)
    made = await asked("renegotiation", begin)
    assert made["renegotiation"] == {
        "complete": True,
        "version": None,
        "secure": None,
        "client_initiated": "not_applicable",
        "alert": None,
        "cause": None,
    }
    assert made["connections"] == without["connections"]


async def test_a_server_without_rfc5746(autojump_clock: MockClock) -> None:
    """Its ServerHello does not have renegotiation_info, though the hello asks for it."""
    said = record(HANDSHAKE, server_hello(0x0303, 0xC02F, b""))
    made = await asked("renegotiation", unwilling(), besides=lambda: Says(said))
    part = made["renegotiation"]
    assert (part["secure"], part["client_initiated"], part["cause"]) == (False, "unknown", None)
    assert ids(made) == set()


class Ends(OpensslServer):
    """Meets a renegotiation with this; with None, with silence."""

    def __init__(self, end: Closed | None) -> None:
        super().__init__(server_of(TLS10, TLS12))
        self._end = end

    def hear(self, data: bytes) -> bytes:
        """As usual, as far as the first handshake."""
        if not self._shaken:
            return super().hear(data)
        if self._end:
            raise self._end
        return b""


@pytest.mark.parametrize(
    ("end", "cause"),
    [(Closed(), "closed"), (Closed(reset=True), "reset"), (None, "timeout"), (Closed(b"220 hi\r\n" * 9), "violation")],
)
async def test_whoever_falls_silent_has_not_said_no(end: Closed | None, cause: str, autojump_clock: MockClock) -> None:
    """What ended it is told."""
    made = await asked("renegotiation", unwilling(), besides=lambda: Ends(end))
    part = made["renegotiation"]
    assert (part["client_initiated"], part["alert"], part["cause"]) == ("unknown", None, cause)
    assert ids(made) == set()


# --- what follows -----------------------------------------------------------------------------------------------------

SECURE, INSECURE = hello(TLS12, {RENEGOTIATION_INFO: b"\x00"}), hello(TLS12)
ACCEPTED = Renegotiated(version=TLS12, answer=Answer.ACCEPTED)
REFUSED = Renegotiated(version=TLS12, answer=Answer.REFUSED, alert="no_renegotiation")
UNKNOWN = Renegotiated(version=TLS12, cause="closed")
FAILED = Handshake(failure=Outcome(Verdict.TIMEOUT, Stage.TLS, "timeout"))
SILENCE = HelloAnswer(Evidence.TIMEOUT)


@pytest.mark.parametrize(
    ("heard", "tried", "secure", "answer", "findings"),
    [
        (SECURE, ACCEPTED, True, "accepted", [BY_CLIENT]),
        (INSECURE, ACCEPTED, False, "accepted", [LEGACY]),
        (SILENCE, ACCEPTED, None, "accepted", []),  # one of the two, and nobody knows which
        (SECURE, REFUSED, True, "refused", []),
        (INSECURE, REFUSED, False, "refused", []),
        (INSECURE, UNKNOWN, False, "unknown", []),
        (INSECURE, FAILED, False, "unknown", []),
        (alerted(40), FAILED, None, "unknown", []),
        (None, None, None, "unknown", []),
    ],
)
def test_what_follows(heard: object, tried: object, secure: bool | None, answer: str, findings: list[str]) -> None:
    """An insecure one is the attacker's only where the server takes part in it."""
    talks = PROBE.ask(known(TLS12), [])
    assert talks == [SayHello(Offer(TLS12)), Renegotiate()]
    talked = came(talks, heard, tried)
    assert PROBE.ask(known(TLS12), talked) == []
    part = PROBE.result(known(TLS12), talked)
    assert (part["secure"], part["client_initiated"]) == (secure, answer)
    assert list(PROBE.findings(part)) == findings


@pytest.mark.parametrize("versions", [(SSL3,), (SSL2, SSL3, TLS13)])
def test_sslv3_is_asked_for_the_extension_alone(versions: tuple[Version, ...]) -> None:
    """RFC 5746 §4.5: its ServerHello may have it too. The library cannot make the handshake."""
    talks = PROBE.ask(known(*versions), [])
    assert talks == [SayHello(Offer(SSL3))]
    part = PROBE.result(known(*versions), came(talks, hello(SSL3, {RENEGOTIATION_INFO: b"\x00"})))
    assert (part["version"], part["secure"], part["client_initiated"]) == (SSL3, True, "unknown")


# --- on the wire ------------------------------------------------------------------------------------------------------


class Counts:
    """A willing server; counts the handshakes that it completes."""

    def __init__(self) -> None:
        context = server_of(TLS10, TLS12)
        context.set_info_callback(self._note)
        self._server = OpensslServer(context, options=ALLOW_CLIENT_RENEGOTIATION)
        self.handshakes = 0
        self.ended = False

    def hear(self, data: bytes) -> bytes:
        """As usual."""
        try:
            return self._server.hear(data)
        except Closed:
            self.ended = True
            raise

    def _note(self, tls: SSL.Connection, where: int, value: int) -> None:
        self.handshakes += where == SSL.SSL_CB_HANDSHAKE_DONE


def test_it_is_asked_once() -> None:
    """One renegotiation, and a goodbye."""
    server = Counts()
    found = talk_with(Renegotiate().begin(WHOM), server)
    assert isinstance(found, Renegotiated)
    assert (found.answer, found.version, server.handshakes) == (Answer.ACCEPTED, TLS12, 2)
    assert server.ended


def test_no_group_is_offered_that_could_keep_us_busy() -> None:
    """In the second handshake nobody sees the group before OpenSSL does: there is none of finite fields."""
    offered = Renegotiate().begin(WHOM).tls.get_cipher_list()
    assert "ECDHE-RSA-AES128-GCM-SHA256" in offered
    assert "AES128-SHA" in offered
    assert [name for name in offered if name.startswith(("DH", "ADH", "EDH"))] == []


@pytest.mark.parametrize("end", [End.EOF, End.RESET, End.TIMEOUT, End.DEADLINE, End.CAP])
@pytest.mark.parametrize("size", range(0, 2600, 130))
def test_a_connection_that_is_cut(size: int, end: End) -> None:
    """It is never a refusal."""
    found = talk_with(Renegotiate().begin(WHOM), Cut(willing()(), size), end)
    assert not isinstance(found, Renegotiated) or found.answer is not Answer.REFUSED
    assert isinstance(found, Renegotiated) or found.failure is not None


@settings(max_examples=60)
@given(st.integers(0, 2200), st.integers(1, 255))
def test_a_connection_that_is_altered(at: int, by: int) -> None:
    """Whatever comes, there is a result, and nobody renegotiates with a stranger in between."""
    begin = willing()
    found = talk_with(Renegotiate().begin(WHOM), Altered(begin(), at, by))
    assert isinstance(found, Renegotiated) or found.failure is not None
