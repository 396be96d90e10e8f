"""Reads the outputs of shards: which files are one output; is each record one, does it belong there, is it there once?

That an endpoint is there once is known by hashes of 64 bits (`targets/seen.py`), of one output at a time: each has what
falls to its shard and nothing else.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from scanner.record import SCHEMA, Record
from scanner.resume import Part, ResumeError, lines_of, parts_of, unknown_addresses
from scanner.run_record import check_run
from scanner.shards import MergeError, Shard, shard_of
from targets.archive import ArchiveError
from targets.seen import KeySet

NO_RECORD = (LookupError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, slots=True)
class Row:
    """The files of one output."""

    path: str  # of the first
    parts: tuple[Part, ...]

    def lines(self) -> Iterator[tuple[bytes, str]]:
        """The whole lines of all, each with where it stands. Raises MergeError."""
        for part in self.parts:
            number = 0
            try:
                for number, line in enumerate(lines_of(part), 1):
                    yield line, f"{part.path}:{number}"
            except (OSError, ArchiveError, ResumeError) as error:
                raise MergeError(f"{part.path}: behind line {number}: {error}") from error

    def first(self) -> Record:
        """The first record, which tells what they are; empty where there is no whole line. Raises MergeError."""
        line, where = next(self.lines(), (b"{}", ""))
        return read_record(line, where)

    @property
    def torn_bytes(self) -> int:
        """At the end of the last file that has anything."""
        return sum(part.torn_bytes for part in self.parts)


def read_record(line: bytes, where: str) -> Record:
    """What a line says. Raises MergeError for what is no record."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise no_record(where) from error
    if not isinstance(record, dict):
        raise no_record(where)
    return record


def no_record(where: str) -> MergeError:
    return MergeError(f"{where}: this line is no record of schema {SCHEMA}")


def rows_of(paths: Sequence[str]) -> list[Row]:
    """The outputs that are named. A further file of one, named besides, is none of its own. Raises MergeError."""
    rows: dict[str, Row] = {}
    for path in paths:
        if path in rows:
            raise MergeError(f"{path} is named twice")
        if not os.path.isfile(path):
            raise MergeError(f"{path}: {'it is no file' if os.path.exists(path) else 'there is no such file'}")
        rows[path] = _row(path)
    further = {part.path for row in rows.values() for part in row.parts[1:]}
    return [row for path, row in rows.items() if path not in further]


def _row(path: str) -> Row:
    """Up to a file that is called as if it went on, and begins a run of its own."""
    try:
        parts = parts_of(path)
    except ResumeError as error:
        raise MergeError(str(error)) from error
    for number, part in enumerate(parts[1:], 1):
        if Row(part.path, (part,)).first().get("event") == "start":
            return Row(path, tuple(parts[:number]))
    return Row(path, tuple(parts))


@dataclass(slots=True)
class Named:
    """The endpoints that mail domains have to hear of, and how many domains there are that have to."""

    endpoints: KeySet = field(default_factory=KeySet)
    domains: int = 0

    def note(self, domain: Record) -> None:
        """Take in a domain of which something is not known."""
        self.domains += 1
        for endpoint in endpoints_of(domain):
            self.endpoints.add(endpoint.encode())

    def __contains__(self, endpoint: str) -> bool:
        return bool(self.domains) and endpoint.encode() in self.endpoints


def endpoints_of(domain: Record) -> Iterator[str]:
    """The ids of the endpoints of a mail domain."""
    hosts = [*domain["mx"], *(each for targets in (domain["srv"] or {}).values() for each in targets or ())]
    return (endpoint for host in hosts for endpoint in host["endpoints"])


def knows_all(domain: Record) -> bool:
    """Has a domain's record the status of each of its endpoints?"""
    return next(unknown_addresses(domain), None) is None


def begun_shard(row: Row) -> Shard:
    """The shard of an output, by its first record. Raises MergeError."""
    first = row.first()
    if not first:
        raise MergeError(f"{row.path}: it has no whole line")
    try:
        return shard_of(row.path, first)
    except NO_RECORD as error:
        raise no_record(f"{row.path}:1") from error


def read_shard(shard: Shard, row: Row, named: Named) -> None:
    """Read an output to its end. Raises MergeError for what is no record, or does not belong there."""
    reading = _Reading(shard, named)
    for line, where in row.lines():
        record = read_record(line, where)
        try:
            reading.take(record, where)
        except NO_RECORD as error:
            raise no_record(where) from error
    shard.torn_bytes = row.torn_bytes


class _Reading:
    """An output that is being read."""

    def __init__(self, shard: Shard, named: Named) -> None:
        self.shard = shard
        self._named = named
        self._seen = KeySet()

    def take(self, record: Record, where: str) -> None:
        """Note a record. Raises MergeError, and KeyError and the like for what is none."""
        if record["run_id"] != self.shard.run_id:
            raise MergeError(f"{where}: this record is of another run, {record['run_id']}")
        self.shard.is_ended = False
        match record["type"]:
            case "endpoint":
                self._check_once(record, self.shard.share.has_address(record["address"]), where)
                self.shard.endpoints[_text(record["status"])] += 1
            case "domain":
                self._check_once(record, self.shard.share.has_name(record["domain"]), where)
                _text(record["status"])
                self.shard.domains += 1
                if not knows_all(record):
                    self._named.note(record)
            case "rejected":
                self.shard.rejected[_text(record["reason"])] += 1
            case "run":
                self._take_run(record)
            case other:
                raise ValueError(other)

    def _take_run(self, record: Record) -> None:
        check_run(record)
        self.shard.is_ended = record["event"] == "end"
        (self.shard.ends if self.shard.is_ended else self.shard.starts).append(record)

    def _check_once(self, record: Record, is_own: bool, where: str) -> None:
        _text(record["id"])
        if not is_own:
            raise MergeError(f"{where}: {record['id']} does not belong to shard {self.shard.name}")
        if not self._seen.add(f"{record['type']} {record['id']}".encode()):
            raise MergeError(f"{where}: {record['id']} is there twice")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
