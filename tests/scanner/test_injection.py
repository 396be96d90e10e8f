"""The test for command injection: what is asked and when, what goes over the wire, and what the record says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
from itertools import product
from pathlib import Path
from typing import Any

import hypothesis
import orjson
import pytest
import trio
from hypothesis import strategies as st
from structlog.testing import capture_logs

from scanner.conclusion import conclude
from scanner.config import Config
from scanner.connection import Connection, Timeouts
from scanner.dialogue import Send
from scanner.exit_code import ExitCode
from scanner.interview import Interview
from scanner.limits import Limits
from scanner.outcome import Outcome, Stage, Verdict
from scanner.question import Answer, InjectCommand, Negotiate, OfferVersion, Question, ReadFirstFlight, Wanted
from scanner.run import Run
from scanner.starttls import SPOKEN
from scanner.starttls.injection import Injection, InjectionResult
from scanner.starttls.result import Capabilities, Inside, Names, StartTls
from scanner.tls.handshake import Handshake
from scanner.tls.names import Version
from targets.services import SERVICES, Mode
from targets.target import Endpoint, Origin
from tests.peers import command
from tests.peers.ahead import IMAP, POP3, PROTOCOLS, SIEVE, SMTP, Behind, Mail, reads_ahead
from tests.peers.memory import FIN, RST, Act, Network, Peer, Turn
from tests.peers.nameserver import NOBODY
from tests.peers.scripted import Script, Server, serving
from tests.peers.tls_server import HOST, Closed, Spoils, TlsServer, server_context, smtp_inside
from tests.scanner.answers import (
    ALERTED,
    CLOSED,
    GO_AHEAD,
    OURS,
    SHAKEN,
    TIMEOUT,
    answer,
    asked,
    interview,
    turned_away,
    yes,
)

NAMES = Names("client.example.org", "server.example.org")
TESTED = {"smtp", "imap", "pop3", "sieve"}
TEST = InjectCommand()
NO_CONNECTION = Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "refused")
INJECTED = {
    "smtp": b"STARTTLS\r\nNOOP\r\n",
    "imap": b"t2 STARTTLS\r\nx1 NOOP\r\n",
    "pop3": b"STLS\r\nCAPA\r\n",
    "sieve": b'STARTTLS\r\nNOOP "injected"\r\n',
}


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_who_has_the_test() -> None:
    """These four protocols."""
    assert (
        {name for name, spoken in SPOKEN.items() if spoken.injection} == TESTED == {mail.service for mail in PROTOCOLS}
    )


@pytest.mark.parametrize("mail", PROTOCOLS, ids=lambda mail: mail.service)
def test_one_segment(mail: Mail) -> None:
    """The injected command goes out with the upgrade command, in one piece: two could come in two segments."""
    spoken = SPOKEN[mail.service]
    assert spoken.injection
    dialogue = spoken.upgrade(NAMES)
    dialogue.injected = spoken.injection.injected
    sends = []
    for turn in (mail.greeting, mail.answer(b"EHLO x" if mail is SMTP else b"CAPA", False), b""):
        while isinstance(action := dialogue.next_action(), Send):
            sends.append(action.data)
        dialogue.receive_data(turn)
    assert sends[-1] == INJECTED[mail.service]


@pytest.mark.parametrize("service", SPOKEN)
def test_nobody_else_injects(service: str) -> None:
    """Without the test, nothing is ever sent behind the upgrade command."""
    assert SPOKEN[service].upgrade(NAMES).injected == b""


# --- when it is asked -------------------------------------------------------------------------------------------------


def wanting(service: str = "smtp", versions: tuple[Version, ...] = tuple(Version)) -> Interview:
    return interview(service, versions, test_injection=True)


def given(held: Interview, *came: tuple[Version | None, Any]) -> list[Question]:
    """What is asked after the last of these answers."""
    questions = held.begin()
    for version, what in came:
        questions = held.take(answer(asked(version), what, upgraded=held.endpoint.service.mode is Mode.STARTTLS))
    return questions


def beyond_certificates(held: Interview, questions: list[Question]) -> list[Question]:
    """What is asked then; but where no handshake showed the certificates, what is asked after those."""
    if questions and isinstance(questions[0], ReadFirstFlight):
        return held.take(Answer(questions[0], 0.0))
    return questions


GOOD = [(version, yes(version)) for version in (Version.TLS1_2, Version.TLS1_3, Version.TLS1_1, Version.TLS1_0)]
ALL = [*GOOD, (Version.SSLV3, CLOSED), (Version.SSLV2, CLOSED)]


def test_it_comes_last_and_alone() -> None:
    """A server may take offence, so all else is known by then; its answer ends the interview."""
    held = wanting()
    assert (given(held, *ALL), held.over) == ([], False)
    assert (held.take(answer(Negotiate(), SHAKEN, upgraded=True)), held.over) == ([TEST], False)
    assert (held.take(Answer(TEST, 0.0)), held.over) == ([], True)
    assert len(held.answers) == 7


def test_it_comes_behind_few_questions_too() -> None:
    """Where the handshake is the only question, or the second."""
    assert given(wanting(versions=()), (None, SHAKEN)) == [TEST]
    held = wanting(versions=(Version.TLS1_2,))
    assert given(held, GOOD[0], (None, SHAKEN)) == [TEST]


NOT_ASKED: dict[str, tuple[Interview, list[tuple[Version | None, Any]]]] = {
    "nobody wants it": (interview("smtp"), [*ALL, (None, SHAKEN)]),
    "no test for the protocol": (wanting("ftp"), [*ALL, (None, SHAKEN)]),
    "no test for LMTP": (wanting("lmtp"), [*ALL, (None, SHAKEN)]),
    "implicit TLS": (wanting("submissions"), [*ALL, (None, SHAKEN)]),
    "no protocol at all": (wanting("https"), [*ALL, (None, SHAKEN)]),
    "no go-ahead": (wanting(), [(Version.TLS1_2, turned_away(Verdict.NOT_OFFERED))]),
    "no connection": (wanting(), [(Version.TLS1_2, NO_CONNECTION)]),
    "no handshake": (wanting(), [*ALL, (None, OURS)]),
    "turned away": (wanting(), [*ALL[:-1], (Version.SSLV2, turned_away(Verdict.RATE_LIMITED)), (None, SHAKEN)]),
}


@pytest.mark.parametrize(("held", "came"), NOT_ASKED.values(), ids=NOT_ASKED)
def test_when_it_is_not_asked(held: Interview, came: list[tuple[Version | None, Any]]) -> None:
    """Unless it is wanted, and a handshake can be made, and the server has not had enough of us."""
    assert beyond_certificates(held, given(held, *came)) == []
    assert held.over
    assert conclude(held).injection is None


def test_a_handshake_that_fails_twice() -> None:
    """It is tried once more before the test is given up, and where that one succeeds there is the test."""
    for second, then in ((ALERTED, []), (SHAKEN, [TEST])):
        held = wanting()
        (again,) = given(held, *ALL, (None, ALERTED))
        assert again == Negotiate(newest=Version.TLS1_3)
        assert beyond_certificates(held, held.take(answer(again, second, upgraded=True))) == then


def test_a_later_look_asks_what_the_first_could_not() -> None:
    """A server that turned connections away is asked when it no longer does, and once."""
    held = wanting(versions=(Version.TLS1_2, Version.TLS1_3))
    assert given(held, GOOD[0], (Version.TLS1_3, turned_away(Verdict.RATE_LIMITED)), (None, SHAKEN)) == []
    look = conclude(held).look
    assert look
    assert held.look_again(look) == [OfferVersion(Version.TLS1_3)]
    assert held.take(answer(OfferVersion(Version.TLS1_3), yes(Version.TLS1_3), upgraded=True)) == [TEST]
    assert held.take(Answer(TEST, 0.0)) == []
    assert held.over


def test_a_later_look_does_not_ask_again() -> None:
    """Once is enough, whatever else there is to be looked at again."""
    held = wanting(versions=(Version.TLS1_2, Version.TLS1_1))
    assert given(held, GOOD[0], (Version.TLS1_1, TIMEOUT), (None, SHAKEN)) == [TEST]
    held.take(Answer(TEST, 0.0, failure=NO_CONNECTION))
    look = conclude(held).look
    assert look
    assert held.look_again(look) == [OfferVersion(Version.TLS1_1)]
    control = OfferVersion(Version.TLS1_2)
    assert held.take(answer(OfferVersion(Version.TLS1_1), TIMEOUT, upgraded=True)) == [control]
    assert held.take(answer(control, GOOD[0][1], upgraded=True)) == []
    assert held.over
    assert held.aside(InjectCommand)


def test_cut_off() -> None:
    """A run that is stopped before the test has its answer knows all the rest."""
    held = wanting()
    assert given(held, *ALL, (None, SHAKEN)) == [TEST]
    assert conclude(held).injection is None
    assert len(held.answers) == len(ALL) + 1


@hypothesis.given(data=st.data())
@hypothesis.settings(max_examples=300, deadline=None, derandomize=True)
def test_any_answers(data: st.DataObject) -> None:
    """Whatever is answered, in whatever order: the test is asked at most once, last, and behind a handshake only."""
    held = wanting(versions=tuple(data.draw(st.lists(st.sampled_from(Version), unique=True))))
    hellos = [yes(Version.TLS1_2), CLOSED, TIMEOUT, NO_CONNECTION, turned_away(Verdict.UNAVAILABLE)]
    shakes = [SHAKEN, ALERTED, NO_CONNECTION, turned_away(Verdict.UNAVAILABLE)]
    pending, so_far = held.begin(), list[Question]()
    while pending:
        assert TEST not in so_far
        question = pending.pop(data.draw(st.integers(0, len(pending) - 1)))
        so_far.append(question)
        kinds: list[Any] = hellos if isinstance(question, OfferVersion) else shakes
        came = answer(question, data.draw(st.sampled_from(kinds)), upgraded=True)
        assert not (came.handshake and question == TEST and pending)
        pending += held.take(came)
        assert held.over == (not pending)
    if TEST in so_far:
        assert any(each.handshake == SHAKEN for each in held.answers)
        assert not any(each.failure or each.starttls != GO_AHEAD for each in held.answers)
    assert (held.aside(InjectCommand) is not None) == (TEST in so_far)


# --- what is concluded ------------------------------------------------------------------------------------------------

LISTED_INSIDE = Inside(Capabilities(("AUTH PLAIN",), ("PLAIN",), None))  # on the way without an injected command

CAME: list[tuple[Answer, Injection]] = [
    (
        Answer(TEST, 0.0, failure=Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "timeout")),
        Injection(InjectionResult.UNKNOWN, Verdict.UNREACHABLE, Stage.CONNECT, "timeout"),
    ),
    (
        Answer(TEST, 0.0, starttls=StartTls(Verdict.REFUSED_PERMANENT, Stage.REPLY, code="554", text="554 5.5.0 no")),
        Injection(InjectionResult.UNKNOWN, Verdict.REFUSED_PERMANENT, Stage.REPLY, code="554", text="554 5.5.0 no"),
    ),
    (
        Answer(TEST, 0.0, starttls=StartTls(Verdict.RATE_LIMITED, Stage.GREETING, code="421", text="421 4.7.0 no")),
        Injection(InjectionResult.UNKNOWN, Verdict.RATE_LIMITED, Stage.GREETING, code="421", text="421 4.7.0 no"),
    ),
    (
        Answer(TEST, 0.0, starttls=StartTls(Verdict.NOT_OFFERED, Stage.CAPABILITIES, code="250", text="250 mx")),
        Injection(InjectionResult.UNKNOWN, Verdict.NOT_OFFERED, Stage.CAPABILITIES, code="250", text="250 mx"),
    ),
    (
        Answer(TEST, 0.0, starttls=GO_AHEAD, handshake=ALERTED, early=b"\x15\x03\x01\x00\x02\x02\x46"),
        Injection(
            *(InjectionResult.UNKNOWN, Verdict.HANDSHAKE_FAILED, Stage.TLS, "alert", "handshake_failure"),
            early=b"\x15\x03\x01\x00\x02\x02\x46",
        ),
    ),
    (
        Answer(
            *(TEST, 0.0),
            starttls=GO_AHEAD,
            handshake=Handshake(failure=Outcome(Verdict.VIOLATION, Stage.TLS, "plaintext", detail="250 fine")),
            early=b"250 fine\r\n",
        ),
        Injection(
            *(InjectionResult.UNKNOWN, Verdict.VIOLATION, Stage.TLS, "plaintext"),
            text="250 fine",
            early=b"250 fine\r\n",
        ),
    ),
    *(
        (
            Answer(TEST, 0.0, starttls=GO_AHEAD, handshake=SHAKEN, early=b"250 ok\r\n", injection=Injection(result)),
            Injection(result, early=b"250 ok\r\n"),
        )
        for result in InjectionResult
    ),
]


@pytest.mark.parametrize(("came", "expected"), CAME)
def test_it_has_a_part_of_its_own_and_no_other(came: Answer, expected: Injection) -> None:
    """Whatever comes of its connection, the test's own part is all that it changes."""
    held = wanting()
    given(held, *ALL, (None, SHAKEN))
    held.answers[-1].inside = LISTED_INSIDE
    before = conclude(held)
    held.take(came)
    after = conclude(held)
    assert after.injection == expected
    assert replace(after, injection=None) == before


