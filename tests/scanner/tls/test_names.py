"""The tables against the libraries that have their own: pyOpenSSL's OpenSSL, the system's, and tlslite-ng."""

import importlib
import shutil
import subprocess
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from scanner.tls import names
from scanner.tls.names import Version
from scanner.tls.registry import ALERTS, CIPHERS, GROUPS, OPENSSL_GROUPS, SSLV2_CIPHERS

EVERY_SUITE = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
OPENSSL = shutil.which("openssl")

# What no alert of OpenSSL 4.0 has a text for.
WITHOUT_REASON = {"close_notify", "too_many_cids_requested", "general_error", "ech_required"}


@pytest.fixture(scope="module")
def tlslite() -> Any:
    """The constants of tlslite-ng, whose import of asyncore is deprecated."""
    with warnings.catch_warnings(action="ignore"):
        return importlib.import_module("tlslite.constants")


# Versions


def test_versions_are_in_order_with_their_codes() -> None:
    """Versions run from SSLv2 to TLS 1.3, and each is found by its code."""
    assert [version.code for version in Version] == [0x0002, 0x0300, 0x0301, 0x0302, 0x0303, 0x0304]
    assert [names.version_of_code(version.code) for version in Version] == list(Version)


@pytest.mark.parametrize("code", [0, 0x0305, 0x7F1C, 0x0A0A, 0xFEFD])
def test_other_codes_are_no_version(code: int) -> None:
    """A draft, GREASE, DTLS or nonsense is no version."""
    assert names.version_of_code(code) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tls1.2,TLSv1.3,ssl3", (Version.SSLV3, Version.TLS1_2, Version.TLS1_3)),
        ("1.2", (Version.TLS1_2,)),
        ("tls1_2", (Version.TLS1_2,)),
        ("tlsv1.2 , TLS 1.2, TLS-1.2", (Version.TLS1_2,)),
        ("TLSv1", (Version.TLS1_0,)),
        ("sslv3,SSL2", (Version.SSLV2, Version.SSLV3)),
        ("1.1,all", tuple(Version)),
        *((version.value, (version,)) for version in Version),
        *((version.name, (version,)) for version in Version),
    ],
)
def test_usual_spellings_of_versions(text: str, expected: tuple[Version, ...]) -> None:
    """A list of versions in any usual spelling gives each once, oldest first."""
    assert names.versions_named(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tls1.2,tls1.4", r"no version is called 'tls1\.4'; there are: SSLv2, .*TLSv1\.3, all"),
        ("tls", "no version is called 'tls'"),
        ("", "no version is named"),
        (" , ", "no version is named"),
    ],
)
def test_unknown_version_is_refused_by_name(text: str, message: str) -> None:
    """What is no version is refused with the name, and with what would do."""
    with pytest.raises(ValueError, match=message):
        names.versions_named(text)


# Cipher suites


def test_the_cipher_registry_is_complete() -> None:
    """The table has the registry's 352 assignments, in order, with names that are unique."""
    assert len(CIPHERS) == 352
    assert list(CIPHERS) == sorted(CIPHERS)
    every_name = [name for row in CIPHERS.values() for name in row]
    assert len(set(every_name)) == len(every_name)


