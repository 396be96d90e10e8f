"""Facts → findings: each row of the table is raised by what was seen, and by nothing less."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from scanner.conclusion import conclude
from scanner.findings import FINDINGS, Severity, findings_of
from scanner.interview import Interview
from scanner.looks import Look
from scanner.outcome import Flag, Outcome, Stage, Verdict
from scanner.question import Answer, InjectCommand
from scanner.starttls.injection import Injection, InjectionResult
from scanner.starttls.ldap import START_TLS_OID
from scanner.starttls.result import Capabilities, Inside, StartTls
from scanner.tls.certificate import Certificate, Key
from scanner.tls.exchange import HelloAnswer
from scanner.tls.flight import ClientCertificate
from scanner.tls.handshake import Handshake
from scanner.tls.names import Version
from scanner.trust import Verified
from targets.services import SERVICES, Mode
from tests.conftest import SCHEMA
from tests.scanner.answers import (
    ALERTED,
    CLOSED,
    GO_AHEAD,
    OURS,
    PLAINTEXT,
    SHAKEN,
    SSLV2,
    alert,
    answer,
    asked,
    interview,
    silent,
    turned_away,
    yes,
)
from tests.scanner.transcript import FOLDER, read

LDAP_START_TLS = START_TLS_OID.decode()
NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
SSL2, SSL3, TLS10, TLS11, TLS12, TLS13 = Version
SHAKE = None
Came = HelloAnswer | Handshake | StartTls | Outcome


def listing(*words: str, auth: tuple[str, ...] = (), login_disabled: bool | None = None) -> Capabilities:
    return Capabilities(words, auth, login_disabled)


def offering(before: Capabilities) -> StartTls:
    return replace(GO_AHEAD, before=before)


def found(
    held: Interview,
    inside: Inside | None = None,
    certificate: Certificate | None = None,
    now: datetime = NOW,
    verified: Verified | None = None,
) -> set[str]:
    service, conclusion = held.endpoint.service, conclude(held)
    return {each.id for each in findings_of(service, conclusion, inside, certificate, verified, now)}


def held(
    service: str,
    answers: dict[Version | None, Came],
    starttls: StartTls | None = None,
    before: Verdict | None = None,
) -> Interview:
    """An interview with these answers; behind this dialogue, and after a look that came to `before`, where given."""
    made = interview(service)
    if before:
        made.looks.append(Look(0.0, before, Stage.TLS))
    upgraded = SERVICES[service].mode is Mode.STARTTLS
    for question, came in answers.items():
        one = answer(asked(question), came, upgraded=upgraded)
        if starttls and one.starttls:
            one.starttls = starttls
        made.answers.append(one)
    return made


GOOD: dict[Version | None, Came] = {
    TLS12: yes(TLS12),
    TLS13: yes(TLS13),
    TLS11: alert(70),
    TLS10: alert(70),
    SHAKE: SHAKEN,
}

CASES: dict[str, tuple[Interview, set[str]]] = {
    "nothing wrong": (held("https", GOOD), set()),
    "SSLv2": (held("https", {**GOOD, SSL2: SSLV2}), {"sslv2-enabled"}),
    "SSLv3": (held("https", {**GOOD, SSL3: yes(SSL3)}), {"sslv3-enabled"}),
    "old versions": (
        held("https", {**GOOD, TLS10: yes(TLS10), TLS11: yes(TLS11)}),
        {"tls1.0-enabled", "tls1.1-enabled"},
    ),
    "nothing newer": (
        held("https", {TLS12: alert(70), TLS13: alert(70), TLS10: yes(TLS10), SHAKE: replace(SHAKEN, version=TLS10)}),
        {"tls1.0-enabled", "no-tls1.2-or-later"},
    ),
    "newer ones unknown": (
        held("https", {TLS12: alert(40), TLS13: alert(70), TLS10: yes(TLS10), SHAKE: replace(SHAKEN, version=TLS10)}),
        {"tls1.0-enabled"},
    ),
    "a handshake that fails": (held("https", {**GOOD, SHAKE: ALERTED}), {"handshake-fails"}),
    "a handshake that is beyond us": (held("https", {**GOOD, SHAKE: OURS}), set()),
    "not offered": (held("smtp", {TLS12: turned_away(Verdict.NOT_OFFERED)}), {"starttls-not-offered"}),
    "refused for good": (held("smtp", {TLS12: turned_away(Verdict.REFUSED_PERMANENT)}), {"starttls-refused"}),
    "refused by policy": (held("smtp", {TLS12: turned_away(Verdict.REFUSED_POLICY)}), {"starttls-refused"}),
    "refused by an error": (held("imap", {TLS12: turned_away(Verdict.REFUSED_SERVER_ERROR)}), {"starttls-refused"}),
    "refused for now": (held("smtp", {TLS12: turned_away(Verdict.REFUSED_TEMPORARY)}), set()),
    "too busy": (held("smtp", {TLS12: turned_away(Verdict.RATE_LIMITED)}), set()),
    "promised and not done": (
        held("smtp", {TLS12: CLOSED, SHAKE: silent("eof", Verdict.CLOSED)}, before=Verdict.ACCEPTED_NO_TLS),
        {"starttls-broken"},
    ),
    "promised and not done, once": (held("smtp", {TLS12: CLOSED}), set()),
    "inconsistent": (
        held("smtp", {**GOOD, SSL3: turned_away(Verdict.NOT_OFFERED)}),
        {"inconsistent-starttls"},
    ),
    "busy later": (held("smtp", {**GOOD, SSL3: turned_away(Verdict.RATE_LIMITED)}), set()),
    "a masked keyword": (
        held("smtp", {TLS12: turned_away(Verdict.NOT_OFFERED, advertised=False, before=listing("SIZE", "XXXXXXXA"))}),
        {"starttls-not-offered", "starttls-stripping-suspected"},
    ),
    "a keyword of X beside STARTTLS": (held("smtp", GOOD, offering(listing("STARTTLS", "XXXX"))), set()),
    "cleartext mechanisms": (
        held("smtp", GOOD, offering(listing("STARTTLS", "AUTH PLAIN", auth=("PLAIN",)))),
        {"auth-before-tls"},
    ),
    "challenges before TLS": (
        held("smtp", GOOD, offering(listing("STARTTLS", "AUTH CRAM-MD5", auth=("CRAM-MD5",)))),
        set(),
    ),
    "login possible": (held("imap", GOOD, offering(listing("STARTTLS", login_disabled=False))), {"login-not-disabled"}),
    "login disabled": (held("imap", GOOD, offering(listing("STARTTLS", login_disabled=True))), set()),
    "USER before TLS": (held("pop3", GOOD, offering(listing("STLS", "USER"))), {"login-not-disabled"}),
    "logged in already": (
        held("imap", {TLS12: turned_away(Verdict.NOT_OFFERED, Stage.GREETING, code="PREAUTH", preauth=True)}),
        {"preauth"},
    ),
    "logged in already, with a list": (
        held(
            "imap",
            {
                TLS12: turned_away(
                    Verdict.NOT_OFFERED,
                    Stage.GREETING,
                    code="PREAUTH",
                    preauth=True,
                    before=listing("AUTH=PLAIN", auth=("PLAIN",), login_disabled=False),
                )
            },
        ),
        {"preauth"},
    ),
    "LDAP, a password by SASL": (
        held("ldap", GOOD, offering(listing(LDAP_START_TLS, auth=("GSSAPI", "PLAIN")))),
        {"auth-before-tls"},
    ),
    "LDAP, a simple bind": (held("ldap", GOOD, offering(listing(LDAP_START_TLS))), set()),
    "a word that is USER elsewhere": (held("smtp", GOOD, offering(listing("STARTTLS", "USER"))), set()),
    "plaintext where TLS is due": (held("submissions", {TLS12: PLAINTEXT}), {"wrong-mode-port"}),
    "another protocol": (
        held("smtp", {TLS12: turned_away(Verdict.PROTOCOL_MISMATCH, Stage.GREETING, hint="ssh")}),
        {"wrong-mode-port"},
    ),
    "garbage": (held("smtp", {TLS12: turned_away(Verdict.VIOLATION, Stage.GREETING)}), set()),
}


@pytest.mark.parametrize(("held", "expected"), CASES.values(), ids=CASES)
def test_findings(held: Interview, expected: set[str]) -> None:
    """What was seen raises its findings, and what is unknown raises none."""
    assert found(held) == expected


@pytest.mark.parametrize(
    ("verdict", "severity"),
    [
        (Verdict.REFUSED_PERMANENT, Severity.HIGH),
        (Verdict.REFUSED_POLICY, Severity.MEDIUM),
        (Verdict.REFUSED_SERVER_ERROR, Severity.MEDIUM),
    ],
)
def test_how_bad_a_refusal_is(verdict: Verdict, severity: Severity) -> None:
    """It is worse for good than where it may pass, or be about us: there `clients` is unknown."""
    conclusion = conclude(held("smtp", {TLS12: turned_away(verdict)}))
    (finding,) = findings_of(SERVICES["smtp"], conclusion, None, None, None, NOW)
    assert (finding.id, finding.severity) == ("starttls-refused", severity)


def test_injected_bytes() -> None:
    """Bytes between the go-ahead and TLS."""
    one = held("smtp", GOOD)
    one.answers[0].early = b"250 injected\r\n"
    assert found(one) == {"response-injection"}


@pytest.mark.parametrize("result", InjectionResult)
def test_injected_commands(result: InjectionResult) -> None:
    """A command that was run inside TLS; what its connection met besides raises nothing."""
    one = held("smtp", GOOD)
    one.answers[-1].inside = Inside(Capabilities(("AUTH PLAIN",), ("PLAIN",), None))
    answer = Answer(InjectCommand(), 0.0, starttls=GO_AHEAD, handshake=SHAKEN, early=b"250 ok\r\n")
    answer.injection = Injection(result)
    one.asides = [answer]
    assert found(one) == ({"command-injection"} if result is InjectionResult.VULNERABLE else set())
    one.asides = [Answer(InjectCommand(), 0.0, starttls=turned_away(Verdict.REFUSED_PERMANENT))]
    assert found(one) == set()


def test_whitespace_after_proceed() -> None:
    """A line feed behind XMPP's go-ahead is a flag; in any other protocol, or with text, it is an injection."""
    for service, early, expected in (
        ("xmpp-client", b"\n", set()),
        ("xmpp-server", b"\n<x/>", {"response-injection"}),
        ("smtp", b"\r\n", {"response-injection"}),
    ):
        one = held(service, GOOD)
        one.answers[0].early = early
        assert found(one) == expected
        assert (Flag.WHITESPACE_AFTER_PROCEED in conclude(one).flags) == (not expected)


