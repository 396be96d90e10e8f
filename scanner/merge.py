"""`tlsweep merge`: the outputs of all shards of a scan → one output, as if it were of one run.

    outputs ──▶ read, each record looked at ──▶ do they belong together? ──▶ read again, and written
                   └──▶ endpoints that mail domains name                        └──▶ these domains, when all is known

First everything is read and nothing written, so that what is refused leaves no trace. Then records go through as they
are, but for their `run_id`. A domain that does not know what one of its endpoints came to waits in a file until the
results of those that domains name are there (`domains.py`), and is made again from its record.
"""

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import TemporaryFile

import orjson
import structlog

from scanner.config import STDOUT, shown_path
from scanner.domain_record import domain_record
from scanner.domains import Domains
from scanner.endpoint_result import recorded_result
from scanner.new_file import NewFile, NewFileError, partial_path
from scanner.output import part_path
from scanner.record import SCHEMA, Record, Recorder
from scanner.recorded_domain import recorded_domain
from scanner.shard_files import (
    NO_RECORD,
    Named,
    Row,
    begun_shard,
    knows_all,
    no_record,
    read_record,
    read_shard,
    rows_of,
)
from scanner.shards import MergeError, Shard, check_together, check_whole, doubts, joined_end, joined_start
from targets.seen import KeySet

_ENDPOINT = b'{"type":"endpoint"'

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Merge:
    """What is to be joined, and where to. `certificates`: a file for those of all files of certificates."""

    inputs: tuple[str, ...]
    output: str = STDOUT
    certificates: str | None = None
    incomplete: bool = False  # also what is not whole


def merge(job: Merge) -> Record:
    """Join outputs; the record of the end. Raises MergeError, and OutputClosed where an output takes no more."""
    rows = rows_of(job.inputs)
    _check_outputs(job, rows)
    of_certificates = [row for row in rows if _has_certificates(row, are_wanted=job.certificates is not None)]
    if not (outputs := [row for row in rows if row not in of_certificates]):
        raise MergeError("nothing to join: name the outputs of all shards")
    read = sorted(((begun_shard(row), row) for row in outputs), key=lambda each: each[0].share.index)
    shards, named = [shard for shard, _ in read], Named()
    check_together(shards, incomplete=job.incomplete)
    for shard, row in read:
        read_shard(shard, row, named)
    if not job.incomplete:
        check_whole(shards)
    _check_certificates(job, shards, of_certificates)
    for doubt in doubts(shards):
        log.warning(doubt)
    try:
        return _write(job, shards, [row for _, row in read], of_certificates, named)
    except NewFileError as error:
        raise MergeError(str(error)) from error
    except OSError as error:  # of the file of what waits, or of the name that the output gets
        raise MergeError(f"{job.output} cannot be written: {error.strerror}") from error


def _has_certificates(row: Row, *, are_wanted: bool) -> bool:
    """Where they are wanted, a file without any may be one of them."""
    first = row.first()
    return first["type"] == "certificate" if "type" in first else are_wanted


def _check_outputs(job: Merge, rows: Sequence[Row]) -> None:
    """Refuse to overwrite what is read, or to write what would be taken for a part of it."""
    parts = [part.path for row in rows for part in row.parts]
    for path in filter(None, (job.output, job.certificates)):
        if path == STDOUT:
            continue
        for touched in (path, partial_path(path)):
            if os.path.exists(touched) and any(os.path.samefile(touched, part) for part in parts):
                raise MergeError(f"{touched}: the output would overwrite what it is made of")
        if os.path.exists(part_path(path, 1)):
            raise MergeError(f"{part_path(path, 1)} would be taken for a further file of {path}: choose another name")
    if job.certificates == STDOUT or (
        job.certificates is not None and os.path.realpath(job.certificates) == os.path.realpath(job.output)
    ):
        raise MergeError("the certificates and the records need a file each")


def _check_certificates(job: Merge, shards: Sequence[Shard], rows: Sequence[Row]) -> None:
    """Are those of all shards there, if they are wanted?"""
    if job.certificates is None:
        if rows:
            raise MergeError(f"{rows[0].path}: where are the certificates to go? name a file with --certificates")
        return
    theirs = {row.first().get("run_id"): row for row in rows}
    for run_id, row in theirs.items():
        if run_id is not None and run_id not in {shard.run_id for shard in shards}:
            raise MergeError(f"{row.path}: its certificates are of another run, {run_id}")
    for shard in shards:
        if shard.first["settings"]["certificates"] is None:
            raise MergeError(f"{shard.path}: its run wrote no certificates (--certificates)")
        if shard.run_id not in theirs and shard.certificates != 0 and not job.incomplete:
            raise MergeError(f"{shard.path}: name the file of its certificates, too")


