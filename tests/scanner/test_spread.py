"""Whose turn it is to be begun: a slow network, or an address with many names, never holds up the others."""

import tracemalloc
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from random import Random

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from scanner import spread as module
from scanner.conclusion import Conclusion
from scanner.engine import Engine
from scanner.interview import Interview
from scanner.limits import Limits
from scanner.pace import Pace, Sign
from scanner.question import Wanted
from scanner.schedule import Waits
from scanner.spread import CHOICE, LEAST, Spread
from scanner.tls.names import Version
from targets.prefixes import Prefixes
from targets.services import SERVICES
from targets.target import Endpoint, Origin
from tests.scanner.test_engine import World, run

network_of = Prefixes().network_of


def endpoint(address: str, number: int = 0) -> Endpoint:
    """One of many names of an address."""
    return Endpoint(Origin(address), f"n{number}.example.test", address, 443, SERVICES["https"])


def spread(**limits: float) -> Spread:
    """One with these limits, and no others."""
    of = Limits(**{"per_address_rate": 0, "per_network_rate": 0, **limits})  # type: ignore[arg-type]
    return Spread(of, Pace(of))


def given_out(spread: Spread, now: float = 0) -> list[Endpoint]:
    """What may be begun now."""
    return list(iter(lambda: spread.next(now), None))


def test_networks_take_turns_and_so_do_their_addresses() -> None:
    """Though they come one network after the other, and one address after the other."""
    turns = spread(per_network_rate=20)
    for address in ("192.0.2.1", "192.0.2.2", "198.51.100.1"):
        for number in range(2):
            turns.add(endpoint(address, number))
    assert [f"{each.address} {each.host}"[:-13] for each in given_out(turns)] == [
        *("192.0.2.1 n0", "198.51.100.1 n0", "192.0.2.2 n0", "198.51.100.1 n1", "192.0.2.1 n1", "192.0.2.2 n1"),
    ]


@pytest.mark.parametrize(("rate", "most"), [(1_000, 500), (1, LEAST), (0.01, LEAST), (20, 200)])
def test_a_network_has_few_in_flight(rate: float, most: int) -> None:
    """As many as it can begin in ten seconds; each that is over makes room for one."""
    turns = spread(per_network_rate=rate)
    for number in range(500):
        turns.add(endpoint(f"192.0.2.{number % 250}", number))
    begun = given_out(turns)
    assert (len(begun), turns.held) == (most, 500 - most)
    for each in begun[:3]:
        turns.over(each)
    assert len(given_out(turns)) == min(3, 500 - most)


def test_who_may_be_begun_at_once() -> None:
    """While nobody waits, and neither its network nor its address has enough in flight; that counts as others do."""
    turns = spread(per_network_rate=2, per_address_rate=1)
    assert [turns.admit(endpoint("192.0.2.1", number), 0) for number in range(LEAST + 1)] == [True] * LEAST + [False]
    assert [turns.admit(endpoint("192.0.2.2", number), 0) for number in range(5)] == [True] * 4 + [False]
    assert turns.admit(endpoint("198.51.100.1"), 0)
    turns.over(endpoint("192.0.2.1"))
    turns.add(endpoint("192.0.2.1", 50))
    turns.add(endpoint("192.0.2.1", 51))
    assert not turns.admit(endpoint("203.0.113.1"), 0)
    assert [each.host for each in given_out(turns)] == ["n50.example.test"]
    assert spread().admit(endpoint("192.0.2.1"), 0)


def test_an_address_has_few_in_flight() -> None:
    """Whether or not there is a limit of its network, whose other addresses go on."""
    for network_rate in (0, 20):
        turns = spread(per_address_rate=1, per_network_rate=network_rate)
        for number in range(100):
            turns.add(endpoint("192.0.2.1", number))
        turns.add(endpoint("192.0.2.2"))
        assert Counter(each.address for each in given_out(turns)) == {"192.0.2.1": LEAST, "192.0.2.2": 1}


