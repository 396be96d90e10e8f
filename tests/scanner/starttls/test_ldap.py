"""LDAP: what we say is what others say, byte for byte, and who speaks out of turn."""

import pytest

from scanner.dialogue import Violation
from scanner.outcome import Stage, Verdict
from scanner.starttls import ber, ldap
from scanner.starttls.ber import Element
from tests.scanner.play import play
from tests.scanner.transcript import every_transcript

DONE = bytes.fromhex("300c02010265070a010004000400")
YES = bytes.fromhex("300c02010178070a010004000400")
DIAGNOSTIC = b"too many connections"
NOTICE = bytes.fromhex("30840000003c 020100 788400000033 0a0133 0400 0414") + DIAGNOSTIC
NOTICE += b"\x8a\x16" + ldap.DISCONNECTION_OID


def test_what_we_say() -> None:
    """StartTLS as sslyze and `openssl s_client` say it, and the unbind."""
    assert bytes.fromhex("301d02010177188016") + b"1.3.6.1.4.1.1466.20037" == ldap.START_TLS
    assert bytes.fromhex("30050201034200") == ldap.FAREWELL
    (search,) = ber.elements(ldap.SEARCH)
    number, operation = search.holds()
    assert (number.number(), operation.tag, len(operation.holds())) == (2, 0x63, 8)


def test_the_go_ahead_before_it_was_asked_for() -> None:
    """An answer to StartTLS that comes with the one to the search answers nothing: StartTLS is not even said."""
    played = play(ldap.Ldap(), [DONE + YES])
    assert (played.value.verdict, played.value.cause) == (Verdict.VIOLATION, "reply before its command")
    assert played.sent == [ldap.SEARCH]


def test_a_notice_may_come_at_any_time() -> None:
    """With the answer to the search too: it is no reply to what we say next."""
    played = play(ldap.Ldap(), [DONE + NOTICE])
    assert (played.value.verdict, played.value.stage) == (Verdict.RATE_LIMITED, Stage.REPLY)
    assert (played.value.code, played.value.text) == ("51", DIAGNOSTIC.decode())


def test_every_verdict() -> None:
    """Each word that LDAP can say is said by a transcript."""
    said = {transcript.expected["verdict"] for transcript in every_transcript("ldap")}
    never = {"accepted_no_tls", "refused_session", "unreachable", "local_limitation", "handshake_failed"}
    assert said - {None} == {verdict.value for verdict in Verdict} - never


@pytest.mark.parametrize("form", range(9))
def test_every_form_of_a_length(form: int) -> None:
    """A length in one byte, and in one to eight more."""
    length = bytes((0x80 | form,)) + (3).to_bytes(form, "big") if form else b"\x03"
    assert ber.elements(b"\x04" + length + b"abc\x02\x01\xff") == (Element(4, b"abc"), Element(2, b"\xff"))
    assert Element(2, b"\xff").number() == -1


@pytest.mark.parametrize(
    "data", [b"\x04", b"\x04\x01", b"\x04\x82\x01", b"\x04\x80\0\0", b"\x04\x89" + bytes(9), b"\x1f\0"]
)
def test_what_is_not_an_element(data: bytes) -> None:
    """Too short, too long, without an end, or with a tag that LDAP does not have."""
    with pytest.raises(Violation):
        ber.elements(data)


def test_we_say_nothing_long() -> None:
    """Our own messages fit the short form of a length."""
    with pytest.raises(ValueError, match="short form"):
        ber.encoded(4, bytes(128))
