"""Signs of strain: what is one, and what only looks like one; and what a scan makes of them."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
import trio

from scanner import signs as module
from scanner.limits import Limits
from scanner.looks import LOAD_S, SLOWER_S, Look
from scanner.outcome import Outcome, Stage, Verdict
from scanner.pace import Sign
from scanner.question import Answer, Knock, OfferVersion, Question
from scanner.signs import Answered, has_answered, sign_of, sign_of_look
from scanner.starttls.result import StartTls
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.names import Version
from tests.peers.memory import FIN, RST, Peer, Turn
from tests.peers.tls_server import Closed, TlsServer
from tests.scanner.scanned import (
    ADDRESS,
    BUSY_SMTP,
    CLOSES,
    NOBODY,
    REFUSES,
    RESETS,
    SILENT,
    SMTP,
    TLS,
    Scan,
    endpoint,
    looks,
    named,
    peer,
)

HELLO = OfferVersion(Version.TLS1_2)
UNLIMITED = Limits(rate=0, per_address_rate=0, per_network_rate=0)


def failed(verdict: Verdict, cause: str | None = None) -> Answer:
    """There was no connection."""
    return Answer(HELLO, 0, failure=Outcome(verdict, Stage.CONNECT, cause))


def said(verdict: Verdict, stage: Stage, text: str | None = None, question: Question = HELLO) -> Answer:
    """What a dialogue came to."""
    return Answer(question, 0, starttls=StartTls(verdict, stage, text=text))


def met(evidence: Evidence) -> Answer:
    """What came of a hello in implicit mode."""
    return Answer(HELLO, 0, hello=HelloAnswer(evidence))


@pytest.mark.parametrize(
    ("answer", "sign"),
    [
        (failed(Verdict.UNREACHABLE, "timeout"), Sign.SILENCE),
        (failed(Verdict.UNREACHABLE, "refused"), Sign.RESET),
        (failed(Verdict.UNREACHABLE, "no_route"), None),
        (failed(Verdict.UNREACHABLE, "prohibited"), None),
        (failed(Verdict.LOCAL_LIMITATION, "no_descriptors"), None),
        (said(Verdict.CLOSED, Stage.GREETING), Sign.CLOSED),
        (said(Verdict.RESET, Stage.GREETING), Sign.RESET),
        (said(Verdict.TIMEOUT, Stage.GREETING), Sign.SILENCE),
        (said(Verdict.CLOSED, Stage.GREETING, "554 go away"), None),
        (said(Verdict.RESET, Stage.CAPABILITIES), None),
        (said(Verdict.REFUSED_SESSION, Stage.GREETING, "554 no"), None),
        (said(Verdict.RESET, Stage.GREETING, question=Knock()), None),
        (met(Evidence.RESET), None),  # it may be a "no" to this hello
        (met(Evidence.CLOSED), None),
        (met(Evidence.TIMEOUT), None),
        (met(Evidence.SERVER_HELLO), None),
    ],
)
def test_what_is_a_sign(answer: Answer, sign: Sign | None) -> None:
    """Only where its port had answered: one that never did may be filtered."""
    assert sign_of(answer, had_answered=True) is sign
    assert sign_of(answer, had_answered=False) is None


def test_words_of_load_always_are() -> None:
    """Whether or not anything had been answered."""
    busy = said(Verdict.RATE_LIMITED, Stage.GREETING, "421 too many connections")
    assert sign_of(busy, had_answered=False) is sign_of(busy, had_answered=True) is Sign.RATE_LIMITED


@pytest.mark.parametrize(
    ("answer", "has"),
    [
        (said(Verdict.NOT_OFFERED, Stage.CAPABILITIES), True),
        (said(Verdict.OK, Stage.REPLY), True),
        (said(Verdict.TIMEOUT, Stage.GREETING), False),
        (said(Verdict.RATE_LIMITED, Stage.GREETING, "421 busy"), False),
        (met(Evidence.SERVER_HELLO), True),
        (met(Evidence.ALERT), True),
        (met(Evidence.TIMEOUT), False),
        (met(Evidence.RESET), False),
        (failed(Verdict.UNREACHABLE, "refused"), False),
    ],
)
def test_what_has_answered(answer: Answer, has: bool) -> None:
    """A greeting that was read, or an answer in TLS."""
    assert has_answered(answer) is has


def test_later_looks() -> None:
    """They tell a silence from a "no"; and what a connection has shown already is not counted again."""
    silent = Look(0, Verdict.TIMEOUT, Stage.TLS, throttled=True)
    assert sign_of_look(silent, [silent], []) is Sign.SILENCE
    assert sign_of_look(silent, [], []) is None
    assert sign_of_look(Look(0, Verdict.TIMEOUT, Stage.TLS), [silent], []) is None
    assert sign_of_look(Look(0, Verdict.RESET, Stage.GREETING, throttled=True), [silent], []) is None


def test_ports_that_answered_are_not_all_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory has a bound."""
    monkeypatch.setattr(module, "MOST_REMEMBERED", 4)
    answered, services = Answered(), ("smtp", "imap", "pop3", "lmtp", "sieve")
    for service in services:
        answered.note(endpoint(service))
    assert [endpoint(service) in answered for service in services] == [False, False, True, True, True]
    assert endpoint("pop3", "192.0.2.2") not in answered


