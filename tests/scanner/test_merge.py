"""Outputs of shards → one output: what is joined, and what is refused without a trace."""

import errno
import gzip
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from scanner import merge as module
from scanner.config import Config
from scanner.merge import Merge, merge
from scanner.output import Output, OutputClosed, part_path
from scanner.record import new_run_id
from scanner.shards import MergeError, joined_end
from targets.shares import Share
from tests.conftest import InvalidRecordError, validate
from tests.peers.command import tlsweep
from tests.peers.survey import records_of_row

OF = 3
Record = dict[str, Any]
Change = Callable[[list[list[Record]]], object]


def head(index: int, kind: str) -> Record:
    """What each record of a shard has."""
    run_id = new_run_id(1_795_464_000 + index)[:10] + f"{index:016}"
    return {"type": kind, "schema": 1, "run_id": run_id}


def start(index: int) -> Record:
    """The first record of a shard."""
    settings = orjson.loads(orjson.dumps(Config(inputs=("/data/in.txt",)).settings()))
    facts = {
        "tlsweep": "0.1.0",
        "tls_library": "OpenSSL 4.0.3",
        "settings": settings,
        "trust_store": None,
        "resolvers": ["192.0.2.53:53", f"192.0.2.{index}:53"],
        "source_addresses": [f"192.0.2.{index}"],
        "hello_name": "scan.test",
        "seed": 0,
        "shard": f"{index}/{OF}",
    }
    return {**head(index, "run"), "event": "start", "time": f"2026-11-28T18:00:0{index}.000Z", **facts}


def end(index: int, **more: Any) -> Record:
    """The last one."""
    counts = {
        "complete": True,
        "lines": {"read": 13, "blank": 2, "expanded": 3, "rejected": index % 2, "other_shards": 8 - index % 2},
        "rejected": {"invalid": 1},
        "endpoints": {
            "taken": 4,
            "recorded": 4,
            "unfinished": 0,
            "given_up": 1,
            "left_out": 0,
            "other_shards": 6,
            "status": {},
        },
        "domains": {"recorded": 1, "unfinished": 0, "left_out": 0, "status": {}},
        "connections": 10 * index,
        "answered": 8 * index,
        "errors": {"connect": {"refused": index}, "tls": {"reset": index}},
        "hello_name_resolves": True if index < 3 else None,
        "dns": {"queries": 5, "tcp": 1, "silences": 0, "set_aside": 0},
        "certificates": None,
        "learnt": {
            "addresses_slowed": 60,
            "networks_slowed": 50,
            "events": {"rate_limited": 50, "closed": 0, "reset": index, "silence": 0},
            "networks": [
                {"network": f"30.{index}.{each}.0/24", "events": 1, "interval_s": float(60 - each)}
                for each in range(50)
            ],
        },
        "duration_s": 60.0,
    }
    return {**head(index, "run"), "event": "end", "time": f"2026-11-28T18:01:0{index}.000Z", **counts, **more}


def addresses(index: int) -> list[str]:
    """The first four that fall to a shard, each in a network of its own."""
    share = Share(index, OF)
    return [each for number in range(200) if share.has_address(each := f"20.0.{number}.1")][:4]


def names(index: int) -> list[str]:
    """The first two mail domains that do."""
    share = Share(index, OF)
    return [each for number in range(200) if share.has_name(each := f"d{number}.test")][:2]


def endpoint(index: int, address: str, **more: Any) -> Record:
    """The record of an endpoint, as far as it is looked at."""
    identity = {"id": f"smtp://mx.test:25@{address}", "host": "mx.test", "address": address, "service": "smtp"}
    return {**head(index, "endpoint"), **identity, "status": "tls", "certificate": {"results": []}, **more}


