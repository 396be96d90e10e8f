"""Mail servers that read ahead, and differ in what they do with what came behind STARTTLS in its own segment.

Each has one buffer for a whole connection, out of which it takes commands line by line. One that keeps this buffer
across the upgrade runs inside TLS what it was sent in plaintext (CVE-2011-0411).

    async with serving({"careless": reads_ahead(SMTP, Behind.RUN_INSIDE)}) as servers:
        ...
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from tests.peers.scripted import Script, Talk
from tests.peers.tls_server import TlsServer


class Behind(Enum):
    """What becomes of the bytes behind the upgrade command."""

    FORGOTTEN = "forgotten"  # as RFC 3207 §4.2 wants it
    RUN_INSIDE = "run inside TLS"
    RUN_BEFORE = "run before TLS"
    REFUSED = "refused"
    CLOSED = "closed"  # as RFC 9051 §6.2.1 allows it
    LEFT_TO_TLS = "left to TLS"  # as RFC 9051 §6.2.1 allows it


@dataclass(frozen=True)
class Mail:
    """A protocol as far as these servers speak it. `answer`: to a command, and whether that came inside TLS."""

    service: str
    greeting: bytes
    upgrade: bytes
    go_ahead: bytes
    refusal: bytes
    answer: Callable[[bytes, bool], bytes]
    inside: bytes = b""  # said unasked when TLS has begun


def _smtp(command: bytes, inside: bool) -> bytes:
    match command.split():
        case [b"EHLO", *_]:
            return b"250-mx\r\n250 AUTH PLAIN\r\n" if inside else b"250-mx\r\n250 STARTTLS\r\n"
        case [b"NOOP"]:
            return b"250 2.0.0 Ok\r\n"
        case [b"QUIT"]:
            return b"221 2.0.0 Bye\r\n"
        case _:
            return b"502 5.5.2 Error: command not recognized\r\n"


def _imap(command: bytes, inside: bool) -> bytes:
    match command.split():
        case [tag, b"CAPABILITY"]:
            return b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n" + tag + b" OK done\r\n"
        case [tag, b"LOGOUT"]:
            return b"* BYE logging out\r\n" + tag + b" OK done\r\n"
        case [tag, b"NOOP"]:
            return tag + b" OK NOOP completed.\r\n"
        case [tag, *_]:
            return tag + b" BAD unknown\r\n"
        case _:
            return b"* BAD what?\r\n"


def _pop3(command: bytes, inside: bool) -> bytes:
    match command.split():
        case [b"CAPA"]:
            return b"+OK\r\nUIDL\r\nUSER\r\n.\r\n" if inside else b"+OK\r\nUIDL\r\nSTLS\r\n.\r\n"
        case [b"QUIT"]:
            return b"+OK Logging out\r\n"
        case _:
            return b"-ERR Unknown command.\r\n"


_SIEVE_LIST = b'"IMPLEMENTATION" "Example"\r\n"SASL" "PLAIN"\r\nOK\r\n'


def _sieve(command: bytes, inside: bool) -> bytes:
    match command.split():
        case [b"NOOP", string]:
            return b"OK (TAG " + string + b') "NOOP completed."\r\n'
        case [b"CAPABILITY"]:
            return _SIEVE_LIST
        case [b"LOGOUT"]:
            return b"OK\r\n"
        case _:
            return b'NO "Error in MANAGESIEVE command"\r\n'


SMTP = Mail(
    "smtp",
    b"220 mx ESMTP\r\n",
    b"STARTTLS",
    b"220 2.0.0 Ready to start TLS\r\n",
    b"554 5.5.0 Error: SMTP protocol synchronization\r\n",
    _smtp,
)
IMAP = Mail(
    "imap",
    b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n",
    b"t2 STARTTLS",
    b"t2 OK Begin TLS negotiation now.\r\n",
    b"t2 BAD nothing may follow STARTTLS\r\n",
    _imap,
)
POP3 = Mail(
    "pop3",
    b"+OK ready\r\n",
    b"STLS",
    b"+OK Begin TLS negotiation now.\r\n",
    b"-ERR nothing may follow STLS\r\n",
    _pop3,
)
SIEVE = Mail(
    "sieve",
    b'"STARTTLS"\r\n"SASL" ""\r\nOK\r\n',
    b"STARTTLS",
    b'OK "Begin TLS negotiation now."\r\n',
    b'NO "nothing may follow STARTTLS"\r\n',
    _sieve,
    inside=_SIEVE_LIST,
)
PROTOCOLS = (SMTP, IMAP, POP3, SIEVE)


class _Commands:
    """What was read and not run yet."""

    def __init__(self) -> None:
        self.buffer = b""

    def lines(self, data: bytes = b"") -> Iterator[bytes]:
        """The whole lines that there are now."""
        self.buffer += data
        while b"\r\n" in self.buffer:
            line, _, self.buffer = self.buffer.partition(b"\r\n")
            yield line


def reads_ahead(mail: Mail, behind: Behind) -> Script:
    """A server of this protocol and this conduct."""

    async def script(talk: Talk) -> None:
        await talk.say(mail.greeting)
        commands = _Commands()
        while data := await talk.hear():
            for line in commands.lines(data):
                if line != mail.upgrade:
                    await talk.say(mail.answer(line, False))
                elif behind is Behind.REFUSED and commands.buffer:
                    return await talk.say(mail.refusal)
                elif behind is Behind.CLOSED and commands.buffer:
                    return None
                else:
                    await talk.say(mail.go_ahead)
                    return await _inside(talk, mail, behind, commands)
        return None

    return script


async def _inside(talk: Talk, mail: Mail, behind: Behind, commands: _Commands) -> None:
    match behind:
        case Behind.FORGOTTEN:
            commands.buffer = b""
        case Behind.RUN_BEFORE:
            await talk.say(b"".join(mail.answer(line, False) for line in commands.lines()))
        case Behind.LEFT_TO_TLS:
            talk.take_back(commands.buffer)
            commands.buffer = b""

    def run(data: bytes) -> bytes:
        return b"".join(mail.answer(line, True) for line in commands.lines(data))

    await talk.let_speak(TlsServer(run, greeting=mail.inside + run(b"")))
    await talk.hear()  # a ClientHello that was not read would turn the close into a reset
