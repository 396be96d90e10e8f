"""One run from its first record to its last: wires source, engine and sink, and hears signals.

    source ──▶ engine ──▶ scribe ──▶ sink, and one for certificates where they are wanted
       │         ▲ stop     ▲         ▲ room
       │      signals       │       intake
       └──▶ domain desk ────┘

In place of the engine there may be workers, which have one each, and a scribe.

A first SIGINT, SIGTERM or SIGHUP takes no more targets and gives what is in flight ten seconds; a second ends at once,
and gives the output one second to take what is known. SIGUSR1 prints the state of the engine to standard error. SIGTSTP
(Ctrl-Z) stops the workers, too, until SIGCONT.
"""

import gc
import os
import secrets
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from math import inf
from typing import Any

import anyio
import structlog
import trio
from OpenSSL import SSL

from scanner import __version__
from scanner.children import Start
from scanner.conclusion import Conclusion, Status
from scanner.config import Config, shown_path, shown_shard
from scanner.crew import GARBAGE_THRESHOLD, Crew, OwnEngine
from scanner.dealing import processes_for, shares_of
from scanner.descriptors import fit_to_descriptors
from scanner.domain_desk import DomainDesk
from scanner.domain_record import domain_record
from scanner.domain_status import Known
from scanner.domains import Domains
from scanner.endpoint_result import EndpointResult, recorded_result
from scanner.engine import GRACE_S, wall_clock
from scanner.errand import Errand
from scanner.exit_code import ExitCode
from scanner.hello_name import NameCheck, check_name
from scanner.interview import Interview
from scanner.mail_policy.fetch import PolicyFetcher, PolicyHost
from scanner.mail_policy.https import Fetched
from scanner.output import Output, OutputClosed
from scanner.progress import show_progress
from scanner.record import Record, Recorder, new_run_id
from scanner.resume import Recorded
from scanner.scribe import Scribe
from scanner.sink import Sink
from scanner.standard_error import print_errors
from scanner.standing import Standing
from scanner.state import MOST, longest, numbers
from scanner.summary import Summary
from scanner.trust import TrustStore
from scanner.usage import descriptors, memory_bytes
from scanner.wires import source_addresses
from scanner.workers import Workers
from targets.domain_targets import DomainTargets
from targets.exclude import Exclusions
from targets.expand import Expander, Item
from targets.lines import InputError
from targets.mail_domain import ask_host
from targets.resolver import NoNameServersError, Resolver
from targets.seen import Seen
from targets.source import Source
from targets.target import Endpoint, MailDomain, Rejection

LAST_WORDS_S = 1  # how long the output may take after a second signal
LOOK_UP_S = 15  # how long our name in EHLO may take to be looked up
SEED_BITS = 32  # enough orders, and few enough digits to be typed again
SEED_OF_SHARDS = 0  # they have to take the same addresses of a network that is too wide to walk through

A_NAME = 20  # endpoints of a name on the command line, of all services and addresses, more or less

Watch = Callable[[Callable[[], Standing]], Awaitable[None]]

log = structlog.get_logger()