# --- in a scan --------------------------------------------------------------------------------------------------------

SLAMS = Peer([Turn(0, RST)])  # before a greeting
HANGS_UP = Peer([Turn(0, FIN)])


@pytest.mark.parametrize(
    ("after", "sign"),
    [(SLAMS, "reset"), (HANGS_UP, "closed"), (REFUSES, "reset"), (NOBODY, "silence"), (SILENT, "silence")],
)
async def test_an_end_where_an_answer_had_been(autojump_clock: object, after: Peer, sign: str) -> None:
    """It slows the address and its network, with or without later looks, and whatever the limits are."""
    scan = Scan({ADDRESS: [SMTP, SMTP, after, SMTP]}, UNLIMITED, retries=0)
    await scan.run(named(2))
    facts = scan.learnt.facts()
    assert {name for name, count in facts["events"].items() if count} == {sign}
    assert (facts["addresses_slowed"], facts["networks_slowed"]) == (1, 1)
    assert facts["networks"] == [{"network": "192.0.2.0/24", "events": 1, "interval_s": 0.1}]
    starts = [when for when, _ in scan.starts]
    assert min(later - sooner for sooner, later in pairwise(starts[3:])) >= SLOWER_S - 1e-9


@pytest.mark.parametrize(("retries", "pause_s"), [(0, SLOWER_S), (1, LOAD_S)])
async def test_words_of_load_slow_the_address(autojump_clock: object, retries: int, pause_s: float) -> None:
    """Without later looks nobody comes back, and nobody is made to wait for a minute."""
    scan = Scan({ADDRESS: [BUSY_SMTP]}, UNLIMITED, retries=retries)
    await scan.run(named(3))
    starts = [when for when, _ in scan.starts]
    assert starts[1] - starts[0] == pytest.approx(pause_s)
    assert scan.learnt.signs == {"rate_limited": len(starts)}
    assert scan.learnt.slowest[0].interval_s >= 0.1


@pytest.mark.parametrize("retries", [0, 2])
async def test_words_of_load_slow_the_network(autojump_clock: object, retries: int) -> None:
    """Its neighbours go on at ten a second, and later at five."""
    neighbours = [endpoint("smtp", f"192.0.2.{number}") for number in range(2, 102)]
    scan = Scan({ADDRESS: [BUSY_SMTP], **{each.address: [SMTP] for each in neighbours}}, UNLIMITED, retries=retries)
    await scan.run([*named(3), *neighbours])
    assert scan.learnt.signs["rate_limited"] >= 3
    others = [when for when, each in scan.starts if each.address != ADDRESS]
    assert len(others) == 700
    assert 70 * 0.8 <= others[-1] - others[0] < 140


