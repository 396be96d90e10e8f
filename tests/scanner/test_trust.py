"""Verification: trust, time and name, each by itself, for good chains and for every way of being bad."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL, crypto

from scanner import trust
from scanner.tls.certificate import read_certificate
from scanner.trust import TrustStore, Verified, Verifier
from tests.conftest import SCHEMA

NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
DAY = timedelta(days=1)
HOST, ADDRESS = "mx.example.org", "192.0.2.1"
PERIOD = (NOW - 300 * DAY, NOW + 300 * DAY)
GOOD = Verified(trusted=True, time_valid=True, name_matches=True)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@cache
def key_of(name: str) -> Key:
    """One key for each name, so that a certificate can be made again with other facts."""
    return ec.generate_private_key(ec.SECP256R1())


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """An RSA key."""
    return rsa.generate_private_key(65537, bits)


@dataclass(frozen=True)
class Made:
    """A certificate, and the key that signs below it."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        """As a server sends it."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def anchor(self) -> crypto.X509:
        """As a store holds it."""
        return crypto.X509.from_cryptography(self.certificate)


def made(
    name: str,
    issuer: Made | None = None,
    *extensions: tuple[x509.ExtensionType, bool],
    period: tuple[datetime, datetime] = PERIOD,
    key: Key | None = None,
    signer: Key | None = None,
    subject: x509.Name | None = None,
) -> Made:
    """A certificate with just these extensions, by itself where there is no issuer."""
    key = key or key_of(name)
    builder = x509.CertificateBuilder(
        issuer_name=issuer.certificate.subject if issuer else named(name),
        subject_name=named(name) if subject is None else subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=period[0],
        not_valid_after=period[1],
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return Made(builder.sign(signer or (issuer.key if issuer else key), hashes.SHA256()), key)


def named(name: str) -> x509.Name:
    """A subject or an issuer."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def authority(
    name: str, issuer: Made | None = None, *more: tuple[x509.ExtensionType, bool], length: int | None = None, **how: Any
) -> Made:
    """A CA."""
    return made(name, issuer, (x509.BasicConstraints(ca=True, path_length=length), True), *more, **how)


def leaf(
    issuer: Made | None,
    *more: tuple[x509.ExtensionType, bool],
    names: Sequence[str | x509.GeneralName] = (HOST,),
    **how: Any,
) -> Made:
    """A server's certificate."""
    return made(HOST, issuer, (alternative(*names), False), *more, **how)


def alternative(*names: str | x509.GeneralName) -> x509.SubjectAlternativeName:
    """A subjectAltName: of DNS names, where nothing else is said."""
    return x509.SubjectAlternativeName([x509.DNSName(each) if isinstance(each, str) else each for each in names])


def usage(*purposes: x509.ObjectIdentifier) -> tuple[x509.ExtensionType, bool]:
    """An extendedKeyUsage."""
    return x509.ExtendedKeyUsage(purposes), False


def key_usage(*may: str) -> tuple[x509.ExtensionType, bool]:
    """A keyUsage."""
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    all_names = (*names, "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: name in may for name in all_names}), True


def constrained(*, permitted: str | None = None, excluded: str | None = None) -> tuple[x509.ExtensionType, bool]:
    """Name constraints."""
    names = ([x509.DNSName(each)] if each else None for each in (permitted, excluded))
    return x509.NameConstraints(*names), True


def store(*anchors: Made) -> TrustStore:
    """A store with these in it."""
    return TrustStore(tuple(each.anchor for each in anchors), ("ca.pem",))


def verified(
    chain: Sequence[Made | bytes],
    trusted: TrustStore | None,
    host: str | None = HOST,
    address: str = ADDRESS,
    now: datetime = NOW,
) -> Verified:
    """What becomes of a chain."""
    ders = tuple(each if isinstance(each, bytes) else each.der for each in chain)
    return Verifier(trusted).verify(ders, read_certificate(ders[0]), host, address, now)


def digested(chain: Sequence[Made], issuer: Made, oid: str, digest: hashes.HashAlgorithm) -> bytes:
    """The leaf of a chain, signed anew with an RSA key and a digest that the library no longer signs with."""
    whole = chain[0].certificate
    sha256 = x509.ObjectIdentifier("1.2.840.113549.1.1.11")
    old, new = (_oid_in_der(each) for each in (sha256, x509.ObjectIdentifier(oid)))
    signed = whole.tbs_certificate_bytes.replace(old, new)
    assert isinstance(issuer.key, rsa.RSAPrivateKey)
    signature = issuer.key.sign(signed, padding.PKCS1v15(), digest)
    der = whole.public_bytes(Encoding.DER).replace(whole.tbs_certificate_bytes, signed)
    return der.replace(old, new).replace(whole.signature, signature)


def _oid_in_der(oid: x509.ObjectIdentifier) -> bytes:
    """The content of one of PKCS #1's."""
    return bytes.fromhex("2a864886f70d0101") + bytes([int(oid.dotted_string.rpartition(".")[2])])


OVER, TO_COME = (NOW - 300 * DAY, NOW - DAY), (NOW + DAY, NOW + 300 * DAY)
ROOT, STRANGER = authority("root"), authority("stranger")
MIDDLE = authority("middle", ROOT)
OLD_MIDDLE = authority("middle", ROOT, period=OVER)
OLD_ROOT = authority("root", period=OVER)
LEAF, SELF_SIGNED = leaf(MIDDLE), leaf(None)
NO_CA, SAYS_NO_CA = (
    made("no ca", ROOT),
    made("says no ca", ROOT, (x509.BasicConstraints(ca=False, path_length=None), True)),
)
NO_SIGNER = authority("no signer", ROOT, key_usage("digital_signature"))
SHORT = authority("short", ROOT, length=0)
BELOW_SHORT = authority("below short", SHORT)
ELSEWHERE = authority("elsewhere", ROOT, constrained(permitted="example.com"))
NOT_HERE = authority("not here", ROOT, constrained(excluded="example.org"))
HERE = authority("here", ROOT, constrained(permitted="example.org"))
FOR_CLIENTS = authority("for clients", ROOT, usage(ExtendedKeyUsageOID.CLIENT_AUTH))
# Certificate policies that end in their middle: our parser refuses all extensions then, and OpenSSL does not look.
MALFORMED = (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.32"), b"\x04\x01\x00"), False)
ODD_FOR_CLIENTS = authority("odd for clients", ROOT, usage(ExtendedKeyUsageOID.CLIENT_AUTH), MALFORMED)
WEAK = authority("weak", ROOT, key=rsa_key(1024))
CRITICAL = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), True)

IN_ROOT = store(ROOT)
Chain = Sequence[Made | bytes]

TRUSTED: dict[str, tuple[Chain, TrustStore]] = {
    "leaf and intermediate": ([LEAF, MIDDLE], IN_ROOT),
    "the root is sent too": ([LEAF, MIDDLE, ROOT], IN_ROOT),
    "in the wrong order": ([LEAF, ROOT, MIDDLE], IN_ROOT),
    "with strangers among them": ([LEAF, STRANGER, MIDDLE, SELF_SIGNED], IN_ROOT),
    "the same twice": ([LEAF, LEAF, MIDDLE, MIDDLE], IN_ROOT),
    "from the root itself": ([leaf(ROOT)], IN_ROOT),
    "the intermediate is in the store": ([LEAF], store(MIDDLE)),
    "a self-signed one that is in the store": ([SELF_SIGNED], store(SELF_SIGNED)),
    "an expired intermediate beside the new one": ([LEAF, OLD_MIDDLE, MIDDLE], IN_ROOT),
    "an expired root beside the new one": ([LEAF, MIDDLE], store(OLD_ROOT, ROOT)),
    "within name constraints": ([leaf(HERE), HERE], IN_ROOT),
    "for servers": ([leaf(MIDDLE, usage(ExtendedKeyUsageOID.SERVER_AUTH)), MIDDLE], IN_ROOT),
    "for all": ([leaf(MIDDLE, usage(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)), MIDDLE], IN_ROOT),
    "for signatures": ([leaf(MIDDLE, key_usage("digital_signature")), MIDDLE], IN_ROOT),
    "RSA key exchange": ([leaf(MIDDLE, key_usage("key_encipherment")), MIDDLE], IN_ROOT),
    "RSA of 1,024 bits": ([leaf(MIDDLE, key=rsa_key(1024)), MIDDLE], IN_ROOT),
    "an issuer with RSA of 1,024 bits": ([leaf(WEAK), WEAK], IN_ROOT),
    "SHA-1": ([digested([leaf(WEAK)], WEAK, "1.2.840.113549.1.1.5", hashes.SHA1()), WEAK], IN_ROOT),
    "MD5": ([digested([leaf(WEAK)], WEAK, "1.2.840.113549.1.1.4", hashes.MD5()), WEAK], IN_ROOT),
}


@pytest.mark.parametrize(("chain", "trusted"), TRUSTED.values(), ids=TRUSTED)
def test_trusted(chain: Chain, trusted: TrustStore) -> None:
    """A path to an anchor is found, whatever else was sent; weak keys and digests are another matter."""
    assert verified(chain, trusted) == GOOD


UNTRUSTED: dict[str, tuple[Chain, TrustStore, str]] = {
    "the intermediate is not sent": ([LEAF], IN_ROOT, "issuer_unknown"),
    "an unknown root, not sent": ([LEAF, MIDDLE], store(STRANGER), "issuer_unknown"),
    "an unknown root": ([LEAF, MIDDLE, ROOT], store(STRANGER), "root_unknown"),
    "self-signed": ([SELF_SIGNED], IN_ROOT, "self_signed"),
    "an expired intermediate": ([LEAF, OLD_MIDDLE], IN_ROOT, "issuer_expired"),
    "an expired root": ([LEAF, MIDDLE], store(OLD_ROOT), "issuer_expired"),
    "an intermediate of tomorrow": (
        [LEAF, authority("middle", ROOT, period=TO_COME)],
        IN_ROOT,
        "issuer_not_yet_valid",
    ),
    "signed by another key": ([leaf(MIDDLE, signer=key_of("other")), MIDDLE], IN_ROOT, "bad_signature"),
    "an issuer that is no CA": ([leaf(NO_CA), NO_CA], IN_ROOT, "issuer_no_ca"),
    "an issuer that says so": ([leaf(SAYS_NO_CA), SAYS_NO_CA], IN_ROOT, "issuer_no_ca"),
    "an issuer that may not sign": ([leaf(NO_SIGNER), NO_SIGNER], IN_ROOT, "issuer_no_ca"),
    "path length": ([leaf(BELOW_SHORT), BELOW_SHORT, SHORT], IN_ROOT, "path_length"),
    "a name that is not permitted": ([leaf(ELSEWHERE), ELSEWHERE], IN_ROOT, "name_constraints"),
    "a name that is excluded": ([leaf(NOT_HERE), NOT_HERE], IN_ROOT, "name_constraints"),
    "for clients": ([leaf(MIDDLE, usage(ExtendedKeyUsageOID.CLIENT_AUTH)), MIDDLE], IN_ROOT, "wrong_purpose"),
    "below one for clients": ([leaf(FOR_CLIENTS), FOR_CLIENTS], IN_ROOT, "wrong_purpose"),
    "for revocation lists": ([leaf(MIDDLE, key_usage("crl_sign")), MIDDLE], IN_ROOT, "wrong_purpose"),
    "a critical extension": ([leaf(MIDDLE, CRITICAL), MIDDLE], IN_ROOT, "critical_extension"),
    "no certificate in the chain": ([LEAF, b"garbage", MIDDLE], IN_ROOT, "chain_unreadable"),
    "an empty one": ([LEAF, MIDDLE, b""], IN_ROOT, "chain_unreadable"),
}


@pytest.mark.parametrize(("chain", "trusted", "why"), UNTRUSTED.values(), ids=UNTRUSTED)
def test_untrusted(chain: Chain, trusted: TrustStore, why: str) -> None:
    """Each way of not being trusted has its word, and leaves time and name alone."""
    expected = Verified(False, why, time_valid=True, name_matches=True, results=("certificate-not-trusted",))
    assert verified(chain, trusted) == expected


BESIDE_WHAT_IS_MALFORMED: dict[str, Chain] = {
    "for clients": [leaf(MIDDLE, usage(ExtendedKeyUsageOID.CLIENT_AUTH), MALFORMED), MIDDLE],
    "below one for clients": [leaf(ODD_FOR_CLIENTS), ODD_FOR_CLIENTS],
    "for revocation lists": [leaf(MIDDLE, key_usage("crl_sign"), MALFORMED), MIDDLE],
}


@pytest.mark.parametrize("chain", BESIDE_WHAT_IS_MALFORMED.values(), ids=BESIDE_WHAT_IS_MALFORMED)
def test_purposes_beside_what_is_malformed(chain: Chain) -> None:
    """OpenSSL does not look at what it does not need; so what a certificate is for is read by itself then."""
    found = verified(chain, IN_ROOT)
    assert (found.trusted, found.trust_error) == (False, "wrong_purpose")


@pytest.mark.parametrize(
    "purpose", [(), (usage(ExtendedKeyUsageOID.SERVER_AUTH),), (key_usage("digital_signature"),)], ids=str
)
def test_servers_beside_what_is_malformed(purpose: tuple[tuple[x509.ExtensionType, bool], ...]) -> None:
    """Nor is what is malformed held against a certificate."""
    assert verified([leaf(MIDDLE, *purpose, MALFORMED), MIDDLE], IN_ROOT).trusted is True


def test_its_own_issuer_by_name_alone() -> None:
    """Nobody signed it himself whose signature is by another key (RFC 5280 §3.2: self-issued)."""
    lookalike = made(HOST, leaf(None), (alternative(HOST), False), signer=key_of("other"))
    assert verified([lookalike], IN_ROOT).trust_error == "issuer_unknown"
    assert verified([SELF_SIGNED], IN_ROOT).trust_error == "self_signed"


def test_an_error_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that has no word keeps OpenSSL's number."""
    monkeypatch.delitem(trust._ERRORS, 18)
    assert verified([SELF_SIGNED], IN_ROOT).trust_error == "openssl_18"


def test_no_store() -> None:
    """Without a store, nobody can tell whom to trust; time and name are told all the same."""
    assert verified([LEAF, MIDDLE], None) == replace(GOOD, trusted=None)
    assert verified([LEAF, MIDDLE], None, host="other.example.org").results == ("certificate-host-mismatch",)


@pytest.mark.parametrize("period", [OVER, TO_COME], ids=["expired", "not yet"])
def test_time_is_not_trust(period: tuple[datetime, datetime]) -> None:
    """A leaf outside its period is trusted as ever, also where its issuers are outside theirs by now."""
    expected = Verified(True, None, time_valid=False, name_matches=True, results=("certificate-expired",))
    assert verified([leaf(MIDDLE, period=period), MIDDLE], IN_ROOT) == expected
    assert verified([leaf(MIDDLE, period=period), OLD_MIDDLE], store(OLD_ROOT)) == expected


def test_the_ends_of_a_period() -> None:
    """Both are within it (RFC 5280 §4.1.2.5), for trust too."""
    for period in ((NOW - DAY, NOW), (NOW, NOW + DAY), (NOW, NOW)):
        assert verified([leaf(MIDDLE, period=period), MIDDLE], IN_ROOT) == GOOD
    short = leaf(MIDDLE, period=(NOW - DAY, NOW))
    assert verified([short, MIDDLE], IN_ROOT, now=NOW - timedelta(milliseconds=1)) == GOOD
    assert verified([short, MIDDLE], IN_ROOT, now=NOW + timedelta(milliseconds=1)).time_valid is False


def test_all_that_fails_is_told() -> None:
    """Trust, time and name can fail at once, and each is told, in the order of RFC 8460."""
    bad = verified([leaf(None, names=("other.example.org",), period=OVER)], IN_ROOT)
    assert bad == Verified(
        trusted=False,
        trust_error="self_signed",
        time_valid=False,
        name_matches=False,
        results=("certificate-host-mismatch", "certificate-expired", "certificate-not-trusted"),
    )


@pytest.mark.parametrize(
    ("names", "host", "matches"),
    [
        (("mx.example.org",), "mx.example.org", True),
        (("MX.Example.ORG",), "mx.example.org", True),
        (("a.example.org", "mx.example.org"), "mx.example.org", True),
        (("mx.example.org",), "example.org", False),
        (("example.org",), "mx.example.org", False),
        (("*.example.org",), "mx.example.org", True),
        (("*.example.org",), "example.org", False),
        (("*.example.org",), "a.mx.example.org", False),
        (("mx.*.org",), "mx.example.org", False),
        (("m*.example.org",), "mx.example.org", False),
        (("*",), "localhost", False),
        (("*.org",), "example.org", False),
        (("*.*.org",), "mx.example.org", False),
        (("localhost",), "localhost", True),
        (("*.org", "", "192.0.2.1", "mx.example.org"), "mx.example.org", True),  # RFC 9525 §6.3: bad ones are ignored
        (("xn--mx-eka.example.org",), "xn--mx-eka.example.org", True),
        (("*.example.org",), "xn--mx-eka.example.org", True),  # any one label, RFC 9525 §6.3
        (("*.xn--mx-eka.example.org",), "mx.xn--mx-eka.example.org", True),
        (("xn--*.example.org",), "xn--mx-eka.example.org", False),
        (("_dane.example.org",), "_dane.example.org", True),
        (("1_0.example.org",), "1_0.example.org", True),
        (("1_0",), "1_0", None),  # a host name that the library takes for a number
        (("192.0.2.1",), "mx.example.org", False),
        ((x509.IPAddress(ip_address(ADDRESS)),), "mx.example.org", False),
        ((x509.RFC822Name("a@mx.example.org"), x509.UniformResourceIdentifier("x:mx.example.org")), HOST, False),
        ((), "mx.example.org", False),  # its common name, which nobody reads any more
    ],
)
def test_names(names: tuple[str | x509.GeneralName, ...], host: str, matches: bool | None) -> None:
    """DNS-IDs match by RFC 9525 §6.3, and nothing else does."""
    der = leaf(MIDDLE, names=names).der if names else made(HOST, MIDDLE).der
    result = verified([der, MIDDLE], IN_ROOT, host=host)
    assert (result.name_matches, result.trusted) == (matches, True)
    assert result.results == (("certificate-host-mismatch",) if matches is False else ())


@pytest.mark.parametrize(
    ("names", "address", "matches"),
    [
        ((x509.IPAddress(ip_address("192.0.2.1")),), "192.0.2.1", True),
        ((x509.IPAddress(ip_address("2001:db8::1")), x509.IPAddress(ip_address("192.0.2.1"))), "192.0.2.1", True),
        ((x509.IPAddress(ip_address("2001:db8::1")),), "2001:db8::1", True),
        ((x509.IPAddress(ip_address("192.0.2.2")),), "192.0.2.1", None),
        (("192.0.2.1",), "192.0.2.1", None),
        (("mx.example.org",), "192.0.2.1", None),
        ((), "192.0.2.1", None),
    ],
)
def test_addresses(names: tuple[str | x509.GeneralName, ...], address: str, matches: bool | None) -> None:
    """An address without a host: true where it is in the certificate, else unknown, and never a mismatch."""
    der = leaf(MIDDLE, names=names).der if names else made(HOST, MIDDLE).der
    result = verified([der, MIDDLE], IN_ROOT, host=None, address=address)
    assert (result.name_matches, result.results) == (matches, ())


def test_what_cannot_be_read() -> None:
    """Nothing is known of what is no certificate but that it cannot be verified."""
    assert verified([b"garbage", MIDDLE], IN_ROOT) == Verified(results=("validation-failure",))


def test_names_that_cannot_be_read() -> None:
    """Where only the names are broken, trust and time are told."""
    latin = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x04\x82\x02\xe4\xf6")
    expected = Verified(True, None, time_valid=True, name_matches=None, results=("validation-failure",))
    assert verified([made(HOST, ROOT, (latin, False))], IN_ROOT) == expected
    garbage = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x01\x02")
    expected = replace(expected, trusted=False, trust_error="issuer_unknown")  # OpenSSL's word
    expected = replace(expected, results=("certificate-not-trusted", "validation-failure"))
    assert verified([made(HOST, ROOT, (garbage, False))], IN_ROOT) == expected


@pytest.mark.parametrize(
    ("given", "passes"),
    [
        (GOOD, True),
        (replace(GOOD, trusted=False), False),
        (replace(GOOD, time_valid=False), False),
        (replace(GOOD, name_matches=False), False),
        (replace(GOOD, trusted=None, name_matches=False), False),
        (replace(GOOD, trusted=None), None),
        (replace(GOOD, name_matches=None), None),
        (Verified(results=("validation-failure",)), None),
    ],
)
def test_passes(given: Verified, passes: bool | None) -> None:
    """One no is a no, and only three yes are a yes."""
    assert given.passes is passes


class Counted:
    """Counts how often chains are verified in earnest."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        self._real = trust.why_untrusted
        monkeypatch.setattr(trust, "why_untrusted", self)

    def __call__(self, *arguments: Any) -> str | None:
        self.times += 1
        return self._real(*arguments)


def test_a_chain_is_verified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the host, the address and the second; and again after an hour, when an issuer may have expired."""
    counted = Counted(monkeypatch)
    soon = NOW + timedelta(minutes=70)
    expiring = authority("middle", ROOT, period=(NOW - DAY, soon))
    ders = (LEAF.der, expiring.der)
    verifier, certificate = Verifier(IN_ROOT), read_certificate(LEAF.der)
    for number in range(100):
        copied = tuple(bytes(bytearray(der)) for der in ders)
        now = NOW + timedelta(seconds=number)
        assert verifier.verify(copied, certificate, f"mx{number}.example.org", ADDRESS, now).trusted is True
    assert counted.times == 1
    assert verifier.verify(ders, certificate, HOST, ADDRESS, NOW + timedelta(hours=1)).trusted is True
    assert counted.times == 2
    assert verifier.verify(ders, certificate, HOST, ADDRESS, NOW + timedelta(hours=2)).trust_error == "issuer_expired"
    assert counted.times == 3
    assert verifier.verify((LEAF.der,), certificate, HOST, ADDRESS, NOW).trust_error == "issuer_unknown"
    assert counted.times == 4


def test_a_leaf_expires_while_it_is_remembered() -> None:
    """Time is compared each time, and trust stays."""
    short = leaf(MIDDLE, period=(NOW - DAY, NOW + timedelta(minutes=1)))
    verifier, certificate = Verifier(IN_ROOT), read_certificate(short.der)
    for minutes, time_valid in ((0, True), (1, True), (2, False)):
        now = NOW + timedelta(minutes=minutes)
        result = verifier.verify((short.der, MIDDLE.der), certificate, HOST, ADDRESS, now)
        assert (result.trusted, result.time_valid) == (True, time_valid)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was not asked for the longest makes room."""
    counted = Counted(monkeypatch)
    monkeypatch.setattr(trust, "CACHED_CHAINS", 2)
    verifier, certificate = Verifier(IN_ROOT), read_certificate(LEAF.der)
    good, alone, strange = (LEAF.der, MIDDLE.der), (LEAF.der,), (LEAF.der, STRANGER.der)
    for chain in (good, alone, good, strange, good):
        verifier.verify(chain, certificate, HOST, ADDRESS, NOW)
    assert counted.times == verifier.verified.made == 3
    verifier.verify(alone, certificate, HOST, ADDRESS, NOW)
    assert counted.times == 4
    assert len(verifier.verified) == 2


def test_interleaved_chains_are_verified_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """One chain on every second endpoint, and on the others one of its own each, more than are remembered."""
    counted = Counted(monkeypatch)
    monkeypatch.setattr(trust, "CACHED_CHAINS", 8)
    verifier, certificate = Verifier(IN_ROOT), read_certificate(LEAF.der)
    for number in range(50):
        verifier.verify((LEAF.der, MIDDLE.der), certificate, HOST, ADDRESS, NOW)
        verifier.verify((LEAF.der, number.to_bytes(2, "big")), certificate, HOST, ADDRESS, NOW)
    assert counted.times == 1 + 50


def connected(leaf: Made) -> SSL.Connection:
    """The client's side of a TLS connection that is established, over memory."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate(leaf.certificate)
    context.use_privatekey(leaf.key)
    server, client = SSL.Connection(context), SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD))
    server.set_accept_state()
    client.set_connect_state()
    for one, other in ((client, server), (server, client)) * 3:
        with suppress(SSL.WantReadError):
            one.do_handshake()
        with suppress(SSL.WantReadError):
            other.bio_write(one.bio_read(65_536))
    return client


