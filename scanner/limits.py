"""How much may be at once, and how much a second: what everything that opens connections keeps to."""

from dataclasses import dataclass

# Connections may leave this much ahead of an even pace, in total and in a network: a timer is not exact to the
# millisecond.
BURST_S = 0.02


@dataclass(frozen=True, slots=True)
class Limits:
    """At most this much at once and a second; 0 is no limit."""

    endpoints: int = 20_000
    connections: int = 1_000
    rate: float = 1_000
    per_address: int = 1
    per_address_rate: float = 1
    per_network_rate: float = 20
    deferred: int = 50_000  # endpoints that wait for a later look


def interval_of(rate: float) -> float:
    """Seconds from one start to the next at an even pace of so many a second; 0 where there is no limit."""
    return 1 / rate if rate else 0.0
