"""What a certificate says (RFC 5280). A certificate that cannot be parsed is still a fact: its fingerprint stays.

Parsing is cached by the certificate itself: one certificate on 50,000 endpoints is parsed once.
"""

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from scanner.wire_text import printable

T = TypeVar("T")

CACHED_CERTIFICATES = 4_096

# The names of RFC 3279, 4055, 5758, 8410 and 9881.
_SIGNATURES = {
    "1.2.840.113549.1.1.2": "md2WithRSAEncryption",
    "1.2.840.113549.1.1.4": "md5WithRSAEncryption",
    "1.2.840.113549.1.1.5": "sha1WithRSAEncryption",
    "1.2.840.113549.1.1.10": "id-RSASSA-PSS",
    "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
    "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
    "1.2.840.113549.1.1.13": "sha512WithRSAEncryption",
    "1.2.840.113549.1.1.14": "sha224WithRSAEncryption",
    "1.2.840.10045.4.1": "ecdsa-with-SHA1",
    "1.2.840.10045.4.3.1": "ecdsa-with-SHA224",
    "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
    "1.2.840.10045.4.3.3": "ecdsa-with-SHA384",
    "1.2.840.10045.4.3.4": "ecdsa-with-SHA512",
    "1.2.840.10040.4.3": "dsa-with-sha1",
    "2.16.840.1.101.3.4.3.1": "dsa-with-sha224",
    "2.16.840.1.101.3.4.3.2": "dsa-with-sha256",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
    "2.16.840.1.101.3.4.3.17": "ML-DSA-44",
    "2.16.840.1.101.3.4.3.18": "ML-DSA-65",
    "2.16.840.1.101.3.4.3.19": "ML-DSA-87",
}


@dataclass(frozen=True, slots=True)
class Key:
    """A public key; `bits` of its modulus or its curve."""

    type: str
    bits: int | None = None
    curve: str | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """The facts of a certificate; those that its parser refused are None, and `parse_error` says why."""

    sha256: str
    spki_sha256: str | None = None
    serial: str | None = None
    subject: str | None = None
    issuer: str | None = None
    dns_names: tuple[str, ...] | None = None
    ip_names: tuple[str, ...] | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    key: Key | None = None
    signature: str | None = None
    signature_oid: str | None = None
    self_signed: bool | None = None
    parse_error: str | None = None

    def valid_at(self, moment: datetime) -> bool | None:
        """Does this moment lie within its period (RFC 5280 §4.1.2.5)?"""
        if self.not_before is None or self.not_after is None:
            return None
        return self.not_before <= moment <= self.not_after


def sha256(der: bytes) -> str:
    """The fingerprint of a certificate, hexadecimal."""
    return hashlib.sha256(der).hexdigest()


@lru_cache(maxsize=CACHED_CERTIFICATES)
def read_certificate(der: bytes) -> Certificate:
    """The facts of a certificate in DER. Never raises: see `parse_error`."""
    with warnings.catch_warnings(action="ignore"):  # the library's, about what it will refuse one day
        try:
            parsed = x509.load_der_x509_certificate(der)
        except (ValueError, x509.InvalidVersion) as error:
            return Certificate(sha256(der), parse_error=_shown(str(error)))
        return _Facts(parsed).read(sha256(der))


class _Facts:
    """Reads each fact by itself, so that one that is broken does not take the others with it."""

    def __init__(self, parsed: x509.Certificate) -> None:
        self.parsed = parsed
        self.errors: list[str] = []

    def read(self, fingerprint: str) -> Certificate:
        parsed = self.parsed
        names = self._fact(self._names)
        oid = self._fact(lambda: parsed.signature_algorithm_oid.dotted_string)
        return Certificate(
            sha256=fingerprint,
            spki_sha256=self._fact(self._spki_sha256),
            serial=self._fact(lambda: _hexadecimal(parsed.serial_number)),
            subject=self._fact(lambda: _shown(parsed.subject.rfc4514_string())),
            issuer=self._fact(lambda: _shown(parsed.issuer.rfc4514_string())),
            dns_names=names[0] if names else None,
            ip_names=names[1] if names else None,
            not_before=self._fact(lambda: parsed.not_valid_before_utc),
            not_after=self._fact(lambda: parsed.not_valid_after_utc),
            key=self._fact(self._key),
            signature=_SIGNATURES.get(oid) if oid else None,
            signature_oid=oid,
            self_signed=self._fact(self._self_signed),
            parse_error=_shown("; ".join(dict.fromkeys(self.errors))) or None,
        )

    def _fact(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except (
            ValueError,
            TypeError,
            UnsupportedAlgorithm,
            x509.DuplicateExtension,
            x509.InvalidVersion,
            x509.UnsupportedGeneralNameType,
        ) as error:
            self.errors.append(f"{type(error).__name__}: {error}")
            return None

    def _names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        try:
            names = self.parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return (), ()
        addresses = names.get_values_for_type(x509.IPAddress)
        return tuple(map(_shown, names.get_values_for_type(x509.DNSName))), tuple(map(str, addresses))

    def _spki_sha256(self) -> str:
        spki = self.parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(spki).hexdigest()

    def _key(self) -> Key:
        match self.parsed.public_key():
            case rsa.RSAPublicKey(key_size=bits):
                return Key("RSA", bits)
            case ec.EllipticCurvePublicKey(curve=curve):
                return Key("EC", curve.key_size, curve.name)
            case dsa.DSAPublicKey(key_size=bits):
                return Key("DSA", bits)
            case ed25519.Ed25519PublicKey():
                return Key("Ed25519", 256)
            case ed448.Ed448PublicKey():
                return Key("Ed448", 456)
            case other:
                return Key(type(other).__name__.removesuffix("PublicKey"))

    def _self_signed(self) -> bool:
        if self.parsed.issuer != self.parsed.subject:
            return False
        try:
            self.parsed.verify_directly_issued_by(self.parsed)
        except InvalidSignature:
            return False
        return True


def _shown(text: str) -> str:
    """Text from the wire is untrusted, in certificates too."""
    return printable(text.encode("utf-8", "backslashreplace"))


def _hexadecimal(serial: int) -> str:
    """Whole bytes, as certificates are shown everywhere."""
    digits = f"{abs(serial):x}"
    return ("-" if serial < 0 else "") + digits.zfill(len(digits) + len(digits) % 2)
