"""What a cipher suite is worth, told from its name: what is weak about it, and whether it has forward secrecy.

IANA's names say all of it (key exchange, authentication, cipher), and so do those of drafts that were never
registered. A name that says nothing of the kind, or a number without a name, is not called weak.
"""

import re
from enum import StrEnum
from functools import cache

from scanner.tls.names import sslv2_cipher_name
from scanner.tls.suites import TLS13_SUITES, suite_name


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
    return _weaknesses(suite_name(suite))


def sslv2_weaknesses(kind: int) -> tuple[Weakness, ...]:
    """What is weak about a cipher kind of SSLv2: something is about each that has a name."""
    return _weaknesses(sslv2_cipher_name(kind) or "")


def is_forward_secret(suite: int) -> bool:
    """Does the key of a session stay secret when that of the certificate, or the pre-shared one, does not?"""
    return suite in TLS13_SUITES or suite_name(suite).startswith(_EPHEMERAL)


def _weaknesses(name: str) -> tuple[Weakness, ...]:
    words = re.split("[_-]", name)
    found = {_OF_WORD[word] for word in words if word in _OF_WORD}
    if any(word.startswith("EXPORT") for word in words):
        found.add(Weakness.EXPORT)
    if "EDE3" in words:  # how SSLv2 spells it
        found = (found - {Weakness.DES}) | {Weakness.TRIPLE_DES}
    return tuple(weakness for weakness in Weakness if weakness in found)
