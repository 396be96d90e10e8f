"""PostgreSQL and MySQL: what we say, and that each verdict is reached."""

import pytest

from scanner.dialogue import NeedData
from scanner.outcome import Verdict
from scanner.starttls import mysql
from scanner.starttls.postgresql import SSL_REQUEST, Postgresql
from tests.scanner.play import play
from tests.scanner.transcript import every_transcript

AT_ANY_TIME = {"protocol_mismatch", "violation", "timeout", "closed", "reset", "tarpit"}


def test_postgresql_takes_one_byte() -> None:
    """The rest stays where it is, whatever it looks like."""
    dialogue = Postgresql()
    played = play(dialogue, [b"SSL? SSH? S!"])
    assert (played.value.verdict, played.sent) == (Verdict.OK, [SSL_REQUEST])
    assert dialogue.trailing_data == b"SL? SSH? S!"


@pytest.mark.parametrize(
    ("offered", "flags"), [(0xFFFF_FFFF, "85ae7f00"), (0x0800, "00080000"), (0, "00080000"), (0xAA2C, "04aa0000")]
)
def test_ssl_request(offered: int, flags: str) -> None:
    """Nothing is claimed that the server does not have; the rest is as others send it."""
    assert mysql.ssl_request(offered) == bytes.fromhex(f"20000001{flags}0000000121") + bytes(23)


def test_mysql_is_silent_until_it_was_greeted() -> None:
    """The server speaks first."""
    assert isinstance(mysql.Mysql().next_action(), NeedData)


@pytest.mark.parametrize(
    ("protocol", "verdicts"),
    [
        ("postgresql", {"ok", "not_offered", "refused_permanent", "unavailable", "rate_limited", "limit_exceeded"}),
        ("mysql", {"ok", "not_offered", "unavailable", "refused_session", "rate_limited"}),
        ("amqp", {"ok", "not_offered"}),
    ],
)
def test_every_verdict(protocol: str, verdicts: set[str]) -> None:
    """Each word that a protocol can say is said by a transcript."""
    assert {transcript.expected["verdict"] for transcript in every_transcript(protocol)} == verdicts | AT_ANY_TIME