def domain(index: int, name: str, *hosts: str) -> Record:
    """A mail domain whose MX host has these addresses; what is elsewhere is not known."""
    share = Share(index, OF)
    statuses = ["tls" if share.has_address(each) else None for each in hosts]
    mx = {
        "host": "mx.test",
        "preference": 10,
        "dns": "ok",
        "dnssec": "insecure",
        "addresses": list(hosts),
        "endpoints": [f"smtp://mx.test:25@{each}" for each in hosts],
        "statuses": statuses,
        "tlsa": None,
        "tlsa_base": None,
        "in_sts_policy": None,
    }
    return {
        **head(index, "domain"),
        "input": f"mx:{name}",
        "line": 1,
        "tags": {},
        "id": f"mx:{name}:25",
        "domain": name,
        "status": "inconclusive" if None in statuses else "all_tls",
        "dnssec": "insecure",
        "canonical": None,
        "implicit_mx": False,
        "mx": [mx],
        "srv": None,
        "findings": [],
        "dns": {"mx": "ok", "mta_sts": "nodata", "tls_rpt": "nodata", "srv": None},
        "policy": {"dane": None, "mta_sts": None, "tls_rpt": None},
    }


def rejected(index: int) -> Record:
    """A line that was left out."""
    own = {"input": "no host!", "line": index, "tags": {}, "address": None, "reason": "invalid", "detail": "x"}
    return {**head(index, "rejected"), **own, "count": None}


def outputs() -> list[list[Record]]:
    """Those of three shards: of each, endpoints, a domain that is whole, one that is not, and a line left out."""
    made = []
    for index in range(1, OF + 1):
        own, (one, two) = addresses(index), names(index)
        other = addresses(index % OF + 1)[0]
        endpoints = [endpoint(index, each) for each in own]
        domains = [domain(index, one, *own[:2]), domain(index, two, own[0], other)]
        made.append([start(index), *endpoints[:2], *domains, rejected(index), *endpoints[2:], end(index)])
    return made


def lines(records: Iterable[Record]) -> bytes:
    """As they are written."""
    return b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)


def written(directory: Path, every: Sequence[list[Record]], name: str = "s{}.jsonl") -> list[str]:
    """The outputs as files; packed as their names say."""
    paths = []
    for number, records in enumerate(every, 1):
        path = directory / name.format(number)
        with path.open("wb") as file:
            Output(file.fileno(), path=str(path)).write(lines(records))
        paths.append(str(path))
    return paths


def of_type(records: Iterable[Record], kind: str) -> list[Record]:
    """Those of one kind."""
    return [record for record in records if record["type"] == kind]


@pytest.mark.parametrize("name", ["s{}.jsonl", "s{}.jsonl.gz", "s{}.jsonl.zst"])
def test_the_whole(tmp_path: Path, name: str) -> None:
    """Every record once, in the order of the shards, as of one run; domains that lacked something come last.

    They lack it no more. The counts are those of the records, and the sums of the rest.
    """
    paths = written(tmp_path, outputs(), name)
    output = tmp_path / name.format("-all")
    told = merge(Merge((paths[2], paths[0], paths[1]), str(output)))
    records = records_of_row(output)
    first, *body, last = records
    validate(first)
    validate(last)
    assert last == told
    assert {record["run_id"] for record in records} == {first["run_id"]}
    assert first["run_id"] not in {record[0]["run_id"] for record in outputs()}
    expected = [each for index in (1, 2, 3) for each in addresses(index)]
    assert [record["address"] for record in of_type(body, "endpoint")] == expected
    found = of_type(body, "domain")
    assert [each["domain"] for each in found] == [names(index)[which] for which in (0, 1) for index in (1, 2, 3)]
    assert {each["status"] for each in found} == {"all_tls"}
    assert [mx["statuses"] for each in found for mx in each["mx"]] == [["tls", "tls"]] * 6
    assert [record["line"] for record in of_type(body, "rejected")] == [1, 2, 3]
    assert (first["shard"], first["time"], first["seed"], first["hello_name"]) == (
        None,
        "2026-11-28T18:00:01.000Z",
        0,
        "scan.test",
    )
    assert first["resolvers"] == ["192.0.2.53:53", "192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53"]
    assert [(part["shard"], part["output"]) for part in first["merged"]] == [
        (f"{index}/3", paths[index - 1]) for index in (1, 2, 3)
    ]
    assert last["lines"] == {"read": 13, "blank": 2, "expanded": 9, "rejected": 2}
    counts = {"taken": 12, "recorded": 12, "unfinished": 0, "given_up": 3, "left_out": 0}
    assert last["endpoints"] == {**counts, "status": {"tls": 12}}
    assert last["domains"] == {"recorded": 6, "unfinished": 0, "left_out": 0, "status": {"all_tls": 6}}
    assert (last["rejected"], last["connections"], last["dns"]["queries"]) == ({"invalid": 3}, 60, 15)
    assert (last["answered"], last["errors"]) == (48, {"connect": {"refused": 6}, "tls": {"reset": 6}})
    assert last["hello_name_resolves"]
    learnt = last["learnt"]
    assert (learnt["networks_slowed"], learnt["events"]["reset"], len(learnt["networks"])) == (150, 6, 100)
    assert [each["interval_s"] for each in learnt["networks"][:4]] == [60.0, 60.0, 60.0, 59.0]
    assert (last["complete"], last["duration_s"], last["certificates"]) == (True, 62.0, None)


