"""What an output holds is read back: whole lines and nothing else, wherever the end of it was torn off."""

import os
from collections.abc import Callable, Iterable
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from scanner.config import Config
from scanner.connection import Timeouts
from scanner.domains import Domains
from scanner.limits import Limits
from scanner.output import Output, OutputClosed, packing_of, part_path
from scanner.question import Wanted
from scanner.record import new_run_id
from scanner.resume import MAY_DIFFER, Recorded, ResumeError, differences, read_back
from scanner.sink import Sink
from scanner.tls.names import Version
from targets.prefixes import Prefixes
from targets.resolving.limits import DnsLimits
from targets.rules import Format, Rules
from targets.services import SERVICES
from targets.shares import Share
from targets.target import Endpoint, MailDomain, Origin, Reason, Rejection

RUN_ID = new_run_id(1_795_464_000)
NAMES = ("out.jsonl", "out.jsonl.gz", "out.jsonl.zst")


def start(**more: Any) -> dict[str, Any]:
    """The first record, as far as it is read back."""
    settings = {**orjson.loads(orjson.dumps(Config().settings())), **more}
    facts = {"settings": settings, "hello_name": None, "seed": 7, "shard": None}
    return {"type": "run", "event": "start", "schema": 1, "run_id": RUN_ID, **facts}


def endpoint(number: int, **more: Any) -> dict[str, Any]:
    """The record of an endpoint, as far as it is read back."""
    own = endpoint_of(number)
    more = {"status": "tls", "certificate": {"results": ["certificate-expired"]}, **more}
    return {"type": "endpoint", "run_id": RUN_ID, "id": own.id, "host": own.host, "service": "smtp", **more}


def endpoint_of(number: int) -> Endpoint:
    """The endpoint of that record."""
    return Endpoint(Origin("x"), f"mx{number}.test", "192.0.2.1", 25, SERVICES["smtp"])


def rejection(line: int, text: str = "x") -> dict[str, Any]:
    """What was left out."""
    return {"type": "rejected", "run_id": RUN_ID, "line": line, "input": text, "reason": "blocked", "address": None}


def lines(records: Iterable[dict[str, Any]]) -> list[bytes]:
    """As they are written."""
    return [orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records]


def write(path: Path, groups: Iterable[list[bytes]], most_bytes: int | None = None) -> list[int]:
    """Write groups of lines as a sink does; where the file ends behind each."""
    with path.open("wb") as file:
        output = Output(file.fileno(), path=str(path), most_bytes=most_bytes)
        ends = []
        for group in groups:
            output.write(b"".join(group))
            ends.append(path.stat().st_size)
        output.sync()
    return ends


def read(path: Path) -> tuple[Recorded, int]:
    """What is recorded, and how many bytes of the last file are whole."""
    recorded = Recorded(Domains())
    parts = read_back(str(path), recorded)
    return recorded, parts[-1].whole_bytes if parts else 0


SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=5)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data(), sizes=SIZES)
def test_any_cut(name: str, data: st.DataObject, sizes: list[int]) -> None:
    """Cut at any byte, an output has all lines that were whole, and no other; behind them it can be gone on with."""
    every = lines([start(), *map(endpoint, range(sum(sizes)))])
    groups = [every[:1], *(every[end - size + 1 : end + 1] for size, end in zip(sizes, accumulate(sizes), strict=True))]
    with TemporaryDirectory() as directory:
        path = Path(directory) / name
        ends = write(path, groups)
        cut = data.draw(st.integers(0, ends[-1]))
        tail = data.draw(st.sampled_from([b"", b"\0", bytes(5_000)]))  # what a file system had not written
        content = path.read_bytes()
        path.write_bytes(content[:cut] + tail)
        if packing_of(name):
            zeros = len(content[cut : cut + len(tail)]) - len(content[cut : cut + len(tail)].lstrip(b"\0"))
            cut += zeros  # a member may end with zeros, which are then in their place
            whole = sum(map(len, groups[: sum(end <= cut for end in ends)]), 0)
            at = max((end for end in ends if end <= cut), default=0)
        else:
            line_ends = list(accumulate(map(len, every)))
            whole = sum(end <= cut for end in line_ends)
            at = max((end for end in line_ends if end <= cut), default=0)
        recorded, whole_bytes = read(path)
        assert (recorded.endpoints, whole_bytes) == (max(0, whole - 1), at)
        assert [recorded.has_endpoint(endpoint_of(number)) for number in range(sum(sizes))] == [
            number < whole - 1 for number in range(sum(sizes))
        ]


