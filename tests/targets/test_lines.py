"""Files and pipes → lines."""

import gzip
import os
from contextlib import aclosing
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from targets.lines import BLOCK_BYTES, InputError, LineSplitter, blocks_of, check_readable


@given(st.lists(st.binary(max_size=30).map(lambda piece: piece.replace(b"x", b"\n")), max_size=10))
def test_lines_in_any_pieces(pieces: list[bytes]) -> None:
    """However the bytes come, the lines are those of the whole, cut to one byte more than the cap."""
    splitter = LineSplitter(max_line_bytes=10)
    lines = [line for piece in pieces for line in splitter.feed(piece)] + splitter.end()
    whole = b"".join(pieces).split(b"\n")
    if not whole[-1]:
        whole.pop()
    assert lines == [line[:11] for line in whole]


def test_a_line_without_end_takes_bounded_memory() -> None:
    """A line of a hundred blocks is kept as one byte more than the cap."""
    splitter = LineSplitter()
    for _ in range(100):
        assert splitter.feed(b"x" * BLOCK_BYTES) == []
    assert [len(line) for line in splitter.feed(b"\n")] == [64 * 1024 + 1]


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
    (gzip.compress(b"mx.example.org\n", mtime=0), "it is compressed \\(gzip\\)"),
    (b"\x28\xb5\x2f\xfd\x00", "it is compressed \\(zstd\\)"),
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


@pytest.mark.parametrize(("content", "why"), BAD_FILES[:3])
async def test_compressed_standard_input(content: bytes, why: str) -> None:
    """A pipe is looked at when its first block comes."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    with pytest.raises(InputError, match=f"standard input: {why}"):
        await read("-", reading)
    os.close(reading)


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
