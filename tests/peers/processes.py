"""The workers of a run, as the kernel knows them."""

from collections.abc import Sequence
from pathlib import Path

import trio

WITHIN_S = 20


def workers_of(process: int) -> list[int]:
    """The process ids of the workers of a run, in the order of their starts."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it is gone
            continue
        if int(parent) == process and state != "Z":
            found.append(int(path.parent.name))
    return sorted(found)


async def workers(process: int, count: int) -> list[int]:
    """The same, as soon as there are so many."""
    with trio.fail_after(WITHIN_S):
        while len(found := workers_of(process)) < count:  # noqa: ASYNC110
            await trio.sleep(0.01)
    return found


async def gone(pids: Sequence[int]) -> None:
    """Wait until none of them is there, but for what its parent has not heard of."""
    with trio.fail_after(WITHIN_S):
        while any(_is_alive(pid) for pid in pids):  # noqa: ASYNC110
            await trio.sleep(0.01)


async def stopped(pids: Sequence[int], *, are_stopped: bool = True) -> None:
    """Wait until all of them are stopped, or none of them is any more."""
    with trio.fail_after(WITHIN_S):
        while any((_state(pid) == "T") is not are_stopped for pid in pids):  # noqa: ASYNC110
            await trio.sleep(0.01)


def name_of(pid: int) -> str:
    """What `ps -o comm` shows."""
    return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")


def _is_alive(pid: int) -> bool:
    return _state(pid) not in ("Z", "")


def _state(pid: int) -> str:
    """In one letter; none where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
