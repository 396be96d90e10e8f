"""An SMTP server with STARTTLS on every loopback address, that costs less than the client that it keeps busy.

Of several certificates, each address has one. One thread, epoll and TLS over memory, with the settings of the server
that speaks TLS at once. Mail it does not take.
"""

import select
import socket
import ssl
import sys
from ipaddress import ip_address
from pathlib import Path

RECEIVE_BYTES = 16_384
BACKLOG = 8_192
GREETING = b"220 mx.bench.example ESMTP\r\n"
BEFORE = (
    b"250-mx.bench.example\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-STARTTLS\r\n250-ENHANCEDSTATUSCODES\r\n"
    b"250 8BITMIME\r\n"
)
INSIDE = BEFORE.replace(b"250-STARTTLS\r\n", b"250-AUTH PLAIN LOGIN\r\n")


def main() -> None:
    """`python -m benchmarks.smtp_server PORT CERTIFICATE_DIRECTORY`"""
    port, directory = int(sys.argv[1]), Path(sys.argv[2])
    contexts = [context_of(chain) for chain in sorted(directory.glob("chain*.pem"))]
    with socket.create_server(("0.0.0.0", port), backlog=BACKLOG) as listener:
        listener.setblocking(False)
        Server(listener, contexts).serve()


def context_of(chain: Path) -> ssl.SSLContext:
    """The settings, with one certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, chain.with_name(chain.name.replace("chain", "key")))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ecdh_curve("X25519")
    return context


class Session:
    """One connection: what is said to it, and what it answers."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.over = False
        self._context = context
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._unread = b""

    def hear(self, data: bytes) -> bytes:
        """What is answered to this; nothing is said after `over`."""
        if self._tls is None:
            return self._answers(data)
        self._incoming.write(data)
        try:
            if self._tls.version() is None:
                self._tls.do_handshake()
            while said := self._tls.read(RECEIVE_BYTES):
                self._tls.write(self._answers(said))
            self.over = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.over = True
        return self._outgoing.read()

    def _answers(self, data: bytes) -> bytes:
        *lines, self._unread = (self._unread + data).split(b"\n")
        return b"".join(self._answer(line.strip().upper()) for line in lines)

    def _answer(self, command: bytes) -> bytes:
        if command.startswith(b"EHLO "):
            return INSIDE if self._tls else BEFORE
        if command == b"STARTTLS" and self._tls is None:
            self._tls = self._context.wrap_bio(self._incoming, self._outgoing, server_side=True)
            return b"220 2.0.0 Ready to start TLS\r\n"
        if command == b"RSET":
            return b"250 2.0.0 Ok\r\n"
        if command == b"QUIT":
            self.over = True
            return b"221 2.0.0 Bye\r\n"
        return b"502 5.5.2 Command not recognized\r\n"


class Server:
    """All connections at once."""

    def __init__(self, listener: socket.socket, contexts: list[ssl.SSLContext]) -> None:
        self._listener = listener
        self._contexts = contexts
        self._poll = select.epoll()
        self._sessions: dict[int, tuple[socket.socket, Session]] = {}

    def serve(self) -> None:
        """For ever."""
        self._poll.register(self._listener, select.EPOLLIN)
        while True:
            for number, _ in self._poll.poll():
                if number == self._listener.fileno():
                    self._accept_all()
                else:
                    self._hear(*self._sessions[number])

    def _accept_all(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # there are no more, or this one has gone already
                return
            client.setblocking(False)
            self._sessions[client.fileno()] = client, Session(self._context_for(client))
            self._poll.register(client, select.EPOLLIN)
            client.send(GREETING)

    def _context_for(self, client: socket.socket) -> ssl.SSLContext:
        """One by the address that was asked for."""
        address = int(ip_address(client.getsockname()[0]))
        return self._contexts[address % len(self._contexts)]

    def _hear(self, client: socket.socket, session: Session) -> None:
        try:
            if data := client.recv(RECEIVE_BYTES):
                client.send(session.hear(data))
        except OSError:
            data = b""
        if not data or session.over:
            del self._sessions[client.fileno()]
            client.close()


if __name__ == "__main__":
    main()
