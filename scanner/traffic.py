"""Connections in flight, and what became of the others: what each came to, and how long its steps took.

Pure. Every connection has one end: it was answered, or it met an error, which has a stage and a kind. What is answered
is a result, though it be a refusal or an alert; an error is what kept a question from having one.
"""

from itertools import islice

from scanner.dialogue import End
from scanner.histogram import Histogram
from scanner.outcome import Outcome, Stage, Verdict
from scanner.question import Answer
from scanner.tls.exchange import Evidence
from targets.services import Mode, Service
from targets.target import Endpoint

CUT_OFF = "cut_off"  # by the end of the run
INTERNAL_ERROR = "internal_error"

_RESULTS = {
    Verdict.OK,
    Verdict.NOT_OFFERED,
    Verdict.REFUSED_TEMPORARY,
    Verdict.REFUSED_POLICY,
    Verdict.REFUSED_PERMANENT,
    Verdict.REFUSED_SERVER_ERROR,
    Verdict.REFUSED_SESSION,
}
_OF_HELLOS = {Evidence.CLOSED, Evidence.RESET, Evidence.TIMEOUT, Evidence.PLAINTEXT, Evidence.GARBAGE}
_OF_TALKS = {
    End.EOF: Verdict.CLOSED,
    End.RESET: Verdict.RESET,
    End.TIMEOUT: Verdict.TIMEOUT,
    End.DEADLINE: Verdict.TARPIT,
    End.CAP: Verdict.LIMIT_EXCEEDED,
}
_NEXT_STAGES = {"connect": Stage.GREETING, "greeting": Stage.REPLY, "upgrade": Stage.TLS}


class Traffic:
    """All connections of an engine: those in flight, oldest first, and what became of the others."""

    def __init__(self) -> None:
        self._in_flight: dict[int, tuple[Endpoint, Answer]] = {}
        self.answered = 0
        self.errors: dict[str, dict[str, int]] = {}  # by stage and kind
        self._times: dict[tuple[str, str], Histogram] = {}  # by step and service

    def __len__(self) -> int:
        """How many are in flight."""
        return len(self._in_flight)

    def begin(self, endpoint: Endpoint, answer: Answer) -> None:
        """A connection is opened."""
        self._in_flight[id(answer)] = endpoint, answer

    def end(self, endpoint: Endpoint, answer: Answer, failed: str | None = None) -> None:
        """It is over; `failed` is why it was not brought to its end."""
        del self._in_flight[id(answer)]
        error = (stage_of(answer, endpoint.service), failed) if failed else error_of(answer)
        if error is None:
            self.answered += 1
        else:
            kinds = self.errors.setdefault(error[0], {})
            kinds[error[1]] = kinds.get(error[1], 0) + 1
        in_vain = error is not None and error[0] == Stage.TLS  # then the last step was waited for so long
        for step, took_ms in answer.timings_ms.items():
            if step in _NEXT_STAGES or not in_vain:
                key = step, endpoint.service.name
                if (histogram := self._times.get(key)) is None:
                    histogram = self._times[key] = Histogram()
                histogram.observe(took_ms)

    def oldest(self, most: int) -> list[tuple[Endpoint, Answer]]:
        """Those that have been in flight for longest."""
        return list(islice(self._in_flight.values(), most))

    def times(self) -> dict[str, dict[str, list[int]]]:
        """How long each step took, by step and service, as numbers of a Histogram."""
        times: dict[str, dict[str, list[int]]] = {}
        for (step, service), histogram in self._times.items():
            times.setdefault(step, {})[service] = histogram.numbers()
        return times


def error_of(answer: Answer) -> tuple[str, str] | None:
    """The stage and the kind of what kept it from an answer; None where it has one."""
    if answer.failure:
        return _of(answer.failure)
    if (said := answer.starttls) and not said.go_ahead:
        return None if said.verdict in _RESULTS else (said.stage.value, said.verdict.value)
    if answer.hello:
        evidence = answer.hello.evidence
        return (Stage.TLS.value, evidence.value) if evidence in _OF_HELLOS else None
    if answer.handshake and answer.handshake.failure:
        return _of(answer.handshake.failure)
    if answer.inside and answer.inside.stopped:
        return Stage.INSIDE.value, answer.inside.stopped.value
    if answer.injection and answer.injection.verdict not in _RESULTS:
        return Stage.INSIDE.value, answer.injection.verdict.value
    return (Stage.TLS.value, _OF_TALKS[answer.end].value) if answer.end else None


def _of(failure: Outcome) -> tuple[str, str]:
    """Where there is no connection, the cause says more than the verdict."""
    is_connect = failure.stage is Stage.CONNECT and failure.cause is not None
    return failure.stage.value, failure.cause if is_connect and failure.cause else failure.verdict.value


def stage_of(answer: Answer, service: Service) -> str:
    """How far a connection has come that is not over, or was not brought to its end."""
    if answer.hello or answer.handshake:
        return Stage.INSIDE.value
    last = next(reversed(answer.timings_ms), None)
    if last == "connect" and service.mode is Mode.IMPLICIT:
        return Stage.TLS.value
    return (_NEXT_STAGES.get(last, Stage.TLS) if last else Stage.CONNECT).value
