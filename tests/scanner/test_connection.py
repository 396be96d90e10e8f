"""One question on one connection: over a wire in memory under a jumping clock, and over real sockets."""

import errno
import os
import resource
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import repeat
from math import inf

import pytest
import trio

from scanner.connection import Connection, Timeouts
from scanner.dialogue import End, WireEnded
from scanner.outcome import Outcome, Stage, Verdict
from scanner.question import Answer, Negotiate, OfferVersion, Question
from scanner.tls.exchange import Evidence
from scanner.tls.names import Version
from scanner.vigil import Vigil
from scanner.wires import ConnectFailed, Patience, SocketWire, dial, outcome_of, source_addresses
from targets.services import SERVICES
from targets.target import Endpoint, Origin
from tests.peers.memory import DEAF, FIN, RST, STUCK, Act, Network, Peer, Turn, Wire
from tests.peers.tls_server import HOST, BreaksInside, TlsServer, smtp_inside

ADDRESS = "192.0.2.1"
TIMEOUTS = Timeouts(connect_s=3, greeting_s=7, reply_s=5, tls_s=4, deadline_s=60)
OFFER = OfferVersion(Version.TLS1_2)

GREETING = Turn(1, b"220 mx ESMTP\r\n")
CAPABILITIES = Turn(1, b"250-mx\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n", heard=b"EHLO")
GO_AHEAD = Turn(1, b"220 go ahead\r\n", heard=b"STARTTLS\r\n")
UPGRADE = (GREETING, CAPABILITIES, GO_AHEAD)
CLOSE_NOTIFY = bytes.fromhex("15 0303 0002 0100")
FATAL_ALERT = bytes.fromhex("15 0303 0002 0228")  # handshake_failure


def endpoint(service: str = "smtp") -> Endpoint:
    """An endpoint of this service at the one address."""
    return Endpoint(Origin("x"), HOST, ADDRESS, 25, SERVICES[service])


async def ask(
    peer: Peer,
    *,
    question: Question = OFFER,
    service: str = "smtp",
    timeouts: Timeouts = TIMEOUTS,
    hello_name: str | None = "scan.example.test",
) -> tuple[Answer, Wire | None, float]:
    """Put one question to a peer: the answer, the wire if there was one, and how many seconds it took."""
    network, answer, began = Network({ADDRESS: [peer]}), Answer(question, 0.0), trio.current_time()
    await Connection(endpoint(service), answer, timeouts, hello_name).ask(network.dial)
    wire = network.wires.get(ADDRESS, [None])[0]
    assert wire is None or wire.closed
    return answer, wire, trio.current_time() - began


STAGES = [
    ((), "greeting", 0, 7),
    ((GREETING,), "capabilities", 1, 5),
    ((GREETING, CAPABILITIES), "reply", 2, 5),
]


SILENT_STAGES = [((), "greeting", 0, 7 + 4), *STAGES[1:]]  # without a greeting, a ClientHello is tried before the end


@pytest.mark.parametrize(("turns", "stage", "before_s", "timeout_s"), SILENT_STAGES)
async def test_silence_in_the_dialogue(
    autojump_clock: object, turns: Sequence[Turn], stage: str, before_s: float, timeout_s: float
) -> None:
    """Silence ends a stage after that stage's timeout, and nothing more is said."""
    answer, wire, took_s = await ask(Peer(turns))
    assert answer.starttls
    assert (answer.starttls.verdict, answer.starttls.stage) == ("timeout", stage)
    assert took_s == pytest.approx(before_s + timeout_s)
    assert wire
    assert b"QUIT" not in wire.said


@pytest.mark.parametrize(("turns", "stage", "before_s"), [row[:3] for row in STAGES])
@pytest.mark.parametrize(("act", "verdict"), [(FIN, "closed"), (RST, "reset")])
@pytest.mark.parametrize("half", [b"", b"250-half a li"])
async def test_fin_and_rst_in_the_dialogue(
    autojump_clock: object,
    turns: Sequence[Turn],
    stage: str,
    before_s: float,
    act: Act,
    verdict: str,
    half: bytes,
) -> None:
    """FIN and RST are kept apart at every stage, also in the middle of a line, and end it at once."""
    heard = {"greeting": b"", "capabilities": b"EHLO", "reply": b"STARTTLS"}[stage]
    answer, wire, took_s = await ask(Peer((*turns, Turn(0.5, half or act, heard), Turn(0, act))))
    assert answer.starttls
    if half and stage == "greeting":  # its first bytes are SMTP's, so that it is no mismatch either
        assert answer.starttls.text == "250-half a li"
    assert (answer.starttls.verdict, answer.starttls.stage) == (verdict, stage)
    assert took_s == pytest.approx(before_s + 0.5)
    assert wire
    assert b"QUIT" not in wire.said


