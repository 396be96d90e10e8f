"""What the DNS says of a mail domain: its MX hosts in order, what its SRV records name, and what is odd about them.

Pure. The order is that in which mail is delivered (RFC 5321 §5.1, RFC 2782); where it leaves a choice, names decide, so
that two runs tell the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from dns.name import Name, root
from dns.rdata import Rdata
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.IN.SRV import SRV

from targets.answer import DnsAnswer, Dnssec, DnsStatus
from targets.hostname import canonical_name
from targets.services import SERVICES, Service
from targets.target import Address, MailDomain, TargetError

MAX_MX = 100  # of one domain; those with 60 are known
MAX_SRV = 20  # of one service
MAX_ADDRESSES = 32  # of one host
MAX_TLSA = 32  # records of one host and port; a rollover has two or four
MAX_TLSA_BYTES = 16_384  # of them together; a whole certificate has one or two thousand
MIN_TLSA_BYTES = 3  # of one: its numbers

# RFC 6186 §3, RFC 8314 §5.1, RFC 6120 §3.2.1: `_name._tcp.domain`, called as our services are.
SRV_SERVICES: tuple[Service, ...] = tuple(
    SERVICES[name]
    for name in ("imaps", "imap", "pop3s", "pop3", "submission", "submissions", "xmpp-client", "xmpp-server")
)

_NO_ADDRESS = (DnsStatus.NXDOMAIN, DnsStatus.NODATA)
_STRONGEST_FIRST = (DnsStatus.OK, DnsStatus.BOGUS, DnsStatus.SERVFAIL, DnsStatus.TIMEOUT, DnsStatus.NXDOMAIN)
_WEAKEST_FIRST = (Dnssec.BOGUS, Dnssec.INDETERMINATE, Dnssec.INSECURE)


class Oddity(StrEnum):
    """What is wrong with the records of a mail domain, as `findings` calls it."""

    NULL_WITH_OTHERS = "null-mx-with-others"
    IS_ALIAS = "mx-is-alias"
    IS_ADDRESS = "mx-is-address"
    NO_HOST_NAME = "mx-is-no-host-name"
    UNRESOLVED = "mx-without-address"
    REPEATED = "mx-repeated"
    TOO_MANY = "mx-too-many"
    TOO_MANY_ADDRESSES = "mx-too-many-addresses"
    SRV_IS_ALIAS = "srv-is-alias"
    SRV_UNRESOLVED = "srv-without-address"
    SRV_TOO_MANY = "srv-too-many"


@dataclass(frozen=True, slots=True)
class MailHost:
    """A host that a domain's records name, and what the DNS says of it.

    `status` is that of its addresses, over both families. `tlsa` is in one order, whatever that of the answer was, and
    None where nobody asked, or no answer came; `tlsa_base` is the name that they were found under, without
    `_port._tcp` (RFC 7672 §2.2.3); `tlsa_left_out` is how many more there are, or are not whole.
    """

    name: str
    status: DnsStatus
    dnssec: Dnssec = Dnssec.INDETERMINATE  # of its addresses and TLSA records, whichever is the weakest
    addresses: tuple[Address, ...] = ()
    canonical: str | None = None  # the end of its chain of aliases
    tlsa: tuple[Rdata, ...] | None = None
    tlsa_base: str | None = None
    tlsa_left_out: int = 0
    oddities: frozenset[Oddity] = frozenset()
    is_final: bool = True

    @property
    def can_be_asked(self) -> bool:
        """Is its name one that can be sent as SNI?"""
        return is_host_name(self.name)


@dataclass(frozen=True, slots=True)
class Mx:
    """One MX host."""

    preference: int
    host: MailHost


@dataclass(frozen=True, slots=True)
class Srv:
    """One target of a service. `port` is where the service is."""

    priority: int
    weight: int
    port: int
    host: MailHost


@dataclass(frozen=True, slots=True)
class SrvAnswer:
    """The targets of one service in order; `targets` is None where the domain says that it has none: a lone `.`.

    `oddities` is what is odd about the records together, which are not kept.
    """

    answer: DnsAnswer
    targets: tuple[Srv, ...] | None = ()
    oddities: frozenset[Oddity] = frozenset()


@dataclass(frozen=True, slots=True)
class DomainAnswer:
    """All that the DNS says of a mail domain. What was not asked is None.

    The answers about MX and SRV are without their records: `hosts` and `srv` have what there is in them. `error` is a
    bug of ours that ended the asking.
    """

    domain: MailDomain
    mx: DnsAnswer | None = None
    hosts: tuple[Mx, ...] = ()
    is_implicit: bool = False  # its own addresses are its MX host (RFC 5321 §5.1)
    is_null: bool = False  # it takes no mail (RFC 7505)
    srv: Mapping[Service, SrvAnswer] | None = None
    mta_sts: DnsAnswer | None = None
    tls_rpt: DnsAnswer | None = None
    oddities: frozenset[Oddity] = frozenset()
    error: str | None = None

    @property
    def is_final(self) -> bool:
        """Is nothing of it only of the moment?"""
        answers = [self.mx, self.mta_sts, self.tls_rpt, *(each.answer for each in (self.srv or {}).values())]
        settled = all(answer.status.is_final for answer in answers if answer)
        return settled and all(host.is_final for host in self.mail_hosts())

    @property
    def record_bytes(self) -> int:
        """How many bytes it keeps of records, which are as many as somebody likes: TLSA, and texts of policies."""
        texts = (record for answer in (self.mta_sts, self.tls_rpt) if answer for record in answer.records)
        tlsas = (record for mx in self.hosts for record in mx.host.tlsa or ())
        return sum(len(record.to_wire() or b"") for records in (texts, tlsas) for record in records)

    def mail_hosts(self) -> list[MailHost]:
        """Every host that its records name."""
        targets = (target for each in (self.srv or {}).values() for target in each.targets or ())
        return [*(mx.host for mx in self.hosts), *(target.host for target in targets)]


@dataclass(frozen=True, slots=True)
class MxSet:
    """What an MX answer names, each once and in order, before any of it is looked up."""

    names: tuple[tuple[int, str], ...] = ()
    is_null: bool = False
    oddities: frozenset[Oddity] = frozenset()


def mx_set(answer: DnsAnswer) -> MxSet:
    """The MX hosts of a domain in order of preference, and by name where that is the same; at most `MAX_MX`."""
    records = [record for record in answer.records if isinstance(record, MX)]
    real = [record for record in records if record.exchange != root]
    if records and not real:
        return MxSet(is_null=True)
    named = sorted((record.preference, name_text(record.exchange)) for record in real)
    best: dict[str, int] = {}
    for preference, name in named:
        best.setdefault(name, preference)
    found = {
        Oddity.NULL_WITH_OTHERS: len(real) < len(records),
        Oddity.REPEATED: len(best) < len(named),
        Oddity.TOO_MANY: len(best) > MAX_MX,
    }
    names = tuple((preference, name) for name, preference in best.items())
    return MxSet(names[:MAX_MX], oddities=frozenset(oddity for oddity in found if found[oddity]))


def srv_records(answer: DnsAnswer) -> tuple[SRV, ...] | None:
    """The targets of a service by priority, then the heaviest first; None where it is not available (RFC 2782).

    A client draws among those of one priority by weight; an order that is told has the likeliest first.
    """
    records = [record for record in answer.records if isinstance(record, SRV)]
    real = [record for record in records if record.target != root]
    if records and not real:
        return None
    real.sort(key=lambda record: (record.priority, -record.weight, name_text(record.target), record.port))
    return tuple(real[:MAX_SRV])


def mx_oddities(host: MailHost) -> frozenset[Oddity]:
    """What is odd about an MX host."""
    is_address = not host.can_be_asked and host.name.rpartition(".")[2].isdigit()
    found = {
        Oddity.IS_ALIAS: host.canonical is not None,
        Oddity.IS_ADDRESS: is_address,
        Oddity.NO_HOST_NAME: not host.can_be_asked and not is_address,
        Oddity.UNRESOLVED: host.status in _NO_ADDRESS,
    }
    return frozenset(oddity for oddity in found if found[oddity])


def srv_oddities(host: MailHost) -> frozenset[Oddity]:
    """What is odd about the target of an SRV record."""
    found = {Oddity.SRV_IS_ALIAS: host.canonical is not None, Oddity.SRV_UNRESOLVED: host.status in _NO_ADDRESS}
    return frozenset(oddity for oddity in found if found[oddity])


def of_both_families(statuses: Iterable[DnsStatus]) -> DnsStatus:
    """One word for the address records of a name.

    A family that does not exist beside one that does is a name server's mistake (RFC 4074 §4.2), and as empty.
    """
    came = set(statuses)
    return next((status for status in _STRONGEST_FIRST if status in came), DnsStatus.NODATA)


def weakest(levels: Iterable[Dnssec]) -> Dnssec:
    """What can be said of several answers together."""
    came = set(levels)
    return next((level for level in _WEAKEST_FIRST if level in came), Dnssec.SECURE)


def name_text(name: Name) -> str:
    """Lower case, without the final dot; what is no letter, digit, hyphen or the like is escaped (RFC 4343 §2.1)."""
    return name.to_text(omit_final_dot=True).lower()


def is_host_name(name: str) -> bool:
    """Can a host be called so?"""
    try:
        return canonical_name(name) == name
    except TargetError:
        return False
