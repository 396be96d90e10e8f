"""Command-line targets, files and standard input → a stream of endpoints and rejections.

One task reads and parses. Addresses and networks go straight on; a name, or a mail domain, is resolved by a task of its
own, up to 256 of them at once. All put what they find, in batches, into a channel that holds none: when the consumer
stops taking, everything stands still and costs nothing. Names therefore come out of order; each item knows its line.

Where an answer about a mail domain may only be of the moment, the domain is asked about once more, when that answer is
no longer remembered; so many may wait for that at once.
"""

import os
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

import structlog
import trio

from targets.domain_targets import DomainTargets
from targets.estimate import estimate
from targets.expand import Expander, Item, Line
from targets.lines import InputError, blocks_of
from targets.mail_answer import DomainAnswer
from targets.parse import Named, Parser
from targets.reader import Reader
from targets.resolver import FAILURE_TTL_S, NoNameServersError
from targets.rules import Rules
from targets.services import Service
from targets.shown import shown
from targets.target import Endpoint, FormatError, Host, MailDomain, Network, Rejection

MAX_RESOLVING = 256
ASK_AGAIN_AFTER_S = FAILURE_TTL_S + 1
MAX_ASKED_AGAIN = 10_000  # mail domains that wait for it, 1 to 4 KB each; beyond it, what came first is taken
BATCH = 256  # items; what a consumer gets without a switch of tasks

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(slots=True)
class Counts:
    """What became of the lines, each of which counts once that is known. A target of the command line is a line."""

    blank: int = 0  # with comments, headers, and ports that are not open
    expanded: int = 0  # gave at least one endpoint, or is a mail domain
    rejected: int = 0  # gave none
    elsewhere: int = 0  # count in other shares of the input

    @property
    def lines(self) -> int:
        """All that were read."""
        return self.blank + self.expanded + self.rejected + self.elsewhere


class Source:
    """Where the targets of one run come from. Its stream is opened once.

    `inputs` are paths, or `-` for standard input (which is read from the descriptor `stdin`).
    """

    def __init__(
        self,
        services: tuple[Service, ...],
        expander: Expander,
        *,
        targets: Sequence[str] = (),
        inputs: Sequence[str] = (),
        rules: Rules | None = None,
        max_resolving: int = MAX_RESOLVING,
        stdin: int = 0,
        is_done: Callable[[MailDomain], bool] = lambda _: False,
    ) -> None:
        """`is_done`: which mail domains need not be asked about, because all of them is known?"""
        self.counts = Counts()
        self._services = services
        self._rules = rules or Rules()
        self._expander = expander
        self._targets = tuple(targets)
        self._inputs = tuple(inputs)
        self._max_resolving = max_resolving
        self._stdin = stdin
        self._held: dict[int, DomainAnswer] = {}
        self._is_done = is_done

    def open(self) -> "Stream":
        """The stream: `async with source.open() as stream:` and in it `async for item in stream:`."""
        return Stream(self._read_all)

    def left(self) -> list[Item]:
        """The mail domains that wait to be asked about once more, as they are so far; for when the stream was left."""
        items: list[Item] = []
        for answer in self._held.values():
            rejections, targets = self._expander.domains.expand(answer)
            items += rejections
            if targets.is_own:
                items.append(targets)
                self.counts.expanded += 1
            else:
                self.counts.elsewhere += 1
        self._held.clear()
        return items

    def estimate(self) -> int | None:
        """How many endpoints the stream will have, exactly, if it can be told cheaply and before any DNS."""
        return estimate(
            self._services,
            self._expander.exclusions,
            self._targets,
            self._inputs,
            self._rules,
            self._expander.share,
        )

    async def _read_all(self, batches: "_Batches") -> None:
        async with trio.open_nursery() as nursery:
            intake = _Intake(
                self._expander, self.counts, batches, nursery, self._held, self._max_resolving, self._is_done
            )
            try:
                parser = Parser(self._services, self._rules)
                for target in self._targets:
                    await intake.take(parser.parse(os.fsencode(target)))
                await batches.flush()
                for path in self._inputs:
                    await self._read(path, intake, batches)
            except InputError as error:  # names that are being resolved are still finished
                batches.failure = error

    async def _read(self, path: str, intake: "_Intake", batches: "_Batches") -> None:
        reader = Reader(self._services, self._rules)
        try:
            async with aclosing(blocks_of(path, self._stdin)) as blocks:
                async for block in blocks:
                    for named in reader.feed(block):
                        await intake.take(named)
                    await batches.flush()
            for named in reader.end():
                await intake.take(named)
        except FormatError as error:
            raise InputError(path, error.line, str(error)) from error
        finally:
            await batches.flush()