# --- one connection ---------------------------------------------------------------------------------------------------

ADDRESS = "192.0.2.1"
TIMEOUTS = Timeouts(connect_s=3, greeting_s=7, reply_s=5, tls_s=4, deadline_s=60)
UPGRADE = (
    Turn(1, b"220 mx ESMTP\r\n"),
    Turn(1, b"250-mx\r\n250 STARTTLS\r\n", heard=b"EHLO"),
    Turn(1, b"220 go ahead\r\n", heard=b"STARTTLS\r\nNOOP\r\n"),
)


async def inject(*turns: Turn, peer: Peer | None = None, service: str = "smtp") -> tuple[Injection, list[bytes], float]:
    """What the test comes to with a server that does this; what went over the wire; and how long it took."""
    network, answer, began = Network({ADDRESS: [peer or Peer(turns)]}), Answer(TEST, 0.0), trio.current_time()
    endpoint = Endpoint(Origin("x"), HOST, ADDRESS, 25, SERVICES[service])
    await Connection(endpoint, answer, TIMEOUTS, "scan.example.test").ask(network.dial)
    held = wanting(service)
    held.answers = [Answer(Negotiate(), 0.0, starttls=GO_AHEAD, handshake=SHAKEN, inside=LISTED_INSIDE)]
    held.take(answer)
    injection = conclude(held).injection
    assert injection
    return (
        injection,
        [data for wire in network.wires.get(ADDRESS, []) for _, data in wire.sent],
        trio.current_time() - began,
    )


