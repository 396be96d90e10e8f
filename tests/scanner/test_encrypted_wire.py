"""What is told of a wire inside TLS when an alert ends it."""

import ssl
from contextlib import suppress

import pytest
from OpenSSL import SSL

from scanner.dialogue import WireEnded
from scanner.tls.handshake import HandshakeDialogue, outgoing
from scanner.tls.wire import ContentType, record
from scanner.wires import EncryptedWire
from tests.scanner.tls.test_handshake import TLS13, context


class Segments:
    """A wire that brings these, one after the other."""

    local_address = "192.0.2.1"

    def __init__(self, *segments: bytes) -> None:
        self._segments = list(segments)

    async def send(self, data: bytes, timeout_s: float) -> None:
        """Nobody reads it."""

    async def receive(self, timeout_s: float) -> bytes:
        """The next one; FIN behind the last."""
        return self._segments.pop(0) if self._segments else b""

    def close(self) -> None:
        """Nothing to let go of."""


class Shaken:
    """Both ends of a handshake of TLS 1.3, without the server's tickets."""

    def __init__(self) -> None:
        made = context(only=TLS13)
        made.num_tickets = 0
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._server = made.wrap_bio(self._in, self._out, server_side=True)
        self.client = HandshakeDialogue(None, after_upgrade=False).tls
        for _ in range(3):  # a hello, another one for the server's group, and Finished
            with suppress(SSL.WantReadError):
                self.client.do_handshake()
            self._in.write(outgoing(self.client))
            with suppress(ssl.SSLWantReadError):
                self._server.do_handshake()
            if answer := self._out.read():
                self.client.bio_write(answer)

    def says(self, text: bytes) -> bytes:
        """A record of the server's."""
        self._server.write(text)
        return self._out.read()

    def alerts(self) -> bytes:
        """Its alert about a record that nobody has sealed."""
        self._in.write(record(ContentType.APPLICATION_DATA, 0x0303, bytes(64)))
        with pytest.raises(ssl.SSLError):
            self._server.read(1)
        return self._out.read()


async def heard(wire: EncryptedWire) -> list[bytes]:
    """All that comes, up to the alert."""
    found = list[bytes]()
    with suppress(WireEnded):
        while data := await wire.receive(1.0):
            found.append(data)
    return found


async def test_an_alert_alone() -> None:
    """Nothing came before it."""
    both = Shaken()
    wire = EncryptedWire(Segments(both.alerts()), both.client)
    assert await heard(wire) == []
    assert (wire.alert, wire.is_alert_alone) == ("bad_record_mac", True)


@pytest.mark.parametrize("together", [True, False])
async def test_an_alert_behind_words(together: bool) -> None:
    """To who has said something, the handshake was one, be it in the segment that ended that."""
    both = Shaken()
    words = both.says(b"220 mx.example.test\r\n")
    if together:
        both.client.bio_write(words)
    segments = [both.alerts()] if together else [words, both.alerts()]
    wire = EncryptedWire(Segments(*segments), both.client)
    assert await heard(wire) == [b"220 mx.example.test\r\n"]
    assert (wire.alert, wire.is_alert_alone) == ("bad_record_mac", False)
