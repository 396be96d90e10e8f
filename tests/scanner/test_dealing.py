"""What share of the limits each worker has, and that nothing is lost or done twice when workers die."""

import random
from collections import Counter
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.dealing import FEW, MOST_AHEAD, MOST_DEATHS, MOST_WAITING, Hand, processes_for, shares_of
from scanner.limits import Limits
from targets.services import SERVICES
from targets.target import Endpoint, Origin

COUNTED = ("endpoints", "connections", "deferred")
counts = st.integers(0, 100_000)


def endpoint(number: int) -> Endpoint:
    """One of many."""
    return Endpoint(Origin("x"), f"h{number}.test", "192.0.2.1", 443, SERVICES["https"])


@given(counts, counts, counts, st.floats(0, 1e6), st.integers(1, 64))
def test_shares_come_to_the_whole(endpoints: int, connections: int, deferred: int, rate: float, wanted: int) -> None:
    """Totals are shared out, none of them to nothing; 0 is no limit for anybody; an address's and a network's stay."""
    limits = Limits(endpoints, connections, rate, 3, 5, 7, deferred)
    shares = shares_of(limits, processes_for(wanted, 1, None, limits))
    for name in COUNTED:
        each = [asdict(share)[name] for share in shares]
        assert sum(each) == asdict(limits)[name]
        assert max(each) - min(each) <= 1
        assert all(each) or not any(each)
    assert sum(share.rate for share in shares) == pytest.approx(rate)
    assert {(share.per_address, share.per_address_rate, share.per_network_rate) for share in shares} == {(3, 5, 7)}


@pytest.mark.parametrize(
    ("wanted", "endpoints", "connections", "processes"),
    [(3, 5, 1_000, 3), (None, 1_999, 1_000, 1), (None, 2_000, 1_000, 8), (None, None, 1_000, 8), (3, None, 2, 2)],
)
def test_how_many_processes(wanted: int | None, endpoints: int | None, connections: int, processes: int) -> None:
    """So many as were asked for; else as many as there are cores, but one for few endpoints."""
    assert processes_for(wanted, 8, endpoints, Limits(connections=connections)) == processes


def dealt(count: int) -> Hand:
    """So many endpoints, none of them sent."""
    hand = Hand()
    for number in range(count):
        hand.deal(endpoint(number))
    return hand


def sent(hand: Hand) -> list[Endpoint]:
    """All that may be sent now."""
    found = []
    while each := hand.next():
        found.append(each)
    return found


def test_no_more_is_sent_than_the_worker_begins() -> None:
    """What was sent is bounded, and so is what waits to be; the worker says how far it is."""
    hand = dealt(MOST_AHEAD + MOST_WAITING)
    had_room = hand.has_room
    assert len(sent(hand)) == MOST_AHEAD
    hand.has_begun(10)
    assert len(sent(hand)) == 10
    assert (had_room, hand.has_room) == (False, True)
    assert hand.outstanding == MOST_AHEAD + MOST_WAITING


def test_a_record_counts_once() -> None:
    """One that nobody waits for is told: a second one, one that was never sent, one of a worker that died."""
    hand = dealt(2)
    assert hand.over(endpoint(0).id) is None
    assert sent(hand) == [endpoint(0), endpoint(1)]
    assert hand.holds(endpoint(0).id)
    assert hand.over(endpoint(0).id) == endpoint(0)
    assert hand.over(endpoint(0).id) is None
    hand.died()
    assert not hand.holds(endpoint(1).id)
    assert hand.over(endpoint(1).id) is None
    assert hand.outstanding == 1


def test_a_death_loses_nothing() -> None:
    """What was in hand is sent again, before what was not, in its order."""
    hand = dealt(MOST_AHEAD + 5)
    first = sent(hand)
    hand.over(first[0].id)
    assert hand.died() == []
    assert sent(hand) == [*first[1:], endpoint(MOST_AHEAD)]


def twice_dead(count: int) -> Hand:
    """So many endpoints, all of them suspected."""
    hand = dealt(count)
    for _ in range(MOST_DEATHS - 1):
        sent(hand)
        assert hand.died() == []
    return hand


def test_of_suspects_few_are_in_hand() -> None:
    """After two deaths; a third one condemns those few, and no others. Whom nobody suspects does not wait for them."""
    hand = twice_dead(100)
    hand.deal(endpoint(100))
    assert sent(hand) == [*map(endpoint, range(FEW)), endpoint(100)]
    hand.over(endpoint(0).id)
    assert sent(hand) == [endpoint(FEW)]
    hand.over(endpoint(1).id)
    assert sent(hand) == [endpoint(FEW + 1), endpoint(FEW + 2)]
    hand.over(endpoint(2).id)
    assert hand.died() == [endpoint(number) for number in range(3, FEW + 3)]
    assert hand.outstanding == 101 - 3 - FEW


def test_of_many_suspects_none_is_condemned() -> None:
    """They are tried again before all others, in groups of a quarter."""
    hand = twice_dead(1_000)
    for number in range(200):
        sent(hand)
        hand.over(endpoint(number).id)
    crowd = hand.in_hand
    assert crowd > 4 * FEW
    assert hand.died() == []
    assert sent(hand) == [endpoint(200 + number) for number in range(crowd // 4)]


@given(st.sets(st.integers(0, 199), max_size=3), st.integers())
def test_who_kills_is_found(poisonous: set[int], seed: int) -> None:
    """Whichever endpoints kill their worker: they are condemned in the end, few others are, and all have one record."""
    chance = random.Random(seed)
    hand, records, condemned = dealt(200), Counter[str](), Counter[str]()
    begun: list[Endpoint] = []
    while hand.outstanding:
        begun += sent(hand)
        chance.shuffle(begun)
        each = begun.pop()
        if each in map(endpoint, poisonous):
            condemned.update(one.id for one in hand.died())
            begun = []
        else:
            records[each.id] += hand.over(each.id) is not None
    assert records + condemned == Counter(endpoint(number).id for number in range(200))
    assert {endpoint(number).id for number in poisonous} <= condemned.keys()
    assert len(condemned) <= FEW * len(poisonous)


def test_a_worker_that_was_none() -> None:
    """Nobody is suspected of it, however often; and who was before still is."""
    hand = dealt(100)
    first = sent(hand)
    for _ in range(MOST_DEATHS):
        hand.take_back()
        assert sent(hand) == first
    hand = twice_dead(100)
    first = sent(hand)
    hand.take_back()
    assert sent(hand) == first == [endpoint(number) for number in range(FEW)]


def test_what_waits_is_dropped() -> None:
    """At a stop nothing more is sent."""
    hand = dealt(MOST_AHEAD + 7)
    sent(hand)
    assert hand.drop_waiting() == 7
    assert (hand.waiting, hand.in_hand) == (0, MOST_AHEAD)
