"""An endpoint that answered, and then turned us away, has not said "no": FIN, RST and silence prove nothing then."""

import ssl

import pytest

from scanner.conclusion import conclude
from scanner.outcome import Flag
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.names import Version
from scanner.versions import Known
from tests.peers.memory import FIN, Peer, Turn
from tests.peers.tls_server import TlsServer, _certificate
from tests.scanner.answers import CLOSED, RESET, SHAKEN, Came, answer, interview, yes
from tests.scanner.scanned import (
    BUSY_SMTP,
    CLOSES,
    NOBODY,
    REFUSES,
    RESETS,
    SILENT,
    SMTP,
    TLS,
    looks,
    peer,
    scanned,
    smtp,
    versions,
)

TURNS_AWAY = Peer([Turn(0, b"* BYE Too many connections\r\n"), Turn(0, FIN)])
GOES_DOWN = Peer([Turn(0, b"* BYE Going down\r\n"), Turn(0, FIN)])
HALF = peer(lambda: [*smtp(b"220 go\r\n")()[:-1], Turn(0, FIN)])  # the go-ahead, and no TLS


def tls12() -> list[Turn]:
    """A server of TLS 1.2 and nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _certificate().configure_cert(context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return [Turn(0, TlsServer(context=context))]


ONLY_TLS12 = peer(tls12)


@pytest.mark.parametrize("retries", [0, 2])
@pytest.mark.parametrize(
    ("service", "peers"),
    [
        ("imaps", [TLS, *[CLOSES] * 5, REFUSES]),
        ("imaps", [TLS, *[RESETS] * 5, NOBODY]),
        ("imaps", [TLS, SILENT, SILENT, NOBODY, SILENT, SILENT, NOBODY]),
        ("imaps", [TLS, *[CLOSES] * 5, TURNS_AWAY]),
        ("imaps", [TLS, *[CLOSES] * 5, GOES_DOWN]),
        ("imaps", [TLS, *[CLOSES] * 6]),
        ("imaps", [TLS, *[CLOSES] * 3, TURNS_AWAY]),
        ("imaps", [TLS, *[RESETS] * 3, REFUSES]),
        ("smtp", [SMTP, *[HALF] * 5, BUSY_SMTP]),
        ("smtp", [SMTP, *[HALF] * 5, REFUSES]),
        ("smtp", [SMTP, *[HALF] * 5, Peer([Turn(0, FIN)])]),
    ],
)
async def test_no_firm_no(autojump_clock: object, service: str, peers: list[Peer], retries: int) -> None:
    """The full handshake, which offers what was answered, got nowhere: then nothing of the kind is a "no"."""
    made = await scanned(service, *peers, retries=retries)
    assert made["status"] == "tls"
    assert sorted(versions(made).values()) == ["unknown"] * 5 + ["yes"]
    assert "throttled" in made["flags"]


async def test_without_a_handshake(autojump_clock: object) -> None:
    """Nor where none was to be asked, and the last connections were turned away."""
    for last in (REFUSES, TURNS_AWAY):
        made = await scanned("imaps", TLS, CLOSES, CLOSES, last, retries=0, handshake=False)
        assert sorted(versions(made).values()) == ["unknown"] * 5 + ["yes"]
        assert "throttled" in made["flags"]


async def test_the_handshake_is_told_to_come_back(autojump_clock: object) -> None:
    """Words of load in answer to the handshake are what the look met."""
    made = await scanned("imaps", TLS, *[CLOSES] * 5, TURNS_AWAY, retries=0)
    assert (looks(made), made["flags"]) == (["rate_limited"], ["throttled"])
    assert made["tls"]["error"]["verdict"] == "rate_limited"


async def test_a_server_that_closes_on_every_other_version(autojump_clock: object) -> None:
    """Where the handshake is made all the same, FIN is how it says "no"."""
    made = await scanned("imaps", ONLY_TLS12, *[CLOSES] * 5, ONLY_TLS12)
    assert sorted(versions(made).values()) == ["no"] * 5 + ["yes"]
    assert (looks(made), made["flags"]) == (["ok"], [])


@pytest.mark.parametrize("end", [CLOSES, RESETS, SILENT])
@pytest.mark.parametrize("handshake", [True, False])
async def test_the_control_is_of_the_present_look(autojump_clock: object, end: Peer, handshake: bool) -> None:
    """An answer of an earlier look is no control for one in which nothing is answered."""
    first = [ONLY_TLS12, TURNS_AWAY]
    made = await scanned("imaps", *first, end, handshake=handshake)
    assert sorted(versions(made).values()) == ["unknown"] * 5 + ["yes"]
    assert "throttled" in made["flags"]


@pytest.mark.parametrize(
    ("came", "verdict"), [(CLOSED, Known.UNKNOWN), (RESET, Known.UNKNOWN), (yes(Version.TLS1_2), Known.NO)]
)
def test_old_handshakes_are_no_control_either(came: Came, verdict: Known) -> None:
    """Side by side, the handshake was made before others were turned away; at the later look there is FIN, or RST."""
    made = interview("https")
    (first,) = made.begin()
    *hellos, handshake = made.take(answer(first, yes(Version.TLS1_2), upgraded=False))
    for question in hellos:
        made.take(answer(question, HelloAnswer(Evidence.PLAINTEXT, text="too many connections"), upgraded=False))
    made.take(answer(handshake, SHAKEN, upgraded=False))
    look = conclude(made).look
    assert look
    asked = made.look_again(look)
    assert len(asked) == 5
    control = [each for question in asked for each in made.take(answer(question, CLOSED, upgraded=False))]
    assert control == [first]
    made.take(answer(first, came, upgraded=False))
    conclusion = conclude(made)
    assert conclusion.versions
    assert [entry.verdict for entry in conclusion.versions.values()].count(verdict) == 5
    assert (Flag.THROTTLED in conclusion.flags) == (verdict is Known.UNKNOWN)


@pytest.mark.parametrize("end", [CLOSES, RESETS, SILENT])
async def test_a_control_at_the_later_look(autojump_clock: object, end: Peer) -> None:
    """What was answered before is asked once more; where it is answered again, FIN, RST and silence are a "no"."""
    made = await scanned("imaps", ONLY_TLS12, TURNS_AWAY, *[end] * 5, ONLY_TLS12, handshake=False)
    assert sorted(versions(made).values()) == ["no"] * 5 + ["yes"]
    assert (looks(made), made["flags"]) == (["rate_limited", "ok"], [])
