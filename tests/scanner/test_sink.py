"""The one writer, over real pipes and files: whole lines, gathered, and a reader that is slow, stalled or gone."""

import fcntl
import json
import os
import resource
import select
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trio

from scanner.output import OutputClosed
from scanner.sink import FULL_BYTES, GATHER_BYTES, Sink

GATHER_S = 0.05
LINE_BYTES = 1_024


def record(number: int, size: int = LINE_BYTES) -> dict[str, object]:
    """A record whose line has this many bytes."""
    bare = len(json.dumps({"number": number, "filler": ""}, separators=(",", ":"))) + 1
    return {"number": number, "filler": "x" * (size - bare)}


def numbers(written: bytes) -> list[int]:
    """The numbers of the records in what was written, which is whole lines."""
    assert not written or written.endswith(b"\n")
    return [json.loads(line)["number"] for line in written.splitlines()]


@contextmanager
def pipe(capacity: int = 4_096) -> Iterator[tuple[int, int]]:
    """A pipe that holds little."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, capacity)
    try:
        yield reading, writing
    finally:
        for end in (reading, writing):
            with suppress(OSError):  # a test may have closed it
                os.close(end)


async def read(descriptor: int, size: int) -> bytes:
    """So many bytes from a pipe, or all that there are before its end."""
    read = bytearray()
    while len(read) < size:
        if not (data := await trio.to_thread.run_sync(os.read, descriptor, 65_536)):
            break
        read += data
    return bytes(read)


async def test_lines_in_a_file(tmp_path: Path) -> None:
    """Every record is one line, in its order."""
    path = tmp_path / "out.jsonl"
    with path.open("wb") as file:
        sink = Sink(file.fileno())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.run)
            for number in range(500):
                sink.put(record(number))
            sink.close()
    assert numbers(path.read_bytes()) == list(range(500))
    assert sink.records == 500


async def test_a_record_waits_no_longer_than_the_gathering() -> None:
    """One record alone is written when the gathering is over, and not before."""
    with pipe() as (reading, writing):
        sink = Sink(writing, gather_s=GATHER_S)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.run)
            began = trio.current_time()
            sink.put(record(1))
            assert numbers(await read(reading, LINE_BYTES)) == [1]
            assert GATHER_S / 2 < trio.current_time() - began < GATHER_S + 1
            sink.close()


async def test_much_is_written_at_once() -> None:
    """64 KiB do not wait for the gathering to be over."""
    with pipe(1_048_576) as (reading, writing):
        sink = Sink(writing, gather_s=60)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.run)
            count = GATHER_BYTES // LINE_BYTES
            for number in range(count):
                sink.put(record(number))
            assert numbers(await read(reading, GATHER_BYTES)) == list(range(count))
            sink.close()


async def test_closing_does_not_wait() -> None:
    """What is left at the end is written at once."""
    with pipe() as (reading, writing):
        sink = Sink(writing, gather_s=60)
        sink.put(record(1))
        sink.close()
        await sink.run()
        os.close(writing)
        assert numbers(await read(reading, 9_999)) == [1]


@contextmanager
def writes_noted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What is handed to `os.write`, write by write."""
    noted: list[bytes] = []
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        noted.append(bytes(data))
        return real(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        yield noted


async def test_writes_to_a_pipe_are_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """To a pipe go groups of whole lines of at most PIPE_BUF; a longer line goes alone."""
    sizes = [1_500, 1_500, 1_500, select.PIPE_BUF, 100, select.PIPE_BUF + 1, 100]
    with pipe(1_048_576) as (reading, writing), writes_noted(monkeypatch) as noted:
        sink = Sink(writing)
        for number, size in enumerate(sizes):
            sink.put(record(number, size))
        sink.close()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, reading, sum(sizes))
            await sink.run()
    assert [numbers(each) for each in noted if b"number" in each] == [[0, 1], [2], [3], [4], [5], [6]]


async def test_a_long_line_waits_until_there_is_room_for_all_of_it() -> None:
    """While a reader stalls, no part of a line over PIPE_BUF stands in the pipe; when it reads on, all of it comes."""
    with pipe(65_536) as (reading, writing):
        sink = Sink(writing, gather_s=0.001)
        sink.put(record(0, 1_000))
        sink.put(record(1, 200_000))
        sink.close()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.run)
            await trio.sleep(0.1)
            os.set_blocking(reading, False)
            assert numbers(os.read(reading, 400_000)) == [0]
            os.set_blocking(reading, True)
            assert numbers(await read(reading, 200_000)) == [1]


async def test_writes_to_a_file_are_large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """To a file, lines go in groups of up to 64 KiB."""
    with (tmp_path / "out.jsonl").open("wb") as file, writes_noted(monkeypatch) as noted:
        sink = Sink(file.fileno())
        for number in range(100):
            sink.put(record(number))
        sink.close()
        await sink.run()
    assert [len(numbers(each)) for each in noted if b"number" in each] == [64, 36]


