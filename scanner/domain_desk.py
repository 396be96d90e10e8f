"""Takes in what the DNS said of mail domains, has their policies fetched, and writes their records.

    targets ──▶ domains (who waits for what) ──▶ ready ──▶ record ──▶ output
         └──▶ fetch of the policy ──▶ ┘   ▲
                 engine: an endpoint is over

Thousands of domains that share an endpoint are ready all at once: records are made a few at a time, by a task of their
own, so that no connection waits for it. A bug of ours becomes a record with `status: error`.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog
import trio

from scanner.domain_status import Known, StsFound, known_of, sts_record_of
from scanner.domains import Domains, Waiting
from scanner.endpoint_result import EndpointResult, TlsaToMatch
from scanner.mail_policy.https import Fetched
from scanner.mail_policy.mta_sts import read_policy
from scanner.wire_text import printable
from targets.domain_targets import DomainTargets
from targets.mail_answer import DomainAnswer
from targets.target import Endpoint

AT_ONCE = 20  # records that are made without letting others run
MOST_READY = 100_000  # domains that need nothing more but their record, counted as those that wait
HEAVY = 1_000  # so much weight, too, is all that is made without letting others run

Fetch = Callable[[str], Awaitable[Fetched]]

log = structlog.get_logger()


class DomainDesk:
    """The mail domains of one run. `write` gets each with all that is known of it, once, and must not wait."""

    def __init__(
        self,
        domains: Domains,
        fetch: Fetch | None,
        write: Callable[[Known], None],
        room: Callable[[], Awaitable[None]],
        *,
        only_whole: bool = False,
    ) -> None:
        """Without `fetch`, no policy is asked for. `room` waits while the output takes no more.

        `only_whole`: those of which something is missing at a stop have no record; another part of the run has it.
        """
        self._domains = domains
        self._fetch = fetch
        self._write = write
        self._room = room
        self._only_whole = only_whole
        self._sts: dict[Waiting, StsFound] = {}
        self._ready: deque[Waiting] = deque()
        self._ready_weight = 0
        self._changed = trio.Event()
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._fetching = 0
        self._is_closing = False
        self.taken = 0
        self.recorded = 0

    @property
    def unfinished(self) -> int:
        """Domains without a record so far."""
        return self.taken - self.recorded

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write records until it is closed and nobody is left who waits for a policy; or until it is stopped."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                task_status.started()
                while self._ready or self._fetching or not self._is_closing:
                    await self._write_ready()
                    if not self._ready and (self._fetching or not self._is_closing):
                        await self._changed.wait()
        self._nursery = None
        self._give_up()

    def close(self) -> None:
        """No more domains will come, and no more endpoints will be over."""
        self._is_closing = True
        self._announce()

    def stop(self, grace_s: float) -> None:
        """Be over in so many seconds at most; as long as endpoints may still be over, that is for the engine to say."""
        if self._is_closing:
            self._scope.deadline = min(self._scope.deadline, trio.current_time() + grace_s)

    def take(self, targets: DomainTargets) -> None:
        """Take a domain in; its fresh endpoints are to be scanned then."""
        if not targets.is_own:
            self._note(targets)
            return
        self.taken += 1
        try:
            waiting = self._expect(targets)
        except Exception as error:  # a bug of ours
            waiting = Waiting(targets)
            self._note_bug(waiting, error)
        if not waiting.left:
            self._is_ready([waiting])

    def _note(self, targets: DomainTargets) -> None:
        try:
            self._domains.note(targets)
        except Exception as error:  # a bug of ours, which costs its endpoints no more than what its TLSA records say
            log.error("internal error", domain=targets.answer.domain.name, exc_info=error)

    def _expect(self, targets: DomainTargets) -> Waiting:
        record = sts_record_of(targets.answer)
        is_promised = record is not None and record.error is None
        if self._fetch is None or self._nursery is None or not is_promised:
            return self._domains.add(targets)
        waiting = self._domains.add(targets, policies=1)
        self._fetching += 1
        self._nursery.start_soon(self._get_policy, self._fetch, waiting)
        return waiting

    async def room(self) -> None:
        """Wait while too many domains wait; those that were taken have to have their endpoints begun first."""
        while self._domains.is_full or self._ready_weight >= MOST_READY:
            await self._changed.wait()

    def tlsa_of(self, endpoint: Endpoint) -> TlsaToMatch | None:
        """What the chain of an endpoint that is over has to be matched with; None where no domain asks for that."""
        found = self._domains.tlsa_of(endpoint)
        return found.to_match if found else None

    def over(self, endpoint: Endpoint, result: EndpointResult) -> None:
        """An endpoint has its record; what it came to for its domains."""
        self._is_ready(self._domains.over(endpoint, result))

    async def _get_policy(self, fetch: Fetch, waiting: Waiting) -> None:
        try:
            self._sts[waiting] = _sts_of(await fetch(waiting.targets.answer.domain.name))
        except Exception as error:  # a bug of ours
            self._note_bug(waiting, error)
        finally:
            self._fetching -= 1
        if self._domains.settle(waiting):
            self._is_ready([waiting])
        self._announce()

    def _is_ready(self, waitings: list[Waiting]) -> None:
        if waitings:
            self._ready += waitings
            self._ready_weight += sum(each.weight for each in waitings)
            self._announce()

    async def _write_ready(self) -> None:
        await self._room()
        written = weight = 0
        while self._ready and written < AT_ONCE and weight < HEAVY:
            waiting = self._ready.popleft()
            self._record(waiting)
            written, weight = written + 1, weight + waiting.weight
        self._ready_weight -= weight
        self._announce()
        await trio.lowlevel.checkpoint()

    def _give_up(self) -> None:
        """What was ready, and then those that wait still, with what is known of them."""
        left = self._domains.give_up()
        for waiting in [*self._ready, *([] if self._only_whole else left)]:
            self._record(waiting)
        self._ready.clear()

    def _record(self, waiting: Waiting) -> None:
        """One record for each, also where making it fails: then of the domain's name alone."""
        self.recorded += 1
        sts = self._sts.pop(waiting, None)
        try:
            self._write(known_of(waiting.targets, self._domains, sts))
        except Exception as error:
            answer = self._note_bug(waiting, error)
            self._write(Known(DomainTargets(replace(DomainAnswer(answer.domain), error=answer.error)), (), {}))

    def _note_bug(self, waiting: Waiting, error: Exception) -> DomainAnswer:
        answer = waiting.targets.answer
        log.error("internal error", domain=answer.domain.name, exc_info=error)
        text = printable(f"{type(error).__name__}: {error}".encode(errors="backslashreplace"))
        waiting.targets = replace(waiting.targets, answer=replace(answer, error=text))
        return waiting.targets.answer

    def _announce(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def _sts_of(fetched: Fetched) -> StsFound:
    policy = read_policy(fetched.body) if fetched.body is not None else None
    return StsFound(policy, fetched.firm_result, fetched.cause, fetched.detail, fetched.address, fetched.status)
