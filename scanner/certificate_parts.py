"""The parts of a record that are about certificates: what a certificate says, its staple, and its timestamps. Pure."""

import base64
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

from scanner.tls.certificate import Certificate
from scanner.tls.ocsp import Staple, Statement, read_staple
from scanner.tls.scts import Sct, read_scts
from scanner.trust import Verified

Part = dict[str, Any]


class Source(StrEnum):
    """Where a certificate's timestamp came from."""

    EMBEDDED = "embedded"  # in the certificate
    OCSP = "ocsp"  # in the stapled response
    TLS = "tls"  # in an extension of the ServerHello


def leaf_part(leaf: Certificate, verified: Verified, der: bytes | None) -> Part:
    """A leaf: what it says, and what becomes of it here and now. `der` is None where it is not to be kept."""
    return {
        **_identity(leaf),
        "time_valid": verified.time_valid,
        "trusted": verified.trusted,
        "trust_error": verified.trust_error,
        "name_matches": verified.name_matches,
        "results": verified.results,
        "parse_error": leaf.parse_error,
        **({"der": in_base64(der)} if der is not None else {}),
    }


def certificate_facts(certificate: Certificate) -> Part:
    """What a certificate says, wherever and whenever it is seen."""
    return {
        **_identity(certificate),
        "scts": None if certificate.scts is None else [_sct(Source.EMBEDDED, each) for each in certificate.scts],
        "parse_error": certificate.parse_error,
    }


def _identity(certificate: Certificate) -> Part:
    return {
        "sha256": certificate.sha256,
        "spki_sha256": certificate.spki_sha256,
        "serial": certificate.serial,
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "dns_names": certificate.dns_names,
        "ip_names": certificate.ip_names,
        "not_before": _moment(certificate.not_before),
        "not_after": _moment(certificate.not_after),
        "key": _key(certificate),
        "signature": certificate.signature,
        "signature_oid": certificate.signature_oid,
        "self_signed": certificate.self_signed,
        "must_staple": certificate.must_staple,
    }


def ocsp_part(der: bytes | None, leaf: Certificate | None, now: datetime) -> Part | None:
    """What a server stapled to its handshake: None where there was no handshake, empty DER where it stapled nothing."""
    if der is None:
        return None
    staple = read_staple(der) if der else Staple()
    said = staple.about(leaf) if leaf else None
    return {
        "present": bool(der),
        "response_status": staple.response_status,
        "certificate_status": said.status if said else None,
        "this_update": _moment(said.this_update) if said else None,
        "next_update": _moment(said.next_update) if said else None,
        "revocation_time": _moment(said.revocation_time) if said else None,
        "serial_matches": _same_serial(said, leaf),
        "expired": said.next_update < now if said and said.next_update else None,
        "parse_error": staple.parse_error,
    }


def _same_serial(said: Statement | None, leaf: Certificate | None) -> bool | None:
    if said is None or leaf is None or said.serial is None or leaf.serial is None:
        return None
    return said.serial == leaf.serial


def scts_part(leaf: Certificate | None, staple: bytes | None, in_hello: bytes) -> list[Part] | None:
    """All timestamps, with where they came from; None where neither a certificate nor an extension was seen."""
    if leaf is None and not in_hello:
        return None
    stapled = read_staple(staple).scts if staple else ()
    return [
        *_scts(Source.EMBEDDED, leaf.scts if leaf and leaf.scts else ()),
        *_scts(Source.OCSP, stapled),
        *_scts(Source.TLS, read_scts(in_hello) if in_hello else ()),
    ]


def _scts(source: Source, found: Iterable[Sct]) -> list[Part]:
    return [_sct(source, each) for each in found]


def _sct(source: Source, sct: Sct) -> Part:
    stamp = sct.timestamp.isoformat(timespec="milliseconds").replace("+00:00", "Z") if sct.timestamp else None
    return {"source": source, "version": sct.version, "log_id": sct.log_id, "timestamp": stamp}


def in_base64(der: bytes) -> str:
    """DER in base64."""
    return base64.b64encode(der).decode()


def _key(certificate: Certificate) -> Part | None:
    if certificate.key is None:
        return None
    return {"type": certificate.key.type, "bits": certificate.key.bits, "curve": certificate.key.curve}


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
