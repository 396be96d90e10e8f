"""Bytes between the go-ahead and TLS (RFC 7457 §2.2), for each protocol of the registry: they never reach TLS, are
kept, and raise `response-injection`, whichever side of our ClientHello they arrive on.
"""

from collections.abc import Callable
from itertools import product

import pytest

from scanner.record import Record
from scanner.starttls import SPOKEN
from scanner.tls.names import Version
from scanner.wire_text import printable
from tests.peers.memory import Peer, Turn
from tests.peers.tls_server import TlsServer
from tests.scanner.recorded import STARTTLS, Behaviour, Upgraded, honest, interviewed, said_by

FINDING = "response-injection"


def with_the_go_ahead(protocol: str, injected: bytes) -> list[Turn]:
    """In its segment."""
    *before, last = said_by(honest(protocol))
    assert isinstance(last.does, bytes)
    return [*before, Turn(0, last.does + injected, last.heard), Turn(0.1, Upgraded(protocol, TlsServer()))]


def before_our_hello(protocol: str, injected: bytes) -> list[Turn]:
    """In a segment behind it, which is there when the ClientHello is sent."""
    return [*said_by(honest(protocol)), Turn(0, injected), Turn(0.1, Upgraded(protocol, TlsServer()))]


def behind_our_hello(protocol: str, injected: bytes) -> list[Turn]:
    """In a segment that comes when the ClientHello has long been sent."""
    return [*said_by(honest(protocol)), Turn(0.5, injected), Turn(0.1, Upgraded(protocol, TlsServer()))]


def with_tls(protocol: str, injected: bytes) -> list[Turn]:
    """In the segment of the ServerHello, or of the alert."""
    return [*said_by(honest(protocol)), Turn(0.1, Upgraded(protocol, TlsServer(), injected))]


PLACES = [with_the_go_ahead, before_our_hello, behind_our_hello, with_tls]
Place = Callable[[str, bytes], list[Turn]]

INJECTED: dict[str, Callable[[str], bytes]] = {
    "a line": lambda _: b"250 injected\r\n",
    "half a line": lambda _: b"250 injected",
    "binary": lambda _: b"\x00\x01\x7f\xfe\xff",
    "all that was said, again": lambda protocol: honest(protocol).server_bytes,
}


async def scanned(protocol: str, place: Place, injected: bytes) -> Record:
    """The record of a server of this protocol with these bytes in this place, on every connection."""
    return await interviewed(STARTTLS[protocol], Peer(Behaviour(lambda: place(protocol, injected))))


def findings(record: Record) -> set[str]:
    """Of a record, by their ids."""
    return {each["id"] for each in record["findings"]}


@pytest.mark.parametrize("protocol", SPOKEN)
async def test_injected(autojump_clock: object, protocol: str) -> None:
    """Wherever they stand, they are kept; and all else is as it is without them."""
    clean = await scanned(protocol, with_tls, b"")
    assert clean["starttls"]["verdict"] == "ok"
    assert clean["starttls"]["early_bytes"] is None
    assert FINDING not in findings(clean)
    assert clean["tls"]["version"] == "TLSv1.3"
    for place, what in product(PLACES, INJECTED.values()):
        made = await scanned(protocol, place, what(protocol))
        assert made["starttls"]["early_bytes"] == printable(what(protocol)), place.__name__
        assert findings(made) == findings(clean) | {FINDING}
        for part in ("status", "versions", "tls", "certificate", "flags", "connections"):
            assert made[part] == clean[part], (place.__name__, part)
        assert made["starttls"] | {"early_bytes": None} == clean["starttls"]


@pytest.mark.parametrize("protocol", SPOKEN)
async def test_whitespace(autojump_clock: object, protocol: str) -> None:
    """Behind XMPP's `<proceed/>` it is forbidden (RFC 6120 §5.4.2.3), and a flag; elsewhere it is an injection."""
    is_xmpp = protocol.startswith("xmpp-")
    for place in PLACES:
        made = await scanned(protocol, place, b"\r\n")
        assert made["starttls"]["verdict"] == "ok"
        assert made["starttls"]["early_bytes"] == r"\r\n"
        assert (FINDING in findings(made)) == (not is_xmpp)
        assert ("whitespace_after_proceed" in made["flags"]) == is_xmpp


@pytest.mark.parametrize("protocol", SPOKEN)
async def test_a_record_of_tls_before_our_hello(autojump_clock: object, protocol: str) -> None:
    """In the segment of the go-ahead, TLS answers nothing: it breaks the protocol, and never reaches TLS either."""
    alert = bytes.fromhex("15 0303 0002 0228")
    made = await scanned(protocol, with_the_go_ahead, alert)
    assert (made["starttls"]["verdict"], made["starttls"]["stage"]) == ("violation", "tls")
    assert made["starttls"]["cause"] == "tls_before_client_hello"
    assert made["starttls"]["early_bytes"] == printable(alert)
    assert made["status"] == "tls"


@pytest.mark.parametrize("protocol", SPOKEN)
async def test_on_both_sides_of_our_hello(autojump_clock: object, protocol: str) -> None:
    """What comes in pieces is kept in order, and no version, SSLv2 neither, is judged by it."""

    def place(protocol: str, injected: bytes) -> list[Turn]:
        *before, go_ahead, tls = with_the_go_ahead(protocol, injected + b"1")
        return [*before, go_ahead, Turn(0, b"2"), Turn(0.5, b"3\r\n"), Turn(0, b"4"), tls]

    clean, made = [
        await interviewed(STARTTLS[protocol], Peer(Behaviour(begin)), tuple(Version))
        for begin in (lambda: with_tls(protocol, b""), lambda: place(protocol, b"0"))
    ]
    assert made["versions"] == clean["versions"]
    assert made["starttls"]["verdict"] == "ok"
    assert made["starttls"]["early_bytes"] == r"0123\r\n4"
    assert made["tls"]["version"] == "TLSv1.3"
