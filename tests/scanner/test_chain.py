"""Certificates of servers that no handshake can be completed with: where they are seen, and what is told of them."""

import ssl
from collections.abc import Iterable
from functools import cache
from typing import Any

import pytest
import trustme

from scanner.tls.certificate import sha256
from scanner.tls.names import Version
from targets.services import SERVICES
from tests.peers.memory import Peer, Turn
from tests.peers.tls_server import Closed, Sslv2Server, TlsServer
from tests.scanner.recorded import Behaviour, Upgraded, honest, interviewed, said_by
from tests.scanner.tls.test_flight import DONE, REQUEST, chain_message
from tests.scanner.tls.test_handshake import TLS12, context
from tests.scanner.tls.test_scts import listed, sct
from tests.scanner.tls.wire import HANDSHAKE, alert, extension, message, read_client_hello, record, server_hello

HTTPS, SMTP = SERVICES["https"], SERVICES["smtp"]
Record = dict[str, Any]


@cache
def ders() -> tuple[bytes, ...]:
    """A chain of two."""
    leaf = trustme.CA().create_child_ca().issue_cert("mx.example.test")
    return tuple(ssl.PEM_cert_to_DER_cert(pem.bytes().decode()) for pem in leaf.cert_chain_pems)


class Only:
    """Has one version and one suite, and says what it is given behind its ServerHello; to others, alert 40 or 70."""

    def __init__(self, version: int, suite: int, *behind: bytes, extensions: bytes = b"") -> None:
        self._version, self._suite = version, suite
        self._flight = server_hello(version, suite, extensions) + b"".join(behind)

    def hear(self, data: bytes) -> bytes:
        """A flight, or an alert."""
        if data[0] != HANDSHAKE:
            raise Closed
        hello = read_client_hello(data)
        listed = hello.of(43).codes(1) if hello.extensions and 43 in hello.extensions else [hello.version]
        if self._version not in listed:
            raise Closed(alert(2, 70))
        if self._suite not in hello.suites:
            raise Closed(alert(2, 40))
        return record(HANDSHAKE, self._flight, self._version)


def peer_of(*arguments: Any, **more: Any) -> Peer:
    """A peer that is such a server."""
    return Peer(Behaviour(lambda: [Turn(0, Only(*arguments, **more))]))


async def record_of(peer: Peer, versions: Iterable[Version] = tuple(Version)[1:]) -> Record:
    """The record of an endpoint of implicit TLS."""
    return await interviewed(HTTPS, peer, tuple(versions))


def shown(record: Record) -> tuple[object, ...]:
    """What is told of the chain."""
    return record["tls"]["chain"], record["tls"]["certificate_from"], record["tls"]["client_certificate"]


FINGERPRINTS = [*map(sha256, ders())]


@pytest.mark.parametrize(
    ("version", "suite"), [(0x0300, 0x0005), (0x0301, 0x0004), (0x0303, 0x0003)], ids=["SSLv3", "RC4", "EXPORT"]
)
async def test_what_our_library_has_not(autojump_clock: object, version: int, suite: int) -> None:
    """SSLv3, RC4 and EXPORT: a yes, no handshake, and the chain with all that is known of a certificate."""
    record = await record_of(peer_of(version, suite, chain_message(*ders()), REQUEST, DONE))
    assert record["status"] == "tls"
    assert shown(record) == (FINGERPRINTS, "message", "requested")
    assert record["tls"]["version"] is None
    assert record["tls"]["error"]["verdict"] in ("handshake_failed", "local_limitation")
    assert record["certificate"]["sha256"] == FINGERPRINTS[0]
    assert record["certificate"]["name_matches"] is False  # it was asked for by another name
    assert (record["ocsp"], record["scts"]) == (None, [])
    assert "certificate-host-mismatch" in {each["id"] for each in record["findings"]}


async def test_behind_starttls(autojump_clock: object) -> None:
    """The same where a dialogue comes before."""
    words = honest("smtp")

    def turns() -> list[Turn]:
        server = Upgraded("smtp", Only(0x0300, 5, chain_message(*ders()), DONE))  # type: ignore[arg-type]
        return [*said_by(words), Turn(0, server)]

    record = await interviewed(SMTP, Peer(Behaviour(turns)), (Version.SSLV3, Version.TLS1_2))
    assert shown(record) == (FINGERPRINTS, "message", "none")
    assert record["starttls"]["verdict"] == "ok"


