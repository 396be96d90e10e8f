"""Mail domains in the stream: each line gives its domain once, and what may only be of the moment is asked again."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import trio
import trio.testing
from dns.rdatatype import RdataType

from targets.answer import DnsAnswer, DnsStatus
from targets.domain_targets import DomainTargets
from targets.exclude import Exclusions
from targets.expand import Expander, Item
from targets.resolver import NoNameServersError, Resolver
from targets.rules import Rules
from targets.seen import Seen
from targets.services import services_named
from targets.source import ASK_AGAIN_AFTER_S, Counts, Source
from targets.target import Endpoint, Reason, Rejection
from tests.peers.answers import Answers, Said

MX: Mapping[str, Said] = {"example.org MX": ["10 mx.test."], "other.test MX": ["10 mx.test."], "mx.test A": ["1.1.1.1"]}


def source_of(resolver: Resolver, *lines: str, path: Path | None = None, rules: Rules | None = None) -> Source:
    """These lines as targets of the command line, or in a file."""
    inputs = []
    if path is not None:
        path.write_text("".join(f"{line}\n" for line in lines))
        inputs.append(str(path))
    expander = Expander(Exclusions(), Seen(), resolver)
    return Source(
        services_named("smtp"), expander, targets=[] if path else lines, inputs=inputs, rules=rules or Rules()
    )


async def all_of(source: Source) -> list[Item]:
    async with source.open() as stream:
        return [item async for item in stream]


def domains(items: Sequence[Item]) -> list[tuple[str, list[str]]]:
    """Each domain with what is fresh of it."""
    return [
        (item.answer.domain.name, [endpoint.id for endpoint in item.fresh])
        for item in items
        if isinstance(item, DomainTargets)
    ]


async def test_a_domain(tmp_path: Path) -> None:
    """It comes with its endpoints, its line is expanded, and a second line of it is a duplicate."""
    source = source_of(Answers(MX), "mx:example.org", "mx:Example.ORG.", path=tmp_path / "x.txt")
    items = await all_of(source)
    assert domains(items) == [("example.org", ["smtp://mx.test:25@1.1.1.1"])]
    rejected = [item for item in items if isinstance(item, Rejection)]
    assert [(each.reason, each.origin.line) for each in rejected] == [(Reason.DUPLICATE, 2)]
    assert source.counts == Counts(blank=0, expanded=1, rejected=1)


async def test_domains_beside_hosts() -> None:
    """What they share is fresh once, whoever comes first."""
    source = source_of(Answers(MX), "mx:example.org", "mx:other.test", "mx.test")
    items = await all_of(source)
    fresh = [each for _, ids in domains(items) for each in ids]
    fresh += [item.id for item in items if isinstance(item, Endpoint)]
    assert fresh == ["smtp://mx.test:25@1.1.1.1"]
    assert len(domains(items)) == 2
    assert source.counts.lines == 3


@pytest.mark.parametrize("status", [DnsStatus.NXDOMAIN, DnsStatus.NODATA])
async def test_a_domain_that_has_nothing(status: DnsStatus) -> None:
    """It gives its domain and no rejection: its line is expanded."""
    source = source_of(Answers({"example.org MX": status}), "mx:example.org")
    assert domains(await all_of(source)) == [("example.org", [])]
    assert source.counts == Counts(expanded=1)


@pytest.mark.parametrize("status", [DnsStatus.SERVFAIL, DnsStatus.TIMEOUT, DnsStatus.BOGUS])
@pytest.mark.parametrize("question", ["example.org MX", "mx.test A", "_mta-sts.example.org TXT"])
async def test_what_is_not_final_is_asked_again(
    autojump_clock: trio.testing.MockClock, status: DnsStatus, question: str
) -> None:
    """Once, when the failure is forgotten; the domain comes then, and only then."""
    table: dict[str, Said] = {**MX, "null.test MX": ["0 ."]}
    resolver = Answers({**table, question: status}, later={**table, question: table.get(question, [])})
    source = source_of(resolver, "mx:example.org", "mx:null.test")
    async with source.open() as stream:
        times = [(trio.current_time(), each.answer) async for each in stream if isinstance(each, DomainTargets)]
    told = {answer.domain.name: (at, answer.is_final) for at, answer in times}
    assert told == {"null.test": (0, True), "example.org": (ASK_AGAIN_AFTER_S, True)}
    assert source.counts == Counts(expanded=2)


async def test_what_stays_so(autojump_clock: trio.testing.MockClock) -> None:
    """After the second time it is told as it is."""
    resolver = Answers({"example.org MX": DnsStatus.SERVFAIL})
    source = source_of(resolver, "mx:example.org")
    (item,) = await all_of(source)
    assert isinstance(item, DomainTargets)
    assert item.answer.mx is not None
    assert item.answer.mx.status is DnsStatus.SERVFAIL
    assert resolver.asked["example.org MX"] == 2
    assert trio.current_time() == ASK_AGAIN_AFTER_S


async def test_too_many_to_be_asked_again(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those beyond the bound are told at once."""
    monkeypatch.setattr("targets.source.MAX_ASKED_AGAIN", 3)
    names = [f"d{number}.test" for number in range(9)]
    resolver = Answers({f"{name} MX": DnsStatus.TIMEOUT for name in names})
    async with source_of(resolver, *(f"mx:{name}" for name in names)).open() as stream:
        times = [trio.current_time() async for _ in stream]
    assert sorted(times) == [0] * 6 + [ASK_AGAIN_AFTER_S] * 3


