"""One name server: what is taken for its answer, and what it is asked when the answer does not come or does not fit."""

import os
import socket
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

import dns.flags
import pytest
import trio
import trio.testing
from dns.rcode import Rcode
from dns.rdatatype import RdataType
from structlog.testing import capture_logs
from trio.testing import MockClock

from targets.answer import Dnssec
from targets.resolving.health import MISSES, PROBES
from targets.resolving.limits import DnsLimits
from targets.resolving.name_server import NameServer, Nonsense, Patience, Silence
from targets.resolving.question import question_of
from targets.resolving.reply import Reply
from targets.resolving.udp import QUESTIONS, SOCKETS
from tests.peers.nameserver import Datagram, Trouble, Zone, name_server
from tests.peers.nameserver import NameServer as Peer

ZONE: Zone = {
    "mx.example": {"A": ["192.0.2.1"], "TXT": ["x" * 250 + str(number) for number in range(9)]},
    "silent.example": {"A": Trouble.SILENCE},
    "servfail.example": {"A": Trouble.SERVFAIL},
    **{f"n{number}.example": {"A": [f"192.0.2.{number % 250}"]} for number in range(600)},
}
MX = question_of("mx.example", RdataType.A)
AT_ONCE = 128  # that many fit into the server's buffer
TRUTH = ["192.0.2.1"]
LIE = bytes((192, 0, 2, 66))


def asking(peer: Peer, **options: bool) -> NameServer:
    """Somebody to ask, for three seconds each time."""
    (address, port), *_ = peer.servers
    return NameServer(address, port, DnsLimits(AT_ONCE, rate=0), 3, **options)


async def ask(server: NameServer, name: str = "mx.example", kind: RdataType = RdataType.A) -> object:
    """What is said, in texts where there is an answer."""
    said = await server.ask(question_of(name, kind), Patience(10))
    return [record.to_text() for record in said.records] if isinstance(said, Reply) else said


def lie(reply: bytes) -> bytes:
    """The reply with another address."""
    return reply.replace(bytes((192, 0, 2, 1)), LIE)


def spoofed(query: bytes, reply: bytes) -> Iterable[Datagram]:
    """Everything that must not be believed, and that is nearly right."""
    yield Datagram(lie(reply), from_elsewhere=True)
    yield Datagram(bytes([reply[0] ^ 1]) + lie(reply)[1:])  # another id
    yield Datagram(lie(reply).replace(b"\2mx", b"\2my", 1))  # another name
    yield Datagram(lie(reply).replace(b"\7example\0\0\1", b"\7example\0\0\x1c", 1))  # another type
    yield Datagram(lie(reply)[:2] + bytes([reply[2] & 0x7F]) + lie(reply)[3:])  # a query
    yield Datagram(query)
    yield Datagram(lie(reply)[:-1])  # cut off
    yield Datagram(lie(reply) + b"\0")
    yield Datagram(b"")
    yield Datagram(reply[:1])
    yield from (Datagram(os.urandom(length)) for length in range(1, 200))


async def test_what_is_spoofed_is_dropped() -> None:
    """Only what comes from the asked address, with id and question, and can be read, is an answer (RFC 5452 §9.1)."""
    async with name_server(ZONE) as peer:
        peer.tampering = spoofed
        assert await ask(asking(peer)) == TRUTH
    assert len(peer.asked) == 1


async def test_spoofing_alone_is_silence(patient_clock: MockClock) -> None:
    """Where nothing else comes, the waiting has its end; what was malformed is told."""
    async with name_server(ZONE) as peer:
        peer.tampering, peer.replaces = spoofed, True
        said = await ask(asking(peer))
        assert said == Nonsense("records and bytes do not agree")
        peer.tampering = lambda _, reply: [Datagram(lie(reply), from_elsewhere=True)]
        assert await ask(asking(peer)) == Silence()
    assert trio.current_time() == pytest.approx(6, abs=0.1)


async def test_a_flood_is_not_for_ever(patient_clock: MockClock) -> None:
    """Thousands of datagrams that mean nothing hold nobody up beyond the deadline."""
    async with name_server(ZONE) as peer:
        peer.tampering = lambda _, reply: [Datagram(b"\0\0" + reply[2:])] * 2_000
        peer.replaces = True
        assert await ask(asking(peer)) == Silence()
        assert trio.current_time() < 4


async def test_truncation_goes_to_tcp() -> None:
    """What does not fit into a datagram is asked for again over TCP (RFC 7766 §5)."""
    async with name_server(ZONE) as peer:
        texts = await ask(asking(peer), kind=RdataType.TXT)
    assert isinstance(texts, list)
    assert len(texts) == 9
    assert [transport for _, _, transport in peer.asked] == ["udp", "tcp"]


async def test_tcp_alone() -> None:
    """With `use-vc`, nothing goes over UDP."""
    async with name_server(ZONE) as peer:
        server = asking(peer, use_tcp=True)
        assert await ask(server) == TRUTH
    assert [transport for _, _, transport in peer.asked] == ["tcp"]
    assert (server.tally.queries, server.tally.tcp) == (1, 1)


