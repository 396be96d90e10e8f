"""Which protocol do the first bytes belong to? For servers that answer in something else than was asked."""

import re

# By the first bytes that such a server sends. Order matters: the narrow before the wide.
_SIGNATURES: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"[\x14-\x17]\x03[\x00-\x04]"), "tls"),
    (re.compile(rb"[\x80-\xff].\x04[\x00\x01][\x00\x01]\x00\x02", re.DOTALL), "tls"),  # SSLv2, a SERVER-HELLO
    (re.compile(rb"\x80\x03\x00\x00[\x01-\x06]"), "tls"),  # an ERROR
    (re.compile(rb"HTTP/|<!DOCTYPE|<html", re.IGNORECASE), "http"),
    (re.compile(rb"SSH-\d"), "ssh"),
    (re.compile(rb"\* (OK|PREAUTH|BYE|BAD)\b", re.IGNORECASE), "imap"),
    (re.compile(rb"\+OK\b|-ERR\b"), "pop3"),
    (re.compile(rb"220[ -][^\r\n]*\bLMTP\b", re.IGNORECASE), "lmtp"),
    (re.compile(rb"220[ -][^\r\n]*\bE?SMTP\b", re.IGNORECASE), "smtp"),
    (re.compile(rb"220[ -][^\r\n]*(?:FTP|FileZilla)|120[ -]", re.IGNORECASE), "ftp"),
    (re.compile(rb"(?:20[01]|400)(?: |\r|$)"), "nntp"),  # no other protocol greets with these
    (re.compile(rb"(?:220|[45]\d\d)[ -]"), "smtp"),  # no server of it greets with another positive code
    (re.compile(rb"(?:<\?xml|<stream:|<[\w:]*features).*\bjabber:server\b", re.DOTALL), "xmpp-server"),
    (re.compile(rb"<\?xml|<stream:|<[\w:]*features"), "xmpp-client"),
    (re.compile(rb":[^ \r\n]+ (?:NOTICE|PING|\d{3}) |(?:NOTICE [^ \r\n]+|PING|ERROR) :"), "irc"),
    (re.compile(rb"E\x00\x00..S[A-Z]|E(?:FATAL|ERROR): ", re.DOTALL), "postgresql"),  # by its fields, or as a text
    (re.compile(rb".\x00\x00\x00(?:[\x0a\xff]|$)", re.DOTALL), "mysql"),  # length, number, protocol version or error
    (re.compile(rb"\x03\x00\x00[\x0b-\xff].[\xd0\x80]", re.DOTALL), "rdp"),  # TPKT, X.224
    (re.compile(rb"\x30(?:[\x05-\x7f]|\x81.|\x82..|\x84....)\x02[\x01-\x04]", re.DOTALL), "ldap"),  # a message's number
    (re.compile(rb"\xff[\xfb-\xfe]"), "telnet"),
    (re.compile(rb'"(?:IMPLEMENTATION|SIEVE|SASL|STARTTLS|NOTIFY|VERSION)"', re.IGNORECASE), "sieve"),
    (re.compile(rb"AMQP"), "amqp"),
)


# They greet with three digits, or with a stream that need not say of which kind it is: they are taken for one another.
_ALIKE = ({"smtp", "lmtp", "ftp", "nntp"}, {"xmpp-client", "xmpp-server"})


def may_be(protocol: str, hint: str) -> bool:
    """May what a hint speaks of be this protocol all the same?"""
    return protocol == hint or any(protocol in alike and hint in alike for alike in _ALIKE)


def hint_of(data: bytes, sent: bytes = b"") -> str | None:
    """The protocol that a server's first bytes belong to, or None. `echo` when it says back what it was sent."""
    if sent and len(data) >= 3 and (sent.startswith(data) or data.startswith(sent)):
        return "echo"
    for signature, name in _SIGNATURES:
        if signature.match(data):
            return name
    return None
