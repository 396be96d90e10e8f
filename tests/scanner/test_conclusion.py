"""From answers to verdicts: the tables of docs/records.md, row by row."""

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.conclusion import Conclusion, Status, conclude
from scanner.interview import Interview
from scanner.ladder import Try
from scanner.looks import Look
from scanner.outcome import Flag, Outcome, Stage, Verdict
from scanner.question import Knock
from scanner.starttls.result import Capabilities, Inside
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.handshake import Handshake
from scanner.tls.hello import Shape
from scanner.tls.names import Version
from scanner.versions import Known, judge
from tests.scanner.answers import (
    ALERTED,
    CLOSED,
    ECHO,
    GARBAGE,
    GO_AHEAD,
    NO_DESCRIPTORS,
    OURS,
    PLAINTEXT,
    REFUSED,
    RESET,
    SHAKEN,
    SHAKEN_13,
    SSLV2,
    TIMEOUT,
    Came,
    alert,
    answer,
    asked,
    interview,
    lower,
    silent,
    turned_away,
    yes,
)

SSL2, SSL3, TLS10, TLS11, TLS12, TLS13 = Version
YES, NO, UNKNOWN = Known
SHAKE = None  # the handshake's place among the questions
Answers = dict[Version | None, Came]


def broken(cause: str, verdict: Verdict = Verdict.VIOLATION, hint: str | None = None) -> Handshake:
    return Handshake(failure=Outcome(verdict, Stage.TLS, cause, hint))


def held(answers: Answers, service: str = "https", versions: tuple[Version, ...] = tuple(Version)) -> Interview:
    """An interview that is over, its answers in this order."""
    made = interview(service, versions)
    made.answers = [answer(asked(question), came, upgraded=service == "smtp") for question, came in answers.items()]
    return made


def concluded(answers: Answers, service: str = "https") -> Conclusion:
    return conclude(held(answers, service))


def verdict_of(conclusion: Conclusion, version: Version) -> tuple[Known, Evidence, frozenset[str]]:
    assert conclusion.versions is not None
    entry = conclusion.versions[version]
    return entry.verdict, entry.evidence, entry.flags


# The verdict on a version

FIRM: list[tuple[HelloAnswer, Known]] = [
    (HelloAnswer(Evidence.SERVER_HELLO, version=0x0303), YES),
    (HelloAnswer(Evidence.HELLO_RETRY_REQUEST, version=0x0304), YES),
    (SSLV2, YES),
    (HelloAnswer(Evidence.SSLV2_SERVER_HELLO, version=2, flags=frozenset({"no_ciphers"})), YES),
    (lower(SSL3), NO),
    (HelloAnswer(Evidence.HIGHER_VERSION, version=0x0304), UNKNOWN),
    (HelloAnswer(Evidence.SSLV2_ERROR, error=1), NO),
    (HelloAnswer(Evidence.SSLV2_ERROR, error=6), UNKNOWN),
    (GARBAGE, UNKNOWN),
    (ECHO, UNKNOWN),
    (PLAINTEXT, UNKNOWN),
    (replace(CLOSED, partial=True), UNKNOWN),
    (replace(RESET, partial=True), UNKNOWN),
    (replace(TIMEOUT, partial=True, tarpit=True), UNKNOWN),
    (alert(70), NO),
    *((alert(number), UNKNOWN) for number in (0, 10, 40, 47, 50, 71, 80, 86, 109, 110, 112, 116, 120, 255)),
]
WITH_CONTROL = [CLOSED, RESET, TIMEOUT]


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize("control", [True, False])
@pytest.mark.parametrize(("hello", "known"), FIRM)
def test_firm_evidence(version: Version, control: bool, hello: HelloAnswer, known: Known) -> None:
    """What was said counts with and without a control; an alert that is not firm is no answer.

    But for SSLv2, which has no alerts, and for a close_notify, which is a FIN: these need a control.
    """
    if version is SSL3 and hello == alert(40):
        known = NO  # SSLv3 has no alert 70
    if control and hello.evidence is Evidence.ALERT and (version is SSL2 or hello.alert == 0):
        known = NO
    assert judge(version, [Try(Shape.PLAIN, hello)], control=control).verdict is known


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize("hello", WITH_CONTROL)
def test_evidence_that_needs_a_control(version: Version, hello: HelloAnswer) -> None:
    """Silence, FIN and RST are a "no" only of a server that answered another hello."""
    assert judge(version, [Try(Shape.PLAIN, hello)], control=True).verdict is NO
    assert judge(version, [Try(Shape.PLAIN, hello)], control=False).verdict is UNKNOWN


def test_what_was_not_reached() -> None:
    """A version whose hello was not sent is unknown, whatever the others say."""
    assert judge(TLS12, [Try(Shape.PLAIN, None)], control=True).evidence is Evidence.NOT_REACHED


