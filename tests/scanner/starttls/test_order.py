"""A reply answers a command: what is there before the command was sent is no answer to it."""

import pytest

from scanner.dialogue import End
from scanner.outcome import Stage, Verdict
from scanner.starttls import SPOKEN
from scanner.starttls.ldap import SEARCH
from scanner.starttls.result import Inside, StartTls
from tests.scanner.play import Played, play
from tests.scanner.recorded import go_aheads
from tests.scanner.transcript import NAMES

CAUSE = "reply before its command"

HEADER = (
    b"<?xml version='1.0'?><stream:stream to=\"server.example.org\" version='1.0' xml:lang='en' xmlns='jabber:client'"
    b" xmlns:stream='http://etherx.jabber.org/streams'>"
)
STREAM = b"<stream:stream version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
PROCEED = b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
FOLLOWS = b"\xff\xfa\x2e\x01\xff\xf0"
DONE = bytes.fromhex("300c 020102 6507 0a0100 0400 0400")  # the search's result
OTHER_NOTICE = bytes.fromhex("3010 020100 780b 0a0100 0400 0400 8a02312e")  # message 0, of no operation that we know
STARTED = bytes.fromhex("300c 020101 7807 0a0100 0400 0400")


def upgraded(protocol: str, *pieces: bytes, end: End = End.EOF) -> Played[StartTls]:
    """How the dialogue goes when the server's bytes come in these pieces, whatever the client says."""
    return play(SPOKEN[protocol].upgrade(NAMES), pieces, end)


