r"""Telnet (RFC 854, RFC 855) and its option 46, START_TLS (draft-altman-telnet-starttls).

    S: IAC DO START_TLS ──▶ C: IAC WILL START_TLS, IAC SB START_TLS FOLLOWS IAC SE ──▶ S: the same SB ──▶ TLS
    S: IAC DO other     ──▶ C: IAC WONT other, IAC WILL START_TLS ──▶ S: IAC DO START_TLS ──▶ …
                                                                         └ IAC DONT START_TLS: not_offered

A server that has the option begins with DO (TN3270 servers do so before all else). One that begins with other options
is asked for it once, by a WILL, which RFC 855 lets either side say at any time and which has DONT for its answer: that
is quicker than silence, and surer. One that shows text only, or stays silent, is told nothing: it may not be Telnet.
"""

from scanner.dialogue import MAX_DIALOGUE_BYTES, End, LimitExceeded, Script, Send, Stop, Violation, WireEnded
from scanner.hint import hint_of
from scanner.outcome import Stage, Verdict
from scanner.starttls.result import StartTls, Upgrade
from scanner.starttls.words import speaks_of_too_many
from scanner.wire_text import MAX_TEXT_BYTES

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
START_TLS = 46
MAX_SUBNEGOTIATION_BYTES = 1_024
MAX_ANSWERS = 4  # how often we refuse options; a burst of them is refused at once

_PLAIN_COMMANDS = range(236, 250)  # EOF to GA (RFC 854, RFC 1184, RFC 885), but for SE
_REFUSAL = {DO: WONT, WILL: DONT}
_OFFER = bytes([IAC, WILL, START_TLS])
_FOLLOWS = bytes([IAC, SB, START_TLS, 1, IAC, SE])
_LETTERS = frozenset(range(33, 127))
_NO_TEXT = frozenset(range(32)) - {0, *range(7, 14), 27} | {127}  # NVT's own (RFC 854), and the terminals' ESC


