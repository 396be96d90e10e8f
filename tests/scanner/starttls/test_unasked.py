"""LMTP, ManageSieve, FTP and NNTP: what comes before its command, and what may."""

import pytest

from scanner.outcome import Stage, Verdict
from scanner.starttls import SPOKEN
from scanner.starttls.result import Inside, Names
from tests.scanner.play import play

NAMES = Names("client.example.org", "server.example.org")

EARLY: dict[str, tuple[str, list[bytes], Stage, list[bytes]]] = {
    "LMTP": (
        "lmtp",
        [b"220 mx\r\n", b"250-mx\r\n250 STARTTLS\r\n220 go\r\n"],
        Stage.REPLY,
        [b"LHLO client.example.org\r\n"],
    ),
    "Sieve": ("sieve", [b'"STARTTLS"\r\nOK\r\nOK\r\n'], Stage.REPLY, []),
    "Sieve, a second list": ("sieve", [b'"STARTTLS"\r\nOK\r\n"SASL" ""\r\n'], Stage.REPLY, []),
    "FTP, all at once": ("ftp", [b"220 hi\r\n211 no features\r\n234 go\r\n"], Stage.CAPABILITIES, []),
    "FTP, the go-ahead with the list": ("ftp", [b"220 hi\r\n", b"211 none\r\n234 go\r\n"], Stage.REPLY, [b"FEAT\r\n"]),
    "FTP, two greetings": ("ftp", [b"220 hi\r\n220 hi\r\n"], Stage.CAPABILITIES, []),
    "NNTP, all at once": ("nntp", [b"200 hi\r\n101 list\r\nSTARTTLS\r\n.\r\n382 go\r\n"], Stage.CAPABILITIES, []),
    "NNTP, the go-ahead with the list": (
        "nntp",
        [b"200 hi\r\n", b"101 list\r\nSTARTTLS\r\n.\r\n382 go\r\n"],
        Stage.REPLY,
        [b"CAPABILITIES\r\n"],
    ),
}


@pytest.mark.parametrize(("protocol", "pieces", "stage", "sent"), EARLY.values(), ids=EARLY)
def test_a_reply_before_its_command(protocol: str, pieces: list[bytes], stage: Stage, sent: list[bytes]) -> None:
    """It breaks the protocol, and the command is not even sent."""
    played = play(SPOKEN[protocol].upgrade(NAMES), pieces)
    assert (played.value.verdict, played.value.stage) == (Verdict.VIOLATION, stage)
    assert played.value.cause == "reply before its command"
    assert played.sent == sent


@pytest.mark.parametrize(
    ("protocol", "greeting", "goodbye"),
    [
        ("lmtp", b"220 mx\r\n", b"421 bye\r\n"),
        ("ftp", b"220 hi\r\n", b"421 bye\r\n"),
        ("nntp", b"200 hi\r\n", b"400 bye\r\n"),
    ],
)
def test_a_goodbye_may_come_at_any_time(protocol: str, greeting: bytes, goodbye: bytes) -> None:
    """421 (RFC 5321 §3.8, RFC 959 §5.4) and 400 (RFC 3977 §3.2.1) answer no command."""
    assert play(SPOKEN[protocol].upgrade(NAMES), [greeting + goodbye]).value.verdict is Verdict.UNAVAILABLE


@pytest.mark.parametrize(
    ("protocol", "data"),
    [
        ("lmtp", b"220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n"),
        ("ftp", b"220 hi\r\n211-list\r\n SIZE\r\n211 end\r\n"),
        ("nntp", b"200 hi\r\n101 list\r\nAUTHINFO USER\r\n.\r\n"),
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


@pytest.mark.parametrize("protocol", ["lmtp", "sieve", "ftp", "nntp"])
def test_nothing_is_sent_before_the_whole_greeting(protocol: str) -> None:
    """Nor when its first line is there."""
    for beginning in (b"", b"220-mx\r\n", b"200 hi", b'"STARTTLS"\r\n'):
        dialogue = SPOKEN[protocol].upgrade(NAMES)
        assert play(dialogue, [beginning]).sent == []


def test_whoever_has_no_lhlo_is_not_asked_to_say_helo() -> None:
    """LMTP answers HELO with 500 (RFC 2033 §4.1): it would tell nothing."""
    played = play(SPOKEN["lmtp"].upgrade(NAMES), [b"220 mx\r\n", b"500 what?\r\n", b"250 mx\r\n"])
    assert played.sent == [b"LHLO client.example.org\r\n"]
    assert (played.value.verdict, played.value.hint) == (Verdict.PROTOCOL_MISMATCH, "smtp")
