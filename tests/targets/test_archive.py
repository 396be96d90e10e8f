"""Archives → what they hold."""

import bz2
import io
import lzma
import tracemalloc
import zipfile
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.archive import PIECE_BYTES, ArchiveError, Unpacker, is_packed, whole_bytes
from tests.targets.packed import gzip_packed, zstd_packed

TEXT = b"192.0.2.1\n192.0.2.2\n"
SKIPPABLE = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"  # a frame that holds nothing (RFC 8878 §3.1.2)


def unpacked(pieces: Iterable[bytes]) -> bytes:
    unpacker = Unpacker()
    blocks = [block for piece in pieces for block in unpacker.feed(piece)]
    return b"".join([*blocks, *unpacker.end()])


def unpacked_or_refused(pieces: Iterable[bytes]) -> bytes | None:
    try:
        return unpacked(pieces)
    except ArchiveError:
        return None


def in_bytes(content: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in content]


@pytest.mark.parametrize(
    "packed",
    [
        TEXT,
        gzip_packed(TEXT),
        zstd_packed(TEXT),
        gzip_packed(TEXT[:10]) + gzip_packed(b"") + gzip_packed(TEXT[10:]),
        zstd_packed(TEXT[:10]) + SKIPPABLE + zstd_packed(TEXT[10:]),
        SKIPPABLE + zstd_packed(TEXT),
        gzip_packed(TEXT) + b"\0" * 100,
    ],
)
def test_what_is_unpacked(packed: bytes) -> None:
    """Members and frames in a row are one content, whole and byte by byte."""
    assert unpacked([packed]) == unpacked(in_bytes(packed)) == TEXT


@pytest.mark.parametrize("pack", [gzip_packed, zstd_packed])
def test_large_members_in_a_row(pack: object) -> None:
    """A member that takes several pieces ends where it ends, and what stands behind it is the next."""
    assert callable(pack)
    assert unpacked([pack(TEXT * 20_000) + pack(TEXT)]) == TEXT * 20_001


@given(st.binary(max_size=200_000), st.sampled_from([gzip_packed, zstd_packed]), st.integers(1, 70_000))
def test_any_content(content: bytes, pack: object, size: int) -> None:
    """Whatever is packed comes out, in whatever pieces it comes."""
    assert callable(pack)
    text = b"#" + content  # so that it is no archive itself
    packed = pack(text)
    assert unpacked(packed[at : at + size] for at in range(0, len(packed), size)) == text


@given(st.binary(max_size=100), st.sampled_from([gzip_packed(TEXT), zstd_packed(TEXT), b""]), st.integers(0, 60))
def test_any_bytes(content: bytes, packed: bytes, at: int) -> None:
    """Garbage, or an archive with garbage in it, is unpacked or refused, whatever the pieces."""
    spoilt = packed[:at] + content + packed[at:]
    assert unpacked_or_refused([spoilt]) == unpacked_or_refused(in_bytes(spoilt))


@pytest.mark.parametrize("pack", [gzip_packed, zstd_packed])
def test_a_cut_archive(pack: object) -> None:
    """Wherever an archive is cut, that is said, when what is there was handed over."""
    assert callable(pack)
    packed = pack(TEXT * 20)
    for at in range(5, len(packed)):
        with pytest.raises(ArchiveError, match="are cut off"):
            unpacked([packed[:at]])
    with pytest.raises(ArchiveError, match="are cut off"):
        unpacked([packed + packed[:-1]])


def test_a_corrupt_archive() -> None:
    """A checksum that is wrong, and what follows the end and is no archive, are told."""
    broken = bytearray(gzip_packed(TEXT))
    broken[-6] ^= 1
    for packed in (bytes(broken), gzip_packed(TEXT) + b"mx.example.org\n"):
        with pytest.raises(ArchiveError, match="the gzip data are corrupt"):
            unpacked([packed])
    with pytest.raises(ArchiveError, match="the zstd data are corrupt"):
        unpacked([zstd_packed(TEXT) + b"mx.example.org\n"])


def test_a_window_beyond_the_bound() -> None:
    """A frame whose reader would have to hold 256 MiB is refused; the 128 MiB of zstd -22 are taken."""
    assert unpacked([zstd_packed(TEXT, window_log=27)]) == TEXT
    with pytest.raises(ArchiveError, match=r"corrupt .*memory"):
        unpacked([zstd_packed(TEXT, window_log=28)])


def other_archives() -> list[tuple[bytes, str]]:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("targets.txt", TEXT)
    return [
        (lzma.compress(TEXT), r"\(xz\)"),
        (bz2.compress(TEXT), r"\(bzip2\)"),
        (zipped.getvalue(), r"\(zip\)"),
        (gzip_packed(zstd_packed(TEXT)), r"\(zstd within gzip\)"),
        (zstd_packed(bz2.compress(TEXT)), r"\(bzip2 within zstd\)"),
        ("mx.example.org".encode("utf-16"), "it is UTF-16"),
        (gzip_packed("mx.example.org".encode("utf-16")), "it is UTF-16"),
    ]


ARCHIVES = other_archives()


@pytest.mark.parametrize(("content", "why"), ARCHIVES, ids=[why for _, why in ARCHIVES])
def test_what_is_not_unpacked(content: bytes, why: str) -> None:
    """Other archives, archives in archives, and UTF-16 are told for what they are."""
    for pieces in ([content], in_bytes(content)):
        with pytest.raises(ArchiveError, match=why):
            unpacked(pieces)


@pytest.mark.parametrize("pack", [gzip_packed, zstd_packed])
def test_a_bomb_takes_no_memory(pack: object) -> None:
    """A hundred million bytes in a few kilobytes come in pieces, of which one is held at a time."""
    assert callable(pack)
    packed = pack(b"0" * 100_000_000)
    assert len(packed) < 200_000
    tracemalloc.start()
    try:
        sizes = [len(piece) for piece in Unpacker().feed(packed)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(sizes) == 100_000_000
    assert max(sizes) <= PIECE_BYTES
    assert peak < 1_000_000


def test_what_begins_as_a_magic() -> None:
    """A pipe whose first bytes may become a magic is waited for, and is text if they do not, or if nothing follows."""
    for text in (b"P", b"BZ", b"PK\x03", b"\xff", b"BZx.example.org", b""):
        assert unpacked(in_bytes(text)) == text
    assert list(Unpacker().feed(b"B")) == []


def test_is_packed() -> None:
    """Archives that are unpacked here are known by their beginning."""
    assert all(map(is_packed, [gzip_packed(b""), zstd_packed(b""), SKIPPABLE]))
    assert not is_packed(TEXT)


def test_whole_members() -> None:
    """Zeros may end them, and nothing may stand behind zeros; blocks may be cut anywhere."""
    for pack, kind in ((gzip_packed, "gzip"), (zstd_packed, "zstd")):
        one, two = pack(b"one\n"), pack(b"two\n")
        whole = len(one + two)
        for tail in (b"", one[:-1], b"\0", bytes(100)):
            content = one + two + tail
            for size in (1, 7, 1_000):
                blocks = [content[at : at + size] for at in range(0, len(content), size)]
                assert whole_bytes(blocks, kind) == whole
        with pytest.raises(ArchiveError):
            whole_bytes([one, bytes(100), two], kind)