class Run:
    """A run in progress."""

    def __init__(
        self,
        config: Config,
        output: Output | int,
        trust: TrustStore | None = None,
        certificates: Output | int | None = None,
        recorded: Recorded | None = None,
        watch: Watch | None = None,
        fork: Callable[[int], Sequence[Start]] = lambda _: (),
    ) -> None:
        """An output may be a descriptor. `certificates`: a file for them; `recorded`: what both hold already.

        `watch` may look all the while at how it stands. `fork` has the first workers there, before the event loop.
        """
        self._watch = watch
        self._is_resumed = recorded is not None
        self._recorded = recorded or Recorded(Domains(are_expected=config.rules.names_are_domains), config.share)
        self._left_out = Counter[str]()
        self._resolver = Resolver(config.resolvers, trust_ad=config.trust_ad, limits=config.dns_limits)
        self.summary = Summary()
        self._seed = self._seed_of(config)
        self._exclusions = Exclusions(config.allow, config.block)
        self._expander = Expander(
            self._exclusions,
            Seen(),
            self._resolver,
            with_policies=config.with_policies,
            seed=self._seed,
            ipv6_most=config.rules.ipv6_most,
            share=config.share,
        )
        self._source = Source(
            config.services,
            self._expander,
            targets=config.targets,
            inputs=config.inputs,
            rules=config.rules,
            is_done=self._is_done,
        )
        self.config = self._fitted(config)
        self._certificates = None if certificates is None else Sink(certificates, "the file of the certificates")
        self._sink = Sink(output, ahead=self._certificates)
        self._storing = trio.CancelScope()
        self._started = wall_clock()
        self._trust = trust
        run_id = self._recorded.first["run_id"] if self._is_resumed else new_run_id(self._started)
        self.recorder = Recorder(run_id, der=config.der, trust=trust)
        fetch = self._fetch if config.with_policies else None
        self._desk = DomainDesk(
            self._recorded.joined, fetch, self._domain_over, self._sink.room, only_whole=config.resume
        )
        unseen = self._recorded.certificates_seen if self._certificates else None
        self._scribe = Scribe(self.recorder, self._desk.tlsa_of, unseen)
        self._workers = self._workers_of(self.config, fork) if self.config.processes != 1 else None
        self._engine: Crew = self._workers or OwnEngine(self.config, self._over)
        self._name_check: NameCheck | None = None  # of our name in EHLO
        self._unusable = False
        self._ended = False
        self._is_asked = self._is_telling = False  # by a signal, how it stands
        self._last_words: trio.CancelScope | None = None  # the whole run, behind a second signal

    def _fitted(self, config: Config) -> Config:
        """The settings, with as many processes and connections as are to be had, and are worth it."""
        cores = len(os.sched_getaffinity(0))
        expected = self._expected(config) if config.processes is None else None
        processes = processes_for(config.processes, cores, expected, config.limits)
        limits = fit_to_descriptors(config.limits, self._resolver.descriptors, processes)
        return replace(config, processes=processes, limits=limits)

    def _workers_of(self, config: Config, fork: Callable[[int], Sequence[Start]]) -> Workers:
        errands = [
            Errand(self.recorder.run_id, replace(config, limits=limits), bool(self._certificates), self._trust)
            for limits in shares_of(config.limits, config.processes or 1)
        ]
        first, tlsa_of = fork(len(errands)), self._desk.tlsa_of
        return Workers(errands, tlsa_of, self._over_elsewhere, self._certificate_elsewhere, self._over, first=first)

    async def scan(self) -> ExitCode:
        """Everything, from the first record to the last."""
        gc.set_threshold(GARBAGE_THRESHOLD)
        self._sink.put(self.recorder.run("resume" if self._is_resumed else "start", self._started, self._facts()))
        written = False
        async with trio.open_nursery() as whole_run:
            whole_run.start_soon(self._hear_signals, whole_run.cancel_scope, whole_run)
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
                nursery.start_soon(show_progress, self.standing, self._estimate())
            if self._watch:
                nursery.start_soon(self._watch, self.standing)
            if self.config.hello_name:
                nursery.start_soon(self._look_up, self.config.hello_name)
            async with trio.open_nursery() as desk:
                await desk.start(self._desk.run)
                await self._engine.run(self._take_in)
                for item in self._source.left() if not self.config.resume else ():
                    self._take_in_left(item)  # else, another part of the run asks about it
                self._desk.close()
                if self._engine.stopped:
                    self._desk.stop(0)
            nursery.cancel_scope.cancel()

    async def _look_up(self, hello_name: str) -> None:
        """Is our name in EHLO as it should be? Nobody waits for it, and nothing depends on it."""
        try:
            with trio.move_on_after(LOOK_UP_S):
                self._name_check = await check_name(hello_name, source_addresses(), self._resolver)
        except NoNameServersError:
            return  # where a name of the input needs one, that is said
        except Exception as error:  # a bug of ours
            log.error("internal error", hello_name=hello_name, exc_info=error)
        if self._name_check and self._name_check.complaint:
            log.warning("our name in EHLO may be mistrusted", why=self._name_check.complaint)

    async def _take_in(self, engine: Crew) -> None:
        """Every target into the engine, every rejection into the output, as fast as both take them."""
        try:
            async with self._source.open() as stream:
                async for item in stream:
                    match item:
                        case Endpoint():
                            if not self._has(item):
                                await engine.submit(item)
                        case DomainTargets():
                            await self._take_in_domain(engine, item)
                        case Rejection():
                            self._reject(item)
                    await self._sink.room()
                    if self._certificates:
                        await self._certificates.room()
        except (InputError, NoNameServersError) as error:
            log.error("the input ends here", why=str(error))
            self._unusable = True

    def _reject(self, rejection: Rejection) -> None:
        if self._is_resumed and self._recorded.repeats(rejection):
            return
        self.summary.rejected[rejection.reason.value] += 1
        self._sink.put(self.recorder.rejected(rejection))

    def _take_in_left(self, item: Item) -> None:
        """What the source had not handed over when it was left: mail domains, of which nothing will be scanned."""
        match item:
            case DomainTargets():
                self._desk.take(item)
            case Rejection():
                self._reject(item)

    async def _take_in_domain(self, engine: Crew, targets: DomainTargets) -> None:
        fresh = tuple(endpoint for endpoint in targets.fresh if not self._has(endpoint))
        if self._is_resumed and self._recorded.has_domain(targets.answer.domain):
            self._left_out["domains"] += 1  # it has its record, and only endpoints of it have none
        else:
            self._desk.take(replace(targets, fresh=fresh))
            if self._workers:
                for endpoint in targets.endpoints():
                    self._workers.learn(endpoint)
        for endpoint in fresh:
            await engine.submit(endpoint)
        await self._desk.room()

    async def _fetch(self, domain: str) -> Fetched:
        return await self._fetcher.fetch(domain)

    @cached_property
    def _fetcher(self) -> PolicyFetcher:
        """Made for the first domain that promises something: it takes as long as ten endpoints."""
        return PolicyFetcher(self._policy_host, self._trust)

    def _has(self, endpoint: Endpoint) -> bool:
        """Is it recorded, from an earlier part of the run?"""
        if not (self._is_resumed and self._recorded.has_endpoint(endpoint)):
            return False
        self._left_out["endpoints"] += 1
        return True

    def _is_done(self, domain: MailDomain) -> bool:
        """The same of a mail domain and all that it stands for."""
        if not (self._is_resumed and self._recorded.is_whole(domain)):
            return False
        self._left_out["domains"] += 1
        return True

    def _seed_of(self, config: Config) -> int:
        """What was asked for, or that of the earlier parts of the run, or one of chance; not for each shard its own."""
        if config.seed is not None:
            return config.seed
        if self._is_resumed:
            return int(self._recorded.first["seed"])
        return secrets.randbits(SEED_BITS) if config.shard is None else SEED_OF_SHARDS

    def _expected(self, config: Config) -> int | None:
        """About how many endpoints there will be, where that is known before any DNS: names alone are few."""
        has_networks = any("/" in target.rpartition("://")[2] for target in config.targets)
        return self._estimate() if config.inputs or has_networks else len(config.targets) * A_NAME

    def _estimate(self) -> int | None:
        """How many endpoints there will be in this part of the run."""
        whole = self._source.estimate()
        return None if whole is None else max(0, whole - self._recorded.endpoints)

    async def _policy_host(self, name: str) -> PolicyHost:
        """Where a policy is to be had, by the resolvers and exclusions of the run."""
        host = await ask_host(self._resolver, name)
        blocked = [each for each in host.addresses if self._exclusions.blocked(each)]
        allowed = [each for each in host.addresses if each not in blocked]
        return PolicyHost(host.status, tuple(map(str, allowed)), tuple(map(str, blocked)))

    def _domain_over(self, known: Known) -> None:
        record = domain_record(self.recorder, known, with_policies=self.config.with_policies)
        self._sink.put(record)
        self.summary.note_domain(record)
        if self._last_words:  # tens of thousands may wait, whose records take seconds: those do not count
            self._last_words.deadline = max(self._last_words.deadline, trio.current_time() + LAST_WORDS_S)

    def _over(self, interview: Interview, conclusion: Conclusion, ended: float) -> None:
        account = self._scribe.over(interview, conclusion, ended)
        if self._certificates:
            for certificate in account.certificates:
                self._certificates.put(certificate)
        self._desk.over(interview.endpoint, account.result)
        self._sink.put(account.record)
        self.summary.note_endpoint(account.record)

    def _over_elsewhere(self, endpoint: Endpoint, record: Record, line: bytes) -> None:
        """The same of an endpoint that a worker has scanned."""
        try:
            result = recorded_result(record)
        except Exception as error:  # a bug of ours
            log.error("internal error", endpoint=endpoint.id, exc_info=error)
            result = EndpointResult(Status(record["status"]))
        self._desk.over(endpoint, result)
        self._sink.put_line(line)
        self.summary.note_endpoint(record)

    def _certificate_elsewhere(self, record: Record, line: bytes) -> None:
        """One that is new to a worker, and may be new to the run."""
        if self._certificates and self._recorded.certificates_seen.note(record["sha256"]):
            self._certificates.put_line(line)

    async def _hear_signals(self, whole_run: trio.CancelScope, nursery: trio.Nursery) -> None:
        with anyio.open_signal_receiver(*self._signals()) as signals:
            async for number in signals:
                if number == signal.SIGUSR1:
                    nursery.start_soon(self._tell)
                elif number == signal.SIGTSTP and self._workers:
                    self._workers.pause()
                    signal.raise_signal(signal.SIGSTOP)  # we stand still here, until we are told to go on
                    self._workers.go_on()
                else:
                    self._be_stopped(number, whole_run)

    def _signals(self) -> list[signal.Signals]:
        """What is heard. Behind nohup, a terminal that has gone is nothing to be stopped by."""
        stop = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            stop.append(signal.SIGHUP)
        return [*stop, signal.SIGUSR1, *([signal.SIGTSTP] if self._workers else [])]

    def _be_stopped(self, number: signal.Signals, whole_run: trio.CancelScope) -> None:
        if not self._engine.stopped:
            log.warning("stopping: what is in flight may end; once more to end at once", signal=number.name)
            self._engine.stop()
            self._desk.stop(GRACE_S)
            patience = GRACE_S if self._ended else inf  # the engine keeps its own time
        else:
            self._engine.abort()
            self._desk.stop(0)
            self._last_words, patience = whole_run, LAST_WORDS_S
        whole_run.deadline = min(whole_run.deadline, trio.current_time() + patience)
        self._storing.deadline = min(self._storing.deadline, trio.current_time() + patience / 2)

    async def _tell(self) -> None:
        """Print the state; by a thread, for nobody may be reading standard error. At the end it is left to itself."""
        self._is_asked = True
        if self._is_telling:  # whoever asked before has not taken it yet
            return
        self._is_telling = True
        try:
            while self._is_asked:
                self._is_asked = False
                text = "".join(f"{line}\n" for line in self._state())
                await trio.to_thread.run_sync(print_errors, text, abandon_on_cancel=True)
        except Exception as error:  # a bug of ours
            log.error("internal error", of="the state", exc_info=error)
        finally:
            self._is_telling = False

    def _state(self) -> list[str]:
        return [
            *numbers(self.standing(), memory_bytes(), descriptors()),
            *longest(*self._engine.look_closely(MOST), wall_clock()),
        ]

    def standing(self) -> Standing:
        """How it stands just now."""
        lines = self._source.counts
        return self._engine.standing() + Standing(
            left_out=self._left_out["endpoints"],
            statuses=dict(self.summary.statuses),
            slots=self.config.limits.connections,
            lines={
                "blank": lines.blank,
                "expanded": lines.expanded,
                "rejected": lines.rejected,
                **({"other_shards": lines.elsewhere} if self.config.shard else {}),
            },
            rejected=dict(self.summary.rejected),
            domains=dict(self.summary.domains),
            domains_waiting=self._desk.unfinished,
            dns={**asdict(self._resolver.tally), "in_flight": self._resolver.asking},
            records=self._sink.records,
            output_bytes=self._sink.bytes_written,
            output_waiting_bytes=self._sink.bytes_waiting,
        )

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
            "seed": self._seed,
            "shard": shown_shard(self.config.shard),
            **({"recorded": self._recorded.counts} if self._is_resumed else {}),
        }

    def _counts(self) -> dict[str, Any]:
        """The counts of the last record."""
        lines, crew = self._source.counts, self._engine.standing()
        return {
            "complete": not self._engine.stopped and not self._unusable,
            "lines": {
                "read": lines.lines,
                "blank": lines.blank,
                "expanded": lines.expanded,
                "rejected": lines.rejected,
                **({"other_shards": lines.elsewhere} if self.config.shard else {}),
            },
            "rejected": dict(self.summary.rejected),
            "endpoints": {
                "taken": crew.taken,
                "recorded": crew.recorded,
                "unfinished": crew.unfinished,
                "given_up": crew.given_up,
                "left_out": self._left_out["endpoints"],
                **({"other_shards": self._expander.elsewhere} if self.config.shard else {}),
                "status": dict(self.summary.statuses),
            },
            "domains": {
                "recorded": self._desk.recorded,
                "unfinished": self._desk.unfinished,
                "left_out": self._left_out["domains"],
                "status": dict(self.summary.domains),
            },
            "connections": crew.connections,
            "answered": crew.answered,
            "errors": crew.errors,
            "hello_name_resolves": self._name_check.resolves if self._name_check else None,
            "dns": asdict(self._resolver.tally),
            "certificates": self._certificates.records if self._certificates else None,
            "learnt": self._engine.learnt().facts(),
            "duration_s": round(wall_clock() - self._started, 3),
        }


def _shown_store(store: TrustStore) -> dict[str, Any]:
    return {"sources": [shown_path(source) for source in store.sources], "certificates": len(store.anchors)}
