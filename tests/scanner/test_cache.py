"""The cache: what is used stays, what is not goes, and the weight of it all is bounded."""

import pytest

from scanner.cache import Cache


def asked(cache: Cache[str], *keys: str, weight: int = 1) -> list[str]:
    """Which of these keys had to be worked out."""
    made: list[str] = []

    def make(key: str) -> str:
        made.append(key)
        return key.upper()

    for key in keys:
        assert cache.get(key, lambda key=key: make(key), weight) == key.upper()  # type: ignore[misc]
    return made


def test_once() -> None:
    """What is remembered is not worked out again."""
    cache = Cache[str](2)
    assert asked(cache, "a", "b", "a", "b", "a") == ["a", "b"]
    assert (cache.made, len(cache)) == (2, 2)


def test_what_is_used_stays() -> None:
    """A value that is asked for now and then survives any number of others."""
    cache = Cache[str](3)
    keys = [key for number in range(100) for key in ("often", f"{number} a", f"{number} b")]
    assert asked(cache, *keys).count("often") == 1
    assert len(cache) == 3


@pytest.mark.parametrize(("weight", "kept"), [(1, 10), (3, 3), (5, 2), (10, 1), (11, 0)])
def test_the_weight_is_bounded(weight: int, kept: int) -> None:
    """As many are kept as weigh no more together than may be; what is too heavy by itself pushes out no other."""
    cache = Cache[str](10)
    asked(cache, "light")
    asked(cache, *map(str, range(20)), weight=weight)
    assert len(cache) == (kept or 1)
    assert cache._weight <= 10


def test_forgotten() -> None:
    """What is forgotten is worked out anew, and weighs nothing; to forget what is not there is no matter."""
    cache = Cache[str](2)
    cache.forget("a")
    assert asked(cache, "a", weight=2) == ["a"]
    cache.forget("a")
    assert cache._weight == 0
    assert asked(cache, "a", "a") == ["a"]


def test_a_value_that_is_false() -> None:
    """None and the like are values too."""
    cache = Cache[None](2)
    for _ in range(3):
        cache.get("a", lambda: None)
    assert cache.made == 1


def test_an_error_is_not_remembered() -> None:
    """Where nothing could be worked out, nothing is kept."""
    cache = Cache[float](2)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 / 0)
    assert len(cache) == 0
    assert cache.get("a", lambda: 1.0) == 1.0


def test_what_is_not_remembered_is_not_found() -> None:
    """To look for a value works nothing out, and counts as use."""
    cache = Cache[str](2)
    asked(cache, "a", "b")
    assert (cache.find("a"), cache.find("c"), cache.made) == ("A", None, 2)
    asked(cache, "c")
    assert (cache.find("a"), cache.find("b")) == ("A", None)
