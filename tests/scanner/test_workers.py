"""Workers as tasks, over pipes and servers in memory: what they come to, and what becomes of those that die."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import orjson
import pytest
import structlog
import trio
import trio.testing
from trio.abc import ReceiveStream, SendStream

from scanner.children import Child
from scanner.config import Config
from scanner.dealing import FEW, MOST_AHEAD, MOST_WAITING, shares_of
from scanner.endpoint_result import TlsaToMatch
from scanner.engine import GRACE_S
from scanner.errand import Errand, begun_line, errand_line
from scanner.limits import Limits
from scanner.pipe import Outbox, PipeClosed
from scanner.question import Wanted
from scanner.record import Record, Recorder
from scanner.scribe import Scribe
from scanner.tls.names import Version
from scanner.tlsa_set import TlsaSet
from scanner.wires import Patience
from scanner.worker import ParentGoneError, serve
from scanner.workers import LAST_WORDS_S, LATE_S, MOST_FAILURES, MOST_FRUITLESS, SILENCE_S, Workers
from targets.services import SERVICES
from targets.target import Endpoint, Origin
from tests.peers.memory import Network, Peer, Wire
from tests.scanner.mail import tlsa
from tests.scanner.scanned import REFUSES, SILENT, TLS

UNLIMITED = Limits(rate=0, per_address=0, per_address_rate=0, per_network_rate=0)
CONFIG = Config(wanted=Wanted((Version.TLS1_3,), handshake=False), limits=UNLIMITED, retries=0)

Behaviour = Callable[[ReceiveStream, SendStream], Awaitable[None]]

_own_scope: ContextVar[trio.CancelScope] = ContextVar("_own_scope")


def endpoints_in(networks: int, each: int) -> list[Endpoint]:
    """HTTPS servers, so many in each of so many networks."""
    places = [f"10.{number // 256}.{number % 256}.{host}" for host in range(each) for number in range(networks)]
    return [
        Endpoint(Origin(place, line), f"h{line}.test", place, 443, SERVICES["https"])
        for line, place in enumerate(places, 1)
    ]


async def works(incoming: ReceiveStream, outgoing: SendStream) -> None:
    """A worker as it is."""
    await serve(incoming, Outbox(outgoing, 0.2))


async def dies(incoming: ReceiveStream, outgoing: SendStream) -> None:
    """One that has died before its first word."""


async def hangs(incoming: ReceiveStream, outgoing: SendStream) -> None:
    """One that says nothing any more, and takes nothing."""
    await outgoing.send_all(begun_line(0) + b"\n")
    await trio.sleep_forever()


@dataclass
class Scan:
    """A run of workers. `behaviours` are those of the first workers that are started; the others just work."""

    endpoints: Sequence[Endpoint]
    peers: dict[str, Peer] = field(default_factory=dict)  # by address; the others have TLS
    processes: int = 2
    config: Config = CONFIG
    behaviours: Sequence[Behaviour] = ()
    certificates: bool = False
    first: int = 0  # workers that are there before they are wanted
    tlsa_of: Callable[[Endpoint], TlsaToMatch | None] = lambda _: None
    lethal: frozenset[str] = frozenset()  # whoever connects to these addresses dies
    records: list[Record] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    seen: list[Record] = field(default_factory=list)  # certificates
    scopes: list[trio.CancelScope] = field(default_factory=list)  # of the workers, in the order of their starts
    connected: Counter[str] = field(default_factory=Counter)  # addresses
    taken: int = 0  # of those that were there
    started: int = 0  # others

    def __post_init__(self) -> None:
        shares = shares_of(self.config.limits, self.processes)
        errands = [Errand("0" * 26, replace(self.config, limits=share), self.certificates) for share in shares]
        scribe = Scribe(Recorder("0" * 26), lambda _: None)
        self.workers = Workers(
            errands,
            self.tlsa_of,
            self._over,
            lambda record, _: self.seen.append(record),
            lambda *ended: self.given_up.append(scribe.over(*ended).record["id"]),
            first=[self._take] * self.first,
            start=self._start,
        )

    async def run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """To its end."""
        network = Network({each.address: [self.peers.get(each.address, TLS)] for each in self.endpoints})

        async def dial(address: str, port: int, timeout_s: float, patience: Patience) -> Wire:
            self.connected[address] += 1
            if address in self.lethal:
                _own_scope.get().cancel()
                await trio.sleep_forever()
            return await network.dial(address, port, timeout_s, patience)

        monkeypatch.setattr("scanner.crew.dial", dial)
        await self.workers.run(self._take_in)

    async def _take_in(self, workers: Workers) -> None:
        for endpoint in self.endpoints:
            await workers.submit(endpoint)

    def _over(self, endpoint: Endpoint, record: Record, line: bytes) -> None:
        assert orjson.loads(line) == record
        self.records.append(record)
        self.lines.append(line)

    def _take(self) -> AbstractAsyncContextManager[Child]:
        self.taken += 1
        return self._live()

    def _start(self) -> AbstractAsyncContextManager[Child]:
        self.started += 1
        return self._live()

    @asynccontextmanager
    async def _live(self) -> AsyncIterator[Child]:
        ours, incoming = trio.testing.memory_stream_one_way_pair()
        outgoing, theirs = trio.testing.memory_stream_one_way_pair()
        scope, is_over = trio.CancelScope(), trio.Event()
        number = len(self.scopes)
        behave = self.behaviours[number] if number < len(self.behaviours) else works
        self.scopes.append(scope)

        async def live() -> None:
            _own_scope.set(scope)
            with scope:
                try:
                    await behave(incoming, outgoing)
                except* (ParentGoneError, PipeClosed):
                    pass
            incoming.close()
            outgoing.close()
            is_over.set()

        async def wait() -> str:
            await is_over.wait()
            return "SIGKILL" if scope.cancelled_caught else "exit status 1"

        async with trio.open_nursery() as nursery:
            nursery.start_soon(live)
            yield Child(ours, theirs, lambda _: scope.cancel(), wait)
            nursery.cancel_scope.cancel()

    @property
    def ids(self) -> Counter[str]:
        """Of all endpoints that have a record."""
        return Counter([*(record["id"] for record in self.records), *self.given_up])

    def check(self) -> None:
        """Every endpoint has one record, and the counts say so."""
        assert self.ids == Counter(each.id for each in self.endpoints)
        end = self.workers.standing()
        assert (end.taken, end.recorded, end.unfinished) == (len(self.endpoints), len(self.endpoints), 0)
        assert (end.waiting, end.in_flight, end.open) == (0, 0, 0)
        assert end.connections == end.answered + sum(sum(kinds.values()) for kinds in end.errors.values())


def timeless(records: Sequence[Record]) -> list[tuple[Any, ...]]:
    """What does not differ from one scan to the next."""
    return sorted((r["id"], r["status"], r["connections"], orjson.dumps(r["versions"]), r["line"]) for r in records)


@pytest.mark.parametrize("processes", [1, 2, 5])
async def test_all_have_their_record(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    """However many workers there are: each endpoint has the same record, and its connections are counted once."""
    endpoints = endpoints_in(20, 3)
    peers = {endpoints[number].address: REFUSES for number in range(0, 60, 7)}
    scan = Scan(endpoints, peers, processes)
    await scan.run(monkeypatch)
    scan.check()
    assert len(scan.scopes) == processes
    assert scan.workers.standing().connections == scan.connected.total() == 60
    assert not scan.workers.stopped
    alone = Scan(endpoints, peers, 1)
    await alone.run(monkeypatch)
    assert timeless(scan.records) == timeless(alone.records)


async def test_a_network_has_one_worker(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that its limits hold; a worker that nothing falls to is not started."""
    scan = Scan(endpoints_in(1, 9), processes=7)
    await scan.run(monkeypatch)
    scan.check()
    assert len(scan.scopes) == 1


