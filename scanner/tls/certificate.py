"""What a certificate says (RFC 5280). A certificate that cannot be parsed is still a fact: its fingerprint stays.

Parsing is cached by fingerprint: one certificate on 50,000 endpoints is parsed once. A server may send what it likes,
so all that is kept is bounded: the cache, the names and the serial number.
"""

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from scanner.cache import Cache
from scanner.tls.scts import Sct, read_scts
from scanner.wire_text import printable

T = TypeVar("T")

# Of DER, with so many bytes on top for each: 3,500 ordinary certificates. Their facts take 15 MB then, and ten times
# that of the worst that servers can send.
MAX_CACHED_BYTES = 12_582_912
CACHE_ENTRY_BYTES = 2_048
MAX_NAMES = 1_000
MAX_SERIAL_BYTES = 512  # RFC 5280 §4.1.2.2 allows 20

# OPENSSL_RSA_MAX_MODULUS_BITS, _SMALL_MODULUS_BITS and _MAX_PUBEXP_BITS; OPENSSL_DSA_MAX_MODULUS_BITS.
MAX_RSA_BITS, MAX_BITS_WITH_LONG_EXPONENT, MAX_EXPONENT_BITS = 16_384, 3_072, 64
MAX_DSA_BITS = 10_000

STATUS_REQUEST = 5  # the TLS extension that RFC 7633 §4.2.1 makes a duty: "must staple"

# Object identifiers in DER: RFC 7633 §6, RFC 6962 §3.3.
_TLS_FEATURE = bytes.fromhex("06082b06010505070118")
_SCT_LIST = bytes.fromhex("060a2b06010401d679020402")

_DH = {"1.2.840.113549.1.3.1", "1.2.840.10046.2.1"}  # PKCS #3, X9.42

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
    must_staple: bool | None = None
    scts: tuple[Sct, ...] | None = None  # those that it has in it
    parse_error: str | None = None

    @property
    def refused(self) -> bool:
        """Could it not be parsed at all? Else its key stands in it, be that known or not."""
        return self.spki_sha256 is None

    def valid_at(self, moment: datetime) -> bool | None:
        """Does this moment lie within its period (RFC 5280 §4.1.2.5)?"""
        if self.not_before is None or self.not_after is None:
            return None
        return self.not_before <= moment <= self.not_after


PARSED = Cache[Certificate](MAX_CACHED_BYTES)


def sha256(der: bytes) -> str:
    """The fingerprint of a certificate, hexadecimal."""
    return hashlib.sha256(der).hexdigest()


def read_certificate(der: bytes) -> Certificate:
    """The facts of a certificate in DER. Never raises: see `parse_error`."""
    return PARSED.get(sha256(der), lambda: _read(der), cache_weight(der))


def spki_of(der: bytes) -> bytes | None:
    """The SubjectPublicKeyInfo of a certificate in DER (RFC 5280 §4.1); None where it cannot be parsed."""
    return _spki(der) if read_certificate(der).spki_sha256 else None


def cache_weight(der: bytes) -> int:
    """What a certificate, or what was worked out of it, counts for in a cache of `MAX_CACHED_BYTES`."""
    return len(der) + CACHE_ENTRY_BYTES


def _read(der: bytes) -> Certificate:
    with warnings.catch_warnings(action="ignore"):  # the library's, about what it will refuse one day
        try:
            parsed = x509.load_der_x509_certificate(der)
        except (ValueError, x509.InvalidVersion) as error:
            return Certificate(sha256(der), parse_error=_shown(str(error)))
        return _Facts(der, parsed).read()