CONTROLS: dict[str, tuple[Answers, bool]] = {
    "a ServerHello": ({TLS12: yes(TLS12)}, True),
    "a HelloRetryRequest": ({TLS13: HelloAnswer(Evidence.HELLO_RETRY_REQUEST, version=0x0304)}, True),
    "an SSLv2 SERVER-HELLO": ({SSL2: SSLV2}, True),
    "a lower version": ({TLS12: lower(TLS10)}, True),
    "a handshake": ({TLS12: CLOSED, SHAKE: SHAKEN_13}, True),
    "an alert": ({TLS12: alert(40)}, False),
    "a handshake that failed": ({TLS12: CLOSED, SHAKE: ALERTED}, False),
    "a handshake that our library cannot do": ({TLS12: CLOSED, SHAKE: OURS}, False),
    "nothing": ({TLS12: CLOSED}, False),
    "garbage": ({TLS12: GARBAGE}, False),
}


@pytest.mark.parametrize(("answers", "control"), CONTROLS.values(), ids=CONTROLS)
def test_what_is_a_control(answers: Answers, control: bool) -> None:
    """A hello that was answered by a hello, or a handshake: nothing else makes a "no" of silence."""
    assert verdict_of(concluded({**answers, TLS11: RESET}), TLS11)[0] is (NO if control else UNKNOWN)


def test_versions_not_asked_for() -> None:
    """A version that was not asked for is absent; one that was, and was not reached, is unknown."""
    conclusion = conclude(held({TLS12: TIMEOUT}, versions=(TLS12, TLS13)))
    assert conclusion.versions is not None
    assert set(conclusion.versions) == {TLS12, TLS13}
    assert verdict_of(conclusion, TLS13) == (UNKNOWN, Evidence.NOT_REACHED, frozenset())
    assert concluded({TLS12: REFUSED}).versions is None
    assert concluded({TLS12: turned_away(Verdict.NOT_OFFERED)}, "smtp").versions is None


def test_a_lower_version_tells_of_itself() -> None:
    """Who answers TLS 1.2 with TLS 1.0 speaks TLS 1.0, whether that was reached or not."""
    conclusion = concluded({TLS12: lower(TLS10)})
    assert verdict_of(conclusion, TLS12)[0] is NO
    assert verdict_of(conclusion, TLS10) == (YES, Evidence.IMPLIED, frozenset())


def test_the_handshake_tells_of_its_version() -> None:
    """A handshake proves its version where the raw hello got no answer."""
    conclusion = concluded({TLS12: alert(40), SHAKE: SHAKEN})
    assert verdict_of(conclusion, TLS12) == (YES, Evidence.IMPLIED, frozenset())


def test_inconsistent() -> None:
    """Who refuses a version and then speaks it is called inconsistent, and speaks it."""
    assert verdict_of(concluded({TLS12: alert(70), SHAKE: SHAKEN}), TLS12) == (
        YES,
        Evidence.IMPLIED,
        frozenset({"inconsistent"}),
    )
    assert verdict_of(concluded({TLS10: CLOSED, TLS12: lower(TLS10)}), TLS10)[2] == {"inconsistent"}


def test_a_proof_takes_nothing_away() -> None:
    """A version that its own hello proved keeps its own evidence; one that was not asked for is not added."""
    conclusion = conclude(held({TLS12: yes(TLS12), SHAKE: SHAKEN}, versions=(TLS12,)))
    assert verdict_of(conclusion, TLS12) == (YES, Evidence.SERVER_HELLO, frozenset())
    conclusion = conclude(held({TLS13: lower(TLS12)}, versions=(TLS13,)))
    assert conclusion.versions is not None
    assert set(conclusion.versions) == {TLS13}


THROTTLING: dict[str, tuple[Answers, bool]] = {
    "three silences in a row": ({TLS12: yes(TLS12), TLS11: TIMEOUT, TLS10: TIMEOUT, SSL3: TIMEOUT}, True),
    "two": ({TLS12: yes(TLS12), TLS11: TIMEOUT, TLS10: TIMEOUT}, False),
    "an answer between them": (
        {TLS12: yes(TLS12), TLS11: TIMEOUT, TLS10: TIMEOUT, TLS13: alert(70), SSL3: TIMEOUT},
        False,
    ),
    "silences before any answer": ({TLS11: TIMEOUT, TLS10: TIMEOUT, SSL3: TIMEOUT, TLS12: yes(TLS12)}, False),
    "a silent handshake counts": (
        {TLS12: yes(TLS12), TLS11: TIMEOUT, SHAKE: silent("timeout", Verdict.TIMEOUT), SSL3: TIMEOUT},
        True,
    ),
    "resets": ({TLS12: yes(TLS12), TLS11: RESET, TLS10: RESET, SSL3: RESET, SHAKE: SHAKEN}, False),
    "the handshake reset too": (
        {TLS12: yes(TLS12), TLS11: RESET, SSL3: RESET, SHAKE: silent("reset", Verdict.RESET)},
        True,
    ),
    "the handshake closed too": (
        {TLS12: yes(TLS12), TLS11: CLOSED, SSL3: CLOSED, SHAKE: silent("eof", Verdict.CLOSED)},
        True,
    ),
    "a handshake that never offered what was answered": (
        {TLS12: CLOSED, SSL2: SSLV2, SSL3: CLOSED, SHAKE: silent("eof", Verdict.CLOSED)},
        False,
    ),
    "a busy server's text": (
        {TLS12: yes(TLS12), TLS11: replace(PLAINTEXT, text="421 4.7.0 too many connections"), SHAKE: SHAKEN},
        True,
    ),
}