async def test_nothing_to_do(autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nobody is started."""
    scan = Scan([])
    await scan.run(monkeypatch)
    scan.check()
    assert scan.scopes == []


async def test_more_than_a_hand_holds(autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The intake is held back by what waits, and all come through."""
    most = MOST_AHEAD + MOST_WAITING
    endpoints = [replace(endpoint, host=f"x{n}.test") for endpoint in endpoints_in(1, 1) for n in range(most + 1_500)]
    scan = Scan(
        endpoints, {endpoints[0].address: REFUSES}, config=replace(CONFIG, limits=replace(UNLIMITED, endpoints=100))
    )
    await scan.run(monkeypatch)
    scan.check()


async def test_workers_that_die(autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another takes the place of each, again and again; what was in hand is scanned again, nothing twice."""
    slow = {each.address: replace(TLS, connect_s=2) for each in endpoints_in(10, 20)}
    scan = Scan(endpoints_in(10, 20), slow, config=replace(CONFIG, limits=replace(UNLIMITED, connections=10)))
    with structlog.testing.capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scan.run, monkeypatch)
            for number in range(4):  # each of the first two, and its successor
                await trio.sleep(5)
                scan.scopes[number].cancel()
    scan.check()
    assert len(scan.scopes) == 2 + 4
    assert not scan.given_up
    assert [(each["log_level"], each["how"]) for each in logs] == [("error", "SIGKILL")] * 4
    assert 200 <= scan.workers.standing().connections <= scan.connected.total()


async def test_a_worker_that_hangs(autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed, and does not hold the others up meanwhile."""
    scan = Scan(endpoints_in(10, 5), behaviours=[hangs])
    began = trio.current_time()
    with structlog.testing.capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scan.run, monkeypatch)
            await trio.sleep(SILENCE_S / 2)
            done_meanwhile = len(scan.records)
    scan.check()
    assert 0 < done_meanwhile < 50
    assert SILENCE_S <= trio.current_time() - began < SILENCE_S + 10
    assert [each["event"].split(",")[0] for each in logs] == ["a worker hangs", "a worker died"]


async def test_half_a_line(autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that dies in the middle of a record has not written it; one whom nobody waits for counts for nothing."""
    endpoints = endpoints_in(1, 2)

    async def speaks(incoming: ReceiveStream, outgoing: SendStream) -> None:
        await trio.sleep(1)
        first = orjson.dumps({"type": "endpoint", "id": endpoints[0].id, "connections": 3})
        stranger = orjson.dumps({"type": "endpoint", "id": "https://192.0.2.1:443"})
        second = orjson.dumps({"type": "endpoint", "id": endpoints[1].id})
        await outgoing.send_all(b"\n".join([first, first, stranger, second[:20]]))

    scan = Scan(endpoints, processes=1, behaviours=[speaks])
    await scan.run(monkeypatch)
    scan.check()
    assert [len(record) > 3 for record in scan.records] == [False, True]


@pytest.mark.parametrize("behaviour", [dies, "fork"])
async def test_workers_that_cannot_be_started(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, behaviour: Any
) -> None:
    """The run stops, and says why."""
    scan = Scan(endpoints_in(5, 2), processes=1, behaviours=[dies] * 10)
    if behaviour == "fork":

        @asynccontextmanager
        async def fail() -> AsyncIterator[Child]:
            scan.scopes.append(trio.CancelScope())
            if scan.scopes:
                raise OSError(11, "Resource temporarily unavailable")
            yield Child(*trio.testing.memory_stream_one_way_pair(), lambda _: None, trio.sleep_forever)

        scan.workers._start = fail
    with structlog.testing.capture_logs() as logs:
        await scan.run(monkeypatch)
    assert len(scan.scopes) == MOST_FAILURES
    assert scan.workers.stopped
    end = scan.workers.standing()
    assert (end.taken, end.recorded, end.unfinished) == (10, len(scan.given_up), 10 - len(scan.given_up))
    assert logs[-1]["event"] == "workers cannot be started or kept alive, and so the run stops"


async def test_first_workers_that_are_dead_already(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is the first of one place alone: the next one there is started anew, however many are dead."""
    scan = Scan(endpoints_in(1, 50), processes=MOST_FAILURES + 1, behaviours=[dies], first=MOST_FAILURES + 1)
    with structlog.testing.capture_logs() as logs:
        await scan.run(monkeypatch)
    scan.check()
    assert [log["event"] for log in logs] == ["a worker could not be started"]
    assert (scan.taken, scan.started) == (1, 1)


async def test_workers_that_die_of_everything(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is not an endpoint that kills, not all of them are given up: the run stops."""
    endpoints = endpoints_in(10, 50)
    scan = Scan(endpoints, processes=1, lethal=frozenset(each.address for each in endpoints))
    await scan.run(monkeypatch)
    assert len(scan.scopes) == MOST_FRUITLESS
    assert scan.workers.stopped
    assert len(scan.given_up) <= FEW * MOST_FRUITLESS < scan.workers.standing().unfinished


async def test_an_endpoint_that_kills(autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up after some deaths, few others are with it, and the run goes on to its end."""
    endpoints = endpoints_in(10, 20)
    lethal = endpoints[77]
    slow = {each.address: replace(TLS, connect_s=2) for each in endpoints}
    scan = Scan(endpoints, slow, lethal=frozenset({lethal.address}))
    await scan.run(monkeypatch)
    scan.check()
    assert lethal.id in scan.given_up
    assert len(scan.given_up) <= FEW
    assert 3 <= scan.connected[lethal.address] <= 6
    assert not scan.workers.stopped


async def test_a_stop(autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was begun ends within its grace, and has its record; the rest is unfinished."""
    endpoints = endpoints_in(10, 4)
    peers = {each.address: replace(TLS, connect_s=GRACE_S / 2) for each in endpoints}
    scan = Scan(endpoints, peers, config=replace(CONFIG, limits=replace(UNLIMITED, connections=6)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scan.run, monkeypatch)
        await trio.sleep(1)
        scan.workers.stop()
        began = trio.current_time()
    assert trio.current_time() - began < GRACE_S
    end = scan.workers.standing()
    assert (end.taken, end.recorded, end.unfinished) == (40, 6, 34)
    assert len(scan.records) == 6
    assert {record["status"] for record in scan.records} == {"tls"}
    assert scan.workers.stopped


@pytest.mark.parametrize(("order", "within_s"), [("stop", GRACE_S + LATE_S), ("abort", LAST_WORDS_S)])
async def test_an_end_that_waits_for_nobody(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, order: str, within_s: float
) -> None:
    """A worker that hangs, and servers that keep silent, are not waited for."""
    endpoints = endpoints_in(10, 4)
    scan = Scan(endpoints, {each.address: SILENT for each in endpoints}, behaviours=[hangs])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scan.run, monkeypatch)
        await trio.sleep(1)
        getattr(scan.workers, order)()
        began = trio.current_time()
    assert trio.current_time() - began == pytest.approx(within_s, abs=0.01)
    assert scan.workers.standing().unfinished == 40 - len(scan.records)


async def test_a_death_after_a_stop(autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes its place."""
    scan = Scan(endpoints_in(1, 4), {each.address: SILENT for each in endpoints_in(1, 4)}, processes=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scan.run, monkeypatch)
        await trio.sleep(1)
        scan.workers.stop()
        await trio.sleep(1)
        scan.scopes[0].cancel()
    assert len(scan.scopes) == 1
    assert scan.workers.standing().unfinished == 4


async def test_certificates_come_first(autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker sends those that are new to it, before the records that name them."""
    config = replace(CONFIG, wanted=Wanted((Version.TLS1_3,)))
    scan = Scan(endpoints_in(10, 2), processes=2, config=config, certificates=True)
    await scan.run(monkeypatch)
    scan.check()
    assert {record["sha256"] for record in scan.seen} == {sha for r in scan.records for sha in r["tls"]["chain"]}
    assert len(scan.seen) == 2 * len({record["sha256"] for record in scan.seen})


@pytest.mark.parametrize("is_late", [False, True])
async def test_tlsa_records(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, is_late: bool
) -> None:
    """They go with the endpoint, or after it where they are known later; the worker matches the chain with them."""
    config, endpoints = replace(CONFIG, wanted=Wanted((Version.TLS1_3,))), endpoints_in(1, 2)
    peers = {each.address: replace(TLS, connect_s=5) for each in endpoints}
    records = TlsaSet("mx.test", tlsa(f"3 1 1 {sha256(b'').hexdigest()}")).to_match
    known = {} if is_late else {endpoints[0].id: records}
    scan = Scan(endpoints, peers, config=config, tlsa_of=lambda endpoint: known.get(endpoint.id))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scan.run, monkeypatch)
        await trio.sleep(1)
        known[endpoints[0].id] = records
        for endpoint in endpoints:
            scan.workers.learn(endpoint)
    dane = {record["id"]: record["dane"] for record in scan.records if "dane" in record}
    assert dane.keys() == {endpoints[0].id}
    assert dane[endpoints[0].id]["rrset"] == f"{records.digest:016x}"
    assert [each["matched"] for each in dane[endpoints[0].id]["tlsa"]] == [False]


@pytest.mark.parametrize("is_input", [True, False])
async def test_a_parent_that_dies(is_input: bool) -> None:
    """When its input ends, or nobody reads its output, a worker is over at once."""
    ours, incoming = trio.testing.memory_stream_one_way_pair()
    outgoing, theirs = trio.testing.memory_stream_one_way_pair()
    await ours.send_all(errand_line(Errand("0" * 26, CONFIG)) + b"\n")
    (ours if is_input else theirs).close()
    with trio.fail_after(2), pytest.raises(ExceptionGroup) as raised:
        await works(incoming, outgoing)
    assert raised.group_contains((ParentGoneError, PipeClosed))


async def test_a_parent_that_dies_at_once() -> None:
    """Before it has said what to do."""
    ours, incoming = trio.testing.memory_stream_one_way_pair()
    ours.close()
    with pytest.raises(ParentGoneError):
        await works(incoming, trio.testing.memory_stream_one_way_pair()[0])


class Stuck(SendStream):
    """To somebody who takes the greeting, and is stopped then."""

    def __init__(self) -> None:
        self._takes = 1

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Take it, or wait."""
        self._takes -= 1
        if self._takes < 0:
            await trio.sleep_forever()

    async def wait_send_all_might_not_block(self) -> None:
        """Nobody asks."""

    async def aclose(self) -> None:
        """Nothing is held."""


async def test_a_parent_that_is_stopped(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its worker has to say meanwhile does not pile up, however long that takes."""
    monkeypatch.setattr("scanner.pipe.FULL_BYTES", 10_000)
    outbox = Outbox(Stuck(), 0.2)
    said = 0
    put = outbox.put

    def count(line: bytes) -> None:
        nonlocal said
        said += len(line)
        put(line)

    monkeypatch.setattr(outbox, "put", count)
    ours, incoming = trio.testing.memory_stream_one_way_pair()
    await ours.send_all(errand_line(Errand("0" * 26, CONFIG)) + b"\n")
    with trio.move_on_after(3600):
        await serve(incoming, outbox)
    assert 9_000 < said < 12_000