@pytest.mark.parametrize(
    ("code", "id_", "name"),
    [
        (0x0000, "0x0000", "TLS_NULL_WITH_NULL_NULL"),
        (0x00FF, "0x00ff", "TLS_EMPTY_RENEGOTIATION_INFO_SCSV"),
        (0x1306, "0x1306", "TLS_AEGIS_256_SHA512"),
        (0x5600, "0x5600", "TLS_FALLBACK_SCSV"),
        (0xC02F, "0xc02f", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        (0xC0AA, "0xc0aa", "TLS_PSK_DHE_WITH_AES_128_CCM_8"),
        (0xC102, "0xc102", "TLS_GOSTR341112_256_WITH_28147_CNT_IMIT"),
        (0xD005, "0xd005", "TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256"),
        (0x0A0A, "0x0a0a", None),
        (0x0060, "0x0060", None),
    ],
)
def test_name_and_id_of_a_cipher(code: int, id_: str, name: str | None) -> None:
    """A suite has IANA's name and an id; GREASE and unassigned ones have the id alone."""
    assert names.cipher_name(code) == name
    assert names.cipher_id(code) == id_


def test_tlslite_agrees_about_ciphers(tlslite: Any) -> None:
    """Every registered suite that tlslite-ng knows has the same name here, but for its ANON in upper case."""
    known = {code: name for code, name in tlslite.CipherSuite.ietfNames.items() if "draft" not in name}
    assert len(known) > 100
    for code, name in known.items():
        ours = names.cipher_name(code) if code <= 0xFFFF else names.sslv2_cipher_name(code)
        assert ours == name.replace("_ANON_", "_anon_")


def test_every_cipher_of_pyopenssl_is_found() -> None:
    """Each suite that pyOpenSSL can offer has a code point, and the code point has a name."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_cipher_list(EVERY_SUITE.encode())
    offered = SSL.Connection(context, None).get_cipher_list()
    assert len(offered) > 100
    for name in offered:
        code = names.cipher_code_of_openssl(name)
        assert code is not None, name
        assert names.cipher_name(code) is not None, name


@pytest.mark.skipif(OPENSSL is None, reason="there is no openssl command")
def test_the_openssl_command_agrees_about_ciphers() -> None:
    """`openssl ciphers` gives the same code point, and the same standard name, for each of its suites."""
    rows = openssl_ciphers("-V", "-stdname")
    assert len(rows) > 50
    for code, standard_name, name in rows:
        assert names.cipher_code_of_openssl(name) == code
        assert names.cipher_name(code) == standard_name


def openssl_ciphers(*options: str) -> Sequence[tuple[int, str, str]]:
    """Rows of `0xC0,0x2F - TLS_… - ECDHE-… TLSv1.2 …`: code point, standard name, OpenSSL's name."""
    assert OPENSSL is not None
    command = [OPENSSL, "ciphers", *options, EVERY_SUITE]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = []
    for line in output.splitlines():
        high_low, _, standard_name, _, name, *_ = line.split()
        high, low = (int(byte, 16) for byte in high_low.split(","))
        rows.append((high << 8 | low, standard_name, name))
    return rows


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("EXP-RC4-MD5", 0x0003),
        ("EDH-RSA-DES-CBC3-SHA", 0x0016),
        ("DHE-RSA-DES-CBC3-SHA", 0x0016),
        ("KRB5-RC4-MD5", 0x0024),
        ("DH-DSS-SEED-SHA", 0x0097),
        ("PSK-3DES-EDE-CBC-SHA", 0x008B),
        ("ECDH-RSA-AES256-GCM-SHA384", 0xC032),
        ("SRP-RSA-3DES-EDE-CBC-SHA", 0xC01B),
        ("TLS_SHA256_SHA256", 0xC0B4),
        ("GOST2001-GOST89-GOST89", 0x0081),
        ("LEGACY-GOST2012-GOST8912-GOST8912", 0xFF85),
        ("NO-SUCH-CIPHER", None),
    ],
)
def test_openssl_names_of_other_releases(name: str, code: int | None) -> None:
    """Names from OpenSSL 1.0.2 on are found, whether or not today's libraries still have the suite."""
    assert names.cipher_code_of_openssl(name) == code


def test_sslv2_cipher_kinds() -> None:
    """SSLv2's cipher kinds have three bytes, and names of their own."""
    assert names.sslv2_cipher_name(0x0700C0) == "SSL_CK_DES_192_EDE3_CBC_WITH_MD5"
    assert names.sslv2_cipher_name(0x123456) is None
    assert names.sslv2_cipher_id(0x010080) == "0x010080"
    assert len(SSLV2_CIPHERS) == 13


# Groups


@pytest.mark.parametrize(
    ("code", "id_", "name"),
    [
        (0x0001, "0x0001", "sect163k1"),
        (0x001D, "0x001d", "x25519"),
        (0x0021, "0x0021", "brainpoolP512r1tls13"),
        (0x0028, "0x0028", "GC512C"),
        (0x0104, "0x0104", "ffdhe8192"),
        (0x0202, "0x0202", "MLKEM1024"),
        (0x11EE, "0x11ee", "curveSM2MLKEM768"),
        (0xFF02, "0xff02", "arbitrary_explicit_char2_curves"),
        (0x0A0A, "0x0a0a", None),
    ],
)
def test_name_and_id_of_a_group(code: int, id_: str, name: str | None) -> None:
    """A group has IANA's name and an id; GREASE has the id alone."""
    assert names.group_name(code) == name
    assert names.group_id(code) == id_