@pytest.mark.parametrize(("answers", "throttled"), THROTTLING.values(), ids=THROTTLING)
def test_throttling(answers: Answers, throttled: bool) -> None:
    """An endpoint that had answered and then keeps us off is throttled: what met that is unknown, not "no"."""
    conclusion = concluded(answers)
    assert (Flag.THROTTLED in conclusion.flags) == throttled
    assert (verdict_of(conclusion, SSL3)[0] is NO) == (not throttled and SSL3 in answers)


# The status of the endpoint

STATUS: dict[str, tuple[str, Answers, Status]] = {
    "a version": ("https", {TLS12: yes(TLS12)}, Status.TLS),
    "SSLv2 only": ("https", {TLS12: CLOSED, SSL2: SSLV2, SHAKE: silent("eof", Verdict.CLOSED)}, Status.TLS),
    "a version by its lower answer": ("https", {TLS12: lower(SSL3)}, Status.TLS),
    "a handshake": ("https", {TLS12: alert(40), SHAKE: SHAKEN}, Status.TLS),
    "alerts to every hello": ("https", {TLS12: alert(40), TLS13: alert(70), SHAKE: ALERTED}, Status.TLS_FAILED),
    "an alert in one place": ("https", {TLS12: CLOSED, SHAKE: ALERTED}, Status.TLS_FAILED),
    "an SSLv2 error": ("https", {TLS12: CLOSED, SSL2: HelloAnswer(Evidence.SSLV2_ERROR, error=1)}, Status.TLS_FAILED),
    "alerts behind a go-ahead": ("smtp", {TLS12: alert(40), SHAKE: ALERTED}, Status.TLS_FAILED),
    "not offered": ("smtp", {TLS12: turned_away(Verdict.NOT_OFFERED)}, Status.NO_TLS),
    "refused for good": ("smtp", {TLS12: turned_away(Verdict.REFUSED_PERMANENT)}, Status.NO_TLS),
    "accepted and not done, twice in one look": (
        "smtp",
        {TLS12: TIMEOUT, SHAKE: silent("timeout", Verdict.TIMEOUT)},
        Status.INCONCLUSIVE,
    ),
    "accepted and not done, looked at once": ("smtp", {TLS12: TIMEOUT}, Status.INCONCLUSIVE),
    "accepted and not done, then unreachable": ("smtp", {TLS12: TIMEOUT, SHAKE: REFUSED}, Status.INCONCLUSIVE),
    "accepted and not done, then turned away": (
        "smtp",
        {TLS12: PLAINTEXT, SHAKE: turned_away(Verdict.RATE_LIMITED)},
        Status.INCONCLUSIVE,
    ),
    "accepted and not done, then our limit": ("smtp", {TLS12: TIMEOUT, SHAKE: NO_DESCRIPTORS}, Status.INCONCLUSIVE),
    **{
        verdict.value: ("smtp", {TLS12: turned_away(verdict)}, status)
        for verdicts, status in (
            (
                (
                    Verdict.REFUSED_TEMPORARY,
                    Verdict.REFUSED_POLICY,
                    Verdict.REFUSED_SERVER_ERROR,
                    Verdict.UNAVAILABLE,
                    Verdict.REFUSED_SESSION,
                    Verdict.RATE_LIMITED,
                    Verdict.TIMEOUT,
                    Verdict.CLOSED,
                    Verdict.RESET,
                    Verdict.TARPIT,
                ),
                Status.INCONCLUSIVE,
            ),
            ((Verdict.PROTOCOL_MISMATCH, Verdict.VIOLATION, Verdict.LIMIT_EXCEEDED), Status.MISMATCH),
        )
        for verdict in verdicts
    },
    "silence": ("https", {TLS12: TIMEOUT}, Status.INCONCLUSIVE),
    "closed every time": ("https", {TLS12: CLOSED, SHAKE: silent("eof", Verdict.CLOSED)}, Status.INCONCLUSIVE),
    "text": ("https", {TLS12: PLAINTEXT}, Status.MISMATCH),
    "an echo": ("https", {TLS12: ECHO}, Status.MISMATCH),
    "garbage": ("https", {TLS12: GARBAGE}, Status.MISMATCH),
    "no connection": ("https", {TLS12: REFUSED}, Status.UNREACHABLE),
    "no connection in STARTTLS mode": ("smtp", {TLS12: REFUSED}, Status.UNREACHABLE),
    "no connection later": ("https", {TLS12: CLOSED, SHAKE: REFUSED}, Status.INCONCLUSIVE),
    "our limit": ("https", {TLS12: NO_DESCRIPTORS}, Status.ERROR),
    "our limit in STARTTLS mode": ("smtp", {TLS12: NO_DESCRIPTORS}, Status.ERROR),
    "our library's limit, and FIN": ("https", {TLS12: CLOSED, SHAKE: OURS}, Status.INCONCLUSIVE),
    "our library's limit behind a go-ahead": ("smtp", {TLS12: CLOSED, SHAKE: OURS}, Status.TLS_FAILED),
    "our library's limit alone": ("https", {SHAKE: OURS}, Status.ERROR),
    "our limit later": ("https", {TLS12: CLOSED, SHAKE: NO_DESCRIPTORS}, Status.INCONCLUSIVE),
    "nothing was asked": ("https", {}, Status.INCONCLUSIVE),
}


