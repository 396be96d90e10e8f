"""Which suites a version can have, of all that there are; and which of them come without a certificate.

Told from their names: IANA's, and those of drafts that were never registered.
"""

from functools import cache

from scanner.tls.names import Version, cipher_name
from scanner.tls.registry import CIPHERS, OPENSSL_ONLY_CIPHERS

# What servers had at code points that IANA never gave: draft-ietf-tls-56-bit-ciphersuites-01, Netscape's for FIPS 140,
# draft-agl-tls-chacha20poly1305-04, and those that OpenSSL knows.
UNREGISTERED: dict[int, str] = {
    0x0060: "TLS_RSA_EXPORT1024_WITH_RC4_56_MD5",
    0x0061: "TLS_RSA_EXPORT1024_WITH_RC2_CBC_56_MD5",
    0x0062: "TLS_RSA_EXPORT1024_WITH_DES_CBC_SHA",
    0x0063: "TLS_DHE_DSS_EXPORT1024_WITH_DES_CBC_SHA",
    0x0064: "TLS_RSA_EXPORT1024_WITH_RC4_56_SHA",
    0x0065: "TLS_DHE_DSS_EXPORT1024_WITH_RC4_56_SHA",
    0x0066: "TLS_DHE_DSS_WITH_RC4_128_SHA",
    0xFEFE: "TLS_RSA_FIPS_WITH_DES_CBC_SHA",
    0xFEFF: "TLS_RSA_FIPS_WITH_3DES_EDE_CBC_SHA",
    0xFFE0: "TLS_RSA_FIPS_WITH_3DES_EDE_CBC_SHA",
    0xFFE1: "TLS_RSA_FIPS_WITH_DES_CBC_SHA",
    0xCC13: "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    0xCC14: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    0xCC15: "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
} | {code: name for name, code in OPENSSL_ONLY_CIPHERS.items()}

# What only TLS 1.3 has: RFC 8446 §B.4, 8998, 9150, 9367, and AEGIS. Its key exchange is another matter than its suites,
# and always ephemeral, but for pre-shared keys that we never offer.
TLS13_SUITES = (
    *(0x1301, 0x1302, 0x1303, 0x1304, 0x1305, 0x1306, 0x1307, 0x00C6, 0x00C7, 0xC0B4, 0xC0B5),
    *(0xC103, 0xC104, 0xC105, 0xC106),
)

NULL_WITH_NULL, RENEGOTIATION_SCSV, FALLBACK_SCSV = 0x0000, 0x00FF, 0x5600
_NO_SUITES = {NULL_WITH_NULL, RENEGOTIATION_SCSV, FALLBACK_SCSV}  # the first stands for "not yet" (RFC 5246 §A.5)
_RFC9189 = {0xC100, 0xC101, 0xC102}
# Who the server is, is told by a secret that both know, or not at all.
_WITHOUT_CERTIFICATE = ("_anon_", "_KRB5_", "_ECCPWD_", "_SRP_SHA_WITH_", "_PSK_")


@cache
def suites_there_are(version: Version) -> tuple[int, ...]:
    """All that a server of this version, SSLv3 to TLS 1.3, may choose, by their number."""
    if version is Version.TLS1_3:
        return TLS13_SUITES
    every = (suite for suite in dict.fromkeys((*CIPHERS, *UNREGISTERED)) if suite not in TLS13_SUITES)
    return tuple(suite for suite in every if suite not in _NO_SUITES and is_of(suite, version))


def is_of(suite: int, version: Version) -> bool:
    """Can this version, SSLv3 to TLS 1.2, have it?"""
    return version is Version.TLS1_2 or not _is_of_tls12_alone(suite, suite_name(suite))


def suite_name(suite: int) -> str:
    """Its name, registered or not; empty where it has none."""
    return cipher_name(suite) or UNREGISTERED.get(suite, "")


def has_certificate(suite: int) -> bool:
    """Does the server show a certificate with it (RFC 4279 §4 for that beside a pre-shared key)?"""
    return "_RSA_PSK_" in suite_name(suite) or rests_on_certificate(suite)


def rests_on_certificate(suite: int) -> bool:
    """Is it a certificate, and no pre-shared key besides, that tells who the server is?"""
    return not any(word in suite_name(suite) for word in _WITHOUT_CERTIFICATE)


def wants_user(suite: int) -> bool:
    """Can a server choose it only where a user's name stands in the hello (RFC 5054 §2.5.1, RFC 8492 §4.2)?"""
    return any(word in suite_name(suite) for word in ("_SRP_", "_ECCPWD_"))


def _is_of_tls12_alone(suite: int, name: str) -> bool:
    """AEAD, and digests of SHA-2 (RFC 5246 §A.5); but with pre-shared keys and CBC they go with older versions too
    (RFC 5487 §3, 5489 §3.2, 6367 §3.3).
    """
    if "_PSK_" in name and "_ARIA_" not in name and ("_CBC_" in name or "_NULL_" in name):
        return False
    aead = any(word in name for word in ("_GCM_", "_CCM", "_CHACHA20_"))
    return aead or name.endswith(("SHA256", "SHA384")) or suite in _RFC9189
