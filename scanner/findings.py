"""Facts → findings: what is wrong with an endpoint, or worth knowing, by one table.

Pure. Each finding has its severity, its reference, one sentence on what it means and one on what to do. A finding is
raised on what was seen, never on what is unknown. A finding that a later question is needed for has no row yet.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from scanner.conclusion import FIRM_REFUSALS, Conclusion, Status
from scanner.outcome import Flag, Verdict
from scanner.probes import PROBES
from scanner.probes.ciphers import without_forward_secrecy
from scanner.starttls.injection import InjectionResult
from scanner.starttls.result import Capabilities, Inside, StartTls, upper
from scanner.tls.certificate import Certificate
from scanner.tls.exchange import HelloAnswer
from scanner.tls.flight import ClientCertificate
from scanner.tls.handshake import Handshake
from scanner.tls.names import Version
from scanner.tls.strength import weaknesses
from scanner.trust import Verified
from scanner.versions import Known, VersionVerdict
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
            "STARTTLS was offered on one connection and not on another, for no reason of load.",
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
            "client-certificate-required",
            Severity.INFO,
            "RFC 8446 §4.3.2, RFC 5246 §7.4.4",
            "No session without a certificate of the client's: what is inside was not seen.",
            "Nothing, if that is meant; else have the server ask for none.",
        ),
        Finding(
            "large-hello-intolerant",
            Severity.MEDIUM,
            "RFC 8446 §5.1, tldr.fail",
            "A ClientHello longer than a packet is refused, and a short one is not: clients with post-quantum key"
            " exchange do not get in.",
            "Have the server, or what stands before it, read on until the whole record has come.",
        ),
        Finding(
            "grease-intolerant",
            Severity.LOW,
            "RFC 8701 §3",
            "Values that a server has to pass over make it refuse TLS 1.3: so will the next extension.",
            "Update the server, or what stands before it.",
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
            "ocsp-staple-missing",
            Severity.MEDIUM,
            "RFC 7633 §4.2.1, RFC 6066 §8",
            "The certificate promises a stapled OCSP response, and none came: clients that obey it do not go on.",
            "Switch OCSP stapling on. Some servers have none to send just after their start; look again later then.",
        ),
        Finding(
            "certificate-weak-key",
            Severity.MEDIUM,
            "RFC 9325 §4.5",
            "The key is too short for today.",
            "Use an RSA key of 2,048 bits or more, or an EC key of 256.",
        ),
        Finding(
            "insecure-renegotiation",
            Severity.HIGH,
            "RFC 5746 §1, CVE-2009-3555",
            "A handshake begun anew is not tied to the one before it: an attacker in the middle puts words of his own"
            " before the client's.",
            "Update the TLS library, or switch renegotiation off.",
        ),
        Finding(
            "client-renegotiation",
            Severity.LOW,
            "RFC 5746 §5, CVE-2011-1473",
            "Clients may begin a handshake anew, and so keep the server busy with them on a single connection.",
            "Switch off renegotiation that the client begins, or limit it.",
        ),
        Finding(
            "fallback-scsv-missing",
            Severity.LOW,
            "RFC 7507 §3",
            "A client that an attacker has made fall back to an older version is not refused.",
            "Switch off TLS 1.1 and older; where they have to stay, update the TLS library.",
        ),
        Finding(
            "weak-cipher",
            Severity.MEDIUM,
            "RFC 9325 §4.1, RFC 7465",
            "There are cipher suites with RC4, DES, 3DES, IDEA, RC2 or export keys, or without any encryption or"
            " authentication: who negotiates one of them can be listened to.",
            "Leave AES-GCM, ChaCha20-Poly1305 and the like with ECDHE, and switch off all others that nobody needs.",
        ),
        Finding(
            "weak-dh-group",
            Severity.MEDIUM,
            "RFC 9325 §4.5",
            "Keys are exchanged in a finite-field group below 2,048 bits, or on a curve below 224.",
            "Use X25519 or P-256; for DHE, a group of RFC 7919.",
        ),
        Finding(
            "no-forward-secrecy",
            Severity.MEDIUM,
            "RFC 9325 §4.1",
            "No version has a cipher suite with forward secrecy: who gets hold of the server's key some day can read"
            " what was recorded before.",
            "Switch on suites with ECDHE, or TLS 1.3.",
        ),
        Finding(
            "compression-enabled",
            Severity.MEDIUM,
            "RFC 9325 §3.3",
            "TLS compresses before it encrypts, so the length of a message tells of secrets in it (CRIME).",
            "Switch TLS compression off.",
        ),
    )
}

_PLACES = {name: place for place, name in enumerate(FINDINGS)}

_VERSION_FINDINGS = {
    Version.SSLV2: "sslv2-enabled",
    Version.SSLV3: "sslv3-enabled",
    Version.TLS1_0: "tls1.0-enabled",
    Version.TLS1_1: "tls1.1-enabled",
}
_MAY_HAVE_FORWARD_SECRECY = set(Version) - {Version.SSLV2}


def findings_of(
    service: Service,
    conclusion: Conclusion,
    inside: Inside | None,
    certificate: Certificate | None,
    verified: Verified | None,
    now: datetime,
    handshake: Handshake | None = None,
) -> list[Finding]:
    """The findings of an endpoint, each once, in the order of the table."""
    raised = {
        *_of_versions(conclusion),
        *_of_starttls(service, conclusion, inside),
        *_of_certificate(certificate, now),
        *_of_handshake(conclusion, certificate, handshake),
        *_of_verification(verified),
        *_of_ciphers(conclusion),
        *(found for name, result in conclusion.probes.items() for found in PROBES[name].findings(result)),
    }
    return [_weighed(FINDINGS[each], conclusion) for each in sorted(raised, key=_PLACES.__getitem__)]


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
    if conclusion.large_hello_intolerant:
        yield "large-hello-intolerant"
    if conclusion.grease_intolerant:
        yield "grease-intolerant"


def _of_ciphers(conclusion: Conclusion) -> Iterator[str]:
    """A weak suite that was chosen is there. That none has forward secrecy, only whole lists of all versions tell."""
    entries = conclusion.versions or {}
    hellos = (entry.hello for entry in _spoken_in_tls(entries) if entry.hello)
    if any(map(_is_weak, hellos)):
        yield "weak-cipher"
    decided = all(entry.verdict is not Known.UNKNOWN for entry in entries.values())
    lists = conclusion.probes.get("ciphers")
    if lists and lists["complete"] and decided and entries.keys() >= _MAY_HAVE_FORWARD_SECRECY:
        spoken = {version for version, entry in entries.items() if entry.verdict is Known.YES}
        if spoken == set(lists["versions"]) == set(without_forward_secrecy(lists)):
            yield "no-forward-secrecy"


def _spoken_in_tls(entries: Mapping[Version, VersionVerdict]) -> Iterator[VersionVerdict]:
    """All of SSLv2's are weak, which its own finding says."""
    for version, entry in entries.items():
        if entry.verdict is Known.YES and version is not Version.SSLV2:
            yield entry


