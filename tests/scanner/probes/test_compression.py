"""Compression (CRIME): what is offered, and what a ServerHello says to it."""

from typing import Any

import pytest
from trio.testing import MockClock

from scanner.probes.compression import Compression
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.names import Version
from scanner.tls.offer import Offer
from scanner.tls.talk import SayHello
from tests.peers.tls_server import TlsServer
from tests.peers.tls_table import context_of
from tests.scanner.probes.asking import Says, alerted, asked, came, hello, known
from tests.scanner.tls.wire import HANDSHAKE, ClientHello, read_client_hello, record, server_hello

SSL2, SSL3, TLS10, TLS11, TLS12, TLS13 = Version
FINDING = "compression-enabled"
PROBE = Compression()


def told(found: object) -> dict[str, Any]:
    """The result where TLS 1.2 is spoken, and this came in answer."""
    return PROBE.result(known(TLS12), came(PROBE.ask(known(TLS12), []), found))


@pytest.mark.parametrize(
    ("lowest", "highest", "method", "version"),
    [(TLS10, TLS13, "null", TLS12), (TLS10, TLS10, "null", TLS10), (TLS13, TLS13, None, None)],
)
async def test_a_server_of_today(
    lowest: Version, highest: Version, method: str | None, version: Version | None, autojump_clock: MockClock
) -> None:
    """It does not compress; TLS 1.3 cannot, and is not asked."""
    context = context_of(lowest, highest)
    without = await asked((), lambda: TlsServer(context=context))
    made = await asked("compression", lambda: TlsServer(context=context))
    assert made["compression"] == {"complete": True, "verdict": "no", "method": method, "version": version}
    assert made["connections"] - without["connections"] == (1 if version else 0)
    assert FINDING not in {finding["id"] for finding in made["findings"]}


class Deflates:
    """Chooses the first compression method that it is offered."""

    hello: ClientHello

    def hear(self, data: bytes) -> bytes:
        """A ServerHello, and the goodbye that follows is passed over."""
        if data[0] != HANDSHAKE:
            return b""
        self.hello = read_client_hello(data)
        return record(HANDSHAKE, server_hello(0x0303, 0xC02F, b"", compression=self.hello.compressions[0]))


async def test_a_server_that_compresses(autojump_clock: MockClock) -> None:
    """DEFLATE comes before null, so that a server that follows the client's order shows that it has it."""
    server, context = Deflates(), context_of(TLS10, TLS12)
    made = await asked("compression", lambda: TlsServer(context=context), besides=lambda: server)
    assert server.hello.compressions == b"\x01\x00"
    assert made["compression"] == {"complete": True, "verdict": "yes", "method": "deflate", "version": TLS12}
    assert FINDING in {finding["id"] for finding in made["findings"]}


ANSWERS: dict[str, tuple[object, str, str | None]] = {
    "null": (hello(TLS12), "no", "null"),
    "deflate": (hello(TLS12, compression=1), "yes", "deflate"),
    "null, in an older version": (hello(TLS10), "no", "null"),
    "one that was not offered": (hello(TLS12, compression=64), "unknown", "0x40"),
    "an alert": (alerted(40), "unknown", None),
    "silence": (HelloAnswer(Evidence.TIMEOUT), "unknown", None),
    "FIN": (HelloAnswer(Evidence.CLOSED), "unknown", None),
    "turned away": (None, "unknown", None),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_what_an_answer_means(case: str) -> None:
    """Only a ServerHello tells."""
    found, verdict, method = ANSWERS[case]
    assert told(found) == {"verdict": verdict, "method": method, "version": TLS12}
    assert list(PROBE.findings(told(found))) == ([FINDING] if verdict == "yes" else [])


@pytest.mark.parametrize(
    ("versions", "version"),
    [((SSL3,), SSL3), ((SSL2, TLS10, TLS13), TLS10), ((TLS12, TLS13), TLS12), ((TLS13,), None), ((SSL2,), None)],
)
def test_which_version_is_asked(versions: tuple[Version, ...], version: Version | None) -> None:
    """The newest below TLS 1.3."""
    expected = [SayHello(Offer(version, compression=b"\x01\x00"))] if version else []
    assert PROBE.ask(known(*versions), []) == expected
    assert PROBE.result(known(*versions), [])["verdict"] == ("unknown" if version else "no")


async def test_a_hello_that_is_cut(autojump_clock: MockClock) -> None:
    """It tells nothing."""
    whole, context = record(HANDSHAKE, server_hello(0x0303, 0xC02F, b"", compression=1)), context_of(TLS10, TLS12)
    for size in (0, 1, 5, len(whole) - 1):
        made = await asked(
            "compression",
            lambda: TlsServer(context=context),
            besides=lambda size=size: Says(whole[:size], closes=True),  # type: ignore[misc]
        )
        assert (made["compression"]["verdict"], made["compression"]["method"]) == ("unknown", None)