@pytest.mark.parametrize(("service", "answers", "status"), STATUS.values(), ids=STATUS)
def test_status(service: str, answers: Answers, status: Status) -> None:
    """One word for the whole endpoint."""
    assert concluded(answers, service).status is status


@pytest.mark.parametrize(
    ("before", "status"),
    [(Verdict.ACCEPTED_NO_TLS, Status.NO_TLS), (Verdict.RATE_LIMITED, Status.INCONCLUSIVE)],
)
def test_a_promise_is_broken_at_the_second_look(before: Verdict, status: Status) -> None:
    """Once may be the moment's fault; and another verdict before it does not count."""
    made = held({TLS12: TIMEOUT}, "smtp")
    made.looks.append(Look(0.0, before, Stage.TLS))
    assert conclude(made).status is status


def test_a_bug_of_ours() -> None:
    """A bug in one question is the status of all, whatever else is known."""
    made = held({TLS12: yes(TLS12)})
    made.error = "KeyError: 'x'"
    assert conclude(made).status is Status.ERROR


def test_our_own_limit_is_never_the_servers_no() -> None:
    """Whatever a server does, where our side could not connect or could not speak, nothing is called "no" for that."""
    for came in (NO_DESCRIPTORS, OURS):
        conclusion = concluded({TLS12: CLOSED, SHAKE: came})
        assert conclusion.status in (Status.INCONCLUSIVE, Status.ERROR)
        assert verdict_of(conclusion, TLS12)[0] is UNKNOWN
        assert conclusion.error is not None
        assert conclusion.error.verdict is Verdict.LOCAL_LIMITATION
        assert Flag.THROTTLED not in conclusion.flags


# STARTTLS

NOT_DONE: dict[str, tuple[Answers, str]] = {
    "plaintext": ({TLS12: PLAINTEXT, SHAKE: broken("plaintext")}, "plaintext"),
    "garbage": ({TLS12: GARBAGE}, "garbage"),
    "closed": ({TLS12: CLOSED}, "closed"),
    "reset": ({TLS12: RESET}, "reset"),
    "timeout": ({TLS12: TIMEOUT}, "timeout"),
    "tarpit": ({TLS12: HelloAnswer(Evidence.TIMEOUT, tarpit=True)}, "timeout"),
    "handshake: plaintext": ({SHAKE: broken("plaintext", Verdict.PROTOCOL_MISMATCH, "smtp")}, "plaintext"),
    "handshake: garbage": ({SHAKE: broken("garbage")}, "garbage"),
    "handshake: no record": ({SHAKE: broken("not a TLS record")}, "garbage"),
    "handshake: closed": ({SHAKE: silent("eof", Verdict.CLOSED)}, "closed"),
    "handshake: reset": ({SHAKE: silent("reset", Verdict.RESET)}, "reset"),
    "handshake: timeout": ({SHAKE: silent("timeout", Verdict.TIMEOUT)}, "timeout"),
    "handshake: tarpit": ({SHAKE: silent("deadline", Verdict.TARPIT)}, "timeout"),
}


