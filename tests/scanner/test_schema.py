"""The schema of the output: what the recorder makes keeps to it, and what breaks the contract does not."""

import json
import re
from collections.abc import Callable
from copy import deepcopy
from enum import StrEnum
from functools import cache
from importlib.resources import files
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from jsonschema_rs import meta
from OpenSSL import crypto
from typer.testing import CliRunner

from scanner.cli import app
from scanner.conclusion import Status, conclude
from scanner.config import Config
from scanner.domain_findings import DOMAIN_FINDINGS
from scanner.domain_status import DomainStatus
from scanner.interview import Interview
from scanner.limits import Limits
from scanner.looks import Look
from scanner.mail_policy.mta_sts import PolicyError
from scanner.mail_policy.result import Result
from scanner.mail_policy.text_record import RecordError
from scanner.outcome import Flag, Outcome, Stage, Verdict
from scanner.question import Answer, InjectCommand, Negotiate, OfferVersion, Wanted
from scanner.record import Recorder, new_run_id
from scanner.run import Run
from scanner.starttls.injection import Injection, InjectionResult
from scanner.starttls.result import Capabilities, Inside, StartTls
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.handshake import Handshake
from scanner.tls.hello import Shape
from scanner.tls.names import Version
from scanner.trust import TrustStore
from scanner.versions import Known
from targets.answer import Dnssec, DnsStatus
from targets.mail_answer import Oddity
from targets.services import SERVICES, Mode
from targets.target import Endpoint, Origin, Reason, Rejection
from tests.conftest import SCHEMA, InvalidRecordError, as_written, validate

Record = dict[str, Any]

NOW = 1_795_464_000.123
RUN_ID = new_run_id(NOW)
MISSING = object()
RECORDS_PAGE = (Path(__file__).parents[2] / "docs" / "records.md").read_text("utf-8")

GO_AHEAD = StartTls(
    Verdict.OK,
    Stage.REPLY,
    code="220",
    text="220 2.0.0 Ready to start TLS",
    advertised=True,
    required=False,
    before=Capabilities(("PIPELINING", "STARTTLS", "AUTH PLAIN"), ("PLAIN",)),
)
BUSY = StartTls(Verdict.UNAVAILABLE, Stage.GREETING, code="421", text="421 4.3.2 try again later")
TLS1_2 = HelloAnswer(Evidence.SERVER_HELLO, version=0x0303, cipher=0xC02F, flags=frozenset({"tls13_hint"}))
TLS1_3 = HelloAnswer(
    Evidence.HELLO_RETRY_REQUEST, version=0x0304, cipher=0x1301, group=0x0017, flags=frozenset({"hrr"})
)
LOWER = HelloAnswer(Evidence.LOWER_VERSION, version=0x0303, cipher=0xC02F)
TEXT = HelloAnswer(Evidence.PLAINTEXT, hint="http", text="HTTP/1.1 400 Bad Request")
SILENCE = HelloAnswer(Evidence.TIMEOUT)
PLAINTEXT = Handshake(failure=Outcome(Verdict.PROTOCOL_MISMATCH, Stage.TLS, "plaintext", "http", detail=TEXT.text))


@cache
def leaf() -> bytes:
    """A certificate in DER."""
    pem = trustme.CA().issue_cert("mx.example.org", "192.0.2.1").cert_chain_pems[0].bytes()
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def negotiated() -> Handshake:
    """A handshake that was completed."""
    return Handshake(
        Version.TLS1_3, 0x1302, "TLS_AES_256_GCM_SHA384", 0x11EC, "X25519MLKEM768", "h2", (leaf(), b"no certificate")
    )


def offered(version: Version, hello: HelloAnswer | None, starttls: StartTls | None = None) -> Answer:
    """The answer to one version's hello."""
    return Answer(OfferVersion(version), NOW, starttls=starttls, hello=hello, timings_ms={"connect": 31, "hello": 62})


