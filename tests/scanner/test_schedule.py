"""Permits: a simulation in which no clock runs, checked against what the limits promise."""

import heapq
from collections import defaultdict
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isclose
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.limits import BURST_S, Limits
from scanner.schedule import Queue, Schedule, Waits
from targets.prefixes import Prefixes

UNLIMITED = Limits(endpoints=0, connections=0, rate=0, per_address=0, per_address_rate=0, per_network_rate=0)
ADDRESSES = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.1", "198.51.100.2", "2001:db8::1", "2001:db8:0:1::1")
TINY_S = 1e-9  # what adding up seconds may be wrong by

network_of = Prefixes().network_of


@dataclass(frozen=True)
class Job:
    """What is to be done for an address: when it is pushed, and how long it takes."""

    number: int
    address: str
    pushed: float
    takes_s: float


jobs = st.lists(
    st.tuples(st.sampled_from(ADDRESSES), st.floats(0, 3), st.floats(0, 2)).filter(lambda job: job[2] >= 0),
    max_size=25,
).map(lambda rows: [Job(number, *row) for number, row in enumerate(sorted(rows, key=lambda row: row[1]))])
limits = st.builds(
    Limits,
    connections=st.sampled_from([0, 1, 2, 5]),
    rate=st.sampled_from([0, 1.0, 3.0, 7.5, 100.0, 1000.0]),
    per_address=st.sampled_from([0, 1, 2]),
    per_address_rate=st.sampled_from([0, 0.7, 1.0, 3.0, 100.0]),
    per_network_rate=st.sampled_from([0, 0.7, 2.0, 30.0, 400.0]),
)


class Simulation:
    """Runs jobs through a schedule, from event to event: a push, an end, or the moment that the schedule names."""

    def __init__(self, of: Limits, work: list[Job]) -> None:
        self.limits = of
        self.schedule: Schedule[Job] = Schedule(of)
        self.work = work
        self.starts: list[tuple[float, Job]] = []
        self.now = 0.0
        self.wakes = 0
        self._ends: list[tuple[float, int, Job]] = []

    def run(self) -> None:
        """Until nothing more will ever happen."""
        coming = list(self.work)
        while True:
            woken_at = self.schedule.wake_at()
            until = min(coming[0].pushed if coming else inf, self._ends[0][0] if self._ends else inf, woken_at)
            if until == inf:
                return
            self._look_early(until)
            self.now = max(self.now, until)
            self.wakes += woken_at == until
            while coming and coming[0].pushed <= self.now:
                job = coming.pop(0)
                self.schedule.push(job.address, job, self.now)
            while self._ends and self._ends[0][0] <= self.now:
                self.schedule.done(heapq.heappop(self._ends)[2].address, self.now)
            self._start()
            assert self.schedule.wake_at() > self.now, "it would wake again and again"

    def _start(self) -> None:
        while job := self.schedule.pop(self.now):
            self.starts.append((self.now, job))
            heapq.heappush(self._ends, (self.now + job.takes_s, job.number, job))
            self._check_permits()

    def _check_permits(self) -> None:
        active = [job.address for _, _, job in self._ends]
        assert self.schedule.in_flight == len(active)
        assert len(active) <= (self.limits.connections or inf)
        most = self.limits.per_address or inf
        assert all(active.count(address) <= most for address in active)

    def _look_early(self, until: float) -> None:
        """Between two events there is nothing to start: whoever waits for `wake_at` is never late."""
        for part in (0.01, 0.5, 0.99):
            moment = self.now + (until - self.now) * part
            assert moment + TINY_S >= until or deepcopy(self.schedule).pop(moment) is None


@settings(deadline=None)
@given(limits, jobs)
def test_the_limits_hold(of: Limits, work: list[Job]) -> None:
    """However jobs come and go: every limit holds at every moment, every job starts, and nothing is left behind."""
    simulation = Simulation(of, work)
    simulation.run()
    starts = simulation.starts
    assert sorted(job.number for _, job in starts) == list(range(len(work)))
    assert simulation.schedule.in_flight == 0
    assert not simulation.schedule._lanes, "an address that nobody asks about any more, or a job, is kept"
    assert not simulation.schedule._networks
    assert simulation.wakes <= 5 * len(work) + 1
    _check_pauses(of, starts)
    _check_rate(of.rate, [when for when, _ in starts])
    for network in {network_of(job.address) for job in work}:
        _check_rate(of.per_network_rate, [when for when, job in starts if network_of(job.address) == network])
    _check_order(starts)