@pytest.mark.parametrize("name", NAMES)
def test_a_row_of_files(tmp_path: Path, name: str) -> None:
    """Rotation loses nothing; each file keeps to its size where a group does, and all are read back as one."""
    every = lines([start(), *map(endpoint, range(200))])
    path = tmp_path / name
    write(path, ([line] for line in every), most_bytes=3_000)
    row = [Path(part_path(str(path), number)) for number in range(len(list(tmp_path.iterdir())))]
    assert sorted(row) == sorted(tmp_path.iterdir())
    assert len(row) > 3
    assert all(each.stat().st_size <= 3_000 for each in row)
    assert read(path)[0].endpoints == 200
    with row[-1].open("rb+") as file:
        file.truncate(row[-1].stat().st_size - 1)
    recorded, _ = read(path)
    assert recorded.endpoints == 199


def test_names_of_files() -> None:
    """The number stands before what names end with."""
    for name, second in (
        ("survey.jsonl", "survey.2.jsonl"),
        ("survey.jsonl.gz", "survey.2.jsonl.gz"),
        ("a.b/survey", "a.b/survey.2"),
        ("survey.zst", "survey.2.zst"),
    ):
        assert (part_path(name, 0), part_path(name, 2)) == (name, second)


def test_a_row_that_is_torn_in_its_middle(tmp_path: Path) -> None:
    """That is no cut, and is not mended by leaving out what is behind it."""
    path = tmp_path / "out.jsonl"
    write(path, ([line] for line in lines([start(), *map(endpoint, range(20))])), most_bytes=2_000)
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size - 1)
    with pytest.raises(ResumeError, match="another file goes on behind it"):
        read(path)


def test_a_file_is_not_overwritten_by_the_next_of_a_row(tmp_path: Path) -> None:
    """Whatever it is, it is not of this run."""
    path = tmp_path / "out.jsonl"
    (tmp_path / "out.1.jsonl").write_text("kept")
    with pytest.raises(OutputClosed, match=r"out.1.jsonl cannot be written: File exists"):
        write(path, ([line] for line in lines([start(), *map(endpoint, range(20))])), most_bytes=2_000)
    assert (tmp_path / "out.1.jsonl").read_text() == "kept"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a file\n", r"out.jsonl:1: this line is no record"),
        (b'{"type":"endpoint","schema":1}\n', "does not begin with the record of a run"),
        (b"".join(lines([start() | {"schema": 99}])), "in schema 1"),
        (b"".join(lines([start() | {"settings": "none"}])), r"out.jsonl:1: this line is no record"),
        (b"".join(lines([start() | {"seed": None}])), r"out.jsonl:1: this line is no record"),
        (b"".join(lines([start(), endpoint(1) | {"run_id": "other"}])), "records of another run, other"),
        (b"".join(lines([start(), {"type": "endpoint", "run_id": RUN_ID}])), r"out.jsonl:2: this line is no record"),
        (b"".join(lines([start(), {"type": "song", "run_id": RUN_ID}])), r"out.jsonl:2: this line is no record"),
    ],
)
def test_what_is_no_output(tmp_path: Path, content: bytes, why: str) -> None:
    """It is refused, and not taken for the torn end of one."""
    path = tmp_path / "out.jsonl"
    path.write_bytes(content)
    with pytest.raises(ResumeError, match=why):
        read(path)