@pytest.mark.parametrize(
    ("act", "evidence", "took_s"), [(None, "timeout", 7), (FIN, "closed", 3.5), (RST, "reset", 3.5)]
)
async def test_no_tls_behind_the_go_ahead(
    autojump_clock: object, act: Act | None, evidence: str, took_s: float
) -> None:
    """Silence, FIN and RST in answer to the ClientHello are three kinds of evidence."""
    turns = UPGRADE if act is None else (*UPGRADE, Turn(0.5, act))
    answer, _, took = await ask(Peer(turns))
    assert answer.starttls
    assert answer.starttls.verdict == "ok"
    assert answer.hello
    assert answer.hello.evidence == evidence
    assert not answer.hello.tarpit
    assert took == pytest.approx(took_s)


@pytest.mark.parametrize(
    ("act", "verdict", "cause"),
    [(None, "timeout", "timeout"), (FIN, "closed", "eof"), (RST, "reset", "reset")],
)
async def test_no_handshake_behind_the_go_ahead(
    autojump_clock: object, act: Act | None, verdict: str, cause: str
) -> None:
    """A full handshake tells silence, FIN and RST apart too."""
    turns = UPGRADE if act is None else (*UPGRADE, Turn(0.5, act))
    answer, _, _ = await ask(Peer(turns), question=Negotiate())
    assert answer.handshake
    assert answer.handshake.failure == Outcome(Verdict(verdict), Stage.TLS, cause)


async def test_nobody_answers_the_syn(autojump_clock: object) -> None:
    """Without an answer to the SYN the connection fails after its own timeout."""
    answer, wire, took_s = await ask(Peer(connect_s=inf))
    assert answer.failure == Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "timeout")
    assert (wire, took_s, answer.timings_ms) == (None, 3, {})


async def test_the_deadline_bounds_the_syn(autojump_clock: object) -> None:
    """The deadline of the connection counts from its first SYN."""
    answer, _, took_s = await ask(Peer(connect_s=inf), timeouts=replace(TIMEOUTS, connect_s=100))
    assert answer.failure
    assert took_s == 60


@pytest.mark.parametrize("data", [b"x", b"220-wait\r\n", b"\r\n"[:1]])
async def test_a_byte_a_second_is_a_tarpit(autojump_clock: object, data: bytes) -> None:
    """Bytes that keep coming never time out; the deadline of the whole connection ends them."""
    answer, _, took_s = await ask(Peer(repeat(Turn(1.5, data))))
    assert answer.starttls
    assert (answer.starttls.verdict, answer.starttls.stage) == ("tarpit", "greeting")
    assert took_s == 60


async def test_a_slow_dialogue_is_a_tarpit(autojump_clock: object) -> None:
    """The deadline counts over all stages, and not anew for each."""
    slow = (Turn(29, b"220 mx\r\n"), Turn(29, b"250-mx\r\n", heard=b"EHLO"), *repeat(Turn(1.5, b"250-x\r\n"), 99))
    timeouts = replace(TIMEOUTS, greeting_s=30, reply_s=30)
    answer, _, took_s = await ask(Peer(slow), timeouts=timeouts)
    assert answer.starttls
    assert (answer.starttls.verdict, answer.starttls.stage, took_s) == ("tarpit", "capabilities", 60)


async def test_silence_until_the_deadline_is_silence(autojump_clock: object) -> None:
    """Where the deadline comes before the timeout, silence stays silence: a tarpit keeps talking."""
    answer, _, took_s = await ask(Peer(), timeouts=replace(TIMEOUTS, deadline_s=2))
    assert answer.starttls
    assert (answer.starttls.verdict, took_s) == ("timeout", 2)


async def test_a_tarpit_inside_a_record(autojump_clock: object) -> None:
    """A TLS record that comes a byte a second is a tarpit too."""
    drip = (Turn(1, b"\x16\x03\x03\x40\x00"), *repeat(Turn(1, b"\x02"), 99))
    answer, _, took_s = await ask(Peer((*UPGRADE, *drip)))
    assert answer.hello
    assert (answer.hello.evidence, answer.hello.tarpit, took_s) == ("timeout", True, 60)


