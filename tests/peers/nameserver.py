"""A name server on loopback, UDP and TCP, with a zone that is a dict: for tests that resolve for real.

What it does besides answering is set while it runs: it can be slow, silent or old, and others can answer before it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import trio

LOOPBACK = "127.0.0.1"
NOBODY = IPv4Address("127.53.0.9"), 53  # for whom nobody is to be asked
MAX_UDP_BYTES = 512  # RFC 1035 §4.2.1: what is longer is truncated, and asked again over TCP


class Trouble(Enum):
    """What comes instead of an answer."""

    SERVFAIL = dns.rcode.SERVFAIL
    NOTIMP = dns.rcode.NOTIMP
    REFUSED = dns.rcode.REFUSED
    NXDOMAIN = dns.rcode.NXDOMAIN  # for one type of a name that has others
    SILENCE = None


@dataclass(frozen=True, slots=True)
class Bogus:
    """What does not validate: SERVFAIL, with these extended errors, unless checking is disabled."""

    records: Sequence[str] | Trouble
    extended_errors: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Datagram:
    """What comes before the true reply."""

    wire: bytes
    from_elsewhere: bool = False  # from another port than was asked


# A name that is absent does not exist (NXDOMAIN); a type that is absent has no records (NODATA).
Records = Mapping[str, Sequence[str] | Trouble | Bogus]
Zone = Mapping[str, Records]
Tampering = Callable[[bytes, bytes], Iterable[Datagram]]  # the query, and the true reply


@dataclass
class NameServer:
    """The running server: where it listens, and what it was asked, as (name, type, "udp" or "tcp").

    The root, which a resolver asks for to see who is there, is apart: `roots` counts that.
    """

    zone: Zone
    port: int
    ttl_s: int = 60
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    queries: list[dns.message.Message] = field(default_factory=list)
    roots: int = 0
    ports: set[int] = field(default_factory=set)  # from which it was asked, over UDP
    validates: bool = False  # sets AD, on all but the names below `insecure`
    has_edns: bool = True  # else FORMERR
    follows_aliases: bool = True
    denial: tuple[int, int] | None = None  # TTL and last number of the SOA with which it denies
    is_silent: bool = False  # over UDP
    delay_s: float = 0
    tampering: Tampering | None = None
    replaces: bool = False  # the tampering comes instead of the reply

    @property
    def servers(self) -> list[tuple[IPv4Address, int]]:
        """As a resolver takes it."""
        return [(IPv4Address(LOOPBACK), self.port)]

    def reply(self, wire: bytes, transport: str) -> bytes | None:
        """The answer to one query, or None for silence."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        if question.name == dns.name.root:
            self.roots += 1
        else:
            self.asked.append((name, kind, transport))
        self.queries.append(query)
        response = dns.message.make_response(query, recursion_available=True)
        response.flags |= query.flags & dns.flags.CD  # RFC 4035 §3.2.2
        if query.edns >= 0 and not self.has_edns:
            response.set_rcode(dns.rcode.FORMERR)
            response.use_edns(False)
            return response.to_wire()
        if self.validates and not name.endswith("insecure"):
            response.flags |= dns.flags.AD
        trouble = None if question.name == dns.name.root else self._answer(response, name, kind)
        if trouble is Trouble.SILENCE or (transport == "udp" and self.is_silent):
            return None
        if isinstance(trouble, Trouble):
            response.set_rcode(dns.rcode.Rcode(trouble.value))
        if self.denial and trouble in (None, Trouble.NXDOMAIN) and not response.answer:
            ttl_s, minimum = self.denial
            response.authority.append(
                dns.rrset.from_text("example.", ttl_s, "IN", "SOA", f"ns.example. root.example. 1 2 3 4 {minimum}")
            )
        return _within(response, MAX_UDP_BYTES if transport == "udp" else 65535)

    def _answer(self, response: dns.message.Message, name: str, kind: str) -> Trouble | None:
        """Put the records into the response, along the aliases; or the trouble that there is."""
        if (node := self.zone.get(name)) is None:
            return Trouble.NXDOMAIN
        wanted = "CNAME" if "CNAME" in node else kind
        records = node.get(wanted, ())
        if isinstance(records, Trouble):
            return records
        if isinstance(records, Bogus):
            if not response.flags & dns.flags.CD:
                response.use_edns(
                    0, options=[dns.edns.EDEOption(dns.edns.EDECode.make(code)) for code in records.extended_errors]
                )
                return Trouble.SERVFAIL
            if isinstance(records.records, Trouble):
                return records.records
            records = records.records
        if records:
            response.answer.append(dns.rrset.from_text(f"{name}.", self.ttl_s, "IN", wanted, *records))
        if wanted == "CNAME" != kind and self.follows_aliases:
            return self._answer(response, records[0].removesuffix("."), kind)
        return None