def tried(handshake: Handshake | None, starttls: StartTls | None = None, inside: Inside | None = None) -> Answer:
    """The answer to the full handshake."""
    steps = {"connect": 31, "greeting": 80, "upgrade": 62, "handshake": 64}
    return Answer(Negotiate(), NOW, starttls=starttls, handshake=handshake, inside=inside, timings_ms=steps)


def failed(failure: Outcome) -> Answer:
    """No connection."""
    return Answer(OfferVersion(Version.TLS1_2), NOW, failure=failure)


def record_of(
    service: str,
    *answers: Answer,
    error: str | None = None,
    der: bool = False,
    before: Verdict | None = None,
    trust: TrustStore | None = None,
    injection: Answer | None = None,
) -> Record:
    """The record of an interview with these answers, as a reader gets it."""
    endpoint = Endpoint(
        Origin("mx.example.org", 7, {"tier": "gold"}), "mx.example.org", "192.0.2.1", 25, SERVICES[service]
    )
    interview = Interview(endpoint, Wanted())
    interview.begin()
    for answer in answers:
        interview.take(answer)
    interview.asides += [injection] if injection else []
    interview.error = error
    if before:
        interview.looks.append(Look(NOW - 60, before, Stage.TLS))
    return as_written(Recorder(RUN_ID, der=der, trust=trust).endpoint(interview, conclude(interview), NOW + 0.5))


def starttls_ok(*, der: bool = False, trust: TrustStore | None = None, injection: Answer | None = None) -> Record:
    """A mail server that does all that it should."""
    return record_of(
        "smtp",
        offered(Version.TLS1_2, TLS1_2, GO_AHEAD),
        offered(Version.TLS1_3, TLS1_3, GO_AHEAD),
        offered(Version.TLS1_1, HelloAnswer(Evidence.ALERT, alert=70), GO_AHEAD),
        offered(Version.TLS1_0, HelloAnswer(Evidence.ALERT, alert=250), GO_AHEAD),
        offered(Version.SSLV3, HelloAnswer(Evidence.RESET), GO_AHEAD),
        offered(Version.SSLV2, HelloAnswer(Evidence.CLOSED), GO_AHEAD),
        tried(negotiated(), GO_AHEAD, Inside(Capabilities(("PIPELINING",), ()))),
        der=der,
        trust=trust,
        injection=injection,
    )


def with_injection(**came: Any) -> Record:
    """A mail server that does all that it should, and what became of the injection test."""
    return starttls_ok(injection=Answer(InjectCommand(), NOW, **came))


def untrusted() -> Record:
    """A mail server whose chain leads nowhere."""
    anchor = crypto.load_certificate(crypto.FILETYPE_PEM, trustme.CA().cert_pem.bytes())
    return starttls_ok(trust=TrustStore((anchor,), ("ca.pem",)))


def implicit_tls() -> Record:
    """A web server with a bit of everything."""
    return record_of(
        "https",
        offered(Version.TLS1_2, TLS1_2),
        offered(Version.TLS1_3, LOWER),
        offered(Version.TLS1_1, HelloAnswer(Evidence.HIGHER_VERSION, 0x7F1C, 0xFEFE, flags=frozenset({"violation"}))),
        offered(Version.TLS1_0, TEXT),
        offered(Version.SSLV3, HelloAnswer(Evidence.GARBAGE, flags=frozenset({"violation"}))),
        offered(Version.SSLV2, HelloAnswer(Evidence.SSLV2_SERVER_HELLO, 0x0002, 0x010080, kinds=(0x010080, 0xFEFEFE))),
        tried(negotiated(), inside=Inside(None)),
    )


def of_one(service: str, result: StartTls) -> Callable[[], Record]:
    """A record whose dialogue ended before TLS."""
    return lambda: record_of(service, offered(Version.TLS1_2, None, result))


def unreachable() -> Record:
    """Nobody there, where a dialogue was due."""
    return record_of("smtp", failed(Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "refused")))