class Stream:
    """Endpoints and rejections, for one consumer. Leaving its context stops the reading at once.

    It ends by raising InputError or NoNameServersError where the rest of the input cannot be had.
    """

    def __init__(self, produce: Callable[["_Batches"], Awaitable[None]]) -> None:
        send, self._receive = trio.open_memory_channel[list[Item]](0)
        self._batches = _Batches(send)
        self._produce = produce
        self._items: Iterator[Item] = iter(())

    async def __aenter__(self) -> Self:
        self._nursery_manager = trio.open_nursery()
        self._nursery = await self._nursery_manager.__aenter__()
        self._nursery.start_soon(self._run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The consumer's own exception goes on as it is: the nursery, not told of it, wraps it in no group."""
        self._nursery.cancel_scope.cancel()
        await self._nursery_manager.__aexit__(None, None, None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        while (item := next(self._items, None)) is None:
            try:
                self._items = iter(await self._receive.receive())
            except trio.EndOfChannel:
                if self._batches.failure:
                    raise self._batches.failure from None
                raise StopAsyncIteration from None
        return item

    async def _run(self) -> None:
        async with self._batches.send:
            await self._produce(self._batches)


class _Batches:
    """What was found and not yet handed over. `failure` is why there will be no more."""

    def __init__(self, send: trio.MemorySendChannel[list[Item]]) -> None:
        self.send = send
        self.failure: InputError | NoNameServersError | None = None
        self._items: list[Item] = []

    async def add(self, items: list[Item]) -> None:
        self._items += items
        if len(self._items) >= BATCH:
            await self.flush()

    async def flush(self) -> None:
        if self._items:
            items, self._items = self._items, []
            await self.send.send(items)


class _Intake:
    """Takes what the lines name: addresses and networks at once, names by a task each."""

    def __init__(
        self,
        expander: Expander,
        counts: Counts,
        batches: _Batches,
        nursery: trio.Nursery,
        held: dict[int, DomainAnswer],
        max_resolving: int,
        is_done: Callable[[MailDomain], bool],
    ) -> None:
        self._expander = expander
        self._counts = counts
        self._batches = batches
        self._nursery = nursery
        self._free = trio.Semaphore(max_resolving)
        self._is_done = is_done
        self._later: deque[tuple[float, MailDomain]] = deque()  # in the order in which they are due
        self._held = held  # what is known of these so far, by their identity

    async def take(self, named: Named) -> None:
        match named:
            case None:
                self._counts.blank += 1
            case Rejection():
                await self._reject(named, self._expander.share.has_name(named.origin.input))
            case Host(address=None):
                await self._start(self._resolve, named)
            case MailDomain():
                await self._take_domain(named)
            case _:
                await self._expand(named)

    async def _reject(self, rejection: Rejection, is_own: bool) -> None:
        if is_own:
            self._counts.rejected += 1
            await self._batches.add([rejection])
        else:
            self._counts.elsewhere += 1

    async def _expand(self, target: Host | Network) -> None:
        is_counted = not self._expander.counts(target)
        if is_counted:
            self._counts.elsewhere += 1
        for items in self._expander.chunks(target):
            if not is_counted and _has_endpoint(items):  # a line counts when it begins, which may be a /8
                is_counted = True
                self._counts.expanded += 1
            if items:
                await self._batches.add(items)
            else:
                await trio.lowlevel.checkpoint()
        if not is_counted:
            self._counts.rejected += 1

    async def _take_domain(self, domain: MailDomain) -> None:
        if rejection := self._expander.domains.repeated(domain):
            await self._reject(rejection, self._expander.share.has_name(domain.name))
        elif self._is_done(domain):
            self._counts.expanded += 1
        else:
            await self._batches.flush()  # an endpoint that it shares with a line before it is handed over before it
            await self._start(self._ask, domain)

    async def _start(self, resolve: Callable[[T], Awaitable[None]], target: T) -> None:
        try:
            self._free.acquire_nowait()
        except trio.WouldBlock:
            await self._batches.flush()  # what is found already does not wait for the DNS
            await self._free.acquire()
        self._nursery.start_soon(resolve, target)

    async def _resolve(self, host: Host) -> None:
        """Done when the consumer has taken the endpoints: a slow one does not make them pile up here."""
        try:
            line = await self._expander.resolve(host)
        except NoNameServersError as error:
            self._give_up(error)
            return
        await self._hand_over(line)

    def _give_up(self, error: NoNameServersError) -> None:
        self._batches.failure = error
        self._nursery.cancel_scope.cancel()

    async def _ask(self, domain: MailDomain) -> None:
        """Ask about a mail domain; once more later, where that is worth it and there is room."""
        try:
            answer = await self._answer(domain)
        except NoNameServersError as error:
            self._give_up(error)
            return
        if answer.is_final or len(self._held) >= MAX_ASKED_AGAIN:
            await self._hand_over_domain(answer)
            return
        self._held[id(domain)] = answer
        self._later.append((trio.current_time() + ASK_AGAIN_AFTER_S, domain))
        if len(self._later) == 1:
            self._nursery.start_soon(self._ask_again)
        self._free.release()

    async def _ask_again(self) -> None:
        """Until nobody waits."""
        while self._later:
            due, domain = self._later[0]
            await trio.sleep_until(due)
            await self._start(self._ask_last, domain)
            self._later.popleft()

    async def _ask_last(self, domain: MailDomain) -> None:
        """Ask for the last time."""
        await self._hand_over_domain(await self._answer(domain))

    async def _answer(self, domain: MailDomain) -> DomainAnswer:
        """What the DNS says; a bug of ours costs no domain its record."""
        try:
            return await self._expander.domains.ask(domain)
        except NoNameServersError:
            raise
        except Exception as error:
            log.error("internal error", domain=domain.name, exc_info=error)
            while isinstance(error, ExceptionGroup):
                error = error.exceptions[0]
            return DomainAnswer(
                domain, error=shown(f"{type(error).__name__}: {error}".encode(errors="backslashreplace"))
            )

    async def _hand_over_domain(self, answer: DomainAnswer) -> None:
        rejections, targets = self._expander.domains.expand(answer)
        # The domain first: a consumer that leaves between them has it.
        items: list[Item] = [targets, *rejections] if targets.concerns_this_share else [*rejections]
        await self._hand_over(Line(items, targets.is_own))
        self._held.pop(id(answer.domain), None)

    async def _hand_over(self, line: Line) -> None:
        if line.items:
            await self._batches.send.send(line.items)
        if not line.counts:
            self._counts.elsewhere += 1
        elif _has_endpoint(line.items):  # when it is taken: where the consumer leaves, hundreds may stand here
            self._counts.expanded += 1
        else:
            self._counts.rejected += 1
        self._free.release()


def _has_endpoint(items: list[Item]) -> bool:
    """Or a mail domain, which has its record whatever becomes of it."""
    return any(isinstance(item, Endpoint | DomainTargets) for item in items)
