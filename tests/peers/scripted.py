"""Servers on loopback that do what a script says, honest or not: one address each, on a port that is free.

async def closes_behind_the_go_ahead(talk: Talk) -> None:
    await smtp(talk, until="tls")
    talk.close()

async with serving({"closes": closes_behind_the_go_ahead}) as servers:
    ...  # scan f"smtp://{servers['closes'].place}"
"""

import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import trio

from tests.peers.tls_server import Closed, Speaker

_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


@dataclass
class Server:
    """One server as a client finds it, and what it has heard so far."""

    address: str
    port: int
    connections: int = 0
    heard: bytearray = field(default_factory=bytearray)
    visited: trio.Event = field(default_factory=trio.Event)  # somebody has connected

    @property
    def place(self) -> str:
        """As a target is written."""
        return f"{self.address}:{self.port}"


class Talk:
    """The server's side of one connection. `number` counts the connections to this server from 1."""

    def __init__(self, stream: trio.SocketStream, server: Server) -> None:
        self._stream = stream
        self._server = server
        self._unread = b""
        self.number = server.connections

    async def say(self, data: bytes) -> None:
        """Send this."""
        await self._stream.send_all(data)

    async def hear(self) -> bytes:
        """Whatever comes next, b"" when the client has gone."""
        if self._unread:
            data, self._unread = self._unread, b""
            return data
        data = await self._stream.receive_some(65_536)
        self._server.heard += data
        return bytes(data)

    async def hear_line(self) -> bytes:
        """The next line."""
        line = b""
        while b"\n" not in line:
            if not (data := await self.hear()):
                return line
            line += data
        line, _, self._unread = line.partition(b"\n")
        return line

    def take_back(self, data: bytes) -> None:
        """Let this be heard again."""
        self._unread = data + self._unread

    async def silence(self) -> None:
        """Listen until the client goes."""
        while await self.hear():
            pass

    async def let_speak(self, speaker: Speaker, before: bytes = b"") -> None:
        """Let something else answer all that is heard from here on; `before` comes before its first answer."""
        while data := await self.hear():
            try:
                answer = speaker.hear(data)
            except Closed as closed:
                await self.say(before + closed.last)
                return
            await self.say(before + answer)
            before = b""

    def reset(self) -> None:
        """RST."""
        self._stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """FIN, or RST where there are bytes that were not read."""
        self._stream.socket.close()


Script = Callable[[Talk], Awaitable[None]]


async def smtp(talk: Talk, until: str, go_ahead: bytes = b"220 go ahead\r\n") -> None:
    """The honest part of an SMTP server: up to the greeting, the answer to EHLO, that to STARTTLS, or TLS."""
    if until == "greeting":
        return
    await talk.say(b"220 mx.example.test ESMTP\r\n")
    await talk.hear_line()
    if until == "capabilities":
        return
    await talk.say(b"250-mx.example.test\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n")
    await talk.hear_line()
    if until == "reply":
        return
    await talk.say(go_ahead)
    if until == "hello":
        await talk.hear()


@asynccontextmanager
async def serving(scripts: Mapping[str, Script]) -> AsyncIterator[dict[str, Server]]:
    """Run a server for each script until the context is left."""
    async with trio.open_nursery() as nursery:
        servers = {}
        for number, (name, script) in enumerate(scripts.items()):
            address = f"127.44.{number >> 8}.{number & 255}"
            (listener,) = await trio.open_tcp_listeners(0, host=address)
            servers[name] = Server(address, listener.socket.getsockname()[1])
            nursery.start_soon(trio.serve_listeners, _handler(script, servers[name]), [listener])
        yield servers
        nursery.cancel_scope.cancel()


def _handler(script: Script, server: Server) -> Callable[[trio.SocketStream], Awaitable[None]]:
    async def handle(stream: trio.SocketStream) -> None:
        server.connections += 1
        server.visited.set()
        with suppress(*_GONE):
            await script(Talk(stream, server))
        stream.socket.close()

    return handle


@asynccontextmanager
async def unanswered() -> AsyncIterator[Server]:
    """A place where no SYN is answered: a listener whose queue is full."""
    with socket.create_server(("127.45.0.1", 0), backlog=0) as listener:
        address, port = listener.getsockname()
        with socket.create_connection((address, port)):
            yield Server(address, port)


def closed(number: int = 0) -> Server:
    """A place where nobody listens."""
    with socket.create_server((f"127.46.0.{number}", 0)) as listener:
        return Server(*listener.getsockname())