def _check_pauses(of: Limits, starts: list[tuple[float, Job]]) -> None:
    """At least 1/rate seconds from one start to the next, address by address."""
    last: dict[str, float] = {}
    for when, job in starts:
        if of.per_address_rate and job.address in last:
            assert when - last[job.address] >= 1 / of.per_address_rate - TINY_S
        last[job.address] = when


def _check_rate(rate: float, starts: list[float]) -> None:
    """In every window there are no more starts than an even pace has, and what BURST_S lets ahead."""
    if not rate:
        return
    for first, begin in enumerate(starts):
        for last in range(first, len(starts)):
            most = (starts[last] - begin + BURST_S) * rate + 1
            assert last - first + 1 <= most + 1e-6


def _check_order(starts: list[tuple[float, Job]]) -> None:
    """Jobs of one address start in the order in which they came."""
    numbers = defaultdict(list)
    for _, job in starts:
        numbers[job.address].append(job.number)
    assert all(each == sorted(each) for each in numbers.values())


@settings(deadline=None)
@given(limits, jobs, st.integers(0, 25), st.floats(0, 3))
def test_keep(of: Limits, work: list[Job], modulus: int, when: float) -> None:
    """Jobs that are not wanted any more never start; all others do, also those that come later."""
    simulation = Simulation(of, [job for job in work if job.pushed <= when])
    for job in simulation.work:
        simulation.schedule.push(job.address, job, job.pushed)
    simulation.now = when
    simulation._start()
    begun = {job.number for _, job in simulation.starts}
    unwanted = {job.number for job in simulation.work if job.number % (modulus + 1) == 0} - begun
    simulation.schedule.keep(lambda job: job.number not in unwanted)
    simulation.work = [job for job in work if job.pushed > when]
    simulation.run()
    assert {job.number for _, job in simulation.starts} == {job.number for job in work} - unwanted
    assert not simulation.schedule._lanes
    assert not simulation.schedule._networks


def test_addresses_take_turns() -> None:
    """A hundred jobs for one address do not keep another address waiting."""
    schedule: Schedule[str] = Schedule(UNLIMITED)
    for number in range(3):
        schedule.push("192.0.2.1", f"a{number}", 0)
    for address in ("192.0.2.2", "192.0.2.3"):
        schedule.push(address, address[-1], 0)
    assert [schedule.pop(0) for _ in range(6)] == ["a0", "2", "3", "a1", "a2", None]


@pytest.mark.parametrize("rate", [7.0, 10.0, 333.0, 1000.0, 12_345.0])
def test_an_even_pace(rate: float) -> None:
    """A thousand addresses that wait start at the rate, from wake to wake, without a wake that starts nothing."""
    schedule: Schedule[int] = Schedule(
        Limits(connections=0, rate=rate, per_address=0, per_address_rate=0, per_network_rate=0)
    )
    for number in range(1_000):
        schedule.push(str(number), number, 0)
    now, started, wakes = 0.0, 0, 0
    while True:
        before = started
        while schedule.pop(now) is not None:
            started += 1
        assert started > before
        if started == 1_000:
            break
        wakes += 1
        now = schedule.wake_at()
    assert isclose(now, 999 / rate, abs_tol=BURST_S + 1 / rate)
    assert wakes < 1_000


def test_a_timer_that_is_late_catches_up_within_the_burst() -> None:
    """After a pause of nothing to do, the pace starts anew: no credit is saved up beyond the burst."""
    schedule: Schedule[int] = Schedule(
        Limits(connections=0, rate=100, per_address=0, per_address_rate=0, per_network_rate=0)
    )
    for number in range(20):
        schedule.push(str(number), number, 0)
    for now in (0, 50):
        burst = list(iter(lambda: schedule.pop(now), None))  # noqa: B023
        assert len(burst) == BURST_S * 100 + 1


def test_a_cooling_address_without_jobs_is_forgotten() -> None:
    """The pause of an address outlives its last job, and not by more than itself."""
    schedule: Schedule[str] = Schedule(Limits(per_address_rate=1, per_network_rate=0))
    schedule.push("192.0.2.1", "first", 0)
    assert schedule.pop(0) == "first"
    schedule.done("192.0.2.1", 0.25)
    schedule.push("192.0.2.1", "second", 0.5)
    assert (schedule.pop(0.5), schedule.wake_at(), schedule.pop(1.0)) == (None, 1.0, "second")
    schedule.done("192.0.2.1", 1.25)
    assert schedule.wake_at() == 2.0
    assert schedule.pop(2.0) is None
    assert not schedule._lanes
    assert schedule.wake_at() == inf


