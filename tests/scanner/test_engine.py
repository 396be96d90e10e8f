"""The engine under a jumping clock, with connections that are only pretended: time, number, and the last net."""

import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs

from scanner.conclusion import Conclusion
from scanner.connection import Connection, Timeouts
from scanner.engine import GRACE_S, MOST_AT_ONCE, Engine
from scanner.interview import Interview
from scanner.limits import Limits
from scanner.looks import SLOWER_S
from scanner.outcome import Outcome, Stage, Verdict
from scanner.question import Answer, Negotiate, OfferVersion, Wanted
from scanner.record import Recorder
from scanner.starttls.result import StartTls
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.handshake import Handshake
from scanner.tls.names import Version
from targets.services import SERVICES
from targets.target import Endpoint, Origin
from tests.peers.memory import Network, Peer

UNLIMITED = Limits(endpoints=0, connections=0, rate=0, per_address=0, per_address_rate=0, per_network_rate=0)
ALL = tuple(Version)
QUESTIONS = len(ALL) + 1  # one hello a version, and a handshake
UNREACHABLE = Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "refused")


def endpoint(number: int = 0, port: int = 443) -> Endpoint:
    """One of many endpoints, each with an address of its own."""
    address = f"192.0.{number >> 8}.{number & 255}"
    return Endpoint(Origin(address), None, address, port, SERVICES["https"])


@dataclass
class World:
    """All servers: each connection takes its time, and is answered in TLS. Remembers what was asked, and when."""

    takes_s: float = 1.0
    asked: list[tuple[float, str]] = field(default_factory=list)  # when, and of whom
    open: int = 0
    most_open: int = 0
    most_tasks: int = 0
    over: list[Interview] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    recorder: Recorder = field(default_factory=lambda: Recorder("0" * 26))

    async def ask(self, endpoint: Endpoint, answer: Answer) -> None:
        """Every version is spoken."""
        self.asked.append((trio.current_time(), endpoint.address))
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self.most_tasks = max(self.most_tasks, trio.lowlevel.current_statistics().tasks_living)
        try:
            await trio.sleep(self.takes_s)
            self.fill_in(answer)
        finally:
            self.open -= 1

    def fill_in(self, answer: Answer) -> None:
        """What comes back."""
        match answer.question:
            case OfferVersion(Version.SSLV2):
                answer.hello = HelloAnswer(Evidence.SSLV2_SERVER_HELLO, version=2, cipher=0x010080)
            case OfferVersion(version):
                answer.hello = HelloAnswer(Evidence.SERVER_HELLO, version=version.code, cipher=0x002F)
            case Negotiate():
                answer.handshake = Handshake(version=Version.TLS1_3)

    def on_over(self, interview: Interview, conclusion: Conclusion, ended: float) -> None:
        """As a run does it."""
        self.over.append(interview)
        self.records.append(self.recorder.endpoint(interview, conclusion, ended))

    def engine(self, limits: Limits = UNLIMITED, versions: tuple[Version, ...] = ALL) -> Engine:
        """An engine in this world."""
        return Engine(self.ask, self.on_over, Wanted(versions), limits, clock=trio.current_time)

    def starts(self, address: str) -> list[float]:
        """When connections to an address began, from the first of all on."""
        return [when - self.asked[0][0] for when, whom in self.asked if whom == address]


async def run(engine: Engine, endpoints: Iterable[Endpoint]) -> None:
    """Run it over these endpoints."""

    async def intake(engine: Engine) -> None:
        for each in endpoints:
            await engine.submit(each)

    await engine.run(intake)


async def test_every_question_is_asked_once(autojump_clock: object) -> None:
    """An endpoint that answers is asked for every version and for a handshake, one connection each."""
    world = World()
    engine = world.engine()
    await run(engine, [endpoint(1)])
    (interview,) = world.over
    assert Counter(type(answer.question) for answer in interview.answers) == {OfferVersion: 6, Negotiate: 1}
    assert engine.tally.connections == interview.connections == QUESTIONS
    assert (engine.tally.taken, engine.tally.over, engine.tally.unfinished, engine.tally.in_flight) == (1, 1, 0, 0)
    assert world.records[0]["status"] == "tls"