def unknown(verdict: Verdict, stage: Stage, cause: str | None = None, **more: Any) -> Injection:
    return Injection(InjectionResult.UNKNOWN, verdict, stage, cause, **more)


STAGES: list[tuple[Sequence[Turn], Stage, bytes, Injection]] = [
    ((), Stage.GREETING, b"", unknown(Verdict.CLOSED, Stage.GREETING)),
    (
        UPGRADE[:1],
        Stage.CAPABILITIES,
        b"EHLO",
        unknown(Verdict.CLOSED, Stage.CAPABILITIES, code="220", text="220 mx ESMTP"),
    ),
    (UPGRADE[:2], Stage.REPLY, b"STARTTLS", unknown(Verdict.CLOSED, Stage.REPLY, code="250", text="250 mx / STARTTLS")),
    (UPGRADE, Stage.TLS, b"\x16\x03", unknown(Verdict.CLOSED, Stage.TLS)),
]
ENDS = [(FIN, Verdict.CLOSED, "eof"), (RST, Verdict.RESET, "reset"), (None, Verdict.TIMEOUT, "timeout")]


@pytest.mark.parametrize(
    ("turns", "stage", "heard", "expected"), STAGES, ids=lambda each: each if isinstance(each, Stage) else ""
)
@pytest.mark.parametrize(("act", "verdict", "cause"), ENDS, ids=[verdict for _, verdict, _ in ENDS])
async def test_the_wire_ends_before_tls(
    autojump_clock: object,
    turns: Sequence[Turn],
    stage: Stage,
    heard: bytes,
    expected: Injection,
    act: Act | None,
    verdict: Verdict,
    cause: str,
) -> None:
    """FIN, RST and silence at each stage: unknown, with what had come last."""
    injection, _, _ = await inject(*turns, *([Turn(1, act, heard)] if act else []))
    assert injection == replace(expected, verdict=verdict, cause=cause)


