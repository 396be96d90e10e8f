"""Whole interviews of servers that are tables: what is concluded, from which hello, and how many connections it takes.

A row of a table reads: the six verdicts from SSLv2 to TLS 1.3, and the hellos that were sent besides the first seven
(`handshake` for another full handshake). A verdict is written in short:

    yes                 a ServerHello, or SSLv2's; "yes hrr" a HelloRetryRequest
    no 70               an alert; fin, rst and silence are ends
    no <TLSv1.0         a lower version was answered
    ?                   unknown
    @small              the shape of the hello that decided, where it was not the plain one
    +                   it was offered in another hello than the plain one, too
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from scanner.conclusion import Conclusion, conclude
from scanner.connection import Connection, Timeouts
from scanner.interview import Interview
from scanner.ladder import MOST_RUNGS
from scanner.outcome import Flag
from scanner.question import Answer, Negotiate, OfferVersion, Question, ReadFirstFlight, Wanted
from scanner.record import Recorder
from scanner.tls.exchange import Evidence, HelloAnswer, exchange
from scanner.tls.hello import Shape
from scanner.tls.names import Version, version_of_code
from scanner.versions import Known, VersionVerdict
from scanner.wires import Patience
from targets.services import SERVICES
from targets.target import Endpoint, Origin
from tests.conftest import as_written
from tests.peers.memory import Network, Peer, Turn, Wire
from tests.peers.tls_server import HOST, Closed, Speaker, TlsServer
from tests.peers.tls_table import (
    DHE_RSA,
    ECDSA_AEAD,
    GOST,
    GROUPS,
    P256,
    P384,
    RENEGOTIATION_SCSV,
    RSA_AEAD,
    RSA_CBC,
    RSA_OLD,
    SSL2,
    SSL3,
    TLS10,
    TLS11,
    TLS12,
    TLS13,
    TLS13_SUITES,
    X25519MLKEM768,
    Afresh,
    End,
    Key,
    Quirk,
    Says,
    Table,
    TableServer,
    codes,
    context_of,
    needs_alpn,
    needs_extension,
    needs_name,
    needs_session_id,
    needs_signature,
    needs_suite,
    reads_one_packet,
    refuses_extensions,
    refuses_grease,
    refuses_lengths,
    refuses_lengths_modulo,
    refuses_many_suites,
    refuses_name,
    signs_nothing_below_tls12,
)
from tests.scanner.play import play
from tests.scanner.tls.wire import extension

FIN, RST, SILENCE = End
ADDRESS = "192.0.2.1"
TIMEOUTS = Timeouts(connect_s=3, greeting_s=7, reply_s=5, tls_s=4, deadline_s=60)
USUAL: tuple[Question, ...] = (*map(OfferVersion, Version), Negotiate())
UPGRADE = (
    Turn(0.1, b"220 mx ESMTP\r\n"),
    Turn(0.1, b"250-mx\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n", heard=b"EHLO"),
    Turn(0.1, b"220 go ahead\r\n", heard=b"STARTTLS\r\n"),
)
LENGTH, EXTENSIONS = Flag.LENGTH_INTOLERANT, Flag.EXTENSION_INTOLERANT
REQUIRED, REJECTED = Flag.SNI_REQUIRED, Flag.SNI_REJECTED
GREASE, LARGE, FAILS = "grease-intolerant", "large-hello-intolerant", "handshake-fails"


@dataclass(slots=True)
class Seen:
    """What an interview came to."""

    conclusion: Conclusion
    record: dict[str, Any]
    questions: list[Question]  # all that were asked, in order
    took_s: float

    @property
    def verdicts(self) -> str:
        """In short, from SSLv2 to TLS 1.3."""
        return " | ".join(map(in_short, (self.conclusion.versions or {}).values()))

    @property
    def besides(self) -> str:
        """What was asked besides the first seven, in order, but for certificates that no handshake showed."""
        questions = [each for each in self.questions if not isinstance(each, ReadFirstFlight)]
        for question in USUAL:
            if question in questions:
                questions.remove(question)
        return " ".join(map(_name_of, questions))

    @property
    def findings(self) -> set[str]:
        """Those about hellos."""
        return {finding["id"] for finding in self.record["findings"]} & {GREASE, LARGE, FAILS}


def in_short(entry: VersionVerdict) -> str:
    """See the head of the module."""
    verdict = {"unknown": "?"}.get(entry.verdict.value, entry.verdict.value)
    hello = entry.hello or HelloAnswer(entry.evidence)
    words = {
        Evidence.SERVER_HELLO: "",
        Evidence.SSLV2_SERVER_HELLO: "",
        Evidence.HELLO_RETRY_REQUEST: " hrr",
        Evidence.CLOSED: " fin",
        Evidence.RESET: " rst",
        Evidence.TIMEOUT: " silence",
        Evidence.ALERT: f" {hello.alert}",
        Evidence.LOWER_VERSION: f" <{version_of_code(hello.version or 0)}",
        Evidence.HIGHER_VERSION: f" >{version_of_code(hello.version or 0)}",
    }
    shape = "" if entry.shape is Shape.PLAIN else f" @{entry.shape}"
    return verdict + words.get(entry.evidence, f" {entry.evidence}") + shape + "+" * ("retry_used" in entry.flags)


def _name_of(question: Question) -> str:
    if isinstance(question, OfferVersion):
        return f"{question.version.value.removeprefix('TLSv')}:{question.shape}"
    return "handshake"


@dataclass(slots=True)
class Drip:
    """A wire on which what comes, comes a byte at a time."""

    wire: Wire
    rest: bytes = b""

    @property
    def local_address(self) -> str:
        """As the wire's."""
        return self.wire.local_address

    async def send(self, data: bytes, timeout_s: float) -> None:
        """As the wire does."""
        await self.wire.send(data, timeout_s)

    async def receive(self, timeout_s: float) -> bytes:
        """One byte."""
        self.rest = self.rest or await self.wire.receive(timeout_s)
        first, self.rest = self.rest[:1], self.rest[1:]
        return first

    def close(self) -> None:
        """Let go of it."""
        self.wire.close()


@dataclass(slots=True)
class Server:
    """Where the connections of an interview go: one for each table, and then all to the last of them."""

    tables: tuple[Table, ...]
    service: str
    drips: bool
    dialled: int = 0

    async def dial(self, address: str, port: int, timeout_s: float, patience: Patience) -> Wire | Drip:
        """As `wires.dial`."""
        table = self.tables[min(self.dialled, len(self.tables) - 1)]
        self.dialled += 1
        peer = Peer(Afresh(table, UPGRADE if self.service == "smtp" else ()))
        wire = await Network({address: [peer]}).dial(address, port, timeout_s, patience)
        return Drip(wire) if self.drips else wire


