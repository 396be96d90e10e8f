"""Real servers for the scanner to meet: what one is, how it is started, and how it is stopped again.

A `Server` is a program with a configuration of its own and the `Listener`s that it opens. A listener is a line of the
scan's input together with the truth: the part of its record that is known beforehand, as nested dicts with the record's
own field names. To add one, write both into the module of that program (or into a new one, named in `fleet.py`):

    openssl(
        "openssl-tls1.3-only",
        ["-tls1_3"],
        Listener("web.live.test", "127.77.5.9", 443, "tls", {"status": "tls", "versions": speaks("TLSv1.3")}, leaf=WEB),
    )
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.live.certificates import LEAVES, Certificates, Leaf

START_WITHIN_S = 60.0  # all together; RabbitMQ alone takes ten on a machine that has nothing else to do
STOP_WITHIN_S = 5.0
LOG_LINES_SHOWN = 15

Truth = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listener:
    """One line of the input, and what its record must say. `leaf` stands for `certificate` and `tls.chain`.

    `handshake` is False where no handshake completes, and only the server's plaintext Certificate message shows it.
    """

    host: str | None
    address: str
    port: int
    service: str
    truth: Truth
    leaf: Leaf | None = None
    handshake: bool = True

    @property
    def id(self) -> str:
        """As in records.md: `service://host:port@address`, without a host `service://address:port`."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        if self.host is None:
            return f"{self.service}://{address}:{self.port}"
        return f"{self.service}://{self.host}:{self.port}@{address}"


@dataclass(frozen=True, slots=True)
class Server:
    """A program. `configure` writes what it needs into the directory; its command must stay in the foreground.

    `meanwhile` goes on while it is scanned, and has begun before: connections that somebody else holds, say.
    """

    name: str
    configure: Callable[[Path, Certificates], Sequence[str | Path]]
    listeners: tuple[Listener, ...]
    meanwhile: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext


VERSIONS = ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")


def alert(name: str) -> Truth:
    """A version entry that rests on this alert."""
    return {"evidence": "alert", "alert": name}


def lower(version: str) -> Truth:
    """A version entry that rests on the ServerHello of a lower version."""
    return {"evidence": "lower_version", "answered": version}


# How OpenSSL 3 refuses a version that is switched off. Debian's build has no SSLv3 at all, and SSLv3 no alert 70.
BY_OPENSSL: Truth = dict.fromkeys(VERSIONS, alert("protocol_version")) | {"SSLv3": alert("handshake_failure")}


def speaks(*versions: str, others: Truth | None = None, known: Truth | None = None) -> Truth:
    """`versions` of a server that speaks just these. `others`: how it refuses the rest; `known`: what else is sure."""
    refusals, facts = others or {}, known or {}
    spoken: Truth = {"verdict": "yes", "evidence": "server_hello"}
    return {
        version: merged(
            spoken if version in versions else merged({"verdict": "no"}, refusals.get(version)), facts.get(version)
        )
        for version in VERSIONS
    }


def spoken_by_openssl(*versions: str, others: Truth = BY_OPENSSL, known: Truth | None = None) -> Truth:
    """The same for OpenSSL 3: its refusals, its downgrade sentinels (RFC 8446 §4.1.3), and its favourite group."""
    certain: Truth = {"TLSv1.3": {"group": "x25519", "group_id": "0x001d"}} if "TLSv1.3" in versions else {}
    for version in versions:
        if version == "TLSv1.2" and "TLSv1.3" in versions:
            certain[version] = {"flags": ["tls13_hint"]}
        if version in ("TLSv1.0", "TLSv1.1") and "TLSv1.2" in versions:
            certain[version] = {"flags": ["tls12_hint"]}
    return speaks(*versions, others=others, known=merged(certain, known))


# What a server without settings of its own makes of our OpenSSL's handshake: the client's first choice.
TLS13: Truth = {
    "version": "TLSv1.3",
    "cipher": "TLS_AES_256_GCM_SHA384",
    "cipher_id": "0x1302",
    "group": "x25519",
    "group_id": "0x001d",
    "alpn": None,
    "client_certificate": "none",
    "error": None,
}


def failed(alert_name: str) -> Truth:
    """`tls` of a server that ends every handshake with this alert."""
    return {
        "version": None,
        "cipher": None,
        "error": {"verdict": "handshake_failed", "stage": "tls", "alert": alert_name},
    }


def beyond_us(*lacking: str) -> Truth:
    """`tls` of a server that takes nothing but what our TLS library has not: this, where it is known."""
    error: Truth = {"verdict": "local_limitation", "stage": "tls", "cause": "tls_library"}
    if lacking:
        error["detail"] = f"not in our library: {', '.join(lacking)}"
    return {"version": None, "cipher": None, "error": error}


