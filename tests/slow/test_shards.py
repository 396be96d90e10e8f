"""One run, and the same in shards that are joined: the same records, whoever scanned what. And what joining takes."""

import subprocess
import sys
from collections.abc import Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest

from scanner.output import Output
from targets.prefixes import Prefixes
from targets.shares import Share
from tests.peers.command import FAST, Done, tlsweep
from tests.peers.nameserver import Zone, name_server
from tests.peers.survey import records_of_row
from tests.scanner import test_merge as synthetic
from tests.slow.test_mail_domains import CA, Fleet, fleet, zone

SHARDS = 3
NAMES = [
    *("good.test", "shared.test", "half.test", "plain.test", "rolled.test", "null.test", "implicit.test", "odd.test"),
    *("nothing.test", "gone.test", "inside.test", "unsigned.insecure", "wide.test", "alias-of.test", "anchored.test"),
]
# What every run has of its own; and of an endpoint that several lines name, which of them was looked up first.
OWN = {"run_id", "started", "duration_ms", "timings_ms", "looks"}
ORIGIN = {"input", "line", "tags"}
EACH = Prefixes(32, 48)  # each address is a network by itself

Record = dict[str, Any]


def world(servers: Fleet) -> Zone:
    """As that of other tests, with hosts that have addresses in several shards, and a domain that is an alias."""
    good, also = "127.50.1.1", "127.50.1.2"
    tlsa = f"_{servers.port}._tcp"
    return {
        **zone(servers),
        "wide.test": {"MX": ["10 wide-mx.test."]},
        "wide-mx.test": {"A": [good, also, "127.50.1.3", "127.50.1.4", "127.50.1.5"]},
        f"{tlsa}.wide-mx.test": {"TLSA": [f"3 1 1 {servers.key}"]},
        "alias-of.test": {"CNAME": ["shared.test."]},
        "anchored.test": {"MX": ["10 named-mx.test."]},
        "named-mx.test": {"A": [good, also]},
        f"{tlsa}.named-mx.test": {"TLSA": [f"2 0 1 {'ab' * 32}", f"3 1 1 {'cd' * 32}"]},
    }


async def scanned(path: Path, servers: Fleet, resolver: int, output: Path, *options: str) -> Done:
    """A run over all domains, some hosts and lines that are left out."""
    source, trust = path / "in.txt", path / "ca.pem"
    lines = [*(f"mx:{name}:{servers.port}" for name in NAMES), "mx:good.test", "", "no host!", "10.1.1.1", "127.50.1.7"]
    # A host without TLSA records: one with some may be over, on a busy machine, before a domain asks what matches.
    lines += [f"smtp://mx2.test:{servers.port}", "smtp://127.50.1.0/29", "smtp://127.50.1.1", lines[0]]
    source.write_text("".join(f"{line}\n" for line in lines))
    trust.write_bytes(CA.cert_pem.bytes())
    done = await tlsweep(
        "scan",
        *(*FAST, "--versions", "1.2,1.3", "--services", "smtp", "--network-prefixes", "32,48", "--per-address", "0"),
        *("--input", str(source), "--trust", str(trust), "--resolver", f"127.0.0.1:{resolver}"),
        *("--output", str(output), *options),
    )
    assert (done.code, done.errors.replace("[info", "").count("[")) == (0, 0), done.errors
    return done


def known(records: Sequence[Record], kind: str) -> dict[str, Record]:
    """The records of one kind by their ids, without what every run has of its own."""
    own = [record for record in records if record["type"] == kind]
    left = OWN if kind == "domain" else OWN | ORIGIN
    found = {record["id"]: {name: value for name, value in record.items() if name not in left} for record in own}
    assert len(found) == len(own)
    return found


def left_out(records: Sequence[Record]) -> list[tuple[str, ...]]:
    """The rejections."""
    own = [record for record in records if record["type"] == "rejected"]
    names = ("reason", "input", "line", "address", "count")
    return sorted(tuple(str(each[name]) for name in names) for each in own)


