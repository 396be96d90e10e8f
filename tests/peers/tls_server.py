"""TLS servers that do no I/O: what the client said goes in, what the server says comes out.

They are OpenSSL's by way of the standard library, which is not what the scanner uses; SSLv2's is our own, because
nothing alive speaks it.
"""

import ssl
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

import trustme

HOST = "mx.example.test"
_ADDRESSES = ("192.0.2.1", "127.0.0.1")
_HANDSHAKE = 22


class Speaker(Protocol):
    """One side of a connection."""

    def hear(self, data: bytes) -> bytes:
        """What it answers, b"" if nothing."""


class Closed(Exception):  # noqa: N818
    """The server closes the connection, when it has sent `last`: by FIN, or by RST."""

    def __init__(self, last: bytes = b"", *, reset: bool = False) -> None:
        super().__init__(last)
        self.last = last
        self.reset = reset


@cache
def server_context(group: str | None = None, client_certificate: bool = False) -> ssl.SSLContext:
    """TLS 1.2 and 1.3; with `group` (OpenSSL's name), this one for the key exchange and no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _certificate().configure_cert(context)
    if group:
        context.set_ecdh_curve(group)
    if client_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@cache
def _certificate() -> trustme.LeafCert:
    return trustme.CA().issue_cert(HOST, *_ADDRESSES)


class TlsServer:
    """A TLS server, with the lines of a text protocol inside, or without."""

    def __init__(
        self,
        answer: Callable[[bytes], bytes] = lambda _: b"",
        *,
        greeting: bytes = b"",
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._answer = answer
        self._greeting = greeting
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = (context or server_context()).wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._shaken = False  # is the handshake complete?
        self.heard: list[bytes] = []  # inside TLS
        self.closed_politely = False

    def hear(self, data: bytes) -> bytes:
        """What it answers. Raises Closed after an alert of its own."""
        self._incoming.write(data)
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
                self._tls.write(self._greeting)
            while said := self._tls.read(16_384):
                self.heard.append(said)
                self._tls.write(self._answer(said))
            self.closed_politely = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closed_politely = True
        except ssl.SSLError as error:
            raise Closed(self._outgoing.read()) from error
        return self._outgoing.read()


class BreaksInside(TlsServer):
    """Speaks TLS until it is spoken to inside, and then something else."""

    def __init__(self, instead: bytes) -> None:
        super().__init__()
        self._instead = instead

    def hear(self, data: bytes) -> bytes:
        """TLS, or that."""
        answer = super().hear(data)
        return self._instead if self.heard else answer


class Spoils(TlsServer):
    """Reads a byte of the client's encrypted records as another, as if it had been spoilt on its way.

    OpenSSL answers with an alert, which is encrypted too: to the client's last words of the handshake, or, if it is
    `late`, to what comes behind it.
    """

    def __init__(self, *arguments: Any, late: bool = False, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._late = late

    def hear(self, data: bytes) -> bytes:
        """What OpenSSL makes of it."""
        spoilt = bool(data) and data[0] != _HANDSHAKE and (self._shaken or not self._late)
        return super().hear(data[:-1] + bytes([data[-1] ^ 1]) if spoilt else data)


def smtp_inside(line: bytes) -> bytes:
    """What an SMTP server answers inside TLS."""
    return b"250-mx.example.test\r\n250 AUTH PLAIN\r\n" if line.startswith(b"EHLO") else b"221 bye\r\n"


class Sslv2Server:
    """Answers an SSLv2 CLIENT-HELLO with a SERVER-HELLO, and everything else with an ERROR record."""

    def __init__(self, kinds: bytes = bytes.fromhex("010080 0700c0")) -> None:
        self._kinds = kinds

    def hear(self, data: bytes) -> bytes:
        """The SERVER-HELLO (Hickman's draft): no session, an X.509 certificate, and the ciphers of both sides."""
        if len(data) < 5 or not data[0] & 0x80 or data[2:5] != b"\x01\x00\x02":
            return _sslv2_record(b"\x00\x00\x01")  # ERROR, no cipher
        certificate, connection_id = b"\x30\x03\x02\x01\x01", bytes(16)
        lengths = b"".join(len(part).to_bytes(2, "big") for part in (certificate, self._kinds, connection_id))
        return _sslv2_record(b"\x04\x00\x01\x00\x02" + lengths + certificate + self._kinds + connection_id)


def _sslv2_record(message: bytes) -> bytes:
    return (0x8000 | len(message)).to_bytes(2, "big") + message
