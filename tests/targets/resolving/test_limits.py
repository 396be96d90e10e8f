"""How many questions are under way, and leave in a second; under a clock that jumps."""

import pytest
import trio
from trio.testing import MockClock

from targets.resolving.limits import DnsLimits, Permits


async def test_queries_in_flight(autojump_clock: MockClock) -> None:
    """No more than so many hold a permit, and they come in order."""
    permits, held, order = Permits(DnsLimits(queries=3, rate=0)), set[int](), list[int]()

    async def ask(number: int) -> None:
        await permits.acquire()
        held.add(number)
        order.append(number)
        assert len(held) <= 3
        await trio.sleep(1)
        held.remove(number)
        permits.release()

    async with trio.open_nursery() as nursery:
        for number in range(9):
            nursery.start_soon(ask, number)
            await trio.testing.wait_all_tasks_blocked()
    assert [set(order[first : first + 3]) for first in (0, 3, 6)] == [{0, 1, 2}, {3, 4, 5}, {6, 7, 8}]
    assert trio.current_time() == pytest.approx(3)


@pytest.mark.parametrize(("rate", "seconds"), [(100, 10), (0, 0)])
async def test_queries_a_second(autojump_clock: MockClock, rate: float, seconds: float) -> None:
    """A thousand questions at 100 a second take ten seconds; with 0 there is no limit."""
    permits = Permits(DnsLimits(queries=0, rate=rate))
    for _ in range(1_000):
        await permits.acquire()
        permits.release()
    assert trio.current_time() == pytest.approx(seconds, abs=0.05)


async def test_a_permit_is_not_lost(autojump_clock: MockClock) -> None:
    """Whoever is cancelled while it waits for its turn gives back its place."""
    permits = Permits(DnsLimits(queries=1, rate=1))
    await permits.acquire()
    permits.release()
    with trio.move_on_after(0.1):
        await permits.acquire()
    await permits.acquire()
