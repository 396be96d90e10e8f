"""Certificates: what they say, and what becomes of those that nobody should have made."""

import hashlib
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import crypto

import scanner.tls.certificate
from scanner.cache import Cache
from scanner.tls.certificate import (
    MAX_CACHED_BYTES,
    MAX_NAMES,
    MAX_RSA_BITS,
    MAX_SERIAL_BYTES,
    Certificate,
    Key,
    cache_weight,
    read_certificate,
    sha256,
)
from tests.scanner.tls.test_scts import GOOD as TIMESTAMP
from tests.scanner.tls.test_scts import listed, sct

FROM = datetime(2026, 1, 1, tzinfo=UTC)
UNTIL = datetime(2026, 4, 1, tzinfo=UTC)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
NAMES: tuple[x509.GeneralName, ...] = (x509.DNSName("mx.example.org"),)


def made(
    key: CertificateIssuerPrivateKeyTypes = EC_KEY,
    *,
    signer: CertificateIssuerPrivateKeyTypes | None = None,
    issuer: str = "mx.example.org",
    names: tuple[x509.GeneralName, ...] = NAMES,
    algorithm: hashes.SHA256 | hashes.SHA384 | None = None,
) -> bytes:
    """A certificate for mx.example.org, by itself or by somebody else."""
    builder = x509.CertificateBuilder(
        issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]),
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.example.org")]),
        public_key=key.public_key(),
        serial_number=0x0A1B,
        not_valid_before=FROM,
        not_valid_after=UNTIL,
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    edwards = isinstance(signer or key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return builder.sign(signer or key, None if edwards else algorithm or hashes.SHA256()).public_bytes(Encoding.DER)


GOOD = made()


@pytest.mark.parametrize(("bits", "exponent"), [(MAX_RSA_BITS + 1, 65537), (4_096, 2**64 + 1)])
def test_a_key_too_large_to_verify_by(bits: int, exponent: int) -> None:
    """OpenSSL refuses all that it has signed: whether it has signed itself, nobody can tell."""
    large = rsa.RSAPublicNumbers(exponent, (1 << (bits - 1)) + 1).public_key()
    builder = x509.CertificateBuilder(
        issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.example.org")]),
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.example.org")]),
        public_key=large,
        serial_number=1,
        not_valid_before=FROM,
        not_valid_after=UNTIL,
    )
    der = builder.sign(rsa.generate_private_key(65537, 2_048), hashes.SHA256()).public_bytes(Encoding.DER)
    facts = read_certificate(der)
    assert (facts.key, facts.self_signed) == (Key("RSA", bits), None)
    assert facts.parse_error == "UnsupportedAlgorithm: a key too large to verify a signature by"
    assert read_certificate(made(rsa.generate_private_key(65537, 2_048))).self_signed is True


def test_facts() -> None:
    """Every fact of an ordinary certificate."""
    spki = EC_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert read_certificate(GOOD) == Certificate(
        sha256=hashlib.sha256(GOOD).hexdigest(),
        spki_sha256=hashlib.sha256(spki).hexdigest(),
        serial="0a1b",
        subject="CN=mx.example.org",
        issuer="CN=mx.example.org",
        dns_names=("mx.example.org",),
        ip_names=(),
        not_before=FROM,
        not_after=UNTIL,
        key=Key("EC", 256, "secp256r1"),
        signature="ecdsa-with-SHA256",
        signature_oid="1.2.840.10045.4.3.2",
        self_signed=True,
        must_staple=False,
        scts=(),
    )


@pytest.mark.parametrize(
    ("key", "facts", "signature"),
    [
        (rsa.generate_private_key(65537, 1024), Key("RSA", 1024), "sha256WithRSAEncryption"),
        (ec.generate_private_key(ec.SECP384R1()), Key("EC", 384, "secp384r1"), "ecdsa-with-SHA256"),
        (ed25519.Ed25519PrivateKey.generate(), Key("Ed25519", 256), "Ed25519"),
        (ed448.Ed448PrivateKey.generate(), Key("Ed448", 456), "Ed448"),
        (dsa.generate_private_key(1024), Key("DSA", 1024), "dsa-with-sha256"),
    ],
    ids=["RSA", "P-384", "Ed25519", "Ed448", "DSA"],
)
def test_keys(key: CertificateIssuerPrivateKeyTypes, facts: Key, signature: str) -> None:
    """Each kind of key, and the signature that it makes."""
    certificate = read_certificate(made(key))
    assert (certificate.key, certificate.signature) == (facts, signature)
    assert certificate.self_signed is True
    assert certificate.parse_error is None


def test_names() -> None:
    """DNS names and addresses from the SAN, each in its own list; no SAN is two empty lists, whatever the CN says."""
    names = (
        *NAMES,
        x509.DNSName("*.example.org"),
        x509.IPAddress(ip_address("192.0.2.1")),
        x509.IPAddress(ip_address("2001:db8::1")),
    )
    certificate = read_certificate(made(names=names))
    assert certificate.dns_names == ("mx.example.org", "*.example.org")
    assert certificate.ip_names == ("192.0.2.1", "2001:db8::1")
    without = read_certificate(made(names=()))
    assert (without.dns_names, without.ip_names) == ((), ())


def test_text_is_made_harmless() -> None:
    """What a terminal would obey is escaped in certificates too."""
    certificate = read_certificate(made(issuer="\x1b[31mred", names=(x509.DNSName("a\x07b"),)))
    assert certificate.issuer is not None
    assert certificate.issuer.isprintable()
    assert certificate.dns_names == ("a\\x07b",)


def test_self_signed() -> None:
    """Self-signed is who signed itself, not who only says so."""
    other = ec.generate_private_key(ec.SECP256R1())
    assert read_certificate(made(issuer="CA")).self_signed is False
    assert read_certificate(made(signer=other)).self_signed is False
    assert read_certificate(made(signer=other)).parse_error is None


@pytest.mark.parametrize(
    ("moment", "valid"),
    [(FROM, True), (UNTIL, True), (FROM - timedelta(seconds=1), False), (UNTIL + timedelta(seconds=1), False)],
)
def test_period(moment: datetime, valid: bool) -> None:
    """Both ends of the period are within it (RFC 5280 §4.1.2.5); a certificate without one cannot be told."""
    assert read_certificate(GOOD).valid_at(moment) is valid
    assert read_certificate(b"garbage").valid_at(moment) is None


@pytest.mark.parametrize("der", [b"", b"\x30", b"garbage", GOOD[:-1], GOOD + b"\x00", bytes(1000)])
def test_no_certificate(der: bytes) -> None:
    """What is no certificate keeps its fingerprint, and says why it was not read."""
    certificate = read_certificate(der)
    assert certificate == Certificate(sha256(der), parse_error=certificate.parse_error)
    assert certificate.parse_error


def test_negative_serial() -> None:
    """A serial number that RFC 5280 forbids and that exists is a fact, and no warning on the terminal."""
    negative = GOOD.replace(b"\x02\x02\x0a\x1b", b"\x02\x02\x8a\x1b", 1)
    certificate = read_certificate(negative)
    assert certificate.serial == "-75e5"
    assert certificate.subject == "CN=mx.example.org"


def test_unknown_version() -> None:
    """A version of X.509 that there is not."""
    certificate = read_certificate(GOOD.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1))
    assert certificate.subject is None
    assert certificate.parse_error == "7 is not a valid X509 version"


