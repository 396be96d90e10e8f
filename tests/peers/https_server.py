"""An HTTPS server on loopback that says what it is told to say, whatever it is asked."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain

import trio

Say = Callable[[trio.abc.Stream], Awaitable[None]]


@dataclass
class HttpsServer:
    """What became of it. `context`: None for one that speaks no TLS, and says at once what it has to say."""

    say: Say
    context: ssl.SSLContext | None
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    at_once: int = 0
    most_at_once: int = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection."""
        self.connections += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._serve(stream)
        finally:
            self.at_once -= 1
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)

    async def _serve(self, stream: trio.SocketStream) -> None:
        if self.context is None:
            await self.say(stream)
            return
        tls = trio.SSLStream(stream, self.context, server_side=True, https_compatible=True)
        await tls.do_handshake()
        request = b""
        while b"\r\n\r\n" not in request:
            request += await tls.receive_some()
        self.requests.append(request)
        await self.say(tls)


@asynccontextmanager
async def https_server(
    say: Say, context: ssl.SSLContext | None, *more_addresses: str, port: int = 0
) -> AsyncIterator[HttpsServer]:
    """A server for as long as the block lasts, on 127.0.0.1 and on more addresses, with the same port."""
    (listener,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
    server = HttpsServer(say, context, listener.socket.getsockname()[1])
    others = [await trio.open_tcp_listeners(server.port, host=address) for address in more_addresses]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, server.serve, [listener, *chain.from_iterable(others)])
        yield server
        nursery.cancel_scope.cancel()


def saying(*parts: bytes) -> Say:
    """Says this, and closes."""

    async def say(stream: trio.abc.Stream) -> None:
        for part in parts:
            await stream.send_all(part)

    return say


def repeating(first: bytes, more: bytes, pause_s: float = 0) -> Say:
    """Says this, and then more of that for as long as anybody listens."""

    async def say(stream: trio.abc.Stream) -> None:
        await stream.send_all(first)
        while True:
            await trio.sleep(pause_s)
            await stream.send_all(more)

    return say


async def silent(stream: trio.abc.Stream) -> None:
    """Says nothing."""
    await trio.sleep_forever()


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole response, with its length."""
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers)
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode() + body
