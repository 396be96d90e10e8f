"""The address or the network that a target's text is, with what stands around it: brackets, a length, a port."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network

from targets.hostname import MAX_REASON
from targets.target import Address, IPNetwork, TargetError

MIN_V6_PREFIX = 112  # 65,536 addresses: nobody walks through a wider one
_DIGITS_AND_DOTS = re.compile(r"[0-9.]+")


@dataclass(frozen=True, slots=True)
class Written:
    """The parts of a text target as they are written, none of them checked."""

    place: str
    length: str | None = None
    port: str | None = None


def taken_apart(rest: str) -> Written:
    """What stands behind `service://`, in its parts. Raises TargetError."""
    if rest.startswith("["):
        return _bracketed(rest)
    if "/" in rest:
        place, _, tail = rest.partition("/")
        if not is_address_like(place):
            raise TargetError(f"{'/' + tail[:40]!r} is a path; only hosts are scanned, leave it out")
        length, mark, port = tail.partition(":")
        return Written(place, length, port if mark else None)
    if rest.count(":") == 1:
        place, _, port = rest.partition(":")
        return Written(place, None, port)
    return Written(rest)


def is_address_like(place: str) -> bool:
    """Digits and dots, or more than one colon. One colon alone stands before a port."""
    return place.count(":") > 1 or _DIGITS_AND_DOTS.fullmatch(place) is not None


def network(place: str, length: str | None) -> IPNetwork | None:
    """The network that a place is, of one address where no length is given; None for a host name."""
    if not is_address_like(place):
        if length is not None or ":" in place:  # [a:b], or [a:b]/64
            raise TargetError(f"{place[:60]!r} is not an IPv6 address")
        return None
    address = _address(place)
    bits: int = address.max_prefixlen
    if length is None:
        prefix = bits
    elif length.isascii() and length.isdigit() and len(length) <= 3 and int(length) <= bits:
        prefix = int(length)
    else:
        raise TargetError(f"{length[:40]!r} is not a prefix length; behind an address '/' is for 0 to {bits}")
    if isinstance(address, IPv4Address):
        return IPv4Network((int(address), prefix), strict=False)
    return IPv6Network((int(address), prefix), strict=False)


def network_cell(cell: str) -> IPNetwork | None:
    """The network or address in a cell of its own, or None for a host name."""
    written = Written(cell)
    if "/" in cell or cell.startswith("["):
        written = taken_apart(cell)
    if written.port is not None or cell.count(":") == 1:
        raise TargetError("the port belongs in a column of its own, called 'port'")
    return network(written.place, written.length)


def address_cell(cell: str) -> IPNetwork:
    """The network or address in a cell that holds nothing else."""
    place = network_cell(cell)
    if place is None:
        raise TargetError(f"{cell[:60]!r} in the address column is not an address")
    return place


def only_address(beside: IPNetwork | None) -> Address | None:
    """The one address that stands beside a host."""
    if beside is None:
        return None
    if beside.prefixlen != beside.max_prefixlen:
        raise TargetError("a host has one address beside it, not a network")
    return beside.network_address


def _bracketed(rest: str) -> Written:
    place, closed, tail = rest[1:].partition("]")
    if not closed:
        raise TargetError("the '[' is not closed")
    if ":" not in place:
        raise TargetError("only an IPv6 address stands in brackets")
    before, mark, port = tail.partition(":")
    if before and not before.startswith("/"):
        raise TargetError(f"{tail[:40]!r} behind the ']' is not a port; write [address]:port")
    return Written(place, before[1:] if before else None, port if mark else None)


def _address(place: str) -> Address:
    if "%" in place:
        raise TargetError("an address with a zone ('%…') means something on one machine only and is not scanned")
    try:
        return IPv6Address(place) if ":" in place else IPv4Address(place)
    except AddressValueError as error:
        raise TargetError(_why_no_address(place, error)) from error


def _why_no_address(place: str, error: AddressValueError) -> str:
    why = str(error)[:MAX_REASON]  # it quotes the place, which may be a whole line long
    if ":" in place:
        return f"not an IPv6 address ({why}); with a port write [address]:port"
    return f"not an IPv4 address ({why}), and not a host name (its last label is all digits)"