def test_one_broken_fact() -> None:
    """A key that cannot be read takes no other fact with it."""
    point = EC_KEY.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    certificate = read_certificate(GOOD.replace(point, point[:1] + bytes(64), 1))
    assert certificate.key is None
    assert certificate.dns_names == ("mx.example.org",)
    assert certificate.not_after == UNTIL
    assert certificate.parse_error


# Certificates that no library of ours would make: a good one with another element in its place


def element(tag: int, content: bytes) -> bytes:
    """An element of DER."""
    size = len(content).to_bytes(4, "big").lstrip(b"\0")
    return bytes([tag]) + (bytes([len(content)]) if len(content) < 128 else bytes([0x80 | len(size)]) + size) + content


def made_of(*, serial: bytes = b"\x0a\x1b", spki: bytes | None = None, extensions: bytes = b"") -> bytes:
    """A certificate of these parts for CN=a, with a signature that is none."""
    algorithm = element(0x30, bytes.fromhex("06082a8648ce3d040302"))  # ecdsa-with-SHA256
    name = element(0x30, element(0x31, element(0x30, bytes.fromhex("0603550403") + element(0x0C, b"a"))))
    period = element(0x30, element(0x17, b"260101000000Z") + element(0x17, b"260401000000Z"))
    key = EC_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    head = bytes.fromhex("a003020102") + element(0x02, serial) + algorithm
    tail = element(0xA3, element(0x30, extensions)) if extensions else b""
    tbs = element(0x30, head + name + period + name + (spki or key) + tail)
    return element(0x30, tbs + algorithm + element(0x03, b"\0\x30\x06\x02\x01\x01\x02\x01\x01"))


def spki_of(algorithm: bytes, key: bytes) -> bytes:
    """A SubjectPublicKeyInfo."""
    return element(0x30, element(0x30, algorithm) + element(0x03, b"\0" + key))