async def test_no_endpoints(autojump_clock: object) -> None:
    """Nothing to do ends at once."""
    began = trio.current_time()
    await run(World().engine(), [])
    assert trio.current_time() == began


async def test_side_by_side(autojump_clock: object) -> None:
    """Where an address may have many connections, all questions but the first run at the same time."""
    world = World(takes_s=1)
    await run(world.engine(), [endpoint(1)])
    assert world.starts("192.0.0.1") == [0] + [1] * (QUESTIONS - 1)
    assert world.most_open == QUESTIONS - 1


async def test_one_after_another(autojump_clock: object) -> None:
    """Where an address may have one connection, the questions follow one another."""
    world = World(takes_s=2)
    await run(world.engine(Limits()), [endpoint(1)])
    assert world.starts("192.0.0.1") == [2 * number for number in range(QUESTIONS)]
    assert world.most_open == 1


async def test_a_pause_between_connections(autojump_clock: object) -> None:
    """Quick answers leave the pause of the address between two connections, of whatever endpoints they are."""
    world = World(takes_s=0.125)
    await run(world.engine(Limits(per_address_rate=0.5, per_network_rate=0)), [endpoint(1, 25), endpoint(1, 465)])
    assert world.starts("192.0.0.1") == [2 * number for number in range(2 * QUESTIONS)]


async def test_the_pace_in_total(autojump_clock: object) -> None:
    """The rate holds over all addresses, and the alarm clock keeps it without spinning."""
    world = World(takes_s=0)
    began = trio.current_time()
    await run(world.engine(Limits(rate=10, per_network_rate=0)), map(endpoint, range(100)))
    assert len(world.asked) == 100 * QUESTIONS
    # 70 s for 700 connections; and at the end, when few endpoints are left, each of them keeps its own pace.
    assert 69.8 <= trio.current_time() - began < 76


async def test_endpoints_end_one_by_one(autojump_clock: object) -> None:
    """Where the pace binds, what was begun goes first: endpoints end all along, and not all at the end."""
    world = World(takes_s=0)
    began = trio.current_time()
    ends: list[float] = []
    engine = world.engine(Limits(rate=10, per_address_rate=0, per_network_rate=0))
    async with trio.open_nursery() as nursery:

        async def note() -> None:
            while len(world.over) < 100:
                await trio.sleep(1)
                ends.append(len(world.over))

        nursery.start_soon(note)
        await run(engine, map(endpoint, range(100)))
    assert trio.current_time() - began < 72
    assert ends[34] >= 45  # half of the time, half of the endpoints


async def test_connections_at_once(autojump_clock: object) -> None:
    """No more connections are open than may be, and as many as may be are."""
    world = World()
    await run(
        world.engine(Limits(connections=7, rate=0, per_address_rate=0, per_network_rate=0)), map(endpoint, range(50))
    )
    assert world.most_open == 7
    assert len(world.over) == 50


async def test_endpoints_at_once(autojump_clock: object) -> None:
    """`submit` waits while as many endpoints as may be are in flight."""
    world = World()
    engine = world.engine(Limits(endpoints=3, rate=0, per_network_rate=0))
    taken: list[int] = []

    async def intake(engine: Engine) -> None:
        for number in range(10):
            await engine.submit(endpoint(number))
            taken.append(engine.tally.in_flight)

    await engine.run(intake)
    assert (max(taken), len(world.over)) == (3, 10)
    assert len({address for _, address in world.asked[:3]}) == 3


async def test_waiting_takes_no_task(autojump_clock: object) -> None:
    """Endpoints that wait for a permit are memory: tasks there are only for connections that are open."""
    world = World()
    base = trio.lowlevel.current_statistics().tasks_living
    await run(
        world.engine(Limits(connections=5, rate=0, per_address_rate=0, per_network_rate=0), ALL[:1]),
        map(endpoint, range(200)),
    )
    assert len(world.over) == 200
    assert world.most_tasks <= base + 5 + 2  # the alarm clock, and who sees to answers