async def test_tcp_that_fails(patient_clock: MockClock) -> None:
    """A reply that is truncated, and nobody at the TCP port: no answer, and why."""
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as udp:
        await udp.bind(("127.0.0.1", 0))
        server = NameServer(ip_address("127.0.0.1"), udp.getsockname()[1], DnsLimits(), 3)

        async def truncate() -> None:
            wire, peer = await udp.recvfrom(512)
            await udp.sendto(wire[:2] + b"\x83\x80" + wire[4:], peer)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(truncate)
            assert await ask(server) == Silence("Connection refused")


@pytest.mark.parametrize(
    ("tcp_reply", "said"),
    [
        (b"", Silence("the connection ended early")),
        (b"\0", Silence("the connection ended early")),
        (b"\0\x30abc", Silence("the connection ended early")),
        (b"\0\0", Nonsense("over TCP, a reply to another question")),
        (b"\0\x04abcd", Nonsense("over TCP, a reply to another question")),
    ],
)
async def test_nonsense_over_tcp(tcp_reply: bytes, said: object) -> None:
    """Over TCP as well, anything may come, and end anywhere."""

    async def handle(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(tcp_reply)
        await stream.send_eof()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, handle, [listener])
        port = listener.socket.getsockname()[1]
        assert await ask(NameServer(ip_address("127.0.0.1"), port, DnsLimits(), 3, use_tcp=True)) == said
        nursery.cancel_scope.cancel()


async def test_without_edns() -> None:
    """A server that does not know EDNS is asked once more without (RFC 6891 §7)."""
    async with name_server(ZONE) as peer:
        peer.has_edns = False
        assert await ask(asking(peer)) == TRUTH
    assert [query.edns for query in peer.queries] == [0, -1]


async def test_formerr_stays_formerr() -> None:
    """Where the question without EDNS fails as well, that is the answer, and there is no third."""
    async with name_server({"mx.example": {"A": Trouble.NOTIMP}}) as peer:
        said = await asking(peer).ask(MX, Patience(10))
    assert isinstance(said, Reply)
    assert said.rcode == Rcode.NOTIMP
    assert len(peer.asked) == 2


async def test_questions_share_sockets() -> None:
    """Many questions at once use few sockets; ports change, and all are closed when nobody waits."""
    async with name_server(ZONE) as peer:
        server, before, open_ones = asking(peer), len(_descriptors()), list[int]()

        def count(_query: bytes, _reply: bytes) -> Iterable[Datagram]:
            open_ones.append(len(_descriptors()) - before)
            return ()

        peer.delay_s, peer.tampering = 0.05, count
        async with trio.open_nursery() as nursery:
            for number in range(600):
                nursery.start_soon(ask, server, f"n{number}.example")
        assert AT_ONCE / QUESTIONS <= max(open_ones) <= SOCKETS
        assert len(_descriptors()) == before
    assert len(peer.asked) == 600
    assert len(peer.ports) >= 600 / QUESTIONS


def _descriptors() -> list[Path]:
    return list(Path("/proc/self/fd").iterdir())


async def test_whoever_reads_may_leave(patient_clock: MockClock) -> None:
    """When the task that reads for all is cancelled, the others get their answers."""
    async with name_server(ZONE) as peer:
        peer.delay_s = 1
        server, answers, scopes = asking(peer), dict[int, object](), [trio.CancelScope() for _ in range(40)]

        async def wanted(number: int) -> None:
            with scopes[number]:
                answers[number] = await ask(server, f"n{number}.example")

        async with trio.open_nursery() as nursery:
            for number in range(40):
                nursery.start_soon(wanted, number)
                if number % 10 == 9:
                    await trio.testing.wait_all_tasks_blocked()
            for scope in scopes[::2]:
                scope.cancel()
                await trio.lowlevel.checkpoint()
        assert answers == {number: [f"192.0.2.{number}"] for number in range(1, 40, 2)}


async def test_deadlines_of_their_own(patient_clock: MockClock) -> None:
    """Who waits for silence on a shared socket ends at its own time, and not at the reader's."""
    async with name_server(ZONE) as peer:
        server, ends = asking(peer), list[float]()

        async def wait(patience_s: float) -> None:
            assert await server.ask(question_of("silent.example", RdataType.A), Patience(patience_s)) == Silence()
            ends.append(round(trio.current_time(), 1))

        async with trio.open_nursery() as nursery:
            for patience_s in (10, 1, 2, 0.5):
                nursery.start_soon(wait, patience_s)
    assert ends == [0.5, 1, 2, 3]


