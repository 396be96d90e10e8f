"""PostgreSQL and MySQL: what we say."""

import pytest

from scanner.dialogue import NeedData
from scanner.outcome import Verdict
from scanner.starttls import mysql
from scanner.starttls.postgresql import SSL_REQUEST, Postgresql
from tests.scanner.play import play


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
