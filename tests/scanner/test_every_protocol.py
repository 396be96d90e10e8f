"""What becomes of a connection at every stage, for each protocol of the registry: whole interviews, in memory.

The servers say what the plainest go-ahead in the transcripts says (tests/scanner/recorded.py), up to a point.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import inf

import pytest

from scanner.dialogue import End
from scanner.outcome import Outcome, Stage, Verdict
from scanner.question import Negotiate, OfferVersion
from scanner.starttls import SPOKEN
from scanner.starttls.result import StartTls
from scanner.tls.names import Version
from targets.services import Service
from tests.peers.memory import FIN, RST, Act, Peer, Turn
from tests.peers.tls_server import Closed, TlsServer
from tests.scanner.recorded import (
    IMPLICIT,
    STARTTLS,
    TIMEOUTS,
    Upgraded,
    ask,
    go_aheads,
    honest,
    interviewed,
    said_by,
    stages_of,
    tls_behind,
)
from tests.scanner.starttls.test_matrix import ANSWERED_BY_END, STAGES
from tests.scanner.tls.wire import HANDSHAKE, HELLO_12, message, record
from tests.scanner.transcript import every_transcript

OFFER = OfferVersion(Version.TLS1_2)
PATIENT = replace(TIMEOUTS, greeting_s=99, reply_s=99, tls_s=99)  # the deadline comes first
ENDS: dict[End, tuple[Verdict, Sequence[Act]]] = {
    End.EOF: (Verdict.CLOSED, (FIN,)),
    End.RESET: (Verdict.RESET, (RST,)),
    End.TIMEOUT: (Verdict.TIMEOUT, ()),
}
ends = pytest.mark.parametrize(("verdict", "acts"), ENDS.values(), ids=ENDS)

each = pytest.mark.parametrize("protocol", SPOKEN)


def drip(data: bytes, heard: bytes = b"") -> list[Turn]:
    """All of it but the last byte, in as long as a connection lasts."""
    gap_s = PATIENT.deadline_s / max(1, len(data) - 1) * 0.9
    return [Turn(gap_s, data[at : at + 1], heard if at == 0 else b"") for at in range(len(data) - 1)]


# --- no connection ----------------------------------------------------------------------------------------------------

NO_CONNECTION = {
    "refused": (Peer(failure=Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "refused")), "unreachable", "unreachable"),
    "timeout": (Peer(connect_s=inf), "unreachable", "unreachable"),
    "no_descriptors": (
        Peer(failure=Outcome(Verdict.LOCAL_LIMITATION, Stage.CONNECT, "no_descriptors")),
        "local_limitation",
        "error",
    ),
}


@pytest.mark.parametrize("service", [*STARTTLS.values(), *IMPLICIT], ids=lambda service: service.name)
async def test_no_connection(autojump_clock: object, service: Service) -> None:
    """Nobody listens, nobody answers, and we have no descriptor: told apart, and said at the stage `connect`."""
    for cause, (peer, verdict, status) in NO_CONNECTION.items():
        made = await interviewed(service, peer)
        said = made["starttls"] or made["tls"]["error"]
        assert (said["verdict"], said["stage"], said["cause"]) == (verdict, "connect", cause)
        assert (made["status"], made["connections"], made["versions"]) == (status, 1, None)


# --- the dialogue -----------------------------------------------------------------------------------------------------


@each
async def test_fin_rst_and_silence(autojump_clock: object, protocol: str) -> None:
    """In place of each reply of a server's: each is itself, at its stage, but where silence is an answer."""
    seen = set()
    for transcript in go_aheads(protocol):
        for number, stage in enumerate(stages_of(transcript)):
            if stage in seen:
                continue
            seen.add(stage)
            for end, (verdict, acts) in ENDS.items():
                heard = transcript.turns[number].client
                turns = [*said_by(transcript, number), *(Turn(1, act, heard) for act in acts)]
                made = await interviewed(STARTTLS[protocol], Peer(turns))
                answer, always = ANSWERED_BY_END.get((protocol, stage, end), (verdict, True))
                expected = answer if always else verdict
                assert (made["starttls"]["verdict"], made["starttls"]["stage"]) == (expected, stage)
                assert made["status"] == ("no_tls" if expected is Verdict.NOT_OFFERED else "inconclusive")
    assert seen == STAGES[protocol] - WITHIN_A_TURN.get(protocol, set())