async def test_a_permit_does_not_wait_for_a_record(autojump_clock: object) -> None:
    """When it is seen what came of an endpoint, its permit has gone to the next."""
    world = World()
    waits: list[int] = []

    def on_over(interview: Interview, conclusion: Conclusion, ended: float) -> None:
        waits.append(engine.waits().total)

    limits = Limits(connections=1, rate=0, per_address_rate=0, per_network_rate=0)
    engine = Engine(world.ask, on_over, Wanted(ALL[:1], handshake=False), limits, clock=trio.current_time)
    await run(engine, map(endpoint, range(3)))
    assert waits == [1, 0, 0]


async def test_records_that_take_their_time(autojump_clock: object) -> None:
    """An endpoint ends with its last answer, however long the records of others take that are made before."""
    world, late_s = World(takes_s=1), 0
    durations_ms: list[int] = []

    def on_over(interview: Interview, conclusion: Conclusion, ended: float) -> None:
        nonlocal late_s
        late_s += 5
        durations_ms.append(world.recorder.endpoint(interview, conclusion, ended)["duration_ms"])

    def clock() -> float:
        return trio.current_time() + late_s

    engine = Engine(world.ask, on_over, Wanted(ALL[:1], handshake=False), UNLIMITED, clock=clock)
    await run(engine, map(endpoint, range(50)))
    assert durations_ms == [1000] * 50


async def test_twenty_thousand_in_flight(autojump_clock: object) -> None:
    """An endpoint that waits costs some hundred bytes, and taking it costs no wait."""
    world = World(takes_s=3600)
    engine = world.engine()
    endpoints = [endpoint(number) for number in range(20_000)]
    held = 0

    async def intake(engine: Engine) -> None:
        nonlocal held
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        for each in endpoints:
            await engine.submit(each)
        held = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        engine.stop()

    engine = world.engine(Limits(connections=10, rate=0, per_network_rate=0))
    await engine.run(intake)
    assert engine.tally.taken == engine.tally.unfinished == 20_000
    assert held / 20_000 < 2_000


async def test_unreachable_costs_one_connection(autojump_clock: object) -> None:
    """Whoever does not answer is asked once, and not seven times."""

    class Deserted(World):
        def fill_in(self, answer: Answer) -> None:
            answer.failure = UNREACHABLE

    world = Deserted()
    engine = world.engine(Limits())
    await run(engine, [endpoint(1), endpoint(2)])
    assert engine.tally.connections == 2
    assert [record["status"] for record in world.records] == ["unreachable"] * 2
    assert [record["connections"] for record in world.records] == [1, 1]


async def test_real_connections_in_memory(autojump_clock: object) -> None:
    """With real connections over wires in memory: silence everywhere takes two timeouts, and not their sum.

    For a silence may be due to the hello, and is met with a small one.
    """
    network = Network({endpoint(number).address: [Peer()] for number in range(100)})
    world = World()

    async def ask(endpoint: Endpoint, answer: Answer) -> None:
        await Connection(endpoint, answer, Timeouts(tls_s=15), None).ask(network.dial)

    began = trio.current_time()
    await run(Engine(ask, world.on_over, Wanted(), Limits(rate=0, per_network_rate=0)), map(endpoint, range(100)))
    assert trio.current_time() - began == 2 * 15
    assert len(network.dialled) == 2 * 100
    assert {record["status"] for record in world.records} == {"inconclusive"}


# --- the last net -----------------------------------------------------------------------------------------------------


class Buggy(World):
    """One address makes a bug of ours show."""

    def fill_in(self, answer: Answer) -> None:
        super().fill_in(answer)
        if self.asked[-1][1] == "192.0.0.1" and isinstance(answer.question, OfferVersion):
            raise ZeroDivisionError("a bug")


async def test_a_bug_in_one_task(autojump_clock: object) -> None:
    """A bug in one connection is a record with `status: error` and a log line; the scan goes on."""
    world = Buggy()
    with capture_logs() as logs:
        await run(world.engine(Limits(connections=1, rate=0, per_network_rate=0)), [endpoint(1), endpoint(2)])
    assert {record["address"]: record["status"] for record in world.records} == {
        "192.0.0.1": "error",
        "192.0.0.2": "tls",
    }
    assert world.records[0]["detail"] == "ZeroDivisionError: a bug"
    assert [(line["event"], line["endpoint"]) for line in logs] == [("internal error", "https://192.0.0.1:443")]


