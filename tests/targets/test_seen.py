"""What a run has seen."""

from hypothesis import given
from hypothesis import strategies as st

from targets.seen import HashSet, Seen
from tests.targets.spans import written_out

SMALL = st.integers(0, 30)
SPAN = st.tuples(SMALL, SMALL).map(lambda ends: (min(ends), max(ends)))


@given(st.lists(st.integers(1, 2**64 - 1) | st.integers(1, 20).map(lambda low: low << 40), max_size=300))
def test_hash_set_is_a_set(numbers: list[int]) -> None:
    """Through growing and through numbers that begin at the same slot, it answers as a set does."""
    table, naive = HashSet(), set[int]()
    for number in numbers:
        assert (number in table) == (number in naive)
        assert table.add(number) == (number not in naive)
        naive.add(number)
    assert all(number in table for number in naive)


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["1.1.1.1", "::1"]), SMALL, st.sampled_from(["x", "y"]))
    )
)
def test_named_endpoints(keys: list[tuple[str, str, int, str]]) -> None:
    """An endpoint with a name is new once."""
    seen, naive = Seen(), set[tuple[str, str, int, str]]()
    for key in keys:
        assert seen.add_named(*key) == (key not in naive)
        naive.add(key)


@given(st.lists(SMALL | SPAN, max_size=20))
def test_singles_and_networks(targets: list[int | tuple[int, int]]) -> None:
    """An address is new once, whether it comes singly or in a network."""
    lane, naive = Seen().lane(4, "smtp", 25), set[int]()
    for target in targets:
        if isinstance(target, int):
            assert lane.add(target) == (target not in naive)
            naive.add(target)
        else:
            fresh = [value for value in written_out(lane.add_network([target])) if not lane.seen_singly(value)]
            assert set(fresh) == set(written_out([target])) - naive
            naive.update(fresh)


def test_lanes_are_apart() -> None:
    """Another family, service, port or name is another endpoint."""
    seen = Seen()
    assert all(seen.lane(*lane).add(1) for lane in [(4, "smtp", 25), (6, "smtp", 25), (4, "tls", 25), (4, "smtp", 26)])
    assert seen.add_named("a", "1.1.1.1", 25, "smtp")
    assert seen.add_named("b", "1.1.1.1", 25, "smtp")
    assert not seen.lane(4, "smtp", 25).add(1)
    assert seen.lane(4, "smtp", 25).singles == 1


def test_memory() -> None:
    """An endpoint takes at most 24 bytes, and a network next to none."""
    seen = Seen(key=b"a test's own")
    lane = seen.lane(4, "smtp", 25)
    for value in range(20_000):
        lane.add(value)
    assert seen.nbytes <= 24 * 20_000
    before = seen.nbytes
    lane.add_network([(2**24, 2**25)])
    assert seen.nbytes == before


def test_no_endpoint_is_lost_among_many() -> None:
    """Tens of thousands of different endpoints are all new."""
    seen = Seen()
    assert all(seen.add_named(f"host{number}.example", "1.1.1.1", 25, "smtp") for number in range(30_000))
