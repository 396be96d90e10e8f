"""A mail domain and its endpoints: what the DNS said, and what there is to scan for it."""

from collections.abc import Mapping
from dataclasses import dataclass

from targets.mail_answer import DomainAnswer
from targets.services import Service
from targets.target import Endpoint, Origin


@dataclass(frozen=True, slots=True)
class DomainTargets:
    """A mail domain, and the endpoints that it stands for: of each MX host, and of each target of its SRV records.

    `fresh` are those that nothing before it stood for: they are to be scanned, and the others are already. But for
    those `elsewhere`, by their ids, which fall to other shares of the input, as the domain itself may: `is_own`.
    """

    answer: DomainAnswer
    of_mx: tuple[tuple[Endpoint, ...], ...] = ()  # as `answer.hosts`
    of_srv: Mapping[Service, tuple[tuple[Endpoint, ...], ...]] | None = None  # as `answer.srv` and its targets
    fresh: tuple[Endpoint, ...] = ()
    blocked: int = 0  # addresses
    elsewhere: frozenset[str] = frozenset()
    is_own: bool = True

    @property
    def origin(self) -> Origin:
        """Where the domain came from."""
        return self.answer.domain.origin

    @property
    def concerns_this_share(self) -> bool:
        """Has it its record here, or an endpoint?"""
        return self.is_own or bool(self.own_endpoints())

    def own_endpoints(self) -> list[Endpoint]:
        """Those that this share has or had."""
        return [endpoint for endpoint in self.endpoints() if endpoint.id not in self.elsewhere]

    def endpoints(self) -> list[Endpoint]:
        """All of them, each once."""
        of_srv = (each for targets in (self.of_srv or {}).values() for each in targets)
        return list({endpoint.id: endpoint for each in (*self.of_mx, *of_srv) for endpoint in each}.values())