def test_a_network_that_shows_strain_has_fewer() -> None:
    """Also those that were waiting for their turn already; and more again when it is let go."""
    limits = Limits(per_address_rate=0)
    pace = Pace(limits)
    turns = Spread(limits, pace)
    for number in range(500):
        turns.add(endpoint(f"192.0.2.{number % 250}", number))
    pace.heed(Sign.RESET, "192.0.2.1", 0)
    pace.heed(Sign.RESET, "192.0.2.2", 10)
    begun = given_out(turns, now=10)
    assert len(begun) == 50
    turns.over(begun[0])
    assert len(given_out(turns, now=1_000)) == 151


def test_a_later_look_counts_too() -> None:
    """It is in flight whatever else is; then others of its network wait."""
    turns = spread(per_network_rate=1)
    for number in range(LEAST + 1):
        turns.add(endpoint("192.0.2.1", number))
    begun = given_out(turns)
    turns.over(begun[0])
    turns.again(begun[0])
    assert given_out(turns) == []
    turns.over(begun[0])
    assert len(given_out(turns)) == 1


def test_what_is_held_by_network() -> None:
    """Each endpoint that is not begun counts for its network; those in flight do not."""
    window = spread(per_network_rate=1)
    for number in range(LEAST + 5):
        window.add(endpoint("192.0.2.1", number))
    window.add(endpoint("198.51.100.1"))
    assert window.held_by_network() == {"192.0.2.0/24": LEAST + 5, "198.51.100.0/24": 1}
    given_out(window)
    assert window.held_by_network() == {"192.0.2.0/24": 5}


def test_room() -> None:
    """More is taken from the input until there is enough to choose from."""
    unlimited = spread()
    assert unlimited.has_room(places=True)
    assert not unlimited.has_room(places=False)
    limited = spread(per_network_rate=1)
    for number in range(CHOICE):
        assert limited.has_room(places=False)
        limited.add(endpoint(f"10.{number >> 8}.{number & 255}.1"))
    assert not limited.has_room(places=False)
    assert limited.has_room(places=True)
    assert limited.next(0)
    assert limited.has_room(places=False)


