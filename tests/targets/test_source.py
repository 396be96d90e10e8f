"""Command line, files and pipes → one stream, with the fate of every line counted."""

import os
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from targets.exclude import Exclusions
from targets.expand import Expander, Item
from targets.lines import InputError
from targets.resolver import NoNameServersError, Resolution, Resolver
from targets.rules import Format, Rules
from targets.seen import Seen
from targets.services import services_named
from targets.source import BATCH, Counts, Source
from targets.target import Endpoint, Reason, Rejection
from tests.peers.nameserver import Trouble, Zone, name_server
from tests.targets.forms import SAMPLES
from tests.targets.packed import gzip_packed, zstd_packed

ZONE: Zone = {f"mx{number}.example.org": {"A": ["1.1.1.1"]} for number in range(50)} | {
    "silent.example.org": {"A": Trouble.SILENCE, "AAAA": Trouble.SILENCE}
}


def source_of(
    *inputs: str | Path,
    targets: Sequence[str] = (),
    resolver: Resolver | None = None,
    stdin: int = 0,
    max_resolving: int = 256,
    services: str = "smtp",
    rules: Rules | None = None,
    seed: int = 0,
) -> Source:
    expander = Expander(Exclusions(), Seen(), resolver or Resolver(resolv_conf="/nonexistent"), seed=seed)
    return Source(
        services_named(services),
        expander,
        targets=targets,
        inputs=list(map(str, inputs)),
        stdin=stdin,
        max_resolving=max_resolving,
        rules=rules,
    )


async def all_of(source: Source) -> list[Item]:
    async with source.open() as stream:
        return [item async for item in stream]


def ids(items: Sequence[Item]) -> list[str]:
    return [item.id for item in items if isinstance(item, Endpoint)]


def test_counts_begin_at_zero() -> None:
    """Before anything is read, nothing was."""
    assert source_of().counts == Counts(0, 0, 0)


async def test_everything_in_its_order(tmp_path: Path) -> None:
    """The command line comes first, then each file with its own lines; origins say where from."""
    one, two = tmp_path / "one.txt", tmp_path / "two.csv"
    one.write_bytes(b"\xef\xbb\xbf# list\r\n1.1.1.2\r\n\r\n1.1.1.1\r\nbad name\r\n1.1.1.3")
    two.write_text("address,tier\n1.1.1.4,gold\n")
    source = source_of(one, two, targets=["1.1.1.1"])
    items = await all_of(source)
    assert ids(items) == [f"smtp://1.1.1.{host}:25" for host in (1, 2, 3, 4)]
    assert [(item.origin.input, item.origin.line) for item in items] == [
        ("1.1.1.1", None),
        ("1.1.1.2", 2),
        ("1.1.1.1", 4),
        ("bad name", 5),
        ("1.1.1.3", 6),
        ("1.1.1.4,gold", 2),
    ]
    assert items[-1].origin.tags == {"tier": "gold"}
    assert [item.reason for item in items if isinstance(item, Rejection)] == [Reason.DUPLICATE, Reason.INVALID]
    assert source.counts == Counts(blank=3, expanded=4, rejected=2)
    assert source.counts.lines == 9


async def test_names_are_resolved_side_by_side(tmp_path: Path) -> None:
    """Names go through the DNS together; every one of them arrives, and each line is counted."""
    path = tmp_path / "names.txt"
    path.write_text("".join(f"{name}\n" for name in ZONE) + "absent.example.org\n1.1.1.1\n")
    async with name_server(ZONE) as server:
        source = source_of(path, resolver=Resolver(server.servers, lifetime_s=1, attempt_s=0.5))
        items = await all_of(source)
    assert sorted(ids(items)) == sorted(
        [f"smtp://mx{number}.example.org:25@1.1.1.1" for number in range(50)] + ["smtp://1.1.1.1:25"]
    )
    assert items[0].origin.input == "1.1.1.1"  # it waits for no name
    assert sorted(item.reason for item in items if isinstance(item, Rejection)) == ["dns_timeout", "nxdomain"]
    assert source.counts == Counts(blank=0, expanded=51, rejected=2)


