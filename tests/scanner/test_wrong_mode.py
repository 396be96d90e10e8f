"""A port in the wrong mode, or with another service behind it, is told for what it is: every service of the table,
and every kind of server that has no business there (tests/peers/strangers.py).
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from scanner.starttls import SPOKEN
from targets.services import SERVICES, Mode, Protocol, Service
from tests.peers.memory import FIN, RST, Act, Peer, Turn
from tests.peers.strangers import STRANGERS, Stranger, closes_with_alert, echo, impatient, tls, xmpp_error
from tests.scanner.recorded import Behaviour, honest, interviewed

ALL = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def stranger(protocol: str) -> Stranger:
    """An honest server of this protocol. One of tomorrow says its greeting, and closes when it is not understood."""
    first = honest(protocol).turns[0] if protocol in SPOKEN else None
    greeting = first.server if first and not first.client else b""
    return STRANGERS.get(protocol, Stranger(greeting))


def strangers_to(service: Service) -> dict[str, Stranger]:
    """Everybody else, by the protocol that the hint is to name."""
    others = {name: stranger(name) for name in [*STRANGERS, *SPOKEN] if name != service.protocol}
    if service.protocol in XMPP:  # they understand one another that far
        others |= {
            name: replace(others[name], answer=xmpp_error(name, "invalid-namespace")) for name in XMPP & others.keys()
        }
    return others


XMPP = {Protocol.XMPP_CLIENT.value, Protocol.XMPP_SERVER.value}

# Who says nothing to those who do not speak its language cannot be told: FIN, or silence, and no hint.
UNTOLD = ("closed", "timeout")


async def meeting(service: Service, begin: Callable[[], list[Turn]]) -> tuple[str, str | None, bool, str]:
    """(verdict, hint, whether wrong-mode-port is raised, status) of this service, and that server behind its port."""
    made = await interviewed(service, Peer(Behaviour(begin)))
    said = made["starttls"] if service.mode is Mode.STARTTLS else made["tls"]["error"]
    return said["verdict"], said["hint"], "wrong-mode-port" in {each["id"] for each in made["findings"]}, made["status"]


@ALL
async def test_another_protocol(autojump_clock: object, service: Service) -> None:
    """HTTP, SSH and each protocol of the registry: the hint names it, or it is not to be told, and that is said."""
    for name, server in strangers_to(service).items():
        met = await meeting(service, server.turns)
        if server.is_silent:
            verdict, hint, raised, status = met
            assert (verdict in UNTOLD, hint, raised, status) == (True, None, False, "inconclusive"), name
        else:
            assert met == ("protocol_mismatch", name, True, "mismatch"), name


@ALL
async def test_echo(autojump_clock: object, service: Service) -> None:
    """A server that says back what it hears (RFC 862) agrees to nothing, not even where an answer is our own words."""
    assert await meeting(service, echo) == ("protocol_mismatch", "echo", True, "mismatch")


@pytest.mark.parametrize("server", [tls, closes_with_alert])
@pytest.mark.parametrize("protocol", SPOKEN)
async def test_tls_where_plaintext_is_due(
    autojump_clock: object, protocol: str, server: Callable[[], list[Turn]]
) -> None:
    """TLS on a STARTTLS port: whoever begins, and whether it answers plaintext with an alert or with FIN."""
    for service in SERVICES.values():
        if service.protocol == protocol and service.mode is Mode.STARTTLS:
            assert await meeting(service, server) == ("protocol_mismatch", "tls", True, "mismatch")


@pytest.mark.parametrize("end", [FIN, RST])
@pytest.mark.parametrize("protocol", [name for name, spoken in SPOKEN.items() if not spoken.client_begins])
async def test_tls_that_waits_no_longer_for_its_client(autojump_clock: object, protocol: str, end: Act) -> None:
    """Where a greeting is due, a server of TLS may end the connection before we give up waiting for one."""
    for service in SERVICES.values():
        if service.protocol == protocol and service.mode is Mode.STARTTLS:
            assert await meeting(service, impatient(end)) == ("protocol_mismatch", "tls", True, "mismatch")


@pytest.mark.parametrize(
    "service", [each for each in SERVICES.values() if each.mode is Mode.IMPLICIT], ids=lambda each: each.name
)
async def test_plaintext_where_tls_is_due(autojump_clock: object, service: Service) -> None:
    """The service itself, in plaintext on the port of its implicit TLS: where it says anything, it is told."""
    if service.protocol in (Protocol.TLS, Protocol.HTTP):
        return  # TLS has no plaintext; HTTP is a stranger above
    server = stranger(service.protocol)
    met = await meeting(service, server.turns)
    if server.is_silent:
        assert met[:3] == ("closed", None, False)
    else:
        assert met == ("protocol_mismatch", service.protocol, True, "mismatch")


@pytest.mark.parametrize(
    ("service", "greeting", "hint"),
    [
        # The first byte is one that PostgreSQL may answer with.
        ("postgresql", b"SSH-2.0-OpenSSH_9.2\r\n", "ssh"),
        ("postgresql", b"NOTICE AUTH :*** Looking up your hostname...\r\n", "irc"),
        ("postgresql", b"ERROR :Closing Link: [192.0.2.1] (Throttled)\r\n", "irc"),
        ("postgresql", b"\x4e\x00\x00\x00\x0a8.0.36\x00", "mysql"),
        ("postgresql", b"\x53\x00\x00\x00\x0a11.4.3-MariaDB\x00", "mysql"),
        # Its number is a code of others.
        ("smtp", b"200 news.example.org ready\r\n", "nntp"),
        ("lmtp", b"201 news.example.org ready\r\n", "nntp"),
        ("imap", b"220-mx.example.org ESMTP\r\n", "smtp"),
        ("ftp", b"220 store.example.org LMTP ready\r\n", "lmtp"),
        ("nntp", b"120 Service ready in 3 minutes\r\n", "ftp"),
        # SSLv2, that is not asked for.
        ("smtp", b"\x80\x03\x00\x00\x01", "tls"),
        ("imap", b"\x80\x20\x04\x00\x01\x00\x02" + bytes(40), "tls"),
        ("xmpp-client", b"* BYE no\r\n", "imap"),
    ],
)
async def test_greetings_that_look_like_answers(
    autojump_clock: object, service: str, greeting: bytes, hint: str
) -> None:
    """What begins like an answer of the service's own, and is none."""
    for closes in (False, True):
        met = await meeting(SERVICES[service], Stranger(greeting, closes=closes).turns)
        assert met == ("protocol_mismatch", hint, True, "mismatch")