def replayed(name: str) -> tuple[str, object]:
    """The service of a transcript, and what it comes to."""
    transcript = read(FOLDER / f"{name}.txt")
    result, _ = transcript.run(lambda said: [said])
    return transcript.dialogue.partition(" ")[0], result


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("smtp-auth-before-tls", {"auth-before-tls"}),
        ("smtp-inquiring-530", set()),
        ("lmtp-auth-before-tls", {"auth-before-tls"}),
        ("imap-literal", {"login-not-disabled"}),
        ("imap-rfc2595", set()),  # LOGINDISABLED
        ("imap-preauth", {"preauth"}),
        ("imap-preauth-behind-alert", {"preauth"}),
        ("imap-preauth-and-reset", {"preauth"}),
        ("imap-greeting-list-is-enough", set()),  # the list may be short
        ("imap-inquiring-login-allowed", {"login-not-disabled"}),
        ("imap-inquiring-login-disabled", set()),
        ("irc-preauth-command", {"starttls-not-offered"}),  # a word of IMAP's in another protocol
        ("xmpp-preauth-element", set()),
        ("pop3-apop-without-user", set()),
        ("pop3-tls-required", set()),
        ("pop3-not-offered", {"starttls-not-offered", "login-not-disabled"}),
        ("sieve-plain-before-tls", {"auth-before-tls"}),
        ("sieve-tls-required", set()),
        ("nntp-auth-before-tls", {"auth-before-tls", "login-not-disabled"}),
        ("nntp-sasl-before-tls", {"auth-before-tls"}),
        ("nntp-tls-required", set()),
        ("ftp-rfc4217", set()),  # nobody knows without USER
        ("ftp-vsftpd-without-tls", {"starttls-not-offered"}),
        ("xmpp-optional", {"auth-before-tls"}),
        ("xmpp-rfc6120", set()),
        ("irc-ircv3", {"auth-before-tls"}),
        ("ldap-openldap", set()),
        ("smtp-masked", {"starttls-not-offered", "starttls-stripping-suspected"}),
        ("imap-masked", {"starttls-not-offered", "starttls-stripping-suspected"}),
        ("pop3-masked", {"starttls-not-offered", "starttls-stripping-suspected", "login-not-disabled"}),
        ("sieve-masked", {"starttls-not-offered", "starttls-stripping-suspected"}),
        ("nntp-masked", {"starttls-not-offered", "starttls-stripping-suspected"}),
        ("ftp-masked", {"starttls-not-offered", "starttls-stripping-suspected"}),
        ("sieve-name-empty", {"starttls-not-offered"}),
        ("imap-no", {"starttls-refused"}),
        ("sieve-starttls-no", {"starttls-refused"}),
        ("nntp-starttls-502", {"starttls-refused"}),
        ("ftp-auth-534", {"starttls-refused"}),
        ("xmpp-rfc6120-failure", {"starttls-refused"}),
        ("ldap-unwilling-to-perform", {"starttls-refused"}),
        ("nntp-starttls-580", set()),
        ("ftp-auth-431", set()),
        ("ldap-busy", set()),
    ],
)
def test_of_dialogues(name: str, expected: set[str]) -> None:
    """What a whole dialogue of each protocol raises, where TLS is then as it should be."""
    service, result = replayed(name)
    assert isinstance(result, StartTls)
    answers: dict[Version | None, Came] = GOOD if result.go_ahead else {TLS12: result}
    assert found(held(service, answers, result)) == expected