@pytest.mark.parametrize(("ending", "processes"), [(".jsonl", "1"), (".jsonl.zst", "3")])
async def test_one_run_and_three_shards(tmp_path: Path, ending: str, processes: str) -> None:
    """The same endpoints, domains with all that depends on them, rejections, certificates and counts."""
    whole, joined = tmp_path / f"whole{ending}", tmp_path / f"joined{ending}"
    shards = [tmp_path / f"shard{number}{ending}" for number in range(1, SHARDS + 1)]
    async with fleet(tmp_path) as servers, name_server(world(servers)) as dns:
        dns.validates = True
        await scanned(tmp_path, servers, dns.port, whole, "--certificates", str(tmp_path / "whole-certificates.jsonl"))
        for number, path in enumerate(shards, 1):
            more = ("--certificates", str(tmp_path / f"certificates{number}.jsonl"), "--shard", f"{number}/{SHARDS}")
            await scanned(tmp_path, servers, dns.port, path, *more, "--processes", processes)
        before = records_of_row(shards[1])
        await scanned(  # what has come to its end has nothing left to do
            tmp_path,
            *(servers, dns.port, shards[1], "--certificates", str(tmp_path / "certificates2.jsonl")),
            *("--shard", f"2/{SHARDS}", "--resume"),
        )
    again = records_of_row(shards[1])
    assert [each["type"] for each in again[len(before) :]] == ["run", "run"]
    done = await tlsweep(
        "merge", *map(str, shards), *(str(tmp_path / f"certificates{number}.jsonl") for number in range(1, SHARDS + 1)),
        "--certificates", str(tmp_path / "certificates.jsonl"), "-o", str(joined), "--log-format", "json",
    )  # fmt: skip
    assert done.code == 0, done.errors
    assert "warning" not in done.errors
    one, all_of = records_of_row(whole), records_of_row(joined)
    parts = [records_of_row(path) for path in shards]
    assert all(known(records, "endpoint") for records in parts)
    hosts = [mx for records in parts for each in known(records, "domain").values() for mx in each["mx"]]
    assert any(None in mx["statuses"] for mx in hosts)
    assert known(all_of, "domain") == known(one, "domain")
    assert known(all_of, "endpoint") == known(one, "endpoint")
    assert left_out(all_of) == left_out(one)
    ours, theirs = all_of[-1], one[-1]
    assert all_of[0]["run_id"] == ours["run_id"]
    for name in ("complete", "lines", "rejected", "endpoints", "connections", "certificates"):
        assert ours[name] == theirs[name], name
    assert ours["domains"] == theirs["domains"]
    certificates = [records_of_row(tmp_path / f"{name}.jsonl") for name in ("certificates", "whole-certificates")]
    assert len({each["sha256"] for each in certificates[0]}) == len(certificates[0])
    assert {each["sha256"] for each in certificates[0]} == {each["sha256"] for each in certificates[1]}


async def test_what_a_shard_says_of_a_domain(tmp_path: Path) -> None:
    """What it does not know it holds against nobody: it has no result, and no finding, that the whole has not."""
    async with fleet(tmp_path) as servers, name_server(world(servers)) as dns:
        dns.validates = True
        await scanned(tmp_path, servers, dns.port, tmp_path / "whole.jsonl")
        one = known(records_of_row(tmp_path / "whole.jsonl"), "domain")
        for of in (2, 5):
            for number in range(1, of + 1):
                output = tmp_path / f"shard{number}of{of}.jsonl"
                await scanned(tmp_path, servers, dns.port, output, "--shard", f"{number}/{of}")
                records = records_of_row(output)
                assert (records[0]["shard"], records[0]["seed"]) == (f"{number}/{of}", 0)
                for name, record in known(records, "domain").items():
                    assert {each["id"] for each in record["findings"]} <= {each["id"] for each in one[name]["findings"]}
                    for mx in record["mx"]:
                        unknown = [
                            not Share(number, of, EACH).has_address(each.rpartition("@")[2]) for each in mx["endpoints"]
                        ]
                        assert [status is None for status in mx["statuses"]] == unknown
                    for policy in ("dane", "mta_sts"):
                        ours, theirs = record["policy"][policy], one[name]["policy"][policy]
                        assert (ours is None) == (theirs is None)
                        assert set(ours["results"] if ours else ()) <= set(theirs["results"] if theirs else ())


