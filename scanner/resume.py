"""What an output holds already: read back, so that a run goes on where an earlier part of it was killed or stopped.

    survey.jsonl, survey.1.jsonl, …  ──▶ whole lines ──▶ what is recorded ──▶ what is left out of the source
                     the last one └──▶ where the whole lines end: the rest of it is cut off

What is recorded is known by hashes of 64 bits (`targets/seen.py`), 12 to 24 bytes for each endpoint, domain and
rejection; beside them, the results of endpoints that a mail domain may still ask for (`domains.py`).
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from scanner.chain import Unseen
from scanner.config import Config, shown_shard
from scanner.domains import Domains
from scanner.endpoint_result import recorded_result
from scanner.output import Packing, packing_of, part_path
from scanner.record import SCHEMA, Record
from scanner.run_record import check_start
from targets.archive import ArchiveError, Unpacker, whole_bytes
from targets.seen import KeySet
from targets.shares import WHOLE, Share
from targets.target import Endpoint, MailDomain, Origin, Rejection, endpoint_named

BLOCK_BYTES = 1_048_576
MOST_LINE_BYTES = 67_108_864  # no record is nearly as long; what packs a few zeros may unpack to more than there is
_KINDS = {Packing.GZIP: "gzip", Packing.ZSTD: "zstd"}

# Which settings may differ between the parts of a run: they change how fast it goes, and how its files are cut, and
# nothing that is asked or written. All others have to be the same.
MAY_DIFFER = frozenset({"limits", "dns_limits", "rotate", "processes"})


class ResumeError(Exception):
    """An output that cannot be gone on with; nothing of it was changed. The message is a sentence to act on."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of an output. What is behind its whole lines was torn off by the end of an earlier part of the run."""

    path: str
    whole_bytes: int
    torn_bytes: int


class Recorded:
    """What is recorded. `joined` gets the results of endpoints that a mail domain may ask for.

    `share`: what of the input the run has; what a domain has elsewhere, it does not wait for.
    """

    def __init__(self, joined: Domains, share: Share = WHOLE) -> None:
        self.joined = joined
        self._share = share
        self.certificates_seen = Unseen()
        self.first: Record = {}  # the record of the start
        self.endpoints = self.domains = self.rejected = self.certificates = 0
        self._keys = KeySet()
        self._repeated = KeySet()

    @property
    def counts(self) -> dict[str, int]:
        """How many records of each kind there are."""
        return {
            "endpoints": self.endpoints,
            "domains": self.domains,
            "rejected": self.rejected,
            "certificates": self.certificates,
        }

    @property
    def nbytes(self) -> int:
        """What it takes to know them."""
        return self._keys.nbytes + self._repeated.nbytes

    def take(self, record: Record) -> None:
        """Note a record. Raises KeyError and ValueError for what is none."""
        match record["type"]:
            case "endpoint":
                self._take_endpoint(record)
            case "domain":
                self._take_domain(record)
            case "rejected":
                self.rejected += 1
                _add_once_more(self._keys, record["line"], record["input"], record["reason"], record["address"])
            case "certificate":
                self.certificates += 1
                self.certificates_seen.note(record["sha256"])
            case "run":
                pass
            case other:
                raise ValueError(other)

    def _take_endpoint(self, record: Record) -> None:
        self.endpoints += 1
        self._keys.add(b"endpoint " + record["id"].encode())
        self.joined.recall(record["id"], record["host"], record["service"], recorded_result(record))

    def _take_domain(self, record: Record) -> None:
        self.domains += 1
        self.joined.announce()
        self._keys.add(b"domain " + record["id"].encode())
        if record["status"] != "error" and not any(map(self._share.has_address, unknown_addresses(record))):
            self._keys.add(b"whole " + record["id"].encode())

    def has_endpoint(self, endpoint: Endpoint) -> bool:
        """Is it not to be scanned again?"""
        return b"endpoint " + endpoint.id.encode() in self._keys

    def has_domain(self, domain: MailDomain) -> bool:
        """Has it its record?"""
        return b"domain " + domain.id.encode() in self._keys

    def is_whole(self, domain: MailDomain) -> bool:
        """Has it its record, and all of its endpoints have theirs? Then nobody need be asked about it again."""
        return b"whole " + domain.id.encode() in self._keys

    def repeats(self, rejection: Rejection) -> bool:
        """Is this one recorded? Of several that are alike, so many as are recorded."""
        origin = rejection.origin
        key = _add_once_more(self._repeated, origin.line, origin.input, rejection.reason, rejection.address)
        return key in self._keys


def unknown_addresses(domain: Record) -> Iterator[str]:
    """The addresses of the endpoints that a domain's record does not know the status of."""
    hosts = [*domain["mx"], *(each for targets in (domain["srv"] or {}).values() for each in targets or ())]
    for host in hosts:
        for endpoint, status in zip(host["endpoints"], host["statuses"], strict=True):
            if status is None:
                yield endpoint_named(endpoint, Origin(domain["input"])).address


def _add_once_more(keys: KeySet, line: int | None, text: str, reason: str, address: str | None) -> bytes:
    """Put in a rejection with the number of those before it that were the same."""
    number = 0
    while not keys.add(key := f"rejected {number} {line} {reason} {address} {text}".encode()):
        number += 1
    return key