def test_the_window_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many places there are."""
    monkeypatch.setattr(module, "MOST_HELD", 30)
    turns = spread(per_network_rate=1)
    taken = 0
    while turns.has_room(places=True):
        turns.add(endpoint("192.0.2.1", taken))
        given_out(turns)
        taken += 1
    assert taken == LEAST + 30


def test_what_is_held_takes_few_bytes() -> None:
    """Beside the endpoint itself, whether all are of one network or each has its own."""
    for form in ("10.0.{0}.{1}", "10.{0}.{1}.1"):
        turns = spread(per_network_rate=1)
        endpoints = [endpoint(form.format(number >> 8, number & 255)) for number in range(20_000)]
        tracemalloc.start()
        for each in endpoints:
            turns.add(each)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert held / 20_000 < 800


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=120),
    st.sampled_from([(0, 1), (0.5, 0), (0.5, 1), (1.7, 1.8), (20, 0)]),
    st.integers(1, 60),
    st.randoms(use_true_random=False),
)
def test_each_endpoint_has_its_turn_once(
    work: list[tuple[int, int]], rates: tuple[float, float], places: int, chance: Random
) -> None:
    """Whatever comes and ends in whatever order: all are begun, of an address in order, never too many at once."""
    network_rate, address_rate = rates
    turns = spread(per_network_rate=network_rate, per_address_rate=address_rate)
    coming = [endpoint(f"10.0.{network}.{address}", number) for number, (network, address) in enumerate(work)]
    begun: list[Endpoint] = []
    in_flight: list[Endpoint] = []
    while coming or in_flight or turns.held:
        if coming and chance.random() < 0.6:
            turns.add(coming.pop(0))
        while len(in_flight) < places and (each := turns.next(0)):
            begun.append(each)
            in_flight.append(each)
        networks = Counter(network_of(each.address) for each in in_flight)
        addresses = Counter(each.address for each in in_flight)
        assert all(count <= max(LEAST, 10 * network_rate) for count in networks.values()) or not network_rate
        assert all(count <= max(LEAST, 10 * address_rate) for count in addresses.values()) or not address_rate
        assert in_flight or not turns.held, "some wait, and nobody's end would give them their turn"
        if in_flight and (not coming or chance.random() < 0.5):
            turns.over(in_flight.pop(chance.randrange(len(in_flight))))
    assert len(begun) == len({each.id for each in begun}) == len(work)
    for address in {each.address for each in begun}:
        numbers = [int((each.host or "")[1:-13]) for each in begun if each.address == address]
        assert numbers == sorted(numbers)
    assert (turns.held, turns._addresses, turns._networks) == (0, {}, {})


# --- in the engine ----------------------------------------------------------------------------------------------------


@dataclass
class Scanned:
    """When the endpoints of a scan ended, by their address, and when connections to it began."""

    world: World = field(default_factory=lambda: World(takes_s=0.25))
    ends: dict[str, list[float]] = field(default_factory=dict)

    def engine(self, limits: Limits) -> Engine:
        """For scans of one hello each."""
        began = trio.current_time()

        def on_over(interview: Interview, conclusion: Conclusion, ended: float) -> None:
            self.ends.setdefault(interview.endpoint.address, []).append(trio.current_time() - began)

        return Engine(
            self.world.ask, on_over, Wanted((Version.TLS1_2,), handshake=False), limits, clock=trio.current_time
        )

    async def run(self, endpoints: Iterable[Endpoint], limits: Limits) -> Engine:
        """A whole scan."""
        engine = self.engine(limits)
        await run(engine, endpoints)
        return engine


ELSEWHERE = [endpoint(f"10.{number // 250}.{number % 250}.1") for number in range(1_000)]
CROWDED = [endpoint(f"192.0.2.{number % 250}", number) for number in range(9_000)]
NAMES = [endpoint("192.0.2.1", number) for number in range(9_000)]


@pytest.mark.parametrize("places", [20_000, 60])
@pytest.mark.parametrize("slow", [CROWDED, NAMES], ids=["network", "address"])
async def test_nine_thousand_endpoints_hold_up_nobody(
    autojump_clock: object, slow: list[Endpoint], places: int
) -> None:
    """They come first, at one a second; the thousand others are done as fast as alone."""
    limits = Limits(endpoints=places, connections=0, rate=0, per_address=1, per_address_rate=0, per_network_rate=1)
    if slow is NAMES:
        limits = Limits(endpoints=places, connections=0, rate=0, per_address_rate=1, per_network_rate=0)
    alone, together = Scanned(), Scanned()
    await alone.run(ELSEWHERE, limits if places > 1_000 else replace(limits, endpoints=places - LEAST))
    engine = await together.run([*slow, *ELSEWHERE], limits)
    others = {each.address: sum(together.ends[each.address]) for each in ELSEWHERE}
    by_themselves = {each.address: sum(alone.ends[each.address]) for each in ELSEWHERE}
    assert max(others.values()) <= max(by_themselves.values()) + 1e-9
    if places > 1_000:
        assert others == pytest.approx(by_themselves)
    assert engine.tally.over == 10_000
    slow_starts = sorted(when for when, whom in together.world.asked if whom.startswith("192."))
    assert slow_starts[-1] - slow_starts[0] == pytest.approx(8_999, rel=0.001)
    assert (engine.tally.waiting, engine.tally.in_flight) == (0, 0)


async def test_an_address_with_many_names_and_its_network(autojump_clock: object) -> None:
    """Both limits hold: the neighbours in its network are not held up either."""
    neighbours = [endpoint(f"192.0.2.{number}") for number in range(2, 102)]
    scanned = Scanned()
    await scanned.run([*NAMES[:1_000], *neighbours], Limits(rate=0))
    assert max(max(scanned.ends[each.address]) for each in neighbours) < 20
    assert max(scanned.ends["192.0.2.1"]) == pytest.approx(1_000, rel=0.01)


async def test_a_stop_leaves_what_is_held(autojump_clock: object) -> None:
    """It has no record, so that it is scanned when the run is resumed."""
    scanned = Scanned()
    limits = Limits(endpoints=100, rate=0, per_address_rate=0, per_network_rate=1)
    engine = scanned.engine(limits)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, engine, CROWDED)
        await trio.sleep(30.1)
        assert engine.waits() == Waits(network=LEAST - 1, window=9_000 - LEAST - 30)
        assert (engine.tally.in_flight, engine.tally.waiting) == (LEAST, 9_000 - LEAST - 30)
        engine.stop()
    assert (engine.tally.taken, engine.tally.over, engine.tally.waiting) == (9_000, 31, 0)
    assert engine.tally.unfinished == 9_000 - 31