def test_the_same_twice(tmp_path: Path) -> None:
    """The same outputs give the same bytes, in whichever order they are named."""
    paths = written(tmp_path, outputs())
    for output, order in (("a", paths), ("b", paths[::-1])):
        merge(Merge(tuple(order), str(tmp_path / output)))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_rows_of_files(tmp_path: Path) -> None:
    """An output that was rotated is one, also where all of its files are named.

    Where a file goes on by its name alone, it is another.
    """
    every = outputs()
    for index, records in enumerate(every, 1):
        (tmp_path / f"s{index}.jsonl").write_bytes(lines(records[:3]))
        for number, part in enumerate((records[3:5], records[5:]), 1):
            Path(part_path(str(tmp_path / f"s{index}.jsonl"), number)).write_bytes(lines(part))
    named = sorted(map(str, tmp_path.iterdir()))
    assert len(named) == 9
    merge(Merge(tuple(named), str(tmp_path / "all")))
    merge(Merge(tuple(written(tmp_path, every, "x{}.jsonl")), str(tmp_path / "also")))
    assert lines(records_of_row(tmp_path / "all")[1:]) == lines(records_of_row(tmp_path / "also")[1:])
    others = tmp_path / "others"
    others.mkdir()
    chained = [others / each for each in ("y.jsonl", "y.1.jsonl", "y.2.jsonl")]
    for path, records in zip(chained, every, strict=True):
        path.write_bytes(lines(records))
    merge(Merge(tuple(map(str, chained)), str(tmp_path / "too")))
    assert lines(records_of_row(tmp_path / "too")[1:]) == lines(records_of_row(tmp_path / "also")[1:])


def change(path: int, record: int, **more: Any) -> Change:
    """Of this output, this record has other values."""
    return lambda every: every[path][record].update(more)


def setting(name: str, value: Any) -> Change:
    """The second shard had another setting."""
    return lambda every: every[1][0]["settings"].update({name: value})


