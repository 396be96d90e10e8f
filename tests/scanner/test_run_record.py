"""Records of runs that are read again: what is relied on is there, or they are none."""

from typing import Any

import pytest

from scanner.run_record import check_run, check_start
from tests.scanner.test_merge import end, start

Change = dict[str, Any]


def test_what_is_told_more() -> None:
    """A later version may have more to say, and in objects whose names are not fixed, other names."""
    check_run({**start(1), "tomorrow": [1]})
    check_start({**start(1), "tomorrow": [1]})
    check_run({**end(1), "tomorrow": None, "dns": {"queries": 1, "over_quic": 2}})


@pytest.mark.parametrize(
    "change",
    [
        {"complete": 1},
        {"connections": True},
        {"connections": -1},
        {"connections": 2**53},
        {"connections": 1.5},
        {"dns": {"queries": "5"}},
        {"errors": {"connect": {"refused": None}}},
        {"lines": {"read": 1}},
        {"hello_name_resolves": "yes"},
        {"learnt": {"addresses_slowed": 0, "networks_slowed": 0, "events": {}, "networks": [{}]}},
        {"time": "yesterday"},
        {"time": "2026-11-28T18:00:00"},
    ],
)
def test_an_end_that_is_none(change: Change) -> None:
    """Counts are whole numbers that can be added up, and a time has its zone."""
    with pytest.raises(ValueError):  # noqa: PT011
        check_run({**end(1), **change})


@pytest.mark.parametrize("change", [{"seed": "7"}, {"seed": 2**63}, {"settings": []}, {"hello_name": 1}, {"shard": 1}])
def test_a_start_that_is_none(change: Change) -> None:
    """Neither to be joined nor to be gone on with."""
    for check in (check_run, check_start):
        with pytest.raises(ValueError):  # noqa: PT011
            check({**start(1), **change})
