"""Servers that want a certificate of the client's: what is told of them, in TLS 1.2 and 1.3, and behind STARTTLS."""

import ssl
from typing import Any

import pytest
import trio

from scanner.tls.flight import ClientCertificate
from scanner.tls.names import Version
from scanner.versions import Known
from targets.services import SERVICES, Service
from tests.peers.memory import Peer, Turn
from tests.peers.tls_server import Closed, Spoils, TlsServer, smtp_inside
from tests.scanner.recorded import Behaviour, Upgraded, honest, interviewed, said_by
from tests.scanner.tls.test_handshake import TLS12, TLS13, context
from tests.scanner.transcript import Transcript

VERSIONS = (Version.TLS1_2, Version.TLS1_3)
HTTPS, SMTP, IMAPS = SERVICES["https"], SERVICES["smtp"], SERVICES["imaps"]


def behind_tls(made: ssl.SSLContext, server: type[TlsServer] = TlsServer, **more: Any) -> Peer:
    """A peer that speaks TLS at once."""
    return Peer(Behaviour(lambda: [Turn(0, server(context=made, **more))]))


def found(record: dict[str, Any]) -> set[str]:
    """The findings of a record."""
    return {each["id"] for each in record["findings"]}


@pytest.mark.parametrize("only", [TLS12, TLS13])
async def test_required(autojump_clock: object, only: ssl.TLSVersion) -> None:
    """The version is spoken, the chain is known, the server demands a certificate; and that is all that is wrong."""
    record = await interviewed(HTTPS, behind_tls(context(only=only, client_certificate=ssl.CERT_REQUIRED)), VERSIONS)
    version = {TLS12: "TLSv1.2", TLS13: "TLSv1.3"}[only]
    assert record["status"] == "tls"
    assert record["versions"][version]["verdict"] == Known.YES
    assert record["tls"]["client_certificate"] == "required"
    assert len(record["tls"]["chain"]) == 2
    assert record["tls"]["certificate_from"] == ("message" if only is TLS12 else "handshake")
    assert "client-certificate-required" in found(record)
    assert "handshake-fails" not in found(record)
    assert record["connections"] == 3  # and no handshake more


@pytest.mark.parametrize("only", [TLS12, TLS13])
@pytest.mark.parametrize("wanted", [ssl.CERT_NONE, ssl.CERT_OPTIONAL])
async def test_not_required(autojump_clock: object, wanted: ssl.VerifyMode, only: ssl.TLSVersion) -> None:
    """A server that does without."""
    record = await interviewed(HTTPS, behind_tls(context(only=only, client_certificate=wanted)), VERSIONS)
    assert record["tls"]["client_certificate"] == ("requested" if wanted else "none")
    assert record["tls"]["error"] is None
    assert record["ocsp"]["present"] is False
    assert not found(record) & {"client-certificate-required", "handshake-fails", "ocsp-staple-missing"}


@pytest.mark.parametrize("only", [TLS12, TLS13])
async def test_what_programs_get(autojump_clock: object, only: ssl.TLSVersion) -> None:
    """Others may have a certificate: behind STARTTLS, and in implicit mode, nobody can tell what they get."""
    made = context(only=only, client_certificate=ssl.CERT_REQUIRED)
    words = honest("smtp")
    peer = Peer(Behaviour(lambda: [*said_by(words), Turn(0, Upgraded("smtp", TlsServer(smtp_inside, context=made)))]))
    record = await interviewed(SMTP, peer, VERSIONS)
    assert record["starttls"]["verdict"] == "ok"
    assert record["starttls"]["stopped_inside"] is None
    assert record["tls"]["client_certificate"] == "required"
    assert (record["clients"]["starttls"], record["clients"]["ssl_tls"]) == ("unknown", "fails")
    record = await interviewed(IMAPS, behind_tls(made), VERSIONS)
    assert record["clients"]["ssl_tls"] == "unknown"


