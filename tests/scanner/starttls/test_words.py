"""Which words are about the number of connections, and which only sound so."""

import pytest

from scanner.outcome import Verdict
from scanner.starttls import SPOKEN
from scanner.starttls.words import speaks_of_too_many
from tests.scanner.play import play
from tests.scanner.transcript import NAMES

TOO_MANY = [
    b"421 4.7.0 mx.example.org Error: too many connections from 192.0.2.1",
    b"421 Too many users, try again later",
    b"421 Too many connected users",
    b"421 There are too many connections from your internet address.",
    b"421 maximum number of concurrent server connections has been exceeded",
    b"421 all connections in use",
    b"421 All connections are already in use; try later",
    b"530 Sorry, the maximum number of allowed clients (5) already connected.",
    b"* BYE connection limit exceeded",
    b"* BYE Connections per IP limit reached",
    b"-ERR session limit exceeded",
    b"-ERR [IN-USE] login limit for this address reached",
    b"421 limit exceeded for connections from your network",
    b"452 rate limit exceeded",
    b"ERROR :Closing Link: throttled",
]
NOT_TOO_MANY = [
    b"500 mail size limit exceeded",
    b"552 5.3.4 message size limit exceeded",
    b"501 line length limit exceeded",
    b"452 disk limit exceeded. Connection stays open",
    b"550 mailbox has exceeded the limit",
    b"554 5.7.1 no session without encryption",
    b"530 all users have to log in",
]


@pytest.mark.parametrize("text", TOO_MANY)
def test_words_of_load(text: bytes) -> None:
    """In the words of many servers, in whichever case."""
    assert speaks_of_too_many(text)
    assert speaks_of_too_many(text.upper())


@pytest.mark.parametrize("text", NOT_TOO_MANY)
def test_other_words(text: bytes) -> None:
    """There are limits that are not about connections."""
    assert not speaks_of_too_many(text)


@pytest.mark.parametrize("protocol", ["smtp", "lmtp", "ftp"])
@pytest.mark.parametrize("text", [text for text in TOO_MANY if text.startswith(b"421")])
def test_a_greeting_of_load(protocol: str, text: bytes) -> None:
    """Such a greeting is looked at again, and more slowly."""
    assert play(SPOKEN[protocol].upgrade(NAMES), [text + b"\r\n"]).value.verdict is Verdict.RATE_LIMITED


def test_a_refusal_of_something_else() -> None:
    """A limit of the mail's size, in answer to EHLO, is not about us."""
    played = play(SPOKEN["smtp"].upgrade(NAMES), [b"220 mx\r\n", b"550 mail size limit exceeded\r\n"])
    assert played.value.verdict is Verdict.REFUSED_SESSION


def test_hostile_text_costs_no_more_than_its_length() -> None:
    """No repetition in the pattern runs on, whatever it is fed."""
    for word in (b"too many ", b"maximum number of a ", b"limit connection", b"connection ", b"limit ", b"session x "):
        speaks_of_too_many(word * 20_000)
