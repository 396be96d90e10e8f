"""The system's resolv.conf (resolv.conf(5)): its name servers, and what its options say of asking them.

Names are absolute here, so `search`, `domain` and `ndots` do not count; EDNS is always offered (`edns0`).
"""

from dataclasses import dataclass, replace
from ipaddress import ip_address

from targets.target import Address

RESOLV_CONF = "/etc/resolv.conf"
DNS_PORT = 53
MAX_TIMEOUT_S, MAX_ATTEMPTS = 30, 5  # the bounds of the C library


@dataclass(frozen=True, slots=True)
class SystemResolvers:
    """What the file says; None where it does not."""

    servers: tuple[tuple[Address, int], ...] = ()
    attempt_s: float | None = None  # timeout:n
    attempts: int | None = None  # attempts:n, of each server
    rotate: bool = False
    trust_ad: bool = False
    use_tcp: bool = False  # use-vc


def read_resolv_conf(path: str = RESOLV_CONF) -> SystemResolvers:
    """Raises OSError. Lines that cannot be understood are passed over, as the C library does."""
    with open(path, encoding="utf-8", errors="replace") as lines:
        return parse_resolv_conf(lines.read())


def parse_resolv_conf(text: str) -> SystemResolvers:
    """The last word on an option counts."""
    found = SystemResolvers()
    for line in text.splitlines():
        match line.split():
            case ["nameserver", address, *_] if server := _server(address):
                found = replace(found, servers=(*found.servers, server))
            case ["options", *options]:
                for option in options:
                    found = _with_option(found, option)
    return found


def _server(text: str) -> tuple[Address, int] | None:
    try:
        return ip_address(text), DNS_PORT
    except ValueError:
        return None


def _with_option(found: SystemResolvers, option: str) -> SystemResolvers:
    word, _, value = option.partition(":")
    number = int(value) if value.isascii() and value.isdigit() else None
    match word:
        case "timeout" if number is not None:
            return replace(found, attempt_s=float(min(max(number, 1), MAX_TIMEOUT_S)))
        case "attempts" if number is not None:
            return replace(found, attempts=min(max(number, 1), MAX_ATTEMPTS))
        case "rotate":
            return replace(found, rotate=True)
        case "trust-ad":
            return replace(found, trust_ad=True)
        case "use-vc":
            return replace(found, use_tcp=True)
    return found
