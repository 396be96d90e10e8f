"""The table that keeps results: nothing else than a dict, in a fraction of the memory."""

from hypothesis import given
from hypothesis import strategies as st

from scanner.result_table import VALUE_BYTES, ResultTable

KEYS = st.one_of(
    st.integers(1, 2**64 - 1), st.integers(1, 40), st.integers(0, 40).map(lambda low: 5 << 56 | low << 3 | 1)
)
VALUES = st.binary(min_size=VALUE_BYTES, max_size=VALUE_BYTES)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=200), st.lists(KEYS, max_size=20))
def test_it_is_a_dict(puts: list[tuple[int, bytes]], others: list[int]) -> None:
    """Whatever is put in, and however the keys collide, comes out as it was put in last."""
    table, model = ResultTable(), dict[int, bytes]()
    for key, value in puts:
        table.put(key, value)
        model[key] = value
        assert table.get(key) == value
    assert len(table) == len(model)
    for key in [*model, *others]:
        assert table.get(key) == model.get(key)


def test_its_memory() -> None:
    """What the head of the module says of an entry, over a doubling of the table."""
    table = ResultTable()
    for number in range(1, 100_001):
        table.put(number * 0x9E3779B97F4A7C15 % 2**64 or 1, bytes(VALUE_BYTES))
        if number >= 25_000 and number % 5_000 == 0:
            assert 36 <= table.nbytes / number <= 76
