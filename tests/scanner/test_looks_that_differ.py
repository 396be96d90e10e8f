"""Looks that contradict one another: what an endpoint once did is not undone by what it does later."""

import pytest

from scanner.hint import may_be
from tests.peers.memory import FIN, Peer, Turn
from tests.scanner.scanned import (
    BUSY_SMTP,
    NOBODY,
    REFUSES,
    SILENT,
    SMTP,
    findings,
    looks,
    peer,
    says,
    scanned,
    smtp,
)

BUSY_IMAPS = Peer([Turn(0, b"* BYE Too many connections\r\n"), Turn(0, FIN)])
LATER = peer(smtp(b"454 4.3.0 TLS not available due to temporary reason\r\n"))
BREAKS = peer(lambda: [*smtp(b"220 go\r\n")()[:-1], Turn(0, FIN)])
UNKNOWN = peer(smtp(b"502 5.5.1 unknown\r\n"))
LISTS_NOTHING = peer(smtp(b"502 5.5.1 unknown\r\n", ehlo=b"250-mx\r\n250 HELP\r\n"))


@pytest.mark.parametrize("later", [REFUSES, NOBODY])
@pytest.mark.parametrize(("service", "first"), [("smtp", BUSY_SMTP), ("imaps", BUSY_IMAPS), ("smtp", SILENT)])
async def test_somebody_was_there(autojump_clock: object, service: str, first: Peer, later: Peer) -> None:
    """Who has answered once, or taken a connection, is not unreachable; the record keeps to the schema."""
    made = await scanned(service, first, later)
    assert made["status"] == "inconclusive"
    assert looks(made)[-1] == "unreachable"
    said = made["starttls"] or made["tls"]["error"]
    assert (said["verdict"], said["stage"]) == ("unreachable", "connect")
    assert made["versions"] is None


@pytest.mark.parametrize(
    ("first", "verdict", "code"),
    [
        ([LATER], "refused_temporary", "454"),
        ([BREAKS, BREAKS], "accepted_no_tls", "220"),
        ([BREAKS, BUSY_SMTP], "accepted_no_tls", "220"),
    ],
)
async def test_an_offer_that_is_taken_back(autojump_clock: object, first: list[Peer], verdict: str, code: str) -> None:
    """Once it was listed, or agreed to, a list without it is no firm "not offered"; the earlier verdict stands."""
    made = await scanned("smtp", *first, LISTS_NOTHING)
    assert made["status"] == "inconclusive"
    assert looks(made)[-1] == "not_offered"
    said = made["starttls"]
    assert (said["verdict"], said["code"], said["advertised"]) == (verdict, code, True)
    assert "STARTTLS" in said["before"]["capabilities"]
    assert findings(made) & {"inconsistent-starttls", "starttls-not-offered"} == {"inconsistent-starttls"}
    clients = made["clients"]
    assert (clients["starttls_if_available"], clients["starttls"]) == ("unknown", "unknown")


@pytest.mark.parametrize("later", [UNKNOWN, LISTS_NOTHING])
async def test_a_go_ahead_that_is_taken_back(autojump_clock: object, later: Peer) -> None:
    """A go-ahead at one look and a firm refusal at the next are no "no"."""
    made = await scanned("smtp", BREAKS, BREAKS, later)
    assert (made["status"], made["starttls"]["verdict"]) == ("inconclusive", "accepted_no_tls")
    assert "inconsistent-starttls" in findings(made)


async def test_an_offer_that_is_refused_for_good(autojump_clock: object) -> None:
    """Listed, and refused for a while and then for good: that is no contradiction."""
    made = await scanned("smtp", LATER, UNKNOWN)
    assert (made["status"], made["starttls"]["verdict"]) == ("no_tls", "refused_permanent")
    assert findings(made) & {"inconsistent-starttls", "starttls-refused"} == {"starttls-refused"}


async def test_tls_that_is_taken_back(autojump_clock: object) -> None:
    """Where TLS was spoken before, that stands, and the contradiction is told."""
    made = await scanned("smtp", SMTP, BUSY_SMTP, LISTS_NOTHING)
    assert (made["status"], made["starttls"]["verdict"]) == ("tls", "ok")
    assert "inconsistent-starttls" in findings(made)


async def test_an_offer_that_comes_back(autojump_clock: object) -> None:
    """What was taken back at one look, and is there again at the next, is there."""
    made = await scanned("smtp", LATER, BUSY_SMTP, SMTP)
    assert (made["status"], looks(made)) == ("tls", ["refused_temporary", "rate_limited", "ok"])
    assert "inconsistent-starttls" not in findings(made)


