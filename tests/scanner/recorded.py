"""Servers that say what a transcript says, for every protocol of the registry, and interviews of them.

What is written with these holds for a protocol of tomorrow, too, once it has a transcript of its go-ahead.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import trio

from scanner.conclusion import conclude
from scanner.connection import Connection, Timeouts
from scanner.interview import Interview
from scanner.outcome import Stage
from scanner.question import Answer, Negotiate, Question, Wanted
from scanner.record import Record, Recorder
from scanner.starttls import SPOKEN
from scanner.tls.names import Version
from targets.services import SERVICES, Mode, Service
from targets.target import Endpoint, Origin
from tests.conftest import as_written
from tests.peers.memory import Network, Peer, Turn, Wire
from tests.peers.tls_server import Closed, TlsServer
from tests.scanner.play import advance
from tests.scanner.transcript import NAMES, Transcript, every_transcript

ADDRESS = "192.0.2.1"
TIMEOUTS = Timeouts(connect_s=3, greeting_s=7, reply_s=5, tls_s=4, deadline_s=60)
VERSIONS = (Version.TLS1_2, Version.TLS1_3)

STARTTLS = {service.protocol.value: service for service in reversed(SERVICES.values()) if service.mode is Mode.STARTTLS}
IMPLICIT = [service for service in SERVICES.values() if service.mode is Mode.IMPLICIT]


@cache
def go_aheads(protocol: str) -> tuple[Transcript, ...]:
    """The transcripts that end with TLS to come."""
    return tuple(
        each
        for each in every_transcript(protocol)
        if each.dialogue == protocol and each.expected["verdict"] == "ok" and each.end is None and not each.behind
    )


@cache
def honest(protocol: str) -> Transcript:
    """The go-ahead with the most turns, and nothing odd about it: the least words then."""
    plain = [each for each in go_aheads(protocol) if not each.expected["flags"]] or list(go_aheads(protocol))
    return min(plain, key=lambda each: (-len(each.turns), len(each.server_bytes)))


def stages_of(transcript: Transcript) -> list[Stage]:
    """At which stage the client is before each of the server's turns."""
    dialogue = SPOKEN[transcript.dialogue].upgrade(NAMES)
    stages = []
    for turn in transcript.turns:
        advance(dialogue, [])
        stages.append(dialogue.stage)
        dialogue.receive_data(turn.server)
    return stages


def said_by(transcript: Transcript, turns: int | None = None) -> list[Turn]:
    """The server's turns, the first of them or all, each at once after what it answers."""
    return [Turn(0, turn.server, heard=turn.client) for turn in transcript.turns[:turns]]


class Upgraded:
    """A TLS server behind a go-ahead: it passes over the client's last words before TLS, and keeps to the framing.

    `injected` stands in front of all that it says, as it is.
    """

    def __init__(self, protocol: str, server: TlsServer, injected: bytes = b"") -> None:
        framing = SPOKEN[protocol].framing
        self._injected = injected
        self._server = server
        self._unsaid = honest(protocol).last_words
        self._framing = framing() if framing else None

    def hear(self, data: bytes) -> bytes:
        """What it answers."""
        if not (data := self._without_last_words(data)):
            return b""
        injected, self._injected = self._injected, b""
        return injected + self._answer(data)

    def _answer(self, data: bytes) -> bytes:
        if self._framing is None or self._server._shaken:
            return self._server.hear(data)
        try:
            return self._framing.wrap(self._server.hear(self._framing.feed(data)))
        except Closed as closed:
            raise Closed(self._framing.wrap(closed.last), reset=closed.reset) from closed

    def _without_last_words(self, data: bytes) -> bytes:
        rest, self._unsaid = data.removeprefix(self._unsaid), b""
        return rest


def tls_behind(protocol: str, data: bytes) -> bytes:
    """What a server says in TLS behind its go-ahead, as it stands on the wire: bare, or in packets."""
    framing = SPOKEN[protocol].framing
    return framing().wrap(data) if framing else data


def endpoint_of(service: Service) -> Endpoint:
    """An endpoint of this service at the one address, under the name that is in the transcripts."""
    return Endpoint(Origin("x"), NAMES.theirs, ADDRESS, service.port or 1, service)


async def ask(service: Service, question: Question, turns: Iterable[Turn]) -> tuple[Answer, Wire]:
    """Put one question to a server that does this."""
    network, answer = Network({ADDRESS: [Peer(turns)]}), Answer(question, 0.0)
    await Connection(endpoint_of(service), answer, TIMEOUTS, NAMES.ours).ask(network.dial)
    return answer, network.wires[ADDRESS][0]


@dataclass(frozen=True)
class Behaviour:
    """A server that does the same on every connection; iterating begins one."""

    begin: Callable[[], Iterable[Turn]]

    def __iter__(self) -> Iterator[Turn]:
        return iter(self.begin())


async def interviewed(
    service: Service,
    peer: Peer,
    versions: Sequence[Version] = VERSIONS,
    timeouts: Timeouts = TIMEOUTS,
    *,
    handshake: bool = True,
) -> Record:
    """The record of an endpoint behind which there is this peer: one question after the other, each of one look."""
    network = Network({ADDRESS: [peer]})
    interview = Interview(endpoint_of(service), Wanted(tuple(versions), handshake=handshake))
    questions = interview.begin()
    while questions:
        question = questions.pop(0)
        if isinstance(question, Negotiate):
            question = Negotiate(inquiring=False)  # what more is asked on that connection stands in no transcript here
        answer = Answer(question, trio.current_time())
        interview.connections += 1
        await Connection(interview.endpoint, answer, timeouts, NAMES.ours).ask(network.dial)
        questions += interview.take(answer)
    return as_written(Recorder("0" * 26).endpoint(interview, conclude(interview), trio.current_time()))