async def test_what_was_said_is_read_before_a_broken_send(autojump_clock: object) -> None:
    """When EHLO cannot be sent any more, the 421 that had come before says why."""
    answer, _, _ = await ask(
        Peer((Turn(1, b"220 mx\r\n"), Turn(0, b"421 4.3.2 shutting down\r\n"), Turn(0, DEAF), Turn(0, FIN)))
    )
    assert answer.starttls
    assert (answer.starttls.verdict, answer.starttls.stage, answer.starttls.code) == (
        "unavailable",
        "capabilities",
        "421",
    )


@pytest.mark.parametrize("behind", [(), (Turn(0, FIN),), (Turn(0, RST),)])
async def test_a_broken_send_with_nothing_behind(autojump_clock: object, behind: Sequence[Turn]) -> None:
    """A send that fails is a reset, whatever the silence behind it looks like."""
    answer, _, _ = await ask(Peer((GREETING, Turn(0, DEAF), *behind)))
    assert answer.starttls
    assert (answer.starttls.verdict, answer.starttls.stage) == ("reset", "capabilities")


async def test_a_peer_that_takes_no_bytes(autojump_clock: object) -> None:
    """A send that nobody takes has a timeout."""
    answer, _, took_s = await ask(Peer((GREETING, Turn(0, STUCK))))
    assert answer.starttls
    assert (answer.starttls.verdict, answer.starttls.stage) == ("timeout", "capabilities")
    assert took_s <= 1 + 5 + 5


@pytest.mark.parametrize(
    ("name", "local", "expected"),
    [
        ("scan.example.test", "198.51.100.7", b"EHLO scan.example.test\r\n"),
        (None, "198.51.100.7", b"EHLO [198.51.100.7]\r\n"),
        (None, "2001:db8::7", b"EHLO [IPv6:2001:db8::7]\r\n"),
    ],
)
async def test_our_name(autojump_clock: object, name: str | None, local: str, expected: bytes) -> None:
    """EHLO has the name that was given, else our own address as a literal."""
    _, wire, _ = await ask(Peer(UPGRADE, local_address=local), hello_name=name)
    assert wire
    assert wire.sent[0][1] == expected


async def test_nothing_is_sent_before_the_greeting_is_whole(autojump_clock: object) -> None:
    """The first line of a greeting of two does not draw a word from us."""
    turns = (Turn(1, b"220-wait\r\n"), Turn(6, b"220 mx\r\n"), CAPABILITIES)
    _, wire, _ = await ask(Peer(turns))
    assert wire
    assert [when for when, _ in wire.sent] == [7, 8]


FAREWELLS = [
    ("smtp", (GREETING, Turn(0, b"250 mx\r\n", b"EHLO")), b"QUIT\r\n"),  # not_offered
    ("smtp", (GREETING, CAPABILITIES, Turn(0, b"454 4.7.0 not now\r\n", b"STARTTLS")), b"QUIT\r\n"),
    ("smtp", (Turn(0, b"554 no\r\n"),), b"QUIT\r\n"),
    ("imap", (Turn(0, b"* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n"), Turn(0, b"t1 OK\r\n", b"t1")), b"t9 LOGOUT\r\n"),
    ("pop3", (Turn(0, b"+OK\r\n"), Turn(0, b"+OK\r\nUSER\r\n.\r\n", b"CAPA")), b"QUIT\r\n"),
    ("smtp", (Turn(0, b"SSH-2.0-OpenSSH_9\r\n"),), b""),
    ("smtp", (Turn(0, b"SSH-2.0-"), Turn(0, FIN)), b""),
    ("smtp", (Turn(0, FATAL_ALERT), Turn(0, FIN)), b""),
    ("smtp", (GREETING, Turn(0, b"what?\r\n", b"EHLO")), b""),  # no grammar, no state
    ("smtp", (Turn(0, b"220-" + b"x" * 9_000),), b""),  # a line without end
    ("smtp", (Turn(0, b"220-x\r\n" * 300),), b""),  # a reply without end
    ("smtp", (GREETING, Turn(0, FIN, b"EHLO")), b""),
]