async def test_a_bug_in_one_of_many_tasks(autojump_clock: object) -> None:
    """Of an endpoint whose questions run side by side, one bug makes one record, and the others make none."""

    class Late(World):
        def fill_in(self, answer: Answer) -> None:
            super().fill_in(answer)
            if isinstance(answer.question, Negotiate):
                raise ZeroDivisionError

    for limits in (UNLIMITED, Limits(connections=3, rate=0, per_address=2, per_address_rate=0, per_network_rate=0)):
        world = Late()
        engine = world.engine(limits)
        with capture_logs() as logs:
            await run(engine, map(endpoint, range(3)))
        assert [record["status"] for record in world.records] == ["error"] * 3
        assert len(logs) == 3
        assert (engine.tally.over, engine.tally.in_flight, world.open) == (3, 0, 0)


async def test_a_bug_in_the_making_of_a_record(autojump_clock: object) -> None:
    """Where a record cannot be made of what was found, there is one that says so; the scan goes on."""

    class Unspeakable(World):
        def on_over(self, interview: Interview, conclusion: Conclusion, ended: float) -> None:
            if interview.endpoint.address == "192.0.0.1" and interview.answers:
                raise ZeroDivisionError("a record")
            super().on_over(interview, conclusion, ended)

    world = Unspeakable()
    engine = world.engine()
    with capture_logs() as logs:
        await run(engine, [endpoint(1), endpoint(2)])
    assert {record["address"]: record["status"] for record in world.records} == {
        "192.0.0.1": "error",
        "192.0.0.2": "tls",
    }
    assert (engine.tally.over, len(logs)) == (2, 1)
    assert "ZeroDivisionError: a record" in str(world.records)


async def test_a_bug_in_the_making_of_every_record(autojump_clock: object) -> None:
    """Where not even that can be made, the endpoint is counted as unfinished; the scan goes on."""

    class Hopeless(World):
        def on_over(self, interview: Interview, conclusion: Conclusion, ended: float) -> None:
            if interview.endpoint.address == "192.0.0.1":
                raise ZeroDivisionError("a record")
            super().on_over(interview, conclusion, ended)

    world = Hopeless()
    engine = world.engine()
    with capture_logs() as logs:
        await run(engine, [endpoint(1), endpoint(2)])
    assert [record["address"] for record in world.records] == ["192.0.0.2"]
    assert (engine.tally.taken, engine.tally.over, engine.tally.unfinished, len(logs)) == (2, 1, 1, 2)


async def test_a_bug_in_the_intake_is_not_hidden(autojump_clock: object) -> None:
    """The net is for single endpoints; an intake that breaks ends the run."""

    async def intake(engine: Engine) -> None:
        await engine.submit(endpoint(1))
        raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError):
        await World().engine().run(intake)


# --- stopping ---------------------------------------------------------------------------------------------------------


async def stopped(world: World, engine: Engine, endpoints: Iterable[Endpoint], after_s: float) -> float:
    """Run it and stop it after so many seconds; how long it then still took."""
    took_s = 0.0

    async def stop() -> None:
        await trio.sleep(after_s)
        engine.stop()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop)
        began = trio.current_time()
        await run(engine, endpoints)
        took_s = trio.current_time() - began - after_s
    assert world.open == 0
    assert engine.tally.taken == engine.tally.over + engine.tally.unfinished
    assert engine.tally.over == len(world.records)
    return took_s


async def test_stopping_drops_what_has_not_begun(autojump_clock: object) -> None:
    """Endpoints without a connection are dropped and counted; those that have begun are finished."""
    world = World(takes_s=1)
    engine = world.engine(Limits(endpoints=20, connections=3, rate=0, per_address_rate=0, per_network_rate=0))
    took_s = await stopped(world, engine, map(endpoint, range(100)), after_s=0.5)
    assert (engine.tally.taken, engine.tally.over, engine.tally.unfinished) == (20, 3, 17)
    assert [len(interview.answers) for interview in world.over] == [QUESTIONS] * 3
    assert took_s == pytest.approx(QUESTIONS - 0.5)
    assert engine.stopped


