"""Certificate verification: trust, time and name, each by itself, and all that fails in the words of RFC 8460 §4.3.

Pure: the trust store is read elsewhere, and the moment is handed in. What comes out are facts: between mail servers
nobody verifies unless DANE or MTA-STS ask for it, and there "not trusted" is no failure.

- *Trust*: does a path lead from the leaf to an anchor of the store (RFC 5280 §6.1)? A leaf outside its own period is
  judged without the clock, so that its expiry is told once, as its time; an issuer outside its period breaks the path.
  Weak keys and digests do not: no security level is set, because each client draws that line elsewhere, and
  `certificate-weak-key` tells of it. Nobody is asked about revocation.
- *Time*: is the leaf within its period?
- *Name*: does it name the host that was asked for (RFC 9525)? Where there was none but an address, an iPAddress with
  that is a yes; anything else is unknown, because nobody has said by which name the address is reached.
"""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto
from service_identity.exceptions import CertificateError
from service_identity.hazmat import DNS_ID, DNSPattern, IPAddress_ID, IPAddressPattern

from scanner.cache import Cache
from scanner.tls.certificate import MAX_CACHED_BYTES, Certificate, cache_weight, sha256
from scanner.tls.der import bits_in, extension_in, oids_in

CACHED_CHAINS = 8_192  # each takes 0.6 KB, and one of 32 certificates 4
CACHED_MATCHES = 2_048
VERIFY_AGAIN_AFTER = timedelta(hours=1)  # an issuer may have expired meanwhile

