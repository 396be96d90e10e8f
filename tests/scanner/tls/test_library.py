"""What our TLS library offers, and what of a server's choice it has not."""

import pytest

from scanner.dialogue import Send
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.handshake import HandshakeDialogue
from scanner.tls.library import lacks, offered
from tests.scanner.tls.wire import read_client_hello


def test_it_is_what_a_handshake_says() -> None:
    """Suites, groups and versions are those of its ClientHello, by another reader; none of them is left out."""
    said = HandshakeDialogue("mx.example.test", after_upgrade=False).next_action()
    assert isinstance(said, Send)
    hello = read_client_hello(said.data)
    assert offered().suites == set(hello.suites)
    assert offered().groups == set(hello.of(10).codes(2))
    assert offered().versions == set(hello.of(43).codes(1)) == {0x0301, 0x0302, 0x0303, 0x0304}


@pytest.mark.parametrize(
    ("version", "cipher", "group", "lacking"),
    [
        (0x0304, 0x1301, 0x001D, None),
        (0x0304, 0x1301, 0x11EC, None),
        (0x0304, 0x1301, None, None),
        (0x0303, 0xC02F, None, None),
        (0x0301, 0x0033, None, None),
        (0x0303, 0x0034, None, None),  # anonymous
        (0x0304, 0x1301, 0x0102, "ffdhe4096"),
        (0x0304, 0x1301, 0x11ED, "SecP384r1MLKEM1024"),
        (0x0304, 0x1301, 0xFEFE, "0xfefe"),
        (0x0304, 0x00C6, 0x001D, "TLS_SM4_GCM_SM3"),
        (0x0303, 0x0005, None, "TLS_RSA_WITH_RC4_128_SHA"),
        (0x0303, 0xFF85, None, "0xff85"),
        (0x0300, 0x002F, None, "SSLv3"),
        (0x0002, 0x010080, None, "SSLv2"),
    ],
)
def test_what_it_lacks(version: int, cipher: int, group: int | None, lacking: str | None) -> None:
    """A version, or else a suite, or else a group; by its name where it has one."""
    assert lacks(HelloAnswer(Evidence.SERVER_HELLO, version, cipher, group)) == lacking
