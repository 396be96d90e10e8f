"""One scan over servers of every kind of conduct, honest and not; what each record must say of them."""

import ssl
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio
import trustme
from OpenSSL import crypto

from scanner.config import Config
from scanner.connection import Timeouts
from scanner.exit_code import ExitCode
from scanner.limits import Limits
from scanner.run import Run
from scanner.tls.names import Version
from scanner.trust import TrustStore
from targets.prefixes import Prefixes
from tests.peers.nameserver import NOBODY
from tests.peers.scripted import Script, Server, Talk, closed, serving, smtp, unanswered
from tests.peers.tls_server import BreaksInside, Sslv2Server, TlsServer, server_context, smtp_inside

TIMEOUTS = Timeouts(connect_s=0.7, greeting_s=0.7, reply_s=0.7, tls_s=0.7, deadline_s=1.5)
LIMITS = Limits(rate=0, per_address=1, per_address_rate=0, per_network_rate=0)
QUESTIONS = len(Version) + 1
OTHER_HELLOS = 4  # of other shapes, where no hello at all is answered and there is no name to leave out
VERSIONS = [version.value for version in Version]
HANDSHAKE_FAILURE = bytes.fromhex("15 0303 0002 0228")
PROTOCOL_VERSION = bytes.fromhex("15 0301 0002 0246")
GARBAGE = bytes.fromhex("000102fe ff8090a0") * 4

Expected = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A server, how it is scanned, and the parts of its record that matter."""

    service: str
    script: Script | None  # None: nobody listens, or nobody answers
    expected: Expected
    heard: bytes | None = None  # all that the server may have heard


def versions(default: tuple[str, str], **others: tuple[str, str]) -> Expected:
    """Each version's verdict and evidence: `default`, but for those that are named (TLS1_2=...)."""
    return {
        version.value: dict(zip(("verdict", "evidence"), others.get(version.name, default), strict=True))
        for version in Version
    }


NOT_REACHED = ("unknown", "not_reached")
MODERN = versions(("no", "alert"), TLS1_2=("yes", "server_hello"), TLS1_3=("yes", "server_hello"))


def no_starttls(verdict: str, stage: str, cause: str | None, status: str = "inconclusive", **more: object) -> Expected:
    """What is said where the first dialogue ends before TLS: one connection, and nothing behind it."""
    starttls = {"verdict": verdict, "stage": stage, "cause": cause, "hint": None, "early_bytes": None, **more}
    return {"status": status, "starttls": starttls, "versions": None, "tls": None, "connections": 1, "flags": []}


def no_greeting(verdict: str, cause: str) -> Expected:
    """What is said where the connection ends before a greeting: on another one, a ClientHello was tried."""
    return no_starttls(verdict, "greeting", cause) | {"connections": 2}


def no_tls(cause: str, evidence: tuple[str, str], connections: int, **more: object) -> Expected:
    """What is said where the go-ahead is a lie. The second chance is for a small hello."""
    starttls = {
        "verdict": "accepted_no_tls",
        "stage": "tls",
        "cause": cause,
        "hint": None,
        "code": "220",
        "early_bytes": None,
        **more,
    }
    second_chance = connections == 2
    return {
        "status": "inconclusive",  # until a later look finds it again
        "starttls": starttls,
        "versions": versions(NOT_REACHED if second_chance else evidence, TLS1_2=evidence),
        "certificate": None,
        "connections": connections,
        "flags": [],
    }


def implicit(
    verdict: str, cause: str | None, hint: str | None, first: tuple[str, str], connections: int = 1
) -> Expected:
    """What is said in implicit mode where the first hello makes all others useless, but for silence's second chance."""
    return {
        "status": "mismatch" if verdict == "protocol_mismatch" else "inconclusive",
        "starttls": None,
        "versions": versions(NOT_REACHED, TLS1_2=first),
        "tls": {"version": None, "error": {"verdict": verdict, "stage": "tls", "cause": cause, "hint": hint}},
        "connections": connections,
        "flags": [],
    }


# --- scripts ----------------------------------------------------------------------------------------------------------


