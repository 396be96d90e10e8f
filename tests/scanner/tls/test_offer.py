"""Hellos made to measure: what is kept of their answers, of which a list has hundreds."""

import pytest

from scanner.dialogue import End
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.hello import MAX_KEPT_EXTENSION_BYTES
from scanner.tls.names import Version
from scanner.tls.offer import MAX_KEPT_BYTES, MAX_MESSAGES, Offer, OfferExchange
from scanner.tls.wire import HandshakeType
from tests.scanner.play import play
from tests.scanner.tls.wire import extension, in_records, message, server_hello

CERTIFICATE, KEY_EXCHANGE, DONE = 11, 12, 14
READS_ON = Offer(Version.TLS1_2, read_on=HandshakeType.SERVER_KEY_EXCHANGE)


def answer_of(offer: Offer, *messages: bytes) -> HelloAnswer:
    """What it comes to when a server says these, and closes."""
    exchange = OfferExchange(offer, "mx.example.org", bytes(96), after_upgrade=False)
    return play(exchange, [in_records(b"".join(messages), 2**14)], End.EOF).value


def test_of_an_extension_its_beginning_is_kept() -> None:
    """A name of ALPN is whole (RFC 7301 §3.1); of all others it counts that they are there."""
    name = b"\x01\x00\xff" + b"n" * 255
    told = extension(16, name) + extension(18, bytes(15_000)) + extension(0xFF01, b"\x00")
    answer = answer_of(Offer(Version.TLS1_2), server_hello(0x0303, 0xC02F, told))
    assert answer.server_hello is not None
    kept = answer.server_hello.extensions
    assert kept == {16: name, 18: bytes(MAX_KEPT_EXTENSION_BYTES), 0xFF01: b"\x00"}
    assert answer.scts == b""


@pytest.mark.parametrize("size", [4, 2_050, 100_000])
def test_of_the_flight_one_message_is_kept(size: int) -> None:
    """The one that was waited for, as far as it can tell anything: no chain for each curve."""
    chain, key = message(CERTIFICATE, bytes(100_000)), b"\x03" + bytes(size - 1)
    answer = answer_of(READS_ON, server_hello(0x0303, 0xC02F), chain, message(KEY_EXCHANGE, key), message(DONE, b""))
    assert answer.behind == ((KEY_EXCHANGE, key[:MAX_KEPT_BYTES]),)


def test_messages_that_are_not_waited_for_are_counted() -> None:
    """Behind so many of them nothing is waited for, and what was said in the ServerHello stays."""
    others = [message(CERTIFICATE, b"")] * (MAX_MESSAGES - 1)
    key = message(KEY_EXCHANGE, b"\x03\x00\x17")
    assert answer_of(READS_ON, server_hello(0x0303, 0xC02F), *others, key).behind != ()
    answer = answer_of(READS_ON, server_hello(0x0303, 0xC02F), *others, message(CERTIFICATE, b""), key)
    assert (answer.evidence, answer.behind) == (Evidence.SERVER_HELLO, ())
