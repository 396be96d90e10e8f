r"""Whole scans of one endpoint: engine, interview, connections, dialogues, conclusion, findings, record, schema.

    byte 0   which service
    byte 1   bits: 1 and 2 how often it is looked at again, 4 whether certificates are kept, 8 whether the newest two
             versions are all that is asked, 16 whether it is tested for command injection, 32 whether connections are
             saved, 64 whether an endpoint of implicit TLS has no name
    rest     what is said on the first connection, on the second, and so on; the last stands for all that come after

Within it, a NUL and a letter mean: `C` the next connection, `N` the next turn, `W` the same after fifteen seconds, `F`
FIN, `R` RST, `D` it hears us no more, `X` there is no connection; `T`, `U`, `V` and `S` a server of TLS 1.3, of TLS
1.2, one that wants a certificate, and one of SSLv2 take over, and what follows is said inside. At its end it is silent.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from scanner.connection import Connection, Timeouts
from scanner.engine import Engine
from scanner.limits import Limits
from scanner.outcome import Flag, Outcome, Stage, Verdict
from scanner.question import Answer, Wanted
from scanner.record import Recorder
from scanner.starttls import SPOKEN
from scanner.tls.names import Version
from targets.services import SERVICES, Mode, Protocol, Service
from targets.target import Endpoint, Origin
from tests.conftest import as_written, validate
from tests.fuzz import grammar
from tests.fuzz.hellos import ANSWERS, SERVERS
from tests.fuzz.inputs import Input, flood_of, written
from tests.fuzz.oracles import require, require_safe_text
from tests.fuzz.readers import trust_store
from tests.peers.memory import DEAF, FIN, RST, Network, Peer, Turn, Wire
from tests.peers.tls_server import Speaker, Sslv2Server, TlsServer
from tests.scanner.transcript import NAMES, Transcript, every_transcript

MOST_RECORD_BYTES = 1_048_576
MOST_TURNS = 1_024  # on a connection; each takes as long to play as to hear
STARTED = 1_795_464_000.0  # seconds since 1970
ADDRESS = "192.0.2.1"

ENCRYPTED = (b"\0T", b"\0U\0N", b"\0V", b"\0S", b"\0X\1", b"\0X\2", b"")
_GO_AHEADS = {
    protocol: b"\0N".join(turn.server for turn in transcript.turns)
    for transcript in every_transcript()
    if (protocol := transcript.dialogue) in SPOKEN and transcript.expected["verdict"] == Verdict.OK
}
_MARK = re.compile(rb"\x00([NWFRDXTUVS])")
_ACTS = {b"F": FIN, b"R": RST, b"D": DEAF}
_SERVERS = {b"T": SERVERS[0], b"U": SERVERS[3], b"V": SERVERS[2]}
_FAILURES = (
    Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "refused"),
    Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "timeout"),
    Outcome(Verdict.LOCAL_LIMITATION, Stage.CONNECT, "no_descriptors"),
)
_LIMITS = Limits(endpoints=1, connections=1, rate=0, per_address=1, per_address_rate=0, per_network_rate=0)
_FREE = {
    *("id", "text", "detail", "code", "early_bytes", "capabilities", "auth", "cipher", "cipher_id", "alert", "error"),
    *("sha256", "spki_sha256", "serial", "chain", "chain_der", "der", "not_before", "not_after"),
    *("started", "connections", "duration_ms", "connect", "greeting", "upgrade", "hello", "handshake"),
}
_TLS_RECORD = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]|\x80.\x01\x00\x02", re.DOTALL)


class InterviewTarget:
    """One endpoint and all its connections."""

    def __init__(self) -> None:
        self._shapes: set[str] = set()  # of records that keep to the schema

    def check(self, given: Input) -> None:
        """One record that keeps to the schema and can be shown; and we said nothing but what we always say."""
        service = given.of(tuple(SERVICES.values()))
        scan = _Scan(service, given)
        records = scan.run()
        require(len(records) == 1, "not one record", len(records))
        record = as_written(records[0])
        if (shape := repr(_shape_of(record))) not in self._shapes:  # to validate one takes longer than all the rest
            validate(record)
            self._shapes.add(shape)
        require_safe_text(record)
        require(len(orjson.dumps(record)) <= MOST_RECORD_BYTES, "a record that is too long")
        for wire in scan.wires:
            self._require_words(service, [said for _, said in wire.sent])
        starttls, flags = record["starttls"] or {}, record["flags"]
        findings = {each["id"] for each in record["findings"]}
        told = "response-injection" in findings or Flag.WHITESPACE_AFTER_PROCEED in flags
        require(told or not starttls.get("early_bytes"), "early bytes, and no finding", starttls)

    def _require_words(self, service: Service, sent: list[bytes]) -> None:
        """On a connection, nothing is said but what always is, and behind a hello nothing but TLS."""
        in_tls = False
        for said in filter(None, sent):
            is_tls = _is_tls(service, said)
            require(is_tls or (not in_tls and _may_be_said(service, said)), "it says what it never says", said)
            in_tls = is_tls

    def seeds(self) -> Iterator[bytes]:
        """Every transcript, on a service that speaks its protocol; those that get there go on in TLS."""
        seen = set[tuple[Protocol, Mode]]()
        for choice, service in enumerate(SERVICES.values()):
            yield written(b"\0T", choice)
            yield written(flood_of(b"", b"\0N250-x\r\n"), choice, 0xF0)
            if (service.protocol, service.mode) in seen:
                continue
            seen.add((service.protocol, service.mode))
            for way, transcript in enumerate(every_transcript(service.protocol)):
                if len(transcript.server_bytes) < 2_048 and _belongs(transcript, service):
                    injects = transcript.dialogue.endswith(("injecting", "proof"))
                    yield written(_script_of(transcript, service), choice, 16 if injects else way % 4)
        for name in ("smtp", "mssql", "https"):
            for way, answer in enumerate((*ENCRYPTED, *ANSWERS)):
                go_ahead = _GO_AHEADS.get(name, b"")
                yield written(go_ahead + answer, list(SERVICES).index(name), way % 32)
                yield written(go_ahead + answer, list(SERVICES).index(name), 32 + way % 96)

    def words(self) -> list[bytes]:
        """What happens."""
        return [b"\0" + bytes([letter]) for letter in b"CNWFRDXTUVS"]


def _belongs(transcript: Transcript, service: Service) -> bool:
    """Is a transcript's dialogue one that this service has?"""
    is_implicit = transcript.dialogue.endswith("implicit")
    return is_implicit == (service.mode is Mode.IMPLICIT) and transcript.dialogue.split()[0] == service.protocol


