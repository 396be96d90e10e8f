"""Who scans for a run: an engine in this process, or workers with one each."""

from collections.abc import Awaitable, Callable
from typing import Protocol, Self

from scanner.config import Config
from scanner.connection import Connection, dial
from scanner.engine import Engine, OnOver, Tally
from scanner.question import Answer
from targets.target import Endpoint

# New objects between two searches for cycles: a scan leaves none, and with Python's own 700 they take 4 to 8 % of it,
# with 10,000 still 2 %.
GARBAGE_THRESHOLD = 50_000


class Crew(Protocol):
    """What a run asks of them; see `Engine`."""

    stopped: bool
    tally: Tally

    async def run(self, intake: Callable[[Self], Awaitable[None]]) -> None:
        """Until the intake is over, and every endpoint."""

    async def submit(self, endpoint: Endpoint) -> None:
        """Take an endpoint, when there is room for it."""

    def stop(self) -> None:
        """Begin nothing new, and end what was begun."""

    def abort(self) -> None:
        """End now."""


def engine_of(config: Config, on_over: OnOver) -> Engine:
    """An engine that asks over the network."""

    async def ask(endpoint: Endpoint, answer: Answer) -> None:
        await Connection(endpoint, answer, config.timeouts, config.hello_name).ask(dial)

    return Engine(ask, on_over, config.wanted, config.limits, retries=config.retries)