class SlowResolver(Resolver):
    """Answers when it is told to, and notes how many names wait at once."""

    def __init__(self) -> None:
        super().__init__()
        self.go = trio.Event()
        self.waiting = 0

    async def resolve(self, name: str) -> Resolution:
        self.waiting += 1
        await self.go.wait()
        self.waiting -= 1
        return Resolution((IPv4Address("1.1.1.1"),))


async def test_no_more_names_at_once_than_allowed() -> None:
    """The next name waits for its turn; what was found before does not wait for it."""
    resolver = SlowResolver()
    targets = ["1.1.1.1", *(f"mx{number}.example.org" for number in range(10)), "1.1.1.2"]
    async with source_of(targets=targets, resolver=resolver, max_resolving=3).open() as stream:
        first = await anext(stream)
        await trio.testing.wait_all_tasks_blocked()
        assert ids([first]) == ["smtp://1.1.1.1:25"]
        assert resolver.waiting == 3
        resolver.go.set()
        assert len([item async for item in stream]) == 11


async def test_a_consumer_that_stops_holds_up_the_reading() -> None:
    """Nothing is read beyond what one consumer has taken, one batch, and one line."""
    reading, writing = os.pipe()
    os.write(writing, b"1.0.0.0/8\nnot a target\n")
    os.close(writing)
    source = source_of("-", stdin=reading)
    async with source.open() as stream:
        taken = [await anext(stream) for _ in range(3 * BATCH)]
        await trio.testing.wait_all_tasks_blocked()
        assert source.counts == Counts(expanded=1)
    assert len(set(ids(taken))) == 3 * BATCH
    os.close(reading)


async def test_a_pipe_is_scanned_as_it_is_written() -> None:
    """A line is an endpoint as soon as its newline is there, and leaving does not wait for the next."""
    reading, writing = os.pipe()
    async with source_of("-", stdin=reading).open() as stream:
        os.write(writing, b"1.1.1.1\n1.1.")
        assert ids([await anext(stream)]) == ["smtp://1.1.1.1:25"]
        os.write(writing, b"1.2\n")
        assert ids([await anext(stream)]) == ["smtp://1.1.1.2:25"]
    os.close(writing)


async def test_leaving_while_names_are_resolved() -> None:
    """Leaving cancels the questions that are under way; their lines were not read to the end and do not count."""
    source = source_of(targets=["mx.example.org"], resolver=SlowResolver())
    async with source.open():
        await trio.testing.wait_all_tasks_blocked()
    assert source.counts.lines == 0


async def test_cancelling_the_consumer() -> None:
    """A deadline around the consumer ends it with the reading."""
    reading, writing = os.pipe()
    with trio.move_on_after(0.01) as scope:
        await all_of(source_of("-", stdin=reading))
    assert scope.cancelled_caught
    os.close(writing)


async def test_the_consumers_own_error() -> None:
    """What the consumer raises comes out as it is, not in a group."""

    async def consume() -> None:
        async with source_of(targets=["1.0.0.0/8"]).open() as stream:
            raise KeyError(await anext(stream))

    with pytest.raises(KeyError):
        await consume()


async def test_an_input_that_cannot_be_read(tmp_path: Path) -> None:
    """What was read before is handed over, then the stream ends in the error."""
    path = tmp_path / "one.txt"
    path.write_text("1.1.1.1\n")
    async with source_of(path, tmp_path / "gone.txt").open() as stream:
        assert ids([await anext(stream)]) == ["smtp://1.1.1.1:25"]
        with pytest.raises(InputError, match="no such file"):
            await anext(stream)


async def test_no_name_server() -> None:
    """Without a name server, the first name ends the stream, and says what to do."""
    with pytest.raises(NoNameServersError, match="--resolver"):
        await all_of(source_of(targets=["1.1.1.1", "mx.example.org", "1.1.1.2"]))


