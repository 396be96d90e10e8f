"""openssl s_server, one setting at a time: versions, groups, suites, keys, client certificates and long chains.

It serves one connection after the other. tests/live has some of these settings; here are the rest.
"""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.live.certificates import WEB, WEB_RSA, Certificates, Issuer, Leaf
from tests.live.servers import (
    BY_OPENSSL,
    TLS13,
    Found,
    Listener,
    Server,
    Truth,
    alert,
    beyond_us,
    lower,
    spoken_by_openssl,
)
from tests.live_full.truths import Like

HOST = "web.live.test"
ALL_SUITES = "ALL:@SECLEVEL=0"
SHAKEN: Truth = TLS13 | {"client_certificate": "none"}

More = Callable[[Path, Certificates], Sequence[str | Path]]


def of_leaf(leaf: Leaf) -> More:
    """The leaf, its key, and what is above it."""

    def files(_: Path, certificates: Certificates) -> Sequence[str | Path]:
        chain = ("-cert_chain", certificates.intermediate) if leaf.issuer is Issuer.INTERMEDIATE else ()
        return "-cert", certificates.chain_file(leaf), *chain, "-key", certificates.key_file(leaf)

    return files


def without_certificate(_: Path, __: Certificates) -> Sequence[str | Path]:
    """Nothing at all."""
    return ("-nocert",)


def openssl(
    number: int,
    name: str,
    options: str,
    truth: Truth,
    leaf: Leaf | None = WEB_RSA,
    shown: More | None = None,
    *,
    handshake: bool = True,
) -> Server:
    """An instance of s_server at an address of its own; `shown` are its certificates where they are no leaf's."""
    files = shown or (of_leaf(leaf) if leaf else without_certificate)
    address = f"127.77.41.{number}"

    def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        accept = ("-accept", f"{address}:443", "-CAfile", certificates.root)
        return "openssl", "s_server", "-www", "-quiet", *accept, *files(directory, certificates), *options.split()

    told = {"status": "tls"} | truth
    listener = Listener(HOST, address, 443, "tls", told, leaf=leaf, handshake=handshake)
    return Server(f"openssl-{name}", configure, (listener,))


@dataclass(frozen=True, slots=True, eq=False)
class Length:
    """Equal to every list of so many."""

    items: int

    def __eq__(self, recorded: object) -> bool:
        return isinstance(recorded, list) and len(recorded) == self.items

    __hash__ = None  # type: ignore[assignment]


