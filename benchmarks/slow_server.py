"""A server on every loopback address whose ServerHello comes late, by a fixed time after it accepted.

It stands in for a network where packets take their time: what a client waits for its connection and its answer is
waited for the answer alone. The ServerHello is a real one, with the session id of the ClientHello that it answers, so
that ten thousand of them a second can be sent.
"""

import select
import socket
import sys
import time
from collections import deque

from OpenSSL import SSL, crypto
from trustme import CA, KeyType

from scanner.tls.hello import ENTROPY_BYTES, client_hello
from scanner.tls.names import Version

RECEIVE_BYTES = 16_384
BACKLOG = 8_192
SESSION_ID = slice(44, 76)  # record header 5, message header 4, version 2, random 32, its length 1


def main() -> None:
    """`python -m benchmarks.slow_server PORT DELAY_MS`"""
    port, delay_s = int(sys.argv[1]), int(sys.argv[2]) / 1000
    with socket.create_server(("0.0.0.0", port), backlog=BACKLOG) as listener:
        listener.setblocking(False)
        Server(listener, server_hello(), delay_s).serve()


def server_hello() -> bytes:
    """The record of one that OpenSSL answers to the scanner's hello of TLS 1.3."""
    leaf = CA(key_type=KeyType.ECDSA).issue_cert("bench.example", key_type=KeyType.ECDSA)
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate(crypto.load_certificate(crypto.FILETYPE_PEM, leaf.cert_chain_pems[0].bytes()))
    context.use_privatekey(crypto.load_privatekey(crypto.FILETYPE_PEM, leaf.private_key_pem.bytes()))
    tls = SSL.Connection(context, None)
    tls.set_accept_state()
    tls.bio_write(client_hello(Version.TLS1_3, None, bytes(range(ENTROPY_BYTES))))
    try:
        tls.do_handshake()
    except SSL.WantReadError:
        flight = tls.bio_read(RECEIVE_BYTES)
    return flight[: 5 + int.from_bytes(flight[3:5], "big")]


class Server:
    """All connections at once; those that wait, in the order in which they are due."""

    def __init__(self, listener: socket.socket, answer: bytes, delay_s: float) -> None:
        self._listener = listener
        self._before, self._after = answer[: SESSION_ID.start], answer[SESSION_ID.stop :]
        self._delay_s = delay_s
        self._poll = select.epoll()
        self._clients: dict[int, socket.socket] = {}
        self._due: deque[tuple[float, socket.socket]] = deque()

    def serve(self) -> None:
        """For ever."""
        self._poll.register(self._listener, select.EPOLLIN)
        while True:
            for number, _ in self._poll.poll(self._patience_s()):
                if number == self._listener.fileno():
                    self._accept_all()
                else:
                    self._end(self._clients[number])
            while self._due and self._due[0][0] <= time.monotonic():
                self._answer(self._due.popleft()[1])

    def _patience_s(self) -> float | None:
        return max(0.0, self._due[0][0] - time.monotonic()) if self._due else None

    def _accept_all(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # there are no more, or this one has gone already
                return
            self._due.append((time.monotonic() + self._delay_s, client))

    def _answer(self, client: socket.socket) -> None:
        """By now the hello is there, or there will be none."""
        client.setblocking(False)
        try:
            hello = client.recv(RECEIVE_BYTES)
            client.send(self._before + hello[SESSION_ID] + self._after)
        except OSError:
            client.close()
            return
        self._clients[client.fileno()] = client
        self._poll.register(client, select.EPOLLIN)

    def _end(self, client: socket.socket) -> None:
        """It has said goodbye, or gone."""
        del self._clients[client.fileno()]
        client.close()


if __name__ == "__main__":
    main()