async def test_nobody_listens(patient_clock: MockClock) -> None:
    """A port where nobody listens tells at once, to all who wait on the socket."""
    with socket.socket(type=socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server, said = NameServer(ip_address("127.0.0.1"), port, DnsLimits(), 3), list[object]()

    async def ask_it() -> None:
        said.append(await ask(server))

    async with trio.open_nursery() as nursery:
        for _ in range(MISSES - 1):
            nursery.start_soon(ask_it)
    assert said == [Silence("Connection refused")] * (MISSES - 1)
    assert trio.current_time() < 1


# --- whether it is there ----------------------------------------------------------------------------------------------


async def test_a_dead_server_is_set_aside(patient_clock: MockClock) -> None:
    """Silence, to questions and to the root, sets it aside; that is said once, and nobody waits for it any more."""
    async with name_server(ZONE) as peer:
        peer.is_silent = True
        server = asking(peer)
        with capture_logs() as logs:
            for _ in range(MISSES):
                assert await ask(server) == Silence()
            assert trio.current_time() == pytest.approx(3 * (MISSES + PROBES), abs=0.5)
            for _ in range(1_000):
                assert await ask(server) == Silence("it is set aside")
        assert [(line["log_level"], line["server"]) for line in logs] == [("warning", str(server))]
        assert len(peer.queries) == MISSES + PROBES
        assert server.tally.set_aside == 1


async def test_it_comes_back(patient_clock: MockClock) -> None:
    """A probe that is answered brings it back, which is said too."""
    async with name_server(ZONE) as peer:
        peer.is_silent = True
        server = asking(peer)
        for _ in range(MISSES):
            await ask(server)
        await server.probe()
        assert server.health.is_set_aside
        peer.is_silent = False
        with capture_logs() as logs:
            await server.probe()
            assert await ask(server) == TRUTH
        assert [line["event"] for line in logs] == ["a name server answers again"]


async def test_silent_names_are_not_a_dead_server(patient_clock: MockClock) -> None:
    """A resolver that is silent because others are silent answers for the root, and is not set aside."""
    async with name_server(ZONE) as peer:
        server = asking(peer)
        for _ in range(3 * MISSES):
            assert await ask(server, "silent.example") == Silence()
        assert await ask(server) == TRUTH
        assert peer.roots == 3


async def test_one_looks_for_all(patient_clock: MockClock) -> None:
    """While one finds out whether it is there, the others do not ask for that as well."""
    async with name_server(ZONE) as peer:
        peer.is_silent = True
        server = asking(peer)
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(ask, server)
        assert peer.roots == PROBES
        assert server.health.is_set_aside


async def test_impatience_is_no_silence(patient_clock: MockClock) -> None:
    """A question whose own time ends early says nothing about the server."""
    async with name_server(ZONE) as peer:
        peer.delay_s = 1
        server = asking(peer)
        for _ in range(2 * MISSES):
            await server.ask(MX, Patience(0.1))
        assert await ask(server) == TRUTH
        assert peer.roots == 0


# --- DNSSEC -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("validates", "name", "dnssec", "roots"),
    [
        (True, "mx.example", Dnssec.SECURE, 0),
        (True, "insecure", Dnssec.INSECURE, 1),
        (False, "mx.example", Dnssec.INDETERMINATE, 1),
    ],
)
async def test_the_ad_bit_on_this_machine(validates: bool, name: str, dnssec: Dnssec, roots: int) -> None:
    """AD is secure; no AD is insecure only from a resolver that was seen to set it, on the root if need be."""
    async with name_server({**ZONE, "insecure": {"A": ["192.0.2.1"]}}) as peer:
        peer.validates = validates
        server = asking(peer)
        for _ in range(2):
            reply = await server.ask(question_of(name, RdataType.A), Patience(10))
            assert isinstance(reply, Reply)
            assert await server.dnssec(reply) is dnssec
        assert peer.roots == roots
        assert all(query.flags & dns.flags.AD for query in peer.queries)


async def test_ad_of_a_stranger_is_not_believed() -> None:
    """AD of a resolver on another machine counts only with --trust-ad: the way there is not safe (RFC 4035 §4.9.3)."""
    async with name_server(ZONE) as peer:
        peer.validates = True
        for trust_ad, expected in ((False, Dnssec.INDETERMINATE), (True, Dnssec.SECURE)):
            server = asking(peer, trust_ad=trust_ad)
            reply = await server.ask(MX, Patience(10))
            server.datagrams.is_own = False
            assert isinstance(reply, Reply)
            assert await server.dnssec(reply) is expected
        assert peer.roots == 0


def own_address() -> str | None:
    """An address of this machine that is not loopback; no datagram leaves."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
        return address


@pytest.mark.skipif(own_address() is None, reason="this machine has no address but loopback")
async def test_an_address_of_our_own_interface(patient_clock: MockClock) -> None:
    """A resolver on an address of one of our interfaces is on this machine too."""
    address = ip_address(own_address() or "")
    with socket.socket(type=socket.SOCK_DGRAM) as free:
        free.bind((str(address), 0))
        port = free.getsockname()[1]
    server = NameServer(address, port, DnsLimits(), 3)
    assert server.datagrams.is_own is None
    assert await ask(server) == Silence("Connection refused")
    assert server.datagrams.is_own