@pytest.mark.parametrize(("service", "turns", "last"), FAREWELLS)
async def test_a_farewell_only_where_it_is_understood(
    autojump_clock: object, service: str, turns: Sequence[Turn], last: bytes
) -> None:
    """We say goodbye to a server that has answered, and nothing to one that speaks another language or has gone."""
    _, wire, _ = await ask(Peer(turns), service=service)
    assert wire
    goodbyes = [data for _, data in wire.sent if data.rstrip() in (b"QUIT", b"t9 LOGOUT")]
    assert goodbyes == ([last] if last else [])


async def test_close_notify_behind_a_server_hello(autojump_clock: object) -> None:
    """After a ServerHello we end the connection as TLS wants it."""
    answer, wire, _ = await ask(Peer((*UPGRADE, Turn(0.5, TlsServer()))))
    assert answer.hello
    assert answer.hello.evidence == "server_hello"
    assert wire
    assert wire.sent[-1][1] == CLOSE_NOTIFY


async def test_no_close_notify_behind_an_alert(autojump_clock: object) -> None:
    """A fatal alert has ended the connection already."""
    answer, wire, _ = await ask(Peer((*UPGRADE, Turn(0.5, FATAL_ALERT, b"\x16"))))
    assert answer.hello
    assert (answer.hello.evidence, answer.hello.alert) == ("alert", 40)
    assert wire
    assert wire.sent[-1][1].startswith(b"\x16")


async def test_timings_of_a_hello(autojump_clock: object) -> None:
    """Each step has its own milliseconds, and together they are the time that it took."""
    peer = Peer((Turn(0.3, b"220 mx\r\n"), CAPABILITIES, GO_AHEAD, Turn(0.25, TlsServer())), connect_s=0.125)
    answer, _, took_s = await ask(peer)
    assert answer.timings_ms == {"connect": 125, "greeting": 300, "upgrade": 2000, "hello": 250}
    assert took_s == pytest.approx(2.675)


async def test_a_whole_conversation(autojump_clock: object) -> None:
    """A handshake, the capabilities inside TLS, QUIT inside, close_notify, and the timings of it all."""
    server = TlsServer(smtp_inside)
    answer, _, _ = await ask(Peer((*UPGRADE, Turn(0.25, server)), connect_s=0.5), question=Negotiate())
    assert answer.handshake
    assert answer.handshake.failure is None
    assert (answer.handshake.version, len(answer.handshake.chain)) == (Version.TLS1_3, 1)
    assert answer.inside
    assert answer.inside.capabilities
    assert answer.inside.capabilities.auth == ("PLAIN",)
    assert server.heard == [b"EHLO scan.example.test\r\n", b"QUIT\r\n"]
    assert server.closed_politely
    assert answer.timings_ms == {"connect": 500, "greeting": 1000, "upgrade": 2000, "handshake": 250}


WITHOUT_LOGIN = Turn(1, b"250-mx\r\n250 STARTTLS\r\n", heard=b"EHLO")
EHLO, RSET, STARTTLS, QUIT = b"EHLO scan.example.test\r\n", b"RSET\r\n", b"STARTTLS\r\n", b"QUIT\r\n"


@pytest.mark.parametrize(
    ("question", "capabilities", "reset", "required", "said"),
    [
        (Negotiate(), WITHOUT_LOGIN, b"530 5.7.0 TLS first\r\n", True, EHLO + RSET + STARTTLS),
        (Negotiate(), WITHOUT_LOGIN, b"250 ok\r\n", None, EHLO + RSET + STARTTLS),
        (Negotiate(), CAPABILITIES, b"", False, EHLO + STARTTLS),
        (Negotiate(inquiring=False), WITHOUT_LOGIN, b"", None, EHLO + STARTTLS),
        (OFFER, WITHOUT_LOGIN, b"", None, EHLO + STARTTLS),
    ],
)
async def test_one_connection_inquires(
    autojump_clock: object, question: Question, capabilities: Turn, reset: bytes, required: bool | None, said: bytes
) -> None:
    """Whether TLS is required is asked on the connection of the full handshake, where the list does not tell."""
    inquired = (Turn(1, reset, heard=RSET),) if reset else ()
    answer, wire, _ = await ask(
        Peer((GREETING, capabilities, *inquired, GO_AHEAD, Turn(0, TlsServer()))), question=question
    )
    assert answer.starttls
    assert (answer.starttls.verdict, answer.starttls.required) == ("ok", required)
    assert answer.hello or (answer.handshake and answer.handshake.failure is None)
    assert wire
    assert wire.said.partition(b"\x16\x03")[0] == said