# XMPP's server says its header and its features at once; the cuts of test_matrix.py fall between them.
WITHIN_A_TURN = {"xmpp-client": {Stage.CAPABILITIES}, "xmpp-server": {Stage.CAPABILITIES}}
TOO_SHORT = {"postgresql"}  # a reply of one byte cannot come a byte at a time


@each
async def test_a_tarpit(autojump_clock: object, protocol: str) -> None:
    """In place of each reply, its bytes one by one, and the last of them never comes."""
    transcript = honest(protocol)
    for number, turn in enumerate(transcript.turns):
        turns = [*said_by(transcript, number), *drip(turn.server, turn.client)]
        made = await interviewed(STARTTLS[protocol], Peer(turns), timeouts=PATIENT)
        before = sum(len(turn.server) for turn in transcript.turns[: number + 1]) - 1
        expected, _ = transcript.stop_after(before, End.TIMEOUT if protocol in TOO_SHORT else End.DEADLINE)
        assert isinstance(expected, StartTls)
        assert (made["starttls"]["verdict"], made["starttls"]["stage"]) == (expected.verdict, expected.stage)
        answer, _ = ANSWERED_BY_END.get((protocol, expected.stage, End.DEADLINE), (Verdict.TARPIT, True))
        assert expected.verdict in ((Verdict.TIMEOUT,) if protocol in TOO_SHORT else (Verdict.TARPIT, answer))


@each
async def test_more_than_our_caps(autojump_clock: object, protocol: str) -> None:
    """What a server says without end has an end, at every stage, before the deadline."""
    transcript = honest(protocol)
    for number, stage in enumerate(stages_of(transcript)):
        flood = [Turn(0, b"x" * 16_384, transcript.turns[number].client if not at else b"") for at in range(20)]
        made = await interviewed(STARTTLS[protocol], Peer([*said_by(transcript, number), *flood]))
        assert made["starttls"]["verdict"] in ("limit_exceeded", "violation")
        assert (made["starttls"]["stage"], made["status"]) == (stage, "mismatch")


# --- behind the go-ahead ----------------------------------------------------------------------------------------------

IN_PLACE_OF_TLS: dict[str, tuple[str, Sequence[bytes | Act]]] = {
    "plaintext": ("plaintext", (b"500 what?\r\n",)),
    "half a line": ("plaintext", (b"500 wh",)),
    "garbage": ("garbage", (b"\x01\x02\xfe\xff" * 9,)),
    "closed": ("closed", (FIN,)),
    "reset": ("reset", (RST,)),
    "silence": ("timeout", ()),
    "plaintext, then FIN": ("plaintext", (b"500 what?\r\n", FIN)),
    "garbage, then RST": ("garbage", (b"\x01\x02\xfe\xff" * 9, RST)),
}


@each
@pytest.mark.parametrize(("cause", "does"), IN_PLACE_OF_TLS.values(), ids=IN_PLACE_OF_TLS)
async def test_accepted_no_tls(autojump_clock: object, protocol: str, cause: str, does: Sequence[bytes | Act]) -> None:
    """A go-ahead, and then something else than TLS in answer to our ClientHello: `cause` tells what."""
    turns = [*said_by(honest(protocol)), *(Turn(0.5, act, b"\x16\x03" * (at == 0)) for at, act in enumerate(does))]
    made = await interviewed(STARTTLS[protocol], Peer(turns))
    assert (made["starttls"]["verdict"], made["starttls"]["stage"]) == ("accepted_no_tls", "tls")
    assert made["starttls"]["cause"] == cause
    assert made["starttls"]["early_bytes"] is None
    assert "response-injection" not in {finding["id"] for finding in made["findings"]}
    assert {entry["verdict"] for entry in made["versions"].values()} == {"unknown"}


HALF_A_RECORD = record(HANDSHAKE, HELLO_12)[:30]


@each
@ends
async def test_the_end_within_tls(autojump_clock: object, protocol: str, verdict: Verdict, acts: Sequence[Act]) -> None:
    """Where TLS had begun, FIN, RST and silence are themselves too, and nobody broke a promise."""
    turns = [
        *said_by(honest(protocol)),
        Turn(0.5, tls_behind(protocol, HALF_A_RECORD), b"\x16\x03"),
        *(Turn(0, act) for act in acts),
    ]
    made = await interviewed(STARTTLS[protocol], Peer(turns))
    assert (made["starttls"]["verdict"], made["starttls"]["stage"]) == (verdict, "tls")
    assert made["status"] == "inconclusive"


