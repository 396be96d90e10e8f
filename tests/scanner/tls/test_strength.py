"""What a suite is worth, by its name: row by row, and for all that are registered."""

import pytest

from scanner.tls.names import cipher_name
from scanner.tls.registry import CIPHERS, SSLV2_CIPHERS
from scanner.tls.strength import Weakness, is_forward_secret, sslv2_weaknesses, weaknesses
from scanner.tls.suites import TLS13_SUITES, UNREGISTERED


@pytest.mark.parametrize(
    ("suite", "weak", "forward_secret"),
    [
        (0x1301, "", True),  # TLS_AES_128_GCM_SHA256
        (0x00C6, "", True),  # TLS_SM4_GCM_SM3
        (0xC0B4, "null", True),  # TLS_SHA256_SHA256: integrity alone
        (0xC02F, "", True),
        (0x009E, "", True),
        (0x0033, "", True),
        (0x00AA, "", True),  # TLS_DHE_PSK_WITH_AES_128_GCM_SHA256
        (0xC0AA, "", True),  # TLS_PSK_DHE_WITH_AES_128_CCM_8
        (0x00A8, "", False),  # TLS_PSK_WITH_AES_128_GCM_SHA256
        (0x002F, "", False),
        (0xC004, "", False),  # TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA: static
        (0x0096, "", False),  # SEED
        (0x0041, "", False),  # Camellia
        (0xC100, "", False),  # GOST
        (0x000A, "3des", False),
        (0xC012, "3des", True),
        (0x0009, "des", False),
        (0x0007, "idea", False),
        (0x0005, "rc4", False),
        (0xC007, "rc4", True),
        (0x0003, "export rc4", False),
        (0x0006, "export rc2", False),
        (0x0014, "export des", True),
        (0x0026, "export des", False),  # TLS_KRB5_EXPORT_WITH_DES_CBC_40_SHA
        (0x0001, "null", False),
        (0xC006, "null", True),
        (0x0034, "anonymous", True),
        (0xC015, "null anonymous", True),
        (0x0017, "anonymous export rc4", True),
        (0x0062, "export des", False),  # never registered
        (0x0066, "rc4", True),
        (0xCC13, "", True),
        (0xFEFF, "3des", False),
        (0x0081, "", False),  # GOST2001-GOST89-GOST89
        (0x0083, "null", False),  # GOST2001-NULL-GOST94
        (0xEEEE, "", False),  # a number without a name
    ],
)
def test_a_suite(suite: int, weak: str, forward_secret: bool) -> None:
    """What is weak about it, and whether it has forward secrecy."""
    assert " ".join(weaknesses(suite)) == weak
    assert is_forward_secret(suite) is forward_secret


def test_what_is_weak_about_sslv2() -> None:
    """Something is weak about each of its ciphers."""
    assert all(map(sslv2_weaknesses, SSLV2_CIPHERS))
    assert sslv2_weaknesses(0x0700C0) == (Weakness.TRIPLE_DES,)
    assert sslv2_weaknesses(0x040080) == (Weakness.EXPORT, Weakness.RC2)
    assert sslv2_weaknesses(0x060040) == (Weakness.DES,)
    assert sslv2_weaknesses(0x123456) == ()


def test_no_strong_cipher_is_weak() -> None:
    """Ciphers with keys and blocks of 128 bits and more are not called weak, unless nobody is authenticated."""
    strong = ("_AES_", "_CHACHA20_", "_CAMELLIA_", "_ARIA_", "_SEED_", "_SM4_", "_AEGIS_")
    for suite in CIPHERS:
        name = cipher_name(suite) or ""
        if any(cipher in name for cipher in strong) and "_anon_" not in name:
            assert weaknesses(suite) == (), name


def test_the_suites_of_tls13() -> None:
    """Those that have no key exchange in their name, and GOST's of RFC 9367."""
    plain = {code for code, (name, *_) in CIPHERS.items() if "_WITH_" not in name and not name.endswith("_SCSV")}
    assert plain | {0xC103, 0xC104, 0xC105, 0xC106} == set(TLS13_SUITES)
    assert not CIPHERS.keys() & UNREGISTERED.keys()