async def test_localhost_is_blocked_after_it_is_resolved() -> None:
    """localhost needs no name server, and is loopback."""
    (first, second) = await all_of(source_of(targets=["localhost"]))
    assert isinstance(first, Rejection)
    assert isinstance(second, Rejection)
    assert [first.address, second.address] == ["127.0.0.1", "::1"]


async def test_inputs_of_several_forms(tmp_path: Path) -> None:
    """Each input has the form that it has, and all of them together are one stream."""
    packed, xml, csv = tmp_path / "list", tmp_path / "scan", tmp_path / "domains"
    packed.write_bytes(zstd_packed(b"#masscan\nopen tcp 25 1.1.1.1 1\nclosed tcp 25 1.1.1.2 1\n# end\n"))
    port = "<port protocol='tcp' portid='25'><state state='open'/></port>"
    xml.write_text(f"<nmaprun><host><address addr='1.1.1.1' addrtype='ipv4'/>{port}</host></nmaprun>")
    csv.write_text("domain,x\nexample.org,\n")
    source = source_of(packed, xml, csv, targets=["mx:example.net"])
    items = await all_of(source)
    assert ids(items) == ["smtp://1.1.1.1:25"]
    assert sorted(item.reason for item in items if isinstance(item, Rejection)) == ["duplicate", "invalid", "invalid"]
    assert source.counts == Counts(blank=4, expanded=1, rejected=3)


async def test_the_form_that_is_named(tmp_path: Path) -> None:
    """The form is that of inputs; a target of the command line is always text."""
    path = tmp_path / "list"
    path.write_text("1,1.1.1.2\n1.1.1.3\n")
    source = source_of(path, targets=["1.1.1.1"], rules=Rules(Format.TRANCO))
    assert ids(await all_of(source)) == ["smtp://1.1.1.1:25", "smtp://1.1.1.2:25"]
    assert source.counts == Counts(blank=0, expanded=2, rejected=1)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"1.1.1.1,a\n", r"list: the first line is no CSV header"),
        (gzip_packed(b"host,x\n1.1.1.1,\n")[:-1], r"list: the gzip data are cut off"),
    ],
)
async def test_an_input_that_is_not_of_its_form(tmp_path: Path, content: bytes, why: str) -> None:
    """What was read before is handed over, then the stream ends in the error."""
    path = tmp_path / "list"
    path.write_bytes(content)
    stream_of = source_of(path, targets=["1.1.1.2"], rules=Rules(Format.CSV))
    items = list[Item]()
    with pytest.raises(InputError, match=why):  # noqa: PT012
        async with stream_of.open() as stream:
            async for item in stream:
                items.append(item)
    assert ids(items) == ["smtp://1.1.1.2:25", "smtp://1.1.1.1:25"][: 1 + content.startswith(b"\x1f")]


async def test_where_a_document_breaks_off(tmp_path: Path) -> None:
    """The error names the line, and the ports before it are scanned."""
    path = tmp_path / "scan.xml"
    content = (SAMPLES / "masscan.xml").read_bytes()
    path.write_bytes(content.replace(b"192.0.2.", b"1.1.1.")[: content.index(b"<runstats>")])
    items = list[Item]()
    with pytest.raises(InputError, match=r"scan\.xml:10: not well-formed XML"):  # noqa: PT012
        async with source_of(path).open() as stream:
            async for item in stream:
                items.append(item)
    assert len(ids(items)) == 5


async def test_the_seed_decides_the_stream(tmp_path: Path) -> None:
    """The same seed, the same stream; and it ends with each address of the network."""
    path = tmp_path / "networks"
    path.write_text("1.1.1.0/25\n1.1.1.0/24\n")
    streams = [ids(await all_of(source_of(path, seed=seed))) for seed in (1, 1, 2)]
    assert streams[0] == streams[1] != streams[2]
    assert set(streams[0]) == set(streams[2]) == {f"smtp://1.1.1.{host}:25" for host in range(256)}