@pytest.mark.parametrize("broken", [(LEAF, b"garbage"), UNTRUSTED["signed by another key"][0]])
def test_no_connection_suffers(broken: Chain) -> None:
    """OpenSSL's errors of a verification are not taken for those of a connection: here, an end that came too soon."""
    client = connected(LEAF)
    with pytest.raises(SSL.WantReadError):
        client.recv(1)
    assert verified(broken, IN_ROOT).trusted is False
    client.bio_shutdown()
    with pytest.raises(SSL.SysCallError, match="Unexpected EOF"):
        client.recv(1)


CHAIN = (LEAF.der, MIDDLE.der)


@given(st.integers(0, 1), st.integers(0, 2_000), st.binary(max_size=4), st.integers(0, 4))
def test_any_damage(which: int, at: int, put: bytes, cut: int) -> None:
    """Whatever a byte of a chain is changed to, there is a result, and it does not contradict itself."""
    ders = list(CHAIN)
    der = ders[which]
    ders[which] = der[: at % len(der)] + put + der[at % len(der) + cut :]
    result = verified(ders, IN_ROOT)
    assert (result.trust_error is not None) is (result.trusted is False)
    assert ("certificate-not-trusted" in result.results) is (result.trusted is False)
    assert ("certificate-host-mismatch" in result.results) is (result.name_matches is False)
    if result.trusted:
        signed = x509.load_der_x509_certificate(ders[0]).tbs_certificate_bytes
        assert signed == LEAF.certificate.tbs_certificate_bytes


def test_every_word_is_in_the_schema() -> None:
    """No result and no reason has a word that the contract lacks."""
    certificate = SCHEMA["$defs"]["certificate"]["properties"]
    assert set(certificate["results"]["items"]["enum"]) == {word.value for word in trust.Result}
    assert set(SCHEMA["$defs"]["trust_error"]["enum"]) == {word.value for word in trust.TrustError}
    assert {why for _, _, why in UNTRUSTED.values()} == {word.value for word in trust.TrustError}
