"""What Prometheus reads is what stands, by names that keep to its rules."""

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from scanner import __version__
from scanner.histogram import BOUNDS_MS, Histogram
from scanner.metrics import StandingCollector
from scanner.standing import Standing

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "watching.md"
TIMES = Histogram()
for took_ms in (0, 1, 3, 40_000, 55_000):
    TIMES.observe(took_ms)

STANDING = Standing(
    taken=100,
    recorded=70,
    unfinished=3,
    in_flight=20,
    waiting=7,
    given_up=4,
    left_out=11,
    statuses={"tls": 60, "no_tls": 10},
    connections=500,
    open=18,
    slots=1_000,
    answered=450,
    errors={"connect": {"refused": 30}, "tls": {"reset": 2}},
    waits={"address": 40, "later_look": 7},
    times={step: {"smtp": TIMES.numbers()} for step in ("connect", "greeting", "upgrade", "hello", "handshake")},
    lines={"blank": 1, "expanded": 99, "rejected": 2},
    rejected={"blocked": 5},
    domains={"all_tls": 4},
    domains_waiting=2,
    dns={"queries": 30, "tcp": 1, "silences": 2, "set_aside": 1, "in_flight": 3},
    records=80,
    output_bytes=123_456,
    output_waiting_bytes=789,
    next_look_s=12.5,
)


def registry(standing: Standing) -> CollectorRegistry:
    """One that asks how it stands."""
    made = CollectorRegistry()
    made.register(StandingCollector(lambda: standing))
    return made


def families(standing: Standing) -> dict[str, Metric]:
    """What a reader of the text gets."""
    text = generate_latest(registry(standing)).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(standing: Standing, name: str, labels: Mapping[str, str] | None = None) -> float | None:
    """The one sample of that name and these labels."""
    samples = [each for family in families(standing).values() for each in family.samples]
    found = [each.value for each in samples if each.name == name and each.labels == (labels or {})]
    assert len(found) <= 1
    return found[0] if found else None


def test_values() -> None:
    """Each number has its place."""
    expected: list[tuple[str, dict[str, str], float]] = [
        ("tlsweep_info", {"version": __version__}, 1),
        ("tlsweep_endpoints_taken_total", {}, 100),
        ("tlsweep_endpoints_recorded_total", {"status": "tls"}, 60),
        ("tlsweep_endpoints_recorded_total", {"status": "mismatch"}, 0),
        ("tlsweep_endpoints_unfinished_total", {}, 3),
        ("tlsweep_endpoints_given_up_total", {}, 4),
        ("tlsweep_endpoints_left_out_total", {}, 11),
        ("tlsweep_endpoints_in_flight", {}, 20),
        ("tlsweep_endpoints_waiting", {}, 7),
        ("tlsweep_waiting", {"cause": "address"}, 40),
        ("tlsweep_next_start_seconds", {}, 12.5),
        ("tlsweep_connections_total", {}, 500),
        ("tlsweep_connections_open", {}, 18),
        ("tlsweep_connections_limit", {}, 1_000),
        ("tlsweep_connections_answered_total", {}, 450),
        ("tlsweep_connection_errors_total", {"stage": "connect", "kind": "refused"}, 30),
        ("tlsweep_input_lines_total", {"result": "expanded"}, 99),
        ("tlsweep_rejected_total", {"reason": "blocked"}, 5),
        ("tlsweep_domains_recorded_total", {"status": "all_tls"}, 4),
        ("tlsweep_domains_waiting", {}, 2),
        ("tlsweep_records_total", {}, 80),
        ("tlsweep_output_bytes_total", {}, 123_456),
        ("tlsweep_output_waiting_bytes", {}, 789),
        ("tlsweep_dns_queries_total", {}, 30),
        ("tlsweep_dns_tcp_total", {}, 1),
        ("tlsweep_dns_silences_total", {}, 2),
        ("tlsweep_dns_set_aside_total", {}, 1),
        ("tlsweep_dns_in_flight", {}, 3),
    ]
    for name, labels, number in expected:
        assert value(STANDING, name, labels) == number, name
    told = {sample.name for family in families(STANDING).values() for sample in family.samples}
    assert told - {name for name, _, _ in expected} == {
        f"tlsweep_{step}_seconds_{part}"
        for step in ("connect", "greeting", "upgrade", "hello", "handshake")
        for part in ("bucket", "count", "sum")
    }


def test_histograms() -> None:
    """Buckets are cumulative, in seconds, and a time that is just a bound is below it."""
    labels = {"service": "smtp"}
    buckets = {"0.001": 2, "0.005": 3, "20.0": 3, "40.0": 4, "+Inf": 5}
    for bound, count in buckets.items():
        assert value(STANDING, "tlsweep_greeting_seconds_bucket", {**labels, "le": bound}) == count
    assert value(STANDING, "tlsweep_greeting_seconds_count", labels) == 5
    assert value(STANDING, "tlsweep_greeting_seconds_sum", labels) == 95.004
    assert len(families(STANDING)["tlsweep_greeting_seconds"].samples) == len(BOUNDS_MS) + 3


def test_openmetrics_too() -> None:
    """The stricter form is read back by its own parser."""
    text = generate_openmetrics(registry(STANDING)).decode()  # type: ignore[no-untyped-call]
    read = parse_openmetrics(text)  # type: ignore[no-untyped-call]
    assert {family.name for family in read} >= {"tlsweep_endpoints_taken", "tlsweep_hello_seconds"}


def test_no_limit_is_no_number() -> None:
    """Where there is no limit, and nothing waits, nothing is told of them."""
    assert value(replace(STANDING, slots=0), "tlsweep_connections_limit") is None
    assert value(replace(STANDING, next_look_s=None), "tlsweep_next_start_seconds") is None


def test_nothing_of_a_standing_is_forgotten() -> None:
    """Each field of it changes what is told, but for the sum of what is told by status."""
    before = generate_latest(registry(Standing()))
    for each in fields(Standing):
        changed = replace(Standing(), **{each.name: getattr(STANDING, each.name)})
        told = generate_latest(registry(changed))
        assert (told == before) == (each.name == "recorded"), each.name


def test_documentation() -> None:
    """docs/watching.md has every metric with its kind, and no other."""
    rows = re.findall(
        r"^\| `(tlsweep_\w+)(?:\{([\w, ]+)\})?` \| (\w+) \|", DOCUMENTATION.read_text("utf-8"), re.MULTILINE
    )
    documented = {(name, kind, frozenset(filter(None, labels.split(", ")))) for name, labels, kind in rows}
    told = set()
    for family in families(STANDING).values():
        labels = frozenset(family.samples[0].labels) - {"le"}
        name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        told.add((name, "gauge" if family.name == "tlsweep_info" else family.type, labels))
    assert documented == told