HALF: dict[str, tuple[Answers, Verdict]] = {
    "closed": ({TLS12: replace(CLOSED, partial=True)}, Verdict.CLOSED),
    "reset": ({TLS12: CLOSED, TLS13: replace(RESET, partial=True)}, Verdict.RESET),
    "timeout": ({TLS12: replace(TIMEOUT, partial=True)}, Verdict.TIMEOUT),
    "tarpit": ({TLS12: replace(TIMEOUT, partial=True, tarpit=True)}, Verdict.TARPIT),
    "handshake": ({TLS12: CLOSED, SHAKE: replace(silent("eof", Verdict.CLOSED), partial=True)}, Verdict.CLOSED),
}


@pytest.mark.parametrize(("answers", "verdict"), HALF.values(), ids=HALF)
def test_half_an_answer_behind_a_go_ahead(answers: Answers, verdict: Verdict) -> None:
    """A server that had begun to speak TLS is none that says yes and then does not do it."""
    conclusion = concluded(answers, "smtp")
    assert conclusion.starttls is not None
    assert (conclusion.starttls.verdict, conclusion.starttls.stage) == (verdict, Stage.TLS)
    assert conclusion.status is Status.INCONCLUSIVE


@pytest.mark.parametrize(("answers", "cause"), NOT_DONE.values(), ids=NOT_DONE)
def test_accepted_no_tls(answers: Answers, cause: str) -> None:
    """A go-ahead with no TLS behind it, and what came instead; the dialogue's facts stay."""
    starttls = concluded(answers, "smtp").starttls
    assert starttls is not None
    assert (starttls.verdict, starttls.stage, starttls.cause) == (Verdict.ACCEPTED_NO_TLS, Stage.TLS, cause)
    assert (starttls.code, starttls.advertised) == (GO_AHEAD.code, True)


MALFORMED = HelloAnswer(Evidence.GARBAGE, flags=frozenset({"violation"}))
BROKEN = broken("broken", Verdict.HANDSHAKE_FAILED)


@pytest.mark.parametrize("answers", [{TLS12: MALFORMED}, {TLS12: MALFORMED, TLS13: CLOSED, SHAKE: BROKEN}])
def test_tls_that_breaks_its_grammar(answers: Answers) -> None:
    """A record came back, and neither a hello nor an alert: no promise is broken, nor is it kept."""
    conclusion = concluded(answers, "smtp")
    assert conclusion.starttls is not None
    assert (conclusion.starttls.verdict, conclusion.starttls.stage) == (Verdict.VIOLATION, Stage.TLS)
    assert conclusion.status is Status.MISMATCH


@pytest.mark.parametrize(
    "answers",
    [{TLS12: MALFORMED, TLS13: alert(40)}, {TLS12: MALFORMED, SHAKE: ALERTED}, {TLS12: CLOSED, SHAKE: BROKEN}],
)
def test_tls_that_breaks_its_grammar_once(answers: Answers) -> None:
    """A hello or an alert on another connection proves the go-ahead all the same."""
    conclusion = concluded(answers, "smtp")
    assert conclusion.starttls == GO_AHEAD
    assert conclusion.status is Status.TLS_FAILED


def test_a_go_ahead_that_was_our_own_words() -> None:
    """An echo agrees to everything."""
    conclusion = concluded({TLS12: ECHO}, "smtp")
    assert conclusion.starttls is not None
    assert (conclusion.starttls.verdict, conclusion.starttls.hint) == (Verdict.PROTOCOL_MISMATCH, "echo")
    assert conclusion.status is Status.MISMATCH


@pytest.mark.parametrize("verdict", [Verdict.CLOSED, Verdict.RESET])
@pytest.mark.parametrize(
    ("heard", "hint"),
    [(yes(TLS12), "tls"), (alert(70), "tls"), (PLAINTEXT, "smtp"), (CLOSED, None), (TIMEOUT, None), (REFUSED, None)],
)
def test_a_knock(verdict: Verdict, heard: Came, hint: str | None) -> None:
    """What answers a ClientHello, where plaintext was met with FIN or RST, is another than the service."""
    made = held({TLS12: turned_away(verdict)}, "imap")
    made.asides = [answer(Knock(), heard, upgraded=False)]
    conclusion = conclude(made)
    assert conclusion.starttls is not None
    assert conclusion.starttls.verdict == (Verdict.PROTOCOL_MISMATCH if hint else verdict)
    assert conclusion.starttls.hint == hint
    assert conclusion.status == (Status.MISMATCH if hint else Status.INCONCLUSIVE)
    assert conclusion.versions is None  # of the service, nothing is known


@pytest.mark.parametrize("service", ["smtp", "ftp", "nntp"])
def test_a_knock_that_is_greeted(service: str) -> None:
    """Who closes once, and then greets as the service may, is no other."""
    made = held({TLS12: turned_away(Verdict.RESET)}, service)
    made.asides = [answer(Knock(), PLAINTEXT, upgraded=False)]
    conclusion = conclude(made)
    assert conclusion.starttls is not None
    assert (conclusion.starttls.verdict, conclusion.starttls.hint) == (Verdict.RESET, None)