async def see(
    *tables: Table,
    service: str = "https",
    named: bool = True,
    wanted: Wanted | None = None,
    drips: bool = False,
    looks: int = 1,
) -> Seen:
    """An interview of a server, one connection after the other."""
    server, began = Server(tables, service, drips), trio.current_time()
    port = SERVICES[service].port or 1
    endpoint = Endpoint(Origin("x"), HOST if named else None, ADDRESS, port, SERVICES[service])
    interview, asked = Interview(endpoint, wanted or Wanted()), list[Question]()
    questions = interview.begin()
    for _ in range(looks):
        while questions:
            asked.append(questions.pop(0))
            answer = Answer(asked[-1], trio.current_time())
            interview.connections += 1
            await Connection(endpoint, answer, TIMEOUTS, "scan.example.test").ask(server.dial)
            questions += interview.take(answer)
        conclusion = conclude(interview)
        if looks > 1 and conclusion.look and len(interview.looks) < looks - 1:
            questions = interview.look_again(conclusion.look)
    record = as_written(Recorder("0" * 26).endpoint(interview, conclusion, trio.current_time()))
    return Seen(conclusion, record, asked, trio.current_time() - began)


@dataclass(frozen=True, slots=True)
class Case:
    """A server, and what there is to see of it."""

    table: Table
    verdicts: str
    besides: str = ""
    flags: tuple[Flag, ...] = ()
    findings: tuple[str, ...] = ()
    handshake: str | None = "TLSv1.3"  # the version of the full one
    spared: int = 0  # of the first seven, plain hellos that are not sent


def check(case: Case, found: Seen) -> None:
    """Every part of it, and the number of connections."""
    assert (found.verdicts, found.besides) == (case.verdicts, case.besides)
    for_certificates = sum(isinstance(each, ReadFirstFlight) for each in found.questions)
    assert for_certificates <= (case.handshake is None)
    connections = len(USUAL) - case.spared + len(case.besides.split()) + for_certificates
    assert len(found.questions) == found.record["connections"] == connections
    assert found.conclusion.flags == set(case.flags)
    assert found.findings == set(case.findings)
    assert found.record["tls"]["version"] == case.handshake


MODERN = {TLS12: RSA_AEAD, TLS13: TLS13_SUITES}
TLS = {TLS10: RSA_CBC, TLS11: RSA_CBC, **MODERN}
KINDS = (0x010080, 0x0700C0)
NONE_OLD = "no 70 | no 40 | no 70 | no 70 | "  # what OpenSSL says below TLS 1.2
FOUND = "no 70 | no 40 | "  # and to SSL alone


def ends(how: End) -> dict[str, Any]:
    """It ends connections where others say an alert 70."""
    return {"below": how, "to_sslv2": how, "refusals": {}}


# --- Seven connections and no more ------------------------------------------------------------------------------------

PLAINLY = {
    "OpenSSL, nginx": Case(Table(MODERN), NONE_OLD + "yes | yes"),
    "OpenSSL with all that it can": Case(Table(TLS), FOUND + "yes | yes | yes | yes"),
    "BoringSSL, Go: 70 to SSLv3 too": Case(Table(MODERN, refusals={}), "no 70 | no 70 | no 70 | no 70 | yes | yes"),
    "Schannel: RST below its lowest version": Case(
        Table(MODERN, **ends(RST)), "no rst | no rst | no rst | no rst | yes | yes"
    ),
    "a proxy that closes": Case(Table(TLS, **ends(FIN)), "no fin | no fin | yes | yes | yes | yes"),
    "Courier: close_notify": Case(Table(TLS, below=0, to_sslv2=0, refusals={}), "no 0 | no 0 | yes | yes | yes | yes"),
    "ECDSA alone": Case(Table({TLS12: ECDSA_AEAD, TLS13: TLS13_SUITES}, keys=(Key.ECDSA,)), NONE_OLD + "yes | yes"),
    "RSA and ECDSA": Case(
        Table({TLS12: ECDSA_AEAD + RSA_AEAD, TLS13: TLS13_SUITES}, keys=(Key.ECDSA, Key.RSA)), NONE_OLD + "yes | yes"
    ),
    "DHE alone": Case(Table({TLS12: DHE_RSA}), NONE_OLD + "yes | no <TLSv1.2", handshake="TLSv1.2"),
    "the client's order": Case(Table(MODERN, own_order=False), NONE_OLD + "yes | yes"),
    "TLS 1.2 alone": Case(Table({TLS12: RSA_AEAD}), NONE_OLD + "yes | no <TLSv1.2", handshake="TLSv1.2"),
    "OpenSSL with TLS 1.2 alone": Case(
        Table({TLS12: RSA_AEAD}, knows_of_tls13=True), NONE_OLD + "yes | no 70", handshake="TLSv1.2"
    ),
    "TLS 1.3 alone": Case(Table({TLS13: TLS13_SUITES}), NONE_OLD + "no 70 | yes"),
    "TLS 1.3 alone, and RST": Case(
        Table({TLS13: TLS13_SUITES}, **ends(RST)), "no rst | no rst | no rst | no rst | no rst | yes"
    ),
    "TLS 1.0 alone": Case(
        Table({TLS10: RSA_CBC}), FOUND + "yes | no <TLSv1.0 | no <TLSv1.0 | no <TLSv1.0", handshake="TLSv1.0"
    ),
    "up to TLS 1.1": Case(
        Table({SSL3: RSA_OLD, TLS10: RSA_CBC, TLS11: RSA_CBC}),
        "no 70 | yes | yes | yes | no <TLSv1.1 | no <TLSv1.1",
        handshake="TLSv1.1",
    ),
    "all six versions": Case(Table({SSL2: KINDS, SSL3: RSA_OLD, **TLS}), "yes | yes | yes | yes | yes | yes"),
    "SSLv3 with elliptic curves, as OpenSSL 1.0": Case(
        Table({SSL3: codes("c009"), TLS10: codes("c009")}, keys=(Key.ECDSA,)),
        "no 70 | yes | yes | no <TLSv1.0 | no <TLSv1.0 | no <TLSv1.0",
        handshake="TLSv1.0",
    ),
    "SSLv3 alone": Case(
        Table({SSL3: RSA_OLD}),
        "no 70 | yes | no <SSLv3 | no <SSLv3 | no <SSLv3 | no <SSLv3",
        handshake=None,
    ),
    "a group that was not shared": Case(Table(MODERN, groups=(P384,)), NONE_OLD + "yes | yes hrr"),
    "one that asks for a certificate": Case(Table(MODERN, asks_for_certificate=True), NONE_OLD + "yes | yes"),
    # What the plain hello has, or has not, so that servers do not stumble over it (protocols.md A6)
    "an old F5: 256 to 511 bytes": Case(
        Table(TLS, quirks=(refuses_lengths(256, 511, SILENCE),)), FOUND + "yes | yes | yes | yes"
    ),
    "10 or 14 modulo 256": Case(
        Table(TLS, quirks=(refuses_lengths_modulo({10, 14}, SILENCE),)), FOUND + "yes | yes | yes | yes"
    ),
    "more than 128 suites": Case(Table(TLS, quirks=(refuses_many_suites(128, 47),)), FOUND + "yes | yes | yes | yes"),
    "no group listed, in TLS 1.0 too": Case(
        Table(TLS, quirks=(Quirk(lambda offer: offer.hello.version > 0x300 and GROUPS not in offer.extensions, 40),)),
        FOUND + "yes | yes | yes | yes",
    ),
    "an empty session id": Case(Table(TLS, quirks=(needs_session_id(40),)), FOUND + "yes | yes | yes | yes"),
    "no SCSV": Case(Table(TLS, quirks=(needs_suite(RENEGOTIATION_SCSV, 40),)), FOUND + "yes | yes | yes | yes"),
    "SHA-384 to sign with": Case(Table(MODERN, quirks=(needs_signature(0x0805, 40),)), NONE_OLD + "yes | yes"),
    "PSS to sign with": Case(Table(MODERN, quirks=(needs_signature(0x0804, 40),)), NONE_OLD + "yes | yes"),
    "a name, and it has one": Case(Table(MODERN, quirks=(needs_name(112),)), NONE_OLD + "yes | yes"),
}


