"""When a name server is suspected, set aside, and asked again."""

from targets.resolving.health import FIRST_PAUSE_S, MAX_PAUSE_S, MISSES, Health


def test_silence_is_suspicious() -> None:
    """Some silences in a row raise suspicion, and any answer ends it."""
    health = Health()
    for _ in range(MISSES - 1):
        health.missed()
    assert health.misses == MISSES - 1
    health.answered()
    for _ in range(MISSES):
        assert not health.is_suspected
        health.missed()
    assert health.is_suspected
    health.answered()
    assert health.misses == 0


def test_pauses_grow() -> None:
    """Who is set aside is looked at after a second, and then after pauses that double up to a minute."""
    health, now, pauses = Health(), 100.0, list[float]()
    assert health.set_aside(now)
    while len(pauses) < 9:
        pause_s = next(seconds for seconds in (1, 2, 4, 8, 16, 32, 60) if health.is_due(now + seconds))
        pauses.append(pause_s)
        now += pause_s
        assert health.is_set_aside
        assert not health.set_aside(now)
    assert pauses == [FIRST_PAUSE_S, 2, 4, 8, 16, 32, MAX_PAUSE_S, MAX_PAUSE_S, MAX_PAUSE_S]


def test_an_answer_brings_it_back() -> None:
    """It is said once that it is back, and the next pause is the first again."""
    health = Health()
    health.set_aside(0)
    health.set_aside(10)
    assert health.answered()
    assert not health.answered()
    assert not health.is_set_aside
    assert not health.is_due(1e9)
    health.set_aside(20)
    assert health.is_due(20 + FIRST_PAUSE_S)