RECORDS: dict[str, tuple[Status, Callable[[], Record]]] = {
    "starttls": (Status.TLS, starttls_ok),
    "untrusted": (Status.TLS, untrusted),
    "vulnerable": (
        Status.TLS,
        lambda: with_injection(
            starttls=GO_AHEAD,
            handshake=negotiated(),
            injection=Injection(InjectionResult.VULNERABLE, code="250", text="250 2.0.0 Ok"),
        ),
    ),
    "answered before TLS": (
        Status.TLS,
        lambda: with_injection(
            starttls=GO_AHEAD,
            early=b"250 2.0.0 Ok\r\n",
            handshake=negotiated(),
            injection=Injection(InjectionResult.NO, code="221", text="221 bye"),
        ),
    ),
    "injection refused": (Status.TLS, lambda: with_injection(starttls=BUSY)),
    "injection, no connection": (
        Status.TLS,
        lambda: with_injection(failure=Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "refused")),
    ),
    "injection, no handshake": (
        Status.TLS,
        lambda: with_injection(
            starttls=GO_AHEAD,
            handshake=Handshake(failure=Outcome(Verdict.HANDSHAKE_FAILED, Stage.TLS, "alert", alert="decode_error")),
        ),
    ),
    "starttls with --der": (Status.TLS, lambda: starttls_ok(der=True)),
    "implicit": (Status.TLS, implicit_tls),
    "implicit, capabilities inside": (
        Status.TLS,
        lambda: record_of(
            "imaps",
            offered(Version.TLS1_2, TLS1_2),
            tried(negotiated(), inside=Inside(Capabilities(("IMAP4rev2", "AUTH=PLAIN"), ("PLAIN",), False))),
        ),
    ),
    "turned away inside": (
        Status.TLS,
        lambda: record_of(
            "submissions",
            offered(Version.TLS1_2, TLS1_2),
            tried(negotiated(), inside=Inside(None, Verdict.RATE_LIMITED, "421", "421 too many")),
        ),
    ),
    "sslv2 without a cipher": (
        Status.TLS,
        lambda: record_of(
            "tls",
            offered(Version.TLS1_2, HelloAnswer(Evidence.CLOSED)),
            offered(Version.SSLV2, HelloAnswer(Evidence.SSLV2_SERVER_HELLO, 0x0002, flags=frozenset({"no_ciphers"}))),
            tried(Handshake(failure=Outcome(Verdict.CLOSED, Stage.TLS, "eof"))),
        ),
    ),
    "throttled": (
        Status.TLS,
        lambda: record_of(
            "smtp", offered(Version.TLS1_2, TLS1_2, GO_AHEAD), offered(Version.TLS1_3, None, BUSY), tried(None, BUSY)
        ),
    ),
    "stopped early": (Status.TLS, lambda: record_of("smtp", offered(Version.TLS1_2, TLS1_2, GO_AHEAD))),
    "implicit, stopped early": (Status.TLS, lambda: record_of("https", offered(Version.TLS1_2, TLS1_2))),
    "every hello refused": (
        Status.TLS_FAILED,
        lambda: record_of(
            "https",
            offered(Version.TLS1_2, HelloAnswer(Evidence.ALERT, alert=40)),
            offered(Version.SSLV2, HelloAnswer(Evidence.SSLV2_ERROR, error=1)),
            tried(Handshake(failure=Outcome(Verdict.HANDSHAKE_FAILED, Stage.TLS, "alert", alert="handshake_failure"))),
        ),
    ),
    "not offered": (Status.NO_TLS, of_one("smtp", StartTls(Verdict.NOT_OFFERED, Stage.CAPABILITIES, advertised=False))),
    "accepted, twice no TLS": (
        Status.NO_TLS,
        lambda: record_of(
            "smtp",
            offered(Version.TLS1_2, TEXT, GO_AHEAD),
            tried(PLAINTEXT, GO_AHEAD),
            before=Verdict.ACCEPTED_NO_TLS,
        ),
    ),
    "accepted, once no TLS": (
        Status.INCONCLUSIVE,
        lambda: record_of("smtp", offered(Version.TLS1_2, SILENCE, GO_AHEAD)),
    ),
    "421": (Status.INCONCLUSIVE, of_one("smtp", BUSY)),
    "imap NO": (
        Status.INCONCLUSIVE,
        of_one("imap", StartTls(Verdict.REFUSED_SERVER_ERROR, Stage.REPLY, code="NO", text="t2 NO not now")),
    ),
    "silence on an implicit port": (Status.INCONCLUSIVE, lambda: record_of("https", offered(Version.TLS1_2, SILENCE))),
    "plaintext on an implicit port": (Status.MISMATCH, lambda: record_of("https", offered(Version.TLS1_2, TEXT))),
    "another protocol": (
        Status.MISMATCH,
        of_one("smtp", StartTls(Verdict.PROTOCOL_MISMATCH, Stage.GREETING, hint="ssh")),
    ),
    "unreachable": (Status.UNREACHABLE, unreachable),
    "implicit, unreachable": (
        Status.UNREACHABLE,
        lambda: record_of("https", failed(Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "timeout"))),
    ),
    "no descriptors": (
        Status.ERROR,
        lambda: record_of("smtp", failed(Outcome(Verdict.LOCAL_LIMITATION, Stage.CONNECT, "no_descriptors"))),
    ),
    "internal error": (Status.ERROR, lambda: record_of("smtp", error="ValueError: a bug of ours")),
    "internal error, later": (
        Status.ERROR,
        lambda: record_of("https", offered(Version.TLS1_2, TLS1_2), error="ValueError: a bug of ours"),
    ),
}


