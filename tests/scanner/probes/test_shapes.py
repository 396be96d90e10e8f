"""Requested questions to servers that want another hello than the plain one: they get that, and answer as all do."""

from dataclasses import replace
from typing import Any

import pytest

from scanner.probes import PROBES
from scanner.probes.sweep import usual_manner, usual_offer
from scanner.question import Wanted
from scanner.tls.hello import Shape
from scanner.tls.names import Version
from scanner.tls.offer import offer_hello
from scanner.tls.sessions import MakeSession, Way
from scanner.tls.talk import Manner, Whom
from tests.peers.tls_server import HOST
from tests.peers.tls_table import (
    RSA_AEAD,
    RSA_CBC,
    TLS10,
    TLS11,
    TLS12,
    TLS13,
    TLS13_SUITES,
    X25519MLKEM768,
    End,
    Quirk,
    Table,
    codes,
    needs_alpn,
    reads_one_packet,
    refuses_extensions,
    refuses_grease,
    refuses_lengths,
    refuses_name,
)
from tests.scanner.probes.asking import known
from tests.scanner.test_ladder_on_peers import TLS, see
from tests.scanner.tls.wire import read_client_hello

FIN, RST, SILENCE = End
ASKED = tuple(name for name in PROBES if name != "fingerprints")  # whose hellos are its own, byte for byte
OF_HELLOS = ("groups", "ciphers", "alpn", "fallback_scsv", "compression")
WANTED = Wanted(probes=ASKED)


QUIRKS: dict[str, Quirk] = {
    "no name, else 112": refuses_name(112),
    "no name, else FIN": refuses_name(FIN),
    "no GREASE, else 47": refuses_grease(47),
    "no GREASE, else RST": refuses_grease(RST),
    "ALPN": needs_alpn(120),
    "one packet, else FIN": reads_one_packet(FIN),
    "one packet, else 50": reads_one_packet(50),
}


@pytest.mark.parametrize("quirk", QUIRKS.values(), ids=QUIRKS)
@pytest.mark.parametrize("service", ["https", "smtp"])
async def test_the_shape_that_was_answered(autojump_clock: object, service: str, quirk: Quirk) -> None:
    """All parts are the same as those of a server that puts up with everything."""
    usual = await see(Table(TLS), service=service, wanted=WANTED)
    found = await see(Table(TLS, quirks=(quirk,)), service=service, wanted=WANTED)
    assert found.record["status"] == "tls"
    for name in ASKED:
        assert found.record[name] == usual.record[name], name
        assert found.record[name]["complete"]


async def test_all_that_is_asked_of_a_plain_server(autojump_clock: object) -> None:
    """What these tests compare with is not empty."""
    record = (await see(Table(TLS), wanted=WANTED)).record
    assert record["groups"]["tls13"]["groups"][0]["name"] == "x25519"
    assert [len(part["suites"]) for part in record["ciphers"]["versions"].values()] == [6, 6, 6, 3]
    assert record["alpn"]["no_match"] == "ignored"
    assert record["compression"]["verdict"] == "no"
    assert record["fallback_scsv"]["verdict"] == "yes"
    assert record["renegotiation"]["secure"] is True
    assert record["resumption"]["session_ticket"]["offered"] is True
    assert record["resumption"]["psk"]["version"] == "TLSv1.3"


@pytest.mark.parametrize("how", [FIN, 47])
async def test_small_hellos(autojump_clock: object, how: End | int) -> None:
    """Who reads 255 bytes and no more is asked by less: with few names, groups and suites at a time."""
    table = Table({TLS11: RSA_CBC, TLS12: RSA_CBC}, quirks=(refuses_lengths(256, 9999, how),))
    found = await see(table, wanted=WANTED)
    usual = await see(Table({TLS11: RSA_CBC, TLS12: RSA_CBC}), wanted=WANTED)
    assert found.record["alpn"]["no_match"] == "ignored"
    ticket = found.record["resumption"]["session_ticket"]
    assert (ticket["offered"], ticket["resumed"]) == (True, None)  # the hello that has it is longer
    ticket["resumed"] = True
    for name in ASKED:
        assert found.record[name] == usual.record[name], name


async def test_without_extensions(autojump_clock: object) -> None:
    """Who takes no extension has no ALPN, and no handshake of OpenSSL's; the rest is asked without any."""
    quirk = refuses_extensions(FIN)
    found = await see(Table({TLS10: RSA_CBC, TLS11: RSA_CBC}, quirks=(quirk,)), wanted=WANTED)
    usual = await see(Table({TLS10: RSA_CBC, TLS11: RSA_CBC}), wanted=WANTED)
    for name in ("ciphers", "fallback_scsv", "compression"):
        assert found.record[name] == usual.record[name], name
    assert found.record["alpn"] == {
        "complete": True,
        "version": None,
        "protocols": None,
        "order": None,
        "no_match": None,
    }
    assert found.record["resumption"]["session_id"] == {"version": "TLSv1.1", "offered": None, "resumed": None}
    assert found.record["renegotiation"]["client_initiated"] == "unknown"
    assert found.record["renegotiation"]["secure"] is False  # there is nowhere for it to say so