@pytest.mark.parametrize(
    ("name", "implicit", "again"),
    [
        ("smtp-inside", "submissions", False),
        ("imap-inside", "imaps", False),
        ("imap-inside-again", "imaps", True),
        ("pop3-inside-again", "pop3s", True),
        ("sieve-inside", None, False),
        ("sieve-inside-again", None, True),
        ("nntp-inside-again", "nntps", True),
        ("xmpp-inside-again", "xmpps-client", True),
        ("xmpp-server-inside", "xmpps-server", False),
        ("ldap-inside", "ldaps", False),
        ("ftp-inside-vsftpd", "ftps", False),  # what FEAT lists is what there is, in TLS or not
    ],
)
def test_readvertised(name: str, implicit: str | None, again: bool) -> None:
    """STARTTLS in the list inside TLS, where the protocol forbids it, however TLS has begun."""
    service, result = replayed(name)
    assert isinstance(result, Inside)
    expected = {"starttls-readvertised"} if again else set()
    assert found(held(service, GOOD), result) == expected
    if implicit:
        assert found(held(implicit, GOOD), result) == expected


def test_an_oid_is_no_keyword() -> None:
    """A root DSE tells of StartTLS inside TLS too (slapd does), and nothing says that it must not."""
    assert found(held("ldap", GOOD), Inside(listing(LDAP_START_TLS))) == set()
    assert found(held("smtp", GOOD), Inside(None)) == set()


