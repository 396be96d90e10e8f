"""What may be taken for a go-ahead, and what may be said: each protocol's, written apart from the scanner's own code.

A protocol that is not in these tables is fuzzed all the same, without the first rule, and may say what its transcripts
show it to say.
"""

import re
from functools import cache

from tests.scanner.transcript import every_transcript

# What a server says behind our last command before TLS may begin. Laxer than the dialogues: a go-ahead is in there.
_GO_AHEADS = {
    protocol: re.compile(grammar, re.DOTALL)
    for protocol, grammar in {
        "smtp": rb"(?:220-[^\n]*\n)*220(?: [^\n]*)?\n",
        "lmtp": rb"(?:220-[^\n]*\n)*220(?: [^\n]*)?\n",
        "imap": rb"(?:.*\n)?t2 (?i:OK)(?: .*)?\n",
        "pop3": rb"(?i:\+OK)(?: [^\n]*)?\n",
        "sieve": rb"(?i:OK)(?: .*)?\n",
        "ftp": rb"234(?:-.*\n234)?(?: [^\n]*)?\n",
        "nntp": rb"382(?: [^\n]*)?\n",
        "irc": rb"(?:.*\n)?(?:@[^ \n\0]* +)?:[^ \n\0]* +670(?: [^\n\0]*)?\n",
        "xmpp-client": rb".*<(?:[^\s<>:]+:)?proceed(?:[\s/][^<]*)?>.*",
        "xmpp-server": rb".*<(?:[^\s<>:]+:)?proceed(?:[\s/][^<]*)?>.*",
        "ldap": rb".*\x78.*\x0a(?:[\x01-\x08]|[\x81-\x88]\x00*[\x01-\x08])\x00+\x04.*",
        "postgresql": rb"S",
        "rdp": rb"\x03.{4}[\xd0-\xdf].{5}\x02.\x08\x00[\x01\x02\x08]\x00\x00\x00",
        "telnet": rb".*\xff\xfa\x2e\x01\xff\xf0",
        "amqp": rb"AMQP\x02\x01\x00\x00",
    }.items()
}
_MYSQL_GREETING = re.compile(rb".{2}\x00\x00\x0a[^\0]*\0.{13}(?P<capabilities>.{2}).*", re.DOTALL)
_CLIENT_SSL = 0x0800
_MSSQL_GO_AHEADS = {0, 1, 3}  # OFF, ON, REQ: all but NOT_SUP
SPEAKS_LAST = {"mysql"}  # the client: with its SSLRequest, which nobody answers

# What is said that holds something of what the server said: harmless, whatever that was.
_ECHOES = {
    "irc": re.compile(rb"PONG :[^\r\n\0]{0,400}\r\n"),
    "telnet": re.compile(rb"(?:\xff[\xfc\xfe].|\xff\xfb\x2e)*(?:\xff\xfa\x2e\x01\xff\xf0)?", re.DOTALL),
    "mysql": re.compile(rb"\x20\x00\x00\x01.\xae?.[\x00-\x7f]?\x00+\x01\x21\x00{23}", re.DOTALL),
}


def is_go_ahead(protocol: str, answer: bytes, everything: bytes) -> bool:
    """Does what the server said behind our last command, or in all, hold a go-ahead by the protocol's grammar?"""
    match protocol:
        case "mysql":
            greeting = _MYSQL_GREETING.fullmatch(everything)
            return bool(greeting and int.from_bytes(greeting["capabilities"], "little") & _CLIENT_SSL)
        case "mssql":
            return _mssql_encryption(_payload(answer)) in _MSSQL_GO_AHEADS
    grammar = _GO_AHEADS.get(protocol)
    return grammar is None or grammar.fullmatch(answer.replace(b"\r\n", b"\n")) is not None


def may_be_said(protocol: str, said: bytes) -> bool:
    """Is it, byte for byte, what a transcript shows, or an echo that harms nobody?"""
    echo = _ECHOES.get(protocol)
    return any(said in shown for shown in _shown(protocol)) or bool(echo and echo.fullmatch(said))


def _payload(packets: bytes) -> bytes:
    """What is in the packets of TDS, each with a header of eight bytes that tells its length."""
    payload = b""
    while len(packets) >= 8:
        length = max(8, int.from_bytes(packets[2:4], "big"))
        payload, packets = payload + packets[8:length], packets[length:]
    return payload


def _mssql_encryption(message: bytes) -> int | None:
    """The first ENCRYPTION in the table of a PRELOGIN: entries of token, place and length, up to 0xFF."""
    for at in range(0, len(message) - 4, 5):
        token, place = message[at], int.from_bytes(message[at + 1 : at + 3], "big")
        if token in (1, 0xFF):
            return message[place] if token == 1 and place < len(message) else None
    return None


@cache
def _shown(protocol: str) -> frozenset[bytes]:
    """All that a client says in each of the protocol's transcripts."""
    transcripts = (each for each in every_transcript(protocol) if each.dialogue.split()[0] == protocol)
    return frozenset(b"".join(turn.client for turn in each.turns) + each.last_words for each in transcripts)