async def test_stopping_wakes_an_intake_that_waits(autojump_clock: object) -> None:
    """An intake that waits for something else ends as well."""
    engine = World().engine()

    async def intake(engine: Engine) -> None:
        await engine.submit(endpoint(1))
        await trio.sleep_forever()

    async def stop() -> None:
        await trio.sleep(100)
        engine.stop()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop)
        await engine.run(intake)
    assert (engine.tally.over, engine.tally.unfinished) == (1, 0)


async def test_questions_that_come_up_after_a_stop(autojump_clock: object) -> None:
    """An endpoint that has begun gets its other questions too, past those that were dropped in its queue."""
    world = World(takes_s=1)
    engine = world.engine(Limits(connections=1, rate=0, per_address=2, per_address_rate=0, per_network_rate=0))
    took_s = await stopped(world, engine, [endpoint(1, port) for port in range(1, 5)], after_s=0.5)
    assert (engine.tally.over, engine.tally.unfinished) == (1, 3)
    assert took_s == pytest.approx(QUESTIONS - 0.5)


async def test_ten_seconds_are_all_there_is(autojump_clock: object) -> None:
    """What is not over ten seconds after a stop is cut; what is known of it is written."""
    world = World(takes_s=4)
    engine = world.engine(Limits())
    took_s = await stopped(world, engine, [endpoint(1)], after_s=5)
    assert took_s == pytest.approx(GRACE_S)
    (record,) = world.records
    assert record["status"] == "tls"
    assert isinstance(record["versions"], dict)
    verdicts = Counter(entry["evidence"] for entry in record["versions"].values())
    assert verdicts == {"server_hello": 3, "not_reached": 3}


async def test_nothing_known_is_no_record(autojump_clock: object) -> None:
    """An endpoint that has not answered anything when the time is over is unfinished, and has no record."""
    world = World(takes_s=100)
    engine = world.engine()
    took_s = await stopped(world, engine, [endpoint(1), endpoint(2)], after_s=5)
    assert took_s == pytest.approx(GRACE_S)
    assert (engine.tally.over, engine.tally.unfinished) == (0, 2)


async def test_aborting(autojump_clock: object) -> None:
    """An abort ends all connections at once; what is known is written."""
    world = World(takes_s=4)
    engine = world.engine(Limits())

    async def abort() -> None:
        await trio.sleep(5)
        engine.stop()
        await trio.sleep(1)
        engine.abort()

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(abort)
        await run(engine, [endpoint(1), endpoint(2), endpoint(2, 25)])
    assert trio.current_time() - began == 6
    assert sorted((len(each.answers), each.connections) for each in world.over) == [(1, 2), (1, 2)]
    assert (engine.tally.over, engine.tally.unfinished, world.open) == (2, 1, 0)


async def test_aborting_without_a_stop(autojump_clock: object) -> None:
    """It needs no stop before it, and takes the intake along."""
    engine = World().engine()

    async def intake(engine: Engine) -> None:
        await engine.submit(endpoint(1))
        engine.abort()
        await trio.sleep_forever()

    await engine.run(intake)
    assert engine.stopped
    assert (engine.tally.over, engine.tally.unfinished) == (0, 1)


async def test_an_answer_in_the_moment_of_an_abort(autojump_clock: object) -> None:
    """What has come is written, though nobody had looked at it."""
    world = World()

    async def ask(endpoint: Endpoint, answer: Answer) -> None:
        await world.ask(endpoint, answer)
        engine.abort()

    engine = Engine(ask, world.on_over, Wanted(ALL[:1], handshake=False), UNLIMITED, clock=trio.current_time)
    await run(engine, [endpoint(1)])
    assert [record["status"] for record in world.records] == ["tls"]
    assert (engine.tally.over, engine.tally.unfinished) == (1, 0)


