"""Bytes in any pieces → lines."""

from hypothesis import given
from hypothesis import strategies as st

from targets.splitter import LineSplitter

BLOCK_BYTES = 64 * 1024


@given(st.lists(st.binary(max_size=30).map(lambda piece: piece.replace(b"x", b"\n")), max_size=10))
def test_lines_in_any_pieces(pieces: list[bytes]) -> None:
    """However the bytes come, the lines are those of the whole, cut to one byte more than the cap."""
    splitter = LineSplitter(max_line_bytes=10)
    lines = [line for piece in pieces for line in splitter.feed(piece)] + splitter.end()
    whole = b"".join(pieces).split(b"\n")
    if not whole[-1]:
        whole.pop()
    assert lines == [line[:11] for line in whole]


def test_a_line_without_end_takes_bounded_memory() -> None:
    """A line of a hundred blocks is kept as one byte more than the cap."""
    splitter = LineSplitter()
    for _ in range(100):
        assert splitter.feed(b"x" * BLOCK_BYTES) == []
    assert [len(line) for line in splitter.feed(b"\n")] == [64 * 1024 + 1]