def test_what_was_said_in_place_of_tls() -> None:
    """The server's words after the go-ahead are better evidence than the go-ahead."""
    starttls = concluded({TLS12: PLAINTEXT}, "smtp").starttls
    assert starttls is not None
    assert (starttls.text, starttls.hint) == ("500 what?", "smtp")


@pytest.mark.parametrize(
    "came", [yes(TLS12), lower(TLS10), alert(40), HelloAnswer(Evidence.SSLV2_ERROR, error=1), SHAKEN, ALERTED, OURS]
)
def test_the_go_ahead_is_proved(came: Came) -> None:
    """Any record of TLS or SSL, an alert too, and on any connection, proves the go-ahead."""
    question = SHAKE if isinstance(came, Handshake) else TLS13
    assert concluded({TLS12: CLOSED, question: came}, "smtp").starttls == GO_AHEAD


def test_a_record_before_our_hello() -> None:
    """TLS before there was a ClientHello is no answer to it: a violation, whatever came after."""
    made = held({TLS12: yes(TLS12)}, "smtp")
    made.answers[0].early = b"\x15\x03\x01\x00\x02\x02\x28"
    conclusion = conclude(made)
    assert conclusion.starttls is not None
    assert (conclusion.starttls.verdict, conclusion.starttls.cause) == (Verdict.VIOLATION, "tls_before_client_hello")
    assert conclusion.early == made.answers[0].early
    assert conclusion.status is Status.TLS


def test_text_before_our_hello() -> None:
    """Injected text is kept, and changes no verdict."""
    made = held({TLS12: yes(TLS12)}, "smtp")
    made.answers[0].early = b"250 injected\r\n"
    assert conclude(made).starttls == GO_AHEAD
    assert conclude(made).early == b"250 injected\r\n"


@pytest.mark.parametrize(
    ("first", "others", "required"),
    [
        (None, [None, None], None),
        (None, [None, True], True),
        (None, [False, True], False),
        (True, [False], True),
        (False, [None], False),
    ],
)
def test_whether_tls_is_required(first: bool | None, others: list[bool | None], required: bool | None) -> None:
    """One connection is enough to know; the first one that does is believed."""
    made = held({TLS12: yes(TLS12), SHAKE: SHAKEN, TLS13: yes(TLS13)}, "smtp")
    for one, seen in zip(made.answers, [first, *others], strict=False):
        one.starttls = replace(GO_AHEAD, required=seen)
    conclusion = conclude(made)
    assert conclusion.starttls
    assert (conclusion.starttls.verdict, conclusion.starttls.required) == (Verdict.OK, required)


SHORT, WHOLE = Capabilities(("STARTTLS",), ()), Capabilities(("STARTTLS", "IDLE"), (), login_disabled=False)
DISABLED = Capabilities(("STARTTLS", "LOGINDISABLED"), (), login_disabled=True)


@pytest.mark.parametrize(
    ("first", "others", "before"),
    [
        (SHORT, [WHOLE, SHORT], WHOLE),
        (SHORT, [SHORT, DISABLED], DISABLED),
        (SHORT, [None, SHORT], SHORT),
        (WHOLE, [DISABLED, SHORT], WHOLE),
        (None, [WHOLE, SHORT], None),
    ],
)
def test_a_list_that_tells_more(
    first: Capabilities | None, others: list[Capabilities | None], before: Capabilities | None
) -> None:
    """The list of a greeting gives way to the whole one, which the connection that inquires has asked for."""
    made = held({TLS12: yes(TLS12), SHAKE: SHAKEN, TLS13: yes(TLS13)}, "imap")
    for one, seen in zip(made.answers, [first, *others], strict=True):
        one.starttls = replace(GO_AHEAD, before=seen)
    conclusion = conclude(made)
    assert conclusion.starttls
    assert conclusion.starttls.before == before


def test_required_though_nothing_more_came_of_it() -> None:
    """A connection that was turned away behind the inquiry has told as much, and no verdict hangs on it."""
    conclusion = concluded({TLS12: yes(TLS12), SHAKE: turned_away(Verdict.CLOSED, required=True)}, "smtp")
    assert conclusion.starttls == replace(GO_AHEAD, required=True)
    assert not conclusion.inconsistent


def test_the_first_dialogue_speaks_for_all() -> None:
    """What the first connection met is the verdict; that later ones were turned away is a flag."""
    conclusion = concluded({TLS12: yes(TLS12), TLS13: turned_away(Verdict.RATE_LIMITED)}, "smtp")
    assert conclusion.starttls == GO_AHEAD
    assert conclusion.flags == {Flag.THROTTLED}