def test_every_group_is_found_by_its_name_in_any_case() -> None:
    """Names lead back to their code points, however they are spelt."""
    assert list(GROUPS) == sorted(GROUPS)
    for code, name in GROUPS.items():
        assert names.group_code(name) == names.group_code(name.upper()) == code
    assert set(OPENSSL_GROUPS.values()) <= set(GROUPS)
    assert names.group_code("P-256") == names.group_code("prime256v1") == 0x0017
    assert names.group_code("P-999") is None


def test_tlslite_agrees_about_groups(tlslite: Any) -> None:
    """Every group that tlslite-ng names has the same code point here."""
    known = {name: code for name, code in vars(tlslite.GroupName).items() if isinstance(code, int)}
    assert len(known) > 30
    assert {name: names.group_code(name) for name in known} == known


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_group_of_a_pyopenssl_connection(curve: ec.EllipticCurve) -> None:
    """What `get_group_name` says after a handshake is the name of the curve that the server insisted on."""
    server_context = SSL.Context(SSL.TLS_METHOD)
    server_context.set_tmp_ecdh(curve)
    group = group_of_handshake(server_context)
    assert names.group_name(names.group_code(group) or 0) == curve.name


def test_default_group_of_pyopenssl_is_found() -> None:
    """The group that OpenSSL agrees on with itself, a hybrid since 3.5, is a registered one."""
    group = group_of_handshake(SSL.Context(SSL.TLS_METHOD))
    assert names.group_name(names.group_code(group) or 0) == group


def group_of_handshake(server_context: SSL.Context) -> str:
    """OpenSSL's name of the group after a handshake in memory."""
    leaf = trustme.CA().issue_cert("names.test")
    leaf.configure_cert(server_context)
    client, server = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None), SSL.Connection(server_context, None)
    client.set_connect_state()
    server.set_accept_state()
    for end, peer in [(client, server), (server, client)] * 3:
        with suppress(SSL.WantReadError):
            end.do_handshake()
        with suppress(SSL.WantReadError):
            peer.bio_write(end.bio_read(1 << 16))
    group = client.get_group_name()
    assert group is not None
    return group


# Alerts


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (0, "close_notify"),
        (40, "handshake_failure"),
        (41, "no_certificate"),
        (70, "protocol_version"),
        (121, "ech_required"),
        (200, "alert_200"),
    ],
)
def test_name_of_an_alert(code: int, name: str) -> None:
    """An alert has IANA's name without _RESERVED, or its number."""
    assert names.alert_name(code) == name


def test_tlslite_agrees_about_alerts(tlslite: Any) -> None:
    """Every alert that tlslite-ng names has the same name here."""
    known = {code: name for name, code in vars(tlslite.AlertDescription).items() if isinstance(code, int)}
    assert len(known) > 25
    assert {code: names.alert_name(code) for code in known} == known


@pytest.mark.parametrize("code", range(256))
def test_alert_that_openssl_received(code: int) -> None:
    """The reason of pyOpenSSL's error names the alert, for each one that OpenSSL has a text for."""
    name = ALERTS.get(code)
    expected = None if name in WITHOUT_REASON else name
    assert names.alert_of_openssl(reason_of_alert(code)) == expected


def reason_of_alert(code: int) -> str:
    """What a client of pyOpenSSL says about a fatal alert in answer to its ClientHello."""
    client = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
    client.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        client.do_handshake()
    client.bio_write(bytes.fromhex("15 0303 0002 02") + bytes([code]))
    with pytest.raises(SSL.Error) as error:
        client.do_handshake()
    return str(error.value.args[0][-1][2]) if error.value.args else ""


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("sslv3 alert handshake failure", "handshake_failure"),
        ("ssl/tls alert handshake failure", "handshake_failure"),
        ("tlsv1 alert protocol version", "protocol_version"),
        ("tlsv1 alert user cancelled", "user_canceled"),
        ("tlsv1 unrecognized name", "unrecognized_name"),
        ("tlsv13 alert certificate required", "certificate_required"),
        ("wrong version number", None),
        ("no protocols available", None),
        ("", None),
    ],
)
def test_reasons_of_every_release(reason: str, name: str | None) -> None:
    """Reasons of earlier OpenSSL are alerts too, and an error of its own is none."""
    assert names.alert_of_openssl(reason) == name
