"""DANE: which certificate an MX host has, by TLSA records that DNSSEC secures (RFC 6698, 7671, 7672).

Pure. Whether the records count is for the caller to say: only where they, and the MX answer, are secure (RFC 7672
§2.1.1, §2.2.1). What they come to, by RFC 7672 §2.2:

- *No record is usable*: senders must use TLS, and need not know with whom. `tlsa-invalid`, as RFC 8460 §4.3.2.1 has it:
  none of the records was found to be valid.
- *Some are*: the certificate of the server must match one of them, the others do not matter (a rollover has two: RFC
  7671 §8.1). Where none does, it is `tlsa-invalid` too.
    - DANE-EE(3): the leaf itself. Its names and its period do not count (RFC 7672 §3.1.1).
    - DANE-TA(2): an issuer above the leaf, in the chain or in the record. The chain must lead to it, be in time, and
      name the host (§3.1.2, §3.2.2). What was sent and has nothing to do with the leaf is no issuer. Where the record
      has its match and this fails, the certificate is what is wrong, in the words of RFC 8460 §4.3.1, one of which it
      gives to a DANE policy by name: `certificate-host-mismatch`, `certificate-expired`, `certificate-not-trusted`.
"""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256, sha512

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from cryptography.x509.oid import NameOID
from OpenSSL import crypto

from scanner.cache import Cache
from scanner.mail_policy.result import Result, each_once
from scanner.tls.certificate import read_certificate, spki_of
from scanner.trust import TrustStore, dns_names_of, name_host, why_untrusted

# RFC 7218 §2 has the names of these numbers.
DANE_TA, DANE_EE = 2, 3
CERTIFICATE, KEY = 0, 1
FULL, SHA2_256, SHA2_512 = 0, 1, 2

_DIGESTS = {SHA2_256: sha256, SHA2_512: sha512}
_WHOLE = Cache[bool](10_000)  # records in full, some 250 bytes each
_DH = {crypto.TYPE_DH, 920}  # of PKCS #3, and EVP_PKEY_DHX: of X9.42
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)