VALID = Certificate("00", not_before=datetime(2026, 1, 1, tzinfo=UTC), not_after=datetime(2027, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("certificate", "now", "expected"),
    [
        (VALID, NOW, set()),
        (VALID, datetime(2026, 12, 20, tzinfo=UTC), {"certificate-expires-soon"}),
        (VALID, datetime(2027, 1, 2, tzinfo=UTC), {"certificate-expired"}),
        (VALID, datetime(2025, 12, 31, tzinfo=UTC), {"certificate-expired"}),
        (Certificate("00", parse_error="broken"), NOW, set()),
        (replace(VALID, key=Key("RSA", 1024)), NOW, {"certificate-weak-key"}),
        (replace(VALID, key=Key("RSA", 2048)), NOW, set()),
        (replace(VALID, key=Key("EC", 192)), NOW, {"certificate-weak-key"}),
        (replace(VALID, key=Key("EC", 256)), NOW, set()),
        (replace(VALID, key=Key("Ed25519", 256)), NOW, set()),
    ],
)
def test_certificates(certificate: Certificate, now: datetime, expected: set[str]) -> None:
    """Its time and its key."""
    assert found(held("https", GOOD), certificate=certificate, now=now) == expected


@pytest.mark.parametrize(
    ("verified", "expected"),
    [
        (Verified(trusted=True, time_valid=True, name_matches=True), set()),
        (Verified(trusted=False, trust_error="self_signed", time_valid=True), {"certificate-not-trusted"}),
        (Verified(trusted=True, time_valid=True, name_matches=False), {"certificate-host-mismatch"}),
        (
            Verified(trusted=False, trust_error="root_unknown", time_valid=True, name_matches=False),
            {"certificate-not-trusted", "certificate-host-mismatch"},
        ),
        (Verified(trusted=None, time_valid=True, name_matches=None), set()),
        (Verified(results=("validation-failure",)), set()),
    ],
)
def test_verification(verified: Verified, expected: set[str]) -> None:
    """Trust and name, each by itself; what could not be verified raises nothing. On mail's port 25 too."""
    for service in ("https", "smtp"):
        assert found(held(service, GOOD), certificate=VALID, verified=verified) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (ClientCertificate.REQUIRED, {"client-certificate-required"}),
        (ClientCertificate.REQUESTED, {"handshake-fails"}),
        (None, {"handshake-fails"}),
    ],
)
def test_client_certificates(asked: ClientCertificate | None, expected: set[str]) -> None:
    """Where only the lack of one was in the way, the server's handshakes do not fail."""
    failed = replace(ALERTED, client_certificate=asked)
    conclusion = conclude(held("https", {TLS12: yes(TLS12), SHAKE: failed}))
    raised = {each.id for each in findings_of(SERVICES["https"], conclusion, None, None, None, NOW, failed)}
    assert raised & {"client-certificate-required", "handshake-fails"} == expected


