"""What became of each connection is counted once, and how long its steps took, by service."""

import pytest

from scanner.dialogue import End
from scanner.histogram import BOUNDS_MS
from scanner.outcome import Outcome, Stage, Verdict
from scanner.question import Answer, OfferVersion
from scanner.starttls.injection import Injection, InjectionResult
from scanner.starttls.result import Inside, StartTls
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.handshake import Handshake
from scanner.tls.names import Version
from scanner.traffic import CUT_OFF, INTERNAL_ERROR, Traffic, error_of, stage_of
from targets.services import SERVICES
from targets.target import Endpoint, Origin

ENDPOINT = Endpoint(Origin("x"), None, "192.0.2.1", 25, SERVICES["smtp"])


def answer(**known: object) -> Answer:
    """What is known of a connection."""
    return Answer(OfferVersion(Version.TLS1_2), 0.0, **known)  # type: ignore[arg-type]


GO_AHEAD = StartTls(Verdict.OK, Stage.REPLY)
REFUSED = Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "refused")
NO_DESCRIPTORS = Outcome(Verdict.LOCAL_LIMITATION, Stage.CONNECT, "no_descriptors", detail="Too many open files")
ERRORS: list[tuple[dict[str, object], tuple[str, str] | None]] = [
    ({"failure": REFUSED}, ("connect", "refused")),
    ({"failure": NO_DESCRIPTORS}, ("connect", "no_descriptors")),
    ({"starttls": StartTls(Verdict.TIMEOUT, Stage.GREETING, "timeout")}, ("greeting", "timeout")),
    ({"starttls": StartTls(Verdict.RATE_LIMITED, Stage.GREETING)}, ("greeting", "rate_limited")),
    ({"starttls": StartTls(Verdict.NOT_OFFERED, Stage.CAPABILITIES)}, None),
    ({"starttls": StartTls(Verdict.REFUSED_POLICY, Stage.REPLY)}, None),
    ({"starttls": GO_AHEAD, "hello": HelloAnswer(Evidence.RESET)}, ("tls", "reset")),
    ({"starttls": GO_AHEAD, "hello": HelloAnswer(Evidence.ALERT, alert=40)}, None),
    ({"hello": HelloAnswer(Evidence.SERVER_HELLO)}, None),
    ({"handshake": Handshake()}, None),
    ({"handshake": Handshake(failure=Outcome(Verdict.TIMEOUT, Stage.TLS, "timeout"))}, ("tls", "timeout")),
    (
        {"handshake": Handshake(failure=Outcome(Verdict.LOCAL_LIMITATION, Stage.TLS, "no_cipher"))},
        ("tls", "local_limitation"),
    ),
    ({"handshake": Handshake(), "inside": Inside(None, Verdict.CLOSED)}, ("inside", "closed")),
    ({"handshake": Handshake(), "injection": Injection(InjectionResult.NO)}, None),
    (
        {"handshake": Handshake(), "injection": Injection(InjectionResult.UNKNOWN, Verdict.RESET)},
        ("inside", "reset"),
    ),
    ({"end": End.TIMEOUT}, ("tls", "timeout")),
    ({"found": object()}, None),
]


@pytest.mark.parametrize(("known", "error"), ERRORS)
def test_errors(known: dict[str, object], error: tuple[str, str] | None) -> None:
    """A refusal, an alert and a capability that is missing are answers; what keeps from one has a stage and a kind."""
    assert error_of(answer(**known)) == error


@pytest.mark.parametrize(
    ("known", "stage"),
    [
        ({}, "connect"),
        ({"timings_ms": {"connect": 1}}, "greeting"),
        ({"timings_ms": {"connect": 1, "greeting": 2}}, "reply"),
        ({"timings_ms": {"connect": 1, "greeting": 2, "upgrade": 3}}, "tls"),
        ({"timings_ms": {"connect": 1, "handshake": 2}, "handshake": Handshake()}, "inside"),
    ],
)
def test_stages(known: dict[str, object], stage: str) -> None:
    """How far a connection has come is told by the steps that it has made."""
    assert stage_of(answer(**known), ENDPOINT.service) == stage


def test_implicit_tls_has_no_greeting() -> None:
    """Behind the connection comes TLS at once."""
    assert stage_of(answer(timings_ms={"connect": 1}), SERVICES["https"]) == "tls"


def test_every_connection_has_one_end() -> None:
    """All that were begun are in flight, answered or in error."""
    traffic = Traffic()
    ends: list[tuple[dict[str, object], str | None]] = [
        ({}, INTERNAL_ERROR),
        ({"timings_ms": {"connect": 7}}, CUT_OFF),
        *((known, None) for known, _ in ERRORS),
    ]
    answers = [(answer(**known), failed) for known, failed in ends]
    for each, _ in answers:
        traffic.begin(ENDPOINT, each)
    assert (len(traffic), traffic.oldest(2)) == (len(ends), [(ENDPOINT, answers[0][0]), (ENDPOINT, answers[1][0])])
    for each, failed in reversed(answers):
        traffic.end(ENDPOINT, each, failed)
    assert len(traffic) == 0
    assert traffic.answered == sum(error is None for _, error in ERRORS)
    assert traffic.answered + sum(sum(kinds.values()) for kinds in traffic.errors.values()) == len(ends)
    assert traffic.errors["connect"] == {"refused": 1, "no_descriptors": 1, "internal_error": 1}
    assert traffic.errors["greeting"] == {"timeout": 1, "rate_limited": 1, "cut_off": 1}


def test_times() -> None:
    """Steps that came to something, by service; what was waited for in vain tells of our timeouts alone."""
    traffic = Traffic()
    for known in (
        {"timings_ms": {"connect": 3, "hello": 40}, "hello": HelloAnswer(Evidence.ALERT, alert=70)},
        {"timings_ms": {"connect": 2, "hello": 15_000}, "hello": HelloAnswer(Evidence.TIMEOUT)},
        {"timings_ms": {"connect": 50_000, "greeting": 0}, "starttls": StartTls(Verdict.CLOSED, Stage.REPLY)},
        {"timings_ms": {"handshake": 9}, "handshake": Handshake(), "inside": Inside(None, Verdict.TIMEOUT)},
        {"timings_ms": {"handshake": 1}, "handshake": Handshake(failure=Outcome(Verdict.CLOSED, Stage.TLS))},
    ):
        each = answer(**known)
        traffic.begin(ENDPOINT, each)
        traffic.end(ENDPOINT, each)
    times = {step: by_service["smtp"] for step, by_service in traffic.times().items()}
    assert {step: (sum(numbers[:-1]), numbers[-1]) for step, numbers in times.items()} == {
        "connect": (3, 50_005),
        "hello": (1, 40),
        "greeting": (1, 0),
        "handshake": (1, 9),
    }
    assert [times["connect"][place] for place in (BOUNDS_MS.index(2), BOUNDS_MS.index(5), -2)] == [1, 1, 1]
