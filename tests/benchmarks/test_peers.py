"""Other scanners: one counts only if its output tells of every endpoint."""

from benchmarks.peers import Peer, Way, asked

PEER = Peer("a scanner", "something", "the rest")


def way(program: str, endpoints: int) -> Way:
    """It prints one line."""
    return Way(PEER, (program,), "tls13 on {port}", r"^tls13 on 443$", endpoints)


def test_one_that_tells_of_all() -> None:
    """It has its cost, and keeps what it covers and what not."""
    peer = asked(way("echo", 1), 443)
    assert peer.cpu_us is not None
    assert peer.wall_us is not None
    assert peer.wall_us > 0
    assert (peer.name, peer.covers, peer.lacks) == ("a scanner", "something", "the rest")


def test_one_that_tells_of_some() -> None:
    """However quick it was: no figure."""
    assert asked(way("echo", 2), 443) == PEER


def test_one_that_is_not_there() -> None:
    """It is in the table, without a figure."""
    assert asked(way("no-such-scanner", 1), 443) == PEER
