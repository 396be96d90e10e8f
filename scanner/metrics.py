"""How a run stands, as Prometheus reads it: each number by its name, unit and labels. docs/watching.md is the table.

Pure. Names keep to https://prometheus.io/docs/practices/naming/: base units, `_total` for what only grows.
"""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric

from scanner import __version__
from scanner.conclusion import Status
from scanner.histogram import BOUNDS_MS
from scanner.standing import Counts, Standing

STEPS = {
    "connect": "Time from a SYN to its answer.",
    "greeting": "Time from a connection to the whole greeting.",
    "upgrade": "Time that the server took for the dialogue up to its go-ahead for TLS.",
    "hello": "Time that the server took to answer a raw ClientHello.",
    "handshake": "Time that the server took in a full TLS handshake.",
}


class StandingCollector:
    """What a registry asks: each time, how the run stands then."""

    def __init__(self, stand: Callable[[], Standing]) -> None:
        self._stand = stand

    def collect(self) -> Iterator[Metric]:
        """All of it, of one moment."""
        standing = self._stand()
        yield InfoMetricFamily("tlsweep", "The program that scans.", {"version": __version__})
        yield from _of_endpoints(standing)
        yield from _of_connections(standing)
        yield from _of_input_and_output(standing)
        yield from _of_dns(standing.dns)
        for step, what in STEPS.items():
            yield _times(f"tlsweep_{step}_seconds", what, standing.times.get(step, {}))


def _of_endpoints(standing: Standing) -> Iterator[Metric]:
    yield _counter("tlsweep_endpoints_taken", "Endpoints that the scan took on.", standing.taken)
    statuses = {**dict.fromkeys(map(str, Status), 0), **standing.statuses}
    yield _by("tlsweep_endpoints_recorded", "Endpoints that have their record, by its status.", "status", statuses)
    yield _counter("tlsweep_endpoints_unfinished", "Endpoints that will have no record.", standing.unfinished)
    yield _counter("tlsweep_endpoints_given_up", "Endpoints that were not looked at again as due.", standing.given_up)
    yield _counter(
        "tlsweep_endpoints_left_out", "Endpoints that an earlier part of the run has recorded.", standing.left_out
    )
    yield _gauge("tlsweep_endpoints_in_flight", "Endpoints that are being looked at.", standing.in_flight)
    yield _gauge("tlsweep_endpoints_waiting", "Endpoints that wait for their turn or a later look.", standing.waiting)
    waits = "What waits for what: connections for a permit; endpoints for a later look, or to be begun."
    yield _by("tlsweep_waiting", waits, "cause", standing.waits, kind=GaugeMetricFamily)
    next_look_s = standing.next_look_s
    if next_look_s is not None:
        yield _gauge("tlsweep_next_start_seconds", "Time until something that waits goes on.", next_look_s)


def _of_connections(standing: Standing) -> Iterator[Metric]:
    yield _counter("tlsweep_connections", "Connections that were begun.", standing.connections)
    yield _gauge("tlsweep_connections_open", "Connections in flight.", standing.open)
    if standing.slots:
        yield _gauge("tlsweep_connections_limit", "How many connections may be in flight.", standing.slots)
    yield _counter("tlsweep_connections_answered", "Connections that came to what they were for.", standing.answered)
    errors = CounterMetricFamily(
        "tlsweep_connection_errors", "Connections that did not, by stage and kind.", labels=("stage", "kind")
    )
    for stage, kinds in standing.errors.items():
        for kind, count in kinds.items():
            errors.add_metric((stage, kind), count)
    yield errors


def _of_input_and_output(standing: Standing) -> Iterator[Metric]:
    yield _by("tlsweep_input_lines", "Input lines, by what became of them.", "result", standing.lines)
    yield _by("tlsweep_rejected", "What was left out, by reason.", "reason", standing.rejected)
    yield _by("tlsweep_domains_recorded", "Mail domains that have their record.", "status", standing.domains)
    yield _gauge("tlsweep_domains_waiting", "Mail domains that wait for their endpoints.", standing.domains_waiting)
    yield _counter("tlsweep_records", "Records of all kinds.", standing.records)
    yield _counter("tlsweep_output_bytes", "Bytes that were written, before packing.", standing.output_bytes)
    yield _gauge(
        "tlsweep_output_waiting_bytes", "Bytes that wait for the writer or the reader.", standing.output_waiting_bytes
    )


def _of_dns(dns: Counts) -> Iterator[Metric]:
    for name, what in (
        ("queries", "Messages that were sent to name servers."),
        ("tcp", "Those of them over TCP."),
        ("silences", "Those of them that found no answer."),
        ("set_aside", "How often a name server was left aside."),
    ):
        yield _counter(f"tlsweep_dns_{name}", what, dns.get(name, 0))
    yield _gauge("tlsweep_dns_in_flight", "Questions that are being asked.", dns.get("in_flight", 0))


def _times(name: str, what: str, by_service: Mapping[str, list[int]]) -> Metric:
    family = HistogramMetricFamily(name, what, labels=("service",))
    for service, (*counts, sum_ms) in by_service.items():
        buckets, so_far = [], 0
        for bound_ms, count in zip((*BOUNDS_MS, None), counts, strict=True):
            so_far += count
            buckets.append(("+Inf" if bound_ms is None else str(bound_ms / 1000), float(so_far)))
        family.add_metric((service,), buckets, sum_ms / 1000)
    return family


def _by(
    name: str,
    what: str,
    label: str,
    counts: Counts,
    kind: type[CounterMetricFamily] | type[GaugeMetricFamily] = CounterMetricFamily,
) -> Metric:
    family = kind(name, what, labels=(label,))
    for word, count in counts.items():
        family.add_metric((word,), count)
    return family


def _counter(name: str, what: str, count: int) -> Metric:
    return CounterMetricFamily(name, what, count)


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value)