async def silent(talk: Talk) -> None:
    """Says nothing."""
    await talk.silence()


def says(data: bytes) -> Script:
    """Says this at once, and then nothing."""

    async def script(talk: Talk) -> None:
        await talk.say(data)
        await talk.silence()

    return script


def drips(data: bytes, every_s: float = 0.1) -> Script:
    """Says this again and again, slowly."""

    async def script(talk: Talk) -> None:
        while True:
            await talk.say(data)
            await trio.sleep(every_s)

    return script


def floods(until: str, data: bytes) -> Script:
    """Says this again and again, as fast as it goes."""

    async def script(talk: Talk) -> None:
        await smtp(talk, until)
        while True:
            await talk.say(data * 100)

    return script


def resets(until: str) -> Script:
    """Behaves up to a stage; then RST."""

    async def script(talk: Talk) -> None:
        await smtp(talk, until)
        talk.reset()

    return script


def closes(until: str) -> Script:
    """Behaves up to a stage; then FIN."""

    async def script(talk: Talk) -> None:
        await smtp(talk, until)
        talk.close()

    return script


def answers(until: str, data: bytes) -> Script:
    """Behaves up to a stage; then says this, and nothing more."""

    async def script(talk: Talk) -> None:
        await smtp(talk, until)
        await talk.say(data)
        await talk.silence()

    return script


async def echo(talk: Talk) -> None:
    """Says back what it hears."""
    while data := await talk.hear():
        await talk.say(data)


def tls(context: ssl.SSLContext | None = None) -> Script:
    """TLS from the first byte on."""

    async def script(talk: Talk) -> None:
        await talk.let_speak(TlsServer(context=context))

    return script


async def honest(talk: Talk) -> None:
    """SMTP with STARTTLS, as it should be."""
    await smtp(talk, until="tls")
    await talk.let_speak(TlsServer(smtp_inside))


def without_login(reset: bytes | None) -> Script:
    """SMTP with a login inside TLS only. It answers RSET in this way, or leaves."""

    async def script(talk: Talk) -> None:
        await talk.say(b"220 mx.example.test ESMTP\r\n")
        await talk.hear_line()
        await talk.say(b"250-mx.example.test\r\n250 STARTTLS\r\n")
        if await talk.hear_line() == b"RSET\r":
            if reset is None:
                return
            await talk.say(reset)
            await talk.hear_line()
        await talk.say(b"220 go ahead\r\n")
        await talk.let_speak(TlsServer(smtp_inside))

    return script


async def injected_with_the_go_ahead(talk: Talk) -> None:
    """More plaintext in the segment of the 220."""
    await smtp(talk, until="tls", go_ahead=b"220 go ahead\r\n250 injected\r\n")
    await talk.let_speak(TlsServer(smtp_inside))


async def injected_later(talk: Talk) -> None:
    """More plaintext in a segment behind the 220."""
    await smtp(talk, until="tls")
    await trio.sleep(0.02)
    await talk.say(b"250 injected\r\n")
    await talk.let_speak(TlsServer(smtp_inside))


async def injected_behind_the_hello(talk: Talk) -> None:
    """More plaintext in answer to the ClientHello, and then TLS."""
    await smtp(talk, until="tls")
    await talk.let_speak(TlsServer(smtp_inside), before=b"250 injected\r\n")


async def tls_before_the_hello(talk: Talk) -> None:
    """A TLS record behind the 220, before we have said anything in TLS."""
    await smtp(talk, until="tls", go_ahead=b"220 go ahead\r\n" + HANDSHAKE_FAILURE)
    await talk.silence()


async def refuses_all_versions(talk: Talk) -> None:
    """Answers every hello with an alert that does not say why."""
    await talk.hear()
    await talk.say(HANDSHAKE_FAILURE)


async def busy_after_three(talk: Talk) -> None:
    """Has enough of us after three connections."""
    if talk.number <= 3:
        await honest(talk)
    else:
        await talk.say(b"421 4.7.0 mx Error: too many connections from 127.0.0.1\r\n")


async def breaks_inside(talk: Talk) -> None:
    """Speaks plaintext again inside TLS."""
    await smtp(talk, until="tls")
    await talk.let_speak(BreaksInside(b"421 4.3.2 lost\r\n"))