RSA_KEY = rsa.generate_private_key(65537, 1024).public_key()
PKCS1 = RSA_KEY.public_bytes(Encoding.DER, PublicFormat.PKCS1)
EC_PARAMETERS = bytes.fromhex("06072a8648ce3d020106082a8648ce3d030107")
RSA_OID, PSS_OID = bytes.fromhex("06092a864886f70d010101"), bytes.fromhex("06092a864886f70d01010a")
DH_OID, X942_OID = bytes.fromhex("06092a864886f70d010301"), bytes.fromhex("06072a8648ce3e0201")
DH_PARAMETERS = element(0x30, element(0x02, b"\x7f" + bytes(1_249) + b"\x07") + element(0x02, b"\x02"))
X942_PARAMETERS = element(0x30, element(0x02, b"\x7f" + bytes(1_249) + b"\x07") + element(0x02, b"\x02") * 2)

SPKI: dict[str, tuple[bytes, Key | None]] = {
    "a compressed point": (
        spki_of(EC_PARAMETERS, EC_KEY.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)),
        Key("EC", 256, "secp256r1"),
    ),
    "RSA without NULL": (spki_of(RSA_OID, PKCS1), Key("RSA", 1024)),
    "RSA-PSS": (spki_of(PSS_OID, PKCS1), Key("RSA", 1024)),
    "an algorithm that nobody knows": (spki_of(bytes.fromhex("06032a0304"), b"key"), None),
    "a point that is none": (spki_of(EC_PARAMETERS, b"\x04" + bytes(64)), None),
    "DH of PKCS #3": (spki_of(DH_OID + DH_PARAMETERS, b"\x02\x01\x02"), Key("DH")),
    "DH of X9.42": (spki_of(X942_OID + X942_PARAMETERS, b"\x02\x01\x02"), Key("DH")),
}


@pytest.mark.parametrize(("spki", "key"), SPKI.values(), ids=SPKI)
def test_fingerprint_of_the_key(spki: bytes, key: Key | None) -> None:
    """`spki_sha256` is of the bytes that stand in the certificate, however their key is written or known."""
    certificate = read_certificate(made_of(spki=spki))
    assert certificate.spki_sha256 == hashlib.sha256(spki).hexdigest()
    assert certificate.key == key


@pytest.mark.parametrize("key", [EC_KEY, rsa.generate_private_key(65537, 1024), dsa.generate_private_key(1024)])
def test_fingerprint_of_the_key_by_openssl(key: CertificateIssuerPrivateKeyTypes) -> None:
    """For an ordinary key it is what OpenSSL writes."""
    der = made(key)
    spki = crypto.dump_publickey(crypto.FILETYPE_ASN1, crypto.load_certificate(crypto.FILETYPE_ASN1, der).get_pubkey())
    assert read_certificate(der).spki_sha256 == hashlib.sha256(spki).hexdigest()


@pytest.mark.parametrize("algorithm", [DH_OID + DH_PARAMETERS, X942_OID + X942_PARAMETERS])
def test_no_key_of_dh_is_checked(algorithm: bytes) -> None:
    """A key of DH signs nothing, and to check its group may take a second: even a bad group is left unread."""
    certificate = read_certificate(made_of(spki=spki_of(algorithm, b"\x02\x01\x03")))
    assert (certificate.key, certificate.self_signed, certificate.parse_error) == (Key("DH"), False, None)


def test_serial_too_long() -> None:
    """A serial number far beyond RFC 5280's 20 octets is told by its length."""
    longest = read_certificate(made_of(serial=b"\x7f" * MAX_SERIAL_BYTES))
    assert longest.serial == "7f" * MAX_SERIAL_BYTES
    longer = read_certificate(made_of(serial=b"\x7f" * 40_000))
    assert longer.serial is None
    assert longer.parse_error is not None
    assert "a serial number of 40000 bytes" in longer.parse_error


def test_too_many_names() -> None:
    """Beyond 1,000 names of each kind the rest is only counted."""
    general = element(0x82, b"a.example") * 1_001 + element(0x87, b"\x7f\0\0\1") * 1_002
    san = element(0x30, bytes.fromhex("0603551d11") + element(0x04, element(0x30, general)))
    certificate = read_certificate(made_of(extensions=san))
    assert certificate.dns_names == ("a.example",) * MAX_NAMES
    assert certificate.ip_names == ("127.0.0.1",) * MAX_NAMES
    assert certificate.parse_error is not None
    assert "1 more DNS names; 2 more addresses" in certificate.parse_error


def extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    """An extension of a certificate."""
    return element(0x30, bytes.fromhex(oid) + (b"\x01\x01\xff" if critical else b"") + element(0x04, value))


