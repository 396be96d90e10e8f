"""Mail domains in, records out: what is waited for, what is not, and what becomes of those that are left."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import trio
import trio.testing

from scanner.conclusion import Status
from scanner.domain_desk import AT_ONCE, DomainDesk
from scanner.domain_status import Known, status_of
from scanner.domains import Domains
from scanner.endpoint_result import EndpointResult
from scanner.mail_policy.https import Cause, Fetched
from scanner.mail_policy.result import Result
from targets.domain_targets import DomainTargets
from targets.mail_answer import DomainAnswer
from targets.target import Endpoint
from tests.peers.answers import answer
from tests.scanner.mail import Expanding, domain, host

STS = answer("TXT", '"v=STSv1; id=1"')
POLICY = b"version: STSv1\nmode: enforce\nmx: mx.test\nmax_age: 604800\n"


class Policies:
    """Fetches that come to something after so many seconds; by domain, a bug where it is an exception."""

    def __init__(self, found: Mapping[str, Fetched | Exception], seconds: float = 0) -> None:
        self.fetched: list[str] = []
        self._found = found
        self._seconds = seconds

    async def fetch(self, name: str) -> Fetched:
        """As `PolicyFetcher.fetch`."""
        self.fetched.append(name)
        await trio.sleep(self._seconds)
        found = self._found[name]
        if isinstance(found, Exception):
            raise found
        return found


class Output:
    """What is written, and when."""

    def __init__(self) -> None:
        self.written: dict[str, Known] = {}
        self.times: dict[str, float] = {}
        self.refuses: Callable[[Known], bool] = lambda _: False
        self.is_open = trio.Event()
        self.is_open.set()

    def write(self, known: Known) -> None:
        """Take one."""
        name = known.answer.domain.name
        assert name not in self.written
        if self.refuses(known):
            raise KeyError(name)
        self.written[name] = known
        self.times[name] = trio.current_time()

    async def room(self) -> None:
        """Wait for the reader."""
        await self.is_open.wait()

    @property
    def statuses(self) -> dict[str, str]:
        """The word for each domain."""
        return {name: status_of(known) for name, known in self.written.items()}


def over(desk: DomainDesk, endpoint: Endpoint, status: Status = Status.TLS) -> None:
    """An endpoint has its record."""
    desk.over(endpoint, EndpointResult(status, ()))


@asynccontextmanager
async def desk_of(
    output: Output, policies: Policies | None = None, domains: Domains | None = None
) -> AsyncIterator[DomainDesk]:
    """A desk at work until the context is left; then it is closed, and its end waited for."""
    desk = DomainDesk(domains or Domains(), policies.fetch if policies else None, output.write, output.room)
    async with trio.open_nursery() as nursery:
        await nursery.start(desk.run)
        yield desk
        desk.close()


def shared(number: int, expanding: Expanding, **facts: Any) -> DomainTargets:
    """A domain on the one MX host of all."""
    return expanding.targets(domain(f"d{number}.test", host("mx.test", "1.1.1.1"), **facts))


async def test_a_domain_is_written_when_its_endpoint_is_over(autojump_clock: trio.testing.MockClock) -> None:
    """And not before; one that comes later at once."""
    output, expanding = Output(), Expanding()
    async with desk_of(output) as desk:
        first = shared(1, expanding)
        desk.take(first)
        await trio.sleep(5)
        assert output.written == {}
        over(desk, first.fresh[0])
        await trio.sleep(5)
        desk.take(shared(2, expanding))
        await trio.testing.wait_all_tasks_blocked()
        assert output.times == {"d1.test": 5, "d2.test": 10}
    assert output.statuses == {"d1.test": "all_tls", "d2.test": "all_tls"}
    assert desk.recorded == 2


async def test_a_domain_of_another_shard_has_its_record_there(autojump_clock: trio.testing.MockClock) -> None:
    """Here it has none, and is not counted; its own endpoints are known to the domains that are here."""
    output, expanding = Output(), Expanding()
    async with desk_of(output) as desk:
        elsewhere = replace(shared(1, expanding), is_own=False)
        desk.take(elsewhere)
        desk.take(shared(2, expanding))
        over(desk, elsewhere.fresh[0])
    assert output.statuses == {"d2.test": "all_tls"}
    assert (desk.taken, desk.recorded) == (1, 1)


async def test_thousands_that_share_an_endpoint_let_others_run(autojump_clock: trio.testing.MockClock) -> None:
    """Their records are made a few at a time."""
    output, expanding, turns = Output(), Expanding(), list[int]()
    count = 10 * AT_ONCE

    async def others() -> None:
        while len(output.written) < count:
            turns.append(len(output.written))
            await trio.lowlevel.checkpoint()

    async with desk_of(output) as desk:
        targets = [shared(number, expanding) for number in range(count)]
        for each in targets:
            desk.take(each)
        over(desk, targets[0].fresh[0])
        await others()
    assert max(after - before for before, after in pairwise(turns)) <= 2 * AT_ONCE
    assert len(output.written) == count


async def test_a_slow_reader_is_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    """Records do not pile up in front of an output that takes no more."""
    output, expanding = Output(), Expanding()
    output.is_open = trio.Event()
    async with desk_of(output) as desk:
        for number in range(5 * AT_ONCE):
            desk.take(expanding.targets(domain(f"d{number}.test")))
        await trio.sleep(1)
        assert len(output.written) == 0
        output.is_open.set()
    assert len(output.written) == 5 * AT_ONCE


async def test_room(autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The intake is held back while too many domains wait, and goes on when one of them is over."""
    monkeypatch.setattr("scanner.domains.MOST_WAITING", 6)  # a domain with a host and an endpoint counts three
    output, expanding = Output(), Expanding()
    async with desk_of(output) as desk:
        targets = [expanding.targets(domain(f"d{n}.test", host(f"mx{n}.test", "1.1.1.1"))) for n in range(2)]
        for each in targets:
            desk.take(each)
        with trio.move_on_after(1) as scope:
            await desk.room()
        assert scope.cancelled_caught
        over(desk, targets[0].fresh[0])
        await desk.room()
        over(desk, targets[1].fresh[0])