async def test_an_alert_inside(autojump_clock: object) -> None:
    """It is told by its name: of the handshake where nothing came before it, else of what closed the connection."""
    context = server_context("X25519")  # one flight, no retry
    for late, verdict, stage in ((False, Verdict.HANDSHAKE_FAILED, Stage.TLS), (True, Verdict.CLOSED, Stage.INSIDE)):
        injection, _, _ = await inject(*UPGRADE, Turn(0, Spoils(smtp_inside, context=context, late=late)))
        assert injection == unknown(verdict, stage, "alert", alert="bad_record_mac")


async def test_no_connection(autojump_clock: object) -> None:
    """Nobody answers any more."""
    injection, sent, _ = await inject(peer=Peer(failure=NO_CONNECTION))
    assert injection == unknown(Verdict.UNREACHABLE, Stage.CONNECT, "refused")
    assert sent == []


async def test_it_goes_out_in_one_piece(autojump_clock: object) -> None:
    """Upgrade command and injected command in one send; no byte behind them until the ClientHello."""
    _, sent, _ = await inject(*UPGRADE, Turn(0, TlsServer(smtp_inside)))
    assert sent[:2] == [b"EHLO scan.example.test\r\n", b"STARTTLS\r\nNOOP\r\n"]
    assert sent[2].startswith(b"\x16\x03")