NO = dict[str, Any]
STRANGER = addresses(1)[0]
REFUSED: list[tuple[Change, str]] = [
    (lambda every: every.pop(), "no output is of shard 3/3"),
    (lambda every: [every.pop(), every.pop()], "no output is of shard 2/3, 3/3"),
    (lambda every: every.append([dict(each) for each in every[0]]), "s1.jsonl and {}/s4.jsonl are both shard 1/3"),
    (change(1, 0, shard="2/4"), "is shard 2/4, and {}/s1.jsonl is 1/3"),
    (change(1, 0, shard=None), "s2.jsonl: it is of a whole run, and not of a shard"),
    (change(1, 0, shard=None, merged=[]), "s2.jsonl: it was joined already"),
    (setting("retries", 5), "s2.jsonl cannot be joined with {}/s1.jsonl: retries was 5 and not 2"),
    (setting("network_prefixes", [24, 64]), "network_prefixes was [24,64] and not [24,48]"),
    (setting("inputs", ["/data/other.txt"]), 'inputs was ["other.txt"] and not ["in.txt"]'),
    (change(1, 0, seed=7), "seed was 7 and not 0"),
    (change(1, 0, schema=2), "does not begin with the record of a run, in schema 1"),
    (lambda every: every[1].pop(0), "does not begin with the record of a run"),
    (lambda every: every[1].pop(), "s2.jsonl: its run has no end"),
    (change(1, -1, complete=False), "s2.jsonl: its run was stopped"),
    (lambda every: every[1].append(every[1][0] | {"event": "resume"}), "s2.jsonl: its run has no end"),
    (lambda every: every[1].insert(4, every[1][1]), f"s2.jsonl:5: smtp://mx.test:25@{addresses(2)[0]} is there twice"),
    (lambda every: every[1].insert(6, every[1][3]), f"s2.jsonl:7: mx:{names(2)[0]}:25 is there twice"),
    (lambda every: every[1].insert(3, endpoint(2, STRANGER)), f"25@{STRANGER} does not belong to shard 2/3"),
    (lambda every: every[1].insert(3, domain(2, names(1)[0])), f"mx:{names(1)[0]}:25 does not belong to shard 2/3"),
    (lambda every: every[1].insert(3, every[0][1]), "s2.jsonl:4: this record is of another run"),
    (lambda every: every[1].insert(3, {**head(2, "endpoint")}), "s2.jsonl:4: this line is no record of schema 1"),
    (lambda every: every[1].insert(3, {**head(2, "other")}), "s2.jsonl:4: this line is no record of schema 1"),
    (
        lambda every: every[1].insert(3, {**endpoint(2, addresses(2)[0]), "address": None}),
        "s2.jsonl:4: this line is no record",
    ),
    (lambda every: every[1].clear(), "s2.jsonl: it has no whole line"),
    (
        lambda every: every[1][-1]["lines"].update(read=14, other_shards=9),
        "s2.jsonl and {}/s1.jsonl are of inputs that differ: they had 14 lines (2 blank) and 13 (2 blank)",
    ),
]


