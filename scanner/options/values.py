"""What the options of the command line hold: text → the value that is meant, or a refusal that says why.

And what a shell completes them to.
"""

import math
import re
from ipaddress import ip_address, ip_network

import typer

from scanner.probes import PROBES
from scanner.tls.names import Version, versions_named
from targets.prefixes import IPV4_BITS, IPV6_BITS, Prefixes
from targets.services import GROUPS, SERVICES, Service, services_named
from targets.target import Address, IPNetwork

MAX_SEED = 2**63 - 1  # what every reader of JSON takes for an integer
MAX_PORT = 65_535
_DNS_PORT = 53
_SIZE = re.compile(r"([1-9][0-9]{0,8})([KMGT]?)", re.IGNORECASE)
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
# RFC 5321 §4.1.2: a domain, or an address literal.
_HELLO_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Za-z:.]+\]")


def parse_services(text: str) -> tuple[Service, ...]:
    """A comma-separated list of services and their groups."""
    try:
        return services_named(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def requested_probes(**asked: bool) -> tuple[str, ...]:
    """The probes that are wanted, in the order of asking."""
    return tuple(name for name in PROBES if asked[name])


def parse_versions(text: str) -> tuple[Version, ...]:
    """A comma-separated list of protocol versions, or `all`."""
    try:
        return versions_named(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def parse_network(text: str) -> IPNetwork:
    """A CIDR or an address; bits behind the prefix are no mistake."""
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is neither a CIDR nor an address") from error


def parse_resolver(text: str) -> tuple[Address, int]:
    """`ADDRESS[:PORT]`; IPv6 in brackets where a port follows."""
    match = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?|([^:]+):(\d+)|(.+)", text)
    address, port = (match[1] or match[3] or match[5], match[2] or match[4]) if match else ("", None)
    try:
        number = int(port or _DNS_PORT)
        if not 0 < number <= MAX_PORT:
            raise ValueError
        return ip_address(address), number
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not an ADDRESS[:PORT]") from error


def parse_listener(text: str) -> tuple[Address, int]:
    """`ADDRESS:PORT`; IPv6 in brackets. Port 0 is any that is free."""
    match = re.fullmatch(r"\[([^\]]+)\]:([0-9]{1,5})|([^:]+):([0-9]{1,5})", text)
    try:
        address, port = ip_address((match[1] or match[3]) if match else ""), int((match[2] or match[4]) if match else 0)
        if port > MAX_PORT:
            raise ValueError
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not an ADDRESS:PORT, such as 127.0.0.1:9100 or [::1]:9100") from error
    return address, port


def parse_prefixes(text: str) -> Prefixes:
    """`N,M`: how long the prefixes of networks are, in IPv4 and in IPv6."""
    match = re.fullmatch(r"([0-9]{1,3}),([0-9]{1,3})", text)
    ipv4, ipv6 = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (1 <= ipv4 <= IPV4_BITS and 1 <= ipv6 <= IPV6_BITS):
        why = f"two numbers such as 24,48: from 1 to {IPV4_BITS} for IPv4, and from 1 to {IPV6_BITS} for IPv6"
        raise typer.BadParameter(f"{text!r} is not {why}")
    return Prefixes(ipv4, ipv6)


def parse_shard(text: str) -> tuple[int, int]:
    """`I/N`: which share, from 1, and of how many."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    index, of = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= index <= of:
        raise typer.BadParameter(f"{text!r} is not a share such as 1/4, which is the first of four")
    return index, of


def parse_size(text: str) -> int:
    """Bytes: a number, with K, M, G or T for 1,024 of them and so on."""
    if not (match := _SIZE.fullmatch(text)):
        raise typer.BadParameter(f"{text!r} is not a size such as 500M or 1G")
    return int(match[1]) * _UNITS[match[2].upper()]


def check_hello_name(text: str | None) -> str | None:
    """Refuse what may not stand behind EHLO."""
    if text is not None and (len(text) > 255 or not _HELLO_NAME.fullmatch(text)):
        raise typer.BadParameter("a domain name, or an address literal such as [192.0.2.1]")
    return text


def check_finite(number: float) -> float:
    """Refuse infinity, and what is no number."""
    if not math.isfinite(number):
        raise typer.BadParameter(f"{number} is not a number that can be waited for")
    return number


def complete_services(incomplete: str) -> list[str]:
    """What `--services` may go on with."""
    return _completed([*SERVICES, *GROUPS], incomplete)


def complete_versions(incomplete: str) -> list[str]:
    """What `--versions` may go on with."""
    return _completed([*Version, "all"], incomplete)


def _completed(known: list[str], incomplete: str) -> list[str]:
    """Completion of the last of some comma-separated words."""
    before, comma, last = incomplete.rpartition(",")
    return [before + comma + word for word in known if word.lower().startswith(last.lower())]