OTHERS = {
    "Camellia-GCM": codes("c08b c08a"),
    "pre-shared keys": codes("00a9 00a8"),
    "SRP": codes("c020 c01d"),
}


@pytest.mark.parametrize("suites", OTHERS.values(), ids=OTHERS)
async def test_other_suites(autojump_clock: object, suites: tuple[int, ...]) -> None:
    """Who has nothing but what the plain hello leaves out is asked with that."""
    table = Table({TLS11: RSA_CBC, TLS12: suites}, hands_over=False)
    found = await see(table, wanted=Wanted(probes=OF_HELLOS))
    assert [each["id"] for each in found.record["ciphers"]["versions"]["TLSv1.2"]["suites"]] == [
        f"0x{suite:04x}" for suite in suites
    ]
    assert found.record["compression"] == {
        "complete": True,
        "verdict": "no",
        "method": "null",
        "version": "TLSv1.2",
    }
    assert found.record["alpn"]["no_match"] == "ignored"
    both = Table({TLS12: suites, TLS13: TLS13_SUITES}, hands_over=False)
    found = await see(both, wanted=Wanted(probes=("fallback_scsv",)))
    assert (found.record["fallback_scsv"]["version"], found.record["fallback_scsv"]["verdict"]) == ("TLSv1.2", "yes")


async def test_other_groups(autojump_clock: object) -> None:
    """Who has hybrid groups alone is asked with these in all that is about TLS 1.3."""
    table = Table({TLS12: RSA_AEAD, TLS13: TLS13_SUITES}, groups=(X25519MLKEM768,), own_group=True)
    found = await see(table, wanted=Wanted(probes=("groups", "ciphers")))
    assert [each["id"] for each in found.record["groups"]["tls13"]["groups"]] == ["0x11ec"]
    assert [each["id"] for each in found.record["ciphers"]["versions"]["TLSv1.3"]["suites"]] == [
        "0x1302",
        "0x1303",
        "0x1301",
    ]


# --- The hellos themselves --------------------------------------------------------------------------------------------


def known_by(version: Version, shape: Shape, *, short: bool = False) -> Any:
    """A version that is known by a hello of this shape."""
    return replace(known(version), shapes={version: shape}, short=short)


MANNERS = {
    Shape.PLAIN: Manner(),
    Shape.NO_GREASE: Manner(),
    Shape.NO_NAME: Manner(named=False),
    Shape.ALPN: Manner(alpn=(b"h2", b"http/1.1")),
    Shape.SMALL: Manner(small=True),
    Shape.RSA: Manner(),
    Shape.NO_EXTENSIONS: None,
}


@pytest.mark.parametrize(("shape", "manner"), MANNERS.items())
def test_manners(shape: Shape, manner: Manner | None) -> None:
    """What made a difference to a hello of ours is kept to in OpenSSL's, as far as it can."""
    assert usual_manner(known_by(TLS12, shape), TLS12) == manner
    assert usual_manner(known_by(TLS13, shape, short=True), TLS13) == (
        Manner(manner.named, manner.alpn, True, manner.small) if manner else None
    )
    assert usual_manner(known_by(TLS12, shape, short=True), TLS12) == manner  # it has no hybrid group anyway


@pytest.mark.parametrize("version", [TLS10, TLS11, TLS12])
@pytest.mark.parametrize("shape", [shape for shape in Shape if shape not in (Shape.NO_GREASE, Shape.OTHER_GROUPS)])
def test_offers(version: Version, shape: Shape) -> None:
    """An offer is as long as the hello that was answered, and has what that has."""
    hello = read_client_hello(offer_hello(usual_offer(known_by(version, shape), version), HOST, bytes(range(96))))
    assert (hello.extensions is None) == (shape is Shape.NO_EXTENSIONS)
    assert (hello.server_name is None) == (shape in (Shape.NO_EXTENSIONS, Shape.NO_NAME))
    assert hello.message_bytes < 256 or shape not in (Shape.NO_EXTENSIONS, Shape.SMALL)
    assert not 256 <= hello.message_bytes < 512
    assert (16 in (hello.extensions or {})) == (shape is Shape.ALPN)
    assert (12 in (hello.extensions or {})) == (shape in (Shape.OTHER_SUITES, Shape.SHARED_SECRET))


@pytest.mark.parametrize(
    ("manner", "way", "version", "most"),
    [
        (Manner(small=True), Way.ID, TLS12, 255),
        (Manner(small=True), Way.TICKET, TLS12, 255),
        (Manner(small=True), Way.TICKET, TLS10, 255),
        (Manner(short=True), Way.PSK, TLS13, 1448),
        (Manner(), Way.TICKET, TLS12, 1448),
    ],
)
def test_length_of_openssls(manner: Manner, way: Way, version: Version, most: int) -> None:
    """A small handshake is small, and a short one fits into a packet."""
    dialogue = MakeSession(way, version, manner=manner).begin(Whom(HOST, False))
    action: Any = dialogue.next_action()
    assert read_client_hello(action.data).message_bytes <= most
    assert read_client_hello(action.data).server_name == HOST
