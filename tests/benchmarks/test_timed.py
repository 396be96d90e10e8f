"""What a command took: its CPU, its peak, its exit status."""

import sys

from benchmarks.timed import timed

MEGABYTE = 1_000_000


def test_a_command() -> None:
    """CPU within wall, and the exit status as it is."""
    spent = timed([sys.executable, "-c", "sum(range(3_000_000)); raise SystemExit(3)"])
    assert spent.exit_status == 3
    assert 0 < spent.user_s + spent.system_s <= spent.wall_s


def test_the_peak_is_its_own() -> None:
    """The memory of whoever asks is not counted into it (a peak of 178 MB was told of twice, to the byte)."""
    ours = bytearray(b"x" * 200 * MEGABYTE)
    small = timed([sys.executable, "-c", ""]).peak_bytes
    large = timed([sys.executable, "-c", f"b'x' * {100 * MEGABYTE}"]).peak_bytes
    assert small < 50 * MEGABYTE < 100 * MEGABYTE < large < len(ours)