@pytest.mark.parametrize("name", NAMES[1:])
def test_packed_data_that_are_corrupt(tmp_path: Path, name: str) -> None:
    """A flipped bit is no cut either."""
    path = tmp_path / name
    ends = write(path, [lines([start()]), lines(map(endpoint, range(50)))])
    content = bytearray(path.read_bytes())
    content[(ends[0] + ends[1]) // 2] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(ResumeError, match="corrupt"):
        read(path)
    path.write_bytes(b"".join(lines([start()])))
    with pytest.raises(ResumeError, match="corrupt"):
        read(path)


@pytest.mark.parametrize("name", NAMES)
def test_a_line_without_end(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file may unpack to a line that no memory holds: so far it is not followed."""
    monkeypatch.setattr("scanner.resume.MOST_LINE_BYTES", 100_000)
    path = tmp_path / name
    write(path, [lines([start()]), [b"x" * 2_000_000 + b"\n"]])
    with pytest.raises(ResumeError, match=r"out.jsonl.*: a line is longer than 100,000 bytes"):
        read_back(str(path), Recorded(Domains()))


def test_domains_are_known_by_what_is_asked_of_them() -> None:
    """One that has its record is known; nobody asks again about one of which all is known."""
    recorded = Recorded(Domains())
    whole, half = MailDomain(Origin("x"), "a.test"), MailDomain(Origin("x"), "b.test", 2525, srv=True)
    ids = [f"smtp://mx.test:25@192.0.{number}.1" for number in (2, 3)]
    host = {"endpoints": ids, "statuses": ["tls", "no_tls"]}
    recorded.take({"type": "domain", "id": whole.id, "status": "some_tls", "mx": [host], "srv": None})
    srv = {"imaps": None, "imap": [host, {"endpoints": ids[:1], "statuses": [None]}]}
    recorded.take({"type": "domain", "id": half.id, "input": "x", "status": "inconclusive", "mx": [host], "srv": srv})
    assert (recorded.has_domain(whole), recorded.is_whole(whole)) == (True, True)
    assert (recorded.has_domain(half), recorded.is_whole(half)) == (True, False)
    assert not recorded.has_domain(MailDomain(Origin("x"), "b.test", srv=True))
    assert recorded.counts == {"endpoints": 0, "domains": 2, "rejected": 0, "certificates": 0}


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_a_domain_of_a_shard_waits_for_no_other(address: str) -> None:
    """What falls to other shards has no status there, and the domain is whole all the same."""
    domain = MailDomain(Origin("x"), "a.test")
    place = f"[{address}]" if ":" in address else address
    host = {"endpoints": [f"smtp://mx.test:25@{place}"], "statuses": [None]}
    record = {"type": "domain", "id": domain.id, "input": "x", "status": "inconclusive", "mx": [host], "srv": None}
    mine = [Share(number, 4).has_address(address) for number in (1, 2, 3, 4)]
    found = []
    for number in (1, 2, 3, 4):
        recorded = Recorded(Domains(), Share(number, 4))
        recorded.take(record)
        found.append(recorded.is_whole(domain))
    assert found == [not each for each in mine]
    assert sum(mine) == 1


def test_rejections_are_not_repeated() -> None:
    """Of those that are alike, so many are left out as are recorded."""
    recorded = Recorded(Domains())
    for line in (1, 1, 2):
        recorded.take(rejection(line))
    again = [Rejection(Origin("x", line), Reason.BLOCKED, "why") for line in (1, 1, 1, 2, 3)]
    assert [recorded.repeats(each) for each in again] == [True, True, False, True, False]


def test_what_an_endpoint_came_to_is_known_to_domains() -> None:
    """Its status and the words of its certificate are in its record."""
    recorded = Recorded(Domains())
    recorded.take(endpoint(1))
    recorded.take(endpoint(2, status="no_tls", certificate=None))
    first, second, third = (recorded.joined.result(endpoint_of(number)) for number in (1, 2, 3))
    assert first is not None
    assert second is not None
    assert (first.status, first.certificate) == ("tls", ("certificate-expired",))
    assert (second.status, second.certificate, third) == ("no_tls", None, None)


def test_it_takes_few_bytes() -> None:
    """As many as what was seen takes."""
    recorded = Recorded(Domains())
    for number in range(20_000):
        recorded.take(endpoint(number, host=None))
    assert recorded.nbytes / 20_000 <= 24


# A value of each setting that is not the default one.
OTHERS: dict[str, Config] = {
    "targets": Config(targets=("192.0.2.1",)),
    "inputs": Config(inputs=("other.txt",)),
    "format": Config(rules=Rules(Format.CSV)),
    "mx": Config(rules=Rules(mx=True)),
    "srv": Config(rules=Rules(srv=True)),
    "ipv6_most": Config(rules=Rules(ipv6_most=3)),
    "services": Config(services=(SERVICES["https"],)),
    "versions": Config(wanted=Wanted((Version.TLS1_3,))),
    "allow": Config(allow=()),
    "exclude": Config(exclude=("list.txt",)),
    "trust_ad": Config(trust_ad=True),
    "network_prefixes": Config(prefixes=Prefixes(20, 48)),
    "processes": Config(processes=7),
    "limits": Config(limits=Limits(rate=3)),
    "dns_limits": Config(dns_limits=DnsLimits(3)),
    "timeouts": Config(timeouts=Timeouts(reply_s=3)),
    "retries": Config(retries=7),
    "trust": Config(trust="ca.pem"),
    "der": Config(der=True),
    "policy": Config(with_policies=False),
    "certificates": Config(certificates="certificates.jsonl"),
    "rotate": Config(rotate_bytes=10),
    "test_injection": Config(wanted=Wanted(test_injection=True)),
    "probes": Config(wanted=Wanted(probes=("groups",))),
    "economical": Config(wanted=Wanted(economical=True)),
}


def test_the_table_of_settings_is_whole() -> None:
    """Whoever adds a setting says here whether it may differ."""
    assert OTHERS.keys() == Config().settings().keys()
    assert OTHERS.keys() >= MAY_DIFFER


@pytest.mark.parametrize("name", OTHERS)
def test_what_differs_is_told_by_its_name(name: str) -> None:
    """All that changes what is asked or written, and nothing else."""
    first = start() if name != "allow" else start(allow=["192.0.2.0/24"])
    told = differences(first, OTHERS[name])
    assert [each.split()[0] for each in told] == ([] if name in MAY_DIFFER else [name])


def test_facts_that_differ() -> None:
    """So are the name in EHLO, and a seed that is named; without one, the seed is that of the start."""
    assert differences(start(), Config(seed=7)) == []
    assert differences(start(), Config(seed=8)) == ["seed was 7 and is 8"]
    assert differences(start(), Config(hello_name="a.test")) == ['hello_name was null and is "a.test"']
    assert differences(start() | {"shard": "1/2"}, Config()) == ['shard was "1/2" and is null']
    assert differences(start(tomorrow=1), Config()) == ["tomorrow was 1 and is null"]


async def at_once(write: Callable[..., None], *arguments: Any, abandon_on_cancel: bool) -> None:
    """In place of a thread, for which the jumping clock would not wait."""
    write(*arguments)


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_put_is_synced_within_five_seconds(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Whether much comes or little, and whether it is packed or not."""
    put: list[float] = []  # when, of those that are not on the disk
    late: list[float] = []

    def fdatasync(_: int) -> None:
        late.extend(trio.current_time() - at for at in put)
        put.clear()

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    monkeypatch.setattr(trio.to_thread, "run_sync", at_once)
    with (tmp_path / name).open("wb") as file:
        sink = Sink(Output(file.fileno(), path=name))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.run)
            for number in range(300):
                sink.put({"number": number, "filler": "x" * (0, 30_000)[number % 2]})
                put.append(trio.current_time())
                await trio.sleep((0.0, 0.1, 0.3, 2.1, 7.0, 3.9)[number // 50])
            sink.close()
    assert (len(late), put) == (300, [])
    assert max(late) <= 5
