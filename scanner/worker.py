"""A worker: one engine in a process of its own, which reads endpoints from a pipe, and writes their records to one.

    incoming ──▶ to do ──▶ engine ──▶ scribe ──▶ outgoing
        └──▶ stop, abort; or its end: whoever started us has died, and so do we

`children.py` starts it. Everything that comes is read at once, whatever the engine has to do: no more is sent than it
has room for, and an order to stop waits behind nothing. Signals are for whoever started us, who tells us what to do.
"""

import gc
import logging
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import NoReturn

import orjson
import structlog
import trio
from structlog.typing import EventDict
from trio.abc import ReceiveStream

from scanner.chain import Unseen
from scanner.conclusion import Conclusion
from scanner.crew import GARBAGE_THRESHOLD, OwnEngine
from scanner.endpoint_result import TlsaToMatch
from scanner.engine import Engine, wall_clock
from scanner.errand import (
    OVER,
    Errand,
    Message,
    begun_line,
    log_line,
    read_endpoint,
    read_errand,
    read_tlsa,
    report_line,
)
from scanner.interview import Interview
from scanner.pipe import Outbox, PipeClosed, lines_of
from scanner.record import Recorder
from scanner.scribe import Scribe
from scanner.standard_error import ERRORS, INPUT, OUTPUT, lead_nowhere, print_errors
from scanner.state import MOST, longest, numbers
from scanner.usage import descriptors, memory_bytes
from targets.target import Endpoint

NAME = "tlsweep-worker"  # to `ps`, `top` and `killall`; of 15 letters at most
# By `pkill tlsweep`, say, or by whoever stops a service: all of its processes are sent the same.
LEFT_TO_THE_PARENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGUSR1)
GATHER_S = 0.2
SPEAK_EVERY_S = 0.25
REPORT_EVERY = 4  # times that it speaks
AT_ONCE = 256  # endpoints that are begun without letting others run


class ParentGoneError(Exception):
    """Nobody is there any more to give endpoints, or to take records."""


def work(incoming: int, outgoing: int) -> NoReturn:
    """Work in this process until all is over, or nobody is there who wants it; between these descriptors."""
    for number in LEFT_TO_THE_PARENT:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # to print to a terminal is none to be stopped for
    signal.pthread_sigmask(signal.SIG_UNBLOCK, LEFT_TO_THE_PARENT)
    _take_name()
    gc.set_threshold(GARBAGE_THRESHOLD)
    with suppress(OSError):
        lead_nowhere(INPUT)
    with suppress(OSError):
        os.dup2(ERRORS, OUTPUT)  # whatever prints must not do so among the records
    status = 0
    try:
        trio.run(_work, incoming, outgoing)
    except* (ParentGoneError, PipeClosed):
        status = 1  # there is nobody to tell
    os._exit(status)  # all is said, and to take leave of every object takes as long as a hundred endpoints


def _take_name() -> None:
    with suppress(OSError), open("/proc/self/comm", "w") as file:
        file.write(NAME)


async def _work(incoming: int, outgoing: int) -> None:
    outbox = Outbox(trio.lowlevel.FdStream(outgoing), GATHER_S)
    _log_to(outbox)
    await serve(trio.lowlevel.FdStream(incoming), outbox)


def _log_to(outbox: Outbox) -> None:
    """What is logged goes the way of the records: how it looks, and what is shown beside it, the parent knows."""

    def put(_: object, level: str, event: EventDict) -> EventDict:
        outbox.put(log_line(level, event))
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.processors.format_exc_info, put],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


async def serve(incoming: ReceiveStream, outbox: Outbox) -> None:
    """Be a worker between these. Raises ParentGoneError or PipeClosed, or a group of them."""
    blocks = lines_of(incoming)
    async for first, *others in blocks:
        worker = Worker(read_errand(first), outbox)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.run)
            await worker.greet()
            nursery.start_soon(worker.listen, others, blocks)
            nursery.start_soon(worker.tell)
            nursery.start_soon(worker.tell_state)
            await worker.work()
            nursery.cancel_scope.cancel()
        return
    raise ParentGoneError