@asynccontextmanager
async def name_server(zone: Zone, ttl_s: int = 60, port: int = 0) -> AsyncIterator[NameServer]:
    """Run a server for this zone until the context is left, on a free port unless one is named."""
    with (
        trio.socket.socket(type=trio.socket.SOCK_STREAM) as tcp,
        trio.socket.socket(type=trio.socket.SOCK_DGRAM) as udp,
    ):
        await _bind_both(tcp, udp, port)
        server = NameServer(zone, tcp.getsockname()[1], ttl_s)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve_udp, server, udp)
            nursery.start_soon(trio.serve_listeners, _tcp_handler(server), [trio.SocketListener(tcp)])
            yield server
            nursery.cancel_scope.cancel()


async def _bind_both(tcp: trio.socket.SocketType, udp: trio.socket.SocketType, port: int) -> None:
    """One port for both; a port that is free for TCP is nearly always free for UDP."""
    await tcp.bind((LOOPBACK, port))
    tcp.listen()
    await udp.bind((LOOPBACK, tcp.getsockname()[1]))


async def _serve_udp(server: NameServer, udp: trio.socket.SocketType) -> None:
    async with trio.open_nursery() as nursery:
        while True:
            wire, peer = await udp.recvfrom(65535)
            server.ports.add(peer[1])
            if (reply := server.reply(wire, "udp")) is not None:
                nursery.start_soon(_reply_to, server, udp, peer, wire, reply)


async def _reply_to(
    server: NameServer, udp: trio.socket.SocketType, peer: tuple[str, int], wire: bytes, reply: bytes
) -> None:
    delay_s, tampering = server.delay_s, server.tampering
    if delay_s:
        await trio.sleep(delay_s)
    for datagram in tampering(wire, reply) if tampering else ():
        if datagram.from_elsewhere:
            with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as elsewhere:
                await elsewhere.bind((LOOPBACK, 0))
                await elsewhere.sendto(datagram.wire, peer)
        else:
            await udp.sendto(datagram.wire, peer)
    if not server.replaces:
        await udp.sendto(reply, peer)


def _tcp_handler(server: NameServer) -> Callable[[trio.SocketStream], Awaitable[None]]:
    async def handle(stream: trio.SocketStream) -> None:
        """One query a connection, each behind its length (RFC 1035 §4.2.2)."""
        received = b""
        while len(received) < 2 or len(received) < 2 + int.from_bytes(received[:2], "big"):
            if not (data := await stream.receive_some()):
                return
            received += data
        if (reply := server.reply(received[2:], "tcp")) is not None:
            await stream.send_all(len(reply).to_bytes(2, "big") + reply)

    return handle


def _within(response: dns.message.Message, max_bytes: int) -> bytes:
    try:
        return response.to_wire(max_size=max_bytes)
    except dns.exception.TooBig:
        response.answer.clear()
        response.flags |= dns.flags.TC
        return response.to_wire()
