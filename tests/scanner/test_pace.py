"""The pace of networks: what slows one down, by how much, and how it is let go again."""

from collections import Counter
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner import pace as module
from scanner.limits import Limits
from scanner.pace import BURST_IS_WITHIN_S, EASE_S, HEARD, MANY, MOST_TOLD, SLOWEST_S, Learnt, Pace, Sign
from targets.prefixes import Prefixes

NETWORK = "192.0.2.0/24"


def address(number: int) -> str:
    """One of the network."""
    return f"192.0.2.{number}"


def heeded(pace: Pace, *numbers: int, apart_s: float = 2 * BURST_IS_WITHIN_S) -> float:
    """Let these addresses show strain, one after the other; when the last did."""
    now = 0.0
    for number in numbers:
        now += apart_s
        pace.heed(Sign.RATE_LIMITED, address(number), now)
    return now


@pytest.mark.parametrize(("rate", "interval_s"), [(20, 0.05), (1, 1), (0, 0)])
def test_without_strain(rate: float, interval_s: float) -> None:
    """The limit is the pace."""
    pace = Pace(Limits(per_network_rate=rate))
    assert pace.interval_s(NETWORK, 0) == interval_s
    assert not pace.is_slow(NETWORK, 0)
    assert pace.learnt() == Learnt()


@pytest.mark.parametrize(("rate", "interval_s"), [(20, 0.1), (1, 2), (0, 0.1), (0.001, 1000)])
def test_a_sign_halves_the_pace(rate: float, interval_s: float) -> None:
    """Also where there is no limit; and one that is slower than the slowest anyway stays as it is."""
    pace = Pace(Limits(per_network_rate=rate))
    assert pace.heed(Sign.RESET, address(1), 100) == interval_s
    assert pace.interval_s(NETWORK, 100) == interval_s
    assert pace.interval_s("198.51.100.0/24", 100) == (1 / rate if rate else 0)


def test_a_burst_counts_once() -> None:
    """Twenty answers that come together say the same; all of them are counted."""
    pace = Pace(Limits())
    assert pace.heed(Sign.RATE_LIMITED, address(0), 0) == 0.1
    for number in range(1, 20):
        assert pace.heed(Sign.RATE_LIMITED, address(number), number * BURST_IS_WITHIN_S / 20) is None
    assert pace.interval_s(NETWORK, BURST_IS_WITHIN_S) == 0.1
    assert pace.learnt().signs == {"rate_limited": 20}


def test_one_address_is_heard_twice() -> None:
    """However often it speaks: for the rest of its network, that is over after some minutes."""
    pace = Pace(Limits())
    now = heeded(pace, *[1] * HEARD)
    assert pace.interval_s(NETWORK, now) == 0.2
    assert pace.learnt().slowest[0].interval_s == 0.2
    for _ in range(100):
        now += 10
        assert pace.heed(Sign.RATE_LIMITED, address(1), now) is None
    assert pace.interval_s(NETWORK, now) == 0.05


def test_many_addresses_slow_their_network_to_a_minute() -> None:
    """Each is heard; and when many were, they are believed whoever speaks, without being remembered."""
    pace = Pace(Limits())
    assert pace.interval_s(NETWORK, heeded(pace, 1, 2, 3)) == 0.4
    assert pace.interval_s(NETWORK, heeded(pace, *range(60))) == SLOWEST_S
    strain = pace._strained[NETWORK]
    assert len(strain.heard) == MANY
    later = 10_000.0
    assert pace.interval_s(NETWORK, later) == 0.05
    assert [pace.heed(Sign.SILENCE, address(0), later + 6 * number) for number in range(3)] == [0.1, 0.2, 0.4]


def test_it_is_let_go_by_halves() -> None:
    """After each minute without a sign, down to the limit, and no further."""
    pace = Pace(Limits())
    last = heeded(pace, 1, 2, 3, 4)
    seen = [pace.interval_s(NETWORK, last + minutes * EASE_S) for minutes in (0, 0.99, 1, 2, 3, 4, 5, 60)]
    assert seen == [0.8, 0.8, 0.4, 0.2, 0.1, 0.05, 0.05, 0.05]
    assert not pace.is_slow(NETWORK, last + 60 * EASE_S)


def test_networks_are_those_of_the_prefixes() -> None:
    """Strain is that of the network, however long its prefix is."""
    pace = Pace(Limits(), Prefixes(16, 32))
    pace.heed(Sign.SILENCE, "192.0.2.1", 0)
    pace.heed(Sign.SILENCE, "2001:db8::1", 0)
    assert [each.network for each in pace.learnt().slowest] == ["2001:db8::/32", "192.0.0.0/16"]


@given(st.lists(st.tuples(st.sampled_from(list(Sign)), st.integers(0, 40), st.floats(0, 200)), max_size=60))
def test_it_stays_between_the_limit_and_a_minute(signs: list[tuple[Sign, int, float]]) -> None:
    """Whatever comes, and no sign makes anything faster; without signs it is the limit again within the hour."""
    pace = Pace(Limits())
    now = 0.0
    for (sign, number, _), now in zip(signs, accumulate(each[2] for each in signs), strict=True):
        before = pace.interval_s(NETWORK, now)
        told = pace.heed(sign, address(number), now)
        after = pace.interval_s(NETWORK, now)
        assert 0.05 <= before <= after <= SLOWEST_S
        assert told in (None, after)
        assert told is not None or before == after
    assert pace.interval_s(NETWORK, now + 3600) == 0.05
    assert pace.learnt().signs == Counter(sign for sign, _, _ in signs)
    assert pace.learnt().addresses == len({number for _, number, _ in signs})


def test_what_was_learnt() -> None:
    """Counts of everything, and the slowest networks; that of two workers adds up."""
    pace = Pace(Limits())
    heeded(pace, 1, 2, 2)
    for number in range(MOST_TOLD + 50):
        pace.heed(Sign.CLOSED, f"10.0.{number}.1", 0)
    facts = pace.learnt().facts()
    assert (facts["addresses_slowed"], facts["networks_slowed"]) == (2 + MOST_TOLD + 50, 1 + MOST_TOLD + 50)
    assert facts["events"] == {"rate_limited": 3, "closed": MOST_TOLD + 50, "reset": 0, "silence": 0}
    assert facts["networks"][0] == {"network": NETWORK, "events": 3, "interval_s": 0.4}
    assert len(facts["networks"]) == MOST_TOLD
    assert Learnt.of(facts) == pace.learnt()
    other = Pace(Limits())
    for number in range(5):
        other.heed(Sign.SILENCE, f"10.1.0.{number}", 10.0 * number)
    both = pace.learnt() + other.learnt()
    assert [(each.network, each.interval_s) for each in both.slowest[:2]] == [("10.1.0.0/24", 1.6), (NETWORK, 0.4)]
    assert (both.addresses, both.networks, len(both.slowest)) == (7 + MOST_TOLD + 50, 2 + MOST_TOLD + 50, MOST_TOLD)
    assert both.signs == {"rate_limited": 3, "closed": MOST_TOLD + 50, "silence": 5}


def test_memory_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What showed strain longest ago is forgotten; its count is not."""
    monkeypatch.setattr(module, "MOST_REMEMBERED", 3)
    pace = Pace(Limits())
    for number in (1, 2, 1, 3, 4):
        pace.heed(Sign.RESET, f"10.0.{number}.1", 10.0 * number)
    assert list(pace._strained) == ["10.0.1.0/24", "10.0.3.0/24", "10.0.4.0/24"]
    assert len(pace._addresses) == 3
    assert pace.learnt().networks == 4
