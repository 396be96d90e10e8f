"""Which questions are asked, given the answers so far."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.looks import Look
from scanner.outcome import Outcome, Stage, Verdict
from scanner.question import Knock, Negotiate, OfferVersion, Question
from scanner.starttls.result import StartTls
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.handshake import Handshake
from scanner.tls.names import Version
from targets.services import Service
from tests.scanner.answers import (
    ALERTED,
    CLOSED,
    ECHO,
    GARBAGE,
    NO_DESCRIPTORS,
    OURS,
    PLAINTEXT,
    REFUSED,
    RESET,
    SHAKEN,
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
from tests.scanner.recorded import STARTTLS

FIRST = OfferVersion(Version.TLS1_2)
CONFIRMATION = Negotiate()
REST: list[Question] = [
    OfferVersion(Version.TLS1_3),
    OfferVersion(Version.TLS1_1),
    OfferVersion(Version.TLS1_0),
    OfferVersion(Version.SSLV3),
    OfferVersion(Version.SSLV2),
    Negotiate(),
]
BOTH_MODES = pytest.mark.parametrize("service", ["smtp", "https"])
SILENT_HANDSHAKE = silent("timeout", Verdict.TIMEOUT)
TEXT_IN_PLACE = Handshake(failure=Outcome(Verdict.VIOLATION, Stage.TLS, "plaintext", detail="no"))

ENCOURAGING: list[Came] = [yes(Version.TLS1_2), lower(Version.TLS1_0), alert(40), alert(70), CLOSED, RESET, GARBAGE]
DISCOURAGING: list[Came] = [TIMEOUT, HelloAnswer(Evidence.TIMEOUT, tarpit=True), PLAINTEXT, ECHO]
NOT_AT_TLS: list[Came] = [REFUSED, NO_DESCRIPTORS]


def after(service: str, *came: Came) -> list[list[Question]]:
    """The questions at the beginning and after each answer, when each question gets the next of these answers."""
    held = interview(service)
    rounds = [held.begin()]
    for each in came:
        (question,) = rounds[-1]
        rounds.append(held.take(answer(question, each, upgraded=service == "smtp")))
    assert held.over == (not rounds[-1])
    return rounds


@BOTH_MODES
def test_one_question_first(service: str) -> None:
    """The first question is asked alone, and is for TLS 1.2."""
    held = interview(service)
    assert held.begin() == [FIRST]
    assert not held.over


@BOTH_MODES
@pytest.mark.parametrize("came", ENCOURAGING)
def test_then_all_others(service: str, came: Came) -> None:
    """Whoever answers, or at least closes, is asked all other questions at once, the newest version first."""
    assert after(service, came) == [[FIRST], REST]


@BOTH_MODES
@pytest.mark.parametrize("came", NOT_AT_TLS)
def test_no_connection_no_more_questions(service: str, came: Came) -> None:
    """Where there is no connection there is one attempt."""
    assert after(service, came) == [[FIRST], []]


@pytest.mark.parametrize("came", DISCOURAGING)
def test_silence_or_text_in_implicit_mode(came: Came) -> None:
    """Silence, or another protocol, where TLS is due from the first byte: one connection."""
    assert after("https", came) == [[FIRST], []]


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.OK])
def test_no_go_ahead(verdict: Verdict) -> None:
    """Without a go-ahead there is nothing to ask of TLS."""
    assert after("smtp", turned_away(verdict)) == [[FIRST], []]


SILENT_ENDS = [turned_away(verdict, text=text) for verdict in (Verdict.CLOSED, Verdict.RESET) for text in (None, "421")]


@pytest.mark.parametrize("came", SILENT_ENDS)
@pytest.mark.parametrize("service", STARTTLS.values(), ids=STARTTLS)
@pytest.mark.parametrize("stage", [Stage.GREETING, Stage.CAPABILITIES])
def test_who_closes_in_silence_is_knocked_at(service: Service, came: StartTls, stage: Stage) -> None:
    """Where the client begins, or a greeting was due, a server of TLS closes so: one connection more tells, once."""
    came = replace(came, stage=stage)
    made = interview(service.name)
    client_begins = service.protocol not in ("smtp", "lmtp", "imap", "pop3", "sieve", "ftp", "nntp", "mysql", "telnet")
    silent = came.text is None and (client_begins or stage is Stage.GREETING)
    (first,) = made.begin()
    questions = made.take(answer(first, came, upgraded=True))
    assert questions == ([Knock()] if silent else [])
    assert made.over == (not questions)
    for question in questions:
        assert made.take(answer(question, CLOSED, upgraded=False)) == []
    assert made.over
    made.look_again(Look(0.0, Verdict.CLOSED, Stage.GREETING))
    assert made.take(answer(first, came, upgraded=True)) == []
    assert made.over


@pytest.mark.parametrize("first", DISCOURAGING)
@pytest.mark.parametrize("second", [SILENT_HANDSHAKE, TEXT_IN_PLACE, REFUSED, turned_away(Verdict.RATE_LIMITED)])
def test_a_broken_promise_is_looked_at_once_more(first: Came, second: Came) -> None:
    """Behind a go-ahead, silence or text is confirmed by another kind of hello, once."""
    assert after("smtp", first, second) == [[FIRST], [CONFIRMATION], []]


@pytest.mark.parametrize("second", [SHAKEN, ALERTED, OURS, silent("eof", Verdict.CLOSED)])
def test_a_second_look_that_finds_tls(second: Came) -> None:
    """When the other hello is answered, the rest is asked, and nothing twice."""
    assert after("smtp", TIMEOUT, second) == [[FIRST], [CONFIRMATION], REST[:-1]]


@pytest.mark.parametrize(
    ("versions", "first", "rest"),
    [
        ((), None, []),
        ((Version.TLS1_2,), Version.TLS1_2, [None]),
        ((Version.SSLV2,), Version.SSLV2, [None]),
        ((Version.TLS1_0, Version.TLS1_3), Version.TLS1_3, [Version.TLS1_0, None]),
        ((Version.SSLV3, Version.TLS1_1), Version.TLS1_1, [Version.SSLV3, None]),
        ((Version.SSLV2, Version.SSLV3), Version.SSLV3, [Version.SSLV2, None]),
    ],
)
def test_versions_that_were_asked_for(
    versions: tuple[Version, ...], first: Version | None, rest: list[Version | None]
) -> None:
    """Only these versions are asked for, the likeliest first; none at all is the handshake alone."""
    held = interview(versions=versions)
    assert held.begin() == [asked(first)]
    came = yes(first) if first else SHAKEN
    assert held.take(answer(asked(first), came, upgraded=False)) == [asked(each) for each in rest]


@given(data=st.data())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_answers(data: st.DataObject) -> None:
    """Whatever is answered, in whatever order, no question is asked twice, and the interview comes to an end."""
    versions = tuple(data.draw(st.lists(st.sampled_from(Version), unique=True)))
    service = data.draw(st.sampled_from(["smtp", "https"]))
    hellos = [*ENCOURAGING, *DISCOURAGING, *NOT_AT_TLS, turned_away(Verdict.UNAVAILABLE)]
    shakes = [SHAKEN, ALERTED, OURS, SILENT_HANDSHAKE, TEXT_IN_PLACE, *NOT_AT_TLS]
    held = interview(service, versions)
    pending, asked_so_far = held.begin(), list[Question]()
    while pending:
        asked_so_far.append(pending.pop(data.draw(st.integers(0, len(pending) - 1))))
        kinds = shakes if isinstance(asked_so_far[-1], Negotiate) else hellos
        pending += held.take(answer(asked_so_far[-1], data.draw(st.sampled_from(kinds)), upgraded=service == "smtp"))
        assert held.over == (not pending)
    assert len(set(asked_so_far)) == len(asked_so_far) <= len(versions) + 1
    assert len(held.answers) == len(asked_so_far)


def test_a_bug_ends_it() -> None:
    """A bug of ours in one question ends the interview."""
    held = interview()
    held.begin()
    held.error = "KeyError: 'x'"
    assert held.over