async def test_a_certificate_that_cannot_be_parsed(autojump_clock: object) -> None:
    """The record is whole: fingerprint and reason stay."""
    record = await record_of(peer_of(0x0303, 0x0005, chain_message(b"garbage"), DONE))
    assert shown(record) == ([sha256(b"garbage")], "message", "none")
    assert record["certificate"]["parse_error"]
    assert record["certificate"]["der"] == "Z2FyYmFnZQ=="
    assert record["certificate"]["results"] == ["validation-failure"]


async def test_one_connection_and_no_more(autojump_clock: object) -> None:
    """What a failed handshake has seen is not asked for again; what it has not, is asked for once."""
    # OpenSSL has the suite; the flight breaks behind the chain, where the key exchange should be.
    broken = peer_of(0x0303, 0xC02F, chain_message(*ders()), DONE, extensions=b"")
    record = await record_of(broken, (Version.TLS1_2,))
    assert shown(record) == (FINGERPRINTS, "message", "none")
    assert record["connections"] == 3  # hello, handshake, handshake once more
    record = await record_of(peer_of(0x0303, 0x0005, chain_message(*ders()), DONE), (Version.TLS1_2,))
    assert shown(record) == (FINGERPRINTS, "message", "none")
    assert record["connections"] == 4  # and the certificates


async def test_without_certificates(autojump_clock: object) -> None:
    """An anonymous suite has none, and nobody asks; one that should have some, and shows none, has none either."""
    record = await record_of(peer_of(0x0303, 0x0018, message(12, b""), DONE), (Version.TLS1_2,))
    assert (shown(record)[:2], record["certificate"], record["scts"]) == ((None, None), None, None)
    assert record["connections"] == 3
    record = await record_of(peer_of(0x0303, 0x0005, DONE), (Version.TLS1_2,))
    assert (shown(record), record["certificate"]) == ((None, None, "none"), None)
    assert record["connections"] == 4


async def test_a_chain_that_never_comes(autojump_clock: object) -> None:
    """Silence behind the ServerHello: nothing is known of certificates."""
    record = await record_of(peer_of(0x0303, 0x0005), (Version.TLS1_2,))
    assert shown(record) == (None, None, None)
    assert record["versions"]["TLSv1.2"]["verdict"] == "yes"


async def test_sslv2(autojump_clock: object) -> None:
    """Its SERVER-HELLO has a certificate in it, and no other version has any."""

    class Old(Sslv2Server):
        def hear(self, data: bytes) -> bytes:
            return super().hear(data).replace(b"\x30\x03\x02\x01\x01", b"garba")

    record = await record_of(Peer(Behaviour(lambda: [Turn(0, Old())])), tuple(Version))
    assert record["versions"]["SSLv2"]["verdict"] == "yes"
    assert shown(record) == ([sha256(b"garba")], "message", None)


async def test_a_handshake_is_better(autojump_clock: object) -> None:
    """Where one is completed, its chain stands there, and nothing more is asked."""
    record = await record_of(
        Peer(Behaviour(lambda: [Turn(0, TlsServer(context=context(only=TLS12)))])), (Version.TLS1_2,)
    )
    assert (record["tls"]["certificate_from"], record["connections"]) == ("handshake", 2)


async def test_timestamps_of_a_server_hello(autojump_clock: object) -> None:
    """The raw hello of TLS 1.2 asks for them, and what comes stands in the record with its source."""
    asked: list[bool] = []

    class Logged(Only):
        def hear(self, data: bytes) -> bytes:
            asked.append(data[0] == HANDSHAKE and 18 in (read_client_hello(data).extensions or {}))
            return super().hear(data)

    peer = Peer(
        Behaviour(
            lambda: [
                Turn(0, Logged(0x0303, 0x0005, chain_message(*ders()), DONE, extensions=extension(18, listed(sct()))))
            ]
        )
    )
    record = await record_of(peer, (Version.TLS1_2,))
    assert [each["source"] for each in record["scts"]] == ["tls"]
    assert asked[0]
