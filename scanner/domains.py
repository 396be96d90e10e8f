"""Endpoints' results joined to the mail domains that asked: each endpoint is scanned once, however many share it.

    a domain's targets ──▶ those that are over: known at once ──▶ nothing left to wait for: its record
                      └──▶ the others: waited for ──▶ each is over, one after the other ──┘

Pure, and indifferent to the order in which things come. What is kept:

- *Results*, of every endpoint with a name and of a service that a domain can ask for: 36 to 72 bytes each
  (`result_table.py`). As long as no domain has come, and none is announced by `--mx` or `--srv`, at most `MOST_UNASKED`
  of them: what was scanned before that, and is named by a domain later, is not scanned again, and the domain's record
  says that its status is not known.
- *Domains that wait*: at most `MOST_WAITING`, counted with their hosts and endpoints, of 0.3 to 0.9 KB each, and with
  what they keep of long records, and tasks that wait for policies: 16,000 domains with two MX hosts are at most 90 MB.
  Then the intake is held back; what they wait for is in the engine's hands already, so that it ends.
- *TLSA records* of endpoints that are not over, shared with the domains that wait; names of leaves that a DANE-TA
  record may need (rare): at most `MOST_NAMED` of them, and then a name that is missing is not held against a leaf.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

from scanner.endpoint_result import EndpointResult, unpacked
from scanner.result_table import ResultTable
from scanner.tlsa_set import TlsaSet
from targets.domain_targets import DomainTargets
from targets.mail_answer import SRV_SERVICES, MailHost
from targets.target import Endpoint

MOST_UNASKED = 1_000_000
MOST_WAITING = 100_000
MOST_NAMED = 100_000
RECORD_BYTES = 512  # of records; so many count as one thing more
POLICY_THINGS = 8  # as much as so many things takes a task that waits for a policy: 6.3 KB

_ASKED_FOR = {"smtp", *(service.name for service in SRV_SERVICES)}


@dataclass(slots=True, eq=False)
class Waiting:
    """A domain, and how many things it waits for: endpoints, and its policy.

    `weight` is how many things it holds in memory.
    """

    targets: DomainTargets
    left: int = 0  # at first, its policy alone
    weight: int = field(init=False)

    def __post_init__(self) -> None:
        answer = self.targets.answer
        things = 1 + len(answer.mail_hosts()) + len(self.targets.endpoints()) + self.left * POLICY_THINGS
        self.weight = things + answer.record_bytes // RECORD_BYTES


def tlsa_of_host(host: MailHost) -> TlsaSet | None:
    """The TLSA records of an MX host; None where it has none, or nobody knows."""
    return TlsaSet(host.tlsa_base or host.name, host.tlsa) if host.tlsa else None


class Domains:
    """What a run knows of endpoints, for the domains that ask."""

    def __init__(
        self, *, are_expected: bool = False, most_unasked: int = MOST_UNASKED, key: bytes | None = None
    ) -> None:
        """`are_expected`: will domains come for sure? Then all results are kept from the beginning."""
        self._hasher = blake2b(digest_size=8, key=os.urandom(16) if key is None else key)
        self._results = ResultTable()
        self._names: dict[int, frozenset[str]] = {}
        self._named = 0  # of all of them together
        self._tlsa: dict[int, TlsaSet] = {}  # of endpoints that are not over
        self._awaited: dict[int, list[Waiting]] = {}
        self._most_unasked: float = most_unasked
        self._have_come = are_expected
        self._forgot = False  # has a result not been kept?
        self._waiting: dict[Waiting, None] = {}  # in the order in which they came
        self.weight = 0  # of all that wait

    @property
    def waiting(self) -> int:
        """How many domains wait."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Is no other domain to be added for now?"""
        return self.weight >= MOST_WAITING

    def add(self, targets: DomainTargets, *, policies: int = 0) -> Waiting:
        """Take a domain in, before any of its fresh endpoints is begun; it has to wait unless `left` is 0.

        `policies` is how many things besides its endpoints it waits for: `settle` is told of each.
        """
        self._have_come = True
        due = self._due(targets)
        waiting = Waiting(targets, policies)
        for key in due:  # nothing may fail from here on: a domain would be half expected
            self._awaited.setdefault(key, []).append(waiting)
            waiting.left += 1
        self._expect(targets)
        if waiting.left:
            self._waiting[waiting] = None
            self.weight += waiting.weight
        return waiting

    def note(self, targets: DomainTargets) -> None:
        """Take in a domain that has its record in another share of the input: for its TLSA records, as `add` does."""
        if any(mx.host.tlsa for mx in targets.answer.hosts):
            for key in self._due(targets):
                self._awaited.setdefault(key, [])
            self._expect(targets)

    def _due(self, targets: DomainTargets) -> set[int]:
        """Those of its endpoints that are not over, and will be."""
        keys = {self._key(endpoint.id): endpoint.id for endpoint in targets.own_endpoints()}
        fresh = {endpoint.id for endpoint in targets.fresh}
        will_come = (key for key, name in keys.items() if name in fresh or key in self._awaited or not self._forgot)
        return {key for key in will_come if self._results.get(key) is None}

    def _expect(self, targets: DomainTargets) -> None:
        """Know the TLSA records of its endpoints when their results come, of those that will."""
        for mx, endpoints in zip(targets.answer.hosts, targets.of_mx, strict=True):
            if tlsa := tlsa_of_host(mx.host):
                for endpoint in endpoints:
                    key = self._key(endpoint.id)
                    if key in self._awaited:
                        self._tlsa[key] = tlsa

    def tlsa_of(self, endpoint: Endpoint) -> TlsaSet | None:
        """What the certificate of an endpoint that is over has to be matched with."""
        return self._tlsa.get(self._key(endpoint.id)) if self._tlsa else None

    def over(self, endpoint: Endpoint, result: EndpointResult) -> list[Waiting]:
        """Take an endpoint's result; the domains that waited for it and now for nothing more."""
        if endpoint.host is None or endpoint.service.name not in _ASKED_FOR:
            return []
        key = self._key(endpoint.id)
        self._keep(key, result)
        self._tlsa.pop(key, None)
        return self._settled(self._awaited.pop(key, ()))

    def announce(self) -> None:
        """Domains will come: from now on all results are kept."""
        self._have_come = True

    def recall(self, endpoint_id: str, host: str | None, service: str, result: EndpointResult) -> None:
        """Take a result of an earlier part of the run, before any domain is added."""
        if host is not None and service in _ASKED_FOR:
            self._keep(self._key(endpoint_id), result)

    def settle(self, waiting: Waiting) -> bool:
        """One of the other things that a domain waited for is over. Was it the last of all?"""
        return bool(self._settled([waiting]))

    def result(self, endpoint: Endpoint, tlsa: TlsaSet | None = None) -> EndpointResult | None:
        """What an endpoint came to, also by these TLSA records; None where that is not known."""
        key = self._key(endpoint.id)
        value = self._results.get(key)
        return None if value is None else unpacked(value, tlsa.to_match if tlsa else None, self._names.get(key))

    def give_up(self) -> list[Waiting]:
        """The run ends: the domains that wait still. What they waited for will not come."""
        left = list(self._waiting)
        self._waiting.clear()
        self._awaited.clear()
        self._tlsa.clear()
        self.weight = 0
        return left

    def _settled(self, waitings: Iterable[Waiting]) -> list[Waiting]:
        ready = []
        for waiting in waitings:
            waiting.left -= 1
            if not waiting.left:
                if waiting in self._waiting:
                    del self._waiting[waiting]
                    self.weight -= waiting.weight
                ready.append(waiting)
        return ready

    def _keep(self, key: int, result: EndpointResult) -> None:
        if not self._have_come and len(self._results) >= self._most_unasked:
            self._forgot = True
            return
        self._results.put(key, result.packed)
        names = result.dane.unnamed if result.dane else None
        if names is not None and self._named + len(names) <= MOST_NAMED:  # of a certificate there may be thousands
            self._names[key] = names
            self._named += len(names)

    def _key(self, endpoint_id: str) -> int:
        hasher = self._hasher.copy()
        hasher.update(endpoint_id.encode())
        return int.from_bytes(hasher.digest(), "big") or 1  # 0 is a free slot
