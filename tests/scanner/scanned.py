"""Whole scans by an engine over servers in memory: what an endpoint is to its user, look by look, and when."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import trio

from scanner.conclusion import Conclusion
from scanner.connection import Connection, Timeouts
from scanner.engine import Engine
from scanner.interview import Interview
from scanner.limits import Limits
from scanner.outcome import Outcome, Stage, Verdict
from scanner.pace import Learnt
from scanner.question import Answer, Wanted
from scanner.record import Record, Recorder
from scanner.tls.names import Version
from targets.services import SERVICES
from targets.target import Endpoint, Origin
from tests.conftest import as_written
from tests.peers.memory import FIN, RST, Network, Peer, Turn
from tests.peers.tls_server import Speaker, TlsServer, smtp_inside
from tests.scanner.recorded import Behaviour

ADDRESS = "192.0.2.1"
BUSY = b"421 4.7.0 Too many connections\r\n"

Script = Callable[[], list[Turn]]


def peer(begin: Script) -> Peer:
    """A server that does the same on each connection."""
    return Peer(Behaviour(begin))


def says(*lines: bytes, then: Speaker | None = None) -> Script:
    """A server that greets with the first of these lines, and answers each line it hears with the next one."""
    first, *others = lines
    turns = [Turn(0, first), *(Turn(0, line, heard=b"\n") for line in others)]
    return lambda: [*turns, *([Turn(0, then)] if then else [])]


def smtp(last: bytes, ehlo: bytes = b"250-mx\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n") -> Script:
    """An SMTP server: its answers to EHLO and to STARTTLS, and TLS where that is a go-ahead.

    It lists AUTH before TLS, so that nothing has to be asked besides.
    """
    dialogue = says(b"220 mx ESMTP\r\n", ehlo, last)
    return lambda: [*dialogue(), *([Turn(0, TlsServer(smtp_inside))] if last.startswith(b"220") else [])]


SMTP = peer(smtp(b"220 go\r\n"))
TLS = peer(lambda: [Turn(0, TlsServer())])
BUSY_SMTP = Peer([Turn(0, BUSY), Turn(0, FIN)])
SILENT = Peer()
CLOSES = Peer([Turn(0, FIN, heard=b"\x03")])
RESETS = Peer([Turn(0, RST)])
REFUSES = Peer(failure=Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "refused"))
NOBODY = Peer(connect_s=float("inf"))


def endpoint(service: str, address: str = ADDRESS, host: str = "mx.example.test") -> Endpoint:
    """One on the usual port of its service."""
    return Endpoint(Origin("x"), host, address, SERVICES[service].port or 1, SERVICES[service])


@dataclass
class Scan:
    """One run. `peers`: what the connections to an address meet, one after the other; the last stays."""

    peers: dict[str, Sequence[Peer]]
    limits: Limits = field(default_factory=Limits)
    retries: int = 2
    versions: tuple[Version, ...] = tuple(Version)
    handshake: bool = True
    over: list[tuple[float, Record]] = field(default_factory=list)  # seconds since the start, in the order of ends
    starts: list[tuple[float, Endpoint]] = field(default_factory=list)  # of connections
    engines: list[Engine] = field(default_factory=list)  # that of each run

    async def run(self, endpoints: Iterable[Endpoint]) -> list[Record]:
        """The records, as a reader gets them."""
        network, recorder, began = Network(self.peers), Recorder("0" * 26), trio.current_time()

        async def ask(endpoint: Endpoint, answer: Answer) -> None:
            self.starts.append((trio.current_time() - began, endpoint))
            await Connection(endpoint, answer, Timeouts(), "me.test").ask(network.dial)

        def on_over(interview: Interview, conclusion: Conclusion, ended: float) -> None:
            made = as_written(recorder.endpoint(interview, conclusion, ended))
            self.over.append((trio.current_time() - began, made))

        async def intake(engine: Engine) -> None:
            for each in endpoints:
                await engine.submit(each)

        wanted = Wanted(self.versions, handshake=self.handshake)
        engine = Engine(ask, on_over, wanted, self.limits, clock=trio.current_time, retries=self.retries)
        self.engines.append(engine)
        await engine.run(intake)
        return [made for _, made in self.over]

    @property
    def learnt(self) -> Learnt:
        """What it has learnt of strain."""
        return self.engines[-1].learnt()


async def scanned(service: str, *peers: Peer, **settings: Any) -> Record:
    """The record of one endpoint whose connections meet these peers."""
    (made,) = await Scan({ADDRESS: peers}, **settings).run([endpoint(service)])
    return made


def looks(made: Record) -> list[str]:
    """The verdicts of its looks."""
    return [look["verdict"] for look in made["looks"]]


def versions(made: Record) -> dict[str, str]:
    """The verdict on each version."""
    return {name: entry["verdict"] for name, entry in made["versions"].items()}


def findings(made: Record) -> set[str]:
    """The ids of its findings."""
    return {found["id"] for found in made["findings"]}


def named(endpoints: int, address: str = ADDRESS) -> list[Endpoint]:
    """SMTP servers of many names at one address."""
    return [replace(endpoint("smtp", address), host=f"mx{number}.example.test") for number in range(endpoints)]
