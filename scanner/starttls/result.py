"""What a STARTTLS dialogue finds out, and the frame that all such dialogues share."""

from abc import ABC
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from scanner.dialogue import Dialogue, LimitExceeded, Script, Send, Stop, Violation, WireEnded, verdict_of
from scanner.hint import hint_of
from scanner.outcome import Flag, Stage, Verdict
from scanner.wire_text import printable

T = TypeVar("T")

MAX_LIST_BYTES = 16_384  # of a list of capabilities; it is kept until the endpoint is over, and that may take an hour


@dataclass(frozen=True, slots=True)
class Names:
    """Who talks to whom, as far as a protocol asks."""

    ours: str  # in EHLO: a domain, or an address literal (RFC 5321 §4.1.3)
    theirs: str  # the host, or its address where it has no name


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server says that it can do, on one side of TLS."""

    capabilities: tuple[str, ...]
    auth: tuple[str, ...]  # SASL mechanisms, upper case
    login_disabled: bool | None = None  # None where the protocol has no such announcement


@dataclass(frozen=True, slots=True)
class StartTls:
    """How the dialogue up to the go-ahead went. `verdict` is `ok` on a positive reply: TLS has yet to prove it."""

    verdict: Verdict
    stage: Stage
    cause: str | None = None
    hint: str | None = None
    code: str | None = None
    text: str | None = None
    advertised: bool | None = None
    required: bool | None = None
    before: Capabilities | None = None
    preauth: bool = False  # is the session logged in before it begins? IMAP's alone
    flags: frozenset[Flag] = frozenset()

    @property
    def go_ahead(self) -> bool:
        """May a ClientHello be sent?"""
        return self.verdict is Verdict.OK


@dataclass(frozen=True, slots=True)
class Inside:
    """What was learnt inside TLS. `capabilities` is None when the server did not tell.

    `stopped` says what came in the way, a refusal or the end of the wire, and `code` and `text` the last reply then;
    `alert` is the one of TLS that ended it.
    """

    capabilities: Capabilities | None
    stopped: Verdict | None = None
    code: str | None = None
    text: str | None = None
    alert: str | None = None


def shown(entries: Iterable[bytes]) -> tuple[str, ...]:
    """A list of capabilities for `Capabilities`, without its empty ones. Raises LimitExceeded when it is too long.

    Between words a tab is as good as a space: by the grammar of NNTP (RFC 3977 §9), and to clients of the others.
    """
    kept = [entry.strip().replace(b"\t", b" ") for entry in entries if entry.strip()]
    if sum(map(len, kept)) > MAX_LIST_BYTES:
        raise LimitExceeded
    return tuple(map(printable, kept))


def upper(text: str) -> str:
    """Upper case as keywords have it, of ASCII letters alone: to Python, the long s (U+017F) is an S too."""
    return text.encode().upper().decode()


class Conversation(Dialogue[T], ABC, Generic[T]):
    """A dialogue of any protocol of the registry: remembers the last reply, for evidence."""

    protocol: str  # what `hint_of` calls our own protocol

    def __init__(self) -> None:
        super().__init__()
        self.code: str | None = None
        self.text: str | None = None

    def remember(self, code: str, text: bytes) -> None:
        """Keep the server's last reply."""
        self.code, self.text = code, printable(text)

    def say(self, command: bytes) -> Script[None]:
        """Send a command. Raises Violation when its reply is there before it: then nobody has listened to us."""
        if self.replies_unasked(command):
            raise Violation("reply before its command", self.trailing_data)
        yield Send(command)

    def replies_unasked(self, command: bytes) -> bool:
        """Would what is there be taken for the reply to this command, which was not sent yet?"""
        return bool(self._buffer)


class Upgrade(Conversation[StartTls], ABC):
    """A dialogue that asks for TLS and ends before the first TLS byte."""

    advertised: bool | None = None
    required: bool | None = None
    before: Capabilities | None = None
    inquiring = False  # shall it find out, too, whether TLS is required, where that takes a command more?
    injected = b""  # goes in one segment with the upgrade command: for the test of injection.py, and nowhere else
    stage = Stage.GREETING

    def result(self, verdict: Verdict, *, cause: str | None = None, hint: str | None = None) -> StartTls:
        """What is known now, under this verdict."""
        if self.advertised and verdict.startswith("refused_") and self.stage is Stage.REPLY:
            self.flags.add(Flag.ADVERTISED_BUT_REFUSED)
        if verdict is Verdict.OK and not self.advertised:
            self.flags.add(Flag.UNADVERTISED)
        return StartTls(
            verdict=verdict,
            stage=self.stage,
            cause=cause,
            hint=hint,
            code=self.code,
            text=self.text,
            advertised=self.advertised,
            required=self.required,
            before=self.before,
            flags=frozenset(self.flags),
        )

    def stopped(self, stop: Stop) -> StartTls:
        """The wire ended, or the server broke the grammar: was it another protocol all along?"""
        unread = stop.data if isinstance(stop, Violation) else self.trailing_data
        if unread and (isinstance(stop, Violation) or (self.stage is Stage.GREETING and self.text is None)):
            self.text = printable(unread)
            hint = self.guess(unread)
            if self.stage is Stage.GREETING and hint not in (None, self.protocol):
                return self.result(Verdict.PROTOCOL_MISMATCH, hint=hint)
        cause = stop.end.value if isinstance(stop, WireEnded) else str(stop) or None
        return self.result(verdict_of(stop), cause=cause)

    def misheard(self) -> str | None:
        """The protocol that what came with the answer tells of, where the answer was so short as to be anybody's.

        To be asked when the dialogue is over: a server may have gone on, and all of it is in `trailing_data`.
        """
        return None

    def guess(self, data: bytes) -> str | None:
        """Whose first bytes these are. Overridden where a protocol's own look like another's."""
        return hint_of(data)


class Within(Conversation[Inside], ABC):
    """A dialogue inside TLS that asks for the capabilities."""

    stage = Stage.INSIDE

    def turned_away(self, verdict: Verdict, known: Capabilities | None = None) -> Inside:
        """The server's last reply was a refusal of this kind."""
        return Inside(known, verdict, self.code, self.text)

    def stopped(self, stop: Stop) -> Inside:
        """Nothing more was to be had."""
        if isinstance(stop, Violation) and stop.data:
            self.text = printable(stop.data)
        return self.turned_away(verdict_of(stop))