@pytest.mark.parametrize("case", PLAINLY.values(), ids=PLAINLY)
@pytest.mark.parametrize("service", ["https", "smtp"])
async def test_who_answers_plainly(autojump_clock: object, service: str, case: Case) -> None:
    """A server that answers plainly costs a hello for each version and one full handshake, in either mode."""
    found = await see(case.table, service=service)
    check(case, found)
    assert (found.besides, found.took_s < 4) == ("", True)


# --- The ladder -------------------------------------------------------------------------------------------------------

LADDER = {
    # 40 and 71: nothing in common
    "old Java: 40 below its lowest version": Case(
        Table(MODERN, below=40, to_sslv2=40),
        "no 40 | no 40 | no 40+ | no 40+ | yes | yes",
        "1.0:other_suites 1.1:other_suites",
    ),
    "insufficient_security": Case(
        Table(MODERN, below=71), "no 70 | no 40 | no 71+ | no 71+ | yes | yes", "1.0:other_suites 1.1:other_suites"
    ),
    "GnuTLS with TLS 1.3 alone": Case(
        Table({TLS13: TLS13_SUITES}, refusals={SSL3: 70, TLS12: 40}),
        "no 70 | no 70 | no 70 | no 70 | no 40+ | yes",
        "1.2:other_suites 1.2:shared_secret",
    ),
    "vsftpd: one suite": Case(
        Table({**dict.fromkeys((TLS10, TLS11, TLS12), codes("c030")), TLS13: TLS13_SUITES}, groups=(P256,)),
        FOUND + "no 40+ | no 40+ | yes | yes hrr",
        "1.0:other_suites 1.1:other_suites",
    ),
    "OpenSSL at security level 2": Case(
        Table(TLS, quirks=(Quirk(lambda offer: max(offer.versions) < TLS12.code, 80, late=True),)),
        FOUND + "no 80+ | no 80+ | yes | yes",
        "1.0:rsa 1.1:rsa",
    ),
    "one that signs nothing below TLS 1.2": Case(
        Table(TLS, quirks=(signs_nothing_below_tls12(80),)),
        FOUND + "yes @rsa+ | yes @rsa+ | yes | yes",
        "1.0:rsa 1.1:rsa",
    ),
    "a DH group of its own (RFC 7919)": Case(
        Table({TLS12: DHE_RSA, TLS13: TLS13_SUITES}, own_group=False),
        NONE_OLD + "yes @other_suites+ | yes",
        "1.2:other_suites",
    ),
    "hybrid groups alone": Case(
        Table({TLS12: DHE_RSA, TLS13: TLS13_SUITES}, groups=(X25519MLKEM768,)),
        NONE_OLD + "yes | yes hrr @other_groups+",
        "1.3:other_groups",
    ),
    "GOST alone": Case(
        Table({TLS12: GOST}, keys=(Key.GOST,)),
        NONE_OLD + "yes | no <TLSv1.2",
        "handshake",
        handshake=None,
    ),
    "IIS 6: RC4 and 3DES, else RST": Case(
        Table({SSL2: KINDS, SSL3: RSA_OLD, TLS10: RSA_OLD}, nothing=RST),
        "yes | yes | yes | no <TLSv1.0 | no <TLSv1.0 | no <TLSv1.0",
        "handshake",
        handshake=None,
    ),
}


@pytest.mark.parametrize("case", LADDER.values(), ids=LADDER)
@pytest.mark.parametrize("service", ["https", "smtp"])
@pytest.mark.parametrize("named", [True, False])
async def test_the_ladder(autojump_clock: object, service: str, named: bool, case: Case) -> None:
    """What could explain an answer is tried, and nothing else; with a name and without, in either mode."""
    check(case, await see(case.table, service=service, named=named))