class Telnet(Upgrade):
    """From the first option to both sides' FOLLOWS."""

    protocol = "telnet"

    def __init__(self) -> None:
        super().__init__()
        self.said = bytearray()  # text, the beginning of it
        self.options = bytearray()  # others than ours, the first of them
        self.looked = False  # at the first line, for another protocol
        self.offered = False  # have we said WILL?
        self.agreed = False  # have we said FOLLOWS?
        self.answers = 0
        self._refused: dict[bytes, None] = {}  # each once (RFC 1143)
        self._due = b""

    def script(self) -> Script[StartTls]:
        """See the diagram at the head of the module."""
        while True:
            if self._due and not self._buffer:
                due, self._due = self._due, b""
                yield Send(due)
            if text := (yield from self._read_run()):
                self._hear(text)
            elif verdict := (yield from self._command()):
                return self.result(verdict)

    def stopped(self, stop: Stop) -> StartTls:
        """Who has shown options or text, and then waits for us, never mentions START_TLS."""
        said = bytes(self.said)
        if self.agreed or not isinstance(stop, WireEnded):
            return super().stopped(stop)
        if speaks_of_too_many(said):
            self.remember("text", said)
            return self.result(Verdict.RATE_LIMITED)
        first = (said or self.trailing_data) if self.stage is Stage.GREETING else b""
        if hint_of(first) not in (None, self.protocol) or (len(first) > 2 and _NO_TEXT.intersection(first)):
            return super().stopped(Violation("not text", first))
        if said or self.options:
            self.remember("text" if said else "options", said or bytes(self.options))
        text = not _LETTERS.isdisjoint(said) and _NO_TEXT.isdisjoint(said)
        spoke = text or self.stage is Stage.CAPABILITIES
        whole = bool(said) and self.stage is Stage.CAPABILITIES  # options, and a word to the user
        if (spoke and stop.end is End.TIMEOUT) or (whole and stop.end is End.EOF):
            self.advertised = False
            return self.result(Verdict.NOT_OFFERED)
        return super().stopped(stop)

    def _read_run(self, max_bytes: int = MAX_DIALOGUE_BYTES) -> Script[bytes]:
        """What there is up to the next IAC; nothing when that is next."""
        while not self._buffer:
            yield from self.more()
        end = self._buffer.find(b"\xff")
        if not self.looked and (line := self._buffer.find(b"\n", 0, end if end >= 0 else len(self._buffer))) >= 0:
            end = line + 1
        return self._take(min(end if end >= 0 else len(self._buffer), max_bytes))

    def _hear(self, text: bytes) -> None:
        self.said += text[: MAX_TEXT_BYTES - len(self.said)]
        if not self.looked and (b"\n" in self.said or len(self.said) == MAX_TEXT_BYTES):
            self.looked = True
            line = bytes(self.said.partition(b"\n")[0]) + b"\n"
            if self.stage is Stage.GREETING and hint_of(line) not in (None, self.protocol):
                raise Violation("not Telnet", line)

    def _command(self) -> Script[Verdict | None]:
        """A command, and what it decides."""
        sequence = yield from self.read_exactly(2)
        verb = sequence[1]
        if verb == IAC:  # the character 255
            self._hear(b"\xff")
            return None
        if verb in (DO, DONT, WILL, WONT):
            option = yield from self.read_exactly(1)
            self._enter(Stage.CAPABILITIES)
            return (yield from self._negotiate(verb, option[0]))
        if verb == SB:
            self._enter(Stage.CAPABILITIES)
            return self._subnegotiated((yield from self._read_subnegotiation()))
        if verb not in _PLAIN_COMMANDS or verb == SE:
            raise Violation("not a command", bytes(self.said) + sequence)
        return None

    def _enter(self, stage: Stage) -> None:
        if self.stage is Stage.GREETING:
            self.stage = stage

    def _negotiate(self, verb: int, option: int) -> Script[Verdict | None]:
        if option != START_TLS or verb in (WILL, WONT):
            self.options += bytes([IAC, verb, option])[: MAX_TEXT_BYTES - len(self.options)]
            self._refuse(verb, option)
            return None
        self.remember("DO" if verb == DO else "DONT", bytes([IAC, verb, option]))
        self.advertised = verb == DO
        self.stage = Stage.REPLY
        if verb == DONT:
            return Verdict.NOT_OFFERED
        if not self.agreed:
            offer = b"" if self.offered else _OFFER
            yield from self.say(self._due + offer + _FOLLOWS)
            self.offered = self.agreed = True
            self._due = b""
        return None

    def replies_unasked(self, command: bytes) -> bool:
        """Other options and text may come at any time; FOLLOWS may come once WILL was said."""
        return not self.offered and _FOLLOWS in self.trailing_data

    def _refuse(self, verb: int, option: int) -> None:
        if verb not in _REFUSAL:
            return  # DONT and WONT of what is not in use need no answer (RFC 854)
        refusal = bytes([IAC, _REFUSAL[verb], option])
        if refusal in self._refused or self.answers >= MAX_ANSWERS:
            return
        self._refused[refusal] = None
        if not self._due:
            self.answers += 1
        self._due += refusal
        if not self.offered:
            self.offered = True
            self._due += _OFFER

    def _read_subnegotiation(self) -> Script[bytes]:
        body = bytearray()
        while True:
            body += yield from self._read_run(MAX_SUBNEGOTIATION_BYTES + 1 - len(body))
            if len(body) > MAX_SUBNEGOTIATION_BYTES:
                raise LimitExceeded
            if self._buffer[:1] != bytes([IAC]):  # nothing yet, or a byte 10, which ends a run elsewhere
                continue
            sequence = yield from self.read_exactly(2)
            if sequence[1] == SE:
                return bytes(body)
            if sequence[1] != IAC:
                raise Violation("not the end of a subnegotiation", bytes(body) + sequence)
            body.append(IAC)

    def _subnegotiated(self, body: bytes) -> Verdict | None:
        if body[:1] != bytes([START_TLS]):
            return None
        sequence = bytes([IAC, SB]) + body + bytes([IAC, SE])
        self.remember("SB", sequence)
        if sequence != _FOLLOWS or not self.agreed:
            raise Violation("START_TLS is not agreed, or not followed", sequence)
        return Verdict.OK
