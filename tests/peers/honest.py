"""Honest servers: SMTP, IMAP and POP3 with STARTTLS or implicit TLS, and HTTPS, over trio and Python's own TLS.

They do what their configuration says and no more, which is what a demonstration and an end-to-end test need.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import trio

Say = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Honest:
    """One server. `tls` is None where it has none; `implicit` begins with it."""

    protocol: str  # smtp, imap, pop3, http
    address: str
    tls: ssl.SSLContext | None = None
    implicit: bool = False
    auth_before_tls: bool = False
    greeting: str | None = None  # instead of the usual one; the connection then ends
    refusal: str | None = None  # instead of the go-ahead
    port: int = 0  # 0: any that is free


class _Session:
    """One connection: a line reader over a stream that may become TLS."""

    def __init__(self, server: Honest, stream: trio.abc.Stream) -> None:
        self.server = server
        self.stream = stream
        self.encrypted = False
        self._buffer = b""

    async def line(self) -> str | None:
        """The next one; None when the client has gone."""
        while b"\n" not in self._buffer:
            if not (data := await self.stream.receive_some()):
                return None
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode("ascii", "replace").strip()

    async def say(self, *lines: str) -> None:
        await self.stream.send_all("".join(f"{line}\r\n" for line in lines).encode())

    async def start_tls(self) -> None:
        assert self.server.tls is not None
        self._buffer = b""  # what came in plaintext stays outside (RFC 3207 §4.2)
        encrypted = trio.SSLStream(self.stream, self.server.tls, server_side=True, https_compatible=True)
        await encrypted.do_handshake()
        self.stream, self.encrypted = encrypted, True

    @property
    def offers_tls(self) -> bool:
        return self.server.tls is not None and not self.encrypted

    @property
    def offers_login(self) -> bool:
        return self.encrypted or self.server.auth_before_tls


async def _smtp(session: _Session) -> None:
    await session.say("220 mail.example ESMTP")
    while (line := await session.line()) is not None:
        match line.upper().split():
            case ["EHLO", *_]:
                tls, login = ["STARTTLS"] * session.offers_tls, ["AUTH PLAIN LOGIN"] * session.offers_login
                offered = (f"250-{keyword}" for keyword in ["PIPELINING", *tls, *login])
                await session.say("250-mail.example", *offered, "250 HELP")
            case ["STARTTLS"] if session.offers_tls:
                await session.say(session.server.refusal or "220 2.0.0 Ready to start TLS")
                if not session.server.refusal:
                    await session.start_tls()
            case ["QUIT"]:
                return await session.say("221 2.0.0 Bye")
            case _:
                await session.say("502 5.5.1 Not implemented")
    return None


async def _imap(session: _Session) -> None:
    def capabilities() -> str:
        offered = ["IMAP4rev1", *["STARTTLS"] * session.offers_tls]
        return " ".join([*offered, *(["AUTH=PLAIN"] if session.offers_login else ["LOGINDISABLED"])])

    await session.say(f"* OK [CAPABILITY {capabilities()}] ready")
    while (line := await session.line()) is not None:
        match line.upper().split():
            case [tag, "CAPABILITY"]:
                await session.say(f"* CAPABILITY {capabilities()}", f"{tag.lower()} OK done")
            case [tag, "STARTTLS"] if session.offers_tls:
                await session.say(f"{tag.lower()} {session.server.refusal or 'OK begin TLS'}")
                if not session.server.refusal:
                    await session.start_tls()
            case [tag, "LOGOUT"]:
                return await session.say("* BYE logging out", f"{tag.lower()} OK done")
            case [tag, *_]:
                await session.say(f"{tag.lower()} BAD unknown")
    return None


async def _pop3(session: _Session) -> None:
    await session.say("+OK ready")
    while (line := await session.line()) is not None:
        match line.upper().split():
            case ["CAPA"]:
                login = ["USER", "SASL PLAIN"] if session.offers_login else []
                await session.say("+OK", "UIDL", *["STLS"] * session.offers_tls, *login, ".")
            case ["STLS"] if session.offers_tls:
                await session.say(session.server.refusal or "+OK begin TLS")
                if not session.server.refusal:
                    await session.start_tls()
            case ["QUIT"]:
                return await session.say("+OK bye")
            case _:
                await session.say("-ERR unknown")
    return None


async def _http(session: _Session) -> None:
    while (line := await session.line()) is not None:
        if not line:
            return await session.say("HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close", "")
    return None


_PROTOCOLS: dict[str, Callable[[_Session], Awaitable[None]]] = {
    "smtp": _smtp,
    "imap": _imap,
    "pop3": _pop3,
    "http": _http,
}


async def _serve(server: Honest, stream: trio.SocketStream) -> None:
    session = _Session(server, stream)
    try:
        if server.greeting is not None:
            await session.say(server.greeting)
            return
        if server.implicit:
            await session.start_tls()
        await _PROTOCOLS[server.protocol](session)
    except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
        pass  # the client had what it came for
    finally:
        with trio.move_on_after(1):
            await trio.aclose_forcefully(session.stream)


@asynccontextmanager
async def serving(servers: list[Honest]) -> AsyncIterator[list[int]]:
    """Run the servers; their ports, in the same order."""
    async with trio.open_nursery() as nursery:
        ports = []
        for server in servers:
            handler = partial(_serve, server)
            (listener,) = await trio.open_tcp_listeners(server.port, host=server.address)
            nursery.start_soon(trio.serve_listeners, handler, [listener])
            ports.append(listener.socket.getsockname()[1])
        yield ports
        nursery.cancel_scope.cancel()


def context(
    chain_and_key: bytes, path: str, lowest: ssl.TLSVersion, highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    """A server context for these versions; old ones are let in. The PEM goes through a file at `path`."""
    with open(path, "wb") as pem:
        pem.write(chain_and_key)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.set_ciphers("ALL:@SECLEVEL=0")
    made.load_cert_chain(path)
    made.minimum_version, made.maximum_version = lowest, highest
    return made
