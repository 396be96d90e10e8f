"""What the first bytes tell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.hint import hint_of

BANNERS = [
    (b"\x16\x03\x03\x00\x31\x02", "tls"),
    (b"\x15\x03\x01\x00\x02\x02\x28", "tls"),
    (b"HTTP/1.1 400 Bad Request\r\n", "http"),
    (b"<!doctype html>", "http"),
    (b"<html><head>", "http"),
    (b"SSH-2.0-OpenSSH_9.6\r\n", "ssh"),
    (b"* OK [CAPABILITY IMAP4rev1] ready\r\n", "imap"),
    (b"* PREAUTH hello\r\n", "imap"),
    (b"* BYE\r\n", "imap"),
    (b"+OK ready\r\n", "pop3"),
    (b"-ERR no\r\n", "pop3"),
    (b"220 mx.example.org ESMTP Postfix\r\n", "smtp"),
    (b"220-mx.example.org SMTP\r\n", "smtp"),
    (b"220 files.example.org FTP server ready\r\n", "ftp"),
    (b"200 news.example.org InterNetNews NNRP server INN 2.7 ready\r\n", "nntp"),
    (b"201 NNTP Service Ready\r\n", "nntp"),
    (b"200 ready\r\n", "nntp"),
    (b"400 NNTP server unavailable.  Try later!\r\n", "nntp"),
    (b"220 (vsFTPd 3.0.5)\r\n", "ftp"),
    (b"220-FileZilla Server 1.8.1\r\n", "ftp"),
    (b"120 ready in 3 minutes\r\n", "ftp"),
    (b"220 mail.example.org LMTP Cyrus v3.8\r\n", "lmtp"),
    (b"220 ftp.example.org ESMTP\r\n", "smtp"),
    (b"554 no SMTP service here\r\n", "smtp"),
    (b"421 busy\r\n", "smtp"),
    (b"521 no mail here\r\n", "smtp"),
    (b"450 not now\r\n", "smtp"),
    (b"220 ready\r\n", "smtp"),
    (b"205 closing connection\r\n", None),
    (b"250 ok\r\n", None),
    (b"<?xml version='1.0'?><stream:stream>", "xmpp-client"),
    (b"<stream:stream xmlns='jabber:client'>", "xmpp-client"),
    (b"<?xml version='1.0'?>\n<stream:stream xmlns='jabber:server'>", "xmpp-server"),
    (b"\x80\x03\x00\x00\x01", "tls"),
    (b"\x80\x20\x04\x00\x01\x00\x02", "tls"),
    (b"* BAD what?\r\n", "imap"),
    (b":irc.example.org NOTICE * :*** Looking up your hostname...\r\n", "irc"),
    (b":irc.example.org 451 * :Register first.\r\n", "irc"),
    (b"NOTICE AUTH :*** Looking up your hostname\r\n", "irc"),
    (b"ERROR :Closing Link: [192.0.2.1] (Throttled)\r\n", "irc"),
    (b"E\x00\x00\x00\x60SFATAL\x00VFATAL\x00C0A000\x00", "postgresql"),
    (b"EFATAL:  unsupported frontend protocol\n\x00", "postgresql"),
    (b"\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02", "rdp"),
    (b"\x30\x0c\x02\x01\x00\x78\x07", "ldap"),
    (b"\x30\x84\x00\x00\x00\x28\x02\x01\x00", "ldap"),
    (b'"SASL" "PLAIN"\r\n', "sieve"),
    (b"J\x00\x00\x00\x0a8.0.36\x00", "mysql"),
    (b"E\x00\x00\x00\xff\x6a\x04Host is not allowed", "mysql"),
    (b"\xff\xfd\x18\xff\xfd\x20", "telnet"),
    (b'"IMPLEMENTATION" "Dovecot Pigeonhole"\r\n', "sieve"),
    (b"AMQP\x00\x00\x09\x01", "amqp"),
    (b"", None),
    (b"hello", None),
    (b"\x16\x02", None),
    (b"* OKAY", None),
    (b"0 items\r\n", None),
    (b"ERROR\r\n", None),
    (b": a b", None),
    (b"2200 items", None),
    (b"+OKAY", None),
]


@pytest.mark.parametrize(("data", "name"), BANNERS)
def test_banners(data: bytes, name: str | None) -> None:
    """The first bytes of each protocol that is known, and of some that are not."""
    assert hint_of(data) == name


@pytest.mark.parametrize(
    ("data", "sent", "name"),
    [
        (b"\x16\x03\x01\x02", b"\x16\x03\x01\x02\x00", "echo"),
        (b"\x16\x03\x01\x02\x00 and more", b"\x16\x03\x01\x02\x00", "echo"),
        (b"\x16\x03", b"\x16\x03\x01", None),
        (b"\x15\x03\x01\x00\x02", b"\x16\x03\x01\x02\x00", "tls"),
    ],
)
def test_echo(data: bytes, sent: bytes, name: str | None) -> None:
    """A server that says back what it was sent; fewer than three bytes are no proof."""
    assert hint_of(data, sent) == name


@given(st.binary(max_size=300), st.binary(max_size=20))
def test_any_bytes(data: bytes, sent: bytes) -> None:
    """No bytes make it fail."""
    assert hint_of(data, sent) is None or data
