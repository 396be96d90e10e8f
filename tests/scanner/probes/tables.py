"""Probes that are played against servers that are tables, without an interview, a wire or a clock.

played = play_probe(Groups(), known_of(table), table)
assert played.result["tls13"]["groups"] == ...
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scanner.dialogue import End
from scanner.probes import Known, Probe, Talked
from scanner.tls.exchange import exchange
from scanner.tls.hello import Shape
from scanner.tls.names import Version
from scanner.tls.talk import Whom
from targets.services import SERVICES
from tests.peers.tls_server import HOST, Speaker
from tests.peers.tls_table import Table, TableServer
from tests.scanner.probes.asking import talk_with

MOST_CONNECTIONS = 3_000


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a probe."""

    result: dict[str, Any]
    connections: int
    findings: set[str]

    def ids(self, *path: str) -> list[int]:
        """The code points of a list in the result."""
        part: Any = self.result
        for key in path:
            part = part[key]
        return [int(each["id"], 16) for each in part]


def known_of(table: Table, end: End = End.EOF, shape: Shape = Shape.PLAIN) -> Known:
    """What an interview finds out by one hello a version."""
    hellos = {}
    for version in table.suites:
        answer = talk_with(
            exchange(version, HOST, bytes(96), after_upgrade=False, shape=shape), TableServer(table), end=end
        )
        if answer.is_hello and answer.version == version.code:
            hellos[version] = answer
    spoken = tuple(version for version in Version if version in table.suites)
    return Known(SERVICES["https"], HOST, spoken, hellos, None, dict.fromkeys(hellos, shape))


def play_probe(
    probe: Probe, known: Known, server: Table | Callable[[], Speaker], end: End = End.EOF, most: int = MOST_CONNECTIONS
) -> Played:
    """Ask until there is nothing more to ask. `end`: how the wire ends when the server closes it."""
    begin: Callable[[], Speaker] = (lambda: TableServer(server)) if isinstance(server, Table) else server
    talked: list[Talked] = []
    while talks := probe.ask(known, talked):
        for talk in talks:
            dialogue = talk.begin(Whom(HOST, False))
            found = talk_with(dialogue, begin(), end=end)
            talked.append(Talked(talk, found, dialogue.ended))
        assert len(talked) <= most
    result = probe.result(known, talked)
    return Played(result, len(talked), set(probe.findings(result)))
