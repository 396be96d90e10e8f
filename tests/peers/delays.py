"""An SMTP server whose every answer takes a known time, in a process of its own; it tells how long it truly took.

`python -m tests.peers.delays PORT GREETING_MS REPLY_MS TLS_MS [--handshake]` says `ready` on its standard output, and
when its standard input ends, how long each step of each connection took by its own clock, as JSON: by our address, so
that each endpoint is to have one connection. A busy machine wakes a server late, too: with what it was told to take
nobody can compare, but with what it took. Its turn begins when the client's bytes are there, and ends when its own go.

TLS is a ServerHello made before and nothing behind it; with `--handshake`, a whole handshake by OpenSSL.
"""

import heapq
import json
import select
import socket
import ssl
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field

from benchmarks.slow_server import BACKLOG, RECEIVE_BYTES, SESSION_ID, server_hello
from tests.peers.tls_server import server_context

SINCE_LAST_DATA = struct.Struct("=52xI")  # milliseconds, of <linux/tcp.h>'s tcp_info; at first, since the SYN's ACK
CAPABILITIES = b"250-mx\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"


@dataclass(slots=True, eq=False)
class Talk:
    """One connection."""

    socket: socket.socket
    turn: float  # since when it is our turn, by the monotonic clock
    steps: list[tuple[str, bytes]]  # what is to be said next, and as part of which step
    taken_ms: dict[str, float] = field(default_factory=dict)
    tls: ssl.SSLObject | None = None
    incoming: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)
    outgoing: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)
    heard: bytes = b""


class Server:
    """All connections at once, and what is to be said when, in a heap."""

    def __init__(self, listener: socket.socket, delays_s: dict[str, float], *, shakes: bool) -> None:
        self._listener = listener
        self._delays_s = delays_s
        self._shakes = shakes
        self._hello = server_hello()
        self._poll = select.epoll()
        self._talks: dict[int, Talk] = {}
        self._due: list[tuple[float, int, Talk]] = []
        self._number = 0
        self.taken_ms: dict[str, dict[str, float]] = {}

    def serve(self) -> None:
        """Until standard input ends."""
        self._poll.register(self._listener, select.EPOLLIN)
        self._poll.register(0, select.EPOLLIN | select.EPOLLHUP)
        while True:
            patience_s = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            for number, _ in self._poll.poll(patience_s):
                if number == 0:
                    return
                if number == self._listener.fileno():
                    self._accept_all()
                elif talk := self._talks.get(number):
                    self._hear(talk)
            while self._due and self._due[0][0] <= time.monotonic():
                self._say(heapq.heappop(self._due)[2])

    def _accept_all(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # there are no more
                return
            client.setblocking(False)
            steps = [("greeting", b"220 mx\r\n"), ("upgrade", CAPABILITIES), ("upgrade", b"220 go\r\n")]
            talk = Talk(client, _since(client), steps)
            self._talks[client.fileno()] = talk
            self._poll.register(client, select.EPOLLIN)
            self._take_turn(talk)

    def _take_turn(self, talk: Talk) -> None:
        step = talk.steps[0][0] if talk.steps else "tls"
        self._number += 1
        heapq.heappush(self._due, (talk.turn + self._delays_s[step], self._number, talk))

    def _hear(self, talk: Talk) -> None:
        try:
            data = talk.socket.recv(RECEIVE_BYTES)
        except OSError:
            data = b""
        if not data or talk.tls:  # what follows the handshake is not measured
            self._end(talk)
        elif talk.steps or not talk.heard:
            talk.turn = _since(talk.socket)
            talk.heard = b"" if talk.steps else data
            self._take_turn(talk)

    def _say(self, talk: Talk) -> None:
        step, said = talk.steps.pop(0) if talk.steps else ("tls", self._in_tls(talk))
        try:
            talk.socket.send(said)
        except OSError:
            self._end(talk)
            return
        talk.taken_ms[step] = talk.taken_ms.get(step, 0.0) + (time.monotonic() - talk.turn) * 1000
        if step == "tls":
            self.taken_ms[talk.socket.getsockname()[0]] = talk.taken_ms

    def _in_tls(self, talk: Talk) -> bytes:
        if not self._shakes:
            return self._hello[: SESSION_ID.start] + talk.heard[SESSION_ID] + self._hello[SESSION_ID.stop :]
        talk.tls = server_context().wrap_bio(talk.incoming, talk.outgoing, server_side=True)
        talk.incoming.write(talk.heard)
        with suppress(ssl.SSLWantReadError):
            talk.tls.do_handshake()
        return talk.outgoing.read()

    def _end(self, talk: Talk) -> None:
        if talk.socket.fileno() >= 0:
            del self._talks[talk.socket.fileno()]
            talk.socket.close()


def _since(connected: socket.socket) -> float:
    """When its last bytes came, or itself; to a tick of the kernel where that is longer ago."""
    info = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, SINCE_LAST_DATA.size)
    late_ms: int = SINCE_LAST_DATA.unpack(info)[0]
    return time.monotonic() - late_ms / 1000


def main() -> None:
    """Serve, and tell."""
    port, *delays_ms = map(int, sys.argv[1:5])
    delays_s = dict(zip(("greeting", "upgrade", "tls"), (delay_ms / 1000 for delay_ms in delays_ms), strict=True))
    with socket.create_server(("0.0.0.0", port), backlog=BACKLOG) as listener:
        listener.setblocking(False)
        server = Server(listener, delays_s, shakes="--handshake" in sys.argv)
        print("ready", flush=True)
        server.serve()
    print(json.dumps(server.taken_ms))


if __name__ == "__main__":
    main()
