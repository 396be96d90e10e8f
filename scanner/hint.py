"""Which protocol do the first bytes belong to? For servers that answer in something else than was asked."""

import re

# By the first bytes that such a server sends. Order matters: the narrow before the wide.
_SIGNATURES: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"[\x14-\x17]\x03[\x00-\x04]"), "tls"),
    (re.compile(rb"HTTP/|<!DOCTYPE|<html", re.IGNORECASE), "http"),
    (re.compile(rb"SSH-\d"), "ssh"),
    (re.compile(rb"\* (OK|PREAUTH|BYE)\b", re.IGNORECASE), "imap"),
    (re.compile(rb"\+OK\b|-ERR\b"), "pop3"),
    (re.compile(rb"220[ -][^\r\n]*\bLMTP\b", re.IGNORECASE), "lmtp"),
    (re.compile(rb"220[ -][^\r\n]*\bE?SMTP\b", re.IGNORECASE), "smtp"),
    (re.compile(rb"220[ -][^\r\n]*(?:FTP|FileZilla)|120[ -]", re.IGNORECASE), "ftp"),
    (re.compile(rb"20[01](?: |\r|$)"), "nntp"),  # no other protocol greets with these
    (re.compile(rb"[245]\d\d[ -]"), "smtp"),
    (re.compile(rb"<\?xml|<stream:|<[\w:]*features"), "xmpp"),
    (re.compile(rb".\x00\x00\x00(?:[\x0a\xff]|$)", re.DOTALL), "mysql"),  # length, number, protocol version or error
    (re.compile(rb"\xff[\xfb-\xfe]"), "telnet"),
    (re.compile(rb'"IMPLEMENTATION"', re.IGNORECASE), "sieve"),
    (re.compile(rb"AMQP"), "amqp"),
)


def hint_of(data: bytes, sent: bytes = b"") -> str | None:
    """The protocol that a server's first bytes belong to, or None. `echo` when it says back what it was sent."""
    if sent and len(data) >= 3 and (sent.startswith(data) or data.startswith(sent)):
        return "echo"
    for signature, name in _SIGNATURES:
        if signature.match(data):
            return name
    return None
