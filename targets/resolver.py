"""Host names → addresses, by dnspython on trio. Nothing here raises because of what a name server says.

Names are absolute: no search list, no /etc/hosts, so that a scan finds the same everywhere. `localhost` and names
under it are loopback without a question (RFC 6761 §6.3).
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
import trio

from targets.target import Address, Reason

LIFETIME_S = 10.0  # of one question, over all servers and attempts
ATTEMPT_S = 3.0
CACHE_NAMES = 10_000  # about 1 KB each; repeated names are mostly near one another
MIN_TTL_S = 5.0  # a TTL of 0 is still one answer for all who wait for it
MAX_TTL_S = 3600.0
FAILURE_TTL_S = 30.0  # RFC 9520 §3.2: at least 1 second and at most 5 minutes
DNS_PORT = 53
RESOLV_CONF = "/etc/resolv.conf"

_LOOPBACK: tuple[Address, ...] = (IPv4Address("127.0.0.1"), IPv6Address("::1"))


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a name, or one address family of it, has no addresses."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """What the DNS says of a name: all addresses, IPv4 first, in the order of their numbers.

    A failure beside addresses is that of one family; without addresses there is at least one failure.
    """

    addresses: tuple[Address, ...]
    failures: tuple[Failure, ...] = ()


class NoNameServersError(Exception):
    """There is no name server to ask; the message says what to do. No fault of the name that needed one."""


class Resolver:
    """Asks for A and AAAA records, each name once in its TTL, however many tasks want it at the same time."""

    def __init__(
        self,
        servers: Sequence[tuple[Address, int]] = (),
        *,
        resolv_conf: str = RESOLV_CONF,
        lifetime_s: float = LIFETIME_S,
        attempt_s: float = ATTEMPT_S,
        cache_names: int = CACHE_NAMES,
    ) -> None:
        """Without servers, those of resolv.conf are asked; it is read when the first name needs it."""
        self._servers = tuple(servers)
        self._resolv_conf = resolv_conf
        self._lifetime_s = lifetime_s
        self._attempt_s = attempt_s
        self._cache = _Cache(cache_names)
        self._under_way: dict[str, trio.Event] = {}
        self._stub: dns.asyncresolver.Resolver | None = None

    @property
    def servers(self) -> tuple[str, ...]:
        """The name servers that are asked, for the run's record. Raises NoNameServersError."""
        return tuple(_server_text(server) for server in self._asked().nameservers)

    async def resolve(self, name: str) -> Resolution:
        """All addresses of a name in its canonical form. Raises NoNameServersError."""
        if name == "localhost" or name.endswith(".localhost"):
            return Resolution(_LOOPBACK)
        while True:
            if known := self._cache.get(name):
                return known
            if name not in self._under_way:
                return await self._ask(name)
            await self._under_way[name].wait()  # then it is known, or whoever asked was cancelled

    async def _ask(self, name: str) -> Resolution:
        stub = self._asked()
        done = self._under_way[name] = trio.Event()
        try:
            answers: dict[dns.rdatatype.RdataType, _Answer] = {}
            async with trio.open_nursery() as nursery:
                for family in (dns.rdatatype.A, dns.rdatatype.AAAA):
                    nursery.start_soon(_ask_family, stub, name, family, answers)
            resolution, ttl_s = _merged(answers[dns.rdatatype.A], answers[dns.rdatatype.AAAA])
            self._cache.put(name, resolution, ttl_s)
            return resolution
        finally:
            del self._under_way[name]
            done.set()

    def _asked(self) -> dns.asyncresolver.Resolver:
        if self._stub is None:
            self._stub = self._configured()
        return self._stub

    def _configured(self) -> dns.asyncresolver.Resolver:
        stub = dns.asyncresolver.Resolver(configure=False)
        if self._servers:
            stub.nameservers = [dns.nameserver.Do53Nameserver(str(address), port) for address, port in self._servers]
        else:
            try:
                stub.read_resolv_conf(self._resolv_conf)
            except (dns.resolver.NoResolverConfiguration, ValueError, OSError) as error:
                raise NoNameServersError(
                    f"no name server to ask: {self._resolv_conf} names none that can be used ({error}); "
                    "name one with --resolver ADDRESS"
                ) from error
        stub.lifetime = self._lifetime_s
        stub.timeout = self._attempt_s
        return stub


