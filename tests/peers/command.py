"""The `tlsweep` command as a user has it, in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import trio

from tests.conftest import validate

TLSWEEP = str(Path(sys.executable).with_name("tlsweep"))
FAST = (
    *("--allow", "127.0.0.0/8", "--rate", "0", "--per-address-rate", "0"),
    *("--per-network-rate", "0", "--retries", "0", "--no-progress", "--processes", "1"),
    *("--timeout-connect", "2", "--timeout-greeting", "1", "--timeout-reply", "1", "--timeout-tls", "1"),
)
WITHIN_S = 20  # no test waits so long; it is for those that would wait for ever


@dataclass(frozen=True, slots=True)
class Done:
    """What a process left behind. Its records are valid, or making this fails."""

    code: int
    output: bytes
    errors: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """The JSON lines of the output, each whole."""
        return records_of(self.output)

    @property
    def endpoints(self) -> list[dict[str, Any]]:
        """The records of endpoints."""
        return [record for record in self.records if record["type"] == "endpoint"]

    @property
    def rejected(self) -> list[dict[str, Any]]:
        """The records of what was left out."""
        return [record for record in self.records if record["type"] == "rejected"]

    @property
    def end(self) -> dict[str, Any]:
        """The last record, that of the run; its counts add up, and are those of the other records."""
        end = self.records[-1]
        assert (end["type"], end["event"]) == ("run", "end")
        assert end["endpoints"]["recorded"] == len(self.endpoints)
        assert end["connections"] >= sum(each["connections"] for each in self.endpoints)
        assert end["domains"]["recorded"] == sum(each["type"] == "domain" for each in self.records)
        assert sum(end["rejected"].values()) == len(self.rejected)
        return end


def records_of(output: bytes) -> list[dict[str, Any]]:
    """The records in an output that ends with a whole line."""
    assert not output or output.endswith(b"\n")
    records = [json.loads(line) for line in output.splitlines()]
    for record in records:
        validate(record)
    return records


def wrapped(arguments: Sequence[str], *, shell: str) -> list[str]:
    """The command behind something that the shell does first, such as `ulimit -n 80`."""
    return ["bash", "-c", f'{shell}; exec "$@"', "bash", TLSWEEP, *arguments]


async def tlsweep(*arguments: str, stdin: bytes = b"", shell: str = "true", pass_fds: Sequence[int] = ()) -> Done:
    """Run the command to its end."""
    with trio.fail_after(WITHIN_S):
        done = await trio.run_process(
            wrapped(arguments, shell=shell),
            stdin=stdin,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            pass_fds=pass_fds,
        )
    return Done(done.returncode, done.stdout, done.stderr.decode())


async def scan(*arguments: str, stdin: bytes = b"", shell: str = "true", pass_fds: Sequence[int] = ()) -> Done:
    """Run `tlsweep scan` on loopback, in haste."""
    return await tlsweep("scan", *FAST, *arguments, stdin=stdin, shell=shell, pass_fds=pass_fds)


class Running:
    """A process that is under way; leaving its context ends it."""

    def __init__(self, *arguments: str) -> None:
        start = partial(trio.lowlevel.open_process, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._start = partial(start, [TLSWEEP, "scan", *FAST, *arguments], stderr=subprocess.PIPE)

    async def __aenter__(self) -> "Running":
        self.process = await self._start()
        self.output = b""
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        with trio.CancelScope(shield=True):
            await self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            await trio.aclose_forcefully(stream)

    async def say(self, data: bytes) -> None:
        """Write to its standard input."""
        assert self.process.stdin is not None
        await self.process.stdin.send_all(data)

    async def read_until(self, text: bytes) -> None:
        """Read its output until this was in it."""
        assert self.process.stdout is not None
        with trio.fail_after(WITHIN_S):
            while text not in self.output:
                data = await self.process.stdout.receive_some()
                assert data, self.output
                self.output += data

    async def read_errors_until(self, text: bytes) -> bytes:
        """Read its standard error until this was in it."""
        assert self.process.stderr is not None
        errors = b""
        with trio.fail_after(WITHIN_S):
            while text not in errors:
                data = await self.process.stderr.receive_some()
                assert data, errors
                errors += data
        return errors

    async def feed(self, data: bytes) -> None:
        """Write to its standard input as long as it lives."""
        with suppress(trio.BrokenResourceError):
            await self.say(data)

    async def done(self) -> Done:
        """Read everything until its end."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        with trio.fail_after(WITHIN_S):
            async for data in self.process.stdout:
                self.output += data
            errors = b"".join([data async for data in self.process.stderr])
            await self.process.wait()
        assert self.process.returncode is not None
        return Done(self.process.returncode, self.output, errors.decode())