def _is_weak(hello: HelloAnswer) -> bool:
    """A suite that was not offered, a broken server may name by chance."""
    return hello.cipher is not None and "unoffered_cipher" not in hello.flags and bool(weaknesses(hello.cipher))


def _of_starttls(service: Service, conclusion: Conclusion, inside: Inside | None) -> Iterator[str]:
    result, error = conclusion.starttls, conclusion.error
    mismatch = result.hint if result else error.hint if error else None
    if conclusion.status is Status.MISMATCH and mismatch:
        yield "wrong-mode-port"
    if inside and inside.capabilities and _NOT_INSIDE.get(service.protocol) in _words(inside.capabilities):
        yield "starttls-readvertised"
    if result is None:
        return
    if result.preauth:
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
    if result.before and not result.preauth:  # whoever is logged in can log in no more
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


def _of_handshake(
    conclusion: Conclusion, certificate: Certificate | None, handshake: Handshake | None
) -> Iterator[str]:
    error = conclusion.error
    if handshake and handshake.client_certificate is ClientCertificate.REQUIRED:
        yield "client-certificate-required"
    elif conclusion.status is Status.TLS and error and error.verdict is Verdict.HANDSHAKE_FAILED:
        yield "handshake-fails"
    if certificate and certificate.must_staple and handshake and handshake.staple == b"":
        yield "ocsp-staple-missing"


def _of_verification(verified: Verified | None) -> Iterator[str]:
    """Its time is told above: there `certificate-expires-soon` gives way to it."""
    if verified and verified.trusted is False:
        yield "certificate-not-trusted"
    if verified and verified.name_matches is False:
        yield "certificate-host-mismatch"


def _words(capabilities: Capabilities) -> set[str]:
    """The first word of each, in capitals."""
    return {upper(line.split(maxsplit=1)[0]) for line in capabilities.capabilities if line.strip()}
