"""Dialogues: whatever a server says, and however it comes, there is one result, and little that we say to it.

A server's words are tried byte by byte, turn by turn (cut where the client speaks), in a few random ways, and whole.
Where a piece holds more than a turn, a reply was there before its command, and the result may say so; all other ways
come to the same.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from scanner.dialogue import MAX_DIALOGUE_BYTES, Dialogue, Done, End, NeedData, Send
from scanner.outcome import Verdict
from scanner.starttls import Spoken
from scanner.starttls.injection import Injection
from scanner.starttls.result import Inside, StartTls, Upgrade
from scanner.tls.wire import is_text
from tests.fuzz import grammar
from tests.fuzz.inputs import Input, cut, flood_of, some_places, written
from tests.fuzz.oracles import MAX_KEPT_BYTES, kept_bytes, require, require_safe_text
from tests.scanner.play import byte_by_byte
from tests.scanner.transcript import NAMES, Transcript, every_transcript

MOST_SENDS = 8  # of any dialogue
MOST_SENT_BYTES = 16_384
MOST_IN_A_ROW = 16  # actions without a byte heard

Begin = Callable[[], Dialogue[Any]]
Comparable = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class Subject:
    """A dialogue to be tried."""

    name: str
    begin: Begin
    result: type
    max_bytes: int = MAX_DIALOGUE_BYTES
    comparable: Comparable = lambda value: value  # the part of a result that is the same for every chunking
    is_chance: bool = False  # does it never say the same twice?


@dataclass(slots=True)
class Played:
    """What became of a dialogue."""

    value: Any
    sent: list[bytes]
    places: list[int]  # behind how many bytes each was sent
    heard: int  # bytes that were handed in
    left: bytes
    is_over: bool  # by itself, not because the wire ended
    dialogue: Dialogue[Any]

    @property
    def said(self) -> bytes:
        """All that was sent."""
        return b"".join(self.sent)


def play(subject: Subject, pieces: Iterable[bytes], given: Input) -> Played:
    """Feed the pieces until the dialogue is over, or they are; then the wire ends. What always holds is looked at."""
    dialogue = subject.begin()
    sent: list[bytes] = []
    places: list[int] = []
    heard = 0
    done = _advance(dialogue, sent)
    for piece in pieces:
        places += [heard] * (len(sent) - len(places))
        if done:
            break
        dialogue.receive_data(piece)
        heard += len(piece)
        done = _advance(dialogue, sent)
    places += [heard] * (len(sent) - len(places))
    value = done.value if done else dialogue.break_off(given.stop)
    require(isinstance(value, subject.result), "a result of another kind", value)
    require(len(sent) <= MOST_SENDS, "too many sends", sent)
    require(len(b"".join(sent)) <= MOST_SENT_BYTES, "too much is sent", sent)
    left = dialogue.trailing_data
    require(len(left) <= subject.max_bytes, "more is held than may be", len(left))
    _require_stays(dialogue, value)
    return Played(value, sent, places, heard, left, done is not None, dialogue)


def _advance(dialogue: Dialogue[Any], sent: list[bytes]) -> Done[Any] | None:
    """Do what a dialogue says until it wants bytes (None), or is over."""
    for _ in range(MOST_IN_A_ROW):
        match dialogue.next_action():
            case Send(data):
                require(data, "nothing is sent")
                sent.append(data)
            case NeedData():
                return None
            case Done() as done:
                return done
    require(False, "it does not stop to speak", sent[-3:])
    return None


def _require_stays(dialogue: Dialogue[Any], value: object) -> None:
    """Once there is a result, nothing changes it any more."""
    dialogue.receive_data(b"220 late\r\n")
    for end in End:
        require(dialogue.end(end) is value, "another result after the end")
    done = dialogue.next_action()
    require(isinstance(done, Done) and done.value is value, "it goes on after its end", done)


def check_flood(subject: Subject, given: Input) -> Played:
    """As much as a connection ever takes: bounded time (whoever calls takes it) and bounded memory."""
    played = play(subject, given.flood(), given)
    require_safe_text(played.value)
    kept = kept_bytes(played.dialogue.__dict__)
    require(kept <= MAX_KEPT_BYTES, f"it holds {kept} bytes")
    return played


def check_chunking(subject: Subject, given: Input) -> Played:
    """The result is the same in every way that the bytes can come; returned is what came of them byte by byte."""
    slowly = play(subject, byte_by_byte(given.said), given)
    require_safe_text(slowly.value)
    turns, cuts = set(slowly.places), some_places(given.said)
    result = subject.comparable(slowly.value)
    for places in (turns, turns | cuts):
        played = play(subject, cut(given.said, places), given)
        _require_same(subject, slowly, played, given)
        require(subject.is_chance or played.sent == slowly.sent, "something else is said", played.sent, slowly.sent)
    for places in (set[int](), cuts):
        played = play(subject, cut(given.said, places), given)
        if not (_breaks_the_rules(played.value) and subject.comparable(played.value) != result):
            _require_same(subject, slowly, played, given)
        require_safe_text(played.value)
    return slowly


def _require_same(subject: Subject, slowly: Played, played: Played, given: Input) -> None:
    ours, theirs = subject.comparable(slowly.value), subject.comparable(played.value)
    require(ours == theirs, f"the result of {subject.name} depends on how the bytes come", ours, theirs)
    if _is_go_ahead(slowly.value):
        used = slowly.heard - len(slowly.left)
        require(played.left == given.said[used : played.heard], "bytes behind the go-ahead are lost", played.left)


def _is_go_ahead(value: object) -> bool:
    return isinstance(value, StartTls) and value.go_ahead


def _breaks_the_rules(value: object) -> bool:
    """Was something there before it was asked for? A dialogue may, and need not, take notice."""
    match value:
        case StartTls(cause=cause):
            return cause == "reply before its command"
        case Inside(stopped=stopped):
            return stopped is Verdict.VIOLATION
        case Injection(verdict=verdict):
            return verdict is Verdict.VIOLATION
        case _:
            return False


# --- the protocols ----------------------------------------------------------------------------------------------------


class ProtocolTarget:
    """All dialogues of one protocol: up to the go-ahead, inside TLS, and the test for command injection."""

    def __init__(self, protocol: str, spoken: Spoken) -> None:
        self.protocol = protocol
        self.subjects = list(_subjects(protocol, spoken))

    def check(self, given: Input) -> None:
        """See the head of the module; and a go-ahead is one, and nothing of the server's is echoed."""
        subject = given.of(self.subjects)
        if given.is_flood:
            played = check_flood(subject, given)
        else:
            played = check_chunking(subject, given)
            self._require_go_ahead(played, given)
        for said in played.sent:
            require(grammar.may_be_said(self.protocol, said), "it says what no transcript shows", said)

    def _require_go_ahead(self, played: Played, given: Input) -> None:
        if not _is_go_ahead(played.value):
            return
        used = played.heard - len(played.left)
        asked = played.places[-1] if played.places else 0
        heard = given.said[:used]
        speaks_last = self.protocol in grammar.SPEAKS_LAST
        require(asked < used or speaks_last, "it speaks behind the go-ahead", played.sent[-1:])
        require(grammar.is_go_ahead(self.protocol, heard[asked:], heard), "not a go-ahead", heard[asked:])

    def seeds(self) -> Iterator[bytes]:
        """Every transcript; and of each line that a server says, floods."""
        names = [subject.name for subject in self.subjects]
        lines: dict[bytes, None] = {}
        for transcript in every_transcript(self.protocol):
            if transcript.dialogue in names:
                choice = names.index(transcript.dialogue)
                yield written(transcript.server_bytes + transcript.behind, choice, _stop_of(transcript))
                lines |= dict.fromkeys(_first_and_others(transcript.server_bytes))
        for number, line in enumerate(lines):
            yield written(flood_of(b"", line[:255]), 0, 0xF0 + number % 16)

    def words(self) -> list[bytes]:
        """Lines that servers say."""
        said = (each.server_bytes for each in every_transcript(self.protocol))
        return list(dict.fromkeys(line for each in said for line in _first_and_others(each) if len(line) <= 64))


