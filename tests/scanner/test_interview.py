"""Which questions are asked, given the answers so far."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.ladder import MOST_RUNGS
from scanner.looks import Look
from scanner.outcome import Outcome, Stage, Verdict
from scanner.question import Knock, Negotiate, OfferVersion, Question
from scanner.starttls.result import StartTls
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.handshake import Handshake
from scanner.tls.hello import Shape
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
SMALL = OfferVersion(Version.TLS1_2, Shape.SMALL)
REST: list[Question] = [
    OfferVersion(Version.TLS1_3),
    OfferVersion(Version.TLS1_1),
    OfferVersion(Version.TLS1_0),
    OfferVersion(Version.SSLV3),
    OfferVersion(Version.SSLV2),
    Negotiate(),
]
BOTH_MODES = pytest.mark.parametrize("service", ["smtp", "https"])
MADE_SURE_OF: set[Question] = {OfferVersion(Version.TLS1_3), Negotiate()}
SILENT_HANDSHAKE = silent("timeout", Verdict.TIMEOUT)
TEXT_IN_PLACE = Handshake(failure=Outcome(Verdict.VIOLATION, Stage.TLS, "plaintext", detail="no"))
TARPIT = HelloAnswer(Evidence.TIMEOUT, tarpit=True)

ENCOURAGING: list[Came] = [yes(Version.TLS1_2), lower(Version.TLS1_0), alert(40), alert(70), CLOSED, RESET, GARBAGE]
DISCOURAGING: list[Came] = [TIMEOUT, TARPIT, PLAINTEXT, ECHO]
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


@pytest.mark.parametrize("came", [TARPIT, PLAINTEXT, ECHO])
def test_text_in_implicit_mode(came: Came) -> None:
    """Another protocol, or bytes without end, where TLS is due from the first byte: one connection."""
    assert after("https", came) == [[FIRST], []]


@pytest.mark.parametrize("second", [TIMEOUT, TARPIT, PLAINTEXT, ECHO, REFUSED])
def test_silence_in_implicit_mode(second: Came) -> None:
    """Silence may be due to the length of the hello: it is met with a small one, once."""
    assert after("https", TIMEOUT, second) == [[FIRST], [SMALL], []]


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
@pytest.mark.parametrize("second", [*DISCOURAGING, REFUSED, turned_away(Verdict.RATE_LIMITED)])
def test_a_broken_promise_is_looked_at_once_more(first: Came, second: Came) -> None:
    """Behind a go-ahead, silence or text is confirmed by another hello, once."""
    assert after("smtp", first, second) == [[FIRST], [SMALL], []]


SMALL_REST: list[Question] = [
    *(OfferVersion(version, Shape.SMALL) for version in (Version.TLS1_3, Version.TLS1_1, Version.TLS1_0)),
    *(OfferVersion(version) for version in (Version.SSLV3, Version.SSLV2)),
    Negotiate(),
]


@BOTH_MODES
@pytest.mark.parametrize("second", [yes(Version.TLS1_2), lower(Version.TLS1_0), alert(40), alert(70)])
def test_a_small_hello_that_is_answered(service: str, second: Came) -> None:
    """Where the small hello alone is answered, so is the rest asked; SSL has one hello, and that is short."""
    assert after(service, TIMEOUT, second) == [[FIRST], [SMALL], SMALL_REST]


@BOTH_MODES
@pytest.mark.parametrize("second", [CLOSED, RESET, GARBAGE])
def test_an_end_behind_silence(service: str, second: Came) -> None:
    """Who was silent and then closes is asked the rest in the usual way: its length was no help."""
    assert after(service, TIMEOUT, second) == [[FIRST], [SMALL], REST]


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
    """Whatever is answered, in whatever order, the interview comes to an end.

    No hello is sent twice, but for the two that are made sure of: the one of TLS 1.3 with GREASE in it, and the long
    handshake.
    """
    versions = tuple(data.draw(st.lists(st.sampled_from(Version), unique=True)))
    service = data.draw(st.sampled_from(["smtp", "https"]))
    hellos = [*ENCOURAGING, *DISCOURAGING, *NOT_AT_TLS, turned_away(Verdict.UNAVAILABLE)]
    shakes = [SHAKEN, ALERTED, OURS, SILENT_HANDSHAKE, TEXT_IN_PLACE, *NOT_AT_TLS]
    held = interview(service, versions, economical=data.draw(st.booleans()))
    pending, asked_so_far = held.begin(), list[Question]()
    while pending:
        asked_so_far.append(pending.pop(data.draw(st.integers(0, len(pending) - 1))))
        kinds = shakes if isinstance(asked_so_far[-1], Negotiate) else hellos
        pending += held.take(answer(asked_so_far[-1], data.draw(st.sampled_from(kinds)), upgraded=service == "smtp"))
        assert held.over == (not pending)
    assert {question for question in asked_so_far if asked_so_far.count(question) > 1} <= MADE_SURE_OF
    assert all(asked_so_far.count(question) <= 2 for question in MADE_SURE_OF)
    assert len(asked_so_far) <= (1 + MOST_RUNGS) * len(versions) + 1 + 3 + 1
    assert len(held.answers) + len(held.asides) == len(asked_so_far)


@given(data=st.data())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_later_looks(data: st.DataObject) -> None:
    """Whatever was answered before, a later look asks something, keeps what was answered in TLS, and ends too."""
    service = data.draw(st.sampled_from(["smtp", "https"]))
    hellos = [*ENCOURAGING, *DISCOURAGING, *NOT_AT_TLS, turned_away(Verdict.UNAVAILABLE)]
    shakes = [SHAKEN, ALERTED, OURS, SILENT_HANDSHAKE, TEXT_IN_PLACE, *NOT_AT_TLS]
    held = interview(service, economical=data.draw(st.booleans()))
    pending, count = held.begin(), 0
    for looked in range(3):
        if looked:
            kept = [each for each in held.answers if (each.hello and each.hello.speaks_tls)]
            pending = held.look_again(Look(0.0, Verdict.RATE_LIMITED, Stage.TLS, throttled=True))
            assert pending
            assert all(each in held.answers for each in kept)
        while pending:
            question = pending.pop(data.draw(st.integers(0, len(pending) - 1)))
            came = data.draw(st.sampled_from(shakes if isinstance(question, Negotiate) else hellos))
            pending += held.take(answer(question, came, upgraded=service == "smtp"))
            count += 1
        assert held.over
    assert count <= 3 * ((1 + MOST_RUNGS) * len(Version) + 1 + 4)


def test_a_bug_ends_it() -> None:
    """A bug of ours in one question ends the interview."""
    held = interview()
    held.begin()
    held.error = "KeyError: 'x'"
    assert held.over
