"""Hellos: ours as a strict server reads them, and those of servers as we read them."""

import importlib
import warnings
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.tls.hello import (
    MAX_EXTENSIONS,
    SUITES,
    MalformedHelloError,
    ServerHello,
    Shape,
    client_hello,
    read_server_hello,
    suites_of,
)
from scanner.tls.names import Version, cipher_name
from scanner.tls.strength import weaknesses
from scanner.tls.suites import suite_name, wants_user
from scanner.tls.wire import is_text, starts_record
from tests.scanner.tls.wire import (
    HELLO_12,
    HELLO_13,
    HRR_RANDOM,
    KEY_SHARE_X25519,
    SUPPORTED_VERSIONS_13,
    ClientHello,
    extension,
    read_client_hello,
    server_hello,
    u16,
)

ENTROPY = bytes(range(96))
BY_RECORD = [version for version in Version if version is not Version.SSLV2]
NAME = "mx.example.org"
UNREGISTERED = (0x0062, 0x0064, 0x0081, 0xFF85)  # of drafts: EXPORT1024, and GOST
GREASE = frozenset(0x0A0A + 0x1010 * number for number in range(16))  # RFC 8701 §2
SERVER_NAME, ALPN, PADDING, SUPPORTED_GROUPS, SIGNATURES, SUPPORTED_VERSIONS, KEY_SHARE = 0, 16, 21, 10, 13, 43, 51
SCSV = 0x00FF

each_version = pytest.mark.parametrize("version", BY_RECORD)
each_shape = pytest.mark.parametrize("shape", Shape)


def without_grease(codes: list[int]) -> list[int]:
    """The values that mean something."""
    return [code for code in codes if code not in GREASE]


def hello_of(version: Version, shape: Shape = Shape.PLAIN, name: str | None = NAME) -> ClientHello:
    """Ours, read by a strict server."""
    alpn = (b"imap",) if shape is Shape.ALPN else ()
    return read_client_hello(client_hello(version, name, ENTROPY, shape, alpn))


@pytest.fixture(scope="module")
def tlslite() -> Any:
    """The messages of tlslite-ng, whose imports are deprecated."""
    with warnings.catch_warnings(action="ignore"):
        return importlib.import_module("tlslite.messages"), importlib.import_module("tlslite.utils.codec")


# Ours


@each_version
def test_versions_offered(version: Version) -> None:
    """Each hello offers its version and nothing above it; TLS 1.3 stands in `supported_versions` alone."""
    hello = read_client_hello(client_hello(version, NAME, ENTROPY))
    assert hello.version == min(version.code, 0x0303)
    assert hello.record_version == min(version.code, 0x0301)
    if version is Version.TLS1_3:
        assert without_grease(hello.of(SUPPORTED_VERSIONS).codes(1)) == [0x0304]
    else:
        assert SUPPORTED_VERSIONS not in (hello.extensions or {})
        assert KEY_SHARE not in (hello.extensions or {})


@each_version
def test_entropy(version: Version) -> None:
    """Random, session id and key share are the caller's, each its own third; the session id is never empty."""
    hello = read_client_hello(client_hello(version, NAME, ENTROPY))
    assert (hello.random, hello.session) == (ENTROPY[:32], ENTROPY[32:64])
    assert hello.compressions == b"\x00"
    if version is Version.TLS1_3:
        share = hello.of(KEY_SHARE)
        assert share.vector(2) == u16(0x001D) + u16(32) + ENTROPY[64:]
        share.end()


@each_version
def test_suites(version: Version) -> None:
    """All that the version can have, each once and each registered; those of TLS 1.3 are not offered below it."""
    suites = without_grease(hello_of(version).suites)
    assert suites == list(SUITES[version])
    assert len(set(suites)) == len(suites) <= 128  # more than 128 are refused by some servers
    assert all(cipher_name(code) or code in UNREGISTERED for code in suites)
    assert suites[-1] == SCSV
    of_tls13 = [code for code in suites if "_WITH_" not in (cipher_name(code) or "_WITH_") and code != SCSV]
    assert bool(of_tls13) == (version is Version.TLS1_3)


def test_sslv3_has_no_extensions() -> None:
    """SSLv3 has no extensions (RFC 6101), so no name; of suites it is offered all that there are before TLS 1.2."""
    hello = hello_of(Version.SSLV3)
    assert hello.extensions is None
    names = [cipher_name(code) or "" for code in hello.suites]
    assert any("ECDHE_ECDSA" in name for name in names)
    assert not any("SHA256" in name or "GCM" in name for name in names)