_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME
_FOR_SERVERS = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
# The same in DER: content octets, and bits of a byte (digitalSignature, keyEncipherment, keyAgreement).
_EXTENDED_KEY_USAGE, _KEY_USAGE = bytes.fromhex("551d25"), bytes.fromhex("551d0f")
_FOR_SERVERS_OIDS = {bytes.fromhex("2b06010505070301"), bytes.fromhex("551d2500")}
_USAGES_OF_SERVERS = 0x80 | 0x20 | 0x08
_UNREADABLE = (
    *(ValueError, TypeError, UnsupportedAlgorithm),
    *(x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)


class Result(StrEnum):
    """The words of RFC 8460 §4.3 that are about a certificate, in its order."""

    HOST_MISMATCH = "certificate-host-mismatch"
    EXPIRED = "certificate-expired"  # or not valid yet
    NOT_TRUSTED = "certificate-not-trusted"
    FAILURE = "validation-failure"  # it cannot be read


class TrustError(StrEnum):
    """Why no path leads to an anchor. What has no word here is `openssl_` and the number of OpenSSL's error."""

    SELF_SIGNED = "self_signed"  # and not in the store
    ROOT_UNKNOWN = "root_unknown"  # the chain ends in a root that is not in the store
    ISSUER_UNKNOWN = "issuer_unknown"  # an intermediate was not sent, or its root is not in the store
    ISSUER_EXPIRED = "issuer_expired"
    ISSUER_NOT_YET_VALID = "issuer_not_yet_valid"
    ISSUER_NO_CA = "issuer_no_ca"  # it may not issue certificates
    BAD_SIGNATURE = "bad_signature"
    PATH_LENGTH = "path_length"  # more certificates below an issuer than it allows
    NAME_CONSTRAINTS = "name_constraints"
    WRONG_PURPOSE = "wrong_purpose"  # not for servers
    CRITICAL_EXTENSION = "critical_extension"  # nobody knows what it means
    CHAIN_UNREADABLE = "chain_unreadable"  # a certificate of it cannot be parsed


# X509_V_ERR_*: the numbers stay what they are, and the texts do not.
_ERRORS = {
    2: TrustError.ISSUER_UNKNOWN,  # UNABLE_TO_GET_ISSUER_CERT
    7: TrustError.BAD_SIGNATURE,  # CERT_SIGNATURE_FAILURE
    9: TrustError.ISSUER_NOT_YET_VALID,  # CERT_NOT_YET_VALID
    10: TrustError.ISSUER_EXPIRED,  # CERT_HAS_EXPIRED
    18: TrustError.SELF_SIGNED,  # DEPTH_ZERO_SELF_SIGNED_CERT
    19: TrustError.ROOT_UNKNOWN,  # SELF_SIGNED_CERT_IN_CHAIN
    20: TrustError.ISSUER_UNKNOWN,  # UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    21: TrustError.ISSUER_UNKNOWN,  # UNABLE_TO_VERIFY_LEAF_SIGNATURE
    25: TrustError.PATH_LENGTH,  # PATH_LENGTH_EXCEEDED
    32: TrustError.ISSUER_NO_CA,  # KEYUSAGE_NO_CERTSIGN
    34: TrustError.CRITICAL_EXTENSION,  # UNHANDLED_CRITICAL_EXTENSION
    47: TrustError.NAME_CONSTRAINTS,  # PERMITTED_VIOLATION
    48: TrustError.NAME_CONSTRAINTS,  # EXCLUDED_VIOLATION
    49: TrustError.NAME_CONSTRAINTS,  # SUBTREE_MINMAX
    51: TrustError.NAME_CONSTRAINTS,  # UNSUPPORTED_CONSTRAINT_TYPE
    52: TrustError.NAME_CONSTRAINTS,  # UNSUPPORTED_CONSTRAINT_SYNTAX
    53: TrustError.NAME_CONSTRAINTS,  # UNSUPPORTED_NAME_SYNTAX
    79: TrustError.ISSUER_NO_CA,  # INVALID_CA
}


@dataclass(frozen=True, slots=True)
class Verified:
    """What became of each check; None where it could not be made."""

    trusted: bool | None = None
    trust_error: str | None = None
    time_valid: bool | None = None
    name_matches: bool | None = None
    results: tuple[str, ...] = ()

    @property
    def passes(self) -> bool | None:
        """Would a mail program accept this certificate for this name, now?"""
        checks = (self.trusted, self.time_valid, self.name_matches)
        if False in checks:
            return False
        return None if None in checks else True


@dataclass(frozen=True, slots=True)
class TrustStore:
    """Whom to trust, and the files or directories that say so."""

    anchors: tuple[crypto.X509, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Trust:
    """Why a chain is not trusted, None where it is; and until when that is taken to hold."""

    error: str | None
    until: datetime


_Names = tuple[frozenset[str], frozenset[IPv4Address | IPv6Address]]
NAMES = Cache[_Names](MAX_CACHED_BYTES)


class Verifier:
    """Verifies by one trust store; without one, trust is unknown.

    What became of a chain is remembered for an hour by its fingerprints, so that one that 50,000 endpoints send is
    verified once.
    """

    def __init__(self, store: TrustStore | None) -> None:
        self.store = store
        self.verified = Cache[_Trust](CACHED_CHAINS)

    def verify(
        self, chain: tuple[bytes, ...], leaf: Certificate, host: str | None, address: str, now: datetime
    ) -> Verified:
        """Verify a chain in DER, leaf first, for a host, or for an address where there is none. Never raises."""
        time_valid = leaf.valid_at(now)
        name_matches = None if leaf.dns_names is None else _matches(chain[0], host, address)
        trusted, error = None, None
        if self.store is not None and time_valid is not None:
            # OpenSSL takes the last second of a period for the first one behind it.
            by_the_clock = time_valid and now != leaf.not_after
            error = self._trust_error(self.store, chain, now, by_the_clock=by_the_clock)
            if error == TrustError.SELF_SIGNED and not leaf.self_signed:
                error = TrustError.ISSUER_UNKNOWN  # to OpenSSL it is its own issuer by the names alone
            trusted = error is None
        applies = {
            Result.HOST_MISMATCH: name_matches is False,
            Result.EXPIRED: time_valid is False,
            Result.NOT_TRUSTED: trusted is False,
            Result.FAILURE: time_valid is None or leaf.dns_names is None,
        }
        return Verified(trusted, error, time_valid, name_matches, tuple(word for word in applies if applies[word]))

    def _trust_error(
        self, store: TrustStore, chain: tuple[bytes, ...], now: datetime, *, by_the_clock: bool
    ) -> str | None:
        def judge() -> _Trust:
            error = why_untrusted(store, chain, now if by_the_clock else None)
            return _Trust(error, now + VERIFY_AGAIN_AFTER)

        key = (*map(sha256, chain), by_the_clock)
        trust = self.verified.get(key, judge)
        if trust.until <= now:
            self.verified.forget(key)
            trust = self.verified.get(key, judge)
        return trust.error


def why_untrusted(store: TrustStore, chain: tuple[bytes, ...], moment: datetime | None) -> str | None:
    """Why no path leads from the leaf to an anchor at this moment, or at any; None where one does."""
    try:
        leaf, *above = [crypto.load_certificate(crypto.FILETYPE_ASN1, der) for der in chain]
    except crypto.Error:
        return TrustError.CHAIN_UNREADABLE
    try:
        path = crypto.X509StoreContext(_openssl_store(store, moment), leaf, above).get_verified_chain()
    except crypto.X509StoreContextError as error:
        number = error.errors[0]
        return _ERRORS.get(number, f"openssl_{number}")
    finally:
        _forget_errors()
    below_anchor = path[:-1] or path  # or the leaf is an anchor itself
    return None if _are_for_servers(below_anchor) else TrustError.WRONG_PURPOSE


def _forget_errors() -> None:
    """What went wrong in OpenSSL waits in a queue, where a TLS connection that fails next takes it for its own."""
    with suppress(crypto.Error):
        crypto.load_certificate(crypto.FILETYPE_ASN1, b"")  # its error brings all others with it


def _openssl_store(store: TrustStore, moment: datetime | None) -> crypto.X509Store:
    """Made anew for each chain, because the time of one can be set only once; it takes a tenth of a millisecond."""
    made = crypto.X509Store()
    for anchor in store.anchors:
        made.add_cert(anchor)
    made.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)  # an anchor need not be a root (RFC 5280 §6.1)
    if moment is None:
        made.set_flags(_NO_CHECK_TIME)
    else:
        made.set_time(moment)
    return made


def _are_for_servers(path: Iterable[crypto.X509]) -> bool:
    """May each certificate of a path take part in a TLS server's (RFC 5280 §4.2.1.3, §4.2.1.12)?

    X509Store has no purpose to set. Where our parser refuses another extension, the two that tell are read by
    themselves; what cannot be read even so is not held against it: OpenSSL found it good.
    """
    return all(_is_for_servers(certificate, is_leaf=depth == 0) for depth, certificate in enumerate(path))


def _is_for_servers(certificate: crypto.X509, *, is_leaf: bool) -> bool:
    der = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
    extensions = _extensions(der)
    if extensions is None:
        return _is_for_servers_by_its_bytes(der, is_leaf=is_leaf)
    for extension in extensions:
        match extension.value:
            case x509.ExtendedKeyUsage() as usages if _FOR_SERVERS.isdisjoint(usages):
                return False
            case x509.KeyUsage(digital_signature=False, key_encipherment=False, key_agreement=False) if is_leaf:
                return False
    return True


def _is_for_servers_by_its_bytes(der: bytes, *, is_leaf: bool) -> bool:
    try:
        purposes, usage = extension_in(der, _EXTENDED_KEY_USAGE), extension_in(der, _KEY_USAGE)
        if purposes is not None and _FOR_SERVERS_OIDS.isdisjoint(oids_in(purposes)):
            return False
        return not (is_leaf and usage is not None and not bits_in(usage) & _USAGES_OF_SERVERS)
    except ValueError:
        return True


def _matches(leaf: bytes, host: str | None, address: str) -> bool | None:
    """Does a leaf name the host, or the address where there is none?"""
    if host is not None:
        return name_host(dns_names_of(leaf), host)
    _, addresses = NAMES.get(sha256(leaf), lambda: _names(leaf), cache_weight(leaf))
    if not addresses:
        return None
    return any(map(IPAddress_ID(address).verify, map(IPAddressPattern, addresses))) or None


def dns_names_of(leaf: bytes) -> frozenset[str]:
    """The DNS names of a certificate in DER, in lower case, wildcards too; empty where they cannot be read."""
    return NAMES.get(sha256(leaf), lambda: _names(leaf), cache_weight(leaf))[0]


def name_host(names: frozenset[str], host: str) -> bool | None:
    """Is the host among the names of a certificate, by RFC 9525 §6.3? None where nobody can say.

    Only names that can be meant are handed to the library: there may be ten thousand others.
    """
    return _match_host(names & {host, "*." + host.partition(".")[2]}, host)


@lru_cache(maxsize=CACHED_MATCHES)
def _match_host(names: frozenset[str], host: str) -> bool | None:
    try:
        reference = DNS_ID(host)
    except ValueError:
        return None  # the library takes "1_0" for a number
    patterns = list(_patterns(names))
    # It lets no wildcard stand for an A-label; RFC 9525 §6.3 lets it stand for any one label.
    return any(map(reference.verify, patterns)) or (host.startswith("xn--") and bool(patterns))


def _patterns(names: Iterable[str]) -> Iterator[DNSPattern]:
    """What is no DNS-ID, such as a wildcard for a whole top-level domain, is ignored (RFC 9525 §6.3)."""
    for name in names:
        with suppress(CertificateError):
            yield DNSPattern.from_bytes(name.encode("ascii"))


def _names(leaf: bytes) -> _Names:
    """Its DNS names in lower case, and its addresses (RFC 5280 §4.2.1.6)."""
    for extension in _extensions(leaf) or ():
        if isinstance(extension.value, x509.SubjectAlternativeName):
            names = extension.value.get_values_for_type(x509.DNSName)
            addresses = extension.value.get_values_for_type(x509.IPAddress)
            single = (each for each in addresses if isinstance(each, IPv4Address | IPv6Address))
            return frozenset(map(str.lower, names)), frozenset(single)
    return frozenset(), frozenset()


def _extensions(der: bytes) -> x509.Extensions | None:
    """None where our parser refuses them."""
    with warnings.catch_warnings(action="ignore"):  # the library's, about what it will refuse one day
        try:
            return x509.load_der_x509_certificate(der).extensions
        except _UNREADABLE:
            return None
