"""Facts → findings: what is wrong with an endpoint, or worth knowing, by one table.

Pure. Each finding has its severity, its reference, one sentence on what it means and one on what to do. A finding is
raised on what was seen, never on what is unknown. A finding that a later question is needed for has no row yet.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from scanner.conclusion import FIRM_REFUSALS, Conclusion, Status
from scanner.outcome import Flag, Verdict
from scanner.starttls.injection import InjectionResult
from scanner.starttls.result import Capabilities, Inside, StartTls, upper
from scanner.tls.certificate import Certificate
from scanner.tls.names import Version
from scanner.trust import Verified
from scanner.versions import Known
from targets.services import Protocol, Service

EXPIRES_SOON = timedelta(days=14)
WEAK_KEY_BITS = {"RSA": 2048, "DSA": 2048, "EC": 224}  # RFC 9325 §4.5

# What must not be listed inside TLS, where the protocol says so: RFC 3207 §4.2, RFC 9051 §6.2.1, RFC 2595 §4, RFC 5804
# §2.2, RFC 4642 §2.1, RFC 6120 §5.4.3.3. A root DSE, or FTP's FEAT, tells what the server knows, in TLS too.
_NOT_INSIDE = {
    Protocol.SMTP: "STARTTLS",
    Protocol.LMTP: "STARTTLS",
    Protocol.IMAP: "STARTTLS",
    Protocol.POP3: "STLS",
    Protocol.SIEVE: "STARTTLS",
    Protocol.NNTP: "STARTTLS",
    Protocol.XMPP_CLIENT: "STARTTLS",
    Protocol.XMPP_SERVER: "STARTTLS",
}
_CLEARTEXT_MECHANISMS = {"PLAIN", "LOGIN"}
# Firewalls overwrite what they do not like: Cisco's "fixup" turns 250-STARTTLS into 250-XXXXXXXA.
_MASKED = re.compile(r"X{4,}[A-Z]?")


class Severity(StrEnum):
    """How bad it is."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the table."""

    id: str
    severity: Severity
    reference: str
    meaning: str
    remedy: str


