"""One run from its first record to its last: wires source, engine and sink, and hears signals.

    source ──▶ engine ──▶ recorder ──▶ sink, and one for certificates where they are wanted
                 ▲ stop                 ▲ room
              signals                 intake

A first SIGINT or SIGTERM takes no more targets and gives what is in flight ten seconds; a second ends at once, and
gives the output one second to take what is known.
"""

import gc
import signal
from dataclasses import replace
from enum import IntEnum
from math import inf
from typing import Any

import anyio
import structlog
import trio
from OpenSSL import SSL

from scanner import __version__
from scanner.chain import Unseen, chain_of
from scanner.conclusion import Conclusion
from scanner.config import Config, shown_path
from scanner.connection import Connection, dial, source_addresses
from scanner.descriptors import fit_to_descriptors
from scanner.engine import GRACE_S, Engine, wall_clock
from scanner.interview import Interview
from scanner.progress import show_progress
from scanner.question import Answer
from scanner.record import Recorder, new_run_id
from scanner.sink import OutputClosed, Sink
from scanner.summary import Summary
from scanner.trust import TrustStore
from targets.exclude import Exclusions
from targets.expand import Expander
from targets.lines import InputError
from targets.resolver import NoNameServersError, Resolver
from targets.seen import Seen
from targets.source import Source
from targets.target import Endpoint, Rejection

LAST_WORDS_S = 1  # how long the output may take after a second signal
# New objects between two searches for cycles: a scan leaves none, and with Python's own 700 they take 4 to 8 % of it,
# with 10,000 still 2 %.
GARBAGE_THRESHOLD = 50_000

log = structlog.get_logger()


class ExitCode(IntEnum):
    """What the command says when it is over."""

    COMPLETE = 0
    UNUSABLE = 2  # the command line, or an input
    STOPPED = 3


