"""What holds of everything that is made of foreign bytes, whatever they are."""

import dataclasses
import gc
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from scanner.wire_text import MAX_TEXT_BYTES

MAX_CPU_S = 0.1  # of one input, however it is meant, up to 64 KB
MAX_TEXT = 4 * MAX_TEXT_BYTES  # characters: a byte becomes four when it is escaped, and no character grows more
MAX_KEPT_BYTES = 1_048_576  # by a dialogue, of 128 KB that it may read

_SLOW = "too slow"
_ATOMS = (bool, int, float, type(None))


class Broken(AssertionError):  # noqa: N818 - what a target broke is told in a sentence
    """A rule that holds for all inputs does not hold for this one."""


def require(holds: object, rule: str, *facts: object) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(": ".join([rule, *(repr(fact)[:400] for fact in facts)]))


def require_safe_text(value: object, most: int = MAX_TEXT) -> None:
    """Every text in a value can be shown on a terminal, and is short."""
    for text in texts_in(value):
        require(text.isprintable() or is_safe(text), "text that a terminal obeys", text)
        require(len(text) <= most, f"text of {len(text)} characters", text)


def is_safe(text: str) -> bool:
    """Not printable to Python are also the spaces of other scripts, which do no harm."""
    return not any(ord(each) < 32 or 127 <= ord(each) < 160 or each in "\u2028\u2029" for each in text)


def texts_in(value: object) -> list[str]:
    """Every text in a value, however deep."""
    match value:
        case str():
            return [value]
        case Mapping():
            return [text for pair in value.items() for each in pair for text in texts_in(each)]
        case tuple() | list() | set() | frozenset():
            return [text for each in value for text in texts_in(each)]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return [text for field in dataclasses.fields(value) for text in texts_in(getattr(value, field.name))]
        case _:
            return []


def kept_bytes(value: object) -> int:
    """How much of foreign bytes and text an object holds on to, by whatever way."""
    total, seen, due = 0, set[int](), [value]
    while due:
        each = due.pop()
        if isinstance(each, _ATOMS) or id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, str | bytes | bytearray):
            total += len(each)
        elif not isinstance(each, type) and not callable(each):
            due += gc.get_referents(each)
    return total


def within_time(check: Callable[[], Any], most_s: float = MAX_CPU_S) -> None:
    """Run a check; it may not take longer. One that did is run again, for the machine has other things to do too."""
    for _ in range(3):
        before = time.thread_time()
        check()
        spent = time.thread_time() - before
        if spent <= most_s:
            return
    raise Broken(f"{_SLOW}: {spent:.2f} s")


def signature(error: BaseException) -> tuple[str, ...]:
    """What went wrong, and where in the code of ours."""
    frames = [f"{each.filename}:{each.lineno}" for each in traceback.extract_tb(error.__traceback__)]
    ours = [each for each in frames if "/scanner/" in each or "/targets/" in each or "/fuzz/" in each]
    if isinstance(error, Broken):
        rule, _, facts = str(error).partition(": ")
        return rule, facts[:3] if rule == _SLOW else ours[-2]  # the last is `require`
    return type(error).__name__, *ours[-2:]