@pytest.mark.parametrize(
    ("promised", "staple", "raised"),
    [(True, b"", True), (True, b"staple", False), (True, None, False), (False, b"", False), (None, b"", False)],
)
def test_a_staple_that_was_promised(promised: bool | None, staple: bytes | None, raised: bool) -> None:
    """Its lack is a finding where it was asked for, and the certificate promises it."""
    shaken = replace(SHAKEN, staple=staple)
    conclusion = conclude(held("https", {TLS12: yes(TLS12), SHAKE: shaken}))
    leaf = Certificate("00", must_staple=promised)
    ids = {each.id for each in findings_of(SERVICES["https"], conclusion, None, leaf, None, NOW, shaken)}
    assert ("ocsp-staple-missing" in ids) is raised


def test_the_table() -> None:
    """Every id is a word of the contract, and every row says what it means and what to do, in a sentence each."""
    assert set(FINDINGS) <= set(SCHEMA["$defs"]["finding"]["properties"]["id"]["enum"])
    for row in FINDINGS.values():
        assert row.reference.startswith("RFC ")
        assert row.meaning.endswith(".")
        assert row.remedy.endswith(".")


def test_every_row_is_raised() -> None:
    """No row stands in the table that nothing raises."""
    raised = set().union(*(expected for _, expected in CASES.values()))
    elsewhere = {"response-injection", "starttls-readvertised", "certificate-expired"}
    elsewhere |= {"certificate-expires-soon", "certificate-weak-key"}
    elsewhere |= {"certificate-not-trusted", "certificate-host-mismatch", "command-injection"}
    elsewhere |= {"client-certificate-required", "ocsp-staple-missing"}
    elsewhere |= {"large-hello-intolerant", "grease-intolerant"}  # test_ladder_on_peers.py
    elsewhere |= {"weak-cipher", "weak-dh-group", "no-forward-secrecy"}  # probes/
    elsewhere |= {"insecure-renegotiation", "client-renegotiation", "fallback-scsv-missing", "compression-enabled"}
    assert raised | elsewhere == set(FINDINGS)