@pytest.mark.parametrize(
    ("pieces", "early"),
    [
        ([b"220 go ahead\r\n250 2.0.0 Ok\r\n"], b"250 2.0.0 Ok\r\n"),
        ([b"220 go ahead\r\n250 2.0", b".0 Ok\r\n"], b"250 2.0.0 Ok\r\n"),
        ([b"220 go ahead\r\n", b"250 2.0.0 Ok\r\n"], b"250 2.0.0 Ok\r\n"),
        ([b"220 go", b" ahead\r\n250-2.0.0\r\n250 Ok\r\n"], b"250-2.0.0\r\n250 Ok\r\n"),
    ],
)
async def test_run_before_tls(autojump_clock: object, pieces: list[bytes], early: bytes) -> None:
    """Answered in plaintext, however the segments fall: it is not run inside TLS, and we had asked for the answer."""
    first, *more = pieces
    turns = [*UPGRADE[:2], Turn(1, first, UPGRADE[2].heard), *(Turn(0.5, piece) for piece in more)]
    injection, _, _ = await inject(*turns, Turn(0, TlsServer(smtp_inside)))
    assert injection == Injection(InjectionResult.NO, code="221", text="221 bye", early=early)


EHLO, BYE = b"250-mx\r\n250 AUTH PLAIN\r\n", b"221 bye\r\n"
VULNERABLE = Injection(InjectionResult.VULNERABLE, code="250", text="250 Ok")
ANSWERED = {"code": "250", "text": "250 mx / AUTH PLAIN"}
# What is said unasked, to the first command, to the second (None: FIN); the result, and after how many seconds.
INSIDE: dict[str, tuple[tuple[bytes | None, ...], Injection, float]] = {
    "nothing else": ((b"", EHLO, BYE), Injection(InjectionResult.NO, code="221", text="221 bye"), 3),
    "one too many, with the first": ((b"", b"250 Ok\r\n" + EHLO, BYE), VULNERABLE, 3),
    "one too many, before anything is said": ((b"250 Ok\r\n", EHLO, BYE), VULNERABLE, 3),
    "one too many, with the last": ((b"", b"250 Ok\r\n", EHLO + BYE), VULNERABLE, 3),
    "silence": ((b"", b"", b""), unknown(Verdict.TIMEOUT, Stage.INSIDE, "timeout"), 8),
    "silence behind the first": ((b"", EHLO, b""), unknown(Verdict.TIMEOUT, Stage.INSIDE, "timeout", **ANSWERED), 8),
    "silence behind one too many": (
        (b"250 Ok\r\n", EHLO, b""),
        unknown(Verdict.TIMEOUT, Stage.INSIDE, "timeout", **ANSWERED),
        8,
    ),
    "FIN": ((b"", None), unknown(Verdict.CLOSED, Stage.INSIDE, "eof"), 3),
    "FIN behind the first": ((b"", EHLO, None), unknown(Verdict.CLOSED, Stage.INSIDE, "eof", **ANSWERED), 3),
    "garbage": (
        (b"", b"\xff\xfe\r\n"),
        unknown(Verdict.VIOLATION, Stage.INSIDE, "not a reply line", text="\\xff\\xfe"),
        3,
    ),
}


