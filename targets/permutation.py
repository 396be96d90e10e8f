"""The numbers below a size in an order that looks random, follows from a seed, and needs no list in memory.

The way of ZMap (Durumeric, Wustrow, Halderman: "ZMap: Fast Internet-Wide Scanning and Its Security Applications",
USENIX Security 2013, §4.1): the powers of a primitive root run through the multiplicative group of integers modulo a
prime, each once, hopping about. ZMap has a table of primes; here it is the smallest safe prime (p = 2q + 1, q prime)
above the size. Then few steps are wasted on numbers beyond it, and the primitive roots are known without factoring
anything: the group has 2q elements, so whatever is neither 1 nor -1 nor a square is one.
"""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b

_SMALL_SAFE_PRIMES = (5, 7, 11)  # all others leave 11 when divided by 12
_SIEVE = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73)
# Strong pseudoprimes to all of these are above 3.3 * 10^24 (Sorenson, Webster: Math. Comp. 86, 2017). Beyond, which is
# for IPv6 networks wider than /47, a composite number passes with a probability under 4^-13.
_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)
_SIZES = 1024  # whose primes are remembered: a list of a million /24 looks for one


def permuted(size: int, key: bytes) -> Iterator[int]:
    """The numbers from 0 to size - 1, each once, in an order that the key alone decides."""
    prime = _safe_prime_above(size)
    root = _primitive_root(prime, key)
    first = number = 1 + _drawn(key, 0) % (prime - 1)
    while True:
        if number <= size:
            yield number - 1
        number = number * root % prime
        if number == first:
            return


def _primitive_root(prime: int, key: bytes) -> int:
    """One of the primitive roots, which are nearly half of all numbers below the prime."""
    draw = 1
    while True:
        root = 2 + _drawn(key, draw) % (prime - 3)  # neither 1 nor -1
        if pow(root, prime >> 1, prime) != 1:  # Euler's criterion: no square
            return root
        draw += 1


def _drawn(key: bytes, number: int) -> int:
    """A number of 512 bits: whatever Python's own generator becomes, a seed stays the same order."""
    return int.from_bytes(blake2b(b"%d/" % number + key).digest(), "big")


@lru_cache(_SIZES)
def _safe_prime_above(size: int) -> int:
    for prime in _SMALL_SAFE_PRIMES:
        if prime > size:
            return prime
    prime = size + 1 + (11 - (size + 1)) % 12
    while not _is_safe_prime(prime):
        prime += 12
    return prime


def _is_safe_prime(number: int) -> bool:
    """Is it 2q + 1 with q prime? Then 4^q = 1 is the proof that it is prime itself (Pocklington's)."""
    half = number >> 1
    if any(half % each == 0 and half != each for each in _SIEVE):
        return False
    if any(number % each == 0 and number != each for each in _SIEVE):
        return False
    return pow(2, half - 1, half) == 1 and pow(4, half, number) == 1 and _is_prime(half)


def _is_prime(odd: int) -> bool:
    """Miller and Rabin's test."""
    twos = ((odd - 1) & (1 - odd)).bit_length() - 1
    for witness in _WITNESSES:
        if witness % odd == 0:
            continue
        power = pow(witness, (odd - 1) >> twos, odd)
        if power in (1, odd - 1):
            continue
        if not any((power := power * power % odd) == odd - 1 for _ in range(twos - 1)):
            return False
    return True