def _script_of(transcript: Transcript, service: Service) -> bytes:
    """What the server says in it. What comes inside TLS needs a go-ahead first, and what comes before it goes on."""
    turns = b"\0N".join(turn.server for turn in transcript.turns)
    if transcript.dialogue.endswith(("inside", "implicit", "proof")):
        return _GO_AHEADS.get(service.name, b"") + b"\0T" + turns
    return turns + (b"\0T" if transcript.expected["verdict"] == Verdict.OK else b"\0F" if transcript.end else b"")


@dataclass(frozen=True, slots=True)
class _Script:
    """What is said on a connection: bytes, and what happens behind each. It can be played again and again."""

    first: bytes
    rest: tuple[tuple[bytes, bytes], ...]  # (letter, what follows it)
    greets: bool  # is the first that is said inside TLS said unasked?

    @property
    def failure(self) -> Outcome | None:
        """Why there is no connection."""
        if self.first or not self.rest or self.rest[0][0] != b"X":
            return None
        return _FAILURES[sum(self.rest[0][1][:1]) % len(_FAILURES)]

    def __iter__(self) -> Iterator[Turn]:
        if self.first:
            yield Turn(0, self.first)
        for number, (letter, behind) in enumerate(self.rest):
            if letter in b"TUVS":
                inside = [behind, *(piece for _, piece in self.rest[number + 1 :])]
                yield Turn(0, _speaker(letter, inside, self.greets))
                return
            if act := _ACTS.get(letter):
                yield Turn(0, act)
                if act in (FIN, RST):
                    return
            if behind:
                yield Turn(15 if letter == b"W" else 0, behind)