@each_version
def test_server_name(version: Version) -> None:
    """The name stands in SNI; without one there is no such extension."""
    if version is not Version.SSLV3:
        assert read_client_hello(client_hello(version, NAME, ENTROPY)).server_name == NAME
    assert read_client_hello(client_hello(version, None, ENTROPY)).server_name is None


def test_groups_and_signatures() -> None:
    """Groups go with every hello of TLS, and signature algorithms from TLS 1.2 on."""
    for version in BY_RECORD[1:]:
        hello = read_client_hello(client_hello(version, NAME, ENTROPY))
        groups = without_grease(hello.of(SUPPORTED_GROUPS).codes(2))
        assert groups[0] == 0x001D
        assert {0x0017, 0x0018, 0x0019, 0x0100, 0x0102} <= set(groups)
        assert (SIGNATURES in (hello.extensions or {})) == (version.code >= 0x0303)


@each_version
@each_shape
def test_lengths_that_hang_servers(version: Version, shape: Shape) -> None:
    """No hello has 256 to 511 bytes (RFC 7685), nor a length that is 10 or 14 modulo 256, however long the name is."""
    for name in (None, *((("n" * 61 + ".") * 5)[:length] + "e" for length in range(253))):
        hello = hello_of(version, shape, name)
        assert not 256 <= hello.message_bytes < 512
        assert hello.message_bytes < 1024  # a packet
        assert hello.message_bytes % 256 not in (10, 14)
        assert set((hello.extensions or {}).get(PADDING, b"")) <= {0}


@each_version
def test_tlslite_reads_it(version: Version, tlslite: Any) -> None:
    """A foreign parser reads the same hello."""
    messages, codec = tlslite
    hello = messages.ClientHello()
    hello.parse(codec.Parser(bytearray(client_hello(version, NAME, ENTROPY)[6:])))
    assert hello.client_version == (3, min(version.code, 0x0303) & 0xFF)
    assert without_grease(hello.cipher_suites) == list(SUITES[version])
    assert bytes(hello.server_name) == (b"" if version is Version.SSLV3 else NAME.encode())


# Shapes


def is_greased(hello: ClientHello) -> bool:
    """Is a value of RFC 8701 anywhere in it?"""
    listed = [hello.suites, list(hello.extensions or ())]
    listed += [hello.of(SUPPORTED_GROUPS).codes(2)] if hello.extensions and SUPPORTED_GROUPS in hello.extensions else []
    return any(not GREASE.isdisjoint(each) for each in listed)


@each_version
@each_shape
def test_what_a_shape_has(version: Version, shape: Shape) -> None:
    """Each shape leaves out, or adds, what it is called by, and is a hello of its version all the same."""
    hello = hello_of(version, shape)
    extensions = set(hello.extensions or ())
    bare = version is Version.SSLV3 or shape is Shape.NO_EXTENSIONS
    assert hello.version == min(version.code, 0x0303)
    assert hello.session == ENTROPY[32:64]
    assert (hello.extensions is None) == bare
    assert hello.server_name == (None if bare or shape is Shape.NO_NAME else NAME)
    assert (ALPN in extensions) == (shape is Shape.ALPN and not bare)
    assert is_greased(hello) == (version is Version.TLS1_3 and shape in (Shape.PLAIN, Shape.NO_NAME, Shape.ALPN))
    assert (SUPPORTED_VERSIONS in extensions) == (version is Version.TLS1_3 and not bare)
    assert without_grease(hello.suites) == list(suites_of(version, shape))
    assert hello.suites[-1] == SCSV


@pytest.mark.parametrize("version", BY_RECORD[1:])
def test_the_small_hello(version: Version) -> None:
    """It is under 256 bytes with a name of 50, with a dozen suites, and all that has to be in it."""
    hello = hello_of(version, Shape.SMALL, "n" * 46 + ".org")
    assert hello.message_bytes < 256
    assert len(hello.suites) <= 13
    assert SUPPORTED_GROUPS in (hello.extensions or ())
    assert (SIGNATURES in (hello.extensions or ())) == (version.code >= 0x0303)


