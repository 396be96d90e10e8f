"""The state of an engine in some twenty lines of text, for whoever sends SIGUSR1.

Pure. What is listed is the ten worst of each kind, so that the size of a scan does not matter.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import nlargest

from scanner.question import Answer, OfferVersion
from scanner.schedule import Queue
from scanner.standing import Standing
from scanner.traffic import stage_of
from targets.target import Endpoint

MOST = 10


@dataclass(frozen=True, slots=True)
class State:
    """All that is looked at, of one moment, in seconds since 1970."""

    standing: Standing
    queues: Iterable[Queue]  # of addresses for which something waits
    held: Counter[str]  # endpoints that are not begun, by network
    oldest: list[tuple[Endpoint, Answer]]  # connections in flight
    moment: float
    memory_bytes: int
    descriptors: int

    def lines(self) -> list[str]:
        """For people."""
        queues = list(self.queues)
        return [
            *_of_standing(self.standing),
            f"memory {self.memory_bytes / 1e6:,.0f} MB, descriptors {self.descriptors:,}",
            *_listed("addresses that wait longest", _of_addresses(queues)),
            *_listed("networks that wait longest", _of_networks(queues, self.held)),
            *_listed("connections in flight for longest", map(self._connection, self.oldest[:MOST])),
        ]

    def _connection(self, each: tuple[Endpoint, Answer]) -> str:
        endpoint, answer = each
        question = answer.question
        what = question.version.value if isinstance(question, OfferVersion) else type(question).__name__
        age_s = max(0.0, self.moment - answer.started)
        return f"{age_s:7.1f} s  {stage_of(answer, endpoint.service):<9} {what:<15} {endpoint.id}"


def _of_standing(standing: Standing) -> Iterator[str]:
    slots = f" of {standing.slots:,}" if standing.slots else ""
    yield (
        f"endpoints: taken {standing.taken:,}, recorded {standing.recorded:,}, in flight {standing.in_flight:,},"
        f" waiting {standing.waiting:,}, unfinished {standing.unfinished:,}"
    )
    yield (
        f"connections: in flight {standing.open:,}{slots}, begun {standing.connections:,},"
        f" answered {standing.answered:,}"
    )
    for stage, kinds in standing.errors.items():
        yield f"errors at {stage}: {_counted(kinds.items())}"
    yield f"statuses: {_counted(standing.statuses.items())}"
    yield f"waiting for: {_counted(standing.waits.items())}"
    yield f"mail domains: recorded {sum(standing.domains.values()):,}, waiting {standing.domains_waiting:,}"
    yield f"dns: {_counted(standing.dns.items())}"
    yield (
        f"output: records {standing.records:,}, bytes written {standing.output_bytes:,},"
        f" waiting {standing.output_waiting_bytes:,}"
    )


def _of_addresses(queues: list[Queue]) -> Iterator[str]:
    for each in nlargest(MOST, queues, key=lambda queue: queue.last_s):
        yield f"{each.last_s:7.1f} s  {each.waiting:,} connections, the next in {each.next_s:.1f} s  {each.address}"


def _of_networks(queues: list[Queue], held: Counter[str]) -> Iterator[str]:
    """By what waits in them, one connection after the other; an endpoint that is not begun takes one at least."""
    waiting, intervals, lanes = Counter(held), dict[str, float](), dict[str, float]()
    for each in queues:
        waiting[each.network] += each.waiting
        intervals[each.network] = each.network_interval_s
        lanes[each.network] = max(lanes.get(each.network, 0.0), each.last_s)
    ends = {name: max(count * intervals.get(name, 0.0), lanes.get(name, 0.0)) for name, count in waiting.items()}
    for name in nlargest(MOST, ends, key=ends.__getitem__):
        yield f"{ends[name]:7.1f} s  {waiting[name]:,} connections, {held[name]:,} endpoints not begun  {name}"


def _listed(title: str, lines: Iterable[str]) -> Iterator[str]:
    lines = list(lines)
    if lines:
        yield f"{title}:"
        yield from lines


def _counted(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts if count) or "none"
