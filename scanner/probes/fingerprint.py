"""`--fingerprint`: two fingerprints of a server's TLS, to tell whether others are set up alike: JARM and JA3S.

JARM sends ten odd hellos (`tls/jarm.py`) and hashes what the server chose: 62 characters, of which the first thirty
tell cipher and version by three characters a hello, 000 where there was no ServerHello, and the others are SHA-256 of
the names of ALPN and the numbers of extensions.

JA3S (Althouse, Atkinson, Atkins, 2018) is MD5 of version, cipher and extensions of one ServerHello. It depends on the
hello as much as on the server; so JARM's are taken, which stay what they are.

Where a hello met FIN or RST, which is how some servers refuse, it is said once more; met again, it counts as a refusal
if any other was answered. After silence, or half an answer, there is no JARM.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import md5, sha256
from typing import Any

from scanner.probes.probe import Known, Probe, Talked
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.hello import ENTROPY_BYTES, ServerHello
from scanner.tls.jarm import HELLOS, JarmExchange, JarmHello
from scanner.tls.talk import Talk, Whom
from scanner.tls.wire import Extension
from scanner.wire_text import printable

REFUSED = "|||"  # JARM's word for a hello that got no ServerHello
UNANSWERED = "0" * 62  # JARM of a server that refused all ten
_TIMES = 2  # that a hello is said which met FIN or RST
_BY_HANGING_UP = {Evidence.CLOSED, Evidence.RESET}
_UNTOLD = {*_BY_HANGING_UP, Evidence.TIMEOUT, Evidence.PLAINTEXT}  # text in place of TLS may speak of load
_FIRST_FOR_JA3S = "tls1_3_forward"

# JARM numbers the suites from 1 in this order, and gives the next number to every other.
_NUMBERED = tuple(sorted({code for hello in HELLOS for code in hello.suites if code >> 8 != 0x13}))
_NUMBERS = {code: number for number, code in enumerate((*_NUMBERED, *range(0x1301, 0x1306)), 1)}
_VERSIONS = {0x0300: "a", 0x0301: "b", 0x0302: "c", 0x0303: "d", 0x0304: "e"}


@dataclass(frozen=True, slots=True)
class SayJarm(Talk):
    """One of the ten hellos; what it comes to is a HelloAnswer."""

    hello: JarmHello

    def begin(self, whom: Whom) -> JarmExchange:
        """The exchange."""
        return JarmExchange(self.hello, whom.name, os.urandom(ENTROPY_BYTES), after_upgrade=whom.upgraded)


class Fingerprint(Probe):
    """See the head of the module."""

    name = "fingerprints"
    usual = 10
    help = "JARM and JA3S, to tell servers that are set up alike; ten connections, at most twenty."

    def ask(self, known: Known, talked: Sequence[Talked]) -> list[Talk]:
        """All ten at once; then again those that were hung up on."""
        del known
        if not talked:
            return [SayJarm(hello) for hello in HELLOS]
        answers = _answers(talked)
        if not any(map(_was_answered, answers.values())):
            return []
        return [SayJarm(hello) for hello in HELLOS if _is_worth_saying_again(answers[hello.name])]

    def result(self, known: Known, talked: Sequence[Talked]) -> dict[str, Any]:
        """`jarm`, `ja3s` with the hello that it is of, and what each of the ten came to."""
        del known
        answers = _answers(talked)
        controlled = any(map(_was_answered, answers.values()))
        told = {name: _decisive(each) for name, each in answers.items()}
        components = {name: _component(answers[name], controlled=controlled) for name in told}
        hellos = {name: answer.server_hello for name, answer in told.items() if answer and answer.server_hello}
        chosen = _FIRST_FOR_JA3S if _FIRST_FOR_JA3S in hellos else next(iter(hellos), None)
        jarm = jarm_of([hellos.get(name) for name in components]) if None not in components.values() else None
        return {
            **({} if jarm else {"complete": False}),
            "jarm": jarm,
            "ja3s": ja3s_of(hellos[chosen]) if chosen else None,
            "ja3s_hello": chosen,
            "hellos": [
                {
                    "hello": name,
                    "evidence": answer.evidence.value if answer else Evidence.NOT_REACHED.value,
                    "answer": components[name],
                    "ja3s": ja3s_of(hellos[name]) if name in hellos else None,
                }
                for name, answer in told.items()
            ],
        }


def jarm_of(hellos: Sequence[ServerHello | None]) -> str:
    """The fingerprint of these ten answers; None where a hello was refused."""
    if not any(hellos):
        return UNANSWERED
    chosen = (
        f"{_NUMBERS.get(each.cipher, 70):02x}{_VERSIONS[each.legacy_version]}" if each else "000" for each in hellos
    )
    rest = "".join(_alpn(each) + _extensions(each) for each in hellos if each)
    return "".join(chosen) + sha256(rest.encode()).hexdigest()[:32]


def ja3s_of(hello: ServerHello) -> str:
    """The fingerprint of one ServerHello."""
    text = f"{hello.legacy_version},{hello.cipher},{'-'.join(map(str, hello.extensions))}"
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def _alpn(hello: ServerHello) -> str:
    """The name that ALPN chose, behind two lengths (RFC 7301 §3.1)."""
    return hello.extensions.get(Extension.ALPN, b"")[3:].decode("utf-8", "backslashreplace")


def _extensions(hello: ServerHello) -> str:
    return "-".join(f"{kind:04x}" for kind in hello.extensions)


def _answers(talked: Sequence[Talked]) -> Mapping[str, list[HelloAnswer]]:
    """By the name of the hello, in the order of the ten."""
    answers: dict[str, list[HelloAnswer]] = {hello.name: [] for hello in HELLOS}
    for each in talked:
        if isinstance(each.talk, SayJarm) and isinstance(each.found, HelloAnswer):
            answers[each.talk.hello.name].append(each.found)
    return answers


def _decisive(answers: list[HelloAnswer]) -> HelloAnswer | None:
    """The answer that tells something, or the last one."""
    return next((each for each in answers if not _is_untold(each)), answers[-1] if answers else None)


def _component(answers: list[HelloAnswer], *, controlled: bool) -> str | None:
    """What JARM writes for a hello; None where nobody can tell."""
    answer = _decisive(answers)
    if answer is None:
        return None
    if hello := answer.server_hello:
        alpn = printable(_alpn(hello).encode())
        return f"{hello.cipher:04x}|{hello.legacy_version:04x}|{alpn}|{_extensions(hello)}"
    if not _is_untold(answer):
        return REFUSED
    return REFUSED if controlled and len(answers) == _TIMES and all(map(_was_hung_up, answers)) else None


def _is_untold(answer: HelloAnswer) -> bool:
    return answer.partial or answer.evidence in _UNTOLD


def _was_hung_up(answer: HelloAnswer) -> bool:
    return answer.evidence in _BY_HANGING_UP and not answer.partial


def _was_answered(answers: list[HelloAnswer]) -> bool:
    return any(each.server_hello for each in answers)


def _is_worth_saying_again(answers: list[HelloAnswer]) -> bool:
    return 0 < len(answers) < _TIMES and all(map(_was_hung_up, answers))