async def test_being_cancelled(autojump_clock: object) -> None:
    """Cancelled from outside, the engine ends at once and leaves no connection open."""
    world = World(takes_s=100)
    with trio.move_on_after(1) as scope:
        await run(world.engine(), map(endpoint, range(10)))
    assert scope.cancelled_caught
    assert world.open == 0


BUSY = StartTls(Verdict.RATE_LIMITED, Stage.GREETING, code="421", text="421 4.7.0 too many connections")


@dataclass
class Moody(World):
    """A server whose mood, from its first connection on, is told for each moment: None is TLS for all."""

    mood: Callable[[float], StartTls | Outcome | None] = lambda _: None

    def fill_in(self, answer: Answer) -> None:
        """What comes back just now."""
        match self.mood(trio.current_time() - self.asked[0][0]):
            case StartTls() as turned_away:
                answer.starttls = turned_away
            case Outcome() as failure:
                answer.failure = failure
            case None:
                answer.starttls = StartTls(Verdict.OK, Stage.REPLY, code="220", advertised=True)
                super().fill_in(answer)

    def engine(self, limits: Limits = UNLIMITED, versions: tuple[Version, ...] = ALL, retries: int = 2) -> Engine:
        """An engine that looks again."""
        return Engine(self.ask, self.on_over, Wanted(versions), limits, clock=trio.current_time, retries=retries)


def until(moment: float, mood: StartTls | Outcome) -> Callable[[float], StartTls | Outcome | None]:
    """Of this mood for so many seconds."""
    return lambda now: mood if now < moment else None


def smtp(number: int = 1) -> Endpoint:
    """An SMTP server with an address of its own."""
    return replace(endpoint(number, 25), service=SERVICES["smtp"])


def looks(record: dict[str, Any]) -> list[str]:
    """The verdicts of its looks."""
    return [look["verdict"] for look in record["looks"]]


async def test_a_busy_server_is_looked_at_again(autojump_clock: object) -> None:
    """Not sooner than a minute later, at a slower pace, and then it tells all."""
    world = Moody(takes_s=0.5, mood=lambda now: BUSY if now < 30 else None)
    await run(world.engine(), [smtp()])
    (record,) = world.records
    assert (record["status"], looks(record)) == ("tls", ["rate_limited", "ok"])
    assert record["looks"][0]["text"] == "421 4.7.0 too many connections"
    first, second, *rest = world.starts("192.0.0.1")
    assert second - first >= 60
    assert len(rest) == QUESTIONS - 1
    assert {later - sooner for sooner, later in pairwise([second, *rest])} == {SLOWER_S}
    assert record["connections"] == QUESTIONS + 1


@pytest.mark.parametrize(
    ("retries", "starts"), [(0, [0]), (1, [0, 60.5]), (2, [0, 60.5, 181]), (3, [0, 60.5, 181, 421.5])]
)
async def test_a_server_that_stays_busy(autojump_clock: object, retries: int, starts: list[float]) -> None:
    """Each pause is twice as long as the one before; after the last retry, what it says is its verdict."""
    world = Moody(takes_s=0.5, mood=lambda _: BUSY)
    engine = world.engine(retries=retries)
    await run(engine, [smtp()])
    assert world.starts("192.0.0.1") == starts
    assert looks(world.records[0]) == ["rate_limited"] * (retries + 1)
    assert (engine.tally.over, engine.tally.waiting, engine.tally.in_flight) == (1, 0, 0)


async def test_never_sooner_than_the_server_said(autojump_clock: object) -> None:
    """It knows best how long it will be busy; one that wants more than an hour is left alone."""
    said: dict[str, list[float]] = {"421 try again in 10 minutes": [0, 600.5], "421 come back in 2 hours": [0]}
    for text, starts in said.items():
        world = Moody(takes_s=0.5, mood=until(1, replace(BUSY, text=text)))
        await run(world.engine(limits=Limits(0, 0, 0, 0, 1, 0)), [smtp()])
        assert world.starts("192.0.0.1")[: len(starts)] == starts
        assert ("deferred_dropped" in world.records[0]["flags"]) == (len(starts) == 1)


