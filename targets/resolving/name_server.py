"""One name server: asked within its limits, over UDP and, what does not fit, over TCP; and what is known of it.

permit ─▶ UDP, EDNS ─▶ the reply
              │ FORMERR, NOTIMP, BADVERS: once more without EDNS (RFC 6891 §7)
              │ TC: the same over TCP (RFC 7766 §5)
              └ nothing in time, often in a row: is it there? (health.py)
"""

import errno
import os
from dataclasses import dataclass
from math import inf

import dns.rcode
import structlog
import trio
from dns.rdatatype import RdataType

from targets.answer import Dnssec
from targets.resolving.health import PROBES, Health
from targets.resolving.limits import DnsLimits, Permits
from targets.resolving.question import Question, question_of
from targets.resolving.reply import MalformedError, Reply
from targets.resolving.tcp import exchange_by_tcp
from targets.resolving.udp import SOCKETS, Datagrams
from targets.target import Address

TCP_AT_ONCE = 4
DESCRIPTORS = SOCKETS + TCP_AT_ONCE
VALIDATION_PAUSE_S = 60.0  # between two questions whether it validates

_ROOT = question_of("", RdataType.SOA)
_OUR_OWN = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}  # no fault of the server's
_WITHOUT_EDNS = {dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing came that counts. `why` says what came in the way; None where nothing did."""

    why: str | None = None


_SET_ASIDE = Silence("it is set aside")


@dataclass(frozen=True, slots=True)
class Nonsense:
    """What came was malformed."""

    why: str


@dataclass(slots=True)
class Patience:
    """How long a question may still wait for servers. Waiting for permits takes none of it."""

    left_s: float


@dataclass(slots=True)
class Tally:
    """What was asked of a server."""

    queries: int = 0  # messages, over UDP and over TCP
    tcp: int = 0
    silences: int = 0  # that found no answer
    set_aside: int = 0  # how often it was

    def add(self, other: "Tally") -> None:
        """Count what was asked of another one too."""
        self.queries += other.queries
        self.tcp += other.tcp
        self.silences += other.silences
        self.set_aside += other.set_aside


class NameServer:
    """`attempt_s`: how long one message waits for its reply. `trust_ad`: its AD bit counts wherever it is."""

    def __init__(
        self,
        address: Address,
        port: int,
        limits: DnsLimits,
        attempt_s: float,
        *,
        trust_ad: bool = False,
        use_tcp: bool = False,
    ) -> None:
        self.address, self.port = address, port
        self.health = Health()
        self.tally = Tally()
        self._permits = Permits(limits)
        self._attempt_s = attempt_s
        self._trust_ad = trust_ad
        self._use_tcp = use_tcp
        self.datagrams = Datagrams(address, port)
        self._tcp = trio.Semaphore(TCP_AT_ONCE)
        self._validates = False
        self._validation_due = -inf
        self._validating: trio.Event | None = None  # it is being found out
        self._probing: trio.Event | None = None

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if self.address.version == 6 else f"{self.address}:{self.port}"

    async def ask(
        self, question: Question, patience: Patience, *, checking_disabled: bool = False
    ) -> Reply | Silence | Nonsense:
        """Ask once. A server that is silent too often is set aside, and then nobody waits for it."""
        if self.health.set_aside_until is not None:
            return _SET_ASIDE
        await self._permits.acquire()
        try:
            if self.health.is_set_aside:  # meanwhile
                return _SET_ASIDE
            said = await self._converse(question, patience, checking_disabled)
        finally:
            self._permits.release()
        if self.health.is_suspected:
            await self.probe()
        return said

    async def probe(self) -> None:
        """Find out whether it is there. Whoever comes while this is being found out goes on without."""
        if self._probing is not None:
            return
        self._probing = trio.Event()
        try:
            for _ in range(1 if self.health.is_set_aside else PROBES):
                began = trio.current_time()
                if not isinstance(await self._converse(_ROOT, Patience(self._attempt_s), False), Silence):
                    return
                await trio.sleep_until(began + self._attempt_s)  # one that is starting refuses at once
            if self.health.set_aside(trio.current_time()):
                self.tally.set_aside += 1
                log.warning("a name server does not answer, and is set aside", server=str(self))
        finally:
            self._probing.set()
            self._probing = None

    async def dnssec(self, reply: Reply) -> Dnssec:
        """What its reply says of validation; nothing, unless its word counts and it is known to validate.

        A resolver that does not validate never sets AD, so that its absence says something only of one that does: that
        has set it, on any answer or on that for the root. A forwarder on this machine that hands on the AD bit of
        others (Docker's does) is believed as well: from here it cannot be told from a resolver that validates.
        """
        if not (self._trust_ad or self.datagrams.is_own):
            return Dnssec.INDETERMINATE
        if reply.authenticated:
            return Dnssec.SECURE
        return Dnssec.INSECURE if await self._is_validating() else Dnssec.INDETERMINATE

    async def _is_validating(self) -> bool:
        if self._validating is not None:
            await self._validating.wait()
        elif not self._validates and trio.current_time() >= self._validation_due:
            self._validating = trio.Event()
            try:
                await self.ask(_ROOT, Patience(self._attempt_s))
                self._validation_due = trio.current_time() + VALIDATION_PAUSE_S
            finally:
                self._validating.set()
                self._validating = None
        return self._validates

    async def _converse(
        self, question: Question, patience: Patience, checking_disabled: bool
    ) -> Reply | Silence | Nonsense:
        by_tcp, edns = self._use_tcp, True
        had_time = patience.left_s >= self._attempt_s
        try:
            reply = await self._exchange(question, patience, checking_disabled, by_tcp=by_tcp, edns=edns)
            if reply.rcode in _WITHOUT_EDNS:
                edns = False
                reply = await self._exchange(question, patience, checking_disabled, by_tcp=by_tcp, edns=edns)
            if reply.truncated and not by_tcp:
                reply = await self._exchange(question, patience, checking_disabled, by_tcp=True, edns=edns)
        except MalformedError as error:
            return Nonsense(str(error))
        except trio.TooSlowError:
            return self._missed(None, counts=had_time)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            return self._missed(why, counts=error.errno not in _OUR_OWN)
        return reply

    async def _exchange(
        self, question: Question, patience: Patience, checking_disabled: bool, *, by_tcp: bool, edns: bool
    ) -> Reply:
        began = trio.current_time()
        timeout_s = min(self._attempt_s, patience.left_s)
        self.tally.queries += 1
        try:
            if by_tcp:
                reply = await self._by_tcp(question, timeout_s, edns, checking_disabled)
            else:
                reply = await self.datagrams.exchange(
                    question, began + timeout_s, edns=edns, checking_disabled=checking_disabled
                )
        finally:
            patience.left_s -= trio.current_time() - began
        if self.health.answered():
            log.warning("a name server answers again", server=str(self))
        self._validates = self._validates or reply.authenticated
        return reply

    async def _by_tcp(self, question: Question, timeout_s: float, edns: bool, checking_disabled: bool) -> Reply:
        self.tally.tcp += 1
        async with self._tcp:
            return await exchange_by_tcp(
                self.address, self.port, question, timeout_s, edns=edns, checking_disabled=checking_disabled
            )

    def _missed(self, why: str | None, *, counts: bool) -> Silence:
        self.tally.silences += 1
        if counts:
            self.health.missed()
        return Silence(why)