@dataclass(frozen=True, slots=True)
class Tlsa:
    """A TLSA record (RFC 6698 §2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes


class Unusable(StrEnum):
    """Why a record is passed over."""

    USAGE = "usage"  # PKIX-TA(0) and PKIX-EE(1) are not for mail servers (RFC 7672 §3.1.3); others are not known
    SELECTOR = "selector"
    MATCHING = "matching"
    DATA = "data"  # not as long as the digest is, or no certificate, or no public key
    WEAKER_DIGEST = "weaker_digest"  # there is a stronger one with the same usage and selector (RFC 7671 §9)


@dataclass(frozen=True, slots=True)
class Judged:
    """A record, and what it is good for. `matched`: None where no chain was seen, or nobody looked."""

    tlsa: Tlsa
    unusable: Unusable | None
    matched: bool | None = None

    @property
    def usable(self) -> bool:
        """Does it count?"""
        return self.unusable is None


@dataclass(frozen=True, slots=True)
class Dane:
    """What an RRset of TLSA records comes to with the chain of one endpoint.

    `certificate`: what fails of the path and the period of a chain that a DANE-TA(2) record was found for. `unnamed`:
    the DNS names of its leaf where those decide and the TLSA base domain is not among them; most often None, and else
    up to all of a certificate's, which are kept so that each mail domain can ask whether it is named itself.
    """

    records: tuple[Judged, ...]
    certificate: tuple[Result, ...] = ()
    unnamed: frozenset[str] | None = None

    @property
    def usable(self) -> bool:
        """Is there a record by which the server has to be authenticated? Otherwise TLS will do (RFC 7672 §2.2)."""
        return any(record.usable for record in self.records)

    def results(self, next_hops: Iterable[str] = ()) -> tuple[Result, ...]:
        """What is wrong for a mail domain; nothing where no chain was seen and a record is usable.

        `next_hops`: the mail domain (lower case, A-labels), and the name at the end of its aliases where it is another
        one. Both may stand in the certificate instead of the MX host (RFC 7672 §3.2.2).
        """
        usable = [record for record in self.records if record.usable]
        if usable and any(record.matched is None for record in usable):
            return ()
        if not any(record.matched for record in usable):
            return (Result.TLSA_INVALID,)
        names = self.unnamed
        named = names is None or any(name_host(names, host) is not False for host in next_hops)
        return each_once((*self.certificate, *(() if named else (Result.HOST_MISMATCH,))))


def judge(records: Iterable[Tlsa], chain: tuple[bytes, ...], base_domain: str, now: datetime) -> Dane:
    """What TLSA records come to with a chain in DER, leaf first; empty where none was seen. Never raises.

    `base_domain`: the name of the MX host that the records were found under: the end of its chain of aliases if that is
    secure and has some, else the name in the MX record (RFC 7672 §2.2.3).
    """
    judged = usability(records)
    if not chain:
        return Dane(judged)
    path = _path(chain) if any(each.usable and each.tlsa.usage == DANE_TA for each in judged) else []
    anchors = {each.tlsa: _anchors(each.tlsa, chain, path) for each in judged if each.usable}
    found = Dane(tuple(replace(each, matched=bool(anchors[each.tlsa]) if each.usable else None) for each in judged))
    above = [anchor for tlsa, some in anchors.items() if tlsa.usage == DANE_TA for anchor in some]
    if not above or any(each.matched and each.tlsa.usage == DANE_EE for each in found.records):
        return found
    names = dns_names_of(chain[0]) or _common_names(chain[0])
    is_unnamed = name_host(names, base_domain) is False
    return replace(found, certificate=_what_fails(chain, above, now), unnamed=names if is_unnamed else None)


def usability(records: Iterable[Tlsa]) -> tuple[Judged, ...]:
    """Which records count, in their order."""
    judged = [Judged(tlsa, _unusable(tlsa)) for tlsa in records]
    strongest: dict[tuple[int, int], int] = {}
    for each in judged:
        if each.usable:
            kind = each.tlsa.usage, each.tlsa.selector
            strongest[kind] = max(strongest.get(kind, FULL), each.tlsa.matching)
    return tuple(
        replace(each, unusable=Unusable.WEAKER_DIGEST)
        if each.usable and FULL < each.tlsa.matching < strongest[each.tlsa.usage, each.tlsa.selector]
        else each
        for each in judged
    )


def _unusable(tlsa: Tlsa) -> Unusable | None:
    if tlsa.usage not in (DANE_TA, DANE_EE):
        return Unusable.USAGE
    if tlsa.selector not in (CERTIFICATE, KEY):
        return Unusable.SELECTOR
    if tlsa.matching == FULL:
        return None if _is_whole(tlsa.selector, tlsa.data) else Unusable.DATA
    if tlsa.matching not in _DIGESTS:
        return Unusable.MATCHING
    return None if len(tlsa.data) == _DIGESTS[tlsa.matching]().digest_size else Unusable.DATA


def _is_whole(selector: int, data: bytes) -> bool:
    """Is it a certificate, or a key? Looked at once: a domain's 32 records are judged again for each endpoint."""
    is_one = _is_certificate if selector == CERTIFICATE else _is_key
    return _WHOLE.get(f"{selector}:{sha256(data).hexdigest()}", lambda: is_one(data), 1)


def _is_certificate(data: bytes) -> bool:
    try:
        crypto.load_certificate(crypto.FILETYPE_ASN1, data)
    except crypto.Error:
        return False
    return spki_of(data) is not None


def _is_key(data: bytes) -> bool:
    return _key(data) is not None


def _key(data: bytes) -> PublicKeyTypes | None:
    """A public key (SubjectPublicKeyInfo). One of Diffie-Hellman's signs nothing, and is slow to read."""
    try:
        if crypto.load_publickey(crypto.FILETYPE_ASN1, data).type() in _DH:
            return None
        return load_der_public_key(data)
    except (*_UNREADABLE, crypto.Error):
        return None