async def test_silence_is_looked_at_once_more(autojump_clock: object) -> None:
    """However many retries there may be."""
    nobody = Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "timeout")
    world = Moody(takes_s=0.5, mood=lambda _: nobody)
    await run(world.engine(retries=5), [smtp()])
    assert world.starts("192.0.0.1") == [0, 30.5]
    assert looks(world.records[0]) == ["unreachable"] * 2


async def test_a_refused_connection_is_no_matter_of_the_moment(autojump_clock: object) -> None:
    """Nor is any firm verdict."""
    firm_ones: list[StartTls | Outcome] = [UNREACHABLE, StartTls(Verdict.NOT_OFFERED, Stage.CAPABILITIES)]
    for firm in firm_ones:
        world = Moody(mood=until(inf, firm))
        await run(world.engine(), [smtp()])
        assert len(world.asked) == 1


async def test_what_was_answered_is_not_asked_again(autojump_clock: object) -> None:
    """A server that turns us away after three answers is left alone, asked for the rest, and for that one again."""
    world = Moody(takes_s=0.5, mood=lambda now: BUSY if 2.9 < now < 60 else None)
    await run(world.engine(Limits(0, 0, 0, 1, 1, 0)), [smtp()])
    (record,) = world.records
    assert record["connections"] == QUESTIONS + 1
    assert looks(record) == ["rate_limited", "ok"]
    starts = world.starts("192.0.0.1")
    assert starts[4] - starts[3] >= 60
    assert starts[5] - starts[4] == SLOWER_S
    assert {entry["verdict"] for entry in record["versions"].values()} == {"yes"}
    assert "throttled" not in record["flags"]


async def test_an_address_that_spoke_of_load_is_left_alone_by_all(autojump_clock: object) -> None:
    """Three endpoints at one address: what the first was told holds for the others too."""
    world = Moody(takes_s=0.5, mood=lambda now: BUSY if now < 60 else None)
    three = [replace(smtp(1), port=port) for port in (25, 587, 2525)]
    await run(world.engine(Limits(0, 0, 0, 1, 1, 0), (Version.TLS1_2,)), three)
    starts = world.starts("192.0.0.1")
    assert starts[0] == 0
    assert starts[1] >= 60
    assert min(later - sooner for sooner, later in pairwise(starts[1:])) >= SLOWER_S
    assert [record["status"] for record in world.records] == ["tls"] * 3
    assert len(starts) == 3 * 2 + 1


async def test_who_waits_takes_no_place(autojump_clock: object) -> None:
    """With one place in flight, a hundred busy servers do not keep an answering one from its turn."""

    class Half(Moody):
        def fill_in(self, answer: Answer) -> None:
            busy = self.asked[-1][1] != "192.0.0.200" and trio.current_time() - self.asked[0][0] < 60
            answer.starttls = BUSY if busy else StartTls(Verdict.OK, Stage.REPLY)
            if not busy:
                World.fill_in(self, answer)

    half = Half(takes_s=0.1)
    engine = half.engine(
        Limits(endpoints=1, connections=1, rate=0, per_address=0, per_address_rate=0, per_network_rate=0)
    )
    await run(engine, [*map(smtp, range(100)), smtp(200)])
    assert half.records[0]["address"] == "192.0.0.200"
    assert [record["status"] for record in half.records] == ["tls"] * 101
    assert half.most_open == 1


async def test_beyond_the_bound_nobody_waits(autojump_clock: object) -> None:
    """Then the record is written at once, and says so."""
    world = Moody(takes_s=0.5, mood=lambda _: BUSY)
    engine = world.engine(Limits(0, 0, 0, 0, 0, 0, deferred=2), retries=1)
    await run(engine, map(smtp, range(5)))
    dropped = [record for record in world.records if "deferred_dropped" in record["flags"]]
    assert (len(dropped), len(world.records), engine.tally.given_up) == (3, 5, 3)
    assert all(len(record["looks"]) == 1 for record in dropped)
    assert world.records[:3] == dropped


