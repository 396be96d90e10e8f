"""TLS_FALLBACK_SCSV (RFC 7507): who is refused, and what follows from that."""

from typing import Any

import pytest
from trio.testing import MockClock

from scanner.probes.fallback_scsv import FallbackScsv
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.hello import Shape, suites_of
from scanner.tls.names import Version
from scanner.tls.offer import Offer
from scanner.tls.suites import FALLBACK_SCSV
from scanner.tls.talk import SayHello
from tests.peers.tls_server import TlsServer
from tests.peers.tls_table import context_of
from tests.scanner.probes.asking import Says, alerted, asked, came, hello, known
from tests.scanner.tls.wire import HANDSHAKE, alert, record, server_hello

SSL2, SSL3, TLS10, TLS11, TLS12, TLS13 = Version
MISSING = "fallback-scsv-missing"
PROBE = FallbackScsv()


def told(*versions: Version, found: object) -> dict[str, Any]:
    """The result where these are spoken, and this came in answer."""
    met = known(*versions)
    return PROBE.result(met, came(PROBE.ask(met, []), found))


@pytest.mark.parametrize(
    ("lowest", "highest", "verdict", "version"),
    [
        (TLS10, TLS13, "yes", TLS12),
        (TLS12, TLS13, "yes", TLS12),
        (TLS10, TLS12, "yes", TLS11),
        (TLS10, TLS11, "yes", TLS10),
        (TLS12, TLS12, "not_applicable", None),
        (TLS13, TLS13, "not_applicable", None),
    ],
)
async def test_openssl(
    lowest: Version, highest: Version, verdict: str, version: Version | None, autojump_clock: MockClock
) -> None:
    """It refuses; one connection, and none where there is nothing to fall back to."""
    context = context_of(lowest, highest)
    without = await asked((), lambda: TlsServer(context=context), versions=tuple(Version))
    made = await asked("fallback_scsv", lambda: TlsServer(context=context), versions=tuple(Version))
    part = made["fallback_scsv"]
    assert (part["complete"], part["verdict"], part["version"]) == (True, verdict, version)
    assert (part["newest"], part["oldest"]) == (highest, lowest)
    assert part["alert"] == ("inappropriate_fallback" if version else None)
    assert made["connections"] - without["connections"] == (1 if version else 0)
    assert MISSING not in {finding["id"] for finding in made["findings"]}


async def test_a_server_that_does_not_know_of_it(autojump_clock: MockClock) -> None:
    """It goes on as if nothing were said."""
    said = record(HANDSHAKE, server_hello(0x0302, 0x002F))
    context = context_of(TLS10, TLS12)
    made = await asked(
        "fallback_scsv", lambda: TlsServer(context=context), besides=lambda: Says(said), versions=tuple(Version)
    )
    assert made["fallback_scsv"] == {
        "complete": True,
        "verdict": "no",
        "version": TLS11,
        "evidence": "server_hello",
        "alert": None,
        "newest": TLS12,
        "oldest": TLS10,
    }
    assert MISSING in {finding["id"] for finding in made["findings"]}


ANSWERS: dict[str, tuple[object, str, str | None, str | None]] = {
    "the alert for it": (alerted(86), "yes", "alert", "inappropriate_fallback"),
    "the version, which is spoken otherwise": (alerted(70), "yes", "alert", "protocol_version"),
    "another alert": (alerted(40), "unknown", "alert", "handshake_failure"),
    "a hello": (hello(TLS11), "no", "server_hello", None),
    "a hello of a lower version": (HelloAnswer(Evidence.LOWER_VERSION, 0x0301, 0x2F), "no", "lower_version", None),
    "a hello of a higher one": (HelloAnswer(Evidence.HIGHER_VERSION, 0x0303, 0x2F), "unknown", "higher_version", None),
    "silence": (HelloAnswer(Evidence.TIMEOUT), "unknown", "timeout", None),
    "FIN": (HelloAnswer(Evidence.CLOSED), "unknown", "closed", None),
    "RST": (HelloAnswer(Evidence.RESET), "unknown", "reset", None),
    "turned away": (None, "unknown", None, None),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_what_an_answer_means(case: str) -> None:
    """Only a hello of the version, or below, is a no; only these two alerts are a yes."""
    found, verdict, evidence, name = ANSWERS[case]
    part = told(TLS10, TLS11, TLS12, found=found)
    assert (part["verdict"], part["evidence"], part["alert"]) == (verdict, evidence, name)
    assert list(PROBE.findings(part)) == ([MISSING] if verdict == "no" else [])


@pytest.mark.parametrize(
    ("versions", "version", "finding"),
    [
        ((TLS10, TLS11, TLS12, TLS13), TLS12, True),
        ((TLS11, TLS13), TLS11, True),
        ((SSL3, TLS12), SSL3, True),
        ((TLS12, TLS13), TLS12, False),  # what TLS 1.3 has against it is in its random (RFC 8446 §4.1.3)
        ((TLS10, TLS11), TLS10, False),  # it is as bad without an attacker
        ((SSL2, TLS10, TLS12), TLS10, True),
    ],
)
def test_the_finding(versions: tuple[Version, ...], version: Version, finding: bool) -> None:
    """Where TLS 1.2 or newer is spoken, and something older; the newest but one is asked."""
    (talk,) = PROBE.ask(known(*versions), [])
    assert talk == SayHello(Offer(version, suites=(*suites_of(version, Shape.PLAIN), FALLBACK_SCSV)))
    part = told(*versions, found=hello(version))
    assert part["verdict"] == "no"
    assert list(PROBE.findings(part)) == ([MISSING] if finding else [])


@pytest.mark.parametrize("versions", [(), (SSL2,), (SSL2, TLS12), (SSL3,)])
def test_nothing_to_fall_back_to(versions: tuple[Version, ...]) -> None:
    """SSLv2 has no suites of two bytes."""
    assert PROBE.ask(known(*versions), []) == []
    assert PROBE.result(known(*versions), [])["verdict"] == "not_applicable"


async def test_silence_and_alerts_on_the_wire(autojump_clock: MockClock) -> None:
    """What is cut short is unknown."""
    context = context_of(TLS10, TLS12)
    whole = alert(2, 86) + record(HANDSHAKE, server_hello(0x0302, 0x002F))
    for size, verdict in ((0, "unknown"), (6, "unknown"), (7, "yes")):
        made = await asked(
            "fallback_scsv",
            lambda: TlsServer(context=context),
            besides=lambda size=size: Says(whole[:size], closes=True),  # type: ignore[misc]
            versions=tuple(Version),
        )
        assert made["fallback_scsv"]["verdict"] == verdict
