"""The floor: what the operating system takes for a raw version, in a bare epoll loop around the same system calls.

In C (`floor.c`) where there is a compiler, else here; which of them is in the figure's name, since they are not to be
compared. `python -m benchmarks.floor FIRST_ADDRESS COUNT PORT IN_FLIGHT HELLO_FILE` is the second.
"""

import json
import os
import resource
import select
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from scanner.tls.hello import ENTROPY_BYTES, client_hello
from scanner.tls.names import Version
from scanner.tls.wire import CLOSE_NOTIFY, ContentType, record

SOURCE = Path(__file__).with_suffix(".c")
RECEIVE_BYTES = 16_384
HANDSHAKE, SERVER_HELLO = 0x16, 2
GOODBYE = record(ContentType.ALERT, 0x0303, CLOSE_NOTIFY)


@dataclass(frozen=True, slots=True)
class Floored:
    """What so many connections took."""

    user_s: float
    system_s: float
    wall_s: float
    failed: int


class Floor:
    """The loop, compiled or not."""

    def __init__(self, directory: Path) -> None:
        self._hello = directory / "hello"
        self._hello.write_bytes(client_hello(Version.TLS1_3, None, os.urandom(ENTROPY_BYTES)))
        self._command = _compiled(directory) or [sys.executable, "-m", "benchmarks.floor"]
        self.name = "floor in Python" if self._command[0] == sys.executable else "floor in C"

    def run(self, first: str, count: int, port: int, in_flight: int) -> Floored:
        """Connect to so many addresses from the first on, so many at once."""
        pin = {min(os.sched_getaffinity(0))}
        done = subprocess.run(
            [*self._command, first, str(count), str(port), str(in_flight), str(self._hello)],
            check=True,
            capture_output=True,
            cwd=SOURCE.parents[1],
            preexec_fn=lambda: os.sched_setaffinity(0, pin),
        )
        return Floored(**json.loads(done.stdout))


def _compiled(directory: Path) -> list[str] | None:
    """The program; None where there is no compiler that makes it."""
    compiler, program = shutil.which("cc"), directory / "floor"
    if compiler is None:
        return None
    done = subprocess.run([compiler, "-O2", "-o", program, SOURCE], capture_output=True, check=False)
    return [str(program)] if done.returncode == 0 else None


class _Loop:
    """The same as floor.c, call by call."""

    def __init__(self, port: int, hello: bytes) -> None:
        self.failed = 0
        self._port = port
        self._hello = hello
        self._poll = select.epoll()
        self._open: dict[int, tuple[socket.socket, bool]] = {}

    def run(self, first: IPv4Address, count: int, in_flight: int) -> None:
        started = 0
        while started < count or self._open:
            while started < count and len(self._open) < in_flight:
                self._start(str(first + started))
                started += 1
            for number, _ in self._poll.poll():
                opened, connected = self._open[number]
                if not self._go_on(opened, connected=connected):
                    del self._open[number]
                    opened.close()

    def _start(self, address: str) -> None:
        opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        opened.connect_ex((address, self._port))
        self._open[opened.fileno()] = opened, False
        self._poll.register(opened, select.EPOLLOUT | select.EPOLLONESHOT)

    def _go_on(self, opened: socket.socket, *, connected: bool) -> bool:
        """Is there more to come?"""
        if not connected:
            if opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                opened.send(self._hello)
                self._open[opened.fileno()] = opened, True
                self._poll.modify(opened, select.EPOLLIN | select.EPOLLONESHOT)
                return True
            self.failed += 1
            return False
        try:
            data = opened.recv(RECEIVE_BYTES)
            is_hello = len(data) > 5 and data[0] == HANDSHAKE and data[5] == SERVER_HELLO
            if is_hello:
                opened.send(GOODBYE)
        except OSError:
            is_hello = False
        self.failed += not is_hello
        return False


def main() -> None:
    """Connect, and print the cost."""
    first, count, port, in_flight, hello = sys.argv[1:]
    loop = _Loop(int(port), Path(hello).read_bytes())
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    loop.run(IPv4Address(first), int(count), int(in_flight))
    after, wall_s = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - begun
    cost = {"user_s": after.ru_utime - before.ru_utime, "system_s": after.ru_stime - before.ru_stime}
    print(json.dumps(cost | {"wall_s": wall_s, "failed": loop.failed}))


if __name__ == "__main__":
    main()
