"""A process that forks workers, and tells what became of them, for test_children.py: no thread and no loop is here yet.

`python -m tests.scanner.forking [WORLD]` prints JSON lines.
"""

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

from scanner.children import Child, Start, forked, start_process
from scanner.config import Config
from scanner.errand import END, Errand, errand_line
from scanner.question import Wanted
from tests.peers.processes import workers_of

ERRAND = errand_line(Errand("0" * 26, Config(wanted=Wanted(()))))


async def lives(starts: list[Start]) -> dict[str, Any]:
    """Of three, of whom two are there already."""
    begin_first, begin_second = starts
    facts: dict[str, Any] = {"children": children(), "groups": list(map(os.getpgid, children()))}
    async with begin_first() as first:  # which works to its end
        facts["first"] = await greeting(first)
        facts["kept"] = kept(children()[0])
        await first.incoming.send_all(END + b"\n")
        while await first.outgoing.receive_some():
            pass
        facts["first_end"] = await first.wait(), await first.wait()
    async with begin_second() as second:  # which is killed
        facts["second"] = await greeting(second)
        second.send_signal(signal.SIGKILL)
        facts["second_end"] = await second.wait()
        second.send_signal(signal.SIGKILL)  # to nobody
    second.send_signal(signal.SIGSTOP)  # nor to whatever has its descriptor now
    async with start_process() as third:  # which is left while it works
        facts["third"] = await greeting(third)
        facts["third_command"] = command(children()[-1])
    facts["left"] = children()
    return facts


async def greeting(child: Child) -> str | None:
    """The type of its first word; None if it never came to be a worker."""
    await child.incoming.send_all(ERRAND + b"\n")
    said = await child.outgoing.receive_some()
    return str(json.loads(said.splitlines()[0])["type"]) if said else None


def children() -> list[int]:
    """Process ids, in the order of their starts."""
    return workers_of(os.getpid())


def command(pid: int) -> list[str]:
    """As it was started."""
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]


def kept(pid: int) -> list[str]:
    """What it has open."""
    return [os.readlink(each) for each in os.scandir(f"/proc/{pid}/fd")]


def refuse(*_: object) -> None:
    """As a kernel that does not know what it is asked for, or may not tell."""
    raise PermissionError


def signalled(fork: Callable[[], int]) -> Callable[[], int]:
    """One whose child is sent what a terminal sends, before it can do anything."""

    def then() -> int:
        if not (pid := fork()):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTSTP)
        return pid

    return then


def main(world: str) -> None:
    """`left`: two that nobody takes; else what is different with this system."""
    match world:
        case "left":
            print(json.dumps([len(forked(2)), children()]))
            return
        case "few-descriptors":
            resource.setrlimit(resource.RLIMIT_NOFILE, (42, 42))
            print(json.dumps([len(forked(50)), len(children())]))
            return
        case "no-pidfd":
            os.pidfd_open = refuse  # type: ignore[assignment]
            print(json.dumps([len(forked(2)), children()]))
            return
        case "no-proc":
            os.listdir = refuse  # type: ignore[assignment]
        case "impatient":
            os.fork = signalled(os.fork)
        case "no-sigchld":
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print(json.dumps(trio.run(lives, forked(2))))


if __name__ == "__main__":
    main(sys.argv[1] if sys.argv[1:] else "as it is")
