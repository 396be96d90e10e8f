"""How many connections an interview takes: with an imagined server as many as with one that is there."""

import ssl
from functools import partial

import pytest
import trio
import trustme

from scanner.imagined import connections_of, pauses_of_silence
from scanner.looks import RETRIES
from scanner.probes import PROBES
from scanner.question import Wanted
from scanner.tls.names import Version
from targets.services import SERVICES
from tests.peers.command import scan


@pytest.mark.parametrize(
    ("service", "wanted", "connections"),
    [
        ("https", Wanted(), 7),
        ("smtp", Wanted(), 7),
        ("smtp", Wanted(economical=True), 4),
        ("https", Wanted(economical=True), 4),
        ("https", Wanted((Version.TLS1_2,), handshake=False), 1),
        ("https", Wanted(test_injection=True), 7),
        ("imap", Wanted(test_injection=True), 8),
        ("smtp", Wanted(probes=("alpn", "renegotiation")), 10),
    ],
)
def test_a_usual_server(service: str, wanted: Wanted, connections: int) -> None:
    """One for each version and the handshake, or as README.md says of --economical; and what is asked besides."""
    assert connections_of(SERVICES[service], wanted) == connections


def test_silence() -> None:
    """It is looked at again once, half a minute later, where that is wanted at all."""
    assert (pauses_of_silence(RETRIES), pauses_of_silence(0)) == ([30.0], [])


async def test_a_server_that_is_there() -> None:
    """With everything asked of a server that is as OpenSSL makes it, as many connections as foreseen, give or take."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)

    async def serve(stream: trio.SocketStream) -> None:
        tls = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        try:
            with trio.move_on_after(5):
                await tls.do_handshake()
                while await tls.receive_some():
                    pass
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(tls)

    options = [f"--{name.replace('_', '-').replace('fingerprints', 'fingerprint')}" for name in PROBES]
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        done = await scan(f"https://127.0.0.1:{port}", "--per-address", "8", *options)
        nursery.cancel_scope.cancel()
    foreseen = connections_of(SERVICES["https"], Wanted(probes=tuple(PROBES)))
    assert 0.7 < done.end["connections"] / foreseen < 1.4
