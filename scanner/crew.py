"""Who scans for a run: an engine in this process, or workers with one each."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from math import inf
from typing import Any, Protocol

import trio

from scanner.config import Config
from scanner.connection import Connection
from scanner.engine import Engine, OnOver
from scanner.pace import Learnt
from scanner.question import Answer
from scanner.schedule import Queue
from scanner.standing import Standing
from scanner.traffic import CUT_OFF, INTERNAL_ERROR, Traffic
from scanner.vigil import Vigil
from scanner.wires import dial
from targets.target import Endpoint

# New objects between two searches for cycles: a scan leaves none, and with Python's own 700 they take 4 to 8 % of it,
# with 10,000 still 2 %.
GARBAGE_THRESHOLD = 50_000


Closely = tuple[list[Queue], Counter[str], list[tuple[Endpoint, Answer]]]


class Crew(Protocol):
    """What a run asks of them; see `Engine`."""

    stopped: bool

    async def run(self, intake: Callable[[Any], Awaitable[None]]) -> None:
        """Until the intake, which gets the crew itself, is over, and every endpoint."""

    async def submit(self, endpoint: Endpoint) -> None:
        """Take an endpoint, when there is room for it."""

    def stop(self) -> None:
        """Begin nothing new, and end what was begun."""

    def abort(self) -> None:
        """End now."""

    def standing(self) -> Standing:
        """How it stands with endpoints and connections."""

    def learnt(self) -> Learnt:
        """What was learnt of strain."""

    def look_closely(self, most: int) -> Closely:
        """What waits for each address and in each network, and the oldest connections in flight."""


class OwnEngine(Engine):
    """An engine in this process, which asks over the network."""

    def __init__(self, config: Config, on_over: OnOver) -> None:
        self._config = config
        self._traffic = Traffic()
        self._vigil = Vigil(asdict(config.timeouts).values())
        super().__init__(
            self._connect, on_over, config.wanted, config.limits, retries=config.retries, prefixes=config.prefixes
        )

    async def run(self, intake: Callable[[Engine], Awaitable[None]]) -> None:
        """Run `intake`, which hands in endpoints with `submit`, until it returns and every interview is over."""
        async with trio.open_nursery() as watching:
            watching.start_soon(self._vigil.keep)
            await super().run(intake)
            watching.cancel_scope.cancel()

    async def _connect(self, endpoint: Endpoint, answer: Answer) -> None:
        failed: str | None = CUT_OFF
        self._traffic.begin(endpoint, answer)
        try:
            await Connection(endpoint, answer, self._config.timeouts, self._config.hello_name, self._vigil).ask(dial)
            failed = None
        except Exception:
            failed = INTERNAL_ERROR
            raise
        finally:
            self._traffic.end(endpoint, answer, failed)

    def standing(self) -> Standing:
        """How it stands with endpoints and connections."""
        tally, wakes_at = self.tally, self.tally.wakes_at
        return Standing(
            taken=tally.taken,
            recorded=tally.over,
            unfinished=tally.unfinished,
            in_flight=tally.in_flight,
            waiting=tally.waiting,
            given_up=tally.given_up,
            connections=tally.connections,
            open=len(self._traffic),
            answered=self._traffic.answered,
            errors={stage: dict(kinds) for stage, kinds in self._traffic.errors.items()},
            waits=asdict(self.waits()),
            times=self._traffic.times(),
            next_look_s=max(0.0, wakes_at - trio.current_time()) if wakes_at < inf else None,
        )

    def look_closely(self, most: int) -> Closely:
        """What waits for each address and in each network, and the oldest connections in flight."""
        return self.queues(), self.held(), self._traffic.oldest(most)
