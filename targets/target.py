"""What can be scanned, and what was left out: frozen values without behaviour beyond their names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from targets.services import SERVICES, Service

Address = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

NO_TAGS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a target came from: the text as it was written, its line (from 1) and the other CSV columns.

    `line` is None for a target on the command line.
    """

    input: str
    line: int | None = None
    tags: Mapping[str, str] = field(default_factory=lambda: NO_TAGS)


@dataclass(frozen=True, slots=True)
class Host:
    """A name to resolve, or a name with the address given beside it (then DNS is not asked)."""

    origin: Origin
    name: str  # lower case A-labels without the final dot
    services: tuple[tuple[Service, int], ...]  # what to ask, and on which port
    address: Address | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """A network, or a single address (a /32 or a /128)."""

    origin: Origin
    network: IPNetwork
    services: tuple[tuple[Service, int], ...]


@dataclass(frozen=True, slots=True)
class MailDomain:
    """A domain whose MX hosts are asked, or the hosts that its SRV records name, or both.

    `port` is where its MX hosts are asked for SMTP.
    """

    origin: Origin
    name: str  # lower case A-labels without the final dot
    port: int = 25
    mx: bool = True
    srv: bool = False

    @property
    def id(self) -> str:
        """`mx:name:port`, `srv:name`, or `mx+srv:name:port`: by what is asked of it."""
        asked = "mx+srv" if self.mx and self.srv else "mx" if self.mx else "srv"
        return f"{asked}:{self.name}:{self.port}" if self.mx else f"{asked}:{self.name}"


Target = Host | Network | MailDomain


def mail_domain_named(identifier: str, origin: Origin) -> MailDomain:
    """The mail domain with this id. Raises ValueError and KeyError for what is none."""
    asked, _, name = identifier.partition(":")
    is_mx, is_srv = {"mx": (True, False), "srv": (False, True), "mx+srv": (True, True)}[asked]
    if not is_mx:
        return MailDomain(origin, name, mx=False, srv=True)
    name, _, port = name.rpartition(":")
    return MailDomain(origin, name, int(port), srv=is_srv)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing to interview: (host, address, port, service)."""

    origin: Origin
    host: str | None  # the name that is sent as SNI
    address: str  # canonical text form
    port: int
    service: Service

    @property
    def id(self) -> str:
        """`service://host:port@address`, or without a host `service://address:port`; IPv6 in brackets."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        if self.host is None:
            return f"{self.service.name}://{address}:{self.port}"
        return f"{self.service.name}://{self.host}:{self.port}@{address}"


def endpoint_named(identifier: str, origin: Origin) -> Endpoint:
    """The endpoint with this id. Raises ValueError and KeyError for what is none."""
    service, _, place = identifier.partition("://")
    named, _, address = place.rpartition("@")
    host, _, port = (named or place).rpartition(":")
    if not named:
        host, address = "", host
    return Endpoint(origin, host or None, address.strip("[]"), int(port), SERVICES[service])


class TargetError(ValueError):
    """What was written names nothing that can be scanned; the message is a sentence to act on."""


class FormatError(ValueError):
    """An input that is not of its form, from here on; the message is a sentence to act on.

    `line` is where, if that is not its beginning.
    """

    def __init__(self, why: str, line: int | None = None) -> None:
        super().__init__(why)
        self.line = line


class Reason(StrEnum):
    """Why an input line, or an address of one, was left out."""

    INVALID = "invalid"
    BLOCKED = "blocked"
    CAPPED = "capped"  # beyond --ipv6-most
    DUPLICATE = "duplicate"
    NXDOMAIN = "nxdomain"
    NODATA = "nodata"
    SERVFAIL = "servfail"
    DNS_TIMEOUT = "dns_timeout"
    BOGUS = "bogus"  # it does not validate (DNSSEC)


@dataclass(frozen=True, slots=True)
class Rejection:
    """What was left out. `count` is the number of endpoints or addresses of a network that it stands for."""

    origin: Origin
    reason: Reason
    detail: str
    address: str | None = None
    count: int | None = None