def _write(
    job: Merge, shards: Sequence[Shard], rows: Sequence[Row], of_certificates: Sequence[Row], named: Named
) -> Record:
    """Everything, in the order of the shards; files get their names when all is in them."""
    start = joined_start(shards, None if job.certificates is None else shown_path(job.certificates))
    with ExitStack() as files:
        records = files.enter_context(NewFile(job.output, "the output"))
        number = None
        if job.certificates is not None:
            certificates = files.enter_context(NewFile(job.certificates, "the file of the certificates"))
            number = _join_certificates(job, of_certificates, shards, start["run_id"], certificates)
        records.put(_line(start))
        directory = None if job.output == STDOUT else os.path.dirname(os.path.realpath(job.output))
        domains = _Joining(start, records, named, directory).join(shards, rows)
        end = joined_end(shards, start, domains, number)
        records.put(_line(end))
    return end


class _Joining:
    """Writes the records of all shards, and makes those of mail domains again that lacked something."""

    def __init__(self, start: Record, output: NewFile, named: Named, directory: str | None) -> None:
        self._run_id: str = start["run_id"]
        self._output = output
        self._named = named
        self._directory = directory
        self._recorder = Recorder(self._run_id)
        self._with_policies = bool(start["settings"]["policy"])
        self._results = Domains(are_expected=True)
        self._statuses = Counter[str]()

    def join(self, shards: Sequence[Shard], rows: Sequence[Row]) -> Counter[str]:
        """How many mail domains there are of each status."""
        with TemporaryFile(dir=self._directory) as waiting:
            for shard, row in zip(shards, rows, strict=True):
                for line, where in row.lines():
                    if self._take(line, where, shard):
                        waiting.write(line + b"\n")
            waiting.seek(0)
            for line in waiting:
                self._complete(orjson.loads(line))
        return self._statuses

    def _take(self, line: bytes, where: str, shard: Shard) -> bool:
        """Write a record of a shard, unless it has to wait."""
        is_plain = line.startswith(_ENDPOINT) and not self._named.domains
        record = {"type": "endpoint"} if is_plain else read_record(line, where)
        match record["type"]:
            case "run":
                return False
            case "domain":
                if not knows_all(record):
                    return True
                self._statuses[record["status"]] += 1
            case "endpoint" if not is_plain and record["id"] in self._named:
                self._recall(record, where)
        self._output.put(renamed(line, shard.run_id, self._run_id) + b"\n")
        return False

    def _recall(self, record: Record, where: str) -> None:
        try:
            self._results.recall(record["id"], record["host"], record["service"], recorded_result(record))
        except NO_RECORD as error:
            raise no_record(where) from error

    def _complete(self, record: Record) -> None:
        try:
            known = recorded_domain(record, self._results)
            made = domain_record(self._recorder, known, with_policies=self._with_policies)
            line = _line(made)
        except NO_RECORD as error:
            raise MergeError(f"the record of {record['id']} is none of schema {SCHEMA}") from error
        self._statuses[str(made["status"])] += 1
        self._output.put(line)


def _join_certificates(job: Merge, rows: Sequence[Row], shards: Sequence[Shard], run_id: str, output: NewFile) -> int:
    """Each once; how many there are."""
    seen, number = KeySet(), 0
    for shard in shards:
        found = 0
        for line, where in (each for row in rows if row.first().get("run_id") == shard.run_id for each in row.lines()):
            record = read_record(line, where)
            if (record.get("type"), record.get("run_id")) != ("certificate", shard.run_id):
                raise MergeError(f"{where}: this line is no certificate of its run")
            found += 1
            if seen.add(str(record.get("sha256")).encode()):
                output.put(renamed(line, shard.run_id, run_id) + b"\n")
                number += 1
        if not job.incomplete and shard.certificates not in (None, found):
            raise MergeError(
                f"{shard.path}: its run wrote {shard.certificates:,} certificates, and {found:,} are there"
            )
    return number


def renamed(line: bytes, run_id: str, to: str) -> bytes:
    """A record of another run; as it stands, where tlsweep wrote it."""
    own = b'"run_id":"%s"' % run_id.encode()
    if line.find(own, 0, 100) >= 0:
        return line.replace(own, b'"run_id":"%s"' % to.encode(), 1)
    return orjson.dumps({**orjson.loads(line), "run_id": to})


def _line(record: Record) -> bytes:
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
