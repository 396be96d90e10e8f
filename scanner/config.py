"""All settings of a run, frozen; their defaults are the polite ones."""

import os
from dataclasses import asdict, dataclass, field
from typing import Any

from scanner.connection import Timeouts
from scanner.limits import Limits
from scanner.looks import RETRIES
from scanner.question import Wanted
from targets.prefixes import Prefixes
from targets.resolving.limits import DnsLimits
from targets.rules import Rules
from targets.services import Service, services_named
from targets.shares import Share
from targets.target import Address, IPNetwork

STDOUT = "-"


@dataclass(frozen=True, slots=True)
class Config:
    """One `tlsweep scan`. A path may be `-`: standard input, standard output."""

    targets: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    rules: Rules = field(default_factory=Rules)  # how they are read
    seed: int | None = None  # of the order in networks; None: by chance
    shard: tuple[int, int] | None = None  # which share of all this is, from 1, and of how many
    output: str = STDOUT
    resume: bool = False  # go on with what the output holds
    rotate_bytes: int | None = None  # how large a file may be before the next one is begun; None: there is one
    certificates: str | None = None  # a file for each distinct one; None: they are not written
    services: tuple[Service, ...] = field(default_factory=lambda: services_named("mail"))
    wanted: Wanted = field(default_factory=Wanted)
    allow: tuple[IPNetwork, ...] = ()
    exclude: tuple[str, ...] = ()  # the files that `block` was read from
    block: tuple[IPNetwork, ...] = ()
    resolvers: tuple[tuple[Address, int], ...] = ()  # none: those of the system
    trust_ad: bool = False  # of resolvers on other machines too
    dns_limits: DnsLimits = field(default_factory=DnsLimits)
    processes: int | None = 1  # that scan; None: as many as there are cores, where there is enough to do
    limits: Limits = field(default_factory=Limits)
    prefixes: Prefixes = field(default_factory=Prefixes)  # of the networks that share a pace
    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: int = RETRIES  # later looks at what may only be of the moment
    hello_name: str | None = None  # None: the address literal of each connection
    trust: str | None = None  # a file of certificates; None: what the system trusts
    der: bool = False
    with_policies: bool = True  # ask mail domains for what they promise: DANE, MTA-STS, TLS-RPT
    progress: bool = True
    metrics: tuple[Address, int] | None = None  # where to serve them; None: nowhere

    @property
    def share(self) -> Share:
        """What of the input falls to this run."""
        return Share(*self.shard or (1, 1), self.prefixes)

    def settings(self) -> dict[str, Any]:
        """What the `run` record says of them."""
        return {
            "targets": len(self.targets),
            "inputs": [shown_path(path) for path in self.inputs],
            "format": self.rules.format,
            "mx": self.rules.mx,
            "srv": self.rules.srv,
            "ipv6_most": self.rules.ipv6_most,
            "services": [service.name for service in self.services],
            "versions": self.wanted.versions,
            "allow": [str(network) for network in self.allow],
            "exclude": [shown_path(path) for path in self.exclude],
            "trust_ad": self.trust_ad,
            "network_prefixes": [self.prefixes.ipv4, self.prefixes.ipv6],
            "processes": self.processes,
            "limits": asdict(self.limits),
            "dns_limits": asdict(self.dns_limits),
            "timeouts": asdict(self.timeouts),
            "retries": self.retries,
            "trust": shown_path(self.trust) if self.trust is not None else "system",
            "der": self.der,
            "policy": self.with_policies,
            "certificates": shown_path(self.certificates) if self.certificates is not None else None,
            "rotate": self.rotate_bytes,
            "test_injection": self.wanted.test_injection,
            "probes": self.wanted.probes,
            "economical": self.wanted.economical,
        }


def shown_shard(shard: tuple[int, int] | None) -> str | None:
    """As `--shard` has it."""
    return None if shard is None else f"{shard[0]}/{shard[1]}"


def shown_path(path: str) -> str:
    """A path may be any bytes; a record is UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")
