"""Lines over a pipe: gathered on one side, told apart on the other, whatever it is cut into."""

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from scanner.pipe import BLOCK_BYTES, FULL_BYTES, Outbox, PipeClosed, lines_of


async def read(*chunks: bytes) -> list[bytes]:
    """The lines of what comes so."""
    ours, theirs = trio.testing.memory_stream_one_way_pair()
    found: list[bytes] = []

    async def collect() -> None:
        async for lines in lines_of(theirs):
            found.extend(lines)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect)
        for chunk in chunks:
            await ours.send_all(chunk)
            await trio.testing.wait_all_tasks_blocked()
        await ours.aclose()
    return found


@given(st.lists(st.binary(min_size=1, max_size=9).map(lambda line: line.replace(b"\n", b"")), max_size=6), st.data())
def test_lines_however_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    """All whole lines come, in their order."""
    whole = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=5)))
    chunks = [whole[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert trio.run(read, *filter(None, chunks)) == lines


async def test_half_a_line_is_dropped() -> None:
    """It is what a process leaves that dies in the middle of a write."""
    assert await read(b'{"a":1}\n{"b"', b":2}\n{") == [b'{"a":1}', b'{"b":2}']


async def test_lines_are_gathered(autojump_clock: trio.testing.MockClock) -> None:
    """For so long at most; a block's worth, or what is in a hurry, goes at once."""
    ours, theirs = trio.testing.memory_stream_one_way_pair()
    outbox, times = Outbox(ours, 0.2), []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.run)
        for line in (b"a", b"b" * BLOCK_BYTES):
            began = trio.current_time()
            outbox.put(line)
            await theirs.receive_some(BLOCK_BYTES + 1)
            times.append(trio.current_time() - began)
        began = trio.current_time()
        outbox.put(b"c")
        outbox.hurry()
        assert await theirs.receive_some() == b"c\n"
        times.append(trio.current_time() - began)
        nursery.cancel_scope.cancel()
    assert times == pytest.approx([0.2, 0, 0])


async def test_a_reader_that_does_not_read(autojump_clock: trio.testing.MockClock) -> None:
    """Lines are put without a wait; who asks for room waits, and so does who asks for all to be gone."""
    ours, theirs = trio.testing.lockstep_stream_one_way_pair()
    outbox = Outbox(ours, 0.2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.run)
        await outbox.room()
        outbox.put(b"a" * FULL_BYTES)
        for wait in (outbox.room, outbox.empty):
            with trio.move_on_after(5) as patience:
                await wait()
            assert patience.cancelled_caught
        await theirs.receive_some(FULL_BYTES + 1)
        await outbox.room()
        await outbox.empty()
        nursery.cancel_scope.cancel()


async def test_a_reader_that_is_gone() -> None:
    """Then nothing can be said to it."""
    ours, theirs = trio.testing.memory_stream_one_way_pair()
    outbox = Outbox(ours, 0)
    outbox.put(b"a")
    await theirs.aclose()
    with pytest.raises(PipeClosed):
        await outbox.run()
