"""How a worker comes to be, is sent a signal, and is known to be over.

    before the event loop ──▶ forked: has all that we have imported, and takes some milliseconds of CPU to be there
    at any time           ──▶ a Python of its own, which imports it again: some tenths of a second

The process group of a worker is its own, so that no Ctrl-C reaches it; its session is not: if we die while it is
stopped, the kernel lets it go on (POSIX.1 _exit, consequences of process termination), else it would stay so for ever.
"""

import fcntl
import gc
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import NoReturn

import trio
from trio.abc import ReceiveStream, SendStream

from scanner import worker
from scanner.descriptors import spare_descriptors

STANDARD = 3  # descriptors: input, output, errors
DESCRIPTORS = 3  # that we have of each worker: two pipes, and itself
MOST_OPEN = 65_536  # so early in a run, where there is no /proc to know


@dataclass(frozen=True, slots=True)
class Child:
    """A worker that was started: what goes to it and comes from it, and how it is sent a signal.

    `wait` is over when it is, and tells how it ended, in words.
    """

    incoming: SendStream
    outgoing: ReceiveStream
    send_signal: Callable[[signal.Signals], None]
    wait: Callable[[], Awaitable[str]]


Start = Callable[[], AbstractAsyncContextManager[Child]]


@asynccontextmanager
async def start_process() -> AsyncIterator[Child]:
    """A worker that is a Python of its own. Leaving the context ends it. Raises OSError."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-P", "-m", "scanner.start_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    async def wait() -> str:
        return _how(await process.wait())

    async with _within(Child(process.stdin, process.stdout, process.send_signal, wait)) as child:
        yield child


@asynccontextmanager
async def _within(child: Child) -> AsyncIterator[Child]:
    """Leaving the context ends it, and its pipes."""
    try:
        yield child
    finally:
        child.send_signal(signal.SIGKILL)
        with trio.CancelScope(shield=True):
            await child.wait()
            for stream in (child.incoming, child.outgoing):
                await trio.aclose_forcefully(stream)


def forked(count: int) -> list[Start]:
    """Fork so many workers now, each to be taken once. One that nobody takes ends when we do.

    No event loop may run here yet, and no thread. There are fewer, or none, where the system allows no more, and where
    it has no descriptor that tells when a process is over: Linux has.
    """
    if not hasattr(os, "pidfd_open"):
        return []
    if (spare := spare_descriptors()) is not None:
        count = min(count, spare // 2 // DESCRIPTORS)  # the other half is for files and the DNS
    forks: list[Start] = []
    gc.freeze()  # what is here stays: to search it for cycles would be to write to pages that all of us share
    with suppress(OSError):
        while len(forks) < count:
            forks.append(_Fork().adopted)
    return forks


class _Fork:
    """A worker that was forked, and waits to be told something."""

    def __init__(self) -> None:
        """Raises OSError."""
        with ExitStack() as undone:
            theirs, self._incoming = _pipe(undone)
            self._outgoing, their_own = _pipe(undone)
            self._pid = _forked(theirs, their_own)
            undone.callback(_end, self._pid)
            os.setpgid(self._pid, 0)
            self._over = os.pidfd_open(self._pid)
            undone.pop_all()
        os.close(theirs)
        os.close(their_own)
        self._how: str | None = None

    @asynccontextmanager
    async def adopted(self) -> AsyncIterator[Child]:
        """Leaving the context ends it."""
        incoming, outgoing = trio.lowlevel.FdStream(self._incoming), trio.lowlevel.FdStream(self._outgoing)
        try:
            async with _within(Child(incoming, outgoing, self._send_signal, self._wait)) as child:
                yield child
        finally:
            os.close(self._over)

    def _send_signal(self, number: signal.Signals) -> None:
        if self._how is None:
            with suppress(ProcessLookupError):  # it is over, and nobody has asked yet how it ended
                signal.pidfd_send_signal(self._over, number)

    async def _wait(self) -> str:
        if self._how is None:
            await trio.lowlevel.wait_readable(self._over)
            self._how = _buried(self._pid)
        return self._how


def _pipe(undone: ExitStack) -> tuple[int, int]:
    """The end to read from, and the one to write to."""
    ends = os.pipe()
    for end in ends:
        undone.callback(os.close, end)
    return ends


def _forked(incoming: int, outgoing: int) -> int:
    """The process id of a worker between these. No signal comes to it before it knows what to do with it."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, worker.LEFT_TO_THE_PARENT)
    try:
        if not (pid := os.fork()):
            _work(incoming, outgoing)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


def _work(incoming: int, outgoing: int) -> NoReturn:
    """Be a worker. Nothing of what was open is ours but its own pipes and standard error."""
    try:
        incoming, outgoing = (fcntl.fcntl(end, fcntl.F_DUPFD, STANDARD) for end in (incoming, outgoing))
        _close_all_but(incoming, outgoing)
        worker.work(incoming, outgoing)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _close_all_but(*kept: int) -> None:
    try:
        there: Iterable[int] = map(int, os.listdir("/proc/self/fd"))
    except OSError:
        there = range(MOST_OPEN)
    for descriptor in there:
        if descriptor >= STANDARD and descriptor not in kept:
            with suppress(OSError):
                os.close(descriptor)


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    _buried(pid)


def _buried(pid: int) -> str:
    """How it ended; nobody knows where whoever started us has had SIGCHLD ignored."""
    try:
        return _how(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    except ChildProcessError:
        return "exit status unknown"


def _how(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:  # of real time
        return f"signal {-code}"