@pytest.mark.parametrize(("says", "expected", "took_s"), INSIDE.values(), ids=INSIDE)
async def test_inside(
    autojump_clock: object, says: tuple[bytes | None, ...], expected: Injection, took_s: float
) -> None:
    """The replies inside TLS tell, and nobody waits for more of them than were asked for."""
    greeting, *left = says

    def answer(_: bytes) -> bytes:
        said = left.pop(0) if left else b""
        if said is None:
            raise Closed
        return said

    injection, _, took = await inject(*UPGRADE, Turn(0, TlsServer(answer, greeting=greeting or b"")))
    assert injection == expected
    assert took == pytest.approx(took_s)


# --- real connections -------------------------------------------------------------------------------------------------

PATIENCE = Timeouts(connect_s=0.7, greeting_s=0.7, reply_s=0.7, tls_s=0.7, deadline_s=1.5)
LIMITS = Limits(rate=0, per_address=1, per_address_rate=0, per_network_rate=0)
QUESTIONS = len(Version) + 2


@dataclass(frozen=True)
class Case:
    """A server, and the test's part of its record."""

    mail: Mail
    script: Script
    expected: dict[str, Any]


def part(result: str, verdict: str, stage: str, cause: str | None = None, **more: Any) -> dict[str, Any]:
    rest = dict.fromkeys(("alert", "code", "text", "early_bytes"))
    return {"result": result, "verdict": verdict, "stage": stage, "cause": cause, **rest, **more}


LAST = {  # what answers the last command that is waited for
    "smtp": {"code": "221", "text": "221 2.0.0 Bye"},
    "imap": {"code": "OK", "text": "t3 OK done"},
    "pop3": {"code": "+OK", "text": "+OK Logging out"},
    "sieve": {"code": "OK", "text": 'OK (TAG "real") "NOOP completed."'},
}
INJECTED_REPLY = {
    "smtp": {"code": "250", "text": "250 2.0.0 Ok"},
    "imap": {"code": "OK", "text": "x1 OK NOOP completed."},
    "pop3": {"code": "+OK", "text": "+OK"},
    "sieve": {"code": "OK", "text": 'OK (TAG "injected") "NOOP completed."'},
}
BEFORE = {
    "smtp": r"250 2.0.0 Ok\r\n",
    "imap": r"x1 OK NOOP completed.\r\n",
    "pop3": r"+OK\r\nUIDL\r\nSTLS\r\n.\r\n",
    "sieve": r'OK (TAG "injected") "NOOP completed."\r\n',
}
LAST_BEFORE = {
    "smtp": {"code": "250", "text": "250 mx / STARTTLS"},
    "imap": {"code": "OK", "text": IMAP.greeting.decode().strip()},
    "pop3": {"code": "+OK", "text": "+OK"},
    "sieve": {"code": "OK", "text": "OK"},
}
REFUSAL = {
    "smtp": part(*("unknown", "refused_permanent", "reply"), code="554", text=SMTP.refusal.decode().strip()),
    "imap": part(*("unknown", "refused_permanent", "reply"), code="BAD", text=IMAP.refusal.decode().strip()),
    "pop3": part(*("unknown", "refused_permanent", "reply"), code="-ERR", text=POP3.refusal.decode().strip()),
    "sieve": part(*("unknown", "refused_server_error", "reply"), code="NO", text=SIEVE.refusal.decode().strip()),
}


