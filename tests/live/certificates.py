"""The certificates that the servers present: a root, an intermediate, and one leaf for each row of the table below.

Made anew for each run, in the run's own directory, with fixed dates and serial numbers, so that the truth can be
written down.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Issuer(StrEnum):
    """Who signed a leaf: decides the length of the chain that the server sends (the root is never sent)."""

    SELF = "self"  # 1 certificate
    ROOT = "tlsweep live root"  # 1 certificate
    INTERMEDIATE = "tlsweep live intermediate"  # 2 certificates


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate to be made. The first of `names` is the subject's common name."""

    label: str
    names: tuple[str, ...]
    key: str = "EC"  # P-256, or "RSA" with 2,048 bits
    issuer: Issuer = Issuer.INTERMEDIATE
    not_before: str = "2024-01-01T00:00:00Z"
    not_after: str = "2049-12-31T23:59:59Z"

    @property
    def time_valid(self) -> bool:
        """Is it valid on the day of the test?"""
        return _time(self.not_before) <= datetime.now(UTC) <= _time(self.not_after)

    def covers(self, host: str) -> bool:
        """Is it for this host (RFC 9525 §6.3: a wildcard stands for one whole label)?"""
        return host in self.names or f"*.{host.partition('.')[2]}" in self.names

    @property
    def serial(self) -> int:
        """Sixteen bytes; the first is 0a, so that a lost leading zero shows."""
        return int.from_bytes(b"\x0a" + sha256(self.label.encode()).digest()[:15])


MAIL = Leaf("mail", ("mail.live.test", "mx.live.test"))
MAIL_RSA = Leaf("mail-rsa", ("mail.live.test", "mx.live.test"), key="RSA")
WEB = Leaf("web", ("web.live.test", "*.web.live.test"))
WEB_RSA = Leaf("web-rsa", ("web.live.test", "*.web.live.test"), key="RSA")
FIRST = Leaf("first", ("first.live.test",), issuer=Issuer.ROOT)
SECOND = Leaf("second", ("second.live.test",), key="RSA", issuer=Issuer.ROOT)
SELF_SIGNED = Leaf("self-signed", ("self.live.test",), key="RSA", issuer=Issuer.SELF)
EXPIRED = Leaf("expired", ("expired.live.test",), not_before="2019-01-01T00:00:00Z", not_after="2021-01-01T00:00:00Z")
LEAVES = (MAIL, MAIL_RSA, WEB, WEB_RSA, FIRST, SECOND, SELF_SIGNED, EXPIRED)


class Certificates:
    """All leaves as files in one directory, and what is true of each."""

    def __init__(self, directory: Path, leaves: Iterable[Leaf] = LEAVES) -> None:
        self.directory = directory
        directory.mkdir()
        root_key = ec.generate_private_key(ec.SECP256R1())
        middle_key = ec.generate_private_key(ec.SECP256R1())
        root = _authority(Issuer.ROOT, root_key, Issuer.ROOT, root_key)
        middle = _authority(Issuer.INTERMEDIATE, middle_key, Issuer.ROOT, root_key)
        self.root = directory / "root.pem"
        self.root.write_bytes(root.public_bytes(Encoding.PEM))
        self.intermediate = directory / "intermediate.pem"
        self.intermediate.write_bytes(middle.public_bytes(Encoding.PEM))
        signers = {Issuer.ROOT: root_key, Issuer.INTERMEDIATE: middle_key}
        above = {Issuer.SELF: [], Issuer.ROOT: [], Issuer.INTERMEDIATE: [middle]}
        self.chains: dict[Leaf, list[x509.Certificate]] = {}
        for leaf in leaves:
            key = _private_key(leaf)
            self.chains[leaf] = [_certificate(leaf, key, signers.get(leaf.issuer, key)), *above[leaf.issuer]]
            pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self.chains[leaf])
            self.chain_file(leaf).write_bytes(pem)
            private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            self.key_file(leaf).write_bytes(private)

    def chain_file(self, leaf: Leaf) -> Path:
        """The leaf and what is above it but for the root, in PEM."""
        return self.directory / f"{leaf.label}.pem"

    def key_file(self, leaf: Leaf) -> Path:
        """The leaf's private key in PEM, without a passphrase."""
        return self.directory / f"{leaf.label}.key"

    def chain(self, leaf: Leaf) -> list[str]:
        """`tls.chain` of a server that presents this leaf."""
        return [sha256(certificate.public_bytes(Encoding.DER)).hexdigest() for certificate in self.chains[leaf]]

    def facts(self, leaf: Leaf) -> dict[str, object]:
        """`certificate` of a server that presents this leaf, but for what depends on who asks."""
        certificate = self.chains[leaf][0]
        public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self_signed = leaf.issuer is Issuer.SELF
        signed_by_rsa = self_signed and leaf.key == "RSA"
        return {
            "sha256": self.chain(leaf)[0],
            "spki_sha256": sha256(public).hexdigest(),
            "serial": f"{leaf.serial:032x}",
            "subject": f"CN={leaf.names[0]}",
            "issuer": f"CN={leaf.names[0] if self_signed else leaf.issuer}",
            "dns_names": list(leaf.names),
            "ip_names": [],
            "not_before": leaf.not_before,
            "not_after": leaf.not_after,
            "key": {
                "type": leaf.key,
                "bits": 256 if leaf.key == "EC" else 2048,
                "curve": "secp256r1" if leaf.key == "EC" else None,
            },
            "signature": "sha256WithRSAEncryption" if signed_by_rsa else "ecdsa-with-SHA256",
            "signature_oid": "1.2.840.113549.1.1.11" if signed_by_rsa else "1.2.840.10045.4.3.2",
            "self_signed": self_signed,
            "time_valid": leaf.time_valid,
            "parse_error": None,
        }


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _private_key(leaf: Leaf) -> PrivateKey:
    if leaf.key == "EC":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _certificate(leaf: Leaf, key: PrivateKey, signer: PrivateKey) -> x509.Certificate:
    issuer = leaf.names[0] if leaf.issuer is Issuer.SELF else leaf.issuer
    return (
        x509.CertificateBuilder()
        .subject_name(_name(leaf.names[0]))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(leaf.serial)
        .not_valid_before(_time(leaf.not_before))
        .not_valid_after(_time(leaf.not_after))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in leaf.names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(signer, hashes.SHA256())
    )


def _authority(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2024, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2049, 12, 31, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