@pytest.mark.parametrize(("what", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_what_is_refused(tmp_path: Path, what: Change, why: str) -> None:
    """With a message that names the file and what is wrong; nothing is written, and what is there stays."""
    every, output = outputs(), tmp_path / "all.jsonl"
    output.write_text("mine\n")
    what(every)
    paths = written(tmp_path, every)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(MergeError) as refused:
        merge(Merge(tuple(paths), str(output)))
    assert why.format(tmp_path) in str(refused.value)
    assert (output.read_text(), sorted(os.listdir(tmp_path))) == ("mine\n", before)


@pytest.mark.parametrize("name", ["s{}.jsonl", "s{}.jsonl.gz"])
def test_a_torn_end(tmp_path: Path, name: str) -> None:
    """It is refused by its name; --incomplete leaves out what is torn, and says so."""
    paths = written(tmp_path, outputs(), name)
    with open(paths[1], "ab") as file:
        file.write(gzip.compress(b'{"type"')[:12] if name.endswith("gz") else b'{"type"')
    with pytest.raises(MergeError, match="its end is torn off"):
        merge(Merge(tuple(paths), str(tmp_path / "all")))
    with capture_logs() as logs:
        told = merge(Merge(tuple(paths), str(tmp_path / "all"), incomplete=True))
    assert told["endpoints"]["recorded"] == 12
    assert any("at its end are torn off" in each["event"] for each in logs)


def test_no_json(tmp_path: Path) -> None:
    """A line that is none is named."""
    paths = written(tmp_path, outputs())
    content = Path(paths[0]).read_bytes().splitlines(keepends=True)
    for line in (b"{\n", b"[]\n", b"\n"):
        Path(paths[0]).write_bytes(b"".join([*content[:2], line, *content[2:]]))
        with pytest.raises(MergeError, match=r"s1\.jsonl:3: this line is no record of schema 1"):
            merge(Merge(tuple(paths), str(tmp_path / "all")))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value in a record, but of long lists only in the first two."""
    parts = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for name, part in parts:
        yield (*path, name)
        yield from places(part, (*path, name))


ODD: list[Any] = [None, -1, 2**63 - 1, "1/0", "1/1000000", [None], {}, ...]


@pytest.mark.parametrize("number", range(len(outputs()[0])))
def test_records_of_any_shape(tmp_path: Path, number: int) -> None:
    """Whatever stands in place of a value, or if it is not there: it is joined or refused, and never a crash."""
    paths = written(tmp_path, outputs())
    came_to, odd_ones = Counter[bool](), cycle(ODD)
    for place in places(outputs()[0][number]):
        for odd in islice(odd_ones, 3):  # of eight: all of them meet each kind of place
            records = outputs()[0]
            *before, last = place
            holder = reduce(lambda value, name: value[name], before, records[number])
            if odd is ...:
                del holder[last]
            else:
                holder[last] = odd
            Path(paths[0]).write_bytes(lines(records))
            is_even = came_to.total() % 2 == 0
            came_to[_is_joined(Merge(tuple(paths), str(tmp_path / "all"), incomplete=is_even))] += 1
    assert came_to[True]
    assert came_to[False]


def _is_joined(job: Merge) -> bool:
    try:
        merge(job)
    except (MergeError, InvalidRecordError):  # what is no text in the record of a domain is none in what is made of it
        return False
    return True


def test_what_cannot_be_joined_is_told_before_all_is_read(tmp_path: Path) -> None:
    """What the first records show: other settings, a shard that is missing or there twice."""
    every = outputs()
    every[1][1:] = [{"type": "no record of mine"}]
    for what, why in ((setting("retries", 5), "retries"), (change(2, 0, shard="2/3"), "both shard 2/3")):
        changed = [[dict(each, settings={**each.get("settings", {})}) for each in records] for records in every]
        what(changed)
        with pytest.raises(MergeError, match=why):
            merge(Merge(tuple(written(tmp_path, changed)), str(tmp_path / "all")))


def test_names_of_files(tmp_path: Path) -> None:
    """An input is never overwritten, nor is an output written that others would be taken for parts of."""
    paths = tuple(written(tmp_path, outputs(), "all.{}.jsonl"))
    (tmp_path / "link.jsonl").symlink_to(paths[0])
    (tmp_path / "mine.partial").hardlink_to(paths[0])
    for path, why in (
        (paths[1], "would overwrite what it is made of"),
        (str(tmp_path / "mine"), "mine.partial: the output would overwrite what it is made of"),
        (str(tmp_path / "link.jsonl"), "would overwrite what it is made of"),
        (str(tmp_path / "all.jsonl"), "would be taken for a further file"),
        (str(tmp_path / "nowhere" / "x"), "No such file or directory"),
    ):
        with pytest.raises(MergeError, match=why):
            merge(Merge(paths, path))
    for inputs, why in (
        ((*paths, paths[0]), "is named twice"),
        ((*paths, str(tmp_path / "none")), "there is no such file"),
        ((*paths, str(tmp_path)), "it is no file"),
        ((), "nothing to join"),
    ):
        with pytest.raises(MergeError, match=why):
            merge(Merge(inputs, str(tmp_path / "x")))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "what",
    [
        setting("limits", {}),
        setting("dns_limits", {}),
        setting("rotate", 4096),
        setting("inputs", ["/elsewhere/in.txt"]),
        setting("certificates", "two.jsonl"),
        change(1, 0, hello_name="other.test"),
        change(1, 0, source_addresses=[]),
    ],
)
def test_what_may_differ(tmp_path: Path, what: Change) -> None:
    """What changes nothing that is asked or written, and what machines have of their own."""
    every = outputs()
    what(every)
    merge(Merge(tuple(written(tmp_path, every)), str(tmp_path / "all")))
    first = records_of_row(tmp_path / "all")[0]
    assert first["hello_name"] == (None if every[1][0]["hello_name"] == "other.test" else "scan.test")


def test_what_is_doubtful_is_told(tmp_path: Path) -> None:
    """Other versions, another trust store, lines that two shards count: joined, with a word."""
    every = outputs()
    every[1][0] |= {"tlsweep": "0.2.0", "trust_store": {"sources": ["x"], "certificates": 1}}
    every[2][-1]["lines"] |= {"expanded": 4, "other_shards": 6}
    with capture_logs() as logs:
        merge(Merge(tuple(written(tmp_path, every)), str(tmp_path / "all")))
    told = [each["event"] for each in logs]
    assert [each.partition(" ")[0] for each in told[:2]] == ["tlsweep", "trust_store"]
    validate(records_of_row(tmp_path / "all")[-1])
    assert told[2] == "of 13 lines the shards count 14: the DNS did not tell all of them the same"


def test_what_is_incomplete(tmp_path: Path) -> None:
    """A shard is missing, one was stopped and one killed: what there is, and that it is not all."""
    every = outputs()
    every[0].pop()
    every[1][-1] |= {"complete": False}
    every[1][-1]["endpoints"]["unfinished"] = 2
    every.pop()
    paths = written(tmp_path, every)
    with capture_logs() as logs:
        told = merge(Merge(tuple(paths), str(tmp_path / "all"), incomplete=True))
    records = records_of_row(tmp_path / "all")
    validate(records[0])
    validate(records[-1])
    assert [each["event"] for each in logs] == [f"{path} is not complete" for path in paths]
    assert (told["complete"], told["endpoints"]["taken"], told["endpoints"]["recorded"]) == (False, 10, 8)
    assert [(part["shard"], part["complete"], part["ended"] is None) for part in records[0]["merged"]] == [
        ("1/3", False, True),
        ("2/3", False, False),
    ]
    assert told["lines"] == {"read": 13, "blank": 2, "expanded": 3, "rejected": 0, "other_shards": 8}
    found = {each["domain"]: each["mx"][0]["statuses"] for each in of_type(records, "domain")}
    assert found[names(1)[1]] == ["tls", "tls"]
    assert found[names(2)[1]] == ["tls", None]


def test_nobody_came_to_an_end(tmp_path: Path) -> None:
    """Where all were killed, what their ends would have told is nought."""
    every = [records[:-1] for records in outputs()]
    told = merge(Merge(tuple(written(tmp_path, every)), str(tmp_path / "all"), incomplete=True))
    validate(told)
    assert (told["complete"], told["connections"], told["lines"]["read"]) == (False, 0, 0)


def test_a_run_in_parts(tmp_path: Path) -> None:
    """A shard that was resumed: its parts' connections are added up, and its lines are those of the last part."""
    every = outputs()
    again = {**start(2), "event": "resume", "recorded": dict.fromkeys(("endpoints", "domains", "rejected"), 0)}
    stopped = end(2, complete=False, connections=7)
    stopped["lines"] = dict.fromkeys(stopped["lines"], 1)
    every[1][3:3] = [stopped, again]
    told = merge(Merge(tuple(written(tmp_path, every)), str(tmp_path / "all")))
    assert (told["connections"], told["lines"]["read"], told["complete"]) == (67, 13, True)
    assert len(of_type(records_of_row(tmp_path / "all"), "run")) == 2


def test_certificates(tmp_path: Path) -> None:
    """Each once, in a file of their own; those of all shards that have some have to be there."""
    every = outputs()
    certificates = []
    for index, records in enumerate(every, 1):
        records[0]["settings"]["certificates"] = f"c{index}.jsonl"
        records[-1]["certificates"] = 2 if index < 3 else 0
        own = [f"{index:064x}", f"{9:064x}"] if index < 3 else []
        certificates.append([{**head(index, "certificate"), "sha256": each} for each in own])
    paths = written(tmp_path, every)
    theirs = written(tmp_path, certificates, "c{}.jsonl")
    output, together = tmp_path / "all.jsonl", tmp_path / "certificates.jsonl.gz"
    told = merge(Merge((*theirs, *paths), str(output), str(together)))
    found = records_of_row(together)
    assert [int(each["sha256"], 16) for each in found] == [1, 9, 2]
    first = records_of_row(output)[0]
    assert {each["run_id"] for each in found} == {first["run_id"]}
    assert (told["certificates"], first["settings"]["certificates"]) == (3, str(together))
    for inputs, target, why in (
        ((*theirs[:1], *paths), str(together), "s2.jsonl: name the file of its certificates, too"),
        ((*theirs[:2], *paths), None, "c1.jsonl: where are the certificates to go"),
        ((*theirs[:2], *paths), str(output), "need a file each"),
        ((*theirs[:2], *paths), theirs[0], "would overwrite"),
    ):
        with pytest.raises(MergeError, match=why):
            merge(Merge(inputs, str(output), target))
    assert merge(Merge((*theirs[:2], *paths), str(output), str(together)))["certificates"] == 3
    Path(theirs[1]).write_bytes(lines(certificates[1][:1]) + b'{"torn')
    with pytest.raises(MergeError, match=r"s2\.jsonl: its run wrote 2 certificates, and 1 are there"):
        merge(Merge((*theirs[:2], *paths), str(output), str(together)))
    assert merge(Merge((*theirs[:2], *paths), str(output), str(together), incomplete=True))["certificates"] == 3
    Path(theirs[1]).write_bytes(lines(each | {"run_id": "x"} for each in certificates[1]))
    with pytest.raises(MergeError, match="its certificates are of another run, x"):
        merge(Merge((*theirs, *paths), str(output), str(together)))


def test_runs_without_certificates(tmp_path: Path) -> None:
    """Where none were written, none can be joined."""
    with pytest.raises(MergeError, match=r"s1\.jsonl: its run wrote no certificates"):
        merge(Merge(tuple(written(tmp_path, outputs())), str(tmp_path / "all"), str(tmp_path / "certificates")))


def test_what_ends_in_the_middle_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a half output nor a trace of one; what was there stays."""
    paths, output = written(tmp_path, outputs()), tmp_path / "all.jsonl"
    output.write_text("mine\n")
    before = sorted(os.listdir(tmp_path))

    def broken(*_: Any) -> Record:
        assert (tmp_path / "all.jsonl.partial").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "joined_end", broken)
    with pytest.raises(KeyboardInterrupt):
        merge(Merge(tuple(paths), str(output)))
    assert (output.read_text(), sorted(os.listdir(tmp_path))) == ("mine\n", before)


def test_no_room_for_what_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full is told, and leaves nothing."""
    paths = tuple(written(tmp_path, outputs()))
    before = sorted(os.listdir(tmp_path))

    def full(**_: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "TemporaryFile", full)
    with pytest.raises(MergeError, match=r"all\.jsonl cannot be written: No space left on device"):
        merge(Merge(paths, str(tmp_path / "all.jsonl")))
    assert sorted(os.listdir(tmp_path)) == before


def test_two_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is refused, and the first ends as it would have."""
    paths, output = written(tmp_path, outputs()), str(tmp_path / "all.jsonl")

    def twice(*arguments: Any) -> Record:
        with pytest.raises(MergeError, match="another command writes to it"):
            merge(Merge(tuple(paths), output))
        return joined_end(*arguments)

    monkeypatch.setattr(module, "joined_end", twice)
    assert merge(Merge(tuple(paths), output))["endpoints"]["recorded"] == 12
    assert len(records_of_row(Path(output))) == 23


async def test_the_command(tmp_path: Path) -> None:
    """To standard output, with what it did in the log; exit status 2 where it refuses, and 3 where it cannot go on."""
    paths = written(tmp_path, outputs())
    done = await tlsweep("merge", *paths, "--log-format", "json")
    records = [json.loads(line) for line in done.output.splitlines()]
    assert (done.code, len(records), len(of_type(records, "endpoint"))) == (0, 23, 12)
    assert json.loads(done.errors)["endpoints"] == 12
    refused = await tlsweep("merge", *paths[1:], "-o", str(tmp_path / "all"))
    assert (refused.code, refused.output) == (2, b"")
    assert "tlsweep: no output is of shard 1/3" in refused.errors
    full = await tlsweep("merge", *paths, "-o", "/dev/full")
    assert full.code == 3
    assert "No space left on device" in full.errors


def test_a_device(tmp_path: Path) -> None:
    """What is no file is written to as it is; one that takes no more is told by its name."""
    paths = tuple(written(tmp_path, outputs()))
    assert merge(Merge(paths, "/dev/null"))["complete"]
    with pytest.raises(OutputClosed, match="the output cannot be written: No space left on device"):
        merge(Merge(paths, "/dev/full"))
    assert not os.path.exists("/dev/null.partial")


def test_records_that_others_wrote(tmp_path: Path) -> None:
    """Outputs that went through another program, with spaces and another order of keys, are joined all the same."""
    every = outputs()
    paths = written(tmp_path, every)
    merge(Merge(tuple(paths), str(tmp_path / "a")))
    for path, records in zip(paths, every, strict=True):
        Path(path).write_text("".join(json.dumps(dict(sorted(record.items()))) + "\n" for record in records))
    merge(Merge(tuple(paths), str(tmp_path / "b")))
    assert records_of_row(tmp_path / "a") == records_of_row(tmp_path / "b")