@pytest.mark.parametrize(
    ("service", "first", "later", "verdict"),
    [
        (
            "nntp",
            says(b"200 hi\r\n", b"101 list\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n", b"400 busy\r\n"),
            says(b"200 hi\r\n", b"500 what\r\n", b"500 what\r\n"),
            "unavailable",
        ),
        (
            "pop3",
            says(b"+OK hi\r\n", b"+OK\r\nSTLS\r\n.\r\n", b"-ERR [SYS/TEMP] no\r\n"),
            says(b"+OK hi\r\n", b"-ERR what\r\n", b"-ERR what\r\n"),
            "refused_temporary",
        ),
    ],
)
async def test_a_list_that_is_not_there_any_more(
    autojump_clock: object, service: str, first: object, later: object, verdict: str
) -> None:
    """A server that knows neither the list nor the command at the second look: never not_offered and advertised."""
    made = await scanned(service, peer(first), peer(later))  # type: ignore[arg-type]
    assert (made["status"], looks(made)) == ("inconclusive", [verdict, "not_offered"])
    assert (made["starttls"]["verdict"], made["starttls"]["advertised"]) == (verdict, True)
    clients = made["clients"]
    assert (clients["starttls_if_available"], clients["starttls"]) == ("unknown", "unknown")


# --- the knock --------------------------------------------------------------------------------------------------------

_STREAM = (
    b"<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams'%s id='1' version='1.0'>"
    b"<stream:error><not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
)
DEAF = Peer([Turn(0, FIN, heard=b"<")])
AT_ONCE = Peer([Turn(0, FIN)])


@pytest.mark.parametrize("service", ["xmpp-client", "xmpp-server"])
@pytest.mark.parametrize("namespace", [b"", b" xmlns='jabber:client'", b" xmlns='jabber:server'"])
async def test_a_stream_error_is_of_either_xmpp(autojump_clock: object, service: str, namespace: bytes) -> None:
    """Which of the two it is, a server that could not read a stream header does not know itself."""
    knocked = Peer([Turn(0, _STREAM % namespace, heard=b"\x16\x03"), Turn(0, FIN)])
    made = await scanned(service, DEAF, knocked, retries=0)
    assert (made["status"], made["starttls"]["verdict"], made["starttls"]["hint"]) == ("inconclusive", "closed", None)
    assert "wrong-mode-port" not in findings(made)


def test_which_are_alike() -> None:
    """The two of XMPP, and those that greet with three digits."""
    assert may_be("xmpp-server", "xmpp-client")
    assert may_be("xmpp-client", "xmpp-server")
    assert may_be("xmpp-client", "xmpp-client")
    assert may_be("lmtp", "smtp")
    assert not may_be("imap", "xmpp-client")
    assert not may_be("xmpp-client", "smtp")


@pytest.mark.parametrize(
    ("service", "text", "verdict"),
    [
        ("smtp", b"421 Too many connections, try again in 10 minutes\r\n", "rate_limited"),
        ("ftp", b"421 Too many connections\r\n", "rate_limited"),
        ("imap", b"* BYE Too many connections\r\n", "rate_limited"),
        ("mysql", b"\x19\0\0\0\xff\x10\x04Too many connections", "rate_limited"),
        ("smtp", b"450 4.7.1 try later\r\n", "unavailable"),
        ("sieve", b'BYE "going down"\r\n', "unavailable"),
        ("smtp", b"220 mx ESMTP\r\n", "closed"),
    ],
)
async def test_a_busy_server_that_is_knocked_at(
    autojump_clock: object, service: str, text: bytes, verdict: str
) -> None:
    """It closed without a word, and told why in answer to a ClientHello."""
    busy = Peer([Turn(0, text), Turn(0, FIN)])
    made = await scanned(service, AT_ONCE, busy, retries=0)
    assert (made["starttls"]["verdict"], made["starttls"]["stage"]) == (verdict, "greeting")
    assert (made["starttls"]["text"] is None) == (verdict == "closed")
    assert looks(made) == [verdict]


async def test_a_knock_that_is_told_to_come_back(autojump_clock: object) -> None:
    """It is looked at again, not sooner than it said; and what it said then is no answer to the next look."""
    busy = Peer([Turn(0, b"421 Too many connections, try again in 10 minutes\r\n"), Turn(0, FIN)])
    made = await scanned("smtp", AT_ONCE, busy, SMTP)
    assert (made["status"], looks(made)) == ("tls", ["rate_limited", "ok"])
    assert made["duration_ms"] >= 600_000
    made = await scanned("smtp", AT_ONCE, busy, AT_ONCE)
    assert (made["status"], looks(made)) == ("inconclusive", ["rate_limited", "closed", "closed"])


async def test_a_busy_server_that_is_slow_to_say_so(autojump_clock: object) -> None:
    """It does not greet; the ClientHello that it gets instead is answered with words of load."""
    busy = Peer([Turn(0, b"421 4.7.0 Too many connections\r\n", heard=b"\x16\x03"), Turn(0, FIN)])
    made = await scanned("smtp", busy, retries=0)
    assert (made["starttls"]["verdict"], made["starttls"]["stage"]) == ("rate_limited", "greeting")
    assert made["starttls"]["text"].startswith("421 4.7.0 Too many connections")
