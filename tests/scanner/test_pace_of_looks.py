"""How long a busy server can hold a scan: itself, the others at its address, and everybody else."""

from collections.abc import Iterator

import pytest
import trio

from scanner.limits import Limits
from scanner.looks import LOAD_S, LONGEST_S, MOST_IN_ALL_S, MOST_REMEMBERED, SLOWER_S, Patience
from scanner.schedule import Schedule
from targets.target import Endpoint
from tests.peers.memory import FIN, Peer, Turn
from tests.scanner.scanned import ADDRESS, BUSY_SMTP, SMTP, TLS, Scan, endpoint, looks, named, scanned, versions

HOUR_S = 3600.0
IN_AN_HOUR = Peer([Turn(0, b"421 4.7.0 Too many connections, try again in 3600 seconds\r\n"), Turn(0, FIN)])
ELSEWHERE = "192.0.2.2"


@pytest.mark.parametrize("retries", [0, 2])
async def test_a_word_of_load_ends_the_look(autojump_clock: object, retries: int) -> None:
    """What was left of its questions is not asked in that look."""
    scan = Scan({ADDRESS: [SMTP, IN_AN_HOUR]}, retries=retries)
    (made,) = await scan.run([endpoint("smtp")])
    assert made["connections"] == len(scan.starts) == 2 + retries
    assert sorted(versions(made).values()) == ["unknown"] * 5 + ["yes"]
    assert {entry["evidence"] for entry in made["versions"].values()} == {"server_hello", "not_reached"}
    assert (looks(made), made["flags"]) == (["rate_limited"] * (1 + retries), ["throttled"])
    assert scan.over[0][0] <= retries * HOUR_S + 10


async def test_side_by_side(autojump_clock: object) -> None:
    """Connections that are open meanwhile end, each with its answer; then the look is over, and none is added."""
    scan = Scan(
        {ADDRESS: [SMTP, SMTP, SMTP, BUSY_SMTP]},
        Limits(per_address=3, per_address_rate=0, per_network_rate=0),
        retries=0,
    )
    (made,) = await scan.run([endpoint("smtp")])
    assert (
        len(scan.starts) <= 1 + 3 + 2
    )  # the first; three at once; and as many as came in for the two that were served
    assert list(versions(made).values()).count("unknown") <= 3
    assert made["flags"] == ["throttled"]


async def test_a_busy_server_that_has_time_again(autojump_clock: object) -> None:
    """At the second look it is asked the rest."""
    made = await scanned("smtp", SMTP, BUSY_SMTP, SMTP)
    assert (looks(made), made["flags"], made["connections"]) == (["rate_limited", "ok"], [], 2 + 6)
    assert "unknown" not in versions(made).values()


@pytest.mark.parametrize("endpoints", [1, 5, 20])
async def test_many_names_of_one_busy_server(autojump_clock: object, endpoints: int) -> None:
    """Its pauses have a bound in all; who is told so beyond that waits no more, and says so."""
    scan = Scan({ADDRESS: [IN_AN_HOUR]})
    await scan.run(named(endpoints))
    assert len(scan.over) == endpoints
    assert scan.over[-1][0] <= MOST_IN_ALL_S + 2 * SLOWER_S * endpoints  # the pace of a second look is slower still
    assert all(looks(made)[-1] == "rate_limited" for _, made in scan.over)
    dropped = [made for _, made in scan.over if "deferred_dropped" in made["flags"]]
    assert len(dropped) == endpoints - 1


async def test_many_names_of_a_server_that_names_no_time(autojump_clock: object) -> None:
    """The same, where each word of load is good for a minute."""
    scan = Scan({ADDRESS: [BUSY_SMTP]})
    await scan.run(named(200))
    assert len(scan.over) == 200
    assert scan.over[-1][0] <= MOST_IN_ALL_S + 400 * SLOWER_S


async def test_the_neighbour_of_a_busy_server(autojump_clock: object) -> None:
    """A server at the same address that has time for us is not held for longer than that either."""
    scan = Scan({ADDRESS: [IN_AN_HOUR, IN_AN_HOUR, IN_AN_HOUR, TLS]})
    await scan.run([endpoint("smtp"), endpoint("imaps")])
    (_, busy), (when, served) = sorted(scan.over, key=lambda each: each[1]["service"], reverse=True)
    assert (busy["status"], served["status"]) == ("inconclusive", "tls")
    assert when <= MOST_IN_ALL_S + 120


async def test_who_waits_for_a_slow_address_takes_no_place(autojump_clock: object) -> None:
    """Thirty names of a busy server and twenty places in flight: others are looked at meanwhile."""
    scan = Scan({ADDRESS: [IN_AN_HOUR], ELSEWHERE: [SMTP]}, Limits(endpoints=20))
    await scan.run([*named(30), *named(3, ELSEWHERE)])
    assert max(when for when, made in scan.over if made["address"] == ELSEWHERE) < 60
    assert len(scan.over) == 33


