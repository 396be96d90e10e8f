"""The binary protocols on a whole connection: what TLS offers by ALPN, and that TLS follows where nobody answers."""

import pytest
import trio

from scanner.connection import Connection, Timeouts
from scanner.outcome import Verdict
from scanner.question import Answer, Negotiate
from scanner.starttls import amqp, ldap, postgresql
from scanner.starttls.result import Inside
from targets.services import SERVICES
from targets.target import Endpoint, Origin
from tests.peers.memory import Network, Peer, Turn, Wire
from tests.peers.tls_server import HOST, TlsServer
from tests.scanner.transcript import every_transcript

ADDRESS = "192.0.2.1"
MYSQL, LDAP = (
    next(each for each in every_transcript() if each.name == name) for name in ("mysql-8.0", "ldap-openldap")
)


async def negotiate(service: str, *turns: Turn) -> tuple[Answer, Wire]:
    """A handshake with a peer: the answer and the wire."""
    network, answer = Network({ADDRESS: [Peer(turns)]}), Answer(Negotiate(), trio.current_time())
    endpoint = Endpoint(Origin("x"), HOST, ADDRESS, 25, SERVICES[service])
    await Connection(endpoint, answer, Timeouts(), None).ask(network.dial)
    return answer, network.wires[ADDRESS][0]


@pytest.mark.parametrize(
    ("service", "names"),
    [("https", b"\x02h2\x08http/1.1"), ("postgresql-direct", b"\x0apostgresql"), ("imaps", b""), ("amqps", b"")],
)
async def test_alpn(autojump_clock: object, service: str, names: bytes) -> None:
    """HTTP has two names, PostgreSQL one without which version 17 takes no TLS; elsewhere nothing is offered."""
    extension = b"\x00\x10" + (len(names) + 2).to_bytes(2, "big") + len(names).to_bytes(2, "big") + names
    _, wire = await negotiate(service, Turn(1, TlsServer()))
    assert (extension in wire.sent[0][1]) == bool(names)
    assert (b"\x0apostgresql" in wire.said) == (service == "postgresql-direct")


class BehindSslRequest(TlsServer):
    """Takes an SSLRequest without a word, and then speaks TLS."""

    def hear(self, data: bytes) -> bytes:
        """What it answers."""
        request = MYSQL.last_words
        return super().hear(data.removeprefix(request)) if data != request else b""


UPGRADES = {
    "postgresql": (Turn(1, b"S", heard=postgresql.SSL_REQUEST),),
    "mysql": (Turn(1, MYSQL.server_bytes),),
    "amqp": (Turn(1, amqp.TLS_HEADER, heard=amqp.TLS_HEADER),),
}


@pytest.mark.parametrize("service", UPGRADES)
async def test_tls_behind_the_go_ahead(autojump_clock: object, service: str) -> None:
    """A whole handshake, without ALPN, and nothing is said inside: there is no goodbye before a login."""
    server = BehindSslRequest()
    answer, wire = await negotiate(service, *UPGRADES[service], Turn(1, server))
    assert answer.starttls
    assert answer.handshake
    assert (answer.starttls.verdict, answer.handshake.failure) == (Verdict.OK, None)
    assert (answer.early, server.heard, server.closed_politely) == (b"", [], True)
    assert b"\x0apostgresql" not in wire.said


async def test_ldap(autojump_clock: object) -> None:
    """The same search inside TLS, and an unbind."""
    server = TlsServer(lambda said: LDAP.turns[0].server if said == ldap.SEARCH else b"")
    turns = (Turn(1, turn.server, heard=turn.client) for turn in LDAP.turns)
    answer, _ = await negotiate("ldap", *turns, Turn(1, server))
    assert answer.starttls
    assert answer.inside == Inside(answer.starttls.before)
    assert server.heard == [ldap.SEARCH, ldap.FAREWELL]


async def test_an_unbind_behind_a_refusal(autojump_clock: object) -> None:
    """LDAP has a goodbye in plaintext too."""
    refused = next(each for each in every_transcript("ldap") if each.name == "ldap-unavailable")
    answer, wire = await negotiate("ldap", *(Turn(1, turn.server, heard=turn.client) for turn in refused.turns))
    assert answer.starttls
    assert answer.starttls.verdict is Verdict.REFUSED_TEMPORARY
    assert wire.said == ldap.SEARCH + ldap.START_TLS + ldap.FAREWELL