@pytest.mark.parametrize(
    ("reset", "verdict", "said"),
    [
        ((Turn(1, FIN, heard=RSET),), "closed", EHLO + RSET),
        ((Turn(1, RST, heard=RSET),), "reset", EHLO + RSET),
        ((), "timeout", EHLO + RSET),
        ((Turn(1, b"421 bye\r\n", heard=RSET),), "unavailable", EHLO + RSET + QUIT),
    ],
)
async def test_a_server_that_takes_the_inquiry_amiss(
    autojump_clock: object, reset: Sequence[Turn], verdict: str, said: bytes
) -> None:
    """It costs the handshake, and is told as what it is: no answer to STARTTLS."""
    answer, wire, _ = await ask(Peer((GREETING, WITHOUT_LOGIN, *reset)), question=Negotiate())
    assert answer.starttls
    assert (answer.starttls.verdict, answer.starttls.stage, answer.starttls.required) == (verdict, "capabilities", None)
    assert answer.handshake is None
    assert wire
    assert wire.said == said


async def test_implicit_tls_greets_inside(autojump_clock: object) -> None:
    """In implicit mode the greeting comes inside TLS and is read before EHLO."""
    server = TlsServer(smtp_inside, greeting=b"220 mx ESMTP\r\n")
    answer, _, _ = await ask(Peer((Turn(0.25, server),)), question=Negotiate(), service="submissions")
    assert answer.inside
    assert answer.inside.capabilities
    assert server.heard == [b"EHLO scan.example.test\r\n", b"QUIT\r\n"]


@pytest.mark.parametrize("service", ["https", "tls"])
async def test_nothing_is_said_inside_where_nothing_is_asked(autojump_clock: object, service: str) -> None:
    """Where no mail protocol is spoken, the handshake is all there is."""
    server = TlsServer()
    answer, _, _ = await ask(Peer((Turn(0.25, server),)), question=Negotiate(), service=service)
    assert answer.handshake
    assert answer.handshake.failure is None
    assert answer.inside is None
    assert (server.heard, server.closed_politely) == ([], True)


async def test_silence_inside(autojump_clock: object) -> None:
    """A server that keeps silent inside TLS has the timeout of a reply, and the handshake stands."""
    server = TlsServer()
    answer, _, took_s = await ask(Peer((*UPGRADE, Turn(0, server))), question=Negotiate())
    assert answer.handshake
    assert answer.handshake.failure is None
    assert answer.inside
    assert (answer.inside.capabilities, answer.inside.stopped) == (None, "timeout")
    assert took_s == pytest.approx(3 + 5)
    assert server.heard == [b"EHLO scan.example.test\r\n"]
    assert server.closed_politely


@pytest.mark.parametrize(
    "instead",
    [
        b"\x17\x03\x03\x00\x20" + bytes(32),  # a record that no key made
        b"421 4.3.2 plaintext again\r\n",
        FATAL_ALERT,
        b"\x17\x03\x03\xff\xff",  # longer than a record may be
    ],
)
async def test_a_connection_that_breaks_inside(autojump_clock: object, instead: bytes) -> None:
    """What breaks inside TLS is a reset at that stage; the handshake stands, and closing does not fail."""
    answer, _, _ = await ask(Peer((*UPGRADE, Turn(0, BreaksInside(instead)))), question=Negotiate())
    assert answer.handshake
    assert answer.handshake.failure is None
    assert answer.inside
    assert answer.inside.stopped == "reset"


@pytest.mark.parametrize("question", [OFFER, Negotiate()])
async def test_bytes_before_tls_are_kept_out_of_it(autojump_clock: object, question: Question) -> None:
    """Text behind the go-ahead, in its segment or later, is kept as evidence and never reaches TLS."""
    turns = (
        *UPGRADE[:2],
        Turn(1, b"220 go ahead\r\n250 injected\r\n", heard=b"STARTTLS\r\n"),
        Turn(0.5, b"250 later\r\n"),
        Turn(0.25, TlsServer(smtp_inside)),
    )
    answer, _, _ = await ask(Peer(turns), question=question)
    assert answer.early == b"250 injected\r\n250 later\r\n"
    assert answer.hello is None or answer.hello.evidence is Evidence.SERVER_HELLO
    assert answer.handshake is None or answer.handshake.failure is None


