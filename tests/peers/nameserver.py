"""A name server on loopback, UDP and TCP, with a zone that is a dict: for tests that resolve for real."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import trio

LOOPBACK = "127.0.0.1"
MAX_UDP_BYTES = 512  # RFC 1035 §4.2.1: what is longer is truncated, and asked again over TCP


class Trouble(Enum):
    """What comes instead of an answer."""

    SERVFAIL = dns.rcode.SERVFAIL
    REFUSED = dns.rcode.REFUSED
    NXDOMAIN = dns.rcode.NXDOMAIN  # for one type of a name that has others
    SILENCE = None


# A name that is absent does not exist (NXDOMAIN); a type that is absent has no records (NODATA).
Records = Mapping[str, Sequence[str] | Trouble]
Zone = Mapping[str, Records]


@dataclass
class NameServer:
    """The running server: where it listens, and what it was asked, as (name, type, "udp" or "tcp")."""

    zone: Zone
    port: int
    ttl_s: int = 60
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def servers(self) -> list[tuple[IPv4Address, int]]:
        """As a resolver takes it."""
        return [(IPv4Address(LOOPBACK), self.port)]

    def reply(self, wire: bytes, transport: str) -> bytes | None:
        """The answer to one query, or None for silence."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind, transport))
        response = dns.message.make_response(query, recursion_available=True)
        trouble = self._answer(response, name, kind)
        if trouble is Trouble.SILENCE:
            return None
        if trouble is not None:
            response.set_rcode(dns.rcode.Rcode(trouble.value))
        return _within(response, MAX_UDP_BYTES if transport == "udp" else 65535)

    def _answer(self, response: dns.message.Message, name: str, kind: str) -> Trouble | None:
        """Put the records into the response, along the aliases; or the trouble that there is."""
        if (node := self.zone.get(name)) is None:
            return Trouble.NXDOMAIN
        wanted = "CNAME" if "CNAME" in node else kind
        records = node.get(wanted, ())
        if isinstance(records, Trouble):
            return records
        if records:
            response.answer.append(dns.rrset.from_text(f"{name}.", self.ttl_s, "IN", wanted, *records))
        if wanted == "CNAME" != kind:
            return self._answer(response, records[0].removesuffix("."), kind)
        return None


@asynccontextmanager
async def name_server(zone: Zone, ttl_s: int = 60) -> AsyncIterator[NameServer]:
    """Run a server for this zone on a free port until the context is left."""
    with (
        trio.socket.socket(type=trio.socket.SOCK_STREAM) as tcp,
        trio.socket.socket(type=trio.socket.SOCK_DGRAM) as udp,
    ):
        await _bind_both(tcp, udp)
        server = NameServer(zone, tcp.getsockname()[1], ttl_s)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve_udp, server, udp)
            nursery.start_soon(trio.serve_listeners, _tcp_handler(server), [trio.SocketListener(tcp)])
            yield server
            nursery.cancel_scope.cancel()


async def _bind_both(tcp: trio.socket.SocketType, udp: trio.socket.SocketType) -> None:
    """One port for both; a port that is free for TCP is nearly always free for UDP."""
    await tcp.bind((LOOPBACK, 0))
    tcp.listen()
    await udp.bind((LOOPBACK, tcp.getsockname()[1]))


async def _serve_udp(server: NameServer, udp: trio.socket.SocketType) -> None:
    while True:
        wire, peer = await udp.recvfrom(65535)
        if (reply := server.reply(wire, "udp")) is not None:
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
