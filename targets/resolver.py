"""Questions to the DNS → answers, over the name servers that there are. Nothing here raises because of what one says.

Names are absolute: no search list, no /etc/hosts, so that a scan finds the same everywhere. `localhost` and names
under it are loopback without a question (RFC 6761 §6.3).

    ask ─▶ cache ─▶ under way? ─▶ the servers (resolving/servers.py) ─▶ on along the aliases ─▶ cache
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import dns.rdata
import trio
from dns.rcode import Rcode
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType

from targets.answer import DnsAnswer, Dnssec, DnsStatus
from targets.resolving.cache import MAX_BYTES, Cache
from targets.resolving.limits import DnsLimits
from targets.resolving.name_server import DESCRIPTORS, NameServer, Tally
from targets.resolving.question import InvalidNameError, Question, question_of
from targets.resolving.reply import MAX_ALIASES, Reply, name_text
from targets.resolving.resolv_conf import RESOLV_CONF, SystemResolvers, read_resolv_conf
from targets.resolving.servers import ATTEMPTS, LIFETIME_S, Failed, Servers
from targets.target import Address, Reason

ATTEMPT_S = 3.0
MIN_TTL_S = 5.0  # a TTL of 0 is still one answer for all who wait for it
MAX_TTL_S = 3600.0
FAILURE_TTL_S = 30.0  # RFC 9520 §3.2: at least 1 second and at most 5 minutes

_LOOPBACK = {
    kind: dns.rdata.from_text(RdataClass.IN, kind, text)
    for kind, text in ((RdataType.A, "127.0.0.1"), (RdataType.AAAA, "::1"))
}
_WEAKEST_FIRST = (Dnssec.BOGUS, Dnssec.INDETERMINATE, Dnssec.INSECURE, Dnssec.SECURE)
_REASONS = {
    DnsStatus.SERVFAIL: Reason.SERVFAIL,
    DnsStatus.TIMEOUT: Reason.DNS_TIMEOUT,
    DnsStatus.BOGUS: Reason.BOGUS,
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a name, or one address family of it, has no addresses."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """What the DNS says of a name: all addresses, IPv4 first, in the order of their numbers.

    A failure beside addresses is that of one family; without addresses there is at least one failure. `dnssec` is the
    weaker of both families, `canonical` the end of a chain of aliases.
    """

    addresses: tuple[Address, ...]
    failures: tuple[Failure, ...] = ()
    dnssec: Dnssec = Dnssec.INDETERMINATE
    canonical: str | None = None


class NoNameServersError(Exception):
    """There is no name server to ask; the message says what to do. No fault of the name that needed one."""


class Resolver:
    """Asks each question once in its TTL, however many tasks want the answer at the same time.

    It has no task of its own and nothing to close: sockets are open while somebody waits for an answer.
    """

    def __init__(
        self,
        servers: Sequence[tuple[Address, int]] = (),
        *,
        resolv_conf: str = RESOLV_CONF,
        trust_ad: bool = False,
        limits: DnsLimits | None = None,
        lifetime_s: float = LIFETIME_S,
        attempt_s: float | None = None,
        cache_bytes: int = MAX_BYTES,
    ) -> None:
        """Without servers, those of resolv.conf are asked, as it says; it is read when the first name needs it.

        Servers that are given take the questions in turn. The AD bit counts of resolvers on this machine, and of all
        with `trust_ad`.
        """
        self._given = tuple(servers)
        self._resolv_conf = resolv_conf
        self._trust_ad = trust_ad
        self._limits = limits or DnsLimits()
        self._lifetime_s = lifetime_s
        self._attempt_s = attempt_s
        self._cache = Cache(cache_bytes)
        self._under_way: dict[tuple[str, RdataType], trio.Event | None] = {}  # None: nobody else waits
        self._asked: Servers | None = None

    @property
    def servers(self) -> tuple[str, ...]:
        """The name servers that are asked, for the run's record. Raises NoNameServersError."""
        return tuple(map(str, self._servers().all))

    @property
    def descriptors(self) -> int:
        """How many it has open at most; none where there is nobody to ask."""
        try:
            return DESCRIPTORS * len(self._servers().all)
        except NoNameServersError:
            return 0

    @property
    def asking(self) -> int:
        """How many questions are being asked, each of one name and kind."""
        return len(self._under_way)

    @property
    def tally(self) -> Tally:
        """What was asked, of all servers together."""
        total = Tally()
        for server in self._asked.all if self._asked else ():
            total.add(server.tally)
        return total

    async def resolve(self, name: str) -> Resolution:
        """All addresses of a name in its canonical form. Raises NoNameServersError."""
        if not _is_local(name):
            self._servers()  # raises it here, and not in a group of exceptions
        answers: list[DnsAnswer] = []

        async def ask_v6() -> None:
            answers.append(await self.ask(name, RdataType.AAAA))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_v6)
            v4 = await self.ask(name, RdataType.A)
        return _merged(v4, answers[0])

    async def ask(self, name: str, kind: RdataType) -> DnsAnswer:
        """The answer to any question. Raises NoNameServersError.

        Its `ttl_s` counts from when it was asked.
        """
        if known := self.known(name, kind):
            return known
        try:
            question = question_of(name, kind)
        except InvalidNameError as error:
            return DnsAnswer(DnsStatus.NXDOMAIN, detail=str(error), ttl_s=MAX_TTL_S)
        if _is_local(question.name):
            return _loopback(kind)
        key = (question.name, kind)
        while True:
            if known := self._cache.get(key, trio.current_time()):
                return known
            if key not in self._under_way:
                return await self._ask_once(key, question)
            if (done := self._under_way[key]) is None:
                done = self._under_way[key] = trio.Event()
            await done.wait()  # then it is known, or whoever asked was cancelled

    def known(self, name: str, kind: RdataType) -> DnsAnswer | None:
        """The answer that is remembered, if any is, for a name in lower case without the final dot."""
        return self._cache.get((name, kind), trio.current_time())

    async def _ask_once(self, key: tuple[str, RdataType], question: Question) -> DnsAnswer:
        self._under_way[key] = None
        try:
            answer = await self._answer(question)
            self._cache.put(key, answer, trio.current_time())
            return answer
        finally:
            if (done := self._under_way.pop(key)) is not None:
                done.set()

    async def _answer(self, question: Question) -> DnsAnswer:
        """From the servers; along the chain of aliases, where one leaves it unfinished."""
        aliases, ttl_s, dnssec, asked = 0, MAX_TTL_S, Dnssec.SECURE, question
        patience = self._servers().patience()
        while True:
            said = await self._servers().ask(asked, patience)
            canonical = asked.name if aliases else None
            if isinstance(said, Failed):
                return _failed(said, canonical)
            reply = said.reply
            status, aliases = _status(reply), aliases + reply.aliases
            ttl_s = min(ttl_s, _ttl_s(reply, status))
            dnssec = min(dnssec, await said.server.dnssec(reply), key=_WEAKEST_FIRST.index)
            end = name_text(reply.end) if reply.aliases else canonical
            if status is not None:
                return DnsAnswer(status, reply.records, end, dnssec, ttl_s)
            if aliases >= MAX_ALIASES:
                return _failed(Failed(DnsStatus.SERVFAIL, f"{MAX_ALIASES} aliases, and no end"), end)
            asked = question_of(end or "", question.kind)

    def _servers(self) -> Servers:
        if self._asked is None:
            self._asked = self._configured()
        return self._asked

    def _configured(self) -> Servers:
        """Those that were given, in turn; or those of the system, as it says."""
        found = SystemResolvers(self._given, rotate=True) if self._given else self._read_system()
        attempt_s = min(self._attempt_s or found.attempt_s or ATTEMPT_S, self._lifetime_s)
        trust_ad = self._trust_ad or found.trust_ad
        servers = [
            NameServer(address, port, self._limits, attempt_s, trust_ad=trust_ad, use_tcp=found.use_tcp)
            for address, port in found.servers
        ]
        return Servers(servers, found.attempts or ATTEMPTS, self._lifetime_s, rotate=found.rotate)

    def _read_system(self) -> SystemResolvers:
        try:
            found = read_resolv_conf(self._resolv_conf)
        except OSError as error:
            raise self._nobody(f" ({error})") from error
        if not found.servers:
            raise self._nobody("")
        return found

    def _nobody(self, why: str) -> NoNameServersError:
        return NoNameServersError(
            f"no name server to ask: {self._resolv_conf} names none that can be used{why}; "
            "name one with --resolver ADDRESS"
        )