def test_the_schema_is_a_schema() -> None:
    """It is valid by the metaschema of its draft."""
    meta.validate(SCHEMA)


def test_the_command_prints_the_schema() -> None:
    """`tlsweep schema` prints the file as it is."""
    printed = CliRunner().invoke(app, ["schema"])
    assert (printed.exit_code, printed.stdout) == (0, files("scanner").joinpath("schema.json").read_text("utf-8"))


def test_every_field_is_described() -> None:
    """Each field of a record says what it is, by itself or by the definition that it refers to."""
    silent = [
        f"{kind}.{name}"
        for kind, definition in SCHEMA["$defs"].items()
        if "title" in definition
        for name, field in definition.get("properties", {}).items()
        if not (field.get("description") or referred(field).get("description"))
    ]
    assert not silent


def referred(field: Record) -> Record:
    """The definition that a field refers to."""
    definition: Record = SCHEMA["$defs"].get(field.get("$ref", "").rpartition("/")[2], {})
    return definition


@pytest.mark.parametrize(
    ("words", "definition"),
    [
        (Status, SCHEMA["$defs"]["status"]),
        (Verdict, SCHEMA["$defs"]["verdict"]),
        (Stage, SCHEMA["$defs"]["stage"]),
        (Flag, SCHEMA["$defs"]["flag"]),
        (Evidence, SCHEMA["$defs"]["evidence"]),
        (Version, SCHEMA["$defs"]["version"]),
        (Reason, SCHEMA["$defs"]["reason"]),
        (Known, SCHEMA["$defs"]["version_entry"]["properties"]["verdict"]),
        (InjectionResult, SCHEMA["$defs"]["injection"]["properties"]["result"]),
        (Mode, SCHEMA["$defs"]["endpoint"]["properties"]["mode"]),
        (DnsStatus, SCHEMA["$defs"]["dns_status"]),
        (Dnssec, SCHEMA["$defs"]["dnssec"]),
        (DomainStatus, SCHEMA["$defs"]["domain_status"]),
        (Oddity, SCHEMA["$defs"]["domain_finding"]["properties"]["id"]),
        (Result, SCHEMA["$defs"]["results"]["items"]),
        (RecordError, SCHEMA["$defs"]["policy_error"]),
        (PolicyError, SCHEMA["$defs"]["policy_error"]),
    ],
)
def test_every_word_of_the_code_is_in_the_schema(words: type[StrEnum], definition: Record) -> None:
    """No enum of the code has a word that the contract lacks."""
    assert {word.value for word in words} <= set(definition["enum"])