def test_a_full_house_waits_for_an_end_only() -> None:
    """While every permit is taken, there is no moment to wake for."""
    schedule: Schedule[str] = Schedule(Limits(connections=1, rate=1000, per_address_rate=0, per_network_rate=0))
    schedule.push("192.0.2.1", "first", 0)
    schedule.push("192.0.2.2", "second", 0)
    assert schedule.pop(0) == "first"
    assert (schedule.pop(9), schedule.wake_at()) == (None, inf)
    schedule.done("192.0.2.1", 9)
    assert schedule.pop(9) == "second"


def test_a_slowed_address() -> None:
    """Its connections leave at the slower pace for as long as something waits; other addresses keep theirs."""
    schedule: Schedule[str] = Schedule(Limits(rate=0, per_address=0, per_address_rate=1, per_network_rate=0))
    schedule.slow_down("192.0.2.1", 4, 0)
    for address in ("192.0.2.1", "192.0.2.2"):
        for number in range(3):
            schedule.push(address, f"{address} {number}", 0)
    starts: dict[str, list[float]] = {}
    for now in range(20):
        while job := schedule.pop(now):
            address = job.split()[0]
            starts.setdefault(address, []).append(now)
            schedule.done(address, now)
    assert starts == {"192.0.2.1": [0, 4, 8], "192.0.2.2": [0, 1, 2]}
    schedule.push("192.0.2.1", "192.0.2.1 later", 20)
    schedule.push("192.0.2.1", "192.0.2.1 last", 20)
    assert (schedule.pop(20), schedule.pop(20), schedule.pop(21)) == ("192.0.2.1 later", None, "192.0.2.1 last")


def test_an_address_that_is_slowed_down_when_nothing_waits() -> None:
    """It is left alone as long as that; then nothing of it is kept."""
    schedule: Schedule[str] = Schedule(Limits(rate=0, per_address=0, per_address_rate=1, per_network_rate=0))
    schedule.slow_down("192.0.2.1", 4, 0, until=10)
    schedule.push("192.0.2.2", "other", 0)
    assert schedule.pop(0) == "other"
    schedule.done("192.0.2.2", 1)
    assert schedule.pop(9) is None
    assert schedule._lanes
    assert schedule.pop(10) is None
    assert not schedule._lanes
    assert not schedule._networks


def test_nobody_is_made_faster() -> None:
    """An address that is left alone for longer anyway stays so."""
    schedule: Schedule[str] = Schedule(Limits(rate=0, per_address=0, per_address_rate=0.1, per_network_rate=0))
    schedule.slow_down("192.0.2.1", 4, 0)
    schedule.push("192.0.2.1", "first", 0)
    schedule.push("192.0.2.1", "second", 0)
    assert (schedule.pop(0), schedule.pop(4), schedule.pop(10)) == ("first", None, "second")


# --- networks ---------------------------------------------------------------------------------------------------------


def popped(schedule: Schedule[str], moments: int, step_s: float = 0.5) -> list[tuple[float, str]]:
    """What starts, and when, from moment to moment; each is over at once."""
    starts = []
    for number in range(moments):
        now = number * step_s
        while job := schedule.pop(now):
            starts.append((now, job))
            schedule.done(job.split()[0], now)
    return starts


def test_a_pace_of_networks() -> None:
    """The addresses of a network share its pace, and take turns; another network has its own."""
    schedule: Schedule[str] = Schedule(Limits(rate=0, per_address=0, per_address_rate=0, per_network_rate=1))
    for address in ("192.0.2.1", "192.0.2.2", "198.51.100.1", "2001:db8::1", "2001:db8:0:1::1"):
        for number in range(2):
            schedule.push(address, f"{address} {number}", 0)
    starts = popped(schedule, 10)
    assert [start for start in starts if start[1].startswith("192.")] == [
        (0, "192.0.2.1 0"),
        (1, "192.0.2.2 0"),
        (2, "192.0.2.1 1"),
        (3, "192.0.2.2 1"),
    ]
    assert [when for when, job in starts if job.startswith("198.")] == [0, 1]
    assert [when for when, job in starts if job.startswith("2001:")] == [0, 1, 2, 3]
    assert not schedule._networks


def test_the_three_paces_hold_together() -> None:
    """The slowest of them counts: of the address, then of the network, then of the whole."""
    schedule: Schedule[str] = Schedule(Limits(rate=1.5, per_address=0, per_address_rate=0.5, per_network_rate=1))
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.1"):
        for number in range(2):
            schedule.push(address, f"{address} {number}", 0)
    starts = popped(schedule, 200, 0.1)
    assert len(starts) == 8
    _check_rate(1.5, [when for when, _ in starts])
    _check_rate(1, [when for when, job in starts if job.startswith("192.")])
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        first, second = (when for when, job in starts if job.split()[0] == address)
        assert second - first >= 2