def _status(reply: Reply) -> DnsStatus | None:
    """None where a chain of aliases goes on: it ends in an SOA where there is no record (RFC 2308 §2)."""
    if reply.records:
        return DnsStatus.OK
    if reply.rcode == Rcode.NXDOMAIN:
        return DnsStatus.NXDOMAIN
    return None if reply.aliases and not reply.has_soa else DnsStatus.NODATA


def _ttl_s(reply: Reply, status: DnsStatus | None) -> float:
    """A denial without an SOA is not to be kept (RFC 2308 §5): it is, for those who wait for it."""
    denies = status in (DnsStatus.NXDOMAIN, DnsStatus.NODATA)
    if reply.ttl is None or (denies and not reply.has_soa):
        return MIN_TTL_S
    return max(float(reply.ttl), MIN_TTL_S)


def _failed(failed: Failed, canonical: str | None) -> DnsAnswer:
    dnssec = Dnssec.BOGUS if failed.status is DnsStatus.BOGUS else Dnssec.INDETERMINATE
    return DnsAnswer(failed.status, (), canonical, dnssec, FAILURE_TTL_S, failed.detail)


def _is_local(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost")


def _loopback(kind: RdataType) -> DnsAnswer:
    if record := _LOOPBACK.get(kind):
        return DnsAnswer(DnsStatus.OK, (record,), ttl_s=MAX_TTL_S)
    return DnsAnswer(DnsStatus.NODATA, ttl_s=MAX_TTL_S)


def _merged(v4: DnsAnswer, v6: DnsAnswer) -> Resolution:
    """Both families as one.

    A family that does not exist beside one that does is a name server's mistake (RFC 4074 §4.2), and as empty.
    """
    addresses = _addresses(v4) + _addresses(v6)
    failures = tuple(
        Failure(_REASONS[answer.status], f"{family}: {answer.detail}")
        for family, answer in (("A", v4), ("AAAA", v6))
        if answer.status in _REASONS
    )
    if not addresses:
        if missing := next((each for each in (v4, v6) if each.status is DnsStatus.NXDOMAIN), None):
            failures = (
                Failure(Reason.NXDOMAIN, missing.detail or "the name does not exist in the DNS"),
            )  # RFC 8020 §2
        elif not failures:
            failures = (Failure(Reason.NODATA, "the name has neither an A nor an AAAA record"),)
    dnssec = min(v4.dnssec, v6.dnssec, key=_WEAKEST_FIRST.index)
    return Resolution(addresses, failures, dnssec, v4.canonical or v6.canonical)


def _addresses(answer: DnsAnswer) -> tuple[Address, ...]:
    """In the order of their numbers."""
    return tuple(sorted({ip_address(record.to_text()) for record in answer.records}, key=int))