def expected_of(mail: Mail, behind: Behind) -> dict[str, Any]:
    """What the test must come to."""
    match behind:
        case Behind.FORGOTTEN:
            return part("no", "ok", "inside", **LAST[mail.service])
        case Behind.RUN_INSIDE:
            return part("vulnerable", "ok", "inside", **INJECTED_REPLY[mail.service])
        case Behind.RUN_BEFORE:
            return part("no", "ok", "inside", **LAST[mail.service], early_bytes=BEFORE[mail.service])
        case Behind.REFUSED:
            return REFUSAL[mail.service]
        case Behind.CLOSED:
            return part("unknown", "closed", "reply", "eof", **LAST_BEFORE[mail.service])
        case Behind.LEFT_TO_TLS:
            return part("unknown", "closed", "tls", "eof")  # OpenSSL has no alert for it


def odd(unasked: bytes = b"", answer: Callable[[bytes, bool], bytes] = SMTP.answer) -> Script:
    """An SMTP server that forgets what it had read ahead, and is odd inside TLS."""
    return reads_ahead(replace(SMTP, inside=unasked, answer=answer), Behind.FORGOTTEN)


CASES: dict[str, Case] = {
    **{
        f"{mail.service}, {behind.value}": Case(mail, reads_ahead(mail, behind), expected_of(mail, behind))
        for mail, behind in product(PROTOCOLS, Behind)
    },
    "silent inside": Case(
        SMTP,
        odd(answer=lambda command, inside: b"" if inside else SMTP.answer(command, inside)),
        part("unknown", "timeout", "inside", "timeout"),
    ),
    "greets again inside": Case(
        SMTP,
        odd(b"220 mx ESMTP\r\n"),
        part("unknown", "violation", "inside", "replies that do not add up", code="250", text="250 mx / AUTH PLAIN"),
    ),
    # Whoever says unasked what a NOOP is answered cannot be told from one who runs it.
    # It says so to everybody, as the connection without the test has shown.
    "one too many to all": Case(
        SMTP,
        odd(b"250 2.0.0 Ok\r\n"),
        part("unknown", "violation", "inside", "replies that do not add up", **INJECTED_REPLY["smtp"]),
    ),
}


@dataclass(frozen=True)
class Scan:
    """What came of it, by the name of the case."""

    records: dict[str, dict[str, Any]]
    servers: dict[str, Server]
    start: dict[str, Any]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """One scan of all."""
    path = tmp_path_factory.mktemp("injection") / "out.jsonl"
    servers = trio.run(_scan_all, path)
    start, *records, _ = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    by_place = {(record["address"], record["port"]): record for record in records}
    return Scan({name: by_place[each.address, each.port] for name, each in servers.items()}, servers, start)


async def _scan_all(path: Path) -> dict[str, Server]:
    async with serving({name: case.script for name, case in CASES.items()}) as servers:
        await run(path, *(f"{CASES[name].mail.service}://{server.place}" for name, server in servers.items()))
        return servers


