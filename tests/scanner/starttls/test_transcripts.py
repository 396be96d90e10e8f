"""Every transcript of tests/transcripts/ in every way that its bytes can come."""

from itertools import cycle, product
from random import Random

import pytest

from scanner.dialogue import MAX_LINE_BYTES, End
from scanner.outcome import Verdict
from scanner.starttls import SPOKEN
from scanner.starttls.injection import Injection
from scanner.starttls.result import StartTls
from tests.scanner.play import byte_by_byte
from tests.scanner.transcript import Transcript, every_transcript

TRANSCRIPTS = every_transcript()
MOST_BYTES = 450  # of a transcript that is cut everywhere; what is longer says the same again, up to a cap
EDGE, BETWEEN = 60, 80  # how many points of such a one are tried on either side, and how many in between
FEW_BYTES = 120  # what is longer is not cut at every point with every end, but with one after the other
GARBAGE = 15  # pieces
END_VERDICTS = {
    End.EOF: Verdict.CLOSED,
    End.RESET: Verdict.RESET,
    End.TIMEOUT: Verdict.TIMEOUT,
    End.DEADLINE: Verdict.TARPIT,
    End.CAP: Verdict.LIMIT_EXCEEDED,
}

each = pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda transcript: transcript.name)
_TO_THE_END = [transcript for transcript in TRANSCRIPTS if transcript.end is None]
to_the_end = pytest.mark.parametrize("transcript", _TO_THE_END, ids=lambda transcript: transcript.name)


def points(transcript: Transcript) -> list[int]:
    """Where the server's bytes are cut."""
    every = range(len(transcript.server_bytes))
    if len(every) <= MOST_BYTES:
        return list(every)
    return [*every[:EDGE], *sorted(Random(len(every)).sample(every[EDGE:-EDGE], BETWEEN)), *every[-EDGE:]]


@each
def test_whole(transcript: Transcript) -> None:
    """A transcript comes to what its head says, and what stands behind its end is left over."""
    result, left = transcript.run(lambda said: [said])
    assert transcript.facts(result) == transcript.expected
    if transcript.expected["verdict"] == Verdict.OK:
        assert left == transcript.behind


@each
def test_byte_by_byte(transcript: Transcript) -> None:
    """It comes to the same when each byte comes alone, and the client speaks after the last byte of a turn only."""
    result, left = transcript.run(byte_by_byte)
    assert transcript.facts(result) == transcript.expected
    assert (result, left) == transcript.run(lambda said: [said])


@each
def test_split_at_every_point(transcript: Transcript) -> None:
    """It comes to the same wherever the network splits a turn."""
    whole, _ = transcript.run(lambda said: [said])
    for at in points(transcript):
        result, _ = transcript.run(lambda said, at=at: [said[: at % len(said)], said[at % len(said) :]])  # type: ignore[misc]
        assert result == whole


@each
def test_truncated_at_every_point(transcript: Transcript) -> None:
    """Wherever the wire ends there is a result: how it ended, or what was already plain; and nothing was said early."""
    everything = b"".join(turn.client for turn in transcript.turns) + transcript.last_words
    plain = {transcript.expected["verdict"], Verdict.PROTOCOL_MISMATCH, Verdict.UNAVAILABLE, Verdict.RATE_LIMITED}
    if transcript.dialogue in ("irc", "telnet") or "no_stream_version" in transcript.expected["flags"]:
        plain.add(Verdict.NOT_OFFERED)  # silence of a server that has spoken its protocol is its answer
    places = points(transcript)
    every_end = product(places, End) if len(places) <= FEW_BYTES else zip(places, cycle(End), strict=False)
    for at, end in every_end:
        result, said = transcript.stop_after(at, end)
        assert everything.startswith(said), (at, end)
        if isinstance(result, StartTls):
            assert result.verdict in plain | {END_VERDICTS[end]}, (at, end)
        elif isinstance(result, Injection):
            assert result.verdict in plain | {END_VERDICTS[end]}, (at, end)
            assert (result.result == "unknown") == (result.verdict != "ok"), (at, end)
        else:
            assert result.stopped in (END_VERDICTS[end], transcript.expected["stopped"], None), (at, end)


@to_the_end
def test_followed_by_garbage(transcript: Transcript) -> None:
    """What comes behind the last line changes nothing, and is left over byte for byte."""
    chance = Random(transcript.name)
    for garbage in (b"\x00", b"\n", *(chance.randbytes(chance.randint(1, 64)) for _ in range(GARBAGE))):
        result, left = transcript.run(lambda said: [said], behind=garbage)
        assert transcript.facts(result) == transcript.expected
        assert left.endswith(garbage)
        if transcript.expected["verdict"] == Verdict.OK:
            assert left == garbage


def test_transcripts_cover_the_registry() -> None:
    """Each protocol has transcripts of its go-ahead, of its refusals and of its inside."""
    for protocol in SPOKEN:
        verdicts = {transcript.expected["verdict"] for transcript in every_transcript(protocol)}
        inside = {None} if SPOKEN[protocol].within else set()
        assert verdicts >= {"ok", "not_offered", "violation", "protocol_mismatch"} | inside
        if SPOKEN[protocol].injection:
            results = {transcript.expected["result"] for transcript in every_transcript(f"{protocol} proof")}
            assert results == {"vulnerable", "no", "unknown"}
            assert every_transcript(f"{protocol} injecting")


def test_caps_are_what_the_transcripts_say() -> None:
    """The transcripts about a long line are one byte beyond the cap of a line."""
    (long,) = (transcript for transcript in TRANSCRIPTS if transcript.name == "smtp-line-too-long")
    assert len(long.turns[-1].server) == MAX_LINE_BYTES + 1
