"""Who shows strain is asked more slowly: the address, and its network.

A server that speaks of load ends the look, and its address is left alone for a while, by all of its endpoints.
"""

from collections.abc import Callable

from scanner.conclusion import seconds_asked
from scanner.interview import Interview
from scanner.looks import SLOWER_S, Look, Patience, pause_at_once
from scanner.pace import Pace, Sign
from scanner.question import Answer, Question
from scanner.schedule import Schedule
from scanner.signs import Answered, has_answered, sign_of, sign_of_look


class BackOff:
    """Hears answers and looks, and slows the schedule down. What it hears tells it whether somebody was slowed down."""

    def __init__(
        self,
        schedule: Schedule[tuple[Interview, Question]],
        pace: Pace,
        clock: Callable[[], float],
        *,
        retries: int,
    ) -> None:
        """`clock`: the steady one of the schedule, which is asked where somebody is slowed down, and so seldom."""
        self._schedule = schedule
        self._pace = pace
        self._clock = clock
        self._retries = retries
        self._answered = Answered()
        self._patience = Patience()

    def hear_answer(self, interview: Interview, answer: Answer) -> bool:
        """What came of a connection."""
        endpoint = interview.endpoint
        had_answered = endpoint in self._answered
        sign = sign_of(answer, had_answered=had_answered)
        if sign is None:
            if not had_answered and has_answered(answer):
                self._answered.note(endpoint)
            return False
        if sign is Sign.RATE_LIMITED:
            self._leave_alone(interview, answer)
        self._slow_down(sign, endpoint.address)
        return True

    def hear_look(self, interview: Interview, look: Look) -> bool:
        """What a look came to."""
        sign = sign_of_look(look, interview.looks, interview.answers)
        if sign is None:
            return False
        self._slow_down(sign, interview.endpoint.address)
        return True

    def is_out_of_patience(self, address: str) -> bool:
        """Has it asked to be left alone for too long, in all?"""
        return self._patience.is_over(address)

    def _leave_alone(self, interview: Interview, answer: Answer) -> None:
        """Without later looks nobody comes back, and what waits is to have its only look without that wait."""
        address = interview.endpoint.address
        interview.cut_short(self._schedule.withdraw(address, lambda job: job[0] is not interview))
        if not self._retries:
            return
        now, pause = self._clock(), pause_at_once(seconds_asked(answer))
        if self._patience.grant(address, now, pause.seconds):
            self._schedule.slow_down(address, pause.interval_s, now, now + pause.seconds)

    def _slow_down(self, sign: Sign, address: str) -> None:
        now = self._clock()
        self._schedule.slow_down(address, SLOWER_S, now, now + SLOWER_S)
        alone_s = self._pace.heed(sign, address, now)
        if alone_s is not None:
            self._schedule.hold(address, now + alone_s)