async def test_a_stop_during_the_wait(autojump_clock: object) -> None:
    """What is known of those that wait is written at once."""
    world = Moody(takes_s=0.5, mood=lambda _: BUSY)
    engine = world.engine()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, engine, [smtp(1), smtp(2)])
        await trio.sleep(20)
        assert (engine.tally.waiting, world.records) == (2, [])
        engine.stop()
    assert trio.current_time() - world.asked[0][0] == pytest.approx(20)
    assert [record["starttls"]["verdict"] for record in world.records] == ["rate_limited"] * 2
    assert (engine.tally.over, engine.tally.unfinished, engine.tally.waiting) == (2, 0, 0)


async def test_strain_is_heard_before_the_next_begins(autojump_clock: object) -> None:
    """A look that shows strain slows its address down before its permit goes to another endpoint there."""

    class Strained(World):
        def fill_in(self, answer: Answer) -> None:
            if isinstance(answer.question, Negotiate):
                answer.handshake = Handshake(failure=Outcome(Verdict.TIMEOUT, Stage.TLS))
            else:
                super().fill_in(answer)

    world = Strained(takes_s=2)
    wanted, limits = Wanted((Version.TLS1_2,)), replace(UNLIMITED, per_address=1, per_address_rate=1)
    engine = Engine(world.ask, world.on_over, wanted, limits, clock=trio.current_time)
    await run(engine, [endpoint(1), endpoint(1, 8443)])
    starts, first_over = world.starts("192.0.0.1"), 2.0 * world.over[0].connections
    assert len(starts) == sum(each.connections for each in world.over)
    assert not [start for start in starts if first_over <= start < first_over + SLOWER_S]


async def test_a_stop_while_many_wait(autojump_clock: object) -> None:
    """All have their record, and others run in between: a signal is heard."""
    world = Moody(mood=lambda _: BUSY)
    engine = world.engine(UNLIMITED, retries=2)
    seen: list[int] = []

    async def look_on() -> None:
        while len(world.records) < 2000:
            seen.append(len(world.records))
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, engine, map(smtp, range(2000)))
        await trio.sleep(20)
        assert engine.tally.waiting == 2000
        engine.stop()
        nursery.start_soon(look_on)
    assert len(world.records) == 2000
    assert max(after - before for before, after in pairwise(seen)) <= 2 * MOST_AT_ONCE


async def test_a_stop_during_a_later_look(autojump_clock: object) -> None:
    """A look that is cut short before its first answer is none: the one before it stands."""
    world = Moody(takes_s=0.5, mood=lambda _: BUSY)

    async def ask(endpoint: Endpoint, answer: Answer) -> None:
        if len(world.asked) == 1:
            await trio.sleep_forever()
        await world.ask(endpoint, answer)

    engine = Engine(ask, world.on_over, Wanted(), UNLIMITED, clock=trio.current_time, retries=2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, engine, [smtp(1)])
        await trio.sleep(70)
        engine.stop()
    (record,) = world.records
    assert (looks(record), record["starttls"]["verdict"]) == (["rate_limited"], "rate_limited")
    assert record["connections"] == 2


async def test_a_broken_promise_is_believed_at_the_second_look(autojump_clock: object) -> None:
    """Silence behind a go-ahead may be a matter of the moment; the second time it is `no_tls`."""

    class Broken(World):
        def fill_in(self, answer: Answer) -> None:
            answer.starttls = StartTls(Verdict.OK, Stage.REPLY, code="220", advertised=True)
            if isinstance(answer.question, OfferVersion):
                answer.hello = HelloAnswer(Evidence.CLOSED)
            else:
                answer.handshake = Handshake(failure=Outcome(Verdict.CLOSED, Stage.TLS, "eof"))

    for retries, status in ((0, "inconclusive"), (2, "no_tls")):
        world = Broken()
        engine = Engine(world.ask, world.on_over, Wanted(), UNLIMITED, clock=trio.current_time, retries=retries)
        await run(engine, [smtp()])
        (record,) = world.records
        assert record["status"] == status
        assert looks(record) == ["accepted_no_tls"] * (2 if retries else 1)
        assert ("starttls-broken" in {found["id"] for found in record["findings"]}) == bool(retries)