async def run(path: Path, *targets: str) -> None:
    """One scan with the test, into this file."""
    with path.open("wb") as output:
        config = Config(
            targets=targets,
            wanted=Wanted(test_injection=True),
            allow=(ip_network("127.0.0.0/8"),),
            limits=LIMITS,
            timeouts=PATIENCE,
            retries=0,
            hello_name="scan.example.test",
            resolvers=(NOBODY,),
            progress=False,
        )
        assert await Run(config, output.fileno()).scan() is ExitCode.COMPLETE


@pytest.mark.parametrize("name", CASES)
def test_what_the_record_says(scan: Scan, name: str) -> None:
    """Who runs the injected command inside TLS is vulnerable, whoever does not is not, and the rest is unknown."""
    assert scan.records[name]["injection"] == CASES[name].expected


@pytest.mark.parametrize("name", CASES)
def test_the_rest_of_the_record_is_as_without_it(scan: Scan, name: str) -> None:
    """What the test provokes changes no verdict, no flag and no count but that of the connections."""
    record = scan.records[name]
    assert (record["status"], record["starttls"]["verdict"], record["starttls"]["early_bytes"]) == ("tls", "ok", None)
    assert record["versions"]["TLSv1.2"]["verdict"] == record["versions"]["TLSv1.3"]["verdict"] == "yes"
    assert not {"throttled", "advertised_but_refused"} & set(record["flags"])
    assert len(record["looks"]) == 1
    assert record["connections"] == scan.servers[name].connections == QUESTIONS
    raised = {finding["id"] for finding in record["findings"]}
    assert ("command-injection" in raised) == (CASES[name].expected["result"] == "vulnerable")
    assert not {"response-injection", "inconsistent-starttls", "starttls-refused"} & raised


@pytest.mark.parametrize("name", CASES)
def test_it_is_sent_once(scan: Scan, name: str) -> None:
    """One connection has the injected command behind the upgrade command, the others have TLS there."""
    mail, heard = CASES[name].mail, bytes(scan.servers[name].heard)
    assert heard.count(INJECTED[mail.service]) == 1
    assert heard.count(mail.upgrade + b"\r\n") == QUESTIONS
    assert heard.count(mail.upgrade + b"\r\n\x16\x03") + heard.count(mail.upgrade + b"\r\n\x80") == QUESTIONS - 1


def test_the_run_says_that_it_was_asked_for(scan: Scan) -> None:
    """In its first record."""
    assert scan.start["settings"]["test_injection"] is True


async def test_a_bug_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no record can be made of what came of the test, there is one that says so."""

    def stumble(answer: Answer | None, _: Answer | None) -> None:
        if answer is not None:
            raise ZeroDivisionError("the test's part")

    monkeypatch.setattr("scanner.conclusion._injection", stumble)
    path = tmp_path / "out.jsonl"
    async with serving({"careless": reads_ahead(SMTP, Behind.RUN_INSIDE)}) as servers:
        with capture_logs() as logs:
            await run(path, f"smtp://{servers['careless'].place}")
    _, record, end = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert (record["status"], record["detail"]) == ("error", "ZeroDivisionError: the test's part")
    assert record["injection"] is None
    assert (end["endpoints"]["recorded"], len(logs)) == (1, 1)


async def test_by_the_command() -> None:
    """`--test-injection` makes the test, and nothing else does."""
    careless, careful = reads_ahead(IMAP, Behind.RUN_INSIDE), reads_ahead(IMAP, Behind.FORGOTTEN)
    async with serving({"careless": careless, "careful": careful}) as servers:
        places = [f"imap://{server.place}" for server in servers.values()]
        asked_for = await command.scan("--test-injection", *places)
        not_asked = await command.scan(*places)
    results = {record["address"]: record["injection"]["result"] for record in asked_for.endpoints}
    assert results == {servers["careless"].address: "vulnerable", servers["careful"].address: "no"}
    assert [record["injection"] for record in not_asked.endpoints] == [None, None]
    assert sum(server.connections for server in servers.values()) == 2 * QUESTIONS + 2 * (QUESTIONS - 1)
    for server in servers.values():
        assert server.heard.count(b"NOOP") == 1
