"""What the options hold. What is refused, and how it is said, is in test_cli.py."""

from ipaddress import ip_address

import pytest
import typer

from scanner.options.values import complete_services, complete_versions, parse_listener, parse_shard, parse_size


@pytest.mark.parametrize(
    ("complete", "incomplete", "expected"),
    [
        (complete_services, "submissions,im", ["submissions,imap", "submissions,imaps"]),
        (complete_services, "MAI", ["mail"]),
        (complete_versions, "tlsv1.2,tlsv1.3", ["tlsv1.2,TLSv1.3"]),
        (complete_versions, "a", ["all"]),
    ],
)
def test_completion(complete: object, incomplete: str, expected: list[str]) -> None:
    """The last of some comma-separated words is completed."""
    assert callable(complete)
    assert complete(incomplete) == expected


def test_sizes() -> None:
    """Bytes, or units of 1,024 of them."""
    assert [parse_size(text) for text in ("1", "64K", "500m", "2G", "1T")] == [1, 65_536, 500 * 2**20, 2**31, 2**40]
    for text in ("", "0", "-1", "1.5G", "G", "1 G", "1GB"):
        with pytest.raises(typer.BadParameter, match="is not a size"):
            parse_size(text)


def test_shards() -> None:
    """Its number, from 1, and how many there are."""
    assert [parse_shard(text) for text in ("1/1", "1/4", "4/4", "017/100")] == [(1, 1), (1, 4), (4, 4), (17, 100)]
    for text in ("", "1", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1 / 4"):
        with pytest.raises(typer.BadParameter, match="is not a share such as 1/4"):
            parse_shard(text)


def test_where_to_listen() -> None:
    """An address and a port, either of which may be any; no name, for that may be several."""
    for text, address, port in (("127.0.0.1:9100", "127.0.0.1", 9_100), ("[::1]:0", "::1", 0)):
        assert parse_listener(text) == (ip_address(address), port)
    for text in ("9100", ":9100", "localhost:9100", "::1:9100", "[::1]", "127.0.0.1:65536", "127.0.0.1:", "[x]:1", ""):
        with pytest.raises(typer.BadParameter, match="is not an ADDRESS:PORT"):
            parse_listener(text)
