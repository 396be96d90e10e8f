"""Servers without sockets, for the jumping clock: what they do is a table of turns, and waiting takes no time.

    network = Network({
        "192.0.2.1": [Peer([Turn(0.2, b"220 mx\\r\\n"), Turn(0.1, b"250 mx\\r\\n", heard=b"EHLO"), Turn(5, RST)])],
        "192.0.2.2": [Peer(connect_s=inf)],  # nobody answers
    })
    await Connection(endpoint, answer, timeouts, None).ask(network.dial)

A turn comes so many seconds after the one before it, or after the client has said what the turn waits for. When the
table is at its end, the server keeps silent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import inf

import trio

from scanner.dialogue import End, WireEnded
from scanner.outcome import Outcome, Stage, Verdict
from scanner.wires import ConnectFailed, Patience
from tests.peers.tls_server import Closed, Speaker


class Act(Enum):
    """What a server does that is not saying something."""

    FIN = "fin"
    RST = "rst"
    DEAF = "deaf"  # what the client sends from here on fails; what was said can still be read
    STUCK = "stuck"  # it takes no more bytes: sending waits


FIN, RST, DEAF, STUCK = Act


@dataclass(frozen=True, slots=True)
class Turn:
    """`after_s` seconds after the last turn, and after the client said `heard`, the server does this.

    A Speaker takes over: it hears all that the client says from then on, and each of its answers takes `after_s`.
    """

    after_s: float
    does: bytes | Act | Speaker
    heard: bytes = b""


@dataclass(frozen=True, slots=True)
class Peer:
    """What one connection meets. `connect_s` may be infinite."""

    turns: Iterable[Turn] = ()
    connect_s: float = 0.0
    failure: Outcome | None = None
    local_address: str = "198.51.100.7"


class Wire:
    """The client's end of a connection to a peer, from now until the deadline of its patience."""

    def __init__(self, peer: Peer, patience: Patience) -> None:
        self.local_address = peer.local_address
        self.sent: list[tuple[float, bytes]] = []  # when and what
        self.closed = False
        self._deadline = patience.deadline
        self._watch = patience.watch
        self._watch.heard(trio.current_time())
        self._turns = iter(peer.turns)
        self._next = next(self._turns, None)
        self._since = trio.current_time()  # when the turn that is next began to wait
        self._unheard = b""  # what the client said and no turn waited for yet
        self._arriving: list[tuple[float, bytes | Act]] = []
        self._speaker: Speaker | None = None
        self._speaks_after_s = 0.0
        self._heard_last = False  # whether something came since the client last spoke

    @property
    def said(self) -> bytes:
        """All that the client said."""
        return b"".join(data for _, data in self.sent)

    async def send(self, data: bytes, timeout_s: float) -> None:
        """Send all of it."""
        assert not self.closed
        self._heard_last = False
        self._watch.asked(trio.current_time())
        self._play()
        acts = {act for due, act in self._arriving if isinstance(act, Act) and due <= trio.current_time()}
        if STUCK in acts:
            await trio.sleep_until(min(trio.current_time() + timeout_s, self._deadline))
            raise WireEnded(End.TIMEOUT)
        if acts & {DEAF, RST}:
            raise WireEnded(End.RESET)
        self.sent.append((trio.current_time(), data))
        if self._speaker:
            self._let_speak(data)
        else:
            self._unheard += data
        await trio.lowlevel.checkpoint()

    async def receive(self, timeout_s: float) -> bytes:
        """What comes next."""
        assert not self.closed
        patience = trio.current_time() + timeout_s
        until = min(patience, self._deadline)
        while True:
            self._play()
            due, act = self._arriving[0] if self._arriving else (inf, b"")
            if due > until:
                await trio.sleep_until(until)
                self._watch.heard(until)
                raise WireEnded(End.DEADLINE if self._heard_last and self._deadline < patience else End.TIMEOUT)
            await trio.sleep_until(due)
            self._watch.heard(trio.current_time())
            if act is RST:
                raise WireEnded(End.RESET)
            if act is FIN:
                return b""
            del self._arriving[0]
            if isinstance(act, bytes):
                self._heard_last = True
                return act

    def close(self) -> None:
        """Let go of it."""
        self.closed = True

    def _play(self) -> None:
        """Put everything on its way that the server does without hearing more, up to one turn in the future."""
        while self._next and self._next.heard in self._unheard:
            if self._arriving and self._arriving[-1][0] > trio.current_time():
                return  # endless tables are played as far as they are needed
            turn, self._next = self._next, next(self._turns, None)
            if turn.heard:
                self._since = max(self._since, self.sent[-1][0])
                self._unheard = self._unheard.partition(turn.heard)[2]
            if isinstance(turn.does, bytes | Act):
                self._since += turn.after_s
                self._arriving.append((self._since, turn.does))
            else:
                self._speaker, self._speaks_after_s = turn.does, turn.after_s
                if self._unheard:
                    self._let_speak(self._unheard)

    def _let_speak(self, data: bytes) -> None:
        assert self._speaker is not None
        due = max(self._since, trio.current_time()) + self._speaks_after_s
        try:
            if answer := self._speaker.hear(data):
                self._arriving.append((due, answer))
        except Closed as closed:
            end = (due, RST if closed.reset else FIN)
            self._arriving += [(due, closed.last), end] if closed.last else [end]


@dataclass
class Network:
    """Peers by address: the first connection meets the first of them, and so on; the last one stays."""

    peers: Mapping[str, Sequence[Peer]]
    wires: dict[str, list[Wire]] = field(default_factory=dict)
    dialled: list[str] = field(default_factory=list)

    async def dial(self, address: str, port: int, timeout_s: float, patience: Patience) -> Wire:
        """As `wires.dial`."""
        peers = self.peers[address]
        peer = peers[min(self.dialled.count(address), len(peers) - 1)]
        self.dialled.append(address)
        until = min(trio.current_time() + timeout_s, patience.deadline)
        arrives = trio.current_time() + peer.connect_s
        await trio.sleep_until(min(arrives, until))
        if arrives > until:
            raise ConnectFailed(Outcome(Verdict.UNREACHABLE, Stage.CONNECT, "timeout"))
        if peer.failure:
            raise ConnectFailed(peer.failure)
        wire = Wire(peer, patience)
        self.wires.setdefault(address, []).append(wire)
        return wire