def test_the_words_for_domains() -> None:
    """Those of the DNS stand for a domain without MX records, all but `ok`; findings are those of the table."""
    words = {word.value for word in (*DomainStatus, *DnsStatus)} - {"ok"}
    assert set(SCHEMA["$defs"]["domain_status"]["enum"]) == words
    assert SCHEMA["$defs"]["domain_finding"]["properties"]["id"]["enum"] == [*DOMAIN_FINDINGS]


@pytest.mark.parametrize("words", [Status, Verdict, Flag, Evidence, Shape])
def test_every_word_of_the_code_is_in_the_documentation(words: type[StrEnum]) -> None:
    """What a reader of a record meets, docs/records.md explains; the plain shape is never written."""
    assert [word for word in words if word is not Shape.PLAIN and f"`{word}`" not in RECORDS_PAGE] == []


def test_every_shape_is_in_the_schema() -> None:
    """But for the plain one."""
    entry = SCHEMA["$defs"]["version_entry"]["properties"]["hello"]["enum"]
    assert set(entry) == {shape.value for shape in Shape} - {Shape.PLAIN}


@pytest.mark.parametrize("name", RECORDS)
def test_what_is_recorded_keeps_to_the_schema(name: str) -> None:
    """Each way in which an interview can end gives a valid record with the status that belongs to it."""
    status, make = RECORDS[name]
    record = make()
    validate(record)
    assert record["status"] == status


def documented() -> list[Record]:
    """Every record in docs/records.md: the JSON values of its blocks, with line breaks added."""
    decoder, records = json.JSONDecoder(), list[Record]()
    for block in re.findall(r"^```json\n(.*?)^```$", RECORDS_PAGE, re.DOTALL | re.MULTILINE):
        rest = block.strip()
        while rest:
            record, end = decoder.raw_decode(rest)
            records.append(record)
            rest = rest[end:].lstrip()
    return records


def test_the_documentation_keeps_to_the_schema() -> None:
    """What docs/records.md shows is what a reader of the output gets, and it shows each kind."""
    records = documented()
    assert {(record["type"], record.get("event")) for record in records} == {
        ("endpoint", None),
        ("domain", None),
        ("rejected", None),
        ("certificate", None),
        ("run", "start"),
        ("run", "end"),
        ("plan", None),
    }
    for record in records:
        validate(record)


@pytest.mark.parametrize(
    "rejection",
    [
        Rejection(Origin("exa mple.org", 3), Reason.INVALID, "not a host name"),
        Rejection(Origin("10.0.0.1", 4), Reason.BLOCKED, "10.0.0.0/8 is private", "10.0.0.1"),
        Rejection(Origin("2001:db8::/112"), Reason.DUPLICATE, "256 endpoints of it are already in this run", count=256),
        Rejection(Origin("nobody.example", 5, {"tier": "gold"}), Reason.NXDOMAIN, "the name does not exist in the DNS"),
    ],
    ids=lambda rejection: rejection.reason.value,
)
def test_rejections_keep_to_the_schema(rejection: Rejection) -> None:
    """A line, an address, a part of a network and a name are rejected with valid records."""
    validate(as_written(Recorder(RUN_ID).rejected(rejection)))


async def run_of(directory: Path, *targets: str) -> list[Record]:
    """All records of a real run."""
    output = directory / "out.jsonl"
    with output.open("wb") as file:
        config = Config(
            targets=targets,
            allow=(ip_network("127.0.0.0/8"),),
            services=(SERVICES["smtp"],),
            limits=Limits(per_address_rate=0, per_network_rate=0),
            progress=False,
        )
        await Run(config, file.fileno()).scan()
    return [json.loads(line) for line in output.read_text().splitlines()]