async def test_that_has_a_bound_too(autojump_clock: object) -> None:
    """Those beyond it count as in flight, and the intake waits."""
    taken: list[int] = []

    def names() -> Iterator[Endpoint]:
        for number, each in enumerate(named(100)):
            taken.append(number)
            yield each

    limits = Limits(endpoints=10, deferred=5, per_address_rate=0, per_network_rate=0)
    scan = Scan({ADDRESS: [BUSY_SMTP]}, limits, retries=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scan.run, names())
        await trio.sleep(30)
        assert len(taken) == 10 + 1 + 5 + 1  # in flight, for a later look, aside; and one that waits for its place
    assert len(scan.over) == 100


# --- the schedule -----------------------------------------------------------------------------------------------------


def test_withdrawing() -> None:
    """Jobs of one address leave the queue, and nothing else does; a place that is empty now is passed over."""
    schedule: Schedule[str] = Schedule(Limits(per_address=2, per_address_rate=0, rate=0, per_network_rate=0))
    for address in ("a", "b"):
        for number in range(3):
            schedule.push(address, f"{address}{number}", 0)
    assert schedule.pop(0) == "a0"
    assert schedule.withdraw("a", lambda job: job != "a1") == 1
    assert list(schedule.waiting("a")) == ["a2"]
    assert schedule.withdraw("a", lambda _: False) == 1
    assert [schedule.pop(0), schedule.pop(0), schedule.pop(0)] == ["b0", "b1", None]
    schedule.done("a", 0)
    schedule.push("a", "a3", 0)
    assert schedule.pop(0) == "a3"
    assert schedule.withdraw("nowhere", lambda _: False) == 0
    assert list(schedule.waiting("nowhere")) == []


@pytest.mark.parametrize("rate", [0, 1])
def test_withdrawing_leaves_nothing_behind(rate: float) -> None:
    """Whether its address was due, cooling or full."""
    schedule: Schedule[str] = Schedule(Limits(per_address_rate=rate, rate=0, per_network_rate=0))
    for number in range(3):
        schedule.push("a", f"a{number}", 0)
    assert schedule.pop(0) == "a0"
    assert schedule.withdraw("a", lambda _: False) == 2
    schedule.done("a", 0)
    assert schedule.pop(9) is None
    assert not schedule._lanes
    schedule.push("b", "b0", 9)
    assert schedule.withdraw("b", lambda _: False) == 1
    assert schedule.pop(9) is None
    assert not schedule._lanes


def test_begun_ones_go_first_when_some_have_left() -> None:
    """What was begun keeps its place before what is new."""
    schedule: Schedule[str] = Schedule(Limits(per_address_rate=0, rate=0, per_network_rate=0))
    for job, begun in (("new", False), ("gone", True), ("begun", True)):
        schedule.push("a", job, 0, begun=begun)
    schedule.withdraw("a", lambda job: job != "gone")
    schedule.push("a", "begun too", 0, begun=True)
    order = []
    for _ in range(3):
        order.append(schedule.pop(0))
        schedule.done("a", 0)
    assert order == ["begun", "begun too", "new"]


def test_a_slow_address() -> None:
    """It is slow for as long as something waits for it."""
    schedule: Schedule[str] = Schedule(Limits(rate=0, per_network_rate=0))
    schedule.push("a", "a0", 0)
    assert not schedule.is_slow("a")
    schedule.pop(0)
    schedule.slow_down("a", SLOWER_S, 0, until=60)
    assert schedule.is_slow("a")
    schedule.done("a", 1)
    assert schedule.pop(60) is None
    assert not schedule.is_slow("a")


# --- patience ---------------------------------------------------------------------------------------------------------


def test_patience_has_an_end() -> None:
    """Pauses of an address are granted until they are too much in all; those of others do not count."""
    patience = Patience()
    assert patience.grant("a", 0, LONGEST_S)
    assert patience.grant("a", LONGEST_S, LONGEST_S)
    assert not patience.is_over("a")
    assert not patience.grant("a", 2 * LONGEST_S, LOAD_S)
    assert patience.is_over("a")
    assert patience.grant("b", 0, LONGEST_S)
    assert not patience.is_over("b")
    assert not patience.is_over("c")


def test_pauses_at_the_same_time_count_once() -> None:
    """Ten connections that are told the same at the same time are one pause."""
    patience = Patience()
    assert all(patience.grant("a", second, LONGEST_S) for second in range(10))
    assert patience.grant("a", LONGEST_S + 9, LONGEST_S - 9)
    assert not patience.grant("a", 2 * LONGEST_S, 1)


def test_patience_does_not_remember_everybody() -> None:
    """Memory has a bound: who spoke of load longest ago is forgotten."""
    patience = Patience()
    for number in range(MOST_REMEMBERED + 10):
        patience.grant(str(number), 0, 2 * MOST_IN_ALL_S)
    assert not patience.is_over("9")
    assert patience.is_over("10")