@each
async def test_a_tarpit_within_tls(autojump_clock: object, protocol: str) -> None:
    """A ServerHello a byte at a time."""
    hello = tls_behind(protocol, record(HANDSHAKE, HELLO_12))
    turns = [*said_by(honest(protocol)), *drip(hello, b"\x16\x03")]
    made = await interviewed(STARTTLS[protocol], Peer(turns), timeouts=PATIENT, handshake=False)
    assert (made["starttls"]["verdict"], made["starttls"]["stage"]) == ("tarpit", "tls")


MALFORMED = {
    "a ServerHello that breaks off": record(HANDSHAKE, message(2, b"nonsense")),
    "one with a version that is none": record(HANDSHAKE, message(2, b"\x07\x07" + bytes(70))),
    "another message": record(HANDSHAKE, message(11, b"certificate")),
    "a record too long": b"\x16\x03\x03\xff\xff\x02" + bytes(99),
    "application data": b"\x17\x03\x03\x00\x05hello",
}


@each
@pytest.mark.parametrize("hello", MALFORMED.values(), ids=MALFORMED)
async def test_tls_that_breaks_its_grammar(autojump_clock: object, protocol: str, hello: bytes) -> None:
    """A record in answer to our ClientHello, and neither a ServerHello nor an alert: a violation, no broken promise."""
    turns = [*said_by(honest(protocol)), Turn(0.5, tls_behind(protocol, hello), b"\x16\x03")]
    made = await interviewed(STARTTLS[protocol], Peer(turns))
    assert (made["starttls"]["verdict"], made["starttls"]["stage"]) == ("violation", "tls")
    assert made["status"] == "mismatch"


# --- inside -----------------------------------------------------------------------------------------------------------


class EndsInside(TlsServer):
    """Completes the handshake, and does this when it is spoken to inside; or at once."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__()
        self._verdict = verdict

    def hear(self, data: bytes) -> bytes:
        """TLS, up to the first words."""
        answer = super().hear(data)
        if self._shaken and self._verdict is not Verdict.TIMEOUT:
            raise Closed(answer, reset=self._verdict is Verdict.RESET)
        return answer


@pytest.mark.parametrize("protocol", [name for name, spoken in SPOKEN.items() if spoken.within])
@pytest.mark.parametrize("verdict", [verdict for verdict, _ in ENDS.values()])
async def test_the_end_inside(autojump_clock: object, protocol: str, verdict: Verdict) -> None:
    """FIN, RST and silence inside TLS are told apart, and the handshake stands."""
    turns = [*said_by(honest(protocol)), Turn(0, Upgraded(protocol, EndsInside(verdict)))]
    answer, _ = await ask(STARTTLS[protocol], Negotiate(inquiring=False), turns)
    assert answer.handshake
    assert answer.handshake.failure is None
    assert answer.inside
    assert (answer.inside.capabilities, answer.inside.stopped) == (None, verdict)


# --- the goodbye ------------------------------------------------------------------------------------------------------

ANSWERS = [
    verdict
    for verdict in Verdict
    if verdict.startswith("refused_") or verdict in (Verdict.NOT_OFFERED, Verdict.UNAVAILABLE, Verdict.RATE_LIMITED)
]


@each
async def test_a_goodbye_behind_a_refusal(autojump_clock: object, protocol: str) -> None:
    """Who has answered, and whose words we know, is left politely; who spoke another language is just left."""
    for transcript in every_transcript(protocol):
        if transcript.dialogue != protocol or transcript.end is not None:
            continue
        verdict = transcript.expected["verdict"]
        if verdict in ANSWERS or verdict == Verdict.PROTOCOL_MISMATCH:
            answer, wire = await ask(STARTTLS[protocol], OFFER, said_by(transcript))
            assert answer.starttls
            assert answer.starttls.verdict == verdict
            said = b"".join(turn.client for turn in transcript.turns) + transcript.last_words
            assert wire.said == said + SPOKEN[protocol].farewell * (verdict in ANSWERS), transcript.name