@pytest.mark.parametrize(
    ("service", "later", "throttled"),
    [
        ("smtp", turned_away(Verdict.UNAVAILABLE), True),
        ("smtp", turned_away(Verdict.RESET, Stage.GREETING), True),
        ("smtp", REFUSED, True),
        ("https", REFUSED, True),
        ("https", NO_DESCRIPTORS, False),
        ("https", CLOSED, False),
    ],
)
def test_turned_away_later(service: str, later: Came, throttled: bool) -> None:
    """A later connection that did not get as far as the first one was too much, unless the limit is ours."""
    flags = concluded({TLS12: yes(TLS12), TLS13: later}, service).flags
    assert (Flag.THROTTLED in flags) == throttled


def test_no_capabilities_inside() -> None:
    """Capabilities in plaintext and none inside are worth a flag."""
    for capabilities, flags in ((None, {Flag.CAPABILITIES_MISSING_INSIDE}), (Capabilities(("SIZE",), ()), set())):
        made = held({TLS12: yes(TLS12), SHAKE: SHAKEN}, "smtp")
        before = turned_away(Verdict.OK, before=Capabilities(("STARTTLS",), ()))
        for each in made.answers:
            each.starttls = before
        made.answers[1].inside = Inside(capabilities)
        assert conclude(made).flags == flags


# Why there is no handshake

ERRORS: dict[str, tuple[str, Answers, Outcome | None]] = {
    "it was done": ("https", {TLS12: yes(TLS12), SHAKE: SHAKEN}, None),
    "it failed": ("https", {TLS12: yes(TLS12), SHAKE: ALERTED}, ALERTED.failure),
    "no connection": ("https", {TLS12: REFUSED}, REFUSED),
    "no connection later": ("https", {TLS12: yes(TLS12), SHAKE: REFUSED}, REFUSED),
    "no go-ahead": (
        "smtp",
        {TLS12: turned_away(Verdict.NOT_OFFERED, text="no")},
        Outcome(Verdict.NOT_OFFERED, Stage.REPLY, detail="no"),
    ),
    "silence": ("https", {TLS12: TIMEOUT}, Outcome(Verdict.TIMEOUT, Stage.TLS)),
    "a tarpit": ("https", {TLS12: HelloAnswer(Evidence.TIMEOUT, tarpit=True)}, Outcome(Verdict.TARPIT, Stage.TLS)),
    "closed": ("https", {TLS12: CLOSED}, Outcome(Verdict.CLOSED, Stage.TLS)),
    "reset": ("https", {TLS12: RESET}, Outcome(Verdict.RESET, Stage.TLS)),
    "another protocol": (
        "https",
        {TLS12: PLAINTEXT},
        Outcome(Verdict.PROTOCOL_MISMATCH, Stage.TLS, "plaintext", "smtp", detail="500 what?"),
    ),
    "garbage": ("https", {TLS12: GARBAGE}, Outcome(Verdict.VIOLATION, Stage.TLS, "garbage", detail="\\xff")),
    "an echo": ("https", {TLS12: ECHO}, Outcome(Verdict.PROTOCOL_MISMATCH, Stage.TLS, "garbage", "echo")),
    "it was not reached": ("https", {TLS12: yes(TLS12)}, None),
}


@pytest.mark.parametrize(("service", "answers", "error"), ERRORS.values(), ids=ERRORS)
def test_errors(service: str, answers: Answers, error: Outcome | None) -> None:
    """What kept the handshake from being done."""
    assert concluded(answers, service).error == error


# The order of answers

HELLOS = [*WITH_CONTROL, GARBAGE, alert(40), alert(70), lower(SSL3), lower(TLS10), REFUSED, NO_DESCRIPTORS]
SHAKES = [SHAKEN, SHAKEN_13, ALERTED, OURS, silent("eof", Verdict.CLOSED), REFUSED]


@st.composite
def later_answers(draw: st.DrawFn) -> Answers:
    """Answers to some of the questions after the first."""
    questions: list[Any] = draw(st.lists(st.sampled_from([SSL2, SSL3, TLS10, TLS13, SHAKE]), unique=True, min_size=2))
    answers: Answers = {}
    for question in questions:
        choices: list[Any] = SHAKES if question is SHAKE else [*HELLOS, yes(question)]
        answers[question] = draw(st.sampled_from(choices))
    return answers


def no_rate_limit(answers: Answers) -> bool:
    return list(answers.values()).count(TIMEOUT) < 3


@given(
    later=later_answers().filter(no_rate_limit),
    first=st.sampled_from([yes(TLS12), alert(40), CLOSED, GARBAGE]),
    data=st.data(),
)
@pytest.mark.parametrize("service", ["smtp", "https"])
@settings(max_examples=150, deadline=None, derandomize=True)
def test_the_order_of_answers_does_not_matter(service: str, later: Answers, first: Came, data: st.DataObject) -> None:
    """Behind the first answer the others may come in any order, but for three silences in a row, which tell more.

    Only what turned us away first is told of a look that was throttled.
    """
    straight = replace(concluded({TLS12: first, **later}, service), look=None)
    every = list(permutations(later.items()))
    for order in data.draw(st.lists(st.sampled_from(every), max_size=6)):
        assert replace(concluded({TLS12: first, **dict(order)}, service), look=None) == straight