@pytest.mark.parametrize("version", [Version.TLS1_0, Version.TLS1_1, Version.TLS1_2])
@pytest.mark.parametrize(
    ("shape", "words", "signature"),
    [(Shape.RSA, "_RSA_", 0x0401), (Shape.ECDSA, "_ECDSA_", 0x0403)],
)
def test_one_kind_alone(version: Version, shape: Shape, words: str, signature: int) -> None:
    """Suites of one kind of key, and the signature algorithms that go with them."""
    hello = hello_of(version, shape)
    names = [suite_name(code) for code in hello.suites[:-1]]
    assert len(names) >= 8
    assert all(words in name for name in names)
    if version is not Version.TLS1_2:
        assert shape is not Shape.RSA or all(name.startswith("TLS_RSA_") for name in names)
    else:
        assert signature in hello.of(SIGNATURES).codes(2)


@pytest.mark.parametrize("version", [Version.TLS1_0, Version.TLS1_1, Version.TLS1_2])
@pytest.mark.parametrize("shape", [Shape.OTHER_SUITES, Shape.SHARED_SECRET])
def test_rare_suites_strongest_first(version: Version, shape: Shape) -> None:
    """Who follows the client's order shows the best that it has; what a user's name is wanted for comes last."""
    suites = [suite for suite in hello_of(version, shape).suites if suite != SCSV]
    ranks = [(wants_user(suite), bool(weaknesses(suite))) for suite in suites]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) > 2
    assert len(suites) == len(set(suites))


def test_groups_of_shapes() -> None:
    """Groups in finite fields are not listed where the server may have one of its own; others come with no key."""
    groups = hello_of(Version.TLS1_2, Shape.OTHER_SUITES).of(SUPPORTED_GROUPS).codes(2)
    assert {0x001D, 0x0017, 0x001A} <= set(groups)
    assert not any(0x0100 <= group < 0x0200 for group in groups)
    other = hello_of(Version.TLS1_3, Shape.OTHER_GROUPS)
    assert other.of(KEY_SHARE).take(2) == b"\x00\x00"
    groups = other.of(SUPPORTED_GROUPS).codes(2)
    assert groups[0] == 0x11EC
    assert set(groups).isdisjoint(hello_of(Version.TLS1_3).of(SUPPORTED_GROUPS).codes(2))


# Theirs


def body_of(message: bytes) -> bytes:
    return message[4:]


@pytest.mark.parametrize(
    ("message", "offered", "read"),
    [
        (HELLO_12, Version.TLS1_2, ServerHello(0x0303, 0xC02F, None, False, frozenset())),
        (HELLO_13, Version.TLS1_3, ServerHello(0x0304, 0x1301, 0x001D, False, frozenset())),
        (server_hello(0x0300, 0x0005, session=b""), Version.SSLV3, ServerHello(0x0300, 5, None, False, frozenset())),
        (server_hello(0x0301, 0xC014), Version.TLS1_0, ServerHello(0x0301, 0xC014, None, False, frozenset())),
        (  # a suite without a name, that nobody asked for, is still a number
            server_hello(0x0303, 0xFEFE),
            Version.TLS1_2,
            ServerHello(0x0303, 0xFEFE, None, False, frozenset({"unoffered_cipher"})),
        ),
        (
            server_hello(0x0303, 0x1302, SUPPORTED_VERSIONS_13 + extension(51, u16(0x0018)), random=HRR_RANDOM),
            Version.TLS1_3,
            ServerHello(0x0304, 0x1302, 0x0018, True, frozenset()),
        ),
        (  # the sentinels of RFC 8446 §4.1.3
            server_hello(0x0303, 0xC02F, b"", random=b"r" * 24 + b"DOWNGRD\x01"),
            Version.TLS1_2,
            ServerHello(0x0303, 0xC02F, None, False, frozenset({"tls13_hint"})),
        ),
        (
            server_hello(0x0302, 0x0035, b"", random=b"r" * 24 + b"DOWNGRD\x00"),
            Version.TLS1_1,
            ServerHello(0x0302, 0x0035, None, False, frozenset({"tls12_hint"})),
        ),
        (  # an extension that nobody knows is passed over
            server_hello(0x0303, 0x1301, extension(0x4242, b"??") + SUPPORTED_VERSIONS_13 + KEY_SHARE_X25519),
            Version.TLS1_3,
            ServerHello(0x0304, 0x1301, 0x001D, False, frozenset()),
        ),
        (  # only null was offered (RFC 5246 §7.4.1.3)
            server_hello(0x0303, 0xC02F, b"", compression=1),
            Version.TLS1_2,
            ServerHello(0x0303, 0xC02F, None, False, frozenset({"violation"})),
        ),
        (  # legacy_version is 0x0303 whatever is chosen (RFC 8446 §4.1.3)
            server_hello(0x0300, 0x1301, SUPPORTED_VERSIONS_13 + KEY_SHARE_X25519),
            Version.TLS1_3,
            ServerHello(0x0304, 0x1301, 0x001D, False, frozenset({"violation"})),
        ),
        (
            server_hello(0x0304, 0x1301, SUPPORTED_VERSIONS_13 + KEY_SHARE_X25519),
            Version.TLS1_3,
            ServerHello(0x0304, 0x1301, 0x001D, False, frozenset({"violation"})),
        ),
        (  # above what was offered, and a version that this hello could name
            server_hello(0x0303, 0xC013),
            Version.TLS1_0,
            ServerHello(0x0303, 0xC013, None, False, frozenset()),
        ),
        (  # SM4 and GOST have suites of TLS 1.3 that do not begin with 0x13
            server_hello(0x0303, 0x00C6, SUPPORTED_VERSIONS_13),
            Version.TLS1_3,
            ServerHello(0x0304, 0x00C6, None, False, frozenset()),
        ),
        (  # a draft of TLS 1.3
            server_hello(0x0303, 0x1301, extension(43, b"\x7f\x1c")),
            Version.TLS1_3,
            ServerHello(0x7F1C, 0x1301, None, False, frozenset()),
        ),
    ],
)
def test_server_hellos(message: bytes, offered: Version, read: ServerHello) -> None:
    """What a ServerHello says, number by number."""
    assert read_server_hello(body_of(message), offered) == read