def read_back(path: str, recorded: Recorded) -> list[Part]:
    """Note what an output holds, in one file or a row of them; none where no record is whole. Raises ResumeError.

    Only the last file that has anything may be torn.
    """
    parts = parts_of(path)
    for part in parts:
        _take_all(part, recorded)
    return parts if recorded.first else []


def read_certificates(path: str, recorded: Recorded) -> list[Part]:
    """The same for a file of certificates."""
    if not os.path.exists(path):
        raise ResumeError(f"{path}: the certificates of the earlier part of the run are gone")
    parts = parts_of(path)
    for part in parts:
        _take_all(part, recorded)
    return parts


def differences(first: Record, config: Config) -> list[str]:
    """What was set otherwise when the run began, each by its name."""
    then: dict[str, Any] = {**first["settings"], "hello_name": first["hello_name"], "shard": first["shard"]}
    outside = {"hello_name": config.hello_name, "shard": shown_shard(config.shard)}
    now = orjson.loads(orjson.dumps({**config.settings(), **outside}))
    then["seed"], now["seed"] = first["seed"], first["seed"] if config.seed is None else config.seed
    names = [name for name in {**then, **now} if name not in MAY_DIFFER and then.get(name) != now.get(name)]
    return [f"{name} was {_shown(then.get(name))} and is {_shown(now.get(name))}" for name in names]


def _shown(value: Any) -> str:
    return orjson.dumps(value).decode()


def parts_of(path: str) -> list[Part]:
    """The files of an output, in their order; none where there is no file. Raises ResumeError."""
    parts = [_part(each) for each in _row(path)]
    written = [part for part in parts if part.whole_bytes or part.torn_bytes]
    if torn := next((part for part in written[:-1] if part.torn_bytes), None):
        raise ResumeError(
            f"{torn.path}: it is cut off at byte {torn.whole_bytes:,}, and another file goes on behind it"
        )
    return parts


def _row(path: str) -> Iterator[str]:
    number = 0
    while os.path.exists(each := part_path(path, number)):
        yield each
        number += 1


def _part(path: str) -> Part:
    try:
        size = os.path.getsize(path)
        whole = _whole_members(path, size) if packing_of(path) else _end_of_lines(path, size)
    except OSError as error:
        raise ResumeError(f"{path}: {error.strerror}") from error
    except ArchiveError as error:
        raise ResumeError(f"{path}: {error}") from error
    return Part(path, whole, size - whole)


def _whole_members(path: str, size: int) -> int:
    """Behind the last member or frame that is whole; where one is torn, zeros may stand in place of the rest of it."""
    kind = _KINDS[packing_of(path)]
    try:
        return whole_bytes(_blocks(path, size), kind)
    except ArchiveError:
        if not (zeros := _zeros_at_end(path, size)):
            raise
        return whole_bytes(_blocks(path, size - zeros), kind)


def _zeros_at_end(path: str, size: int) -> int:
    zeros = 0
    for block in _blocks(path, size):
        rest = len(block) - len(block.rstrip(b"\0"))
        zeros = zeros + rest if rest == len(block) else rest
    return zeros


def _end_of_lines(path: str, size: int) -> int:
    """Behind the last newline; it is looked for from the end."""
    with open(path, "rb") as file:
        end = size
        while end:
            begin = max(0, end - BLOCK_BYTES)
            file.seek(begin)
            if newline := file.read(end - begin).rfind(b"\n") + 1:
                return begin + newline
            end = begin
    return 0


def _blocks(path: str, size: int) -> Iterator[bytes]:
    """The first `size` bytes of a file."""
    with open(path, "rb") as file:
        while size and (block := file.read(min(size, BLOCK_BYTES))):
            size -= len(block)
            yield block


def lines_of(part: Part) -> Iterator[bytes]:
    """The whole lines of a file, unpacked. Raises ResumeError, ArchiveError and OSError."""
    blocks: Iterable[bytes] = _blocks(part.path, part.whole_bytes)
    if packing_of(part.path):
        unpacker = Unpacker()
        blocks = (piece for block in blocks for piece in unpacker.feed(block))
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
        if len(rest) > MOST_LINE_BYTES:
            raise ResumeError(f"{part.path}: a line is longer than {MOST_LINE_BYTES:,} bytes")
    if rest:
        raise ResumeError(f"{part.path}: its last line is not whole, though what packs it is")


def _take_all(part: Part, recorded: Recorded) -> None:
    number = 0
    try:
        for line in lines_of(part):
            number += 1
            record = orjson.loads(line)
            _check_run(record, part.path, recorded)
            recorded.take(record)
    except (OSError, ArchiveError) as error:
        raise ResumeError(f"{part.path}: {error}") from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ResumeError(f"{part.path}:{number}: this line is no record of schema {SCHEMA}") from error


def _check_run(record: Record, path: str, recorded: Recorded) -> None:
    """The first record is that of the start, and all others are of the same run."""
    if not recorded.first:
        if (record["type"], record.get("event"), record["schema"]) != ("run", "start", SCHEMA):
            raise ResumeError(f"{path}: it does not begin with the record of a run, in schema {SCHEMA}")
        check_start(record)
        recorded.first = record
    if record["run_id"] != recorded.first["run_id"]:
        raise ResumeError(f"{path}: it has records of another run, {record['run_id']}: move it out of the way")
