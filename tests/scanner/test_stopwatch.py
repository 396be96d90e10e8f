"""The peer's time is told from ours, whoever is late."""

from scanner.stopwatch import Stopwatch


def test_turns() -> None:
    """From what we say to what comes; what we take in between counts for nobody."""
    watch = Stopwatch(100.0)
    watch.heard(101.0)
    assert watch.lap() == 1.0
    watch.asked(105.0)
    watch.heard(107.0)
    watch.asked(120.0)
    watch.heard(120.5)
    assert watch.lap() == 2.5
    assert watch.lap() == 0.0


def test_unasked() -> None:
    """What comes of its own accord, such as a greeting, was under way since the last that came."""
    watch = Stopwatch(0.0)
    watch.heard(0.5)
    watch.lap()
    watch.heard(2.5)
    watch.heard(3.0)
    assert watch.lap() == 2.5


def test_said_in_parts() -> None:
    """The turn is the peer's from the first of several things on that we say."""
    watch = Stopwatch(0.0)
    watch.heard(1.0)
    watch.lap()
    watch.asked(2.0)
    watch.asked(4.0)
    watch.heard(5.0)
    assert watch.lap() == 3.0


def test_it_spoke_before_it_was_asked() -> None:
    """No step takes less than nothing."""
    watch = Stopwatch(0.0)
    watch.heard(1.0)
    watch.lap()
    watch.asked(5.0)
    watch.heard(3.0)
    assert watch.lap() == 0.0


def test_it_spoke_before_it_was_asked_and_again() -> None:
    """What we took before we spoke is nobody's time, whatever lay there already when we did."""
    watch = Stopwatch(0.0)
    watch.heard(1.0)
    watch.lap()
    watch.asked(5.0)
    watch.heard(3.0)
    watch.heard(7.0)
    assert watch.lap() == 2.0
