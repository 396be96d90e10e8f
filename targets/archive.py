"""What an input holds: its bytes themselves, or what is packed in them by gzip (RFC 1952) or zstd (RFC 8878).

Which, the first bytes tell. Several members or frames in a row are one content. What comes out is handed on in pieces
of at most 64 KiB, however much is packed in how little: that costs time and no memory.
"""

import sys
import zlib
from collections.abc import Iterable, Iterator

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_BYTES = 64 * 1024
_GZIP_WBITS = 31  # zlib's word for a gzip header and any window
# 128 MiB is how far the decoder may look back, and what it then holds: the most that zstd's own takes without asking.
_MAX_WINDOW_LOG = 27

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = tuple(bytes([0x50 + number, 0x2A, 0x4D, 0x18]) for number in range(16))  # RFC 8878 §3.1.2
_UNREAD = {b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2", b"PK\x03\x04": "zip", b"7z\xbc\xaf\x27\x1c": "7-Zip"}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_MAGICS = (_GZIP, _ZSTD, *_SKIPPABLE, *_UNREAD, *_UTF16)


class ArchiveError(ValueError):
    """Bytes that cannot be unpacked, or are no text when they are; the message says what to do."""


class Unpacker:
    """Bytes in any pieces → what they hold."""

    def __init__(self) -> None:
        self._held = b""
        self._kind: str | None = None  # "" is no archive
        self._member: _Gzip | _Zstd | None = None
        self._at_start = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What can be unpacked now. Raises ArchiveError."""
        if self._kind is None:
            self._held += data
            if _may_become_a_magic(self._held):
                return  # a pipe may bring a byte at a time
            data, self._held = self._held, b""
            self._kind = _kind_of(data)
        for piece in self._unpacked(data, self._kind):
            if not self._at_start:
                yield piece
                continue
            self._held += piece
            if not _may_become_a_magic(self._held):
                beginning, self._held, self._at_start = self._held, b"", False
                _check_text(beginning, self._kind)
                yield beginning

    def end(self) -> Iterator[bytes]:
        """What was held back for its magic. Raises ArchiveError where an archive is not whole."""
        if self._held:
            held, self._held = self._held, b""
            yield held
        if self._member and not self._member.eof:
            raise ArchiveError(f"the {self._kind} data are cut off: their end is missing; what is there was read")

    def _unpacked(self, data: bytes, kind: str) -> Iterator[bytes]:
        if not kind:
            yield data
            return
        try:
            while data:
                member = self._member
                if member is None or member.eof:
                    data = data.lstrip(b"\0") if member and kind == "gzip" else data  # tapes are padded so
                    if not data:
                        return
                    self._member = member = _Gzip() if kind == "gzip" else _Zstd()
                yield from member.unpack(data)
                data = member.unused_data
        except (zlib.error, zstd.ZstdError) as error:
            raise ArchiveError(f"the {kind} data are corrupt ({error}); what stands before was read") from error


def is_packed(beginning: bytes) -> bool:
    """Is it an archive that is unpacked here?"""
    return bool(_kind_of(beginning))


def whole_bytes(blocks: Iterable[bytes], kind: str) -> int:
    """How many bytes at the beginning of these are whole members of `gzip`, or frames of `zstd`; the rest was cut off.

    Zeros to the end are what a file system leaves of what it had not written. Raises ArchiveError.
    """
    member: _Gzip | _Zstd | None = None
    whole = read = 0
    for block in blocks:
        data = block
        read += len(block)
        while data:
            if member is None:
                if not data.strip(b"\0"):
                    break
                if whole < read - len(data):
                    raise ArchiveError(f"the {kind} data go on behind zeros, behind byte {whole:,}")
                member = _Gzip() if kind == "gzip" else _Zstd()
            try:
                for _ in member.unpack(data):
                    pass
            except (zlib.error, zstd.ZstdError) as error:
                raise ArchiveError(f"the {kind} data are corrupt ({error}) behind byte {whole:,}") from error
            data = member.unused_data if member.eof else b""
            if member.eof:
                member, whole = None, read - len(data)
    return whole


class _Gzip:
    """One member."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(_GZIP_WBITS)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def unpack(self, data: bytes) -> Iterator[bytes]:
        while True:
            piece = self._inner.decompress(data, PIECE_BYTES)
            data = self._inner.unconsumed_tail
            if piece:
                yield piece
            if self._inner.eof or (not data and len(piece) < PIECE_BYTES):
                return  # behind the end, the tail is what it was before


class _Zstd:
    """One frame."""

    def __init__(self) -> None:
        self._inner = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _MAX_WINDOW_LOG})

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def unpack(self, data: bytes) -> Iterator[bytes]:
        while True:
            if piece := self._inner.decompress(data, PIECE_BYTES):
                yield piece
            data = b""
            if self._inner.eof or self._inner.needs_input:
                return


def _may_become_a_magic(beginning: bytes) -> bool:
    return beginning not in _MAGICS and any(magic.startswith(beginning) for magic in _MAGICS)


def _kind_of(beginning: bytes) -> str:
    if beginning.startswith(_GZIP):
        return "gzip"
    return "zstd" if beginning.startswith((_ZSTD, *_SKIPPABLE)) else ""


def _check_text(beginning: bytes, kind: str) -> None:
    """Raise ArchiveError where a whole input is something else; a single line that is no text is a rejection."""
    found = _kind_of(beginning) or next((name for magic, name in _UNREAD.items() if beginning.startswith(magic)), "")
    if found:
        within = f" within {kind}" if kind else ""
        raise ArchiveError(f"it is packed ({found}{within}); unpack it first, for example through a pipe")
    if beginning.startswith(_UTF16):
        raise ArchiveError("it is UTF-16; convert it to UTF-8")