def pss_files(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """A key that may sign by RSASSA-PSS and by nothing else (RFC 4055 §1.2), in a certificate that signs itself."""
    key, certificate = directory / "pss.key", directory / "pss.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048", "-nodes", "-sha256"]
    subject = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-days", "3650"]
    subprocess.run([*make, *subject, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return "-cert", certificate, "-key", key


def long_chain_files(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """A good chain, and 60 KB of certificates behind it that nobody asked for."""
    chain = directory / "chain.pem"
    ballast = b"".join(ballast_certificate(number) for number in range(LONG_CHAIN))
    chain.write_bytes(certificates.intermediate.read_bytes() + ballast)
    leaf = ("-cert", certificates.chain_file(WEB_RSA), "-key", certificates.key_file(WEB_RSA))
    return *leaf, "-cert_chain", chain


def ballast_certificate(number: int) -> bytes:
    """A certificate of some 5 KB, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"ballast {number}")])
    names = [x509.DNSName(f"{each:064x}.{number}.ballast.test") for each in range(60)]
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(number + 1).add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.not_valid_before(datetime(2024, 1, 1, tzinfo=UTC))
    builder = builder.not_valid_after(datetime(2049, 12, 31, tzinfo=UTC))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


LONG_CHAIN = 12
RSASSA_PSS = "1.2.840.113549.1.1.10"

OLD, MODERN = ("TLSv1.0", "TLSv1.1"), ("TLSv1.2", "TLSv1.3")
NO_MODERN: Truth = {"findings": Found("tls1.0-enabled", "tls1.1-enabled")}
# At security level 2 there is no signature for what is below TLS 1.2: an alert 80, to every hello of the ladder.
NO_SIGNATURE: Truth = {"verdict": "no", "flags": ["retry_used"]} | alert("internal_error")
UNSIGNED = BY_OPENSSL | dict.fromkeys(OLD, NO_SIGNATURE)


def agreed(version: str, cipher: str, group: str | None) -> Truth:
    """`tls` of a whole handshake."""
    return SHAKEN | {"version": version, "cipher": cipher, "cipher_id": Like("0x....")} | in_group(group)


def in_group(name: str | None) -> Truth:
    """The group of a key exchange, with its number."""
    return {"group": name, "group_id": GROUPS[name]}


def retried(group: str) -> Truth:
    """TLS 1.3 with a group for which our hello has no key."""
    return {"TLSv1.3": {"evidence": "hello_retry_request", "flags": ["hrr"]} | in_group(group)}


def by_shared_secret(*versions: str) -> Truth:
    """Versions that are found by suites with a key that we do not have."""
    flags = {version: ["retry_used", "tls12_hint"] for version in OLD} | {"TLSv1.2": ["retry_used"]}
    return {version: {"hello": "shared_secret", "flags": flags[version]} for version in versions}


def by_other_suites(cipher: str) -> Truth:
    """TLS 1.2, found by a suite with a certificate."""
    return {"TLSv1.2": {"hello": "other_suites", "cipher": cipher, "flags": ["retry_used"]}}


KEYLESS: Truth = beyond_us()
WITHOUT_KEY: Truth = {"tls": KEYLESS | {"chain": None}, "certificate": None}

GROUPS = {
    None: None,
    "x25519": "0x001d",
    "x448": "0x001e",
    "secp521r1": "0x0019",
    "ffdhe3072": "0x0101",
}
CCM_8 = "TLS_AES_128_CCM_8_SHA256"
ECDHE_RSA_CBC = "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"
ECDHE_RSA_GCM = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"

SERVERS = (
    openssl(
        1,
        "tls1.0",
        f"-tls1 -cipher {ALL_SUITES}",
        {
            "versions": spoken_by_openssl(
                "TLSv1.0", others=BY_OPENSSL | dict.fromkeys(("TLSv1.1", "TLSv1.2"), lower("TLSv1.0"))
            ),
            "tls": agreed("TLSv1.0", ECDHE_RSA_CBC, "x25519"),
            "findings": Found("tls1.0-enabled", "no-tls1.2-or-later"),
        },
    ),
    openssl(
        2,
        "tls1.1",
        f"-tls1_1 -cipher {ALL_SUITES}",
        {
            "versions": spoken_by_openssl("TLSv1.1", others=BY_OPENSSL | {"TLSv1.2": lower("TLSv1.1")}),
            "tls": agreed("TLSv1.1", ECDHE_RSA_CBC, "x25519"),
            "findings": Found("tls1.1-enabled", "no-tls1.2-or-later"),
        },
    ),
    openssl(
        3,
        "tls1.2",
        "-tls1_2",
        {
            "versions": spoken_by_openssl("TLSv1.2"),
            "tls": agreed("TLSv1.2", ECDHE_RSA_GCM, "x25519"),
            "findings": Found(),
        },
    ),
    openssl(4, "tls1.3", "-tls1_3", {"versions": spoken_by_openssl("TLSv1.3"), "tls": SHAKEN, "findings": Found()}),
    openssl(
        5,
        "all",
        f"-min_protocol TLSv1 -cipher {ALL_SUITES}",
        {"versions": spoken_by_openssl(*OLD, *MODERN), "tls": SHAKEN} | NO_MODERN,
    ),
    # HelloRetryRequests, as our hello has a key for x25519 alone.
    openssl(
        6,
        "secp521r1",
        "-groups P-521",
        {
            "versions": spoken_by_openssl(*MODERN, others=UNSIGNED, known=retried("secp521r1")),
            "tls": SHAKEN | in_group("secp521r1"),
        },
    ),
    openssl(
        7,
        "ffdhe3072",
        "-tls1_3 -groups ffdhe3072",
        {"versions": spoken_by_openssl("TLSv1.3", known=retried("ffdhe3072")), "tls": SHAKEN | in_group("ffdhe3072")},
    ),
    openssl(
        8,
        "x448",
        "-min_protocol TLSv1.2 -groups X448",
        {"versions": spoken_by_openssl(*MODERN, known=retried("x448")), "tls": SHAKEN | in_group("x448")},
    ),
    # No certificate at all: suites without authentication, which our own OpenSSL offers too.
    openssl(
        9,
        "anonymous",
        "-no_tls1_3 -cipher aNULL:@SECLEVEL=0",
        {"versions": spoken_by_openssl(*OLD, "TLSv1.2"), "tls": {"chain": None}, "certificate": None},
        leaf=None,
    ),
    openssl(
        10,
        "dhe",
        "-min_protocol TLSv1 -max_protocol TLSv1.2 -cipher kDHE:@SECLEVEL=0",
        {
            "versions": spoken_by_openssl(*OLD, "TLSv1.2"),
            "tls": agreed("TLSv1.2", "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", None),
        }
        | NO_MODERN,
    ),
    openssl(
        11,
        "ecdsa",
        f"-min_protocol TLSv1 -cipher {ALL_SUITES}",
        {"versions": spoken_by_openssl(*OLD, *MODERN), "tls": SHAKEN} | NO_MODERN,
        leaf=WEB,
    ),
    # Such a key makes no signature that there is below TLS 1.2 (RFC 8446 §4.2.3).
    openssl(
        12,
        "rsa-pss",
        "",
        {
            "versions": spoken_by_openssl(
                *MODERN,
                others=BY_OPENSSL | dict.fromkeys(OLD, {"flags": ["retry_used"]} | alert("handshake_failure")),
            ),
            "tls": SHAKEN,
            "certificate": {
                "self_signed": True,
                "name_matches": True,
                "signature_oid": RSASSA_PSS,
                "parse_error": None,
            },
            "findings": Found("certificate-not-trusted"),
        },
        leaf=None,
        shown=pss_files,
    ),
    openssl(
        13,
        "long-chain",
        "-min_protocol TLSv1.2",
        {
            "versions": spoken_by_openssl(*MODERN),
            "tls": SHAKEN | {"chain": Length(2 + LONG_CHAIN)},
            "findings": Found(),
        },
        leaf=None,
        shown=long_chain_files,
    ),
    openssl(
        14,
        "requests-certificate",
        "-tls1_2 -verify 2",
        {"versions": spoken_by_openssl("TLSv1.2"), "tls": {"version": "TLSv1.2", "client_certificate": "requested"}},
    ),
    openssl(
        15,
        "requires-certificate",
        f"-min_protocol TLSv1 -cipher {ALL_SUITES} -Verify 2",
        {"versions": spoken_by_openssl(*OLD, *MODERN), "tls": {"version": "TLSv1.3", "client_certificate": "required"}},
    ),
    openssl(
        16,
        "static-rsa",
        "-tls1_2 -cipher AES128-SHA",
        {"versions": spoken_by_openssl("TLSv1.2"), "tls": agreed("TLSv1.2", "TLS_RSA_WITH_AES_128_CBC_SHA", None)},
    ),
    openssl(
        17,
        "ccm",
        "-tls1_3 -ciphersuites TLS_AES_128_CCM_8_SHA256",
        {
            "versions": spoken_by_openssl("TLSv1.3", known={"TLSv1.3": {"cipher": CCM_8}}),
            "tls": agreed("TLSv1.3", CCM_8, "x25519"),
        },
    ),
    # Suites that the plain hello has not. Of these, our OpenSSL's handshake has those that rest on a certificate.
    openssl(
        18,
        "psk",
        "-tls1_2 -psk 1a2b3c4d -cipher kPSK",
        {"versions": spoken_by_openssl("TLSv1.2", known=by_shared_secret("TLSv1.2"))} | WITHOUT_KEY,
        leaf=None,
    ),
    openssl(
        19,
        "null",
        "-tls1_2 -cipher eNULL:@SECLEVEL=0",
        {"versions": spoken_by_openssl("TLSv1.2"), "tls": {"version": "TLSv1.2"}},
    ),
    openssl(
        20,
        "brainpool",
        "-tls1_2 -groups brainpoolP384r1",
        {"versions": spoken_by_openssl("TLSv1.2"), "tls": {"version": "TLSv1.2"}},
    ),
    # The same without suites that need no curve: our OpenSSL does not offer this one unasked.
    openssl(
        26,
        "brainpool-alone",
        "-tls1_2 -groups brainpoolP384r1 -cipher ECDHE",
        {"versions": spoken_by_openssl("TLSv1.2"), "tls": beyond_us("brainpoolP384r1"), "findings": Found()},
        handshake=False,
    ),
    openssl(
        21,
        "psk-without-certificate",
        "-min_protocol TLSv1 -no_tls1_3 -psk 1a2b3c4d -cipher PSK:@SECLEVEL=0",
        {"versions": spoken_by_openssl(*OLD, "TLSv1.2", known=by_shared_secret(*OLD, "TLSv1.2"))} | WITHOUT_KEY,
        leaf=None,
    ),
    openssl(
        22,
        "rsa-psk",
        "-tls1_2 -psk 1a2b3c4d -cipher kRSAPSK",
        {"versions": spoken_by_openssl("TLSv1.2", known=by_shared_secret("TLSv1.2")), "tls": KEYLESS},
        leaf=None,
        shown=of_leaf(WEB_RSA),
    ),
    openssl(
        24,
        "aria",
        "-tls1_2 -cipher ECDHE-ARIA128-GCM-SHA256",
        {
            "versions": spoken_by_openssl("TLSv1.2", known=by_other_suites("TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256")),
            "tls": agreed("TLSv1.2", "TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256", "x25519"),
        },
    ),
    openssl(
        25,
        "ccm-8",
        "-tls1_2 -cipher AES128-CCM8",
        {
            "versions": spoken_by_openssl("TLSv1.2", known=by_other_suites("TLS_RSA_WITH_AES_128_CCM_8")),
            "tls": agreed("TLSv1.2", "TLS_RSA_WITH_AES_128_CCM_8", None),
        },
    ),
)