def _speaker(letter: bytes, inside: list[bytes], greets: bool) -> Speaker:
    if letter == b"S":
        return Sslv2Server()
    greeting = inside.pop(0) if greets else b""
    says = iter(inside)
    return TlsServer(lambda _: next(says, b""), greeting=greeting, context=_SERVERS[letter]())


def _peers(said: bytes, service: Service) -> Iterator[Peer]:
    """One for each connection; the last stands for all that come after."""
    greets = service.mode is Mode.IMPLICIT
    for connection in said.split(b"\0C"):
        first, *marked = _MARK.split(connection, MOST_TURNS)
        script = _Script(first, tuple(zip(marked[::2], marked[1::2], strict=True)), greets)
        yield Peer(script, failure=script.failure)


class _Scan:
    """The scan of one endpoint by an engine of its own, under a clock that jumps."""

    def __init__(self, service: Service, given: Input) -> None:
        self.service = service
        self._network = Network({ADDRESS: list(_peers(given.said, service))})
        self.retries = min(given.way & 3, 2)
        versions = (Version.TLS1_2, Version.TLS1_3) if given.way & 8 else tuple(Version)
        self.wanted = Wanted(versions, test_injection=bool(given.way & 16), economical=bool(given.way & 32))
        self.host = None if given.way & 64 and service.mode is Mode.IMPLICIT else NAMES.theirs
        self.recorder = Recorder("0" * 26, der=bool(given.way & 4), trust=trust_store())
        self.records: list[dict[str, Any]] = []

    def run(self) -> list[dict[str, Any]]:
        """The records. Raises what the engine would have caught: a bug is what is looked for."""
        with capture_logs() as logs:
            trio.run(self._main, clock=MockClock(autojump_threshold=0))
        for entry in logs:
            if isinstance(bug := entry.get("exc_info"), BaseException):
                raise bug
        return self.records

    @property
    def wires(self) -> list[Wire]:
        """All connections."""
        return self._network.wires.get(ADDRESS, [])

    async def _main(self) -> None:
        engine = Engine(
            self._ask,
            self._on_over,
            self.wanted,
            _LIMITS,
            clock=_now,
            retries=self.retries,
        )
        await engine.run(self._take_in)

    async def _take_in(self, engine: Engine) -> None:
        port = self.service.port or 4433
        await engine.submit(Endpoint(Origin("x"), self.host, ADDRESS, port, self.service))

    async def _ask(self, endpoint: Endpoint, answer: Answer) -> None:
        await Connection(endpoint, answer, Timeouts(), NAMES.ours).ask(self._network.dial)

    def _on_over(self, *facts: Any) -> None:
        self.records.append(self.recorder.endpoint(*facts))


def _now() -> float:
    return STARTED + trio.current_time()


def _shape_of(value: Any, name: str = "") -> Any:
    """A record without what is free in it: texts, numbers and times; they have rules of their own."""
    match value:
        case dict():
            return {key: _shape_of(each, key) for key, each in value.items()}
        case list() if name in _FREE:
            return ["…"] * bool(value)
        case list():
            return [_shape_of(each, name) for each in value]
        case str() | int() | float() if name in _FREE and not isinstance(value, bool):
            return (type(value).__name__, bool(value))
        case _:
            return value


def _is_tls(service: Service, said: bytes) -> bool:
    """Is it a record of TLS or a hello of SSLv2, bare or in the protocol's own packets?"""
    spoken = SPOKEN.get(service.protocol)
    unwrapped = spoken.framing().feed(said) if spoken and spoken.framing else b""
    return bool(_TLS_RECORD.match(said) or _TLS_RECORD.match(unwrapped))


def _may_be_said(service: Service, said: bytes) -> bool:
    """Is it a word of a transcript, or a goodbye? Where TLS comes first, there is no such word."""
    spoken = SPOKEN.get(service.protocol)
    if spoken is None or service.mode is Mode.IMPLICIT:
        return False
    return said == spoken.farewell or grammar.may_be_said(service.protocol, said)