EARLY: dict[str, tuple[str, list[bytes], Stage, list[bytes]]] = {
    "SMTP, all at once": (
        "smtp",
        [b"220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n"],
        Stage.CAPABILITIES,
        [],
    ),
    "SMTP, the go-ahead with the list": (
        "smtp",
        [b"220 mx\r\n", b"250-mx\r\n250 STARTTLS\r\n220 go\r\n"],
        Stage.REPLY,
        [b"EHLO client.example.org\r\n"],
    ),
    "SMTP, the beginning of the go-ahead": (
        "smtp",
        [b"220 mx\r\n", b"250-mx\r\n250 STARTTLS\r\n2", b"20 go\r\n"],
        Stage.REPLY,
        [b"EHLO client.example.org\r\n"],
    ),
    "SMTP, the answer to HELO": (
        "smtp",
        [b"220 mx\r\n", b"502 what?\r\n250 mx\r\n"],
        Stage.CAPABILITIES,
        [b"EHLO client.example.org\r\n"],
    ),
    "IMAP, the go-ahead with the greeting": (
        "imap",
        [b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\nt2 OK go\r\n"],
        Stage.REPLY,
        [],
    ),
    "IMAP, behind what may come unasked": (
        "imap",
        [b"* OK hi\r\n* OK more\r\n* CAPABILITY IMAP4rev1 STARTTLS\r\nt1 OK done\r\n", b"t2 OK go\r\n"],
        Stage.CAPABILITIES,
        [],
    ),
    "XMPP, the go-ahead with the features": (
        "xmpp-client",
        [STREAM + b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>" + PROCEED],
        Stage.REPLY,
        [HEADER],
    ),
    "XMPP, behind the whitespace that may come": (
        "xmpp-client",
        [STREAM, b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>\n" + PROCEED],
        Stage.REPLY,
        [HEADER],
    ),
    "LDAP, behind a notice": ("ldap", [DONE + OTHER_NOTICE + STARTED], Stage.REPLY, [SEARCH]),
    "Telnet, what follows before we have offered it": (
        "telnet",
        [b"\xff\xfd\x2e" + FOLLOWS],
        Stage.REPLY,
        [],
    ),
    "POP3, all at once": ("pop3", [b"+OK hi\r\n+OK\r\nSTLS\r\n.\r\n+OK go\r\n"], Stage.CAPABILITIES, []),
    "POP3, the go-ahead with the list": (
        "pop3",
        [b"+OK hi\r\n", b"+OK\r\nSTLS\r\n.\r\n+OK go\r\n"],
        Stage.REPLY,
        [b"CAPA\r\n"],
    ),
}


@pytest.mark.parametrize(("protocol", "pieces", "stage", "sent"), EARLY.values(), ids=EARLY)
def test_a_reply_before_its_command(protocol: str, pieces: list[bytes], stage: Stage, sent: list[bytes]) -> None:
    """It breaks the protocol, and the command is not even sent."""
    played = upgraded(protocol, *pieces)
    assert (played.value.verdict, played.value.stage, played.value.cause) == (Verdict.VIOLATION, stage, CAUSE)
    assert played.sent == sent


IN_ORDER: dict[str, tuple[str, list[bytes]]] = {
    "SMTP, a greeting in two segments": (
        "smtp",
        [b"220-mx\r\n220", b" mx\r\n", b"250-mx\r\n250 STARTTLS\r\n", b"220 go\r\n"],
    ),
    "IMAP, untagged responses at any time": (
        "imap",
        [
            b"* OK hi\r\n* OK [ALERT] t1 OK is not a tag here\r\n",
            b"* CAPABILITY IMAP4rev1 STARTTLS\r\nt1 OK done\r\n* 3 EXISTS\r\n* OK st",
            b"ill here\r\nt2 OK go\r\n",
        ],
    ),
    "XMPP, a server that keeps the connection alive": (
        "xmpp-client",
        [
            STREAM,
            b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>\n \n",
            PROCEED,
        ],
    ),
    "LDAP, notices": ("ldap", [DONE + OTHER_NOTICE * 2, STARTED]),
    "IRC, all at once: both commands were sent before anything was heard": (
        "irc",
        [b":irc NOTICE * :hi\r\n:irc CAP * LS :tls\r\n:irc 670 * :go\r\n"],
    ),
    "IRC, the go-ahead behind a PING that is not answered yet": (
        "irc",
        [b"PING :x\r\n:irc CAP * LS :tls\r\n:irc 670 * :go\r\n"],
    ),
    "Telnet, options at any time, and what follows once we have offered it": (
        "telnet",
        [b"\xff\xfd\x18", b"\xff\xfd\x2e\xff\xfd\x20" + FOLLOWS],
    ),
    "IMAP, the beginning of a response that may come unasked": (
        "imap",
        [b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n* OK {4}\r\nt2", b" x ok\r\nt2 OK go\r\n"],
    ),
}


@pytest.mark.parametrize(("protocol", "pieces"), IN_ORDER.values(), ids=IN_ORDER)
def test_what_may_be_there_before_a_command(protocol: str, pieces: list[bytes]) -> None:
    """A part of the greeting that comes late, and what IMAP may say at any time (RFC 9051 §7), are in order."""
    assert upgraded(protocol, *pieces).value.verdict is Verdict.OK


# Where what came early is no answer to what was not said yet.
AT_ONCE = {"irc": "both commands go out at once", "telnet": "options may come at any time"}


@pytest.mark.parametrize("protocol", SPOKEN)
def test_two_turns_in_one_segment(protocol: str) -> None:
    """In every dialogue, a reply that comes with the one before it is none, and its command is not sent."""
    for transcript in go_aheads(protocol):
        said = [turn.server for turn in transcript.turns]
        for at in range(len(said) - 1):
            pieces = [*said[:at], said[at] + said[at + 1], *said[at + 2 :]]
            played = upgraded(protocol, *pieces)
            if played.value.verdict is Verdict.OK:
                assert protocol in AT_ONCE
            else:
                assert (played.value.verdict, played.value.cause) == (Verdict.VIOLATION, CAUSE)
                assert b"".join(played.sent) == b"".join(turn.client for turn in transcript.turns[: at + 1])


@pytest.mark.parametrize(
    ("goodbye", "verdict"),
    [(b"421 4.3.2 shutting down\r\n", Verdict.UNAVAILABLE), (b"421 4.7.0 too many\r\n", Verdict.RATE_LIMITED)],
)
def test_smtp_may_say_goodbye_at_any_time(goodbye: bytes, verdict: Verdict) -> None:
    """421 is the one reply that answers no command (RFC 5321 §3.8)."""
    assert upgraded("smtp", b"220 mx\r\n" + goodbye).value.verdict is verdict
    assert upgraded("smtp", b"220 mx\r\n", b"250-mx\r\n250 STARTTLS\r\n" + goodbye).value.verdict is verdict


def test_bytes_behind_the_go_ahead() -> None:
    """They are no reply before a command, because none follows: whoever is next gets them."""
    dialogue = SPOKEN["smtp"].upgrade(NAMES)
    go_ahead = b"220 go\r\n250 injected\r\n"
    assert play(dialogue, [b"220 mx\r\n", b"250-mx\r\n250 STARTTLS\r\n", go_ahead]).value.verdict is Verdict.OK
    assert dialogue.trailing_data == b"250 injected\r\n"


@pytest.mark.parametrize(
    ("protocol", "data"),
    [
        ("smtp", b"220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n"),
        ("imap", b"* OK hi\r\n* CAPABILITY IMAP4rev1\r\nt3 OK done\r\n"),
        ("pop3", b"+OK hi\r\n+OK\r\nUSER\r\n.\r\n"),
    ],
)
def test_inside(protocol: str, data: bytes) -> None:
    """The same inside TLS: capabilities that were not asked for are not learnt."""
    within = SPOKEN[protocol].within
    assert within
    played = play(within(NAMES, True), [data])
    assert isinstance(played.value, Inside)
    assert (played.value.capabilities, played.value.stopped) == (None, Verdict.VIOLATION)
    assert played.sent == []


@pytest.mark.parametrize("end", End)
@pytest.mark.parametrize("behind", [b"", b"* CAPABILITY IMAP4rev1\r\n", b"* CAPAB"])
def test_preauth_and_the_end(behind: bytes, end: End) -> None:
    """After PREAUTH there is no STARTTLS (RFC 9051 §7.1.4), however the wire ends while we ask what else there is."""
    result = upgraded("imap", b"* PREAUTH hi\r\n", behind, end=end).value
    assert (result.verdict, result.stage, result.cause) == (Verdict.NOT_OFFERED, Stage.GREETING, None)
    assert (result.code, result.text) == ("PREAUTH", "* PREAUTH hi")
