"""Waits for sockets that take too long are ended at their moment, and no other is. The peers are in this process."""

import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from random import Random

import pytest
import trio
from trio.lowlevel import wait_readable, wait_writable

from scanner.vigil import Vigil, Waited

NEVER = 1_000_000.0


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Ours, and the peer's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


@asynccontextmanager
async def kept(*lengths_s: float) -> AsyncIterator[Vigil]:
    """A vigil for waits of these lengths."""
    vigil = Vigil(lengths_s)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(vigil.keep)
        yield vigil
        nursery.cancel_scope.cancel()


async def send_at(moment: float, theirs: socket.socket) -> None:
    """The peer says a word."""
    await trio.sleep_until(moment)
    theirs.send(b"x")


@pytest.mark.parametrize(
    ("timeout_s", "deadline_s", "ends_s", "comes_to"),
    [
        (10, NEVER, 10, Waited.TIMEOUT),
        (10, 4, 4, Waited.DEADLINE),
        (7, NEVER, 7, Waited.TIMEOUT),
        (7, 4, 4, Waited.DEADLINE),
        (10, 10, 10, Waited.TIMEOUT),
    ],
    ids=["usual", "usual, the deadline first", "another", "another, the deadline first", "both"],
)
async def test_silence(
    autojump_clock: object, timeout_s: float, deadline_s: float, ends_s: float, comes_to: Waited
) -> None:
    """A wait ends with its timeout or the deadline, whatever is first; the socket goes on to be of use."""
    with pair() as (ours, theirs):
        async with kept(10, 15) as vigil:
            begun = trio.current_time()
            assert await vigil.wait(wait_readable, ours, timeout_s, begun + deadline_s) is comes_to
            assert trio.current_time() == begun + ends_s
            theirs.send(b"x")
            assert await vigil.wait(wait_readable, ours, timeout_s, NEVER) is Waited.READY
            assert (ours.recv(9), trio.current_time()) == (b"x", begun + ends_s)


async def test_a_full_socket(autojump_clock: object) -> None:
    """Waits for room are ended like waits for bytes."""
    with pair() as (ours, theirs):
        async with kept(10) as vigil:
            assert await vigil.wait(wait_writable, ours, 10, NEVER) is Waited.READY
            with suppress(BlockingIOError):
                while True:
                    ours.send(bytes(65_536))
            begun = trio.current_time()
            assert await vigil.wait(wait_writable, ours, 10, NEVER) is Waited.TIMEOUT
            assert trio.current_time() == begun + 10
            while len(theirs.recv(65_536, socket.MSG_DONTWAIT)) == 65_536:
                pass
            assert await vigil.wait(wait_writable, ours, 10, NEVER) is Waited.READY


async def test_a_short_wait_behind_a_long_one(autojump_clock: object) -> None:
    """The alarm goes off for whoever is first, not for whoever began first."""
    ends: list[tuple[str, float]] = []

    async def wait(vigil: Vigil, name: str, timeout_s: float, after_s: float) -> None:
        await trio.sleep(after_s)
        with pair() as (ours, _):
            assert await vigil.wait(wait_readable, ours, timeout_s, NEVER) is Waited.TIMEOUT
        ends.append((name, trio.current_time() - begun))

    begun = trio.current_time()
    async with kept(10, 40) as vigil, trio.open_nursery() as nursery:
        for name, timeout_s, after_s in [("long", 40, 0), ("short", 10, 1), ("later", 10, 2), ("last", 40, 3)]:
            nursery.start_soon(wait, vigil, name, timeout_s, after_s)
    assert ends == [("short", 11), ("later", 12), ("long", 40), ("last", 43)]


async def test_a_wait_that_somebody_else_ends(autojump_clock: object) -> None:
    """It is cancelled as any other, and leaves nothing behind: the next one has all of its time."""
    with pair() as (ours, _):
        async with kept(10) as vigil:
            begun = trio.current_time()
            with trio.move_on_after(6) as scope:
                await vigil.wait(wait_readable, ours, 10, NEVER)
            assert scope.cancelled_caught
            assert await vigil.wait(wait_readable, ours, 10, NEVER) is Waited.TIMEOUT
            assert trio.current_time() == begun + 16


async def test_many(autojump_clock: object) -> None:
    """Of hundreds of waits, each ends at its own moment: with a word, its timeout, or its deadline."""
    random = Random(7)
    wrong: list[object] = []

    async def wait(vigil: Vigil, ours: socket.socket, theirs: socket.socket, nursery: trio.Nursery) -> None:
        for _ in range(3):
            begun = trio.current_time()
            timeout_s = random.choice((10, 15, 30, random.uniform(0, 40)))
            deadline, word = begun + random.uniform(0, 60), begun + random.uniform(0, 60)
            ends = min(begun + timeout_s, deadline)
            if word < ends:
                nursery.start_soon(send_at, word, theirs)
            said = await vigil.wait(wait_readable, ours, timeout_s, deadline) is Waited.READY
            if said:
                ours.recv(9)
            if (said, trio.current_time()) != (word < ends, min(word, ends)):
                wrong.append((said, timeout_s, deadline, word, trio.current_time()))

    with ExitStack() as stack:
        async with kept(10, 15, 30) as vigil, trio.open_nursery() as nursery:
            for _ in range(300):
                nursery.start_soon(wait, vigil, *stack.enter_context(pair()), nursery)
    assert wrong == []


async def test_a_word_in_time_and_a_late_alarm() -> None:
    """While other tasks keep the alarm from being heard, a word comes in time for another wait: it is none too late."""
    length_s = 0.1

    async def keep_all_from_running(moment: float) -> None:
        await trio.sleep_until(moment)
        time.sleep(0.08)  # noqa: ASYNC251

    async def begin_at(moment: float, vigil: Vigil, ours: socket.socket) -> None:
        await trio.sleep_until(moment)
        came_to.append(await vigil.wait(wait_readable, ours, length_s, NEVER))

    for _ in range(10):  # whichever task is first in its round, by chance
        came_to: list[Waited] = []
        with pair() as (silent, _quiet), pair() as (ours, theirs):
            async with kept(length_s) as vigil, trio.open_nursery() as nursery:
                begun = trio.current_time()
                nursery.start_soon(begin_at, begun, vigil, silent)
                nursery.start_soon(begin_at, begun + 0.05, vigil, ours)
                nursery.start_soon(keep_all_from_running, begun + length_s)
                threading.Timer(0.12, theirs.send, (b"x",)).start()
        assert sorted(came_to, key=lambda each: each.value) == [Waited.READY, Waited.TIMEOUT]
