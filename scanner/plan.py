"""What a scan would be, before a packet is sent: how many endpoints, connections and seconds, and which limit decides.

Nobody knows before what the endpoints are. So there are two cases, between which a scan will mostly be: nobody answers,
and everybody is a usual server (`imagined.py`). Each limit by itself would need so many seconds; the most decides.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Any

from scanner.config import Config, shown_shard
from scanner.imagined import connections_of, pauses_of_silence
from scanner.limits import Limits
from scanner.record import SCHEMA
from targets.census import ADDRESSES_OF_A_NAME, ENDPOINTS_OF_A_DOMAIN, Census
from targets.crowd import busiest
from targets.prefixes import IPV4_BITS, IPV6_BITS
from targets.services import SERVICES, Service

USUAL_CONNECTION_S = 1.0  # from its first SYN to its close: some round trips, and a greeting that is held back a little


class Kind(StrEnum):
    """What the endpoints turn out to be, all of them."""

    SILENT = "silent"  # nobody answers
    USUAL = "usual"


class Limit(StrEnum):
    """What a scan has to wait for; but for the last, the names of the limits in the settings."""

    RATE = "rate"
    CONNECTIONS = "connections"
    ENDPOINTS = "endpoints"
    PER_ADDRESS = "per_address"
    PER_ADDRESS_RATE = "per_address_rate"
    PER_NETWORK_RATE = "per_network_rate"
    PATIENCE = "patience"  # timeouts, and the pauses before later looks


@dataclass(frozen=True, slots=True)
class Crowd:
    """The address or the network with the most connections; its name where it is known before the DNS is asked."""

    place: str | None
    connections: int


@dataclass(frozen=True, slots=True)
class Case:
    """A scan of endpoints that are all alike. Times are seconds; `seconds` has what each limit alone would need."""

    kind: Kind
    connections: int
    connection_s: float
    busiest_address: Crowd
    busiest_network: Crowd
    seconds: dict[Limit, float]

    @property
    def decided_by(self) -> Limit:
        """The limit that needs most."""
        return max(self.seconds, key=self.seconds.__getitem__)

    def record(self) -> dict[str, Any]:
        """As the plan's record has it."""
        return {
            "connections": self.connections,
            "connection_s": self.connection_s,
            "seconds": round(self.seconds[self.decided_by]),
            "decided_by": self.decided_by,
            "seconds_by_limit": {limit.value: round(seconds) for limit, seconds in self.seconds.items()},
            "busiest_address": {"address": self.busiest_address.place, "connections": self.busiest_address.connections},
            "busiest_network": {"network": self.busiest_network.place, "connections": self.busiest_network.connections},
        }


class Plan:
    """What a census comes to by the settings of a run. `limits`: those that this process can keep to."""

    def __init__(self, census: Census, config: Config, limits: Limits) -> None:
        self.census = census
        self._config = config
        self._limits = limits
        found = census.endpoints()
        self.by_service = Counter({service: found[service] for service in SERVICES.values()})
        self.of_domains = census.of_domains
        self.endpoints = self.by_service.total() + self.of_domains
        self.cases = (self._silent(), self._usual())

    def record(self) -> dict[str, Any]:
        """One JSON object that says all of it."""
        census = self.census
        return {
            "type": "plan",
            "schema": SCHEMA,
            "settings": self._config.settings(),
            "shard": shown_shard(self._config.shard),
            "endpoints": self.endpoints,
            "exact": census.is_exact,
            "services": {service.name: count for service, count in self.by_service.items() if count},
            "names": len(census.names),
            "domains": len(census.domains),
            "assumed": {"addresses_of_a_name": ADDRESSES_OF_A_NAME, "endpoints_of_a_domain": ENDPOINTS_OF_A_DOMAIN},
            "left_out": {reason.value: count for reason, count in census.excluded().items()},
            "blocked_by": dict(census.blocked),
            "cases": {case.kind.value: case.record() for case in self.cases},
        }

    def _silent(self) -> Case:
        pauses = pauses_of_silence(self._config.retries)
        wait_s = self._config.timeouts.connect_s
        each = 1 + len(pauses)
        return self._case(Kind.SILENT, lambda _: each, wait_s, patience_s=each * wait_s + sum(pauses))

    def _usual(self) -> Case:
        return self._case(
            Kind.USUAL, lambda service: connections_of(service, self._config.wanted), USUAL_CONNECTION_S, patience_s=0.0
        )

    def _case(self, kind: Kind, weigh: Callable[[Service], int], each_s: float, *, patience_s: float) -> Case:
        total = sum(count * weigh(service) for service, count in self.by_service.items())
        total += self.of_domains * weigh(SERVICES["smtp"])
        address = self._busiest(weigh, 0, 0)
        prefixes = self._config.prefixes
        network = self._busiest(weigh, IPV4_BITS - prefixes.ipv4, IPV6_BITS - prefixes.ipv6)
        limits = self._limits
        gap_s = max(_shared(each_s, limits.per_address), _shared(1, limits.per_address_rate))
        seconds = {
            Limit.RATE: _shared(total, limits.rate),
            Limit.CONNECTIONS: _shared(total * each_s, limits.connections),
            Limit.ENDPOINTS: _shared(total * gap_s, limits.endpoints),
            Limit.PER_ADDRESS: _shared(address.connections * each_s, limits.per_address),
            Limit.PER_ADDRESS_RATE: _shared(address.connections, limits.per_address_rate),
            Limit.PER_NETWORK_RATE: _shared(network.connections, limits.per_network_rate),
            Limit.PATIENCE: patience_s if total else 0.0,
        }
        return Case(kind, total, each_s, address, network, seconds)

    def _busiest(self, weigh: Callable[[Service], int], ipv4_bits: int, ipv6_bits: int) -> Crowd:
        """By the host bits of a network in each family: none for a single address."""
        of_names = (sum(weigh(service) for service, _ in asked) for asked in self.census.names.values())
        crowds = [Crowd(None, max(of_names, default=0))]
        for version, bits in ((4, ipv4_bits), (6, ipv6_bits)):
            if found := busiest(*self.census.crowds(version, bits, weigh)):
                crowds.append(Crowd(_place(version, found[0], bits), found[1]))
        return max(crowds, key=lambda crowd: crowd.connections)


def _place(version: int, number: int, bits: int) -> str:
    whole = IPV4_BITS if version == 4 else IPV6_BITS
    first = ip_address((number << bits).to_bytes(whole // 8, "big"))
    return str(ip_network((first, whole - bits))) if bits else str(first)


def _shared(amount: float, limit: float) -> float:
    """Seconds that so much takes at a limit; 0 is none."""
    return amount / limit if limit else 0.0