def gets(none: str, starttls_if_available: str, starttls: str, ssl_tls: str) -> Truth:
    """`clients`: what a mail program with each of these settings would get."""
    return {
        "none": none,
        "starttls_if_available": starttls_if_available,
        "starttls": starttls,
        "ssl_tls": ssl_tls,
    }


class Found:
    """Equal to the list of just these findings."""

    def __init__(self, *ids: str) -> None:
        self.ids = ids

    def __eq__(self, recorded: object) -> bool:
        return isinstance(recorded, list) and sorted(finding["id"] for finding in recorded) == sorted(self.ids)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"just {self.ids}"


def merged(truth: Truth, more: Truth | None) -> Truth:
    """Both, one level into the other; `more` has the last word."""
    result = dict(truth)
    for name, value in (more or {}).items():
        inner = result.get(name)
        result[name] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return result


class NotStartedError(Exception):
    """A server ended, or did not listen in time."""


@dataclass(slots=True)
class Running:
    """A started server, the leader of a session and so of a process group of its own."""

    server: Server
    directory: Path
    process: subprocess.Popen[bytes]

    def wait_until_it_listens(self, deadline: float) -> None:
        """Return when every listener takes connections."""
        for listener in self.server.listeners:
            while not takes_connections(listener):
                if self.process.poll() is not None:
                    raise NotStartedError(
                        f"{self.server.name} ended with {self.process.returncode}:\n{self.end_of_log()}"
                    )
                if time.monotonic() > deadline:
                    raise NotStartedError(f"{self.server.name} does not listen for {listener.id}:\n{self.end_of_log()}")
                time.sleep(0.02)

    def ask_to_stop(self) -> None:
        """All of these programs end on SIGTERM, and so do their children."""
        self._signal(signal.SIGTERM)

    def make_sure_it_stopped(self, deadline: float) -> None:
        """Wait until then, and kill what is left of its process group."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, deadline - time.monotonic()))
        self._signal(signal.SIGKILL)
        self.process.wait(STOP_WITHIN_S)

    def log(self) -> str:
        """What it wrote so far."""
        return (self.directory / "log").read_text(errors="backslashreplace")

    def end_of_log(self) -> str:
        """The last lines of that."""
        return "\n".join(self.log().splitlines()[-LOG_LINES_SHOWN:])

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


class Fleet:
    """Servers that run, all below one directory. `with` it: what was started is stopped, whatever happens."""

    def __init__(self, servers: Sequence[Server], directory: Path, leaves: Iterable[Leaf] = LEAVES) -> None:
        self.servers = servers
        self.directory = directory
        self.certificates = Certificates(directory / "certificates", leaves)
        self.running: list[Running] = []
        self.meanwhile = contextlib.ExitStack()

    def __enter__(self) -> "Fleet":
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _start(self) -> None:
        taken = [listener.id for server in self.servers for listener in server.listeners if takes_connections(listener)]
        if taken:
            raise NotStartedError(f"somebody listens there already, perhaps left by a killed run: {', '.join(taken)}")
        with uninterrupted():
            for server in self.servers:
                self.running.append(self._started(server))
        deadline = time.monotonic() + START_WITHIN_S
        for running in self.running:
            running.wait_until_it_listens(deadline)
        for running in self.running:
            self.meanwhile.enter_context(running.server.meanwhile())

    def _started(self, server: Server) -> Running:
        directory = self.directory / server.name
        directory.mkdir(exist_ok=True)
        command = words(server.configure(directory, self.certificates))
        with (directory / "log").open("ab") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=directory, start_new_session=True
            )
        return Running(server, directory, process)

    def _stop(self) -> None:
        with uninterrupted():
            self.meanwhile.close()
            for running in self.running:
                running.ask_to_stop()
            deadline = time.monotonic() + STOP_WITHIN_S
            for running in self.running:
                running.make_sure_it_stopped(deadline)
            self.running.clear()


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the block is over, so that it cannot come between a server's start and our note of it."""
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, _: came.append(number)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def takes_connections(listener: Listener) -> bool:
    """Is anybody there?"""
    family = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        return connection.connect_ex((listener.address, listener.port)) == 0


def words(command: Sequence[str | Path]) -> list[str]:
    """The command with its program found, in sbin as well: a plain user's PATH, or a CI's, may lack it."""
    program = shutil.which(command[0], path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
    if program is None:
        raise NotStartedError(f"{command[0]} is not installed: run tests/live/install")
    return [program, *map(str, command[1:])]
