"""What is written: one dictionary a record. `docs/records.md` is the contract, `schema.json` its grammar.

Pure. A part that was not reached is None, and so is a fact that nobody saw.
"""

import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from scanner.certificate_parts import certificate_facts, in_base64, leaf_part, ocsp_part, scts_part
from scanner.chain import Chain, chain_of, client_certificate_of, timestamps_of
from scanner.clients import Clients, clients_of
from scanner.conclusion import Conclusion
from scanner.findings import Finding, findings_of
from scanner.interview import Interview
from scanner.looks import Look
from scanner.outcome import Outcome
from scanner.probes import PROBES
from scanner.question import Answer
from scanner.starttls.injection import Injection
from scanner.starttls.result import Capabilities, Inside
from scanner.tls.certificate import Certificate, read_certificate, sha256
from scanner.tls.exchange import HelloAnswer
from scanner.tls.flight import ClientCertificate
from scanner.tls.handshake import Handshake
from scanner.tls.hello import Shape
from scanner.tls.names import (
    Version,
    alert_name,
    cipher_id,
    cipher_name,
    group_id,
    group_name,
    sslv2_cipher_id,
    sslv2_cipher_name,
    version_of_code,
)
from scanner.trust import TrustStore, Verified, Verifier
from scanner.versions import VersionVerdict, negotiation
from scanner.wire_text import printable
from targets.target import Endpoint, Origin, Rejection

SCHEMA = 1
MAX_COUNT = 2**64 - 1  # the largest integer of the JSON library; an IPv6 network may have more addresses

Record = dict[str, Any]

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID_TIME = 10  # characters, of 26


def new_run_id(now: float) -> str:
    """A ULID: 48 bits of milliseconds and 80 of chance, so that runs sort by their time."""
    return _ulid(int(now * 1000) << 80 | secrets.randbits(80))


def joined_run_id(run_ids: Iterable[str]) -> str:
    """The ULID of several runs together: the same for the same ones, of the time of the first."""
    every = sorted(run_ids)
    named = int.from_bytes(blake2b("/".join(every).encode(), digest_size=10).digest(), "big")
    return every[0][:_ULID_TIME] + _ulid(named)[_ULID_TIME:]


