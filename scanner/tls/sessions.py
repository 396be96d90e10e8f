"""Sessions: does a server give the client what a later connection can go on with, and does it then go on with it?

    C: ClientHello ──▶ S: ServerHello … Finished ──▶ C: Finished, close_notify ──▶ S: [NewSessionTicket], close_notify

There are three ways: session ids and tickets up to TLS 1.2 (RFC 5246 §7.3, RFC 5077), and in TLS 1.3 tickets that name
a pre-shared key (RFC 8446 §2.2). These come behind the handshake, so the client says goodbye at once, and a server that
answers that without having sent one has none to give.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from OpenSSL import SSL

from scanner.dialogue import Script, Stop
from scanner.tls.handshake import Handshake
from scanner.tls.names import Version
from scanner.tls.overheard import Overheard, Ticket
from scanner.tls.shake import ShakeDialogue, bare_context
from scanner.tls.talk import USUAL, Manner, Talk, Whom

RECEIVE_BYTES = 16_384
MAX_BYTES_BEHIND = 65_536  # till there is a ticket: so many of key updates, say, keep OpenSSL busy for 0.14 s
PRE_SHARED_KEY = 41
_TRAFFIC_SECRET = b"SERVER_TRAFFIC_SECRET_0"


class Way(StrEnum):
    """How a session is gone on with. The words stand in the records."""

    ID = "session_id"
    TICKET = "session_ticket"
    PSK = "psk"


@dataclass(frozen=True, slots=True)
class Session(Handshake):
    """What a completed handshake came to. `offered` is None where the connection ended before it was told."""

    offered: bool | None = None
    resumed: bool = False
    ticket: Ticket | None = None
    resumable: SSL.Session | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class MakeSession(Talk):
    """A handshake of `version`, up to TLS 1.2 the newest to offer, that goes on with an `earlier` one if there is one.

    What it comes to is a Session, or a Handshake that failed.
    """

    way: Way
    version: Version
    earlier: SSL.Session | None = None
    manner: Manner = USUAL

    def begin(self, whom: Whom) -> "SessionDialogue":
        """The handshake."""
        return SessionDialogue(whom, self)


class SessionDialogue(ShakeDialogue):
    """See the diagram at the head of the module."""

    def __init__(self, whom: Whom, talk: MakeSession) -> None:
        manner = talk.manner
        super().__init__(whom, _context(talk.way, talk.version, manner.short, manner.small), manner)
        self._way = talk.way
        self._overheard = Overheard(tls13=talk.way is Way.PSK)
        self._keys: list[bytes] = []
        self.tls.set_app_data(self._keys)
        if talk.earlier is not None:
            self.tls.set_session(talk.earlier)
        self._shaken: Handshake | None = None
        self._ticket: Ticket | None = None
        self._closed = False  # in order, by a close_notify

    def read_some(self) -> Script[bytes]:
        """All that comes is read along."""
        data = yield from super().read_some()
        self._overheard.hear(data)
        return data

    def measure(self, handshake: Handshake) -> Script[Handshake]:
        """Say goodbye; in TLS 1.3, read on until there is a ticket, or the server has said goodbye too."""
        self._shaken = handshake
        self._budget = min(self._budget, MAX_BYTES_BEHIND)
        yield from self.farewell()
        while self._way is Way.PSK and self._reads_on():
            self.tls.bio_write((yield from self.read_some()))
        return self._session(handshake)

    def stopped(self, stop: Stop) -> Handshake:
        """Once the handshake is complete, only the ticket is missing."""
        return self._session(self._shaken) if self._shaken else super().stopped(stop)

    def _reads_on(self) -> bool:
        """Let OpenSSL take what has come; is there more to wait for?"""
        try:
            while self.tls.recv(RECEIVE_BYTES):
                pass  # a greeting, say
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self._closed = True
        except SSL.Error:
            return False
        suite = self._shaken.cipher if self._shaken else None
        for secret in self._keys:
            self._ticket = self._ticket or self._overheard.open_ticket(suite, secret)
        return self._ticket is None and not self._closed

    def _session(self, handshake: Handshake) -> Session:
        heard, ticket = self._overheard, self._ticket
        offered: bool | None
        match self._way:
            case Way.ID:
                offered, resumed = bool(heard.session_id), heard.abbreviated
            case Way.TICKET:
                ticket = heard.ticket
                offered, resumed = ticket is not None, heard.abbreviated
            case Way.PSK:
                hello = heard.server_hello
                offered = True if ticket else False if self._closed else None
                resumed = hello is not None and PRE_SHARED_KEY in hello.extensions
        resumable = self.tls.get_session() if offered else None
        return Session(
            version=handshake.version,
            cipher=handshake.cipher,
            offered=offered,
            resumed=resumed,
            ticket=ticket,
            resumable=resumable,
        )


@cache
def _context(way: Way, version: Version, short: bool, small: bool) -> SSL.Context:
    no_ticket = SSL.OP_NO_TICKET if way is Way.ID else 0
    manner = Manner(short=short and way is Way.PSK, small=small and way is not Way.PSK)
    context = bare_context(options=SSL.OP_NO_RENEGOTIATION | no_ticket, manner=manner)
    context.set_max_proto_version(version.code)
    if way is Way.PSK:
        context.set_min_proto_version(version.code)
        context.set_keylog_callback(_note_secret)
    return context


def _note_secret(tls: SSL.Connection, line: bytes) -> None:
    """A line of the key log: label, client random, secret."""
    label, _, secret = line.split(b" ")
    if label == _TRAFFIC_SECRET:
        tls.get_app_data().append(bytes.fromhex(secret.decode()))