def _server_text(server: str | dns.nameserver.Nameserver) -> str:
    if isinstance(server, dns.nameserver.AddressAndPortNameserver):
        address, port = server.address, server.port
    else:
        address, port = str(server), DNS_PORT  # as resolv.conf has it
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came for one family; no failure and no addresses is an empty answer (NODATA)."""

    addresses: tuple[Address, ...] = ()
    failure: Failure | None = None
    ttl_s: float = FAILURE_TTL_S


async def _ask_family(
    stub: dns.asyncresolver.Resolver,
    name: str,
    family: dns.rdatatype.RdataType,
    answers: dict[dns.rdatatype.RdataType, _Answer],
) -> None:
    try:
        found = await stub.resolve(
            dns.name.from_text(name),
            family,
            raise_on_no_answer=False,
            search=False,
            backend=dns.asyncbackend.get_backend("trio"),
        )
    except dns.resolver.NXDOMAIN:
        answers[family] = _Answer(failure=Failure(Reason.NXDOMAIN, "the name does not exist in the DNS"))
    except dns.exception.DNSException as error:
        answers[family] = _Answer(failure=_failure(family, error))
    else:
        addresses = {ip_address(record.address) for record in found.rrset or ()}
        ttl_s = float(found.chaining_result.minimum_ttl) if addresses else FAILURE_TTL_S
        answers[family] = _Answer(tuple(sorted(addresses, key=int)), ttl_s=ttl_s)


def _failure(family: dns.rdatatype.RdataType, error: dns.exception.DNSException) -> Failure:
    """A timeout, unless a server did answer. A socket that we could not get is no answer of the server's."""
    what_came = [what for *_, what, _response in error.kwargs.get("errors", ())]
    answers = [what for what in what_came if not isinstance(what, OSError | EOFError | dns.exception.Timeout)]
    family_name = dns.rdatatype.to_text(family)
    if isinstance(error, dns.exception.Timeout) or (what_came and not answers):
        others = _texts(what for what in what_came if isinstance(what, OSError | EOFError))
        why = f"no answer ({others})" if others else "no answer in time"
        return Failure(Reason.DNS_TIMEOUT, f"{family_name}: {why}")
    return Failure(Reason.SERVFAIL, f"{family_name}: {_texts(answers) or error}")


def _texts(reasons: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(str(reason) or type(reason).__name__ for reason in reasons))


def _merged(v4: _Answer, v6: _Answer) -> tuple[Resolution, float]:
    """Both families as one, with its TTL in seconds.

    A family that does not exist beside one that does is a name server's mistake (RFC 4074 §4.2), and as empty.
    """
    addresses = v4.addresses + v6.addresses
    failures = tuple(answer.failure for answer in (v4, v6) if answer.failure)
    missing = next((failure for failure in failures if failure.reason is Reason.NXDOMAIN), None)
    if missing:
        failures = tuple(failure for failure in failures if failure.reason is not Reason.NXDOMAIN)
    if not addresses and missing:
        failures = (missing,)  # of both families: RFC 8020 §2
    elif not addresses and not failures:
        failures = (Failure(Reason.NODATA, "the name has neither an A nor an AAAA record"),)
    ttl_s = min(v4.ttl_s, v6.ttl_s)
    return Resolution(addresses, failures), min(max(ttl_s, MIN_TTL_S), MAX_TTL_S)


class _Cache:
    """The resolutions that were used last, each until its TTL is over."""

    def __init__(self, names: int) -> None:
        self._names = names
        self._held: OrderedDict[str, tuple[Resolution, float]] = OrderedDict()

    def get(self, name: str) -> Resolution | None:
        held = self._held.get(name)
        if held is None or trio.current_time() >= held[1]:
            return None
        self._held.move_to_end(name)
        return held[0]

    def put(self, name: str, resolution: Resolution, ttl_s: float) -> None:
        self._held[name] = (resolution, trio.current_time() + ttl_s)
        self._held.move_to_end(name)
        while len(self._held) > self._names:
            self._held.popitem(last=False)
