"""What is read of resolv.conf."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from targets.resolving.resolv_conf import SystemResolvers, parse_resolv_conf, read_resolv_conf

SERVERS = ((ip_address("192.0.2.53"), 53), (ip_address("2001:db8::53"), 53), (ip_address("fe80::1%eth0"), 53))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", SystemResolvers()),
        (
            "# of a router\nnameserver 192.0.2.53\nnameserver 2001:db8::53 # the second\n;nameserver 192.0.2.1\n"
            "nameserver fe80::1%eth0\nnameserver localhost\nnameserver\nsearch example.org\n",
            SystemResolvers(SERVERS),
        ),
        ("options timeout:7 attempts:4 rotate\noptions edns0 trust-ad use-vc", SystemResolvers((), 7, 4, *[True] * 3)),
        ("options timeout:0 attempts:99\n", SystemResolvers((), 1, 5)),
        ("options timeout:100\noptions timeout:2\n", SystemResolvers((), 2)),
        ("options timeout: attempts:x ndots:3 timeout:-1 timeout:² rotate:\noptions\n", SystemResolvers(rotate=True)),
    ],
)
def test_what_it_says(text: str, found: SystemResolvers) -> None:
    """Name servers and options count as in the C library, within its bounds; what cannot be read is passed over."""
    assert parse_resolv_conf(text) == found


def test_the_file(tmp_path: Path) -> None:
    """Bytes that are no text do no harm."""
    path = tmp_path / "resolv.conf"
    path.write_bytes(b"# \xff\xfe\nnameserver 192.0.2.53\n")
    assert read_resolv_conf(str(path)) == SystemResolvers(SERVERS[:1])