def test_lines_that_wait_take_their_own_length(tmp_path: Path) -> None:
    """The encoder's buffer, of many times a line, is not kept for each: they were half of what a scan allocated."""
    with (tmp_path / "out.jsonl").open("wb") as file:
        sink = Sink(file.fileno())
        tracemalloc.start()
        try:
            for number in range(500):
                sink.put(record(number))
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert held < 1.5 * 500 * LINE_BYTES


async def test_a_slow_reader_holds_the_intake_back() -> None:
    """Records are taken at once whatever the reader does; `room` waits until it has caught up."""
    count = 2 * FULL_BYTES // LINE_BYTES
    with pipe() as (reading, writing):
        sink = Sink(writing, gather_s=0.001)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.run)
            await sink.room()
            began = trio.current_time()
            for number in range(count):
                sink.put(record(number))
            assert trio.current_time() - began < 1
            with trio.move_on_after(0.02) as scope:
                await sink.room()
            assert scope.cancelled_caught
            sink.close()
            written = await read(reading, count * LINE_BYTES)
            await sink.room()
    assert numbers(written) == list(range(count))


async def test_an_intake_that_asks_for_room_takes_bounded_memory() -> None:
    """With a reader that has stalled, an intake that heeds `room` stops at a megabyte, and goes on with the reader."""
    taken = 0

    async def intake() -> None:
        nonlocal taken
        for number in range(3_000):
            sink.put(record(number))
            taken += 1
            await sink.room()
        sink.close()

    with pipe() as (reading, writing):
        sink = Sink(writing, gather_s=0.001)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.run)
            nursery.start_soon(intake)
            await trio.sleep(0.02)
            assert taken <= FULL_BYTES // LINE_BYTES + 1
            assert numbers(await read(reading, 3_000 * LINE_BYTES)) == list(range(3_000))


async def test_a_stalled_reader_can_be_left() -> None:
    """A writer that is cancelled in the middle of a write is left to itself, and nobody waits for it."""
    with pipe() as (reading, writing):
        sink = Sink(writing)
        for number in range(100):
            sink.put(record(number))
        sink.close()
        with trio.move_on_after(0.02) as scope:
            await sink.run()
        assert scope.cancelled_caught
        await read(reading, 100 * LINE_BYTES)  # lets the thread go


async def test_a_reader_that_has_gone() -> None:
    """A closed pipe is told as such, and what was read before it is whole lines."""
    with pipe() as (reading, writing):
        sink = Sink(writing, gather_s=0.001)
        with pytest.RaisesGroup(pytest.RaisesExc(OutputClosed, match="^the reader of the output has gone$")):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(sink.run)
                for number in range(100):
                    sink.put(record(number))
                numbers(await read(reading, 8 * LINE_BYTES))
                os.close(reading)


async def test_a_full_disk() -> None:
    """No space left is told as such."""
    full = os.open("/dev/full", os.O_WRONLY)
    sink = Sink(full)
    sink.put(record(1))
    sink.close()
    with pytest.raises(OutputClosed, match=r"^the output cannot be written: No space left on device$"):
        await sink.run()
    os.close(full)


async def test_its_name_is_told() -> None:
    """Which of several outputs takes no more."""
    full = os.open("/dev/full", os.O_WRONLY)
    sink = Sink(full, "the file of the certificates")
    sink.put(record(1))
    sink.close()
    with pytest.raises(OutputClosed, match=r"^the file of the certificates cannot be written: No space left"):
        await sink.run()
    os.close(full)


@pytest.mark.parametrize("before", [b"", b"an older line\n"])
async def test_a_file_that_can_grow_no_more_ends_with_a_whole_line(tmp_path: Path, before: bytes) -> None:
    """Where a write is cut short by a full disk, the half line is taken back."""
    path = tmp_path / "out.jsonl"
    path.write_bytes(before)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    with path.open("ab", buffering=0) as file:
        sink = Sink(file.fileno())
        for number in range(10):
            sink.put(record(number))
        sink.close()
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, limit[1]))
        try:
            with pytest.raises(OutputClosed, match="File too large"):
                await sink.run()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert numbers(path.read_bytes().removeprefix(before)) == [0, 1, 2, 3]


async def test_a_pipe_that_does_not_block() -> None:
    """A pipe that somebody made non-blocking is waited for all the same."""
    with pipe() as (reading, writing):
        os.set_blocking(writing, False)
        sink = Sink(writing)
        for number in range(100):
            sink.put(record(number))
        sink.close()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.run)
            assert numbers(await read(reading, 100 * LINE_BYTES)) == list(range(100))


async def test_what_goes_ahead_is_written_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates are in their file before the record that names them, however long they would be gathered."""
    with (tmp_path / "ahead").open("wb") as first, (tmp_path / "out").open("wb") as second:
        ahead = Sink(first.fileno(), gather_s=60)
        sink = Sink(second.fileno(), gather_s=GATHER_S, ahead=ahead)
        with writes_noted(monkeypatch) as noted:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ahead.run)
                nursery.start_soon(sink.run)
                for number in range(3):
                    ahead.put(record(number))
                    sink.put(record(10 + number))
                    await sink.settle()
                ahead.close()
                sink.put(record(13))
                sink.close()
    assert [numbers(each) for each in noted if b"number" in each] == [[0], [10], [1], [11], [2], [12], [13]]
