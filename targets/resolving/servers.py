"""One question, over all name servers: which one next, how often, and what it means when none has an answer.

Servers are asked one after the other, and those that only kept silent again. One that answered with an error has had
its say. Those that are set aside (health.py) are left out; where there are no others, every question ends at once.

**What counts as bogus**: a SERVFAIL with an extended error (RFC 8914) that says that validation failed (6 Bogus, 7 and
8 signature expired or not yet valid, 9 DNSKEY missing, 10 RRSIGs missing, 11 no zone key bit, 12 NSEC missing, 25
signature expired before it was valid; not 5, Indeterminate, nor 1, 2 and 27, what the resolver cannot check: RFC 4035
§4.3 does not call them bogus). Or, as many resolvers give none, a SERVFAIL that is one again after the same question
with checking disabled (CD) was answered: the second time, because the first may have been a servers' bad moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

import structlog
import trio
from dns.rcode import Rcode

from targets.answer import DnsStatus
from targets.resolving.name_server import NameServer, Nonsense, Patience, Silence
from targets.resolving.question import Question
from targets.resolving.reply import Reply

LIFETIME_S = 10.0  # of one question, over all servers and attempts
ATTEMPTS = 3  # at each server that keeps silent
PASS_S = 1.0  # from one pass over the servers to the next, at least: one that refuses may be starting

_BOGUS = {6, 7, 8, 9, 10, 11, 12, 25}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: records, or that there are none."""

    server: NameServer
    reply: Reply


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer: SERVFAIL, TIMEOUT or BOGUS, and why."""

    status: DnsStatus
    detail: str


@dataclass(slots=True)
class _Course:
    """How a question has fared. Texts are kept once each, in their order."""

    patience: Patience
    left: list[NameServer]
    errors: dict[str, None] = field(default_factory=dict)
    in_the_way: dict[str, None] = field(default_factory=dict)
    is_checked: bool = False  # was it asked without validation?
    next_pass_s: float = inf  # not before so little patience is left

    @property
    def is_over(self) -> bool:
        """Is there nobody to ask any more, or no time?"""
        return self.patience.left_s <= 0 or all(server.health.is_set_aside for server in self.left)

    async def pause(self) -> None:
        """Between two passes: where all refuse at once, one takes no time."""
        pause_s = min(self.patience.left_s - self.next_pass_s, self.patience.left_s)
        if pause_s > 0:
            self.patience.left_s -= pause_s
            await trio.sleep(pause_s)
        self.next_pass_s = self.patience.left_s - PASS_S

    def refuse(self, server: NameServer, why: str) -> None:
        """The server had its say."""
        self.left.remove(server)
        self.errors[why] = None

    def end(self) -> Failed:
        """A timeout, unless a server did answer. A socket that we could not get is no answer of the server's."""
        if self.errors:
            return Failed(DnsStatus.SERVFAIL, ", ".join(self.errors))
        if self.in_the_way:
            return Failed(DnsStatus.TIMEOUT, f"no answer ({', '.join(self.in_the_way)})")
        return Failed(DnsStatus.TIMEOUT, "no answer in time")


class Servers:
    """All name servers of a run; with `rotate`, they take the questions in turn."""

    def __init__(self, servers: Sequence[NameServer], attempts: int, lifetime_s: float, *, rotate: bool) -> None:
        self.all = tuple(servers)
        self._attempts = attempts
        self._lifetime_s = lifetime_s
        self._rotate = rotate
        self._turn = 0
        self._is_known_dead = False

    def patience(self) -> Patience:
        """How long a question may take, with all that it leads to."""
        return Patience(self._lifetime_s)

    async def ask(self, question: Question, patience: Patience) -> Said | Failed:
        """While there is patience; waiting for permits, and finding out whether a server is there, take none of it."""
        for server in self.all:
            if server.health.is_set_aside and server.health.is_due(trio.current_time()):
                await server.probe()
        course = _Course(patience, self._in_order())
        for _ in range(self._attempts):
            await course.pause()
            if ended := await self._pass(question, course):
                self._is_known_dead = False
                return ended
            if course.is_over:
                break
        if all(server.health.is_set_aside for server in self.all):
            return self._all_dead()
        return course.end()

    async def _pass(self, question: Question, course: _Course) -> Said | Failed | None:
        """Ask one server after the other, once."""
        for server in list(course.left):
            if course.patience.left_s <= 0:
                break
            if not server.health.is_set_aside and (ended := await self._ask(server, question, course)):
                return ended
        return None

    async def _ask(self, server: NameServer, question: Question, course: _Course) -> Said | Failed | None:
        """None where the next server is to be asked."""
        match await server.ask(question, course.patience):
            case Silence(why):
                if why:
                    course.in_the_way[why] = None
            case Nonsense(why):
                course.refuse(server, f"a malformed reply: {why}")
            case Reply() as reply if _is_answer(reply):
                return Said(server, reply)
            case Reply() as reply:
                course.refuse(server, "a referral: it does not resolve" if reply.is_referral else reply.rcode_text)
                if reply.rcode == Rcode.SERVFAIL and not course.is_checked:
                    course.is_checked = True
                    return await self._check(server, question, reply, course.patience)
        return None

    async def _check(
        self, server: NameServer, question: Question, reply: Reply, patience: Patience
    ) -> Said | Failed | None:
        """Is a SERVFAIL bogus?"""
        if codes := sorted(_BOGUS.intersection(reply.extended_errors)):
            return Failed(DnsStatus.BOGUS, f"it does not validate (extended error {', '.join(map(str, codes))})")
        unchecked = await server.ask(question, patience, checking_disabled=True)
        if not _is_answer(unchecked):
            return None
        match await server.ask(question, patience):
            case Reply() as again if _is_answer(again):
                return Said(server, again)
            case Reply(rcode=Rcode.SERVFAIL):
                return Failed(DnsStatus.BOGUS, "SERVFAIL, and an answer only with checking disabled")
        return None

    def _in_order(self) -> list[NameServer]:
        """Those that are suspected come last."""
        servers = self.all
        if len(servers) == 1:
            return [*servers]
        if self._rotate:
            self._turn = (self._turn + 1) % len(servers)
            servers = servers[self._turn - 1 :] + servers[: self._turn - 1]
        return sorted(servers, key=lambda server: server.health.is_suspected)

    def _all_dead(self) -> Failed:
        if not self._is_known_dead:
            self._is_known_dead = True
            log.error("no name server answers: until one does, names end as dns_timeout", servers=[*map(str, self.all)])
        return Failed(DnsStatus.TIMEOUT, "no name server answers")


def _is_answer(said: object) -> bool:
    return isinstance(said, Reply) and said.rcode in (Rcode.NOERROR, Rcode.NXDOMAIN) and not said.is_referral