def _subjects(protocol: str, spoken: Spoken) -> Iterator[Subject]:
    """Those that transcripts are about, by the same names."""
    yield Subject(protocol, lambda: spoken.upgrade(NAMES), StartTls)
    yield Subject(f"{protocol} inquiring", partial(_inquiring, spoken), StartTls)
    if within := spoken.within:
        yield Subject(f"{protocol} inside", lambda: within(NAMES, False), Inside)
        yield Subject(f"{protocol} implicit", lambda: within(NAMES, True), Inside)
    if test := spoken.injection:
        yield Subject(f"{protocol} injecting", partial(_injecting, spoken, test.injected), StartTls)
        yield Subject(f"{protocol} proof", lambda: test.proof(NAMES), Injection)


def _inquiring(spoken: Spoken) -> Upgrade:
    upgrade = spoken.upgrade(NAMES)
    upgrade.inquiring = True
    return upgrade


def _injecting(spoken: Spoken, injected: bytes) -> Upgrade:
    upgrade = spoken.upgrade(NAMES)
    upgrade.injected = injected
    return upgrade


def _stop_of(transcript: Transcript) -> int:
    return list(End).index(transcript.end) if transcript.end else 0


def _first_and_others(said: bytes) -> list[bytes]:
    """Lines with their ends, each once; what is not lines is one."""
    return list(dict.fromkeys(said.splitlines(keepends=True))) if is_text(said[:64] or b"x") else [said[:255]]