ANY_INPUT = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [
                b"",
                b"# x",
                b"1.1.1.1",
                b"1.1.1.0/28",
                b"10.0.0.1",
                b"localhost",
                b"host,address,a",
                b"a.example,1.1.1.1,x",
            ]
        ),
    ).map(lambda line: line.replace(b"\n", b"")),
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ANY_INPUT, st.booleans())
async def test_every_line_is_counted_once(tmp_path: Path, lines: list[bytes], is_ended: bool) -> None:
    """Lines are blank, expanded or rejected, whatever they hold, and a rejected one has said why."""
    path = tmp_path / "any.txt"
    path.write_bytes(b"1.1.1.9\n" + b"\n".join(lines) + b"\n" * is_ended)
    source = source_of(path, resolver=FoundNothing())
    items = await all_of(source)
    content = path.read_bytes()
    assert source.counts.lines == content.count(b"\n") + (not content.endswith(b"\n"))
    expanded = {item.origin.line for item in items if isinstance(item, Endpoint)}
    rejected = {item.origin.line for item in items if isinstance(item, Rejection)} - expanded
    assert (len(expanded), len(rejected)) == (source.counts.expanded, source.counts.rejected)


LINES = {
    Format.TEXT: [b"1.1.1.1", b"1.1.1.0/28", b"a b", b"mx:example.org", b"# x", b""],
    Format.CSV: [b"1.1.1.1,25", b"localhost,", b",", b"# x", b'"', b"1.1.1.1,0"],
    Format.JSONL: [
        b'{"address": "1.1.1.1"}',
        b'{"domain": "example.org"}',
        b"{}",
        b"",
        b"[]",
        b'{"host": "localhost"}',
    ],
    Format.TRANCO: [b"1,1.1.1.1", b"2,localhost", b"rank,domain", b"x", b"3,"],
    Format.ZMAP: [b"1.1.1.1", b"1.1.1.2", b"", b"x", b"10.0.0.1"],
    Format.MASSCAN: [b"open tcp 25 1.1.1.1 1", b"closed tcp 25 1.1.1.1 1", b"open tcp 25 x 1", b"#masscan", b"open"],
    Format.NMAP: [b"Host: 1.1.1.1 ()\tPorts: 25/open/tcp////", b"Host: 1.1.1.1 ()\tStatus: Up", b"# Nmap", b"x"],
    Format.ZGRAB2: [b"1.1.1.1,localhost", b",localhost", b"1.1.1.0/28,,t", b",,", b"1,2,3,4,5"],
}
OF_ONE_FORM = st.sampled_from(list(Format)).flatmap(
    lambda form: st.tuples(st.just(form), st.lists(st.sampled_from(LINES[form]), max_size=9))
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OF_ONE_FORM, st.sampled_from([gzip_packed, zstd_packed, bytes]), st.booleans())
async def test_every_line_of_every_form_is_counted_once(
    tmp_path: Path, content: tuple[Format, list[bytes]], pack: Callable[[bytes], bytes], is_named: bool
) -> None:
    """Lines are blank, expanded or rejected in every form, recognised or named, however it is packed."""
    form, lines = content
    head = [b"host,port"] if form is Format.CSV else []
    path = tmp_path / "any"
    path.write_bytes(pack(b"".join(line + b"\n" for line in head + lines)))
    source = source_of(path, resolver=FoundNothing(), rules=Rules(form if is_named else None))
    items = await all_of(source)
    assert source.counts.lines == len(head + lines)
    expanded = {item.origin.line for item in items if isinstance(item, Endpoint)}
    rejected = {item.origin.line for item in items if isinstance(item, Rejection)} - expanded
    assert (len(expanded), len(rejected)) == (source.counts.expanded, source.counts.rejected)


class FoundNothing(Resolver):
    """Every name is blocked."""

    async def resolve(self, name: str) -> Resolution:
        return await super().resolve("localhost")