FINDINGS: dict[str, Finding] = {
    row.id: row
    for row in (
        Finding(
            "sslv2-enabled",
            Severity.CRITICAL,
            "RFC 6176",
            "SSLv2 is broken, and lets others decrypt TLS sessions made with the same key (DROWN).",
            "Switch SSLv2 off, on every server that has this key.",
        ),
        Finding(
            "sslv3-enabled",
            Severity.HIGH,
            "RFC 7568",
            "SSLv3 is broken: an attacker in the middle reads what is sent (POODLE).",
            "Switch SSLv3 off.",
        ),
        Finding(
            "tls1.0-enabled",
            Severity.MEDIUM,
            "RFC 8996",
            "TLS 1.0 rests on weak digests and is deprecated.",
            "Switch TLS 1.0 off, once nobody needs it who matters to you.",
        ),
        Finding(
            "tls1.1-enabled",
            Severity.MEDIUM,
            "RFC 8996",
            "TLS 1.1 rests on weak digests and is deprecated.",
            "Switch TLS 1.1 off, once nobody needs it who matters to you.",
        ),
        Finding(
            "no-tls1.2-or-later",
            Severity.HIGH,
            "RFC 9325 §3.1.1",
            "Neither TLS 1.2 nor 1.3 is spoken: clients of today refuse the server, or weaken themselves for it.",
            "Switch TLS 1.2 and 1.3 on.",
        ),
        Finding(
            "starttls-not-offered",
            Severity.HIGH,
            "RFC 8314 §4.1",
            "There is no TLS on this port: what is said there, its protocol has to protect by itself, and most do not.",
            "Offer TLS (STARTTLS, or what the protocol calls it), or close the port in favour of the one with implicit"
            " TLS.",
        ),
        Finding(
            "starttls-refused",
            Severity.HIGH,
            "RFC 3207 §4",
            "The server refuses to begin TLS, to us at least: for good, so that programs that fall back to plaintext do"
            " so; or (medium) by a policy that may be about us, or an error of its own.",
            "Read what its log says of the refusal; most often the key or the certificate cannot be read.",
        ),
        Finding(
            "starttls-broken",
            Severity.HIGH,
            "RFC 3207 §4",
            "The server says yes to STARTTLS and then does not do it.",
            "Look for a proxy or a filter in front of it that takes part in the dialogue and not in TLS.",
        ),
        Finding(
            "starttls-stripping-suspected",
            Severity.HIGH,
            "RFC 7457 §2.1",
            "A keyword in the list is masked, as middleboxes do it that take STARTTLS away.",
            "Switch off the inspection of this protocol in the firewall before the server.",
        ),
        Finding(
            "starttls-readvertised",
            Severity.LOW,
            "RFC 3207 §4.2",
            "STARTTLS is offered again inside TLS, where it must not be.",
            "Update the server or its TLS proxy.",
        ),
        Finding(
            "inconsistent-starttls",
            Severity.MEDIUM,
            "RFC 7672 §9.2",
            "The go-ahead was given on one connection and not on another, for no reason of load.",
            "Look for several servers behind this address that are not configured alike.",
        ),
        Finding(
            "auth-before-tls",
            Severity.HIGH,
            "RFC 8314 §4.1, RFC 4954 §4",
            "Mechanisms that send the password as it is are offered before TLS, and programs use them.",
            "Offer PLAIN and LOGIN inside TLS only.",
        ),
        Finding(
            "login-not-disabled",
            Severity.HIGH,
            "RFC 2595 §3.2, RFC 8314 §4.1",
            "A login with a password in the clear is possible before TLS.",
            "Disable plaintext login before TLS (IMAP: LOGINDISABLED; POP3: no USER; NNTP: no AUTHINFO USER).",
        ),
        Finding(
            "preauth",
            Severity.MEDIUM,
            "RFC 9051 §7.1.4",
            "The connection begins logged in, so that TLS cannot begin at all; an attacker can forge just this.",
            "Greet with OK, and let clients log in after TLS.",
        ),
        Finding(
            "response-injection",
            Severity.HIGH,
            "RFC 7457 §2.2",
            "Bytes came between the go-ahead and TLS; programs that take them for encrypted ones can be lied to.",
            "Have the server, or what stands before it, send nothing behind its go-ahead.",
        ),
        Finding(
            "command-injection",
            Severity.HIGH,
            "RFC 7457 §2.2, CVE-2011-0411",
            "A command sent in plaintext behind STARTTLS is run inside TLS: attackers put theirs before the user's.",
            "Update the server, or the TLS proxy before it; it must forget at the upgrade what it had read ahead.",
        ),
        Finding(
            "wrong-mode-port",
            Severity.MEDIUM,
            "RFC 8314 §3",
            "The port is in the other mode, or speaks another protocol, than its number promises.",
            "Serve what the number stands for; programs are configured by it.",
        ),
        Finding(
            "handshake-fails",
            Severity.HIGH,
            "RFC 8446 §4.1.1",
            "A ServerHello comes, and yet no handshake can be completed.",
            "Read the server's log; look at its certificate, key and cipher suites.",
        ),
        Finding(
            "certificate-expired",
            Severity.HIGH,
            "RFC 5280 §4.1.2.5",
            "The certificate is not valid now.",
            "Renew it, and see why that did not happen by itself.",
        ),
        Finding(
            "certificate-not-trusted",
            Severity.MEDIUM,
            "RFC 5280 §6.1",
            "No path leads from the certificate to a root that is trusted: mail programs warn of it or refuse it, and"
            " mail servers do that are told to by MTA-STS.",
            "Get a certificate from an authority that your clients know, and send the intermediates with it.",
        ),
        Finding(
            "certificate-host-mismatch",
            Severity.MEDIUM,
            "RFC 9525 §6",
            "The certificate does not name the host: mail programs warn of it or refuse it, and mail servers do that"
            " are told to by MTA-STS.",
            "Get a certificate with every name that clients use in its subjectAltName.",
        ),
        Finding(
            "certificate-expires-soon",
            Severity.LOW,
            "RFC 5280 §4.1.2.5",
            "The certificate expires within 14 days.",
            "Renew it.",
        ),
        Finding(
            "certificate-weak-key",
            Severity.MEDIUM,
            "RFC 9325 §4.5",
            "The key is too short for today.",
            "Use an RSA key of 2,048 bits or more, or an EC key of 256.",
        ),
    )
}

_VERSION_FINDINGS = {
    Version.SSLV2: "sslv2-enabled",
    Version.SSLV3: "sslv3-enabled",
    Version.TLS1_0: "tls1.0-enabled",
    Version.TLS1_1: "tls1.1-enabled",
}


def findings_of(
    service: Service,
    conclusion: Conclusion,
    inside: Inside | None,
    certificate: Certificate | None,
    verified: Verified | None,
    now: datetime,
) -> list[Finding]:
    """The findings of an endpoint, each once, in the order of the table."""
    raised = {
        *_of_versions(conclusion),
        *_of_starttls(service, conclusion, inside),
        *_of_certificate(certificate, now),
        *_of_verification(verified),
    }
    return [_weighed(row, conclusion) for row in FINDINGS.values() if row.id in raised]


