"""How several engines stand together is the sum of how each does, also over a pipe."""

import orjson

from scanner.standing import Standing

ONE = Standing(
    taken=5,
    recorded=3,
    statuses={"tls": 2, "no_tls": 1},
    connections=9,
    errors={"connect": {"refused": 1}, "tls": {"reset": 2}},
    times={"connect": {"smtp": [1, 0, 7]}},
    next_look_s=12.5,
)
OTHER = Standing(
    taken=4,
    recorded=4,
    statuses={"tls": 3, "unreachable": 1},
    connections=1,
    errors={"connect": {"refused": 2, "timeout": 1}},
    times={"connect": {"smtp": [2, 1, 50], "imap": [1, 0, 1]}, "hello": {"smtp": [0, 1, 9]}},
    next_look_s=3.0,
)


def test_sum() -> None:
    """Numbers are added wherever they stand, and the next moment is the nearer one."""
    both = Standing(
        taken=9,
        recorded=7,
        statuses={"tls": 5, "no_tls": 1, "unreachable": 1},
        connections=10,
        errors={"connect": {"refused": 3, "timeout": 1}, "tls": {"reset": 2}},
        times={"connect": {"smtp": [3, 1, 57], "imap": [1, 0, 1]}, "hello": {"smtp": [0, 1, 9]}},
        next_look_s=3.0,
    )
    assert ONE + OTHER == both == OTHER + ONE
    assert sum((ONE, OTHER), Standing()) == both


def test_nothing_waits() -> None:
    """Of one alone, the moment of the other."""
    assert (ONE + Standing()).next_look_s == 12.5
    assert (Standing() + Standing()).next_look_s is None


def test_over_a_pipe() -> None:
    """What is written as JSON is read back the same."""
    assert Standing.from_json(orjson.loads(orjson.dumps(ONE.as_json()))) == ONE