async def sslv2(talk: Talk) -> None:
    """Knows SSLv2 and nothing else."""
    await talk.let_speak(Sslv2Server())


# --- the table --------------------------------------------------------------------------------------------------------

REFUSED_ALL = versions(("unknown", "alert"), SSLV3=("no", "alert"), SSLV2=("unknown", "alert"))
SMTP_TLS: Expected = {"status": "tls", "versions": MODERN, "connections": QUESTIONS, "flags": []}
OK: Expected = {"verdict": "ok", "stage": "reply", "cause": None, "hint": None, "code": "220", "early_bytes": None}
UNTRUSTED: Expected = {
    "none": "plaintext",
    "starttls_if_available": "secure_untrusted",
    "starttls": "secure_untrusted",
    "ssl_tls": "fails",
}
NO_WAY_IN: Expected = dict.fromkeys(UNTRUSTED, "fails")
INJECTED: Expected = {**OK, "early_bytes": r"250 injected\r\n"}

CASES: dict[str, Case] = {
    "nobody listens": Case(
        "smtp", None, no_starttls("unreachable", "connect", "refused", "unreachable") | {"clients": NO_WAY_IN}
    ),
    "nobody answers": Case("smtp", None, no_starttls("unreachable", "connect", "timeout", "unreachable")),
    "says nothing": Case("smtp", silent, no_starttls("timeout", "greeting", "timeout")),
    "a byte at a time": Case("smtp", drips(b"x"), no_starttls("tarpit", "greeting", "deadline"), heard=b""),
    "a line at a time": Case("smtp", drips(b"220-x\r\n"), no_starttls("tarpit", "greeting", "deadline"), heard=b""),
    "a line without end": Case(
        "smtp",
        floods("greeting", b"220-x"),
        no_starttls("limit_exceeded", "greeting", None, "mismatch") | {"flags": ["line_too_long"]},
        heard=b"",
    ),
    "a greeting without end": Case(
        "smtp", floods("greeting", b"220-x\r\n"), no_starttls("limit_exceeded", "greeting", None, "mismatch"), heard=b""
    ),
    "capabilities without end": Case(
        "smtp", floods("capabilities", b"250-x\r\n"), no_starttls("limit_exceeded", "capabilities", None, "mismatch")
    ),
    "a reply without end": Case(
        "smtp", floods("reply", b"220-x\r\n"), no_starttls("limit_exceeded", "reply", None, "mismatch")
    ),
    "garbage": Case(
        "smtp", says(GARBAGE + b"\r\n"), no_starttls("violation", "greeting", "not a reply line", "mismatch")
    ),
    "garbage without a line": Case("smtp", says(GARBAGE), no_starttls("timeout", "greeting", "timeout"), heard=b""),
    "garbage for capabilities": Case(
        "smtp",
        answers("capabilities", GARBAGE + b"\r\n"),
        no_starttls("violation", "capabilities", "not a reply line", "mismatch"),
    ),
    "ssh": Case(
        "smtp",
        says(b"SSH-2.0-OpenSSH_9.2\r\n"),
        no_starttls("protocol_mismatch", "greeting", None, "mismatch", hint="ssh"),
        heard=b"",
    ),
    "tls where plaintext is due": Case(
        "smtp",
        tls(),
        no_starttls("protocol_mismatch", "greeting", None, "mismatch", hint="tls")
        | {"clients": NO_WAY_IN | {"ssl_tls": "unknown"}},
    ),
    "an alert where plaintext is due": Case(
        "smtp",
        says(PROTOCOL_VERSION),
        no_starttls("protocol_mismatch", "greeting", None, "mismatch", hint="tls"),
        heard=b"",
    ),
    "echo on smtp": Case("smtp", echo, no_starttls("protocol_mismatch", "greeting", None, "mismatch", hint="echo")),
    "421 as greeting": Case(
        "smtp",
        says(b"421 4.3.2 later\r\n"),
        no_starttls("unavailable", "greeting", None, code="421"),
        heard=b"QUIT\r\n",
    ),
    "421 to EHLO": Case(
        "smtp", answers("capabilities", b"421 later\r\n"), no_starttls("unavailable", "capabilities", None, code="421")
    ),
    "421 to STARTTLS": Case(
        "smtp", answers("reply", b"421 later\r\n"), no_starttls("unavailable", "reply", None, code="421")
    ),
    "too many connections": Case(
        "smtp", says(b"421 4.7.0 too many connections\r\n"), no_starttls("rate_limited", "greeting", None, code="421")
    ),
    "454 to STARTTLS": Case(
        "smtp",
        answers("reply", b"454 4.7.0 TLS not available due to local problem\r\n"),
        no_starttls("refused_temporary", "reply", None, advertised=True) | {"flags": ["advertised_but_refused"]},
    ),
    "250 to STARTTLS": Case(
        "smtp", answers("reply", b"250 fine\r\n"), no_starttls("violation", "reply", None, "mismatch", code="250")
    ),
    "no STARTTLS": Case(
        "smtp",
        answers("capabilities", b"250-mx\r\n250 AUTH PLAIN\r\n"),
        no_starttls("not_offered", "capabilities", None, "no_tls", advertised=False, required=False)
        | {"clients": NO_WAY_IN | {"none": "plaintext", "starttls_if_available": "plaintext"}},
    ),
    "RST for a greeting": Case("smtp", resets("greeting"), no_greeting("reset", "reset"), heard=b""),
    "RST for capabilities": Case("smtp", resets("capabilities"), no_starttls("reset", "capabilities", "reset")),
    "RST for a reply": Case("smtp", resets("reply"), no_starttls("reset", "reply", "reset")),
    "RST for TLS": Case("smtp", resets("hello"), no_tls("reset", ("unknown", "reset"), QUESTIONS + OTHER_HELLOS)),
    "FIN for a greeting": Case("smtp", closes("greeting"), no_greeting("closed", "eof"), heard=b""),
    "FIN for capabilities": Case("smtp", closes("capabilities"), no_starttls("closed", "capabilities", "eof")),
    "FIN for a reply": Case("smtp", closes("reply"), no_starttls("closed", "reply", "eof")),
    "FIN for TLS": Case("smtp", closes("hello"), no_tls("closed", ("unknown", "closed"), QUESTIONS + OTHER_HELLOS)),
    "silence for TLS": Case("smtp", answers("hello", b""), no_tls("timeout", ("unknown", "timeout"), 2)),
    "plaintext for TLS": Case(
        "smtp",
        answers("hello", b"500 what?\r\n"),
        no_tls("plaintext", ("unknown", "plaintext"), 2, hint="smtp"),
    ),
    "garbage for TLS": Case("smtp", answers("hello", GARBAGE), no_tls("garbage", ("unknown", "garbage"), QUESTIONS)),
    "TLS before the hello": Case(
        "smtp",
        tls_before_the_hello,
        {
            "status": "mismatch",
            "starttls": {"verdict": "violation", "stage": "tls", "cause": "tls_before_client_hello"},
            "connections": 2,
        },
    ),
    "honest": Case(
        "smtp",
        honest,
        {**SMTP_TLS, "starttls": OK, "tls": {"version": "TLSv1.3", "error": None}, "clients": UNTRUSTED},
        heard=None,
    ),
    "requires TLS": Case(
        "submission",
        without_login(b"530 5.7.0 Must issue a STARTTLS command first\r\n"),
        {**SMTP_TLS, "starttls": {**OK, "required": True}, "clients": UNTRUSTED | {"none": "refused"}},
    ),
    "may require TLS, and does not tell": Case(
        "submission",
        without_login(b"250 2.0.0 Ok\r\n"),
        {**SMTP_TLS, "starttls": {**OK, "required": None}, "clients": UNTRUSTED | {"none": "refused"}},
    ),
    "takes RSET amiss": Case(
        "submission",
        without_login(None),
        {
            **SMTP_TLS,
            "starttls": {**OK, "required": None, "inside": None},
            "tls": {"version": None, "error": {"verdict": "closed", "stage": "capabilities"}},
            "clients": dict.fromkeys(UNTRUSTED, "unknown") | {"ssl_tls": "fails"},
            "flags": ["throttled"],
        },
    ),
    "injected with the go-ahead": Case("smtp", injected_with_the_go_ahead, {**SMTP_TLS, "starttls": INJECTED}),
    "injected later": Case("smtp", injected_later, {**SMTP_TLS, "starttls": INJECTED}),
    "injected behind the hello": Case("smtp", injected_behind_the_hello, {**SMTP_TLS, "starttls": INJECTED}),
    "breaks inside": Case(
        "smtp",
        breaks_inside,
        {"status": "tls", "versions": MODERN, "starttls": {**OK, "inside": None}, "connections": QUESTIONS},
    ),
    "throttles": Case(
        "smtp",
        busy_after_three,
        {
            "status": "tls",
            "starttls": OK,
            "versions": versions(
                NOT_REACHED, TLS1_2=("yes", "server_hello"), TLS1_3=("yes", "server_hello"), TLS1_1=("no", "alert")
            ),
            "tls": None,
            "connections": 4,  # a word of load ends the look
            "flags": ["throttled"],
        },
    ),
    "smtp where TLS is due": Case(
        "submissions",
        says(b"220 mx ESMTP\r\n"),
        implicit("protocol_mismatch", "plaintext", "smtp", ("unknown", "plaintext"))
        | {"clients": dict.fromkeys(UNTRUSTED, "unknown") | {"ssl_tls": "fails"}},
    ),
    "http where TLS is due": Case(
        "https",
        answers("greeting", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        implicit("protocol_mismatch", "plaintext", "http", ("unknown", "plaintext")),
    ),
    "echo where TLS is due": Case(
        "https", echo, implicit("protocol_mismatch", "garbage", "echo", ("unknown", "garbage"))
    ),
    "silence where TLS is due": Case("https", silent, implicit("timeout", None, None, ("unknown", "timeout"), 2)),
    "a closed port of https": Case(
        "https",
        None,
        {
            "status": "unreachable",
            "starttls": None,
            "versions": None,
            "tls": {"error": {"verdict": "unreachable", "stage": "connect", "cause": "refused"}},
            "connections": 1,
        },
    ),
    "https": Case("https", tls(), {**SMTP_TLS, "starttls": None, "tls": {"version": "TLSv1.3", "error": None}}),
    "another group": Case(
        "https",
        tls(server_context("secp384r1")),
        {
            **SMTP_TLS,
            "versions": {
                **MODERN,
                "TLSv1.3": {
                    "verdict": "yes",
                    "evidence": "hello_retry_request",
                    "group": "secp384r1",
                    "flags": ["hrr"],
                },
            },
            "tls": {"version": "TLSv1.3", "group": "secp384r1", "error": None},
        },
    ),
    "wants a client certificate": Case(
        "submissions",
        tls(server_context(client_certificate=True)),
        {**SMTP_TLS, "tls": {"version": "TLSv1.3", "error": None}},
    ),
    "refuses all versions": Case(
        "https",
        refuses_all_versions,
        {
            "status": "tls_failed",
            "versions": REFUSED_ALL,
            "tls": {"error": {"verdict": "handshake_failed", "alert": "handshake_failure"}},
            "connections": QUESTIONS + OTHER_HELLOS + 1,  # of suites there are more than of lengths
        },
    ),
    "SSLv2 alone": Case(
        "https",
        sslv2,
        {
            "status": "tls",
            "versions": {
                **versions(("unknown", "garbage")),
                "SSLv2": {
                    "verdict": "yes",
                    "evidence": "sslv2_server_hello",
                    "cipher": "SSL_CK_RC4_128_WITH_MD5",
                    "cipher_id": "0x010080",
                    "ciphers": [
                        {"cipher": "SSL_CK_RC4_128_WITH_MD5", "cipher_id": "0x010080"},
                        {"cipher": "SSL_CK_DES_192_EDE3_CBC_WITH_MD5", "cipher_id": "0x0700c0"},
                    ],
                },
            },
            "connections": QUESTIONS,
        },
    ),
}
UNANSWERED = "nobody answers"


# --- the scan ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scan:
    """What came of it."""

    records: dict[str, dict[str, Any]]  # by the name of the case
    end: dict[str, Any]
    servers: dict[str, Server]
    took_s: float


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """One scan of all."""
    path = tmp_path_factory.mktemp("scripted") / "out.jsonl"
    places, took_s = trio.run(_scan_all, path)
    records = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    by_place = {(record["address"], record["port"]): record for record in records if record["type"] == "endpoint"}
    named = {name: by_place[server.address, server.port] for name, server in places.items()}
    return Scan(named, records[-1], places, took_s)


async def _scan_all(path: Path) -> tuple[dict[str, Server], float]:
    scripts = {name: case.script for name, case in CASES.items() if case.script}
    async with serving(scripts) as servers, unanswered() as unreachable:
        places = {name: servers.get(name) or closed(number) for number, name in enumerate(CASES)}
        places[UNANSWERED] = unreachable
        began = trio.current_time()
        with path.open("wb") as output:
            config = Config(
                targets=tuple(f"{CASES[name].service}://{server.place}" for name, server in places.items()),
                allow=(ip_network("127.0.0.0/8"),),
                limits=LIMITS,
                prefixes=Prefixes(32, 128),  # some speak of load, which is to slow nobody else down
                timeouts=TIMEOUTS,
                retries=0,
                hello_name="scan.example.test",
                resolvers=(NOBODY,),
                progress=False,
            )
            anchor = crypto.load_certificate(crypto.FILETYPE_PEM, trustme.CA().cert_pem.bytes())  # of nobody here
            trust = TrustStore((anchor,), ("nobody.pem",))
            assert await Run(config, output.fileno(), trust).scan() is ExitCode.COMPLETE
        return places, trio.current_time() - began


def part(record: Any, expected: Any) -> Any:
    """Of a record, what is expected of it: the same keys at every depth."""
    if isinstance(record, dict) and isinstance(expected, dict):
        return {key: part(record.get(key, "absent"), value) for key, value in expected.items()}
    return record


@pytest.mark.parametrize("name", CASES)
def test_what_the_record_says(scan: Scan, name: str) -> None:
    """The record of each server says what it is, and what cannot be told."""
    assert part(scan.records[name], CASES[name].expected) == CASES[name].expected


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.script])
def test_connections_are_counted_as_the_server_counts_them(scan: Scan, name: str) -> None:
    """A record's `connections` are what the server has seen."""
    assert scan.servers[name].connections == scan.records[name]["connections"]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.heard is not None])