def _weighed(row: Finding, conclusion: Conclusion) -> Finding:
    """A refusal that may pass, or be about us alone, does not tell what other people's programs meet."""
    verdict = conclusion.starttls.verdict if conclusion.starttls else None
    if row.id == "starttls-refused" and verdict is not Verdict.REFUSED_PERMANENT:
        return replace(row, severity=Severity.MEDIUM)
    return row


def _of_versions(conclusion: Conclusion) -> Iterator[str]:
    verdicts = {version: entry.verdict for version, entry in (conclusion.versions or {}).items()}
    for version, finding in _VERSION_FINDINGS.items():
        if verdicts.get(version) is Known.YES:
            yield finding
    newer = (verdicts.get(Version.TLS1_2), verdicts.get(Version.TLS1_3))
    if conclusion.status is Status.TLS and newer == (Known.NO, Known.NO):
        yield "no-tls1.2-or-later"
    error = conclusion.error
    if conclusion.status is Status.TLS and error and error.verdict is Verdict.HANDSHAKE_FAILED:
        yield "handshake-fails"


def _of_starttls(service: Service, conclusion: Conclusion, inside: Inside | None) -> Iterator[str]:
    result, error = conclusion.starttls, conclusion.error
    mismatch = result.hint if result else error.hint if error else None
    if conclusion.status is Status.MISMATCH and mismatch:
        yield "wrong-mode-port"
    if inside and inside.capabilities and _NOT_INSIDE.get(service.protocol) in _words(inside.capabilities):
        yield "starttls-readvertised"
    if result is None:
        return
    if result.code == "PREAUTH":
        yield "preauth"
    elif result.verdict is Verdict.NOT_OFFERED:
        yield "starttls-not-offered"
    if result.verdict in FIRM_REFUSALS - {Verdict.NOT_OFFERED}:
        yield "starttls-refused"
    if conclusion.inconsistent:
        yield "inconsistent-starttls"
    if result.verdict is Verdict.ACCEPTED_NO_TLS and conclusion.status is Status.NO_TLS:
        yield "starttls-broken"
    if conclusion.early and Flag.WHITESPACE_AFTER_PROCEED not in conclusion.flags:
        yield "response-injection"
    if conclusion.injection and conclusion.injection.result is InjectionResult.VULNERABLE:
        yield "command-injection"
    if result.before and result.code != "PREAUTH":  # whoever is logged in can log in no more
        yield from _of_capabilities(service.protocol, result, result.before)


def _of_capabilities(protocol: Protocol, result: StartTls, before: Capabilities) -> Iterator[str]:
    if result.advertised is False and any(map(_MASKED.fullmatch, _words(before))):
        yield "starttls-stripping-suspected"
    if _CLEARTEXT_MECHANISMS & set(before.auth):
        yield "auth-before-tls"
    if _takes_a_password(protocol, before):
        yield "login-not-disabled"


def _takes_a_password(protocol: Protocol, before: Capabilities) -> bool:
    """Is a login that is no SASL offered? FTP and LDAP have one, and do not tell; nobody tries."""
    match protocol:
        case Protocol.IMAP:
            return before.login_disabled is False
        case Protocol.POP3:
            return "USER" in _words(before)
        case Protocol.NNTP:
            return "USER" in before.auth  # AUTHINFO USER (RFC 4643 §2.3)
        case _:
            return False


def _of_certificate(certificate: Certificate | None, now: datetime) -> Iterator[str]:
    if certificate is None:
        return
    if certificate.valid_at(now) is False:
        yield "certificate-expired"
    elif certificate.valid_at(now + EXPIRES_SOON) is False:
        yield "certificate-expires-soon"
    key = certificate.key
    if key and key.bits and key.bits < WEAK_KEY_BITS.get(key.type, 0):
        yield "certificate-weak-key"


def _of_verification(verified: Verified | None) -> Iterator[str]:
    """Its time is told above: there `certificate-expires-soon` gives way to it."""
    if verified and verified.trusted is False:
        yield "certificate-not-trusted"
    if verified and verified.name_matches is False:
        yield "certificate-host-mismatch"


def _words(capabilities: Capabilities) -> set[str]:
    """The first word of each, in capitals."""
    return {upper(line.split(maxsplit=1)[0]) for line in capabilities.capabilities if line.strip()}