async def test_the_rest_of_the_input_does_not_wait(autojump_clock: trio.testing.MockClock) -> None:
    """Domains and hosts behind one that is asked again come at once."""
    resolver = Answers({**MX, "gone.test MX": DnsStatus.TIMEOUT})
    async with source_of(resolver, "mx:gone.test", "mx:example.org", "1.1.1.9").open() as stream:
        first, second = await anext(stream), await anext(stream)
        assert trio.current_time() == 0
        assert {type(first), type(second)} == {Endpoint, DomainTargets}
        assert [item async for item in stream]
        assert trio.current_time() == ASK_AGAIN_AFTER_S


class Buggy(Answers):
    """Has a bug that one name brings out."""

    async def ask(self, name: str, kind: RdataType) -> DnsAnswer:
        """Fail for the MX host."""
        if name == "mx.test":
            raise IndexError("pop from empty list")
        return await super().ask(name, kind)


async def test_a_bug_costs_no_domain() -> None:
    """It comes with the error, and the others come as they are."""
    source = source_of(Buggy({**MX, "fine.test MX": ["0 ."]}), "mx:example.org", "mx:fine.test")
    items = [item.answer for item in await all_of(source) if isinstance(item, DomainTargets)]
    assert {answer.domain.name: answer.error for answer in items} == {
        "example.org": "IndexError: pop from empty list",
        "fine.test": None,
    }
    assert source.counts == Counts(expanded=2)


async def test_nobody_to_ask() -> None:
    """The first domain ends the stream, and says what to do."""
    with pytest.raises(NoNameServersError, match="--resolver"):
        await all_of(source_of(Resolver(resolv_conf="/nonexistent"), "mx:example.org"))


async def test_leaving_while_domains_are_to_be_asked_again() -> None:
    """Nobody waits for them then: they are left, as they are so far, and their lines count."""
    source = source_of(Answers({"example.org MX": DnsStatus.TIMEOUT}), "mx:example.org")
    async with source.open():
        await trio.testing.wait_all_tasks_blocked()
    assert source.counts.lines == 0
    assert domains(source.left()) == [("example.org", [])]
    assert source.counts == Counts(expanded=1)
    assert source.left() == []


async def test_leaving_while_a_domain_is_handed_over(autojump_clock: trio.testing.MockClock) -> None:
    """It was not taken by the second time it was asked about: it is left once, and not twice."""
    source = source_of(Answers({"example.org MX": DnsStatus.TIMEOUT}), "mx:example.org")
    async with source.open():
        await trio.sleep(ASK_AGAIN_AFTER_S + 1)
    assert len(domains(source.left())) == source.counts.lines == 1


async def test_nothing_is_left(autojump_clock: trio.testing.MockClock) -> None:
    """Where the stream was read to its end."""
    source = source_of(Answers({"example.org MX": DnsStatus.TIMEOUT}), "mx:example.org")
    assert len(await all_of(source)) == 1
    assert (source.left(), source.counts.lines) == ([], 1)


@pytest.mark.parametrize("line", ["mx:d{}.test", "d{}.test"])
async def test_lines_count_when_they_are_taken(line: str) -> None:
    """A consumer that leaves has had as many domains, or hosts, as the counts say, however many were looked up."""
    resolver = Answers({f"d{number}.test A": ["1.1.1.1"] for number in range(99)})
    source = source_of(resolver, *(line.format(number) for number in range(99)))
    async with source.open() as stream:
        taken = [await anext(stream) for _ in range(5)]
        await trio.testing.wait_all_tasks_blocked()
        assert len(resolver.asked) >= 99
    assert {type(item) for item in taken} <= {DomainTargets, Endpoint}
    assert source.counts == Counts(expanded=5)
