"""The state of the engine: the worst of each kind, and no more lines than that, whatever the size of the scan."""

import time
from collections import Counter

from scanner.question import Answer, Negotiate, OfferVersion
from scanner.schedule import Queue
from scanner.standing import Standing
from scanner.state import MOST, longest, numbers
from scanner.tls.names import Version
from targets.services import SERVICES
from targets.target import Endpoint, Origin

NOW = 1_800_000_000.0
STANDING = Standing(
    taken=9,
    recorded=3,
    in_flight=4,
    waiting=2,
    statuses={"tls": 3},
    connections=40,
    open=2,
    slots=1_000,
    answered=36,
    errors={"connect": {"refused": 1, "timeout": 1}},
    waits={"address": 12, "total": 0},
    dns={"queries": 5, "tcp": 0},
    records=4,
)


def endpoint(address: str) -> Endpoint:
    """An SMTP server."""
    return Endpoint(Origin(address), "mx.example", address, 25, SERVICES["smtp"])


def test_lines() -> None:
    """The numbers, then who waits longest, and what has been in flight for longest, with how far it is."""
    greeted = Answer(OfferVersion(Version.TLS1_3), NOW - 20, timings_ms={"connect": 3, "greeting": 40})
    oldest = [(endpoint("192.0.2.1"), greeted), (endpoint("192.0.2.2"), Answer(Negotiate(), NOW - 1.5))]
    queues = [
        Queue("192.0.2.1", "192.0.2.0/24", 3, 0.5, 4.5, 0.05),
        Queue("198.51.100.9", "198.51.100.0/24", 9, 60.0, 132.0, 4.0),
    ]
    held = Counter({"203.0.113.0/24": 7, "198.51.100.0/24": 41})
    assert [*numbers(STANDING, 123_456_789, 77), *longest(queues, held, oldest, NOW)] == [
        "endpoints: taken 9, recorded 3, in flight 4, waiting 2, unfinished 0",
        "connections: in flight 2 of 1,000, begun 40, answered 36",
        "errors at connect: refused 1, timeout 1",
        "statuses: tls 3",
        "waiting for: address 12",
        "dns: queries 5",
        "output: records 4, bytes written 0, waiting 0",
        "memory 123 MB, descriptors 77",
        "addresses that wait longest:",
        "  132.0 s  9 connections, the next in 60.0 s  198.51.100.9",
        "    4.5 s  3 connections, the next in 0.5 s  192.0.2.1",
        "networks that wait longest:",
        "  200.0 s  50 connections, 41 endpoints not begun  198.51.100.0/24",
        "    4.5 s  3 connections, 0 endpoints not begun  192.0.2.0/24",
        "    0.0 s  7 connections, 7 endpoints not begun  203.0.113.0/24",
        "connections in flight for longest:",
        "   20.0 s  reply     TLSv1.3         smtp://mx.example:25@192.0.2.1",
        "    1.5 s  connect   Negotiate       smtp://mx.example:25@192.0.2.2",
    ]


def test_a_worker() -> None:
    """It has neither an output nor the names, and does not say that there are none."""
    assert numbers(Standing(taken=2, recorded=2, connections=2, answered=2), 1_000_000, 7) == [
        "endpoints: taken 2, recorded 2, in flight 0, waiting 0, unfinished 0",
        "connections: in flight 0, begun 2, answered 2",
        "memory 1 MB, descriptors 7",
    ]


def test_nothing_to_list() -> None:
    """What there is none of has no title."""
    assert longest([], Counter(), [], NOW) == []


def test_a_large_scan() -> None:
    """Ten of each, and in no time that anybody notices."""
    queues = [Queue(f"10.0.{n >> 8}.{n & 255}", f"10.0.{n >> 8}.0/24", n, 0.0, float(n), 0.1) for n in range(20_000)]
    oldest = [(endpoint("192.0.2.1"), Answer(Negotiate(), NOW))] * MOST
    begun = time.perf_counter()
    lines = longest(queues, Counter(each.network for each in queues), oldest, NOW)
    assert time.perf_counter() - begun < 1  # some 20 ms
    assert len(lines) == 3 * (1 + MOST)