# --- real sockets: no jumping clock -----------------------------------------------------------------------------------


@contextmanager
def connected(deadline_s: float = 5) -> Iterator[tuple[SocketWire, socket.socket]]:
    """A wire and the server's end of it, over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    client.setblocking(False)
    with server, closing(SocketWire(client, Patience(deadline_s, Vigil()))) as wire:
        yield wire, server


def reset(server: socket.socket) -> None:
    """Close with RST instead of FIN."""
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()


async def test_crumbs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes in crumbs without end has a cap: each of them costs time."""
    monkeypatch.setattr("scanner.wires.MAX_RECEIVES", 3)
    with connected() as (wire, server):
        for _ in range(3):
            server.sendall(b"x")
            assert await wire.receive(1) == b"x"
        server.sendall(b"x")
        with pytest.raises(WireEnded) as ended:
            await wire.receive(1)
        assert ended.value.end is End.CAP


async def test_what_we_are_late_for_is_not_the_servers_time() -> None:
    """A connection, and bytes, that have waited for us came when they came; of a FIN nobody knows more than now."""
    patience = Patience(5, Vigil())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(be_late)
            host, port = listener.getsockname()
            wire = await dial(host, port, 1, patience)
        with closing(wire):
            assert patience.watch.lap() < 0.01
            with listener.accept()[0] as server:
                server.sendall(b"220 mx")
                await be_late()
                assert await wire.receive(1) == b"220 mx"
                assert (
                    0.09 < patience.watch.lap() < 0.19
                )  # it came a tenth after the connection, and waited for another
            await be_late()
            assert await wire.receive(1) == b""
            assert patience.watch.lap() >= 0.1


async def be_late() -> None:
    """Keep every task from running for a tenth of a second."""
    time.sleep(0.1)  # noqa: ASYNC251


async def test_fin_and_rst_on_a_socket() -> None:
    """FIN is an empty receive, RST is not."""
    with connected() as (wire, server):
        server.sendall(b"hello")
        server.close()
        assert [await wire.receive(1), await wire.receive(1)] == [b"hello", b""]
    with connected() as (wire, server):
        reset(server)
        with pytest.raises(WireEnded, match="reset"):
            await wire.receive(1)
    with connected() as (wire, server):
        reset(server)
        with pytest.raises(WireEnded, match="reset"):
            await wire.send(b"hello", 1)


async def test_silence_on_a_socket() -> None:
    """Silence has the timeout of the wait, or the deadline where that comes first."""
    with connected(deadline_s=0.02) as (wire, _):
        for timeout_s in (0.01, 1):
            with pytest.raises(WireEnded) as ended:
                await wire.receive(timeout_s)
            assert ended.value.end is End.TIMEOUT


async def test_a_wait_after_a_shorter_one_has_all_of_its_time() -> None:
    """What comes too late for the wait before, which is over, is in time for this one; nor is its end too early."""
    async with trio.open_nursery() as nursery:
        with connected() as (wire, server):
            server.sendall(b"at once")
            assert await wire.receive(0.05) == b"at once"
            nursery.start_soon(_say_after, 0.1, server, b"later")
            assert await wire.receive(2) == b"later"
    with connected() as (wire, server):
        server.sendall(b"again")
        assert await wire.receive(0.05) == b"again"
        began = trio.current_time()
        with pytest.raises(WireEnded):
            await wire.receive(0.1)
        assert trio.current_time() - began >= 0.1


async def _say_after(seconds: float, server: socket.socket, data: bytes) -> None:
    await trio.sleep(seconds)
    server.sendall(data)


async def test_somebody_else_ends_a_wait() -> None:
    """It is no silence of the server's, and what is cancelled outside stays cancelled."""
    with trio.move_on_after(0.05) as scope, connected() as (wire, _):
        await wire.receive(2)
    assert scope.cancelled_caught
    with trio.move_on_after(0.05) as scope, connected(deadline_s=0.01) as (wire, _):
        with pytest.raises(WireEnded):
            await wire.receive(2)
        scope.cancel()
        await wire.receive(2)
    assert scope.cancelled_caught


async def test_a_moment_that_passes_between_two_waits() -> None:
    """Whoever is busy for longer than a wait may last has not waited."""
    with connected() as (wire, server):
        server.sendall(b"one")
        await wire.receive(0.01)
        time.sleep(0.02)  # noqa: ASYNC251 - it is this task that is busy
        server.sendall(b"two")
        assert await wire.receive(0.01) == b"two"