async def test_room_for_what_is_ready(autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is while the output takes nothing: domains that wait for their record alone have a weight as well."""
    monkeypatch.setattr("scanner.domain_desk.MOST_READY", 6)
    output, expanding = Output(), Expanding()
    output.is_open = trio.Event()
    async with desk_of(output) as desk:
        first = expanding.targets(domain("d0.test", host("mx.test", "1.1.1.1")))
        desk.take(first)
        desk.take(expanding.targets(domain("d1.test", host("mx.test", "1.1.1.1"))))
        over(desk, first.fresh[0])
        with trio.move_on_after(1) as scope:
            await desk.room()
        assert scope.cancelled_caught
        output.is_open.set()
        await desk.room()
    assert len(output.written) == 2


# --- policies ---------------------------------------------------------------------------------------------------------


async def test_a_policy_is_fetched_while_endpoints_are_scanned(autojump_clock: trio.testing.MockClock) -> None:
    """The domain waits for both, whichever is over first; who promises nothing is not asked."""
    policies, expanding = Policies({"d1.test": Fetched(POLICY)}, 7), Expanding()
    output = Output()
    async with desk_of(output, policies) as desk:
        first, second = shared(1, expanding, mta_sts=STS), shared(2, expanding, mta_sts=answer("TXT", '"x"'))
        desk.take(first)
        desk.take(second)
        await trio.sleep(3)
        over(desk, first.fresh[0])
    assert output.times == {"d2.test": 3, "d1.test": 7}
    assert policies.fetched == ["d1.test"]
    found = output.written["d1.test"].sts
    assert found is not None
    assert found.policy is not None
    assert found.policy.mx == ("mx.test",)


async def test_a_policy_that_cannot_be_had(autojump_clock: trio.testing.MockClock) -> None:
    """What is of the moment is no result of the domain's; what it is, is told all the same."""
    failed = Fetched(result=Result.STS_POLICY_FETCH_ERROR, cause=Cause.TIMEOUT, transient=True)
    output = Output()
    async with desk_of(output, Policies({"d1.test": failed})) as desk:
        targets = shared(1, Expanding(), mta_sts=STS)
        desk.take(targets)
        over(desk, targets.fresh[0])
    found = output.written["d1.test"].sts
    assert found is not None
    assert (found.policy, found.result, found.cause) == (None, None, "timeout")


async def test_without_policies(autojump_clock: trio.testing.MockClock) -> None:
    """Nobody is asked, and nothing is waited for."""
    output = Output()
    async with desk_of(output) as desk:
        targets = shared(1, Expanding(), mta_sts=STS)
        desk.take(targets)
        over(desk, targets.fresh[0])
    assert output.written["d1.test"].sts is None


# --- the end ----------------------------------------------------------------------------------------------------------


async def test_stopped(autojump_clock: trio.testing.MockClock) -> None:
    """Each domain that waits still has its record with what is known: of endpoints, or of policies alone."""
    policies, expanding, output = Policies({"d3.test": Fetched(POLICY)}, 1000), Expanding(), Output()
    async with desk_of(output, policies) as desk:
        known = expanding.targets(domain("d1.test", host("mx1.test", "1.1.1.1"), host("mx2.test", "1.1.1.1")))
        unknown = expanding.targets(domain("d2.test", host("mx3.test", "1.1.1.1")))
        only_policy = expanding.targets(domain("d3.test", host("mx1.test", "1.1.1.1"), mta_sts=STS))
        for each in (known, unknown, only_policy):
            desk.take(each)
        over(desk, known.fresh[0])
        await trio.sleep(1)
        desk.stop(0)  # the engine is at work: it says when endpoints are over
        await trio.sleep(1)
        assert output.written == {}
        desk.close()
        desk.stop(10)
    assert output.times == {"d1.test": 12, "d2.test": 12, "d3.test": 12}
    assert output.statuses == {"d1.test": "inconclusive", "d2.test": "inconclusive", "d3.test": "all_tls"}
    assert desk.recorded == 3


async def test_a_bug_in_a_policy(autojump_clock: trio.testing.MockClock) -> None:
    """It costs the domain its judgement, and not its record."""
    output = Output()
    async with desk_of(output, Policies({"d1.test": KeyError("x")})) as desk:
        targets = shared(1, Expanding(), mta_sts=STS)
        desk.take(targets)
        over(desk, targets.fresh[0])
    assert output.written["d1.test"].answer.error == "KeyError: 'x'"
    assert output.statuses == {"d1.test": "error"}


async def test_a_bug_in_a_record(autojump_clock: trio.testing.MockClock) -> None:
    """A record that cannot be made is one that says so, and its neighbours are written."""
    output, expanding = Output(), Expanding()
    output.refuses = lambda known: known.answer.error is None and known.answer.domain.name == "d1.test"
    async with desk_of(output) as desk:
        for number in range(3):
            desk.take(expanding.targets(domain(f"d{number}.test")))
    assert output.statuses == {"d0.test": "nodata", "d1.test": "error", "d2.test": "nodata"}


class Broken(Domains):
    """A join with a bug in it."""

    def add(self, targets: DomainTargets, *, policies: int = 0) -> Any:
        """Fail for one of them."""
        if targets.answer.domain.name == "d1.test":
            raise IndexError("no such host")
        return super().add(targets, policies=policies)


async def test_a_bug_when_a_domain_is_taken(autojump_clock: trio.testing.MockClock) -> None:
    """It has its record at once, and the others theirs."""
    output, expanding = Output(), Expanding()
    async with desk_of(output, domains=Broken()) as desk:
        desk.take(shared(1, expanding))
        second = expanding.targets(domain("d2.test", host("mx2.test", "1.1.1.1")))
        desk.take(second)
        over(desk, second.fresh[0])
    assert output.statuses == {"d1.test": "error", "d2.test": "all_tls"}


async def test_an_error_of_the_dns(autojump_clock: trio.testing.MockClock) -> None:
    """A bug while the DNS was asked has come with the domain."""
    output = Output()
    async with desk_of(output) as desk:
        own = domain("d1.test").domain
        desk.take(Expanding().targets(DomainAnswer(own, error="KeyError: 'x'")))
    assert output.statuses == {"d1.test": "error"}