def test_what_was_begun_goes_first_in_its_network_too() -> None:
    """And before what is new in other networks."""
    schedule: Schedule[str] = Schedule(UNLIMITED)
    for job, begun in (("192.0.2.1 new", False), ("198.51.100.1 new", False), ("192.0.2.2 begun", True)):
        schedule.push(job.split()[0], job, 0, begun=begun)
    assert [job for _, job in popped(schedule, 1)] == ["192.0.2.2 begun", "192.0.2.1 new", "198.51.100.1 new"]


def test_a_network_is_held() -> None:
    """Nothing of it starts before then, whether it is due now or not; others go on."""
    schedule: Schedule[str] = Schedule(UNLIMITED)
    for job in ("192.0.2.1 a", "192.0.2.2 b", "198.51.100.1 c"):
        schedule.push(job.split()[0], job, 0)
    schedule.hold("192.0.2.1", 2)
    assert popped(schedule, 8) == [(0, "198.51.100.1 c"), (2, "192.0.2.1 a"), (2, "192.0.2.2 b")]
    assert not schedule._networks


def test_an_address_is_let_go_again_by_halves() -> None:
    """After a minute without a word, and after each minute more, until it has its usual pace."""
    schedule: Schedule[int] = Schedule(Limits(rate=0, per_address_rate=1, per_network_rate=0))
    for number in range(60):
        schedule.push("192.0.2.1", number, 0)
    schedule.slow_down("192.0.2.1", 4, 0)
    starts = []
    for now in range(180):
        if schedule.pop(now) is not None:
            starts.append(now)
            schedule.done("192.0.2.1", now)
    gaps = [(first, second - first) for first, second in pairwise(starts)]
    assert {gap for when, gap in gaps if when < 60} == {4}
    assert {gap for when, gap in gaps if 60 <= when < 120} == {2}
    assert {gap for when, gap in gaps if when >= 120} == {1}


def test_what_jobs_wait_for() -> None:
    """Each of them is counted once."""
    schedule: Schedule[str] = Schedule(Limits(connections=5, rate=0, per_address=1, per_address_rate=1))
    for number in range(100):
        schedule.push("192.0.2.1", f"192.0.2.1 {number}", 0)
        schedule.push(f"192.0.2.{10 + number}", f"192.0.2.{10 + number} a", 0)
        schedule.push(f"198.51.{number}.1", f"198.51.{number}.1 a", 0)
    while schedule.pop(0):
        pass
    assert schedule.waits(0) == Waits(address=99, network=100, total=300 - 5 - 99 - 100)
    schedule.slow_down("192.0.2.1", 10, 0)
    assert schedule.waits(0) == Waits(back_off=99, network=100, total=300 - 5 - 99 - 100)


def test_queues() -> None:
    """How long an address waits for its next connection, and for its last: by its own pace, or that of its network."""
    schedule: Schedule[str] = Schedule(Limits(per_address_rate=1, per_network_rate=0.5))
    for job in "abc":
        schedule.push("192.0.2.1", job, 0)
    schedule.push("198.51.100.1", "d", 0)
    assert schedule.pop(0) == "a"
    schedule.slow_down("192.0.2.1", 10, 0, until=20)
    first, second = schedule.queues(1.0)
    assert first == Queue("192.0.2.1", "192.0.2.0/24", 2, 19.0, 29.0, 2.0)
    assert second == Queue("198.51.100.1", "198.51.100.0/24", 1, 0.0, 0.0, 2.0)


def test_ten_thousand_networks_that_wait_cost_nothing() -> None:
    """To pop a job takes as long as without them."""

    def seconds(waiting: int) -> float:
        schedule: Schedule[str] = Schedule(Limits(connections=0, rate=0, per_address=0, per_network_rate=0.001))
        for number in range(waiting):
            for _ in range(2):
                schedule.push(f"10.{number >> 8}.{number & 255}.1", "waits", 0)
        while schedule.pop(0):
            pass
        began = process_time()
        for number in range(5_000):
            schedule.push(f"11.{number >> 8}.{number & 255}.1", "goes", 1)
            assert schedule.pop(1) == "goes"
        return process_time() - began

    alone = min(seconds(0) for _ in range(5))
    assert min(seconds(10_000) for _ in range(5)) < 3 * alone
