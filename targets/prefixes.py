"""Which network an address belongs to: what shares a pace, a worker process and a shard of a scan."""

from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import ip_network

IPV4_BITS, IPV6_BITS = 32, 128


@dataclass(frozen=True, slots=True)
class Prefixes:
    """How long the prefix is that the addresses of one network share, in bits."""

    ipv4: int = 24
    ipv6: int = 48

    def network_of(self, address: str) -> str:
        """The network of an address in its canonical form, such as `192.0.2.0/24`; an IPv6 zone is left out."""
        if ":" in address:
            return str(ip_network((address.partition("%")[0], self.ipv6), strict=False))
        if self.ipv4 == 24:  # a tenth of the time, for every endpoint of most scans
            return f"{address.rpartition('.')[0]}.0/24"
        return str(ip_network((address, self.ipv4), strict=False))


def share_of(name: str, shares: int) -> int:
    """Which of so many equal shares, from 0, a network or a mail domain falls to: the same on every machine."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") % shares


def worker_of(network: str, workers: int) -> int:
    """Which worker process, from 0, a network falls to: the hash is another, for those of a shard are alike in theirs.

    Of the networks of shard 1/4, which leave the same when divided by four, one of four workers would have all.
    """
    return share_of(f"worker {network}", workers)
