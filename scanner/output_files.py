"""Opens the outputs of a run: locked, read back where it is to be resumed, and emptied or cut when all can be written.

Before that nothing is changed, so that a command line that is refused costs nobody an earlier result.
"""

import fcntl
import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from scanner.config import STDOUT, Config
from scanner.domains import Domains
from scanner.output import Output, part_path, sync_name
from scanner.resume import Part, Recorded, ResumeError, differences, read_back, read_certificates


class OutputError(Exception):
    """An output that cannot be used; the message is a sentence to act on."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where records go, and certificates, if they are wanted; `recorded` is what is there already, if it is resumed."""

    records: Output
    certificates: Output | None = None
    recorded: Recorded | None = None


def open_outputs(config: Config) -> Outputs:
    """Those of the settings. Raises OutputError and ResumeError."""
    if config.output == STDOUT:
        records = _standard_output()
    else:
        records = _open(config.output)
        _lock(records, config.output)
    recorded, parts = _recorded(config) if config.resume else (None, [])
    certificates, certificate_parts = None, []
    if config.certificates is not None:
        certificate_parts = read_certificates(config.certificates, recorded) if recorded else []
        certificates = _open(config.certificates)
        _lock(certificates, config.certificates)
    if not recorded and config.rotate_bytes:
        for path in filter(None, (config.output, config.certificates)):
            _check_no_others(path)
    return Outputs(
        Output(records) if config.output == STDOUT else _begin(records, "the output", config.output, parts, config),
        None
        if certificates is None or config.certificates is None
        else _begin(certificates, "the file of the certificates", config.certificates, certificate_parts, config),
        recorded,
    )


def _recorded(config: Config) -> tuple[Recorded | None, list[Part]]:
    """What the output holds; None where that is nothing, and the run begins."""
    recorded = Recorded(Domains(are_expected=config.rules.names_are_domains), config.share)
    parts = read_back(config.output, recorded)
    if not parts:
        return None, []
    if changed := differences(recorded.first, config):
        raise ResumeError(f"{config.output} cannot be gone on with: {'; '.join(changed)}")
    return recorded, parts


def _begin(descriptor: int, name: str, path: str, parts: Sequence[Part], config: Config) -> Output:
    """Behind what is whole; in an empty file where nothing is."""
    for part in parts:
        if part.torn_bytes:
            os.truncate(part.path, part.whole_bytes)
    number = max(0, len(parts) - 1)
    if number:  # the first one stays open, since it is locked
        descriptor = _open(parts[-1].path)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        if not parts:
            os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_END)
        sync_name(path)
    return Output(descriptor, name, path=path, part=number, most_bytes=config.rotate_bytes)


def _standard_output() -> int:
    if sys.stdout is None:
        raise OutputError("standard output is closed; name a file with --output")
    return sys.stdout.fileno()


def _open(path: str) -> int:
    """For writing; what is in it stays."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}") from error


def _lock(descriptor: int, path: str) -> None:
    """Until the end of the process, whatever that is. A file system without locks is trusted."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(f"{path}: another run writes to it") from error
    except OSError:
        pass


def _check_no_others(path: str) -> None:
    other = part_path(path, 1)
    if path != STDOUT and os.path.exists(other):
        raise OutputError(f"{other} is there, of an earlier run: move it out of the way, or go on with --resume")