class _Facts:
    """Reads each fact by itself, so that one that is broken does not take the others with it."""

    def __init__(self, der: bytes, parsed: x509.Certificate) -> None:
        self.der = der
        self.parsed = parsed
        self.errors: list[str] = []

    def read(self) -> Certificate:
        parsed = self.parsed
        names = self._fact(self._names)
        oid = self._fact(lambda: parsed.signature_algorithm_oid.dotted_string)
        return Certificate(
            sha256=sha256(self.der),
            spki_sha256=self._fact(lambda: sha256(_spki(self.der))),
            serial=self._fact(lambda: hexadecimal(parsed.serial_number)),
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
            must_staple=STATUS_REQUEST in _features(extension_of(self.der, _TLS_FEATURE) or b""),
            scts=read_scts(_octets(extension_of(self.der, _SCT_LIST) or b"")),
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
        dns_names = self._bounded("DNS names", names.get_values_for_type(x509.DNSName))
        addresses = self._bounded("addresses", names.get_values_for_type(x509.IPAddress))
        return tuple(map(_shown, dns_names)), tuple(map(str, addresses))

    def _bounded(self, kind: str, names: list[T]) -> list[T]:
        if len(names) > MAX_NAMES:
            self.errors.append(f"{len(names) - MAX_NAMES} more {kind}")
        return names[:MAX_NAMES]

    def _is_dh(self) -> bool:
        """Is its key one of Diffie-Hellman's? To read one is to check its group for primes: up to a second of work."""
        return self.parsed.public_key_algorithm_oid.dotted_string in _DH

    def _key(self) -> Key:
        if self._is_dh():
            return Key("DH")
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
        if self.parsed.issuer != self.parsed.subject or self._is_dh():
            return False
        if _is_beyond_openssl(self.parsed.public_key()):
            raise UnsupportedAlgorithm("a key too large to verify a signature by")
        try:
            self.parsed.verify_directly_issued_by(self.parsed)
        except InvalidSignature:
            return False
        return True


def _is_beyond_openssl(key: object) -> bool:
    """Would it refuse every signature by this key, for its size alone?"""
    match key:
        case rsa.RSAPublicKey(key_size=bits):
            return bits > MAX_RSA_BITS or (
                bits > MAX_BITS_WITH_LONG_EXPONENT and key.public_numbers().e.bit_length() > MAX_EXPONENT_BITS
            )
        case dsa.DSAPublicKey(key_size=bits):
            return bits > MAX_DSA_BITS
        case _:
            return False


def _shown(text: str) -> str:
    """Text from the wire is untrusted, in certificates too."""
    return printable(text.encode("utf-8", "backslashreplace"))


def _spki(der: bytes) -> bytes:
    """The SubjectPublicKeyInfo as it stands in a certificate (RFC 5280 §4.1), which a parser has found to be one."""
    at = _spki_at(der)
    return der[at : _content(der, at)[1]]


def _spki_at(der: bytes) -> int:
    at, _ = _content(der, _content(der, 0)[0])  # into Certificate, and into its TBSCertificate
    if der[at] == 0xA0:  # the version, [0]; without it, it is 1
        at = _content(der, at)[1]
    for _ in ("serialNumber", "signature", "issuer", "validity", "subject"):
        at = _content(der, at)[1]
    return at


def extension_of(der: bytes, oid: bytes) -> bytes | None:
    """The value of an extension as it stands in a certificate, which a parser has found to be one, but for its value.

    `oid` is in DER. The parser refuses all extensions together where it refuses one.
    """
    end, at = _content(der, _content(der, 0)[0])[1], _content(der, _spki_at(der))[1]
    while at < end and der[at] != 0xA3:  # past the unique identifiers, [1] and [2]
        at = _content(der, at)[1]
    if at >= end:
        return None
    at, end = _content(der, _content(der, at)[0])  # into Extensions
    while at < end:
        inner, behind = _content(der, at)
        if der.startswith(oid, inner):
            inner += len(oid)
            start, stop = _content(der, _content(der, inner)[1] if der[inner] == 0x01 else inner)  # past `critical`
            return der[start:stop]
        at = behind
    return None


def _features(value: bytes) -> set[int]:
    """The numbers of a SEQUENCE of them (RFC 7633 §4.1), as far as it can be read; each takes a byte or two."""
    found, at = set[int](), 2
    while at + 1 < len(value):
        start, at = at + 2, at + 2 + value[at + 1]
        found.add(int.from_bytes(value[start:at], "big"))
    return found


def _octets(value: bytes) -> bytes:
    """The content of an OCTET STRING, empty where it is none."""
    if len(value) < 2 or value[0] != 0x04:
        return b""
    start, end = _content(value, 0)
    return value[start:end]


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at this place begins and ends; its tag is of one byte."""
    start, size = at + 2, der[at + 1]
    if size >= 0x80:
        start += size - 0x80
        size = int.from_bytes(der[at + 2 : start], "big")
    return start, start + size


def hexadecimal(serial: int) -> str:
    """A serial number in whole bytes, as certificates are shown everywhere. Raises ValueError for one too long."""
    if (size := serial.bit_length() // 8 + 1) > MAX_SERIAL_BYTES:
        raise ValueError(f"a serial number of {size} bytes")
    digits = f"{abs(serial):x}"
    return ("-" if serial < 0 else "") + digits.zfill(len(digits) + len(digits) % 2)