class Worker:
    """An engine, what it has to do, and what becomes of it."""

    def __init__(self, errand: Errand, outbox: Outbox) -> None:
        self._outbox = outbox
        self._engine = OwnEngine(errand.config, self._over)
        recorder = Recorder(errand.run_id, der=errand.config.der, trust=errand.trust)
        self._scribe = Scribe(recorder, self._tlsa_of, Unseen() if errand.with_certificates else None)
        self._to_do: deque[Endpoint] = deque()
        self._tlsa: dict[str, TlsaToMatch | None] = {}  # of all endpoints that have no record
        self._has_come = trio.Event()
        self._has_to_tell = trio.Event()
        self._is_end = False
        self._begun = 0

    async def greet(self) -> None:
        """Say that we are there, before anything that we may die of."""
        self._outbox.put(begun_line(0))
        await self._outbox.empty()

    async def listen(self, lines: Sequence[bytes], blocks: AsyncIterator[list[bytes]]) -> None:
        """Do what these lines say, and those to come. Raises ParentGoneError when there are no more."""
        self._hear(lines)
        async for more in blocks:
            self._hear(more)
        raise ParentGoneError

    async def tell(self) -> None:
        """Say some times a second that we are alive and how far, and now and then how it stands.

        Nobody hears it while the other end is stopped, perhaps for days: then it is not to pile up.
        """
        for number in count():
            await self._outbox.room()
            self._outbox.put(begun_line(self._begun))
            if not number % REPORT_EVERY:
                self._report()
            await trio.sleep(SPEAK_EVERY_S)

    async def tell_state(self) -> None:
        """Print the state when asked; by a thread, for nobody may be reading standard error."""
        while True:
            await self._has_to_tell.wait()
            self._has_to_tell = trio.Event()
            lines = (
                f"worker {os.getpid()}",
                *numbers(self._engine.standing(), memory_bytes(), descriptors()),
                *longest(*self._engine.look_closely(MOST), wall_clock()),
            )
            text = "".join(f"{line}\n" for line in lines)
            await trio.to_thread.run_sync(print_errors, text, abandon_on_cancel=True)

    async def work(self) -> None:
        """Until all is over, and that is said."""
        await self._engine.run(self._take_in)
        self._report()
        self._outbox.put(OVER)
        await self._outbox.empty()

    def _report(self) -> None:
        """Of endpoints, the parent has counts of its own."""
        standing = replace(self._engine.standing(), taken=0, recorded=0, unfinished=0, in_flight=0)
        self._outbox.put(report_line(standing, self._engine.learnt()))

    def _hear(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            self._obey(orjson.loads(line))
        self._has_come.set()

    def _obey(self, message: Message) -> None:
        match message["type"]:
            case "endpoint":
                endpoint, tlsa = read_endpoint(message)
                self._to_do.append(endpoint)
                self._tlsa[endpoint.id] = tlsa
            case "tlsa":
                if message["id"] in self._tlsa:
                    self._tlsa[message["id"]] = read_tlsa(message)
            case "end":
                self._is_end = True
            case "stop":
                self._engine.stop()
            case "abort":
                self._engine.abort()
            case "state":
                self._has_to_tell.set()
            case other:
                raise ValueError(other)

    async def _take_in(self, engine: Engine) -> None:
        while not self._is_end or self._to_do:
            while self._to_do:
                await engine.submit(self._to_do.popleft())
                self._begun += 1
                await self._outbox.room()
                if not self._begun % AT_ONCE:
                    await trio.lowlevel.checkpoint()
            if not self._is_end:
                await self._has_come.wait()
                self._has_come = trio.Event()

    def _over(self, interview: Interview, conclusion: Conclusion, ended: float) -> None:
        account = self._scribe.over(interview, conclusion, ended)
        for record in (*account.certificates, account.record):
            self._outbox.put(orjson.dumps(record))
        self._tlsa.pop(interview.endpoint.id, None)

    def _tlsa_of(self, endpoint: Endpoint) -> TlsaToMatch | None:
        return self._tlsa.get(endpoint.id)
