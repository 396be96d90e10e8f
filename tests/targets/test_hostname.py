"""Host names: what is taken, in which form, and why the rest is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.hostname import canonical_name
from targets.target import TargetError


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("mx.example.org", "mx.example.org"),
        ("MX.Example.ORG.", "mx.example.org"),
        ("localhost", "localhost"),
        ("_25._tcp.example.org", "_25._tcp.example.org"),
        ("a_b.example", "a_b.example"),
        ("3com.com", "3com.com"),
        ("1.2.3.4.example", "1.2.3.4.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("_smtp.bücher.example", "_smtp.xn--bcher-kva.example"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.org", "example.org"),
        ("BÜCHER.XN--BCHER-KVA.example", "xn--bcher-kva.xn--bcher-kva.example"),
        ("xn--i-7iq.ws", "xn--i-7iq.ws"),
        ("axn--b.example", "axn--b.example"),
        ("straße.example", "xn--strae-oqa.example"),
        (f"{'a' * 63}.example", f"{'a' * 63}.example"),
        ("a." * 126 + "a", "a." * 126 + "a"),
    ],
)
def test_names(written: str, name: str) -> None:
    """A name comes out in lower case, as A-labels, without its final dot."""
    assert canonical_name(written) == name


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "empty"),
        (".", "empty"),
        ("a..b", "empty label"),
        (".example", "empty label"),
        ("example..", "empty label"),
        ("-a.example", "hyphen"),
        ("a-.example", "hyphen"),
        ("a b.example", "a space"),
        ("a,b", "a comma"),
        ("user@example.org", "user name"),
        ("*.example.org", "'*'"),
        ("exa$mple.org", "'$'"),
        ("example.123", "all digits"),
        ("999.1.2.3", "all digits"),
        ("\uff11\uff19\uff12.0.2.1", "all digits"),
        (f"{'a' * 64}.example", "64 characters"),
        ("a." * 126 + "aa", "254 characters"),
        ("ü" * 2000, "at most 253"),
        (f"{'ü' * 63}.example", "internationalised"),
        ("a\u2f00\ufffd.example", "internationalised"),
        ("i❤.example", "internationalised"),
        ("\u05d0a.example", "internationalised"),
        ("xn--a.example", "the label 'xn--a' begins as an internationalised one and is not Punycode"),
        ("xn--a-.example", "hyphen"),
        ("xn--99999999.example", "not Punycode"),
        ("XN--B\u00fccher.example", "internationalised"),
        ("mx.xn--.example", "begins or ends with a hyphen"),
    ],
)
def test_names_that_are_none(written: str, why: str) -> None:
    """What is no host name is told in words that fit."""
    with pytest.raises(TargetError, match=why.replace("*", r"\*").replace("$", r"\$")):
        canonical_name(written)


@given(st.text(max_size=300))
def test_a_canonical_name_stays_as_it_is(written: str) -> None:
    """Any text is a name that is its own canonical form, or is refused."""
    try:
        name = canonical_name(written)
    except TargetError:
        return
    assert canonical_name(name) == name
    assert name.isascii()
    assert 0 < len(name) <= 253
    assert all(0 < len(label) <= 63 for label in name.split("."))
