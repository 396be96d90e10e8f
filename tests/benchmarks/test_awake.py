"""Idle cores are asked to stay awake where they can be asked, and nobody says that they are where they are not."""

from pathlib import Path

import pytest

from benchmarks import awake


@pytest.mark.parametrize(
    ("driver", "may_be_asked", "are"),
    [("haltpoll\n", True, True), ("haltpoll\n", False, False), ("none\n", True, False), (None, True, False)],
)
def test_idle_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: str | None, may_be_asked: bool, are: bool
) -> None:
    """By a limit of no latency at all, where there is a driver that keeps to it."""
    latency, named = tmp_path / "latency", tmp_path / "driver"
    if driver is not None:
        named.write_text(driver)
    if may_be_asked:
        latency.touch()
    monkeypatch.setattr(awake, "_LATENCY", latency)
    monkeypatch.setattr(awake, "_DRIVER", named)
    with awake.idle_cores_awake() as are_awake:
        assert are_awake is are
    assert may_be_asked is latency.exists()
    assert not may_be_asked or latency.read_bytes() == (bytes(4) if are else b"")
