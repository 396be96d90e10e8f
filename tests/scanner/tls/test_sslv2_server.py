"""Our hello of SSLv2 against a strict server of it, and over real sockets."""

import threading
from collections.abc import Callable
from socket import create_server

import pytest
import trio

from scanner.connection import Connection, Timeouts
from scanner.dialogue import End
from scanner.question import Answer, OfferVersion
from scanner.tls import sslv2
from scanner.tls.exchange import Evidence, HelloAnswer, exchange
from scanner.tls.hello import client_hello
from scanner.tls.names import Version
from scanner.wires import dial
from targets.services import SERVICES
from targets.target import Endpoint, Origin
from tests.peers.sslv2_server import ALL_KINDS, NotUnderstoodError, Sslv2Table, serve
from tests.scanner.play import byte_by_byte, play

ENTROPY = bytes(range(96))
HELLO = sslv2.client_hello(ENTROPY)
RC4, DES, DES3 = 0x010080, 0x060040, 0x0700C0
CERTIFICATE = b"\x30\x82\x03\xe8" + bytes(1000)

YES = HelloAnswer(Evidence.SSLV2_SERVER_HELLO, version=2, cipher=RC4)
ANSWERS: dict[str, tuple[Sslv2Table, HelloAnswer]] = {
    "all kinds": (Sslv2Table(certificate=CERTIFICATE), YES),
    "two kinds": (Sslv2Table((DES3, RC4)), YES),
    "one kind": (Sslv2Table((DES,)), HelloAnswer(Evidence.SSLV2_SERVER_HELLO, version=2, cipher=DES)),
    "the header of three bytes": (Sslv2Table((RC4,), CERTIFICATE, padding=0), YES),
    "with padding": (Sslv2Table((RC4,), CERTIFICATE, padding=7), YES),
    "with much padding": (Sslv2Table((RC4,), CERTIFICATE, padding=255), YES),
    "no kind in common": (
        Sslv2Table(()),
        HelloAnswer(Evidence.SSLV2_SERVER_HELLO, version=2, flags=frozenset({"no_ciphers"})),
    ),
    "an error": (Sslv2Table(error=1), HelloAnswer(Evidence.SSLV2_ERROR, error=1)),
    "an error with padding": (Sslv2Table(error=2, padding=5), HelloAnswer(Evidence.SSLV2_ERROR, error=2)),
}
CUTS: list[Callable[[bytes], list[bytes]]] = [lambda data: [data], byte_by_byte]


@pytest.mark.parametrize("cut", CUTS, ids=["whole", "byte by byte"])
@pytest.mark.parametrize(("table", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_a_strict_server(table: Sslv2Table, expected: HelloAnswer, cut: Callable[[bytes], list[bytes]]) -> None:
    """It takes our hello, and we take its answer, in both forms of header."""
    said = table.answer(HELLO)
    assert said is not None
    found = play(exchange(Version.SSLV2, None, ENTROPY, after_upgrade=False), cut(said), End.TIMEOUT).value
    assert (found.evidence, found.version, found.cipher, found.error, found.flags) == (
        expected.evidence,
        expected.version,
        expected.cipher,
        expected.error,
        expected.flags,
    )


def test_it_waits_for_a_whole_hello() -> None:
    """A hello that comes in pieces is one hello."""
    assert {Sslv2Table().answer(HELLO[:length]) for length in range(len(HELLO))} == {None}


@pytest.mark.parametrize(
    "heard",
    [
        HELLO + b"x",
        HELLO[:2] + b"\x02" + HELLO[3:],  # a CLIENT-MASTER-KEY
        HELLO[:3] + b"\x00\x01" + HELLO[5:],  # a version below 2
        HELLO[:5] + b"\x00\x14" + HELLO[7:],  # kinds that are not three bytes each
        HELLO[:9] + b"\x00\x0f" + HELLO[11:],  # too short a challenge
        HELLO[:5] + b"\x00\x12" + HELLO[7:],  # another length than its parts
    ],
)
def test_what_it_does_not_understand(heard: bytes) -> None:
    """A strict server: what it takes is a CLIENT-HELLO."""
    with pytest.raises(NotUnderstoodError):
        Sslv2Table().answer(heard)


@pytest.mark.parametrize(
    ("greets", "evidence"),
    [("fin", Evidence.CLOSED), ("alert", Evidence.ALERT), ("error", Evidence.GARBAGE)],
)
def test_what_it_says_to_tls(greets: str, evidence: Evidence) -> None:
    """A hello of TLS is not in its language."""
    said = Sslv2Table(greets_tls=greets).answer(client_hello(Version.TLS1_2, None, ENTROPY))
    assert said is not None
    found = play(exchange(Version.TLS1_2, None, ENTROPY, after_upgrade=False), [said] if said else []).value
    assert found.evidence is evidence


async def test_over_sockets() -> None:
    """A real connection to the server as make live-full has it."""
    timeouts = Timeouts(connect_s=5, greeting_s=5, reply_s=5, tls_s=5, deadline_s=20)
    with create_server(("127.0.0.1", 0)) as listener:
        table = Sslv2Table((DES3, RC4), CERTIFICATE, padding=3)
        threading.Thread(target=serve, args=(listener, table), daemon=True).start()
        port = listener.getsockname()[1]
        endpoint = Endpoint(Origin("x"), None, "127.0.0.1", port, SERVICES["tls"])
        answer = Answer(OfferVersion(Version.SSLV2), trio.current_time())
        await Connection(endpoint, answer, timeouts, None).ask(dial)
    assert answer.hello is not None
    assert (answer.hello.evidence, answer.hello.cipher) == (Evidence.SSLV2_SERVER_HELLO, RC4)


def test_it_knows_the_kinds_that_we_know() -> None:
    """Written down twice, since the server imports nothing of ours."""
    assert set(ALL_KINDS) == set(sslv2.CIPHER_KINDS)
