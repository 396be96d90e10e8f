"""Text from the wire, made harmless."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.wire_text import MAX_TEXT_BYTES, printable


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"220 mx.example.org ESMTP", "220 mx.example.org ESMTP"),
        ("grüß Gott, 世界".encode(), "grüß Gott, 世界"),
        (b"\x1b[31mred\x07\r\n", "\\x1b[31mred\\x07\\r\\n"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"\x00\x7f\xc2\x85", "\\x00\\x7f\\x85"),
        ("right\u202eleft\u200b\u2028\u3000".encode(), "right\\u202eleft\\u200b\\u2028\\u3000"),
        (b"", ""),
    ],
)
def test_escapes(data: bytes, text: str) -> None:
    """Letters of any script stay; what a terminal would obey, or what is no UTF-8, is escaped."""
    assert printable(data) == text


def test_cut() -> None:
    """1,024 bytes are kept; a letter that is cut in two is escaped."""
    assert printable(b"x" * 5000) == "x" * MAX_TEXT_BYTES
    assert printable(b"x" * 1023 + "ü".encode()) == "x" * 1023 + "\\xc3"


@given(st.binary(max_size=2000) | st.text(max_size=700).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes(data: bytes) -> None:
    """Whatever comes can be printed, and written as UTF-8."""
    text = printable(data)
    assert text.isprintable()
    text.encode()
