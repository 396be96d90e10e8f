"""All of these probes at once, through STARTTLS in every protocol of the registry, and in implicit TLS."""

import pytest
from trio.testing import MockClock

from scanner.probes import PROBES
from scanner.tls.names import Version
from targets.services import Protocol, Service
from tests.scanner.probes.asking import ALLOW_CLIENT_RENEGOTIATION, OpensslServer, Says, asked, server_of
from tests.scanner.recorded import IMPLICIT, STARTTLS

TLS10, TLS13 = Version.TLS1_0, Version.TLS1_3
OURS = ("alpn", "resumption", "fallback_scsv", "renegotiation", "compression")
EVERY: list[Service] = [*STARTTLS.values(), *IMPLICIT]

each_service = pytest.mark.parametrize("service", EVERY, ids=lambda service: service.name)


@each_service
async def test_the_same_everywhere(service: Service, autojump_clock: MockClock) -> None:
    """What is asked of TLS does not depend on what comes before it, or on the packets that it comes in."""
    context = server_of(TLS10, TLS13)
    begin = lambda: OpensslServer(context, options=ALLOW_CLIENT_RENEGOTIATION)  # noqa: E731
    made = await asked(OURS, begin, service.name)
    assert made["alpn"]["no_match"] == "ignored"
    resumption = made["resumption"]
    assert all(resumption[way]["offered"] and resumption[way]["resumed"] for way in ("session_id", "session_ticket"))
    # There is no TLS 1.3 inside TDS packets ([MS-TDS] §1.3), nor a word on whether its tickets would stand in one.
    assert resumption["psk"]["resumed"] is (None if service.protocol is Protocol.MSSQL else True)
    assert made["fallback_scsv"]["verdict"] == "yes"
    assert (made["renegotiation"]["secure"], made["renegotiation"]["client_initiated"]) == (True, "accepted")
    assert made["compression"]["verdict"] == "no"
    assert all(made[name]["complete"] for name in OURS)


@each_service
@pytest.mark.parametrize("closes", [True, False])
async def test_a_server_that_ends_there(service: Service, closes: bool, autojump_clock: MockClock) -> None:
    """It says nothing for certain, and is not asked again and again."""
    context = server_of(TLS10, TLS13)
    made = await asked(OURS, lambda: OpensslServer(context), service.name, besides=lambda: Ends(closes=closes))
    assert (made["alpn"]["protocols"], made["alpn"]["no_match"], made["alpn"]["complete"]) == (None, None, False)
    assert all(made["resumption"][way]["offered"] is None for way in ("session_id", "session_ticket", "psk"))
    assert made["fallback_scsv"]["verdict"] == "unknown"
    assert (made["renegotiation"]["secure"], made["renegotiation"]["client_initiated"]) == (None, "unknown")
    assert made["compression"]["verdict"] == "unknown"


class Ends(Says):
    """FIN, or silence, once TLS may begin."""

    _shaken = False

    def __init__(self, *, closes: bool) -> None:
        super().__init__(b"", closes=closes)


def test_all_are_in_the_list() -> None:
    """In the order of asking."""
    assert [name for name in PROBES if name in OURS] == list(OURS)
