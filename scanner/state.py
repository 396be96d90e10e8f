"""The state of an engine in some twenty lines of text, for whoever sends SIGUSR1.

Pure. What is listed is the ten worst of each kind, so that the size of a scan does not matter.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import nlargest

from scanner.question import Answer, OfferVersion
from scanner.schedule import Queue
from scanner.standing import Standing
from scanner.traffic import stage_of
from targets.target import Endpoint

MOST = 10


def numbers(standing: Standing, memory_bytes: int, descriptors: int) -> list[str]:
    """How a run stands, and what its process takes. What there is none of is left out, but for the main numbers."""
    return [*_of_standing(standing), f"memory {memory_bytes / 1e6:,.0f} MB, descriptors {descriptors:,}"]


def longest(
    queues: list[Queue], held: Counter[str], oldest: Iterable[tuple[Endpoint, Answer]], moment: float
) -> list[str]:
    """Who waits longest for an engine, and what has been in flight for longest.

    `held`: endpoints that are not begun, by network; `moment` in seconds since 1970.
    """
    return [
        *_listed("addresses that wait longest", _of_addresses(queues)),
        *_listed("networks that wait longest", _of_networks(queues, held)),
        *_listed("connections in flight for longest", (_of_connection(*each, moment) for each in oldest)),
    ]


def _of_connection(endpoint: Endpoint, answer: Answer, moment: float) -> str:
    question = answer.question
    what = question.version.value if isinstance(question, OfferVersion) else type(question).__name__
    age_s = max(0.0, moment - answer.started)
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
    for name, counts in (
        ("statuses", standing.statuses),
        ("waiting for", standing.waits),
        ("mail domains", {"recorded": sum(standing.domains.values()), "waiting": standing.domains_waiting}),
        ("dns", standing.dns),
    ):
        if any(counts.values()):
            yield f"{name}: {_counted(counts.items())}"
    if standing.records:  # they are the run's, and no worker has any
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
    return ", ".join(f"{name} {count:,}" for name, count in counts if count)
