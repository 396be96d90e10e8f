"""Which services are asked on which port."""

import pytest

from targets.selection import Selection, port_number, service_named
from targets.services import SERVICES, services_named
from targets.target import TargetError


@pytest.mark.parametrize(
    ("selected", "service", "port", "asked"),
    [
        ("smtp,imap", None, None, [("smtp", 25), ("imap", 143)]),
        ("smtp,tls", None, None, [("smtp", 25)]),  # tls waits for targets with a port
        ("smtp,imap", None, 143, [("imap", 143)]),  # rule 1: a selected service lives there
        ("tls,imap", None, 143, [("imap", 143)]),
        ("smtp", None, 8443, [("smtp", 8443)]),  # rule 2: only one is selected
        ("smtp", None, 443, [("smtp", 443)]),
        ("mail,tls", None, 8443, [("tls", 8443)]),  # rule 3: tls is selected
        ("mail,tls", None, 443, [("tls", 443)]),
        ("mail", None, 443, [("https", 443)]),  # rule 4: whose port it is
        ("mail", "tls", 8443, [("tls", 8443)]),
        ("mail", "https", None, [("https", 443)]),
        ("mail", "smtp", 2525, [("smtp", 2525)]),
    ],
)
def test_asked(selected: str, service: str | None, port: int | None, asked: list[tuple[str, int]]) -> None:
    """Each rule, in its order."""
    selection = Selection(services_named(selected))
    found = selection.asked(SERVICES[service] if service else None, port)
    assert [(each.name, on) for each, on in found] == asked


@pytest.mark.parametrize(
    ("selected", "service", "port", "why"),
    [
        ("mail", None, 8443, "which service is on port 8443[?] write tls://host:8443"),
        ("tls", None, None, "no port is named, and tls has none by default"),
        ("mail", "tls", None, "tls has no default port: write tls://HOST:PORT"),
    ],
)
def test_nothing_to_ask(selected: str, service: str | None, port: int | None, why: str) -> None:
    """Where nothing follows, the message says what to write."""
    with pytest.raises(TargetError, match=why):
        Selection(services_named(selected)).asked(SERVICES[service] if service else None, port)


@pytest.mark.parametrize("written", ["0", "65536", "-1", "+25", "²", "٢٥", "025000", "smtp", ""])
def test_ports_that_are_none(written: str) -> None:
    """A port is 1 to 65535 in plain digits."""
    with pytest.raises(TargetError, match="port"):
        port_number(written)


def test_service_names() -> None:
    """A service is found in any case; an unknown one is answered with those that there are."""
    assert service_named("IMAPS") is SERVICES["imaps"]
    with pytest.raises(TargetError, match="no service is called 'http'; there are: smtp, "):
        service_named("http")