@pytest.mark.parametrize(
    "message",
    [
        server_hello(0x0303, 0xC02F, extension(43, b"")[:3]),  # an extension without its length
        server_hello(0x0303, 0xC02F, extension(43, b"\x03\x04")[:-1]),
        server_hello(0x0303, 0xC02F) + b"\x00",  # half of the list's length
        server_hello(0x0303, 0xC02F, b"") + b"\x00",  # a byte behind the list
        server_hello(0x0002, 0xC02F),  # no version of TLS or SSLv3
        server_hello(0x0303, 0xC02F, extension(43, b"\x00\x02")),
        server_hello(0xFEFD, 0xC02F),  # DTLS
        server_hello(0x0303, 0xC02F, session=b"s" * 33),
    ],
)
def test_malformed_server_hellos(message: bytes) -> None:
    """What is no ServerHello is refused."""
    for version in (Version.TLS1_2, Version.TLS1_3):
        with pytest.raises(MalformedHelloError):
            read_server_hello(body_of(message), version)


def test_more_extensions_than_anybody_asks_for() -> None:
    """A list of thousands would take a quarter of a megabyte, for each of hundreds of hellos."""
    most = b"".join(extension(0x4000 + number, b"") for number in range(MAX_EXTENSIONS))
    assert len(read_server_hello(body_of(server_hello(0x0303, 0xC02F, most)), Version.TLS1_2).extensions) == 64
    with pytest.raises(MalformedHelloError, match="more extensions"):
        read_server_hello(body_of(server_hello(0x0303, 0xC02F, most + extension(0x3FFF, b""))), Version.TLS1_2)


def chosen(*versions: bytes) -> bytes:
    """`supported_versions`, as often as there are versions, and a key share."""
    return b"".join(extension(SUPPORTED_VERSIONS, version) for version in versions) + KEY_SHARE_X25519


