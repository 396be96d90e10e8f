"""A mail domain → the endpoints that it stands for; those that others stood for before it are not scanned once more.

In a run that has a share of its input (shares.py), a domain's record falls to the share of its name, and its endpoints
to those of their addresses: each share asks about every domain.
"""

from targets.domain_targets import DomainTargets
from targets.exclude import Exclusions
from targets.mail_answer import DomainAnswer, MailHost
from targets.mail_domain import Asks, ask_domain
from targets.seen import Seen
from targets.services import SERVICES, Protocol, Service
from targets.shares import WHOLE, Share
from targets.target import Address, Endpoint, MailDomain, Reason, Rejection

_OF_THE_DOMAIN = {Protocol.XMPP_CLIENT, Protocol.XMPP_SERVER}


class DomainExpander:
    """Holds what a run excludes and what it has seen."""

    def __init__(
        self,
        exclusions: Exclusions,
        seen: Seen,
        resolver: Asks,
        *,
        with_policies: bool = True,
        share: Share = WHOLE,
    ) -> None:
        """`with_policies`: are domains asked for what they promise?"""
        self._exclusions = exclusions
        self._seen = seen
        self._resolver = resolver
        self._with_policies = with_policies
        self._share = share
        self.elsewhere = 0  # endpoints of other shares, by how many domains named them

    def repeated(self, domain: MailDomain) -> Rejection | None:
        """None for a domain that was not there before, and from now on was: each has one record."""
        asked = f"mx={domain.mx} srv={domain.srv}"
        if self._seen.add_named(domain.name, "", domain.port, asked):  # no endpoint is without an address
            return None
        return Rejection(domain.origin, Reason.DUPLICATE, f"the mail domain {domain.name} is already in this run")

    async def ask(self, domain: MailDomain) -> DomainAnswer:
        """What the DNS says of a domain. Raises NoNameServersError where there is nobody to ask."""
        return await ask_domain(self._resolver, domain, with_policies=self._with_policies, share=self._share)

    def expand(self, answer: DomainAnswer) -> tuple[list[Rejection], DomainTargets]:
        """The endpoints of a domain, and a rejection for each of its addresses that is blocked."""
        rejections, targets = _Expansion(answer, self._exclusions, self._seen, self._share).targets()
        self.elsewhere += len(targets.elsewhere)
        return rejections, targets


class _Expansion:
    """The endpoints of one mail domain. Each host's name is sent as SNI; in XMPP, that of the domain.

    There it is also the `to` of the stream, and what the certificate has to name (RFC 6120 §4.7.2, §13.7.2.1).
    """

    def __init__(self, answer: DomainAnswer, exclusions: Exclusions, seen: Seen, share: Share) -> None:
        self._answer = answer
        self._domain = answer.domain
        self._exclusions = exclusions
        self._seen = seen
        self._share = share
        self._blocked: dict[str, Rejection] = {}
        self._fresh: list[Endpoint] = []
        self._elsewhere: set[str] = set()

    def targets(self) -> tuple[list[Rejection], DomainTargets]:
        of_mx = tuple(self._endpoints(mx.host, SERVICES["smtp"], self._domain.port) for mx in self._answer.hosts)
        of_srv = None
        if self._answer.srv is not None:
            of_srv = {
                service: tuple(self._endpoints(target.host, service, target.port) for target in found.targets or ())
                for service, found in self._answer.srv.items()
            }
        found = DomainTargets(
            self._answer,
            of_mx,
            of_srv,
            tuple(self._fresh),
            len(self._blocked),
            frozenset(self._elsewhere),
            self._share.has_name(self._domain.name),
        )
        return [each for address, each in self._blocked.items() if self._share.has_address(address)], found

    def _endpoints(self, host: MailHost, service: Service, port: int) -> tuple[Endpoint, ...]:
        if not (host.can_be_asked and port):
            return ()
        return tuple(self._endpoint(host.name, address, service, port) for address in self._allowed(host))

    def _allowed(self, host: MailHost) -> list[Address]:
        allowed = []
        for address in host.addresses:
            if why := self._exclusions.blocked(address):
                rejection = Rejection(self._domain.origin, Reason.BLOCKED, why, str(address))
                self._blocked.setdefault(str(address), rejection)
            else:
                allowed.append(address)
        return allowed

    def _endpoint(self, host: str, address: Address, service: Service, port: int) -> Endpoint:
        name = self._domain.name if service.protocol in _OF_THE_DOMAIN else host
        endpoint = Endpoint(self._domain.origin, name, str(address), port, service)
        if not self._share.has_address(endpoint.address):
            self._elsewhere.add(endpoint.id)
        elif self._seen.add_named(name, endpoint.address, port, service.name):
            self._fresh.append(endpoint)
        return endpoint