async def test_a_tarpit_on_a_socket() -> None:
    """A deadline behind bytes that came is a tarpit, unless we have spoken since."""
    with connected(deadline_s=0.25) as (wire, server):
        server.sendall(b"x")
        await wire.receive(1)
        with pytest.raises(WireEnded) as ended:
            await wire.receive(1)
        assert ended.value.end is End.DEADLINE
        await wire.send(b"EHLO", 1)
        with pytest.raises(WireEnded) as ended:
            await wire.receive(1)
        assert ended.value.end is End.TIMEOUT


async def test_a_peer_that_does_not_read() -> None:
    """A send waits while the peer takes nothing, and has the timeout of its stage."""
    with connected() as (wire, _), pytest.raises(WireEnded) as ended:
        await wire.send(bytes(50_000_000), 0.02)
    assert ended.value.end is End.TIMEOUT


async def test_a_long_send_arrives_whole() -> None:
    """What is longer than the socket's buffer is sent in pieces, as the peer takes it."""
    data = os.urandom(1_000) * 8_000
    received = bytearray()

    def read_all(server: socket.socket) -> None:
        while len(received) < len(data):
            received.extend(server.recv(1_000_000))

    with connected() as (wire, server):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, read_all, server)
            await wire.send(data, 2)
    assert received == data


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_dialling(address: str) -> None:
    """A connection knows our own address on it, in either family."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listener:
        wire = await dial(address, listener.getsockname()[1], 1, Patience(1, Vigil()))
        assert wire.local_address == address
        wire.close()


async def test_dialling_a_closed_port() -> None:
    """A refused connection says so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectFailed) as failed:
        await dial("127.0.0.1", port, 1, Patience(1, Vigil()))
    assert failed.value.outcome == Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "refused")


async def test_dialling_somebody_who_does_not_answer() -> None:
    """A full queue of connections leaves a SYN without an answer: a timeout, and its socket is closed."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address, port = listener.getsockname()
        waiting = [socket.create_connection((address, port))]
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(ConnectFailed) as failed:
            await dial(address, port, 0.05, Patience(1, Vigil()))
        assert failed.value.outcome == Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "timeout")
        assert len(os.listdir("/proc/self/fd")) == before
        with trio.move_on_after(0.01) as scope:
            await dial(address, port, 1, Patience(1, Vigil()))
        assert scope.cancelled_caught
        assert len(os.listdir("/proc/self/fd")) == before
        for each in waiting:
            each.close()


async def test_dialling_without_descriptors() -> None:
    """When this process has no descriptor left, that is our own limit and not the server's fault."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        with pytest.raises(ConnectFailed) as failed:
            await dial("127.0.0.1", 9, 1, Patience(1, Vigil()))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert failed.value.outcome == Outcome(
        Verdict.LOCAL_LIMITATION, Stage.CONNECT, "no_descriptors", detail="Too many open files"
    )


@pytest.mark.parametrize(
    ("number", "verdict", "cause"),
    [
        (errno.ECONNREFUSED, "unreachable", "refused"),
        (errno.ETIMEDOUT, "unreachable", "timeout"),
        (errno.EHOSTUNREACH, "unreachable", "no_route"),
        (errno.ENETUNREACH, "unreachable", "no_route"),
        (errno.EPERM, "unreachable", "prohibited"),
        (errno.EMFILE, "local_limitation", "no_descriptors"),
        (errno.EADDRNOTAVAIL, "local_limitation", "no_ports"),
        (errno.ENOBUFS, "local_limitation", "no_memory"),
        (errno.EINVAL, "local_limitation", "os_error"),
    ],
)
def test_whose_fault_it_is(number: int, verdict: str, cause: str) -> None:
    """What the network says is the server's end; what our own machine lacks is never the server's fault."""
    outcome = outcome_of(OSError(number, os.strerror(number)))
    assert (outcome.verdict, outcome.cause, outcome.stage) == (verdict, cause, "connect")


def test_source_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own addresses are addresses, or none where there is no route."""
    for address in source_addresses():
        socket.getaddrinfo(address, 0, flags=socket.AI_NUMERICHOST)

    def unavailable(*_: object) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "no such family")

    monkeypatch.setattr(socket, "socket", unavailable)
    assert source_addresses() == []
