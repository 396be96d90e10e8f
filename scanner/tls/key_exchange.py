"""The ServerKeyExchange of SSLv3 to TLS 1.2: which group it is in (RFC 8422 §5.4, RFC 5246 §7.4.3); pure.

A group in a finite field comes as its prime, and has a name only where the prime is one of RFC 7919.
"""

from dataclasses import dataclass
from functools import cache

_NAMED_CURVE = 3
# RFC 7919 §A: p = 2^b - 2^(b-64) + (floor(2^(b-130) * e) + X) * 2^64 - 1; by group, b and X.
_FINITE_FIELD = {
    0x0100: (2048, 560316),
    0x0101: (3072, 2625351),
    0x0102: (4096, 5736041),
    0x0103: (6144, 15705020),
    0x0104: (8192, 10965728),
}
FINITE_GROUPS = frozenset(_FINITE_FIELD)
MAX_PRIME_BYTES = 2_048


@dataclass(frozen=True, slots=True)
class FiniteGroup:
    """A group in a finite field."""

    bits: int
    named: int | None  # the code point of RFC 7919


def curve_of(message: bytes) -> int | None:
    """The code point of the curve; None where its parameters are written out, or the message is none of ECDHE."""
    if len(message) < 4 or message[0] != _NAMED_CURVE:
        return None
    return int.from_bytes(message[1:3], "big")


def finite_group_of(message: bytes) -> FiniteGroup | None:
    """The group of a DHE exchange; None where the message is none."""
    length = int.from_bytes(message[:2], "big")
    if not 0 < length <= MAX_PRIME_BYTES or len(message) < 2 + length:
        return None
    prime = int.from_bytes(message[2 : 2 + length], "big")
    return FiniteGroup(prime.bit_length(), _groups_by_prime().get(prime)) if prime else None


@cache
def _groups_by_prime() -> dict[int, int]:
    return {prime_of(group): group for group in FINITE_GROUPS}


@cache
def prime_of(group: int) -> int:
    """The prime of a group of RFC 7919."""
    bits, x = _FINITE_FIELD[group]
    return (1 << bits) - (1 << (bits - 64)) + ((_e_times_power_of_two(bits - 130) + x) << 64) - 1


def _e_times_power_of_two(power: int) -> int:
    """floor(e * 2^power), by e = 1/0! + 1/1! + 1/2! + …, with some bits to spare."""
    spare = 64
    term = total = 1 << (power + spare)
    divisor = 1
    while term:
        term //= divisor
        total += term
        divisor += 1
    return total >> spare