async def test_a_run_keeps_to_the_schema(tmp_path: Path) -> None:
    """From its first line to its last, with one of each kind between them, a run is valid."""
    records = await run_of(tmp_path, "127.0.0.1:1", "10.0.0.1", "exa mple.org")
    assert sorted(record["type"] for record in records) == ["endpoint", "rejected", "rejected", "run", "run"]
    for record in records:
        validate(record)


def altered(record: Record, path: tuple[str | int, ...], value: object) -> Record:
    """A copy of the record with one field replaced, added or taken out."""
    changed: Any = deepcopy(record)
    part = changed
    for step in path[:-1]:
        part = part[step]
    if value is MISSING:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    return dict(changed)


MUTATIONS: list[tuple[str, tuple[str | int, ...], object]] = [
    # words that are not in the vocabulary
    ("starttls", ("type",), "domain"),
    ("starttls", ("status",), "ok"),
    ("starttls", ("mode",), "STARTTLS"),
    ("starttls", ("starttls", "verdict"), "handshake_failed"),
    ("starttls", ("starttls", "stage"), "ehlo"),
    ("starttls", ("versions", "TLSv1.2", "evidence"), "hello"),
    ("starttls", ("versions", "TLSv1.2", "flags"), ["odd"]),
    ("starttls", ("tls", "version"), "TLS 1.3"),
    ("starttls", ("tls", "client_certificate"), "optional"),
    ("starttls", ("certificate", "results"), ["certificate-revoked"]),
    ("starttls", ("certificate", "results"), None),
    ("untrusted", ("certificate", "trust_error"), "because"),
    ("starttls", ("flags",), ["odd"]),
    ("starttls", ("findings",), [{"id": "odd", "severity": "low", "reference": None}]),
    ("starttls", ("clients",), dict.fromkeys(("none", "starttls_if_available", "starttls", "ssl_tls"), "safe")),
    # missing and additional fields
    ("starttls", ("run_id",), MISSING),
    ("starttls", ("sni",), MISSING),
    ("starttls", ("clients",), MISSING),
    ("starttls", ("starttls", "required"), MISSING),
    ("starttls", ("tls", "alpn"), MISSING),
    ("starttls", ("certificate", "parse_error"), MISSING),
    ("starttls", ("looks", 0, "code"), MISSING),
    ("starttls", ("versions", "TLSv1.2", "evidence"), MISSING),
    ("starttls", ("more",), 1),
    ("starttls", ("tls", "more"), 1),
    ("starttls", ("starttls", "before", "more"), 1),
    ("starttls", ("timings_ms", "more"), 1),
    ("starttls", ("versions", "TLSv1.4"), {"verdict": "no", "evidence": "alert", "alert": "protocol_version"}),
    # forms
    ("starttls", ("schema",), 2),
    ("starttls", ("run_id",), "01J"),
    ("starttls", ("id",), "mx.example.org:25"),
    ("starttls", ("host",), "MX.example.org"),
    ("starttls", ("address",), "192.0.2.256"),
    ("starttls", ("port",), 0),
    ("starttls", ("line",), 0),
    ("starttls", ("started",), "2026-11-23T20:00:00Z"),
    ("starttls", ("versions", "TLSv1.2", "cipher_id"), "0xC02F"),
    ("starttls", ("versions", "TLSv1.3", "group_id"), "0x17"),
    ("implicit", ("versions", "SSLv2", "cipher_id"), "0x0080"),
    ("implicit", ("versions", "SSLv2", "ciphers"), []),
    ("implicit", ("versions", "SSLv2", "ciphers"), [{"cipher": None, "cipher_id": "0x0080"}]),
    ("implicit", ("versions", "TLSv1.2", "ciphers"), [{"cipher": None, "cipher_id": "0x010080"}]),
    ("implicit", ("versions", "TLSv1.2", "cipher_id"), "0x010080"),
    ("starttls", ("certificate", "sha256"), "00"),
    ("starttls", ("certificate", "not_after"), "2026-11-23"),
    ("starttls", ("certificate", "serial"), "7f" * 513),
    ("starttls", ("certificate", "dns_names"), ["a.example"] * 1_001),
    ("starttls", ("certificate", "ip_names"), ["192.0.2.1"] * 1_001),
    ("starttls", ("starttls", "text"), "220 \x1b[31mready"),
    ("starttls with --der", ("certificate", "der"), "not base64!"),
    # null where something is due, and the other way round
    ("starttls", ("starttls",), None),
    ("starttls", ("starttls", "verdict"), None),
    ("starttls", ("certificate",), None),
    ("starttls", ("tls", "chain"), None),
    ("starttls", ("tls", "chain"), []),
    ("starttls", ("tls", "certificate_from"), None),
    ("starttls", ("certificate", "subject"), None),
    ("starttls", ("clients",), None),
    ("starttls", ("clients", "none"), None),
    ("implicit", ("clients",), dict.fromkeys(("none", "starttls_if_available", "starttls", "ssl_tls"), "unknown")),
    ("starttls", ("looks",), []),
    ("untrusted", ("certificate", "trust_error"), None),
    ("starttls", ("certificate", "trust_error"), "self_signed"),
    # booleans and results that do not say the same
    ("untrusted", ("certificate", "trusted"), True),
    ("untrusted", ("certificate", "results"), []),
    ("starttls", ("certificate", "name_matches"), False),
    ("starttls", ("certificate", "time_valid"), False),
    ("starttls", ("certificate", "results"), ["certificate-host-mismatch"]),
    ("starttls", ("certificate", "results"), ["certificate-expired"]),
    ("starttls", ("certificate", "results"), ["certificate-not-trusted"]),
    ("implicit, unreachable", ("tls",), None),
    ("421", ("status",), None),
    ("421", ("tls",), {}),
    ("unreachable", ("versions",), {}),
    ("unreachable", ("starttls", "cause"), None),
    ("unreachable", ("starttls", "cause"), "dns"),
    ("unreachable", ("starttls", "stage"), "greeting"),
    ("implicit, unreachable", ("tls", "error", "cause"), None),
    ("implicit, unreachable", ("tls", "error"), None),
    ("another protocol", ("starttls", "hint"), None),
    ("accepted, twice no TLS", ("starttls", "cause"), None),
    ("accepted, twice no TLS", ("starttls", "cause"), "eof"),
    ("implicit, capabilities inside", ("starttls", "verdict"), "ok"),
    # a verdict without its evidence
    ("421", ("clients", "starttls"), "secure"),
    # an injection test without what it rests on
    ("starttls", ("injection",), MISSING),
    ("vulnerable", ("injection", "result"), "yes"),
    ("vulnerable", ("injection", "result"), "unknown"),
    ("vulnerable", ("injection", "verdict"), "closed"),
    ("vulnerable", ("injection", "stage"), "tls"),
    ("vulnerable", ("injection", "text"), None),
    ("vulnerable", ("injection", "alert"), "decode_error"),
    ("vulnerable", ("injection", "early_bytes"), MISSING),
    ("answered before TLS", ("injection", "code"), None),
    ("injection refused", ("injection", "result"), "no"),
    ("injection refused", ("injection", "verdict"), "ok"),
    ("injection refused", ("injection", "more"), 1),
    ("injection, no handshake", ("injection", "alert"), "Decode Error"),
    ("stopped early", ("clients", "starttls"), "secure_untrusted"),
    ("starttls", ("versions", "TLSv1.2", "evidence"), "timeout"),
    ("starttls", ("versions", "TLSv1.2", "evidence"), "sslv2_server_hello"),
    ("starttls", ("versions", "TLSv1.2", "hello"), "small"),  # without the flag `retry_used`
    ("starttls", ("versions", "TLSv1.2", "hello"), "plain"),
    ("starttls", ("versions", "TLSv1.2", "cipher_id"), MISSING),
    ("starttls", ("versions", "TLSv1.1", "alert"), MISSING),
    ("starttls", ("versions", "TLSv1.1", "evidence"), "closed"),
    ("starttls", ("versions", "SSLv3", "verdict"), "yes"),
    ("implicit", ("versions", "TLSv1.1", "answered"), MISSING),
    ("implicit", ("versions", "TLSv1.2", "answered"), "TLSv1.1"),
    ("stopped early", ("versions", "TLSv1.3", "verdict"), "no"),
    ("every hello refused", ("versions", "TLSv1.0"), {"verdict": "no", "evidence": "timeout"}),
    ("every hello refused", ("tls", "error", "alert"), None),
    # a status that the facts do not bear out
    ("starttls", ("status",), "no_tls"),
    ("starttls", ("status",), "inconclusive"),
    ("starttls", ("status",), "error"),
    ("every hello refused", ("status",), "tls"),
    ("421", ("status",), "unreachable"),
    ("421", ("status",), "mismatch"),
    ("421", ("status",), "tls_failed"),
    ("not offered", ("status",), "inconclusive"),
    ("plaintext on an implicit port", ("status",), "no_tls"),
    ("unreachable", ("status",), "inconclusive"),
    ("no descriptors", ("status",), "inconclusive"),
    ("internal error", ("detail",), MISSING),
    ("starttls", ("detail",), "ValueError: a bug of ours"),
]