def _ulid(number: int) -> str:
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds."""
    whole, milliseconds = divmod(round(seconds * 1_000_000) // 1000, 1000)
    return f"{_to_the_second(whole)}.{milliseconds:03}Z"


@lru_cache(maxsize=128)  # thousands of records are of the same seconds
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class Recorder:
    """Makes the records of one run."""

    def __init__(self, run_id: str, *, der: bool = False, trust: TrustStore | None = None) -> None:
        self.run_id = run_id
        self.der = der
        self.verifier = Verifier(trust)

    def run(self, event: str, now: float, facts: Mapping[str, Any]) -> Record:
        """The first or the last line of a run."""
        return {**self._head("run"), "event": event, "time": timestamp(now), **facts}

    def rejected(self, rejection: Rejection) -> Record:
        """What was left out, and why."""
        return {
            **self._head("rejected"),
            **_origin(rejection.origin),
            "address": rejection.address,
            "reason": rejection.reason,
            "detail": rejection.detail,
            "count": rejection.count if (rejection.count or 0) <= MAX_COUNT else None,
        }

    def domain(self, origin: Origin, part: Mapping[str, Any], findings: Iterable[Finding] | None) -> Record:
        """The one record of a mail domain; what is in it of domains alone, `domain_record.py` tells."""
        return {
            **self._head("domain"),
            **_origin(origin),
            **part,
            "findings": None if findings is None else [_finding(each) for each in findings],
        }

    def endpoint(self, interview: Interview, conclusion: Conclusion, ended: float) -> Record:
        """The one record of an endpoint."""
        answers = interview.answers
        looks = [*interview.looks, conclusion.look] if conclusion.look else interview.looks
        started = min((look.started for look in looks), default=ended)  # no answer is of none of them
        negotiated = negotiation(answers)
        handshake = negotiated.handshake if negotiated else None
        chain, moment = chain_of(interview), datetime.fromtimestamp(ended, UTC)
        leaf = read_certificate(chain.certificates[0]) if chain.certificates else None
        verified = self._verify(interview.endpoint, chain, leaf, moment) if leaf else None
        staple = handshake.staple if handshake else None
        inside = negotiated.inside if negotiated else None
        findings = findings_of(interview.endpoint.service, conclusion, inside, leaf, verified, moment, handshake)
        return {
            **self._head("endpoint"),
            **_identity(interview.endpoint),
            "status": conclusion.status,
            "starttls": _starttls(conclusion, negotiated),
            "versions": _versions(conclusion),
            "tls": self._tls(conclusion, negotiated, chain, client_certificate_of(interview)),
            "certificate": self._leaf(chain, leaf, verified) if leaf and verified else None,
            "ocsp": ocsp_part(staple, leaf, moment),
            "scts": scts_part(leaf, staple, timestamps_of(interview)),
            "findings": None if interview.error else [_finding(each) for each in findings],
            "clients": _clients(clients_of(interview.endpoint.service, conclusion, negotiated, verified)),
            "injection": _injection(conclusion.injection) if conclusion.injection else None,
            **{name: conclusion.probes.get(name) for name in PROBES},
            "flags": sorted(conclusion.flags),
            "looks": [_look(look) for look in looks],
            "connections": max(interview.connections, len(answers)),
            "started": timestamp(started),
            "duration_ms": max(0, round((ended - started) * 1000)),
            "timings_ms": (negotiated or answers[0]).timings_ms if answers else {},
            **({"detail": interview.error} if interview.error else {}),
        }

    def _head(self, kind: str) -> Record:
        return {"type": kind, "schema": SCHEMA, "run_id": self.run_id}

    def certificate(self, der: bytes, first_seen: Endpoint) -> Record:
        """The one record of a certificate."""
        return {
            **self._head("certificate"),
            **certificate_facts(read_certificate(der)),
            "der": in_base64(der),
            "first_seen": first_seen.id,
        }

    def _verify(self, endpoint: Endpoint, chain: Chain, leaf: Certificate, moment: datetime) -> Verified:
        return self.verifier.verify(chain.certificates, leaf, endpoint.host, endpoint.address, moment)

    def _leaf(self, chain: Chain, leaf: Certificate, verified: Verified) -> Record:
        kept = self.der or leaf.refused  # nothing else tells what that was
        return leaf_part(leaf, verified, chain.certificates[0] if kept else None)

    def _tls(
        self,
        conclusion: Conclusion,
        negotiated: Answer | None,
        chain: Chain,
        client_certificate: ClientCertificate | None,
    ) -> Record | None:
        if negotiated is None and (conclusion.starttls is not None or conclusion.error is None):
            return None  # it was not tried; in STARTTLS mode, the verdict there tells why
        handshake = (negotiated.handshake if negotiated else None) or Handshake()
        return {
            "version": handshake.version,
            **_cipher(handshake.cipher, handshake.cipher_text),
            **_group(handshake.group, handshake.group_text),
            "alpn": handshake.alpn,
            "client_certificate": client_certificate,
            "chain": list(map(sha256, chain.certificates)) or None,
            **({"chain_der": list(map(in_base64, chain.certificates))} if self.der and chain.certificates else {}),
            "certificate_from": chain.seen_in,
            "error": _error(conclusion.error) if conclusion.error else None,
        }


def _origin(origin: Origin) -> Record:
    return {"input": origin.input, "line": origin.line, "tags": dict(origin.tags)}


def _identity(endpoint: Endpoint) -> Record:
    return {
        "id": endpoint.id,
        **_origin(endpoint.origin),
        "host": endpoint.host,
        "address": endpoint.address,
        "port": endpoint.port,
        "service": endpoint.service.name,
        "mode": endpoint.service.mode,
        "sni": endpoint.host,
    }


def _starttls(conclusion: Conclusion, negotiated: Answer | None) -> Record | None:
    """The dialogue around TLS. In implicit mode there is no verdict; what mail servers say inside still stands here."""
    inside = negotiated.inside if negotiated else None
    result = conclusion.starttls
    if result is None and inside is None:
        return None
    return {
        "verdict": result.verdict if result else None,
        "stage": result.stage if result else None,
        "cause": result.cause if result else None,
        "hint": result.hint if result else None,
        "code": result.code if result else None,
        "text": result.text if result else None,
        "advertised": result.advertised if result else None,
        "required": result.required if result else None,
        "early_bytes": printable(conclusion.early) if conclusion.early else None,
        "before": _capabilities(result.before if result else None),
        "inside": _capabilities(inside.capabilities if inside else None),
        "stopped_inside": _stopped(inside) if inside else None,
    }


def _stopped(inside: Inside) -> Record | None:
    """What came in the way inside TLS."""
    if inside.stopped is None:
        return None
    return {"verdict": inside.stopped, "alert": inside.alert, "code": inside.code, "text": inside.text}


def _capabilities(capabilities: Capabilities | None) -> Record | None:
    if capabilities is None:
        return None
    return {
        "capabilities": capabilities.capabilities,
        "auth": capabilities.auth,
        "login_disabled": capabilities.login_disabled,
    }


def _versions(conclusion: Conclusion) -> Record | None:
    if conclusion.versions is None:
        return None
    return {str(version): _version(version, entry) for version, entry in conclusion.versions.items()}


def _version(version: Version, entry: VersionVerdict) -> Record:
    record: Record = {"verdict": entry.verdict, "evidence": entry.evidence}
    if hello := entry.hello:
        if hello.alert is not None:
            record["alert"] = alert_name(hello.alert)
        if hello.version not in (None, version.code):
            record["answered"] = _version_name(hello)
        if hello.cipher is not None:
            record |= _sslv2_cipher(hello.cipher) if version is Version.SSLV2 else _cipher(hello.cipher, None)
        if hello.kinds:
            record["ciphers"] = [_sslv2_cipher(kind) for kind in hello.kinds]
        if hello.group is not None:
            record |= _group(hello.group, None)
        if hello.error is not None:
            record["error"] = hello.error
        if hello.text is not None or hello.hint is not None:
            record |= {"text": hello.text, "hint": hello.hint}
        if entry.shape is not Shape.PLAIN:
            record["hello"] = entry.shape
    if entry.flags:
        record["flags"] = sorted(entry.flags)
    return record


def _version_name(hello: HelloAnswer) -> str:
    code = hello.version or 0
    return version_of_code(code) or f"0x{code:04x}"


def _cipher(code: int | None, fallback: str | None) -> Record:
    if code is None:
        return {"cipher": fallback, "cipher_id": None}
    return {"cipher": cipher_name(code) or fallback, "cipher_id": cipher_id(code)}


def _sslv2_cipher(code: int) -> Record:
    return {"cipher": sslv2_cipher_name(code), "cipher_id": sslv2_cipher_id(code)}


def _group(code: int | None, fallback: str | None) -> Record:
    if code is None:
        return {"group": fallback, "group_id": None}
    return {"group": group_name(code) or fallback, "group_id": group_id(code)}


def _finding(finding: Finding) -> Record:
    return {"id": finding.id, "severity": finding.severity, "reference": finding.reference}


def _clients(clients: Clients | None) -> Record | None:
    if clients is None:
        return None
    return {
        "none": clients.none,
        "starttls_if_available": clients.starttls_if_available,
        "starttls": clients.starttls,
        "ssl_tls": clients.ssl_tls,
    }


def _injection(injection: Injection) -> Record:
    return {
        "result": injection.result,
        "verdict": injection.verdict,
        "stage": injection.stage,
        "cause": injection.cause,
        "alert": injection.alert,
        "code": injection.code,
        "text": injection.text,
        "early_bytes": printable(injection.early) if injection.early else None,
    }


def _error(error: Outcome) -> Record:
    return {
        "verdict": error.verdict,
        "stage": error.stage,
        "cause": error.cause,
        "alert": error.alert,
        "hint": error.hint,
        "detail": error.detail,
    }


def _look(look: Look) -> Record:
    return {
        "started": timestamp(look.started),
        "verdict": look.verdict,
        "stage": look.stage,
        "cause": look.cause,
        "code": look.code,
        "text": look.text,
    }
