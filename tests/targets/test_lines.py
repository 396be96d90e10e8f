"""Files and pipes → lines."""

import lzma
import os
import zlib
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest
import trio

from targets.lines import BLOCK_BYTES, InputError, blocks_of, check_readable
from tests.targets.packed import gzip_packed, zstd_packed


async def read(path: str, stdin: int = 0) -> bytes:
    async with aclosing(blocks_of(path, stdin)) as blocks:
        return b"".join([block async for block in blocks])


async def test_a_file_is_read_in_blocks(tmp_path: Path) -> None:
    """A file comes whole, in blocks of at most 64 KiB."""
    path = tmp_path / "targets.txt"
    path.write_bytes(b"x" * (BLOCK_BYTES + 1))
    async with aclosing(blocks_of(str(path))) as blocks:
        assert [len(block) async for block in blocks] == [BLOCK_BYTES, 1]


async def test_standard_input_comes_as_it_is_written() -> None:
    """What is written to a pipe is there at once, before the pipe ends."""
    reading, writing = os.pipe()
    async with aclosing(blocks_of("-", reading)) as blocks:
        for text in (b"one\n", b"two"):
            os.write(writing, text)
            assert await anext(blocks) == text
        os.close(writing)
        assert [block async for block in blocks] == []
    os.fstat(reading)  # standard input is not ours to close
    os.close(reading)


async def test_cancelling_does_not_wait_for_a_pipe() -> None:
    """A pipe that says nothing is left at once."""
    reading, writing = os.pipe()
    with trio.move_on_after(0.01) as scope:
        await read("-", reading)
    assert scope.cancelled_caught
    os.close(writing)


async def test_cancelling_does_not_wait_for_a_named_pipe(tmp_path: Path) -> None:
    """A named pipe that nobody writes to is left at once."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    check_readable([str(path)])
    with trio.move_on_after(0.01) as scope:
        await read(str(path))
    assert scope.cancelled_caught
    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))  # lets the thread go that is still opening it


async def test_a_file_is_closed_when_reading_stops(tmp_path: Path) -> None:
    """No descriptor is left behind by a file that was read half, or whole."""
    path = tmp_path / "targets.txt"
    path.write_bytes(b"x" * BLOCK_BYTES * 3)
    await read(str(path))
    before = len(os.listdir("/proc/self/fd"))
    async with aclosing(blocks_of(str(path))) as blocks:
        await anext(blocks)
    await read(str(path))
    assert len(os.listdir("/proc/self/fd")) == before


BAD_FILES = [
    (lzma.compress(b"mx.example.org\n"), "it is packed \\(xz\\)"),
    (gzip_packed(zstd_packed(b"mx.example.org\n")), "it is packed \\(zstd within gzip\\)"),
    (b"\x1f\x8bmx.example.org", "the gzip data are corrupt"),
    ("mx.example.org".encode("utf-16"), "it is UTF-16; convert it to UTF-8"),
    (b"mx.example.org\n\x00\x01", "it is not text"),
]


@pytest.mark.parametrize(("content", "why"), BAD_FILES)
def test_files_that_are_no_text(tmp_path: Path, content: bytes, why: str) -> None:
    """What is no text is known before anything is scanned."""
    path = tmp_path / "targets.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"targets.gz: {why}") as caught:
        check_readable([str(path)])
    assert caught.value.path == str(path)


@pytest.mark.parametrize(("content", "why"), BAD_FILES[:4])
async def test_compressed_standard_input(content: bytes, why: str) -> None:
    """A pipe is looked at when its first block comes."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    with pytest.raises(InputError, match=f"standard input: {why}"):
        await read("-", reading)
    os.close(reading)


@pytest.mark.parametrize("pack", [gzip_packed, zstd_packed])
async def test_archives(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """An archive is what is in it, as a file and on standard input, and ends in an error where it is cut off."""
    content = b"mx.example.org\n" * 20_000
    path = tmp_path / "targets"
    path.write_bytes(pack(content) + pack(content))
    check_readable([str(path)])
    assert await read(str(path)) == content * 2
    with path.open("rb") as file:
        assert await read("-", file.fileno()) == content * 2
    path.write_bytes(pack(content)[:-9])
    with pytest.raises(InputError, match=r"targets: the \w+ data are cut off"):
        await read(str(path))


def test_binary_within_an_archive(tmp_path: Path) -> None:
    """A NUL byte is seen through the packing."""
    path = tmp_path / "targets.zst"
    path.write_bytes(zstd_packed(b"mx.example.org\n\0"))
    with pytest.raises(InputError, match="it is not text"):
        check_readable([str(path)])


async def test_a_packed_pipe_comes_as_it_is_written() -> None:
    """What a packer has flushed is there before the archive ends."""
    reading, writing = os.pipe()
    packer = zlib.compressobj(wbits=31)
    async with aclosing(blocks_of("-", reading)) as blocks:
        for text in (b"one\n", b"two\n"):
            os.write(writing, packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH))
            assert await anext(blocks) == text
        os.write(writing, packer.flush())
        os.close(writing)
        assert [block async for block in blocks] == []
    os.close(reading)


async def test_cancelling_a_bomb(tmp_path: Path) -> None:
    """Whoever stops reading is heard while one read of the file still unpacks."""
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip_packed(b"x" * 300_000_000))
    with trio.move_on_after(0.02) as scope:
        await read(str(path))
    assert scope.cancelled_caught


def test_paths_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that is missing, a directory, or not permitted is named with its reason."""
    with pytest.raises(InputError, match=r"missing\.txt: no such file or directory"):
        check_readable(["-", str(tmp_path / "missing.txt")])
    with pytest.raises(InputError, match="it is a directory"):
        check_readable([str(tmp_path)])
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read everything
    with pytest.raises(InputError, match="permission denied"):
        check_readable([str(tmp_path / "pipe")])


async def test_files_that_vanish(tmp_path: Path) -> None:
    """A file that cannot be opened when its turn comes is an error of the input, with its name."""
    with pytest.raises(InputError, match=r"gone\.txt: no such file"):
        await read(str(tmp_path / "gone.txt"))
    with pytest.raises(InputError, match="is a directory"):
        await read(str(tmp_path))


def test_good_files(tmp_path: Path) -> None:
    """Text passes, and so does an empty file."""
    (tmp_path / "text").write_text("mx.example.org\n")
    (tmp_path / "empty").touch()
    check_readable([str(tmp_path / "text"), str(tmp_path / "empty"), "/dev/null"])


def test_input_error_with_a_line() -> None:
    """An error in a line names it as an editor does."""
    assert str(InputError("targets.csv", 3, "no")) == "targets.csv:3: no"