def test_what_is_not_said(scan: Scan, name: str) -> None:
    """Nothing is said before a whole greeting, nor to a server that speaks another language."""
    assert bytes(scan.servers[name].heard) == CASES[name].heard


def test_nobody_is_asked_for_mail(scan: Scan) -> None:
    """No server that speaks SMTP hears anything but EHLO, STARTTLS, QUIT and TLS, and RSET where no login is listed."""
    for name, server in scan.servers.items():
        plaintext = bytes(server.heard).partition(b"\x16\x03")[0]
        service = CASES[name].service
        words = {line.split()[0] for line in plaintext.split(b"\r\n") if line and service in ("smtp", "submission")}
        assert words <= {b"EHLO", b"STARTTLS", b"QUIT", *([b"RSET"] if service == "submission" else [])}, name


def test_the_end_record_adds_up(scan: Scan) -> None:
    """The last record counts what the others say."""
    end, records = scan.end, scan.records.values()
    assert (end["event"], end["complete"]) == ("end", True)
    assert end["lines"] == {"read": len(CASES), "blank": 0, "expanded": len(CASES), "rejected": 0}
    assert end["endpoints"]["taken"] == end["endpoints"]["recorded"] == len(CASES)
    assert end["connections"] == sum(record["connections"] for record in records)
    for status, count in end["endpoints"]["status"].items():
        assert count == sum(record["status"] == status for record in records)


def test_endpoints_wait_side_by_side(scan: Scan) -> None:
    """All that silence takes no longer than the longest interview."""
    assert scan.took_s < 8