FEATURE, SCT_LIST = "06082b06010505070118", "060a2b06010401d679020402"
OTHER = extension("0603551d0e", element(0x04, b"key"))


@pytest.mark.parametrize(
    ("value", "promised"),
    [
        (bytes.fromhex("3003020105"), True),
        (bytes.fromhex("3006020111020105"), True),
        (bytes.fromhex("300702020203020105"), True),
        (bytes.fromhex("3003020111"), False),
        (bytes.fromhex("300402020005"), True),
        (bytes.fromhex("30040202ff05"), False),
        (bytes.fromhex("3000"), False),
        (bytes.fromhex("30020201"), False),
        (bytes.fromhex("04030201"), False),
        (b"", False),
    ],
)
@pytest.mark.parametrize("critical", [True, False])
def test_must_staple(value: bytes, promised: bool, critical: bool) -> None:
    """The feature status_request is among others; a value that cannot be read promises nothing (RFC 7633 §4)."""
    der = made_of(extensions=OTHER + extension(FEATURE, value, critical=critical) + OTHER)
    assert read_certificate(der).must_staple is promised


def test_must_staple_by_the_library() -> None:
    """As an authority writes it."""
    feature = x509.TLSFeature([x509.TLSFeatureType.status_request])
    builder = x509.CertificateBuilder(
        issuer_name=x509.Name([]),
        subject_name=x509.Name([]),
        public_key=EC_KEY.public_key(),
        serial_number=1,
        not_valid_before=FROM,
        not_valid_after=UNTIL,
        extensions=[x509.Extension(feature.oid, False, feature)],
    )
    certificate = read_certificate(builder.sign(EC_KEY, hashes.SHA256()).public_bytes(Encoding.DER))
    assert (certificate.must_staple, certificate.parse_error) == (True, None)


def test_timestamps() -> None:
    """Those of CT logs, also where a broken extension keeps the library from reading any."""
    broken = extension("0603551d11", b"\x01\x02")
    for others in (b"", OTHER, broken):
        der = made_of(extensions=others + extension(SCT_LIST, element(0x04, listed(sct(), sct()))) + others)
        assert read_certificate(der).scts == (TIMESTAMP, TIMESTAMP)
    assert read_certificate(made_of(extensions=extension(SCT_LIST, listed(sct())))).scts == ()
    assert read_certificate(made_of(extensions=extension(SCT_LIST, b"\x04"))).scts == ()
    assert read_certificate(made_of(extensions=OTHER)).scts == ()
    assert read_certificate(b"garbage").scts is None


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Cache[Certificate]:
    """An empty cache."""
    fresh = Cache[Certificate](MAX_CACHED_BYTES)
    monkeypatch.setattr(scanner.tls.certificate, "PARSED", fresh)
    return fresh


def test_parsed_once(parsed: Cache[Certificate]) -> None:
    """Each distinct certificate is parsed once, large ones and broken ones too, in whatever order they come."""
    distinct = [GOOD, made(), made_of(serial=b"\x7f" * 60_000), b"garbage", b""]
    for der in distinct * 200:
        assert read_certificate(bytes(bytearray(der))) == read_certificate(der)
    assert parsed.made == len(distinct)


def test_one_among_many_is_parsed_once(parsed: Cache[Certificate], monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that comes again and again stays, when more others come between than are kept."""
    monkeypatch.setattr(scanner.tls.certificate, "PARSED", small := Cache[Certificate](cache_weight(GOOD) * 4))
    for number in range(100):
        read_certificate(GOOD)
        read_certificate(number.to_bytes(2, "big"))
    assert small.made == 1 + 100
    assert parsed.made == 0


def test_what_is_remembered_is_bounded(parsed: Cache[Certificate]) -> None:
    """However many come: of the smallest, some thousands are kept, and of the largest, a hundred."""
    for number in range(10_000):
        read_certificate(number.to_bytes(2, "big"))
    assert len(parsed) == MAX_CACHED_BYTES // cache_weight(b"ab")
    for number in range(200):
        read_certificate(number.to_bytes(100_000, "big"))
    assert len(parsed) == MAX_CACHED_BYTES // cache_weight(bytes(100_000))


@given(changes=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=3))
@settings(max_examples=800, deadline=None, derandomize=True)
def test_any_bytes_changed(changes: list[tuple[int, int]]) -> None:
    """A certificate with any bytes changed is read as far as it can be, without an exception and without a warning."""
    der = bytearray(GOOD)
    for at, to in changes:
        der[at] = to
    certificate = read_certificate(bytes(der))
    assert certificate.sha256 == hashlib.sha256(der).hexdigest()
    assert certificate.subject is not None or certificate.parse_error
    assert (certificate.parse_error or "").isprintable()
