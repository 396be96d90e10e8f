"""How much is measured: in a few minutes, or in a night."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes of the cases, and how often each is measured."""

    repetitions: int
    seconds: int  # of the yardstick, each time
    held: int  # how often what an endpoint holds is measured
    grown: int  # and how often the peak at 204,800 targets; 0: it is not
    domains: int
    hosts: int
    surveys: int
    refused: int  # endpoints of which 5 % are alive
    silent: int
    distant: int  # a power of two; a whole number of rounds of 400, or nearly


BENCH = Scale(3, 3, 2, 0, 10_000, 500, 2, 10_000, 5_000, 2**15)
FULL = Scale(5, 3, 5, 3, 100_000, 2_000, 3, 20_000, 10_000, 2**15)
