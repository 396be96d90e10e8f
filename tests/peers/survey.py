"""A survey that is interrupted: what it has to come to, how it is killed, and whether each thing is there once."""

import gzip
import json
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from scanner.output import Packing, packing_of, part_path
from tests.conftest import validate
from tests.peers.command import FAST, wrapped
from tests.peers.nameserver import Zone

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

POLL_S = 0.002

Moment = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Survey:
    """An input of single endpoints and mail domains that share MX hosts.

    `hosts` are endpoints with a name, all on one address and port; `bare` are addresses with their ports.
    """

    port: int
    address: str  # of the hosts with a name, and the MX hosts
    hosts: int
    bare: tuple[tuple[str, int], ...]
    domains: int
    mx_hosts: int

    @property
    def zone(self) -> Zone:
        """Each domain has two MX hosts; the first of these are hosts of the input, too."""
        mx: dict[str, dict[str, list[str]]] = {
            f"h{number}.test": {"A": [self.address]} for number in range(self.mx_hosts)
        }
        names = [f"h{number}.test." for number in range(self.mx_hosts)]
        for number in range(self.domains):
            first, second = names[number % self.mx_hosts], names[(number * 7 + 1) % self.mx_hosts]
            mx[f"d{number}.test"] = {"MX": [f"10 {first}", f"20 {second}"]}
        return mx

    @property
    def input(self) -> str:
        """CSV, with domains among the rest, and lines that are left out."""
        rows = [f"h{number}.test,{self.address},{self.port},smtp," for number in range(self.hosts)]
        rows += [f",{address},{port},smtp," for address, port in self.bare]
        domains = [f",,{self.port},,d{number}.test" for number in range(self.domains)]
        step = max(1, len(rows) // max(1, len(domains)))
        for number, row in enumerate(domains):
            rows.insert(number * (step + 1), row)
        rows += [rows[-1], "no host!,,,,", ",192.168.1.1,25,smtp,"]
        return "\n".join(["host,address,port,service,domain", *rows, ""])

    @property
    def endpoint_ids(self) -> set[str]:
        """All that has to be there."""
        named = range(max(self.hosts, self.mx_hosts if self.domains else 0))
        return {
            *(f"smtp://h{number}.test:{self.port}@{self.address}" for number in named),
            *(f"smtp://{address}:{port}" for address, port in self.bare),
        }

    @property
    def domain_ids(self) -> set[str]:
        """All that has to be there."""
        return {f"mx:d{number}.test:{self.port}" for number in range(self.domains)}

    def check(self, output: Path, *, hosts_joined: bool = True) -> list[dict[str, Any]]:
        """Every endpoint and every domain is there exactly once, and the last part is complete; its records."""
        records = records_of_row(output)
        for record in random.Random(0).sample(records, min(300, len(records))):
            validate(record)
        assert len({record["run_id"] for record in records}) == 1
        of_run = [record["event"] for record in records if record["type"] == "run"]
        assert (of_run[0], of_run[-1], records[-1]["type"]) == ("start", "end", "run")
        assert records[-1]["complete"]
        endpoints = Counter(record["id"] for record in records if record["type"] == "endpoint")
        domains = Counter(record["id"] for record in records if record["type"] == "domain")
        assert (endpoints, domains) == (Counter(self.endpoint_ids), Counter(self.domain_ids))
        statuses = {record["id"]: record["status"] for record in records if record["type"] == "endpoint"}
        for record in records:
            if record["type"] == "domain" and hosts_joined:
                for mx in record["mx"]:
                    assert mx["statuses"] == [statuses[each] for each in mx["endpoints"]]
        rejected = Counter((record["line"], record["reason"]) for record in records if record["type"] == "rejected")
        assert all(count == 1 for count in rejected.values()), rejected
        return records


def row_of(output: Path) -> list[Path]:
    """The files of an output."""
    row: list[Path] = []
    while (each := Path(part_path(str(output), len(row)))).exists():
        row.append(each)
    return row


def size_of(output: Path) -> int:
    """How many bytes they have."""
    return sum(each.stat().st_size for each in row_of(output))


def records_of_row(output: Path) -> list[dict[str, Any]]:
    """All records of all files, unpacked by the libraries of others."""
    content = b"".join(_unpacked(each) for each in row_of(output))
    assert content.endswith(b"\n")
    return [json.loads(line) for line in content.splitlines()]


def _unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    match packing_of(str(path)):
        case Packing.GZIP:
            return gzip.decompress(content)
        case Packing.ZSTD:
            return zstd.decompress(content)
    return content


@dataclass(frozen=True, slots=True)
class Command:
    """The command that is given again and again."""

    arguments: tuple[str, ...]
    shell: str = "true"

    @classmethod
    def of(cls, survey: Path, output: Path, resolver: int, *more: str, shell: str = "true") -> "Command":
        """For this input, output and port of a name server."""
        files = ("--input", str(survey), "--output", str(output), "--resume")
        return cls(
            (*FAST, *files, "--resolver", f"127.0.0.1:{resolver}", "--per-address", "0", "--no-policy", *more), shell
        )

    async def until(self, moment: Moment, signals: Iterable[int] = (signal.SIGKILL,)) -> int | None:
        """Run it until this moment, and then kill it; its exit status, which is None where it was killed."""
        process = await trio.lowlevel.open_process(
            wrapped(("scan", *self.arguments), shell=self.shell), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            async with trio.open_nursery() as nursery:

                async def wait() -> None:
                    await process.wait()
                    nursery.cancel_scope.cancel()

                nursery.start_soon(wait)
                await moment()
                for number in signals:
                    process.send_signal(number)
        finally:
            process.kill()  # whoever waited in vain for the moment: the output is not to be held any longer
        assert process.returncode is not None
        return process.returncode if process.returncode >= 0 else None

    async def to_its_end(self, within_s: float) -> tuple[int, str]:
        """Run it; its exit status, and what it said."""
        with trio.fail_after(within_s):
            done = await trio.run_process(
                wrapped(("scan", *self.arguments), shell=self.shell),
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
        return done.returncode, done.stderr.decode()


def grown(output: Path, pause_s: float = 0) -> Moment:
    """When the output has grown, and so much later."""

    async def moment() -> None:
        before = size_of(output)
        while size_of(output) <= before:  # noqa: ASYNC110
            await trio.sleep(POLL_S)
        await trio.sleep(pause_s)

    return moment


def passed(seconds: float) -> Moment:
    """So much later."""

    async def moment() -> None:
        await trio.sleep(seconds)

    return moment
