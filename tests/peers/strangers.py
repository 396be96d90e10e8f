"""Honest servers as they are to those who speak another language: what they say unasked, and to words not theirs.

From what the servers named say; for a protocol in which the server begins, of which nothing stands here, its greeting
in the transcripts will do.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.peers.memory import Act, Turn
from tests.peers.tls_server import Closed, TlsServer


@dataclass(frozen=True, slots=True)
class Stranger:
    """A server. `greeting` comes at once; `answer` to each thing that is said, after which it may close."""

    greeting: bytes = b""
    answer: bytes = b""
    closes: bool = True

    @property
    def is_silent(self) -> bool:
        """Does it tell nobody who it is that does not speak its language?"""
        return not self.greeting and not self.answer

    def turns(self) -> list[Turn]:
        """What it does, on one connection."""
        return [*([Turn(0.1, self.greeting)] if self.greeting else []), Turn(0.1, _Listener(self))]


class _Listener:
    def __init__(self, stranger: Stranger) -> None:
        self._stranger = stranger

    def hear(self, data: bytes) -> bytes:
        """What it answers."""
        if self._stranger.closes:
            raise Closed(self._stranger.answer)
        return self._stranger.answer


class _Alerting(TlsServer):
    def hear(self, data: bytes) -> bytes:
        """What it answers."""
        try:
            return super().hear(data)
        except Closed as closed:
            raise Closed(closed.last or bytes.fromhex("15 0301 0002 020a")) from closed


class Echo:
    """Says back what it hears (RFC 862)."""

    def hear(self, data: bytes) -> bytes:
        """That."""
        return data


def xmpp_error(kind: str, condition: str) -> bytes:
    """A stream of `xmpp-client` or `xmpp-server` that ends with this error (RFC 6120 §4.9)."""
    namespace = kind.replace("xmpp-", "jabber:")
    return (
        f"<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='{namespace}'"
        f" id='x' version='1.0'><stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
        "</stream:error></stream:stream>"
    ).encode()


STRANGERS: dict[str, Stranger] = {
    # Postfix, Dovecot (which does not call its LMTP so; Cyrus does), Pigeonhole, vsftpd, INN
    "smtp": Stranger(b"220 mx.example.org ESMTP Postfix\r\n", b"502 5.5.2 Error: command not recognized\r\n", False),
    "lmtp": Stranger(b"220 store.example.org LMTP Cyrus 3.8 server ready\r\n", b"500 5.5.1 Unknown command\r\n", False),
    "imap": Stranger(
        b"* OK [CAPABILITY IMAP4rev1 STARTTLS] Dovecot ready.\r\n", b"* BAD Error in IMAP command\r\n", False
    ),
    "pop3": Stranger(b"+OK Dovecot ready.\r\n", b"-ERR Unknown command.\r\n", False),
    "sieve": Stranger(
        b'"IMPLEMENTATION" "Dovecot Pigeonhole"\r\n"SIEVE" "fileinto"\r\n"STARTTLS"\r\nOK "Dovecot ready."\r\n',
        b'NO "Error in MANAGESIEVE command received by server."\r\n',
        False,
    ),
    "ftp": Stranger(b"220 (vsFTPd 3.0.3)\r\n", b"530 Please login with USER and PASS.\r\n", False),
    "nntp": Stranger(b"200 news.example.org InterNetNews NNRP server INN 2.7.1 ready\r\n", b"500 What?\r\n", False),
    # Prosody, in answer to what is no XML
    "xmpp-client": Stranger(answer=xmpp_error("xmpp-client", "not-well-formed")),
    "xmpp-server": Stranger(answer=xmpp_error("xmpp-server", "not-well-formed")),
    # slapd, PostgreSQL and Windows close without a word
    "ldap": Stranger(),
    "postgresql": Stranger(),
    "rdp": Stranger(),
    "mssql": Stranger(),
    "mysql": Stranger(
        b"\x4e\x00\x00\x00\x0a8.0.36-0ubuntu0.22\x00*\x00\x00\x00abcdefgh\x00\xff\xff\xff\x02\x00\xff\xdf\x15"
        + bytes(10)
        + b"ijklmnopqrst\x00caching_sha2\x00",
        b"\x21\x00\x00\x01\xff\x84\x04#08S01Got packets out of order",
    ),
    # InspIRCd; unknown commands are passed over
    "irc": Stranger(b":irc.example.org NOTICE * :*** Looking up your hostname...\r\n", closes=False),
    "telnet": Stranger(b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff\xfd\x27", closes=False),
    "amqp": Stranger(answer=b"AMQP\x00\x00\x09\x01"),  # RabbitMQ
    # and those that have no STARTTLS at all
    "http": Stranger(answer=b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nConnection: close\r\n\r\n"),
    "ssh": Stranger(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", b"Invalid SSH identification string.\r\n"),
}


def tls() -> list[Turn]:
    """TLS from the first byte on."""
    return [Turn(0.1, TlsServer())]


def closes_with_alert() -> list[Turn]:
    """TLS that says unexpected_message to what is none."""
    return [Turn(0.1, _Alerting())]


def impatient(end: Act) -> Callable[[], list[Turn]]:
    """TLS that has no patience with who does not begin: it ends the first connection so, and serves a ClientHello."""
    conversations = iter([[Turn(0.5, end)]])
    return lambda: next(conversations, tls())


def echo() -> list[Turn]:
    """Each word back."""
    return [Turn(0.1, Echo())]