# What it stumbles over, as the flags and findings have it
STUMBLES = {
    "hybrid groups alone, and no TLS 1.2 without elliptic curves": Case(
        Table({TLS12: codes("c030"), TLS13: TLS13_SUITES}, groups=(X25519MLKEM768,)),
        NONE_OLD + "no 40+ | yes hrr @other_groups+",
        "1.2:other_suites 1.3:other_groups 1.2:shared_secret",  # for a full handshake could be made
    ),
    # Length (F5 and others that never read more than 255 bytes), and the number of suites
    "255 bytes at most, else silence": Case(
        Table(TLS, quirks=(refuses_lengths(256, 9999, SILENCE),)),
        FOUND + "yes @small+ | yes @small+ | yes @small+ | yes @small+",
        "1.2:small 1.3:small 1.1:small 1.0:small handshake",
        flags=(LENGTH,),
        handshake=None,
        spared=3,
    ),
    "255 bytes at most, else FIN": Case(
        Table(TLS, quirks=(refuses_lengths(256, 9999, FIN),)),
        FOUND + "yes @small+ | yes @small+ | yes @small+ | yes @small+",
        "1.2:small 1.0:small 1.1:small 1.3:small handshake",
        flags=(LENGTH,),
        handshake=None,
    ),
    "40 suites at most": Case(
        Table(TLS, quirks=(refuses_many_suites(40, 47),)),
        "no 70 | no 47+ | yes @small+ | yes @small+ | yes @small+ | yes @small+",
        "1.2:small SSLv3:small 1.0:small 1.1:small 1.3:small handshake",
        flags=(LENGTH,),
        findings=(FAILS,),
        handshake=None,
    ),
    # Extensions: servers of that kind are old
    "no extension, else FIN": Case(
        Table({SSL3: RSA_OLD, TLS10: RSA_CBC}, quirks=(refuses_extensions(FIN),)),
        "no 70 | yes | yes @no_extensions+ | no <TLSv1.0 @no_extensions+ | no <TLSv1.0 @no_extensions+ | no fin+",
        "1.2:small 1.2:no_name 1.2:no_extensions 1.0:no_extensions 1.1:no_extensions 1.3:small",
        flags=(EXTENSIONS,),
        handshake=None,
    ),
    "no extension, else 47": Case(
        Table({TLS10: RSA_CBC}, quirks=(refuses_extensions(47),)),
        FOUND + "yes @no_extensions+ | no <TLSv1.0 @no_extensions+ | no <TLSv1.0 @no_extensions+ | no 47+",
        "1.2:small 1.2:no_name 1.2:no_extensions 1.0:no_extensions 1.1:no_extensions 1.3:small",
        flags=(EXTENSIONS,),
        handshake=None,
    ),
    "no extension and no higher version, else RST": Case(
        Table({TLS10: RSA_CBC}, above=RST, quirks=(refuses_extensions(RST),), **ends(RST)),
        "no rst | no rst | yes @no_extensions+ | no rst+ | no rst+ | no rst+",
        "1.2:small 1.2:no_name 1.2:no_extensions 1.3:small 1.0:no_extensions 1.1:no_extensions",
        flags=(EXTENSIONS,),
        handshake=None,
    ),
    # GREASE
    "no GREASE, else 47": Case(
        Table(MODERN, quirks=(refuses_grease(47),)),
        NONE_OLD + "yes | yes @no_grease+",
        "1.3:no_grease",
        findings=(GREASE,),
    ),
    "no GREASE, else FIN": Case(
        Table(MODERN, quirks=(refuses_grease(FIN),)),
        NONE_OLD + "yes | yes @no_grease+",
        "1.3:no_grease 1.3:plain",
        findings=(GREASE,),
    ),
    "no GREASE, else silence": Case(
        Table(MODERN, quirks=(refuses_grease(SILENCE),)),
        NONE_OLD + "yes | yes @no_grease+",
        "1.3:no_grease 1.3:plain",
        findings=(GREASE,),
    ),
    "TLS 1.3 alone and no GREASE, else 80": Case(
        Table({TLS13: TLS13_SUITES}, quirks=(refuses_grease(80),)),
        NONE_OLD + "no 70 | yes @no_grease+",
        "1.3:no_grease",
        findings=(GREASE,),
    ),
    # More than a packet
    "one packet, else FIN": Case(
        Table(MODERN, quirks=(reads_one_packet(FIN),)), NONE_OLD + "yes | yes", "handshake handshake", findings=(LARGE,)
    ),
    "one packet, else silence": Case(
        Table(MODERN, quirks=(reads_one_packet(SILENCE),)),
        NONE_OLD + "yes | yes",
        "handshake handshake",
        findings=(LARGE,),
    ),
    "one packet, else 50": Case(
        Table({TLS12: RSA_AEAD}, quirks=(reads_one_packet(50),)),
        NONE_OLD + "yes | no <TLSv1.2",
        "handshake",
        findings=(LARGE,),
        handshake="TLSv1.2",
    ),
    "an old F5 that reads one packet": Case(
        Table(TLS, quirks=(refuses_lengths(256, 511, SILENCE), reads_one_packet(FIN))),
        FOUND + "yes | yes | yes | yes",
        "handshake handshake",  # the short one is as long as it has to be
        findings=(LARGE,),
    ),
    # A higher version than its own
    "no TLS 1.3, else FIN": Case(
        Table({TLS12: RSA_AEAD}, above=FIN),
        NONE_OLD + "yes | no fin+",
        "1.3:no_grease 1.3:small handshake",
        handshake="TLSv1.2",
    ),
    "no TLS 1.3, else silence": Case(
        Table({TLS12: RSA_AEAD}, above=SILENCE),
        NONE_OLD + "yes | no silence+",
        "1.3:no_grease handshake",  # it was silent three times
        handshake="TLSv1.2",
    ),
    "no TLS 1.3, else 47": Case(
        Table({TLS12: RSA_AEAD}, above=47),
        NONE_OLD + "yes | no 47+",
        "1.3:no_grease 1.3:small handshake",
        handshake="TLSv1.2",
    ),
    "nothing above TLS 1.0, else FIN": Case(
        Table({TLS10: RSA_CBC}, above=FIN),
        FOUND + "yes | no fin | no fin+ | no fin",
        "1.2:small handshake",
        handshake="TLSv1.0",
    ),
    "nothing above TLS 1.0, else 40": Case(
        Table({TLS10: RSA_CBC}, above=40),
        FOUND + "yes | no 40+ | no 40+ | no 40+",
        "1.1:other_suites 1.2:other_suites 1.3:other_groups 1.2:shared_secret 1.3:no_grease handshake",
        handshake="TLSv1.0",
    ),
    "nothing above SSLv3, else FIN": Case(
        Table({SSL3: RSA_OLD}, above=FIN, to_sslv2=FIN),
        "no fin | yes | no fin+ | no fin | no fin+ | no fin+",
        "1.2:small 1.2:no_name 1.2:no_extensions 1.3:small 1.0:no_extensions",
        handshake=None,
    ),
    "SSLv2 alone": Case(
        Table({SSL2: KINDS}, below=FIN),
        "yes | no fin | no fin+ | no fin | no fin+ | no fin+",
        "1.2:small 1.2:no_name 1.2:no_extensions 1.3:small 1.0:no_extensions",
        handshake=None,
    ),
}


@pytest.mark.parametrize("case", STUMBLES.values(), ids=STUMBLES)
@pytest.mark.parametrize("service", ["https", "smtp"])
async def test_what_it_stumbles_over(autojump_clock: object, service: str, case: Case) -> None:
    """A server that stumbles is found to speak what it speaks, and what it stumbled over is told."""
    check(case, await see(case.table, service=service))


@pytest.mark.parametrize("case", STUMBLES.values(), ids=STUMBLES)
async def test_what_it_stumbles_over_without_a_name(autojump_clock: object, case: Case) -> None:
    """Without a name there is none to leave out, and all the rest is the same."""
    verdicts, besides = case.verdicts, case.besides.replace("1.2:no_name ", "")
    if case is STUMBLES["255 bytes at most, else FIN"]:  # without a name, the hellos of TLS 1.0 and 1.1 are not longer
        verdicts, besides = (
            FOUND + "yes | yes | yes @small+ | yes @small+",
            "1.2:small 1.3:small handshake",
        )
    check(replace(case, verdicts=verdicts, besides=besides), await see(case.table, named=False))


