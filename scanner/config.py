"""All settings of a run, frozen; their defaults are the polite ones."""

import os
from dataclasses import asdict, dataclass, field
from typing import Any

from scanner.connection import Timeouts
from scanner.limits import Limits
from scanner.looks import RETRIES
from scanner.tls.names import Version
from targets.services import Service, services_named
from targets.target import Address, IPNetwork

STDOUT = "-"


@dataclass(frozen=True, slots=True)
class Config:
    """One `tlsweep scan`. A path may be `-`: standard input, standard output."""

    targets: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    output: str = STDOUT
    services: tuple[Service, ...] = field(default_factory=lambda: services_named("mail"))
    versions: tuple[Version, ...] = tuple(Version)
    allow: tuple[IPNetwork, ...] = ()
    exclude: tuple[str, ...] = ()  # the files that `block` was read from
    block: tuple[IPNetwork, ...] = ()
    resolvers: tuple[tuple[Address, int], ...] = ()  # none: those of the system
    limits: Limits = field(default_factory=Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: int = RETRIES  # later looks at what may only be of the moment
    hello_name: str | None = None  # None: the address literal of each connection
    handshake: bool = True  # the full one, besides the versions
    trust: str | None = None  # a file of certificates; None: what the system trusts
    der: bool = False
    test_injection: bool = False  # for commands, behind the upgrade command
    progress: bool = True

    def settings(self) -> dict[str, Any]:
        """What the `run` record says of them."""
        return {
            "targets": len(self.targets),
            "inputs": [shown_path(path) for path in self.inputs],
            "services": [service.name for service in self.services],
            "versions": self.versions,
            "allow": [str(network) for network in self.allow],
            "exclude": [shown_path(path) for path in self.exclude],
            "limits": asdict(self.limits),
            "timeouts": asdict(self.timeouts),
            "retries": self.retries,
            "trust": shown_path(self.trust) if self.trust is not None else "system",
            "der": self.der,
            "test_injection": self.test_injection,
        }


def shown_path(path: str) -> str:
    """A path may be any bytes; a record is UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")