NO_ANSWER: dict[str, tuple[bytes, Version]] = {
    "supported_versions twice": (server_hello(0x0303, 0x1301, chosen(b"\x03\x04", b"\x03\x04")), Version.TLS1_3),
    "another extension twice": (
        server_hello(0x0303, 0xC02F, extension(23, b"") + extension(23, b"")),
        Version.TLS1_2,
    ),
    "supported_versions of TLS 1.2": (server_hello(0x0303, 0xC02F, chosen(b"\x03\x03")), Version.TLS1_3),
    "supported_versions of SSLv3": (server_hello(0x0303, 0x1301, chosen(b"\x03\x00")), Version.TLS1_3),
    "an empty supported_versions": (server_hello(0x0303, 0x1301, chosen(b"")), Version.TLS1_3),
    "supported_versions of a client": (server_hello(0x0303, 0x1301, chosen(b"\x02\x03\x04")), Version.TLS1_3),
    "supported_versions unasked": (server_hello(0x0303, 0x1301, chosen(b"\x03\x04")), Version.TLS1_2),
    "supported_versions unasked, lower": (server_hello(0x0303, 0x002F, chosen(b"\x03\x01")), Version.TLS1_2),
    "TLS 1.3 in the old place": (server_hello(0x0304, 0x1301, KEY_SHARE_X25519), Version.TLS1_3),
    "TLS 1.3 in the old place, unasked": (server_hello(0x0304, 0x002F), Version.TLS1_2),
    "a suite of TLS 1.2 in TLS 1.3": (server_hello(0x0303, 0xC02F, chosen(b"\x03\x04")), Version.TLS1_3),
    "no suite at all in TLS 1.3": (server_hello(0x0303, 0x0000, chosen(b"\x03\x04")), Version.TLS1_3),
    "a suite of TLS 1.3 in TLS 1.2": (server_hello(0x0303, 0x1301, b""), Version.TLS1_2),
    "a suite of TLS 1.3 in a lower answer": (server_hello(0x0303, 0x1301, KEY_SHARE_X25519), Version.TLS1_3),
    "a HelloRetryRequest without a version": (server_hello(0x0303, 0xC02F, b"", random=HRR_RANDOM), Version.TLS1_3),
    "a HelloRetryRequest of a draft": (
        server_hello(0x0303, 0x1301, chosen(b"\x7f\x1c"), random=HRR_RANDOM),
        Version.TLS1_3,
    ),
    "a HelloRetryRequest to TLS 1.2": (server_hello(0x0303, 0xC02F, b"", random=HRR_RANDOM), Version.TLS1_2),
}


@pytest.mark.parametrize(("message", "offered"), NO_ANSWER.values(), ids=NO_ANSWER)
def test_no_answers_to_this_hello(message: bytes, offered: Version) -> None:
    """What no server may answer to the hello that it got says nothing about any version: neither yes nor no."""
    with pytest.raises(MalformedHelloError):
        read_server_hello(body_of(message), offered)


@pytest.mark.parametrize("message", [HELLO_12, HELLO_13])
def test_truncated_server_hellos(message: bytes) -> None:
    """Every piece of a ServerHello is refused, but for one of TLS 1.2 that ends where the extensions may begin."""
    body = body_of(message)
    for length in range(len(body)):
        if length == 2 + 32 + 1 + 32 + 2 + 1 and message is HELLO_12:
            assert read_server_hello(body[:length], Version.TLS1_3).group is None
        else:
            with pytest.raises(MalformedHelloError):
                read_server_hello(body[:length], Version.TLS1_3)


@given(body=st.binary(max_size=200), at=st.integers(0, 120), to=st.integers(0, 255), version=st.sampled_from(BY_RECORD))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_body(body: bytes, at: int, to: int, version: Version) -> None:
    """Any bytes, and a good ServerHello with any byte changed, are read or refused, nothing else."""
    changed = bytearray(body_of(HELLO_13))
    changed[at % len(changed)] = to
    for each in (body, bytes(changed)):
        with suppress(MalformedHelloError):
            assert read_server_hello(each, version).version >= 0x0300


# First bytes


@pytest.mark.parametrize(
    ("data", "record", "text"),
    [
        (b"\x16", True, False),
        (b"\x15\x03", True, False),
        (b"\x16\x02", False, False),
        (b"\x80\x2e", False, False),
        (b"H", False, True),
        (b"\r\n", False, True),
        (b"220 ready\r\n\x16\x03\x01", False, True),
        (b"220\xff", False, False),
        (b"J\x00\x00\x00\n8.0", False, False),
    ],
)
def test_first_bytes(data: bytes, record: bool, text: bool) -> None:
    """A record, a line of text, or neither; what comes behind the first line does not matter."""
    assert (starts_record(data), is_text(data)) == (record, text)


@pytest.mark.parametrize("last", [0x00, 0x7F, 0x80, 0xFF])
def test_the_highest_bit_of_the_key(last: int) -> None:
    """It has no meaning (RFC 7748 §5), and wolfSSL 5 closes on half of the hellos of who leaves it to chance."""
    entropy = bytes(95) + bytes([last])
    read = read_client_hello(client_hello(Version.TLS1_3, None, entropy))
    assert read.extensions is not None
    assert read.extensions[51][-32:] == bytes(31) + bytes([last & 0x7F])
