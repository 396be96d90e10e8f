"""What the tests of several modules here need."""

import pytest
from trio.testing import MockClock


@pytest.fixture
def patient_clock() -> MockClock:
    """A clock that jumps over waiting, but not over a datagram to a name server of the same process."""
    return MockClock(autojump_threshold=0.02)
