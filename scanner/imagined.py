"""How many connections an interview takes: it is held with a server that is only imagined, and speaks what is usual.

That is TLS 1.2 and 1.3, after a go-ahead where there is one. An address that does not answer gets one connection, and
one more at each later look at its silence.
"""

from collections import deque
from dataclasses import replace
from functools import cache

from scanner.interview import Interview
from scanner.looks import Look, pause_after
from scanner.outcome import Stage, Verdict
from scanner.probes import PROBES
from scanner.question import Answer, Negotiate, OfferVersion, Question, Wanted
from scanner.starttls.result import StartTls
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.handshake import Handshake
from scanner.tls.names import Version
from targets.services import Mode, Service
from targets.target import Endpoint, Origin

USUAL = (Version.TLS1_2, Version.TLS1_3)
_CIPHERS = {Version.TLS1_2: 0xC02F, Version.TLS1_3: 0x1301}
_PROTOCOL_VERSION = 70  # the alert (RFC 8446 §6.2)


@cache
def connections_of(service: Service, wanted: Wanted) -> int:
    """Those of one look at a usual server."""
    endpoint = Endpoint(Origin("imagined"), "mx.example.org", "192.0.2.1", service.port or 1, service)
    interview = Interview(endpoint, replace(wanted, probes=()))
    asked, count = deque(interview.begin()), 0
    while asked:
        count += 1
        asked += interview.take(_answered(asked.popleft(), service))
    return count + sum(PROBES[name].usual for name in wanted.probes)


def pauses_of_silence(retries: int) -> list[float]:
    """How long an address is left alone that never answers, before each later look at it, which is one connection."""
    looks: list[Look] = []
    pauses: list[float] = []
    silence = Look(0.0, Verdict.UNREACHABLE, Stage.CONNECT, "timeout")
    while pause := pause_after(silence, looks, retries):
        looks.append(silence)
        pauses.append(pause.seconds)
    return pauses


def _answered(question: Question, service: Service) -> Answer:
    answer = Answer(question, started=0.0)
    if service.mode is Mode.STARTTLS:
        answer.starttls = StartTls(Verdict.OK, Stage.REPLY, advertised=True)
    match question:
        case OfferVersion(version=version) if version in USUAL:
            answer.hello = HelloAnswer(Evidence.SERVER_HELLO, version=version.code, cipher=_CIPHERS[version])
        case OfferVersion():
            answer.hello = HelloAnswer(Evidence.ALERT, alert=_PROTOCOL_VERSION)
        case Negotiate():
            newest = USUAL[-1]
            answer.handshake = Handshake(version=newest, cipher=_CIPHERS[newest])
        case _:
            pass  # what is asked besides needs no answer, to be counted
    return answer
