"""Text from the wire is untrusted: it is cut, decoded without failing, and stripped of everything a terminal obeys."""

import unicodedata

MAX_TEXT_BYTES = 1_024


def printable(data: bytes) -> str:
    """At most 1,024 bytes, UTF-8 with `backslashreplace`, control characters escaped."""
    text = data[:MAX_TEXT_BYTES].decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c == " " or not unicodedata.category(c).startswith(("C", "Z")) else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