NAMES = {
    # (table, with a name, without one)
    "any name is refused: 112": (
        refuses_name(112),
        Case(
            Table(MODERN),
            NONE_OLD + "yes @no_name+ | yes @no_name+",
            "1.2:no_name 1.3:no_name handshake",
            flags=(REJECTED,),
        ),
        Case(Table(MODERN), NONE_OLD + "yes | yes"),
    ),
    "any name is refused: 40": (
        refuses_name(40),
        Case(
            Table(MODERN),
            NONE_OLD + "yes @no_name+ | yes @no_name+",
            "1.2:no_name 1.3:no_name handshake",
            flags=(REJECTED,),
        ),
        Case(Table(MODERN), NONE_OLD + "yes | yes"),
    ),
    "any name is refused: 80": (
        refuses_name(80),
        Case(
            Table(MODERN),
            NONE_OLD + "yes @no_name+ | yes @no_name+",
            "1.2:small 1.2:no_name 1.3:no_name handshake",
            flags=(REJECTED,),
        ),
        Case(Table(MODERN), NONE_OLD + "yes | yes"),
    ),
    "any name is refused: FIN": (
        refuses_name(FIN),
        Case(
            Table(MODERN),
            NONE_OLD + "yes @no_name+ | yes @no_name+",
            "1.2:small 1.2:no_name 1.3:no_name handshake",
            flags=(REJECTED,),
        ),
        Case(Table(MODERN), NONE_OLD + "yes | yes"),
    ),
    "a name is required: 112": (
        needs_name(112),
        Case(Table(MODERN), NONE_OLD + "yes | yes"),
        Case(Table(MODERN), NONE_OLD + "? 112 | ? 112", flags=(REQUIRED,), handshake=None),
    ),
    "nginx's ssl_reject_handshake: another name is required, 112": (
        needs_name(112, "other.test"),
        Case(Table(MODERN), NONE_OLD + "? 112+ | ? 112", "1.2:no_name", flags=(REQUIRED, REJECTED), handshake=None),
        Case(Table(MODERN), NONE_OLD + "? 112 | ? 112", flags=(REQUIRED,), handshake=None),
    ),
    "haproxy's strict-sni: another name is required, 40": (
        needs_name(40, "other.test"),
        Case(
            Table(MODERN),
            NONE_OLD + "? 40+ | ? 40+",
            "1.2:no_name 1.2:other_suites 1.2:shared_secret 1.3:other_groups",
            handshake=None,
        ),
        Case(
            Table(MODERN),
            NONE_OLD + "? 40+ | ? 40+",
            "1.2:other_suites 1.2:shared_secret 1.2:ecdsa 1.3:other_groups",
            handshake=None,
        ),
    ),
    "a name is required: 80": (
        needs_name(80),
        Case(Table(MODERN), NONE_OLD + "yes | yes"),
        Case(Table(MODERN), NONE_OLD + "? 80+ | ? 80+", "1.2:small 1.2:no_extensions 1.3:small", handshake=None),
    ),
    "a name is required in TLS 1.3: 109": (
        Quirk(lambda offer: TLS13.code in offer.versions and offer.hello.server_name is None, 109, late=True),
        Case(Table(MODERN), NONE_OLD + "yes | yes"),
        Case(
            Table(MODERN),
            NONE_OLD + "yes | ? 109+",
            "1.3:other_groups handshake",
            flags=(REQUIRED,),
            handshake="TLSv1.2",
        ),
    ),
}