@pytest.mark.parametrize(
    ("service", "text"),
    [
        ("submissions", "421 4.3.2 Service not available"),
        ("imaps", "* BYE Server shutting down"),
        ("pop3s", "-ERR [SYS/TEMP] not now"),
        ("nntps", "400 load at 20"),
    ],
)
def test_an_unavailable_server_speaks_plaintext_where_tls_is_due(service: str, text: str) -> None:
    """That is worth another look, and no port in the wrong mode."""
    conclusion = concluded({TLS12: HelloAnswer(Evidence.PLAINTEXT, text=text, hint="smtp")}, service)
    assert conclusion.status is Status.INCONCLUSIVE
    assert conclusion.look
    assert (conclusion.look.verdict, conclusion.look.text) == (Verdict.UNAVAILABLE, text)


def test_busy_behind_the_go_ahead() -> None:
    """Words of load in place of TLS are no broken promise."""
    busy = HelloAnswer(Evidence.PLAINTEXT, text="421 too many TLS sessions")
    made = held({TLS12: busy}, "smtp")
    made.looks.append(Look(0.0, Verdict.ACCEPTED_NO_TLS, Stage.TLS))
    conclusion = conclude(made)
    assert conclusion.starttls
    assert (conclusion.status, conclusion.starttls.verdict) == (Status.INCONCLUSIVE, Verdict.RATE_LIMITED)


def test_a_look_that_was_throttled_tells_what_turned_us_away() -> None:
    """The verdict on STARTTLS stands; what the look met in the middle is its evidence, and its pause."""
    busy = turned_away(Verdict.RATE_LIMITED, Stage.GREETING, code="421", text="421 try again in 10 minutes")
    conclusion = concluded({TLS12: yes(TLS12), TLS13: busy}, "smtp")
    assert conclusion.starttls
    assert conclusion.starttls.verdict is Verdict.OK
    assert conclusion.look
    assert (conclusion.look.verdict, conclusion.look.code, conclusion.look.asked_s) == (
        Verdict.RATE_LIMITED,
        "421",
        600,
    )
    assert conclusion.look.throttled


def test_our_limit_in_the_middle_is_worth_another_look() -> None:
    """What we could not ask is asked later."""
    conclusion = concluded({TLS12: yes(TLS12), TLS13: NO_DESCRIPTORS}, "smtp")
    assert conclusion.look
    assert (conclusion.look.limited, conclusion.look.throttled) == (True, False)


def test_a_poorer_look_takes_nothing_away() -> None:
    """A list that was told at an earlier look stays told; and somebody who had answered is not unreachable."""
    told = turned_away(Verdict.REFUSED_TEMPORARY, before=Capabilities(("STARTTLS",), ("PLAIN",)), required=False)
    made = held({TLS12: told}, "smtp")
    look = conclude(made).look
    assert look
    made.look_again(look)
    made.take(answer(asked(TLS12), REFUSED, upgraded=True))
    conclusion = conclude(made)
    assert conclusion.status is Status.INCONCLUSIVE
    assert conclusion.starttls
    assert (conclusion.starttls.verdict, conclusion.starttls.required) == (Verdict.UNREACHABLE, False)
    assert conclusion.starttls.before
    assert conclusion.starttls.before.auth == ("PLAIN",)


def test_a_busy_server_speaks_plaintext_where_tls_is_due() -> None:
    """vsftpd and ngIRCd do, on their ports with implicit TLS: that is no port in the wrong mode."""
    for text in (
        "421 There are too many connected users, please try later.",
        "ERROR :Connection refused, too many connections from your IP address",
    ):
        busy = HelloAnswer(Evidence.PLAINTEXT, text=text, hint="smtp")
        conclusion = concluded({TLS12: busy}, "ftps")
        assert conclusion.status is Status.INCONCLUSIVE
        assert conclusion.error
        assert (conclusion.error.verdict, conclusion.error.hint) == (Verdict.RATE_LIMITED, None)
        assert conclusion.look
        assert conclusion.look.verdict is Verdict.RATE_LIMITED
        shaken = Handshake(failure=Outcome(Verdict.PROTOCOL_MISMATCH, Stage.TLS, "plaintext", "smtp", detail=text))
        later = concluded({TLS12: yes(TLS12), SHAKE: shaken}, "ftps")
        assert later.error
        assert (later.status, later.error.verdict) == (Status.TLS, Verdict.RATE_LIMITED)