async def test_another_shard_is_refused_by_name(tmp_path: Path) -> None:
    """An output is gone on with by its own shard alone."""
    async with fleet(tmp_path) as servers, name_server(world(servers)) as dns:
        await scanned(tmp_path, servers, dns.port, tmp_path / "out.jsonl", "--shard", "1/2")
        options = ("--input", str(tmp_path / "in.txt"), "-o", str(tmp_path / "out.jsonl"), "--resume")
        for shard, shown in ((("--shard", "2/2"), '"2/2"'), ((), "null")):
            done = await tlsweep("scan", *FAST, *options, *shard)
            assert done.code == 2
            assert f'shard was "1/2" and is {shown}' in " ".join(done.errors.split())


ENDPOINTS, DOMAINS = 100_000, 5_000  # of each of two shards
MOST_MB = 40  # above what it takes to join next to nothing
JOIN = """
import sys
from scanner.merge import Merge, merge
merge(Merge(tuple(sys.argv[1:-1]), sys.argv[-1]))
print(open("/proc/self/status").read())
"""


def test_joining_takes_little_memory(tmp_path: Path) -> None:
    """Endpoints of 1.5 KB each, and domains that each name one of their own shard and one of the other."""
    few = [str(large(tmp_path / f"few{index}.jsonl.gz", index, 10, 1)) for index in (1, 2)]
    many = [str(large(tmp_path / f"many{index}.jsonl.gz", index, ENDPOINTS, DOMAINS)) for index in (1, 2)]
    least_mb = joined(few, tmp_path / "few.jsonl.gz")
    most_mb = joined(many, tmp_path / "many.jsonl.gz")
    told = records_of_row(tmp_path / "many.jsonl.gz")[-1]
    assert (told["endpoints"]["recorded"], told["domains"]["status"]) == (2 * ENDPOINTS, {"all_tls": 2 * DOMAINS})
    assert most_mb - least_mb < MOST_MB, (least_mb, most_mb)


def joined(paths: list[str], output: Path) -> float:
    """Join these in a process of its own; MB at its peak (which `getrusage` would have of its parent, too)."""
    told = subprocess.run([sys.executable, "-c", JOIN, *paths, str(output)], stdout=subprocess.PIPE, check=True)
    (peak,) = (line for line in told.stdout.decode().splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) / 1024


def large(path: Path, index: int, endpoints: int, domains: int) -> Path:
    """The output of one shard of two."""
    ours, theirs = addresses(index, endpoints), addresses(3 - index, endpoints)
    names = (name for number in count() if Share(index, 2).has_name(name := f"d{number}.test"))
    with path.open("wb") as file:
        output = Output(file.fileno(), path=str(path))
        output.write(synthetic.lines([{**synthetic.start(index), "shard": f"{index}/2"}]))
        for begin in range(0, endpoints, 1_000):
            some = ours[begin : begin + 1_000]
            output.write(synthetic.lines(synthetic.endpoint(index, each, filler="x" * 1_400) for each in some))
        step = endpoints // domains
        pairs = zip(names, ours[::step], theirs[::step], strict=False)
        made = [synthetic.domain(index, name, *both) for name, *both in pairs]
        for each in made:
            each["mx"][0]["statuses"] = ["tls", None]
        output.write(synthetic.lines([*made, synthetic.end(index)]))
    return path


def addresses(index: int, number: int) -> list[str]:
    """So many that fall to a shard of two."""
    every = (f"20.{each >> 16}.{each >> 8 & 255}.{each & 255}" for each in count())
    return list(islice(filter(Share(index, 2).has_address, every), number))