async def test_a_network_is_let_go_again(autojump_clock: object) -> None:
    """When its signs are over for some minutes, it has its pace again."""
    addresses = [f"192.0.2.{number}" for number in range(1, 6)]
    limits = Limits(rate=0, per_network_rate=1)
    peers: dict[str, Sequence[Peer]] = {each: [BUSY_SMTP, SMTP] for each in addresses}
    scan = Scan(peers, limits, retries=1, versions=(Version.TLS1_2,), handshake=False)
    await scan.run([each for address in addresses for each in named(100, address)])
    assert (scan.learnt.networks, len(scan.over)) == (1, 500)
    assert scan.learnt.slowest[0].interval_s >= 4
    late = [when for when, _ in scan.starts][-100:]
    assert late[-1] - late[0] < 101


@pytest.mark.parametrize(
    "old", [Peer([Turn(0, RST, heard=b"\x03")]), CLOSES, SILENT], ids=["resets", "closes", "keeps silent"]
)
async def test_a_no_to_an_old_version_is_no_sign(autojump_clock: object, old: Peer) -> None:
    """Whichever way a server says it: TLS 1.2 and 1.3 are answered as before, at a later look too."""

    class Choosy(TlsServer):
        def hear(self, data: bytes) -> bytes:
            if self._shaken or (data[0] == 22 and data[9:11] == b"\x03\x03"):
                return super().hear(data)
            if old is SILENT:
                return b""
            raise Closed(reset=old is not CLOSES)

    scan = Scan({ADDRESS: [peer(lambda: [Turn(0, Choosy())])]}, UNLIMITED, retries=2)
    (made,) = await scan.run([endpoint("imaps")])
    assert made["status"] == "tls"
    assert scan.learnt.signs == {}


async def test_a_filtered_port_is_no_sign(autojump_clock: object) -> None:
    """Others of the address answer, and it never did."""
    limits = Limits(rate=0, per_network_rate=0)
    scan = Scan({ADDRESS: [SMTP, NOBODY]}, limits, versions=(Version.TLS1_2,), handshake=False)
    smtp, imaps = await scan.run([endpoint("smtp"), endpoint("imaps")])
    assert (smtp["status"], imaps["status"]) == ("tls", "unreachable")
    assert scan.learnt.signs == {}


@pytest.mark.parametrize(("after", "sign"), [(CLOSES, "closed"), (RESETS, "reset")])
async def test_a_handshake_that_is_turned_away_is_a_sign(autojump_clock: object, after: Peer, sign: str) -> None:
    """It offers what was answered before, in a hello like it, so that is no "no"; without later looks, too."""
    scan = Scan({ADDRESS: [TLS, *[after] * 6]}, UNLIMITED, retries=0)
    (made,) = await scan.run([endpoint("imaps")])
    assert made["flags"] == ["throttled"]
    assert scan.learnt.signs == {sign: 1}


async def test_silence_in_tls_is_a_sign_at_the_later_look(autojump_clock: object) -> None:
    """What was answered before is asked once more, and is not answered."""
    scan = Scan({ADDRESS: [TLS, *[SILENT] * 30]}, UNLIMITED, retries=1, handshake=False)
    (made,) = await scan.run([endpoint("imaps")])
    assert len(looks(made)) == 2
    assert scan.learnt.signs == {"silence": 1}


async def test_a_stop_is_no_sign(autojump_clock: object) -> None:
    """What waits for its next look ends with the look before it, whose sign was heard when it was over."""
    scan = Scan({ADDRESS: [TLS, *[SILENT] * 60]}, UNLIMITED, retries=5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scan.run, [endpoint("imaps")])
        await trio.sleep(300)  # two looks, and the pause between them
        assert scan.learnt.signs == {"silence": 2}
        assert scan.engines[0].waits().later_look == 1
        scan.engines[0].stop()
    assert len(scan.over) == 1
    assert scan.learnt.signs == {"silence": 2}