async def test_what_is_said_inside_is_not_lost(autojump_clock: object) -> None:
    """A greeting that comes with the end of the handshake is read for that, and by the dialogue again."""
    greeting = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n"

    def answer(said: bytes) -> bytes:
        tag, command = said.split()[:2]
        return (b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n" if command == b"CAPABILITY" else b"") + tag + b" OK done\r\n"

    made = context(only=TLS13, client_certificate=ssl.CERT_OPTIONAL)
    peer = Peer(Behaviour(lambda: [Turn(0, TlsServer(answer, greeting=greeting, context=made))]))
    record = await interviewed(IMAPS, peer, VERSIONS)
    assert record["tls"]["client_certificate"] == "requested"
    assert record["starttls"]["inside"]["auth"] == ["PLAIN"]


class Afterwards(TlsServer):
    """Completes the handshake as it should, and keeps to itself what it says behind it; then it ends like this."""

    ending: bytes | Closed = b""
    heard_hello = False

    def hear(self, data: bytes) -> bytes:
        """The first flight, and then nothing but the end."""
        if self.heard_hello:
            if isinstance(self.ending, Closed):
                raise self.ending
            return self.ending
        said = super().hear(data)
        self.heard_hello = bool(said)
        return said


@pytest.mark.parametrize(
    "ending", [b"", Closed(), Closed(reset=True), Closed(b"\x15\x03\x03\x00\x02\x02\x28"), b"\x17\x03\x03\x00\x05"]
)
async def test_what_does_not_tell(autojump_clock: object, ending: bytes | Closed) -> None:
    """Silence, FIN, RST, nonsense and half a record: it asked for a certificate, and more nobody knows."""

    class Ending(Afterwards):
        pass

    Ending.ending = ending
    made = context(only=TLS13, client_certificate=ssl.CERT_REQUIRED, group="X25519")  # one flight, no retry
    record = await interviewed(HTTPS, behind_tls(made, Ending), (Version.TLS1_3,))
    assert record["tls"]["client_certificate"] == "requested"
    assert record["tls"]["error"] is None
    assert "client-certificate-required" not in found(record)


async def test_the_wait_is_short(autojump_clock: object) -> None:
    """A server that keeps silent after the handshake costs two seconds; one that asks for nothing, none."""
    began = trio.current_time()
    for wanted, longest in ((ssl.CERT_NONE, 0.5), (ssl.CERT_OPTIONAL, 2.5)):
        made = context(only=TLS13, client_certificate=wanted, group="X25519")
        made.num_tickets = 0
        began = trio.current_time()
        record = await interviewed(HTTPS, behind_tls(made, Afterwards), (Version.TLS1_3,))
        assert record["tls"]["client_certificate"] == ("requested" if wanted else "none")
        assert trio.current_time() - began < longest


def test_the_words_of_the_contract() -> None:
    """The vocabulary of the records."""
    assert [*ClientCertificate] == ["none", "requested", "required"]


async def test_a_server_that_takes_its_time(autojump_clock: object) -> None:
    """Its alert comes when something has been said inside, and tells the same."""
    made = one_flight(ssl.CERT_REQUIRED)
    words = honest("smtp")
    late = Peer(Behaviour(lambda: [*said_by(words), Turn(3, Upgraded("smtp", TlsServer(smtp_inside, context=made)))]))
    record = await interviewed(SMTP, late, VERSIONS)
    assert record["tls"]["client_certificate"] == "required"
    assert (record["tls"]["error"], record["starttls"]["stopped_inside"]) == (None, None)
    assert "client-certificate-required" in found(record)


def one_flight(wanted: ssl.VerifyMode, only: ssl.TLSVersion = TLS13, tickets: int = 0) -> ssl.SSLContext:
    """A server without HelloRetryRequest."""
    made = context(only=only, client_certificate=wanted, group="X25519")
    if only is TLS13:
        made.num_tickets = tickets
    return made


@pytest.mark.parametrize(
    ("service", "wanted"), [(HTTPS, ssl.CERT_OPTIONAL), (IMAPS, ssl.CERT_NONE), (IMAPS, ssl.CERT_OPTIONAL)]
)
async def test_an_alert_behind_the_handshake_that_is_about_something_else(
    autojump_clock: object, service: Service, wanted: ssl.VerifyMode
) -> None:
    """In TLS 1.3 the client is done first: to the server there was no handshake, and its alert tells why."""
    record = await interviewed(service, behind_tls(one_flight(wanted), Spoils), (Version.TLS1_3,))
    assert record["status"] == "tls"
    error = record["tls"]["error"]
    assert (error["verdict"], error["stage"], error["alert"]) == ("handshake_failed", "tls", "bad_record_mac")
    assert record["tls"]["client_certificate"] == ("requested" if wanted else "none")
    assert (record["tls"]["version"], record["tls"]["certificate_from"]) == ("TLSv1.3", "handshake")
    assert "handshake-fails" in found(record)
    assert "large-hello-intolerant" not in found(record)
    assert record["starttls"] is None
    assert record["connections"] == 3  # hello, handshake, and one handshake more
    if service is IMAPS:
        assert record["clients"]["ssl_tls"] == "fails"


async def test_an_alert_in_the_talk_inside(autojump_clock: object) -> None:
    """Once a record has come, the handshake was one to the server too: its alert closed the connection."""
    for only, tickets in ((TLS12, 0), (TLS13, 2)):
        words, made = honest("smtp"), one_flight(ssl.CERT_NONE, only, tickets)

        def turns(made: ssl.SSLContext = made, words: Transcript = words) -> list[Turn]:
            return [*said_by(words), Turn(0, Upgraded("smtp", Spoils(smtp_inside, context=made, late=True)))]

        record = await interviewed(SMTP, Peer(Behaviour(turns)), VERSIONS)
        told = {"verdict": "closed", "alert": "bad_record_mac", "code": None, "text": None}
        assert record["starttls"]["stopped_inside"] == told
        assert record["tls"]["error"] is None
        assert "handshake-fails" not in found(record)
        assert record["clients"]["starttls"] == "unknown"