@pytest.mark.parametrize(("name", "path", "value"), MUTATIONS)
def test_what_breaks_the_contract_is_not_valid(name: str, path: tuple[str | int, ...], value: object) -> None:
    """One field that is wrong, missing or too many makes a valid record invalid."""
    record = RECORDS[name][1]()
    with pytest.raises(InvalidRecordError):
        validate(altered(record, path, value))


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("start", ("event",), "middle"),
        ("start", ("settings", "more"), 1),
        ("start", ("settings", "versions"), ["TLSv1.4"]),
        ("start", ("settings", "trust"), None),
        ("start", ("trust_store",), MISSING),
        ("start", ("trust_store",), {"sources": [], "certificates": 0}),
        ("start", ("hello_name",), MISSING),
        ("start", ("complete",), True),
        ("end", ("complete",), None),
        ("end", ("rejected", "odd"), 1),
        ("end", ("endpoints", "status", "odd"), 1),
        ("end", ("lines", "read"), -1),
        ("rejected", ("reason",), "odd"),
        ("rejected", ("detail",), MISSING),
        ("rejected", ("input",), "a\nb"),
        ("rejected", ("count",), 0),
    ],
)
async def test_other_records_that_break_the_contract(
    kind: str, path: tuple[str | int, ...], value: object, tmp_path: Path
) -> None:
    """The same for the records of the run and of what was left out."""
    start, rejected, end = await run_of(tmp_path, "10.0.0.1")
    record = {"start": start, "rejected": rejected, "end": end}[kind]
    with pytest.raises(InvalidRecordError):
        validate(altered(record, path, value))


LATER: list[tuple[tuple[str | int, ...], object]] = [
    (("findings",), [{"id": "auth-before-tls", "severity": "medium", "reference": "RFC 8314"}]),
    (("tls", "client_certificate"), "requested"),
    (("tls", "certificate_from"), "message"),
    (("versions", "TLSv1.2", "flags"), ["retry_used"]),
    (("flags",), ["whitespace_after_proceed", "sni_required", "deferred_dropped"]),
]


@pytest.mark.parametrize(("path", "value"), LATER)
def test_words_that_are_reserved_are_valid(path: tuple[str | int, ...], value: object) -> None:
    """What the contract names and nobody writes yet needs no new schema."""
    validate(altered(starttls_ok(), path, value))


def test_the_maker_of_a_wrong_record_is_told() -> None:
    """A record that breaks the contract fails the test that has it made, and not only one that looks at it."""
    with pytest.raises(InvalidRecordError, match=r"no record is called 'run_middle'"):
        Recorder(RUN_ID).run("middle", NOW, {})