class Run:
    """A run in progress."""

    def __init__(
        self, config: Config, descriptor: int, trust: TrustStore | None = None, certificates: int | None = None
    ) -> None:
        """`certificates`: the descriptor of a file for them."""
        limits, max_resolving = fit_to_descriptors(config.limits)
        self.config = replace(config, limits=limits)
        self.summary = Summary()
        self._resolver = Resolver(config.resolvers)
        expander = Expander(Exclusions(config.allow, config.block), Seen(), self._resolver)
        self._source = Source(
            config.services, expander, targets=config.targets, inputs=config.inputs, max_resolving=max_resolving
        )
        self._sink = Sink(descriptor)
        self._certificates = None if certificates is None else Sink(certificates, "the file of the certificates")
        self._storing = trio.CancelScope()
        self._unseen = Unseen()
        self._engine = Engine(
            self._ask,
            self._over,
            config.wanted,
            self.config.limits,
            retries=config.retries,
        )
        self._started = wall_clock()
        self._trust = trust
        self.recorder = Recorder(new_run_id(self._started), der=config.der, trust=trust)
        self._unusable = False
        self._ended = False

    async def scan(self) -> ExitCode:
        """Everything, from the first record to the last."""
        gc.set_threshold(GARBAGE_THRESHOLD)
        self._sink.put(self.recorder.run("start", self._started, self._facts()))
        written = False
        async with trio.open_nursery() as whole_run:
            whole_run.start_soon(self._hear_signals, whole_run.cancel_scope)
            async with trio.open_nursery() as writing:
                writing.start_soon(self._write, whole_run.cancel_scope)
                async with trio.open_nursery() as storing:
                    if self._certificates:
                        storing.start_soon(self._store, self._certificates)
                    await self._run_engine()
                    self._ended = True
                    if self._certificates:
                        self._certificates.close()
                self._sink.put(self.recorder.run("end", wall_clock(), self._counts()))
                self._sink.close()
            written = True
            whole_run.cancel_scope.cancel()
        if self._unusable:
            return ExitCode.UNUSABLE
        return ExitCode.COMPLETE if written and not self._engine.stopped else ExitCode.STOPPED

    async def _write(self, whole_run: trio.CancelScope) -> None:
        """Let the sink write; where the output takes no more, there is no point in going on."""
        try:
            await self._sink.run()
        except OutputClosed as closed:
            log.error(str(closed), records=self._sink.records)
            self._engine.stopped = True
            whole_run.cancel()

    async def _store(self, certificates: Sink) -> None:
        """The same for certificates; then what is known is still written, and that it is not complete."""
        with self._storing:
            try:
                await certificates.run()
            except OutputClosed as closed:
                log.error(str(closed), records=certificates.records)
                self._engine.abort()

    async def _run_engine(self) -> None:
        async with trio.open_nursery() as nursery:
            if self.config.progress:
                nursery.start_soon(show_progress, self._engine.tally, self.summary, self._source.estimate())
            await self._engine.run(self._take_in)
            nursery.cancel_scope.cancel()

    async def _take_in(self, engine: Engine) -> None:
        """Every target into the engine, every rejection into the output, as fast as both take them."""
        try:
            async with self._source.open() as stream:
                async for item in stream:
                    match item:
                        case Endpoint():
                            await engine.submit(item)
                        case Rejection(reason=reason):
                            self.summary.rejected[reason.value] += 1
                            self._sink.put(self.recorder.rejected(item))
                    await self._sink.room()
                    if self._certificates:
                        await self._certificates.room()
        except (InputError, NoNameServersError) as error:
            log.error("the input ends here", why=str(error))
            self._unusable = True

    async def _ask(self, endpoint: Endpoint, answer: Answer) -> None:
        await Connection(endpoint, answer, self.config.timeouts, self.config.hello_name).ask(dial)

    def _over(self, interview: Interview, conclusion: Conclusion, ended: float) -> None:
        record = self.recorder.endpoint(interview, conclusion, ended)
        if self._certificates:
            for der in self._unseen.new_ones(chain_of(interview).certificates):
                self._certificates.put(self.recorder.certificate(der, interview.endpoint))
        self._sink.put(record)
        self.summary.note_endpoint(record)

    async def _hear_signals(self, whole_run: trio.CancelScope) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                if not self._engine.stopped:
                    log.warning("stopping: what is in flight may end; once more to end at once", signal=number.name)
                    self._engine.stop()
                    patience = GRACE_S if self._ended else inf  # the engine keeps its own time
                else:
                    self._engine.abort()
                    patience = LAST_WORDS_S
                whole_run.deadline = min(whole_run.deadline, trio.current_time() + patience)
                self._storing.deadline = min(self._storing.deadline, trio.current_time() + patience / 2)

    def _facts(self) -> dict[str, Any]:
        """The facts of the first record."""
        try:
            resolvers = self._resolver.servers
        except NoNameServersError:
            resolvers = ()
        return {
            "tlsweep": __version__,
            "tls_library": SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode(),
            "settings": self.config.settings(),
            "trust_store": _shown_store(self._trust) if self._trust else None,
            "resolvers": resolvers,
            "source_addresses": source_addresses(),
            "hello_name": self.config.hello_name,
            "seed": None,
            "shard": None,
        }

    def _counts(self) -> dict[str, Any]:
        """The counts of the last record."""
        lines, tally = self._source.counts, self._engine.tally
        return {
            "complete": not self._engine.stopped and not self._unusable,
            "lines": {
                "read": lines.lines,
                "blank": lines.blank,
                "expanded": lines.expanded,
                "rejected": lines.rejected,
            },
            "rejected": dict(self.summary.rejected),
            "endpoints": {
                "taken": tally.taken,
                "recorded": tally.over,
                "unfinished": tally.unfinished,
                "status": dict(self.summary.statuses),
            },
            "connections": tally.connections,
            "certificates": self._certificates.records if self._certificates else None,
            "duration_s": round(wall_clock() - self._started, 3),
        }


def _shown_store(store: TrustStore) -> dict[str, Any]:
    return {"sources": [shown_path(source) for source in store.sources], "certificates": len(store.anchors)}
