"""What a cipher suite is worth, told from its name: what is weak about it, and whether it has forward secrecy.

IANA's names say all of it (key exchange, authentication, cipher), and so do those of drafts that were never
registered. A name that says nothing of the kind, or a number without a name, is not called weak.
"""

import re
from enum import StrEnum
from functools import cache

from scanner.tls.names import cipher_name, sslv2_cipher_name
from scanner.tls.registry import OPENSSL_ONLY_CIPHERS


class Weakness(StrEnum):
    """Why a suite should not be there; the value stands in records."""

    NULL = "null"  # no encryption (RFC 9325 §4.1)
    ANONYMOUS = "anonymous"  # nobody is authenticated: anybody may stand in the middle (RFC 5246 §A.5)
    EXPORT = "export"  # keys of 40 and 56 bits (RFC 9325 §4.1; FREAK, CVE-2015-0204; Logjam, CVE-2015-4000)
    RC4 = "rc4"  # RFC 7465
    DES = "des"  # a key of 56 bits (RFC 5469 §2)
    TRIPLE_DES = "3des"  # blocks of 64 bits, and so the next two (Sweet32, CVE-2016-2183)
    RC2 = "rc2"
    IDEA = "idea"  # RFC 5469 §3


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
_INTEGRITY_ALONE = {0xC0B4, 0xC0B5}  # RFC 9150 §1
_OF_WORD = {
    "NULL": Weakness.NULL,
    "anon": Weakness.ANONYMOUS,
    "RC4": Weakness.RC4,
    "DES": Weakness.DES,
    "DES40": Weakness.DES,
    "3DES": Weakness.TRIPLE_DES,
    "RC2": Weakness.RC2,
    "IDEA": Weakness.IDEA,
}
_EPHEMERAL = ("TLS_DHE_", "TLS_ECDHE_", "TLS_DH_anon_", "TLS_ECDH_anon_", "TLS_PSK_DHE_", "TLS_ECCPWD_")


@cache  # a number of two bytes
def weaknesses(suite: int) -> tuple[Weakness, ...]:
    """What is weak about a suite of SSLv3 or TLS; nothing about most."""
    if suite in _INTEGRITY_ALONE:
        return (Weakness.NULL,)
    return _weaknesses(_name(suite))


def sslv2_weaknesses(kind: int) -> tuple[Weakness, ...]:
    """What is weak about a cipher kind of SSLv2: something is about each that has a name."""
    return _weaknesses(sslv2_cipher_name(kind) or "")


def is_forward_secret(suite: int) -> bool:
    """Does the key of a session stay secret when that of the certificate, or the pre-shared one, does not?"""
    return suite in TLS13_SUITES or _name(suite).startswith(_EPHEMERAL)


def _name(suite: int) -> str:
    return cipher_name(suite) or UNREGISTERED.get(suite, "")


def _weaknesses(name: str) -> tuple[Weakness, ...]:
    words = re.split("[_-]", name)
    found = {_OF_WORD[word] for word in words if word in _OF_WORD}
    if any(word.startswith("EXPORT") for word in words):
        found.add(Weakness.EXPORT)
    if "EDE3" in words:  # how SSLv2 spells it
        found = (found - {Weakness.DES}) | {Weakness.TRIPLE_DES}
    return tuple(weakness for weakness in Weakness if weakness in found)
