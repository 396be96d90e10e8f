"""What came from outside → text that is safe in a record and on a terminal, and short."""

import re

MAX_INPUT_BYTES = 1024  # what a record keeps of a line
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # what breaks a line, or drives a terminal


def shown(raw: bytes) -> str:
    """At most 1,024 bytes, with nothing raw left."""
    return _UNSAFE.sub(_escaped, raw[:MAX_INPUT_BYTES].decode(errors="backslashreplace"))


def kept(text: str) -> str:
    """The same for what is text already."""
    if len(text) <= MAX_INPUT_BYTES // 4 and text.isprintable():
        return text  # at most four bytes a character
    return shown(text.encode())


def _escaped(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode()
