"""Which suites a version can have, and which come without a certificate."""

import pytest

from scanner.tls.names import Version
from scanner.tls.suites import has_certificate, is_of, rests_on_certificate, suite_name, suites_there_are, wants_user

SSL2, SSL3, TLS10, TLS11, TLS12, TLS13 = Version


@pytest.mark.parametrize(
    ("suite", "oldest"),
    [
        (0x002F, SSL3),  # AES-CBC with SHA-1
        (0xC013, SSL3),
        (0x00AE, SSL3),  # a pre-shared key, CBC and SHA-256 (RFC 5487 §3)
        (0x00B1, SSL3),  # and without encryption
        (0xC094, SSL3),  # and with Camellia (RFC 6367 §3.3)
        (0xC064, TLS12),  # but not with ARIA (RFC 6209 §3.2)
        (0x003C, TLS12),  # SHA-256 (RFC 5246 §A.5)
        (0x009C, TLS12),
        (0xC0A0, TLS12),
        (0xCCA8, TLS12),
        (0xC100, TLS12),  # RFC 9189
        (0x0081, SSL3),  # GOST of a draft
    ],
)
def test_oldest_version(suite: int, oldest: Version) -> None:
    """A suite is of its oldest version, and of all up to TLS 1.2."""
    for version in (SSL3, TLS10, TLS11, TLS12):
        assert is_of(suite, version) == (version.code >= oldest.code)
        assert (suite in suites_there_are(version)) == (version.code >= oldest.code)
    assert suite not in suites_there_are(TLS13)


def test_tls13_has_its_own() -> None:
    """None of TLS 1.3 is of an older version (RFC 8446 §B.4), and signals are no suites."""
    for version in (SSL3, TLS10, TLS11, TLS12):
        assert set(suites_there_are(version)).isdisjoint({*suites_there_are(TLS13), 0x0000, 0x00FF, 0x5600})
        assert len(set(suites_there_are(version))) == len(suites_there_are(version))
    assert {0x1301, 0x1307, 0x00C6, 0xC103} <= set(suites_there_are(TLS13))


@pytest.mark.parametrize(
    ("suite", "certificate", "alone", "user"),
    [
        (0xC02F, True, True, False),
        (0x0081, True, True, False),
        (0xFEFE, True, True, False),
        (0xC08B, True, True, False),
        (0x00A7, False, False, False),  # anonymous
        (0xC019, False, False, False),
        (0x00A9, False, False, False),  # PSK, DHE_PSK, ECDHE_PSK, PSK_DHE
        (0x00AB, False, False, False),
        (0xD001, False, False, False),
        (0xC0AA, False, False, False),
        (0x00AD, True, False, False),  # RSA_PSK (RFC 4279 §4)
        (0xC020, False, False, True),  # SRP (RFC 5054 §2.5.3)
        (0xC021, True, True, True),
        (0xC022, True, True, True),
        (0xC0B0, False, False, True),  # ECCPWD
        (0x001F, False, False, False),  # Kerberos
        (0x4242, True, True, False),  # a number without a name: nothing is known of it
    ],
)
def test_what_comes_with_it(suite: int, certificate: bool, alone: bool, user: bool) -> None:
    """A certificate; that and no shared secret; and whether it takes a user's name."""
    assert (has_certificate(suite), rests_on_certificate(suite), wants_user(suite)) == (certificate, alone, user)


def test_names() -> None:
    """Registered or not; a number that nobody has is without one."""
    assert suite_name(0xC02F) == "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    assert suite_name(0xCC13) == "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"
    assert suite_name(0x4242) == ""