@pytest.mark.parametrize(("quirk", "named", "nameless"), NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("service", ["https", "smtp"])
async def test_names(autojump_clock: object, service: str, quirk: Quirk, named: Case, nameless: Case) -> None:
    """With a name and without: who wants one, who wants none, and who wants another."""
    table = Table(MODERN, quirks=(quirk,))
    check(named, await see(table, service=service))
    check(nameless, await see(table, service=service, named=False))


async def test_a_certificate_without_the_name(autojump_clock: object) -> None:
    """Where the name is refused, the full handshake goes without it, and so there is a certificate."""
    found = await see(Table(MODERN, quirks=(refuses_name(112),)))
    assert found.record["certificate"]["dns_names"] == [HOST]
    assert found.record["tls"]["error"] is None


@pytest.mark.parametrize(("service", "handshakes"), [("https", ""), ("smtp", " handshake"), ("tls", " handshake")])
async def test_alpn(autojump_clock: object, service: str, handshakes: str) -> None:
    """Who wants ALPN gets it, and in the full handshake too: HTTP's names where the protocol has none for us."""
    case = Case(Table(MODERN), NONE_OLD + "yes @alpn+ | yes @alpn+", "1.2:alpn 1.3:alpn" + handshakes)
    check(case, await see(Table(MODERN, quirks=(needs_alpn(120),)), service=service))


async def test_a_postgresql_of_today(autojump_clock: object) -> None:
    """PostgreSQL 17 wants its own name, and nothing but it."""
    wants = Quirk(lambda offer: b"\x0apostgresql" not in (offer.hello.extensions or {}).get(16, b""), 120, late=True)
    case = Case(Table(MODERN), NONE_OLD + "yes @alpn+ | yes @alpn+", "1.2:alpn 1.3:alpn")
    check(case, await see(Table(MODERN, quirks=(wants,)), service="postgresql-direct"))


# --- Nobody there, or nobody who wants to -----------------------------------------------------------------------------

REFUSERS = {
    "FIN to all": (
        Table({}, **ends(FIN)),
        "? fin | ? fin | ? fin+ | ? fin | ? fin+ | ? fin+",
        "1.2:small 1.2:no_name 1.2:no_extensions 1.3:small 1.0:no_extensions",
    ),
    "RST to all": (
        Table({}, **ends(RST)),
        "? rst | ? rst | ? rst+ | ? rst | ? rst+ | ? rst+",
        "1.2:small 1.2:no_name 1.2:no_extensions 1.3:small 1.0:no_extensions",
    ),
    "40 to all": (
        Table({}, below=40, to_sslv2=40),
        "? 40 | no 40 | ? 40+ | ? 40 | ? 40+ | ? 40+",
        "1.2:no_name 1.2:other_suites 1.2:shared_secret 1.3:other_groups 1.0:other_suites",
    ),
    "47 to all": (
        Table({}, below=47, to_sslv2=47),
        "? 47 | ? 47 | ? 47+ | ? 47 | ? 47+ | ? 47+",
        "1.2:small 1.2:no_name 1.2:no_extensions 1.3:small 1.0:no_extensions",
    ),
    "close_notify to all": (
        Table({}, below=0, to_sslv2=0),
        "? 0 | ? 0 | ? 0+ | ? 0 | ? 0+ | ? 0+",
        "1.2:small 1.2:no_name 1.2:no_extensions 1.3:small 1.0:no_extensions",
    ),
    "70 to all": (Table({}), "no 70 | no 70 | no 70 | no 70 | no 70 | no 70", ""),
    "86 to all": (
        Table({}, below=86),
        "no 70 | ? 86 | ? 86+ | ? 86 | ? 86+ | ? 86+",
        "1.2:small 1.2:no_name 1.2:no_extensions 1.3:small 1.0:no_extensions",
    ),
    "109 to all": (
        Table({}, below=109),
        "no 70 | ? 109 | ? 109 | ? 109 | ? 109+ | ? 109+",
        "1.2:small 1.3:other_groups",
    ),
    "110 to all": (
        Table({}, below=110),
        "no 70 | ? 110 | ? 110+ | ? 110 | ? 110+ | ? 110+",
        "1.2:small 1.2:no_name 1.2:no_extensions 1.3:small 1.0:no_extensions",
    ),
    "120 to all": (Table({}, below=120), "no 70 | ? 120 | ? 120 | ? 120 | ? 120+ | ? 120", "1.2:alpn"),
    # About a client's certificate, and so behind a ServerHello, where it comes in its place it explains nothing.
    **{
        f"{number} to all": (Table({}, below=number), f"no 70 | {' | '.join([f'? {number}'] * 5)}", "")
        for number in (41, 42, 46, 116)
    },
}


@pytest.mark.parametrize(("table", "verdicts", "besides"), REFUSERS.values(), ids=REFUSERS)
@pytest.mark.parametrize("service", ["https", "smtp"])
async def test_who_refuses_all(autojump_clock: object, service: str, table: Table, verdicts: str, besides: str) -> None:
    """Where no hello is answered, nothing but a firm alert is a "no", and few versions stand for all."""
    found = await see(table, service=service)
    assert (found.verdicts, found.besides) == (verdicts, besides)
    assert found.conclusion.status in ("tls_failed", "inconclusive")
    assert Flag.THROTTLED not in found.conclusion.flags


@pytest.mark.parametrize("service", ["https", "smtp"])
async def test_silence_to_all(autojump_clock: object, service: str) -> None:
    """Silence is asked twice and no more: for TLS 1.2, and that with a small hello."""
    found = await see(Table({}, **ends(SILENCE)), service=service)
    unreached = "? not_reached"
    assert found.verdicts == " | ".join([*[unreached] * 4, "? silence+", unreached])
    assert found.questions == [OfferVersion(TLS12), OfferVersion(TLS12, Shape.SMALL)]


# --- One version alone ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("version", [TLS10, TLS11, TLS12, TLS13])
@pytest.mark.parametrize("says", [40, 47, 80, FIN, RST, SILENCE])
async def test_one_version_wanted(autojump_clock: object, says: Says, version: Version, named: bool) -> None:
    """Where one version alone is asked for it stands for itself: silence gets one hello more, all else up to three."""
    found = await see(Table({}, below=says), named=named, wanted=Wanted(versions=(version,), handshake=False))
    assert 2 <= len(found.questions) <= (2 if says is SILENCE else 1 + MOST_RUNGS)
    assert len(set(found.questions)) == len(found.questions)
    (verdict,) = (found.conclusion.versions or {}).values()
    assert verdict.verdict is Known.UNKNOWN
    assert verdict.flags == {"retry_used"}


# --- The control ------------------------------------------------------------------------------------------------------


async def test_who_falls_silent_later(autojump_clock: object) -> None:
    """Silence behind an answer is no "no", in hellos of whatever shape."""
    small = Table(TLS, quirks=(refuses_lengths(256, 9999, SILENCE),))
    found = await see(small, small, Table({}, **ends(SILENCE)))
    silence = "? silence @small+"
    assert found.verdicts == f"? silence | ? silence | {silence} | {silence} | yes @small+ | {silence}"
    assert Flag.THROTTLED in found.conclusion.flags


@pytest.mark.parametrize("how", [FIN, RST])
async def test_who_turns_away_later(autojump_clock: object, how: End) -> None:
    """Who answered, and then hangs up on all, the handshake too, is throttled, and nothing is called "no" for it."""
    found = await see(Table(TLS), Table({}, **ends(how)))
    assert found.verdicts.count("?") == 5
    assert found.conclusion.flags == {Flag.THROTTLED}
    assert found.besides == "1.3:no_grease 1.3:small 1.3:other_groups handshake"  # for its first answer had a sentinel


async def test_silence_again_and_again(autojump_clock: object) -> None:
    """Three silences in a row are a rate limit, until a later look is answered between them."""
    hangs = Table({TLS12: RSA_AEAD}, **ends(SILENCE))
    first = await see(hangs)
    assert first.verdicts == "? silence | ? silence | ? silence | ? silence | yes | no <TLSv1.2"
    assert first.conclusion.flags == {Flag.THROTTLED}
    second = await see(hangs, looks=2)
    assert second.verdicts == "no silence | no silence | no silence | no silence | yes | no <TLSv1.2"
    assert second.conclusion.flags == set()


async def test_a_later_look_at_a_short_reader(autojump_clock: object) -> None:
    """What was learnt on the first look holds on the second: small hellos, and no others."""
    table = Table({TLS12: RSA_AEAD}, **ends(SILENCE), quirks=(refuses_lengths(256, 9999, SILENCE),))
    found = await see(table, looks=2)
    silence = "no silence @small+"
    assert found.verdicts == f"no silence | no silence | {silence} | {silence} | yes @small+ | no <TLSv1.2 @small+"
    assert LENGTH in found.conclusion.flags
    plain = [each for each in found.questions if isinstance(each, OfferVersion) and each.version.code > SSL3.code]
    assert [each for each in plain if each.shape is Shape.PLAIN] == [OfferVersion(TLS12)]


async def test_chance_is_no_intolerance(autojump_clock: object) -> None:
    """What happens once, and then no more, is no finding."""
    plain, once = Table(MODERN), Table({}, **ends(FIN))
    order = [plain, once, *[plain] * 20]  # the hello of TLS 1.3 is the second
    found = await see(*order)
    assert (found.verdicts, found.findings) == (NONE_OLD + "yes | yes+", set())
    assert found.besides == "1.3:no_grease 1.3:plain"
    order = [*[plain] * 6, once, *[plain] * 20]  # and the handshake the seventh
    found = await see(*order)
    assert (found.verdicts, found.findings) == (NONE_OLD + "yes | yes", set())
    assert found.besides == "handshake handshake"
    assert found.record["tls"]["group"] == "x25519"


async def test_a_silence_by_chance(autojump_clock: object) -> None:
    """A first hello that was lost costs plain ones, and no verdict; the handshake shows that length was no matter."""
    found = await see(Table({}, **ends(SILENCE)), Table(TLS))
    assert found.verdicts == FOUND + "yes @small+ | yes @small+ | yes @small+ | yes @small+"
    assert found.conclusion.flags == set()


# --- How it is written ------------------------------------------------------------------------------------------------

WRITTEN = {
    "records of 40 bytes": Table(TLS, record_bytes=40),
    "records of one byte": Table(TLS, record_bytes=1),
    "one message a record": Table(TLS, one_message_a_record=True),
    "warnings before it": Table(TLS, warnings=(112, 90)),
    "a warning, and records of one byte": Table(TLS, warnings=(112,), record_bytes=1),
    "HelloRequests before it": Table(TLS, hello_requests=3),
    "an extension that nobody knows": Table(TLS, extra_extensions=extension(0x4242, b"??")),
    "another version in its records": Table(TLS, record_version=0x0301),
    "the number of TLS 1.3 in its records": Table(TLS, record_version=0x0304),
    "a request for a certificate": Table(TLS, asks_for_certificate=True),
    "no sentinels": Table(TLS, sentinels=False),
}


@pytest.mark.parametrize("table", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("drips", [False, True])
@pytest.mark.parametrize("service", ["https", "smtp"])
async def test_however_it_is_written(autojump_clock: object, service: str, drips: bool, table: Table) -> None:
    """Reading is complete: however a flight is cut and whatever stands before it, a byte a segment too."""
    found = await see(table, service=service, drips=drips)
    assert found.verdicts == "no 70 | no 40 | yes | yes | yes | yes"
    assert found.besides in ("", "handshake")  # OpenSSL's client does not like everything


@pytest.mark.parametrize("drips", [False, True])
async def test_warnings_before_a_refusal(autojump_clock: object, drips: bool) -> None:
    """A warning before a fatal alert is passed over, and the fatal one is what counts."""
    found = await see(Table(MODERN, warnings=(112,)), drips=drips)
    assert found.verdicts == NONE_OLD + "yes | yes"
    assert Flag.SNI_REJECTED not in found.conclusion.flags
    found = await see(Table(MODERN, warnings=(112,), below=RST, refusals={}), drips=drips)
    # A warning and nothing else is what there is. It may be about the name, and so the name is left out once.
    assert found.verdicts == "no 70 | ? 112 | no 112+ | no 112+ | yes | yes"


@pytest.mark.parametrize(
    ("versions", "flags"),
    [
        (TLS, {TLS10: "tls12_hint", TLS11: "tls12_hint", TLS12: "tls13_hint"}),
        ({TLS10: RSA_CBC, TLS12: RSA_AEAD}, {TLS10: "tls12_hint"}),
        ({TLS10: RSA_CBC, TLS11: RSA_CBC}, {}),
    ],
)
async def test_sentinels(
    autojump_clock: object, versions: dict[Version, tuple[int, ...]], flags: dict[Version, str]
) -> None:
    """The random of a lower version tells that the server could do better (RFC 8446 §4.1.3)."""
    found = (await see(Table(versions))).conclusion.versions or {}
    hints = {version: flag for version, entry in found.items() for flag in entry.flags if flag.endswith("_hint")}
    assert {version: hint for version, hint in hints.items() if version in versions} == flags


async def test_a_retry_with_a_cookie(autojump_clock: object) -> None:
    """A HelloRetryRequest proves TLS 1.3, whatever else is in it."""
    found = await see(Table({TLS13: TLS13_SUITES}, groups=(P256,)))
    entry = (found.conclusion.versions or {})[TLS13]
    assert in_short(entry) == "yes hrr"
    assert entry.flags == {"hrr"}
    assert found.record["versions"]["TLSv1.3"]["group"] == "secp256r1"


async def test_numbers_without_a_name(autojump_clock: object) -> None:
    """A suite that was not offered, and that nobody knows, is kept as a number."""
    found = await see(Table({TLS12: RSA_AEAD}, chooses=0xFEFE, hands_over=False))
    entry = found.record["versions"]["TLSv1.2"]
    assert (entry["verdict"], entry["cipher"], entry["cipher_id"]) == ("yes", None, "0xfefe")
    assert entry["flags"] == ["unoffered_cipher"]


async def test_a_higher_version(autojump_clock: object) -> None:
    """A version above the one that was offered is a violation, and counts for neither."""
    found = await see(Table({TLS12: RSA_CBC}, answers_with=TLS12, chooses=0x002F, hands_over=False))
    assert found.verdicts == "no 70 | ? >TLSv1.2 | ? >TLSv1.2 | ? >TLSv1.2 | yes | no <TLSv1.2"
    assert "violation" in (found.conclusion.versions or {})[TLS10].flags


SSLV2 = {
    "a header of two bytes": (Table({SSL2: KINDS}), "yes", set()),
    "a header of three bytes": (Table({SSL2: KINDS}, sslv2_padding=0), "yes", set()),
    "padding": (Table({SSL2: KINDS}, sslv2_padding=7), "yes", set()),
    "no cipher kind in common": (Table({SSL2: ()}), "yes", {"no_ciphers"}),
    "ERROR, no cipher": (Table({SSL2: KINDS}, sslv2_error=1), "no sslv2_error", set()),
    "ERROR, no certificate": (Table({SSL2: KINDS}, sslv2_error=2), "? sslv2_error", set()),
    "alert 70": (Table(MODERN), "no 70", set()),
    "alert 40, and TLS": (Table(MODERN, to_sslv2=40), "no 40", set()),
    "alert 47, and no TLS": (Table({}, to_sslv2=47), "? 47", set()),
    "an alert that explains nothing, and TLS": (Table(MODERN, to_sslv2=10), "no 10", set()),
    "an alert that explains nothing, and no TLS": (Table({}, to_sslv2=10), "? 10", set()),
    "FIN, and TLS": (Table(MODERN, to_sslv2=FIN), "no fin", set()),
    "FIN, and no TLS": (Table({}, to_sslv2=FIN), "? fin", set()),
}


@pytest.mark.parametrize(("table", "verdict", "flags"), SSLV2.values(), ids=SSLV2)
@pytest.mark.parametrize("drips", [False, True])
async def test_sslv2(autojump_clock: object, drips: bool, table: Table, verdict: str, flags: set[str]) -> None:
    """SSLv2 has one hello, and an answer of its own kind, an alert of TLS, or an end."""
    entry = ((await see(table, drips=drips)).conclusion.versions or {})[SSL2]
    assert in_short(entry) == verdict
    assert entry.flags == flags


@pytest.mark.parametrize("padding", [None, 0, 7])
async def test_every_cipher_kind_is_recorded(autojump_clock: object, padding: int | None) -> None:
    """All kinds that a server of SSLv2 has of ours, in its order, whichever header its record has."""
    entry = (await see(Table({SSL2: (0x0700C0, 0x010080, 0x999999)}, sslv2_padding=padding))).record["versions"][
        "SSLv2"
    ]
    assert entry == {
        "verdict": "yes",
        "evidence": "sslv2_server_hello",
        "cipher": "SSL_CK_DES_192_EDE3_CBC_WITH_MD5",
        "cipher_id": "0x0700c0",
        "ciphers": [
            {"cipher": "SSL_CK_DES_192_EDE3_CBC_WITH_MD5", "cipher_id": "0x0700c0"},
            {"cipher": "SSL_CK_RC4_128_WITH_MD5", "cipher_id": "0x010080"},
        ],
    }
    without = (await see(Table({SSL2: ()}, sslv2_padding=padding))).record["versions"]["SSLv2"]
    assert without == {"verdict": "yes", "evidence": "sslv2_server_hello", "flags": ["no_ciphers"]}


async def test_what_is_recorded(autojump_clock: object) -> None:
    """The record tells the shape of the hello that decided, where it was not the plain one."""
    found = await see(Table(MODERN, quirks=(refuses_grease(47),)))
    entries = found.record["versions"]
    assert (entries["TLSv1.3"]["hello"], entries["TLSv1.3"]["flags"]) == ("no_grease", ["retry_used"])
    assert not any("hello" in entries[version] for version in entries if version != "TLSv1.3")
    assert [finding["id"] for finding in found.record["findings"]].count(GREASE) == 1


# --- What no table may bring about ------------------------------------------------------------------------------------

ENDS: list[Says] = [0, FIN, RST, SILENCE]
CHOKES: list[Says] = [47, 50, 80, 86, 110, *ENDS]
QUIRKS: list[tuple[Callable[[Says], Quirk], list[Says]]] = [
    (lambda says: refuses_lengths(256, 511, says), CHOKES),
    (lambda says: refuses_lengths(256, 9999, says), CHOKES),
    (lambda says: refuses_many_suites(40, says), CHOKES),
    (refuses_grease, [40, 71, *CHOKES]),
    (refuses_name, [40, 112, *CHOKES]),
    (needs_alpn, [120]),
    (needs_name, [40, 80, 109, 112, *ENDS]),
    (reads_one_packet, CHOKES),
    (lambda says: needs_suite(RENEGOTIATION_SCSV, says), [40, *CHOKES]),
    (lambda says: needs_extension(GROUPS, says), [40, 71, 109, *CHOKES]),
    (signs_nothing_below_tls12, [40, 71, 80]),
]
ALL_QUIRKS = [make(says) for make, every in QUIRKS for says in every]
ALL_SAYS: list[Says] = [0, 40, 47, 50, 71, 80, 109, 110, 112, 120, *ENDS]
SAYS = st.sampled_from(ALL_SAYS)
SAYS_OR_70: st.SearchStrategy[Says] = SAYS | st.just(70)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A server with some versions, and one quirk or none."""
    suites = {SSL2: KINDS, SSL3: RSA_OLD, **TLS}
    spoken = draw(st.sets(st.sampled_from(Version), min_size=1))
    quirk = draw(st.none() | st.sampled_from(ALL_QUIRKS))
    return Table(
        {version: suites[version] for version in Version if version in spoken},
        groups=draw(st.sampled_from([(P256,), (P384, P256), (X25519MLKEM768, P256)])),
        below=draw(SAYS_OR_70),
        above=draw(st.none() | st.none() | SAYS),
        to_sslv2=draw(SAYS_OR_70),
        refusals=draw(st.sampled_from([{}, {SSL3: 40}])),
        quirks=(quirk,) if quirk else (),
        hands_over=False,
    )


@given(table=tables(), service=st.sampled_from(["https", "smtp"]), named=st.booleans())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_table(table: Table, service: str, named: bool) -> None:
    """No version is said to be spoken that is not; the interview ends, and no version is asked for too often."""
    found = trio.run(lambda: see(table, service=service, named=named), clock=MockClock(autojump_threshold=0))
    asked = [question for question in found.questions if isinstance(question, OfferVersion)]
    for version, entry in (found.conclusion.versions or {}).items():
        assert version in table.suites or entry.verdict is not Known.YES
        shapes = [question.shape for question in asked if question.version is version]
        assert len(set(shapes)) <= 1 + MOST_RUNGS
        assert len(shapes) <= len(set(shapes)) + 1  # one to make sure of GREASE
    assert len(found.questions) <= 20


SPANS = [(low, high) for low in range(5) for high in range(low, 5)]


@pytest.mark.parametrize("groups", [(P256,), (P384, P256), (X25519MLKEM768, P256)])
@pytest.mark.parametrize(("lowest", "highest"), SPANS)
async def test_who_goes_by_the_standards(
    autojump_clock: object, lowest: int, highest: int, groups: tuple[int, ...]
) -> None:
    """Of a server with any versions in a row that answers as it should, every verdict is the truth."""
    spoken = tuple({SSL3: RSA_OLD, **TLS}.items())[lowest : highest + 1]
    table = Table(dict(spoken), groups=groups)
    for named in (True, False):
        found = await see(table, named=named)
        for version, entry in (found.conclusion.versions or {}).items():
            assert entry.verdict is (Known.YES if version in table.suites else Known.NO)
        assert found.besides == ""


@pytest.mark.parametrize("lowest", [TLS10, TLS12, TLS13])
@pytest.mark.parametrize("named", [True, False])
async def test_one_quirk_makes_no_false_no(autojump_clock: object, lowest: Version, named: bool) -> None:
    """Whatever a server stumbles over, and however, a version that it speaks is not called unspoken."""
    versions = {version: suites for version, suites in TLS.items() if version.code >= lowest.code}
    for quirk in ALL_QUIRKS:
        found = await see(Table(versions, quirks=(quirk,)), named=named)
        for version in versions:
            assert (found.conclusion.versions or {})[version].verdict is not Known.NO, (quirk, found.verdicts)


# --- The table itself -------------------------------------------------------------------------------------------------


def answer_of(server: Speaker, version: Version, shape: Shape) -> HelloAnswer:
    """What a server answers to a hello of ours, without a wire."""
    dialogue = exchange(version, HOST, bytes(range(96)), after_upgrade=False, shape=shape, alpn=(b"h2",))
    try:
        said = server.hear(dialogue.hello)
    except Closed as closed:
        said = closed.last
    return play(dialogue, [said]).value


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize(
    ("lowest", "highest", "keys"),
    [
        (TLS10, TLS13, (Key.RSA,)),
        (TLS12, TLS13, (Key.ECDSA,)),
        (TLS10, TLS11, (Key.RSA, Key.ECDSA)),
        (TLS13, TLS13, (Key.RSA,)),
    ],
)
def test_a_table_answers_as_openssl_does(
    shape: Shape, version: Version, lowest: Version, highest: Version, keys: tuple[Key, ...]
) -> None:
    """The peer of these tests answers our hellos as OpenSSL does: the same kind of answer, version and alert."""
    if version in (SSL2, SSL3) and shape is not Shape.PLAIN:
        return
    if shape is Shape.NO_EXTENSIONS and keys == (Key.ECDSA,):
        return  # OpenSSL makes no ECDSA signature for who lists no algorithm; a table would
    cbc, aead = codes("c014 c013 c00a 0035 002f"), codes("c030 c02f c02c c061 c0af 009d 009c")  # no group for DHE
    suites = {TLS10: cbc, TLS11: cbc, TLS12: aead + cbc, TLS13: TLS13_SUITES}
    whole = {each: suites[each] for each in suites if lowest.code <= each.code <= highest.code}
    groups = (0x001D, 0x0017, 0x0019, 0x0018, 0x001E, *range(0x0100, 0x0105))
    ours = answer_of(TableServer(Table(whole, keys=keys, groups=groups, knows_of_tls13=True)), version, shape)
    theirs = answer_of(TlsServer(context=context_of(lowest, highest, keys)), version, shape)
    assert (ours.evidence, ours.version, ours.alert) == (theirs.evidence, theirs.version, theirs.alert)