def _anchors(tlsa: Tlsa, chain: tuple[bytes, ...], path: list[x509.Certificate]) -> tuple[bytes, ...]:
    """The certificates that a record vouches for, in DER; none where it does not match.

    An issuer that is there in full need not be sent (RFC 7671 §5.2.2), and if only its key is there, what it has signed
    at the top is as good (§5.2.3).
    """
    if tlsa.usage == DANE_EE:
        return chain[:1] if _matches(tlsa, chain[0]) else ()
    issuers = (each.public_bytes(Encoding.DER) for each in path[1:])
    if sent := tuple(der for der in issuers if _matches(tlsa, der)):
        return sent
    if tlsa.matching != FULL or tlsa.data == chain[0] or not path:
        return ()
    if tlsa.selector == KEY:
        return (path[-1].public_bytes(Encoding.DER),) if _signed(path[-1], _key(tlsa.data)) else ()
    issuer = _certificate(tlsa.data)
    below = next((each for each in path if issuer and each.issuer == issuer.subject), None)
    return (tlsa.data,) if below and _signed(below, _key(spki_of(tlsa.data) or b"")) else ()


def _matches(tlsa: Tlsa, der: bytes) -> bool:
    """RFC 6698 §2.1.2, §2.1.3."""
    selected = der if tlsa.selector == CERTIFICATE else spki_of(der)
    if selected is None:
        return False
    return tlsa.data == (selected if tlsa.matching == FULL else _DIGESTS[tlsa.matching](selected).digest())


def _path(chain: tuple[bytes, ...]) -> list[x509.Certificate]:
    """From the leaf upwards by the names, in whichever order they were sent; what has nobody below it is left out."""
    leaf, *rest = map(_certificate, chain)
    path = [leaf] if leaf else []
    above = [each for each in rest if each]
    for below in path:  # which grows
        issuers = [each for each in above if each.subject == below.issuer]
        above = [each for each in above if each not in issuers]
        path += issuers
    return path


def _certificate(der: bytes) -> x509.Certificate | None:
    """None where it, or a name of it, cannot be parsed."""
    with warnings.catch_warnings(action="ignore"):  # the library's, about what it will refuse one day
        try:
            certificate = x509.load_der_x509_certificate(der)
            hash((certificate.subject, certificate.issuer))  # which are parsed no sooner
            return certificate
        except _UNREADABLE:
            return None


def _signed(certificate: x509.Certificate, key: PublicKeyTypes | None) -> bool:
    """Was it signed with the private key of this one?"""
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    try:
        match key, certificate.signature_algorithm_parameters:
            case rsa.RSAPublicKey(), (padding.PKCS1v15() | padding.PSS()) as scheme:
                digest = certificate.signature_hash_algorithm
                if digest is None:
                    return False
                key.verify(signature, signed, scheme, digest)
            case ec.EllipticCurvePublicKey(), ec.ECDSA() as scheme:
                key.verify(signature, signed, scheme)
            case ((ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey()), None):
                key.verify(signature, signed)
            case _:
                return False
    except (InvalidSignature, *_UNREADABLE):
        return False
    return True


def _what_fails(chain: tuple[bytes, ...], anchors: Iterable[bytes], now: datetime) -> tuple[Result, ...]:
    """Of the path to these, and of the leaf's period."""
    leaf = read_certificate(chain[0])
    time_valid = leaf.valid_at(now)
    if time_valid is None or leaf.dns_names is None:
        return (Result.FAILURE,)
    store = TrustStore(tuple(crypto.load_certificate(crypto.FILETYPE_ASN1, der) for der in anchors), ("TLSA",))
    moment = now if time_valid and now != leaf.not_after else None  # as in `trust`: its expiry is told once
    applies = {Result.EXPIRED: not time_valid, Result.NOT_TRUSTED: why_untrusted(store, chain, moment) is not None}
    return each_once(word for word in applies if applies[word])


def _common_names(leaf: bytes) -> frozenset[str]:
    """The most specific common name, which counts where a certificate has no DNS names (RFC 7672 §3.2.3)."""
    certificate = _certificate(leaf)
    named = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME) if certificate else []
    return frozenset(str(each.value).lower() for each in named[-1:])
