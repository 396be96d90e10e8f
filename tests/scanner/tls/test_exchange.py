"""One version, one hello: every answer that a server can give to it."""

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.dialogue import End
from scanner.tls.dialogue import MAX_EARLY_BYTES
from scanner.tls.exchange import Evidence, HelloAnswer, TlsExchange, exchange
from scanner.tls.names import Version
from tests.scanner.play import byte_by_byte, play
from tests.scanner.tls.wire import (
    APPLICATION_DATA,
    CCS,
    CHANGE_CIPHER_SPEC,
    HANDSHAKE,
    HELLO_12,
    HELLO_13,
    HRR_RANDOM,
    SUPPORTED_VERSIONS_13,
    alert,
    extension,
    hello_of,
    in_records,
    message,
    record,
    server_hello,
    u16,
)

NAME = "mx.example.org"
BY_RECORD = [version for version in Version if version is not Version.SSLV2]
CUTS: list[Callable[[bytes], list[bytes]]] = [lambda data: [data], byte_by_byte]
VIOLATION = frozenset({"violation"})
ENDED = {
    End.EOF: Evidence.CLOSED,
    End.RESET: Evidence.RESET,
    End.TIMEOUT: Evidence.TIMEOUT,
    End.DEADLINE: Evidence.TIMEOUT,
    End.CAP: Evidence.GARBAGE,
}


def asked(version: Version = Version.TLS1_2, *, after_upgrade: bool = False) -> TlsExchange:
    made = exchange(version, NAME, bytes(96), after_upgrade=after_upgrade)
    assert isinstance(made, TlsExchange)
    return made


def answered(
    data: bytes, version: Version = Version.TLS1_2, end: End = End.EOF, *, after_upgrade: bool = False
) -> HelloAnswer:
    """The answer that these bytes come to, whole and byte by byte; `text` and `hint` are of the whole."""
    whole, in_pieces = (play(asked(version, after_upgrade=after_upgrade), cut(data), end).value for cut in CUTS)
    assert _without_words(whole) == _without_words(in_pieces)
    return whole


def _without_words(answer: HelloAnswer) -> tuple[object, ...]:
    """All but what was said in place of TLS: of that, more is kept when more came at once."""
    return (
        answer.evidence,
        answer.version,
        answer.cipher,
        answer.group,
        answer.alert,
        answer.tarpit,
        answer.partial,
        answer.flags,
        answer.text is None,
    )


yes_12 = HelloAnswer(Evidence.SERVER_HELLO, version=0x0303, cipher=0xC02F)
yes_13 = HelloAnswer(Evidence.SERVER_HELLO, version=0x0304, cipher=0x1301, group=0x001D)


@pytest.mark.parametrize("version", BY_RECORD)
def test_says_its_hello_and_nothing_else(version: Version) -> None:
    """One hello is sent, and nothing behind it."""
    dialogue = asked(version)
    assert play(dialogue, [in_records(hello_of(version.code), 100)]).sent == [dialogue.hello]


@pytest.mark.parametrize("offered", BY_RECORD)
@pytest.mark.parametrize("chosen", BY_RECORD)
def test_chosen_versions(offered: Version, chosen: Version) -> None:
    """The version that was offered is a yes, a lower one tells of itself, a higher one breaks the rules.

    One that only an extension can name which was not sent is no answer at all.
    """
    answer = answered(in_records(hello_of(chosen.code), 2**14), offered)
    if chosen is Version.TLS1_3 and offered is not chosen:
        assert answer == HelloAnswer(Evidence.GARBAGE, flags=VIOLATION)
        return
    assert answer.version == chosen.code
    if chosen is offered:
        assert answer.evidence is Evidence.SERVER_HELLO
    elif chosen.code < offered.code:
        assert answer.evidence is Evidence.LOWER_VERSION
    else:
        assert answer.evidence is Evidence.HIGHER_VERSION
        assert "violation" in answer.flags
    assert answer.is_hello
    assert answer.speaks_tls


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 37, 38, 39, 1000])
@pytest.mark.parametrize(
    ("hello", "version", "expected"), [(HELLO_12, "TLSv1.2", yes_12), (HELLO_13, "TLSv1.3", yes_13)]
)
def test_a_hello_in_many_records(hello: bytes, version: str, expected: HelloAnswer, size: int) -> None:
    """A ServerHello may be spread over records in any way, a byte a record."""
    assert answered(in_records(hello, size), Version(version)) == expected


HELLO_REQUEST = message(0, b"")
HRR = server_hello(0x0303, 0x1302, SUPPORTED_VERSIONS_13 + extension(51, u16(0x0018)), random=HRR_RANDOM)
REST = message(11, b"certificate") + message(14, b"")

ANSWERS: dict[str, tuple[bytes, Version, HelloAnswer]] = {
    "a ServerHello and all that follows in one record": (in_records(HELLO_12 + REST, 2**14), Version.TLS1_2, yes_12),
    "the record's version says nothing": (record(HANDSHAKE, HELLO_12, 0x0300), Version.TLS1_2, yes_12),
    "a CCS before the ServerHello": (CCS + record(HANDSHAKE, HELLO_13), Version.TLS1_3, yes_13),
    "a HelloRetryRequest": (
        record(HANDSHAKE, HRR),
        Version.TLS1_3,
        HelloAnswer(
            Evidence.HELLO_RETRY_REQUEST, version=0x0304, cipher=0x1302, group=0x0018, flags=frozenset({"hrr"})
        ),
    ),
    "a suite without a name": (
        record(HANDSHAKE, server_hello(0x0303, 0xFEFE)),
        Version.TLS1_2,
        HelloAnswer(Evidence.SERVER_HELLO, version=0x0303, cipher=0xFEFE, flags=frozenset({"unoffered_cipher"})),
    ),
    "a sentinel": (
        record(HANDSHAKE, server_hello(0x0303, 0xC02F, random=b"r" * 24 + b"DOWNGRD\x01")),
        Version.TLS1_2,
        HelloAnswer(Evidence.SERVER_HELLO, version=0x0303, cipher=0xC02F, flags=frozenset({"tls13_hint"})),
    ),
    "a warning, then a ServerHello": (alert(1, 112) + record(HANDSHAKE, HELLO_12), Version.TLS1_2, yes_12),
    "a warning in the middle of a ServerHello": (
        record(HANDSHAKE, HELLO_12[:9]) + alert(1, 90) + record(HANDSHAKE, HELLO_12[9:]),
        Version.TLS1_2,
        yes_12,
    ),
    "a warning, then a fatal alert": (
        alert(1, 112) + alert(2, 40),
        Version.TLS1_2,
        HelloAnswer(Evidence.ALERT, alert=40),
    ),
    "a warning and a fatal alert in one record": (
        record(21, b"\x01\x70\x02\x28"),
        Version.TLS1_2,
        HelloAnswer(Evidence.ALERT, alert=40),
    ),
    "a warning, then the end": (alert(1, 112), Version.TLS1_2, HelloAnswer(Evidence.ALERT, alert=112)),
    "warnings, then the end: the last counts": (
        alert(1, 112) + alert(1, 90),
        Version.TLS1_2,
        HelloAnswer(Evidence.ALERT, alert=90),
    ),
    "close_notify": (alert(1, 0), Version.TLS1_2, HelloAnswer(Evidence.ALERT, alert=0)),
    "a fatal alert, then anything": (
        alert(2, 70) + b"\xff\xff",
        Version.TLS1_2,
        HelloAnswer(Evidence.ALERT, alert=70),
    ),
    "three warnings in one record, then the end: the last counts": (
        record(21, b"\x01\x70\x01\x5a\x01\x29"),
        Version.TLS1_2,
        HelloAnswer(Evidence.ALERT, alert=0x29),
    ),
    "an alert in two records": (
        record(21, b"\x02") + record(21, b"\x46"),
        Version.TLS1_2,
        HelloAnswer(Evidence.ALERT, alert=70),
    ),
    "a warning and a half, then the other half": (
        record(21, b"\x01\x70\x02") + record(21, b"\x28"),
        Version.TLS1_2,
        HelloAnswer(Evidence.ALERT, alert=40),
    ),
    "half an alert": (record(21, b"\x02"), Version.TLS1_2, HelloAnswer(Evidence.CLOSED, partial=True)),
    "half a record": (record(HANDSHAKE, HELLO_12)[:50], Version.TLS1_2, HelloAnswer(Evidence.CLOSED, partial=True)),
    "half a ServerHello": (
        record(HANDSHAKE, HELLO_12[:50]),
        Version.TLS1_2,
        HelloAnswer(Evidence.CLOSED, partial=True),
    ),
    "a warning, then half a ServerHello": (
        alert(1, 70) + record(HANDSHAKE, HELLO_12[:50]),
        Version.TLS1_2,
        HelloAnswer(Evidence.CLOSED, partial=True),
    ),
    "a HelloRequest, then a ServerHello": (
        record(HANDSHAKE, HELLO_REQUEST) + record(HANDSHAKE, HELLO_12),
        Version.TLS1_2,
        yes_12,
    ),
    "HelloRequests and a ServerHello in pieces of three bytes": (
        in_records(HELLO_REQUEST * 3 + HELLO_13, 3),
        Version.TLS1_3,
        yes_13,
    ),
    "a HelloRequest and nothing else": (
        record(HANDSHAKE, HELLO_REQUEST),
        Version.TLS1_2,
        HelloAnswer(Evidence.CLOSED, partial=True),
    ),
    "a HelloRequest that is not empty": (
        record(HANDSHAKE, message(0, b"?") + HELLO_12),
        Version.TLS1_2,
        HelloAnswer(Evidence.GARBAGE, flags=VIOLATION),
    ),
    "more HelloRequests than we read": (
        in_records(HELLO_REQUEST * 1025, 4),
        Version.TLS1_2,
        HelloAnswer(Evidence.GARBAGE, flags=VIOLATION),
    ),
    "more warnings than we read": (alert(1, 90) * 1025, Version.TLS1_2, HelloAnswer(Evidence.ALERT, alert=90)),
    "a warning, then a message that is too long": (
        alert(1, 70) + record(HANDSHAKE, b"\x02\xff\xff\xff"),
        Version.TLS1_2,
        HelloAnswer(Evidence.GARBAGE, flags=VIOLATION),
    ),
    "a ServerHello with its version twice": (
        record(HANDSHAKE, server_hello(0x0303, 0x1301, SUPPORTED_VERSIONS_13 * 2)),
        Version.TLS1_3,
        HelloAnswer(Evidence.GARBAGE, flags=VIOLATION),
    ),
    "a ServerHello that compresses": (
        record(HANDSHAKE, server_hello(0x0303, 0xC02F, compression=1)),
        Version.TLS1_2,
        HelloAnswer(Evidence.SERVER_HELLO, version=0x0303, cipher=0xC02F, flags=VIOLATION),
    ),
    "an empty record of a handshake": (
        record(HANDSHAKE, b"") + record(HANDSHAKE, HELLO_12),
        Version.TLS1_2,
        HelloAnswer(Evidence.GARBAGE, flags=VIOLATION),
    ),
    "an empty CCS": (record(CHANGE_CIPHER_SPEC, b""), Version.TLS1_2, HelloAnswer(Evidence.GARBAGE, flags=VIOLATION)),
    "a record that is too long": (
        b"\x16\x03\x03\xff\xff" + HELLO_12,
        Version.TLS1_2,
        HelloAnswer(Evidence.GARBAGE, flags=VIOLATION),
    ),
    "a message that is too long": (
        record(HANDSHAKE, b"\x02\xff\xff\xff"),
        Version.TLS1_2,
        HelloAnswer(Evidence.GARBAGE, flags=VIOLATION),
    ),
    "a malformed ServerHello": (
        record(HANDSHAKE, message(2, b"nonsense")),
        Version.TLS1_2,
        HelloAnswer(Evidence.GARBAGE, flags=VIOLATION),
    ),
    "another message first": (
        record(HANDSHAKE, REST + HELLO_12),
        Version.TLS1_2,
        HelloAnswer(Evidence.GARBAGE, flags=VIOLATION),
    ),
    "application data first": (
        record(APPLICATION_DATA, b"hello"),
        Version.TLS1_2,
        HelloAnswer(Evidence.GARBAGE, flags=VIOLATION),
    ),
    "more records than we read": (CCS * 1025, Version.TLS1_2, HelloAnswer(Evidence.GARBAGE, flags=VIOLATION)),
    "our own hello": (
        asked().hello,
        Version.TLS1_2,
        HelloAnswer(Evidence.GARBAGE, hint="echo", flags=VIOLATION),
    ),
    "HTTP": (
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        Version.TLS1_2,
        HelloAnswer(Evidence.PLAINTEXT, hint="http", text="HTTP/1.1 400 Bad Request\\r\\n\\r\\n"),
    ),
    "a line without its end": (b"hi", Version.TLS1_2, HelloAnswer(Evidence.PLAINTEXT, text="hi")),
    "text in front of binary": (b"hi\n\xff", Version.TLS1_2, HelloAnswer(Evidence.PLAINTEXT, text="hi\\n\\xff")),
    "telnet": (b"\xff\xfd\x18", Version.TLS1_2, HelloAnswer(Evidence.GARBAGE, hint="telnet", text="\\xff\\xfd\\x18")),
    "MySQL": (
        b"J\x00\x00\x00\n8\x00",
        Version.TLS1_2,
        HelloAnswer(Evidence.GARBAGE, hint="mysql", text="J\\x00\\x00\\x00\\n8\\x00"),
    ),
    "SSLv2": (b"\x80\x03\x00\x00\x01", Version.TLS1_2, HelloAnswer(Evidence.GARBAGE, text="\\x80\\x03\\x00\\x00\\x01")),
    "a record's first byte, and no record": (
        b"\x16abc",
        Version.TLS1_2,
        HelloAnswer(Evidence.GARBAGE, text="\\x16abc"),
    ),
    "garbage behind a warning": (
        alert(1, 112) + b"oh",
        Version.TLS1_2,
        HelloAnswer(Evidence.GARBAGE, text="oh"),
    ),
}


@pytest.mark.parametrize(("data", "version", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_answers(data: bytes, version: Version, expected: HelloAnswer) -> None:
    """What a server says, whole and byte by byte, and then closes."""
    assert answered(data, version) == expected


@pytest.mark.parametrize("number", range(256))
def test_every_alert(number: int) -> None:
    """A fatal alert decides, whatever its number is; a warning does only when nothing comes behind it."""
    assert answered(alert(2, number)) == HelloAnswer(Evidence.ALERT, alert=number)
    assert answered(alert(1, number)) == HelloAnswer(Evidence.ALERT, alert=number)
    goes_on = answered(alert(1, number) + record(HANDSHAKE, HELLO_12))
    assert goes_on == (yes_12 if number else HelloAnswer(Evidence.ALERT, alert=0))


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (End.EOF, HelloAnswer(Evidence.CLOSED)),
        (End.RESET, HelloAnswer(Evidence.RESET)),
        (End.TIMEOUT, HelloAnswer(Evidence.TIMEOUT)),
        (End.DEADLINE, HelloAnswer(Evidence.TIMEOUT, tarpit=True)),
    ],
)
@pytest.mark.parametrize("data", [b"", b"\x16", b"\x16\x03\x03\x00\x5a\x02"], ids=["nothing", "a byte", "a beginning"])
def test_ends(data: bytes, end: End, expected: HelloAnswer) -> None:
    """FIN, RST and silence are three things, a byte now and then is a fourth; and a beginning is not silence."""
    assert answered(data, end=end) == replace(expected, partial=bool(data))
    assert not expected.speaks_tls


@pytest.mark.parametrize("end", End)
def test_ends_behind_a_warning(end: End) -> None:
    """After a warning and nothing else the warning is what there is, and a tarpit stays one."""
    answer = answered(alert(1, 112), end=end)
    assert answer == HelloAnswer(Evidence.ALERT, alert=112, tarpit=end is End.DEADLINE)


TLS = record(HANDSHAKE, HELLO_12)

EARLY: dict[str, tuple[bytes, bytes, HelloAnswer]] = {
    "text, then TLS": (b"250 ok\r\n" + TLS, b"250 ok\r\n", yes_12),
    "lines, then TLS": (b"one\r\ntwo\n" + TLS, b"one\r\ntwo\n", yes_12),
    "half a line, then TLS": (b"<iq/>" + TLS, b"<iq/>", yes_12),
    "a message in BER, then TLS": (b"\x30\x0c\x02\x01\x02" + TLS, b"\x30\x0c\x02\x01\x02", yes_12),
    "options of telnet, then TLS": (b"\xff\xfd\x18" + TLS, b"\xff\xfd\x18", yes_12),
    "what looks like half an SSLv2, then TLS": (b"\x80\x20\x04" + TLS, b"\x80\x20\x04", yes_12),
    "what looks like half a record, then TLS": (b"? \x16\x03\x03" + TLS, b"? \x16\x03\x03", yes_12),
    "a line feed, then TLS": (b"\n" + TLS, b"\n", yes_12),
    "text, then a ServerHello in small records": (b"no" + in_records(HELLO_12, 1), b"no", yes_12),
    "text, then an alert": (b"no\r\n" + alert(2, 40), b"no\r\n", HelloAnswer(Evidence.ALERT, alert=40)),
    "text, then half a record": (b"no\r\n" + TLS[:30], b"no\r\n", HelloAnswer(Evidence.CLOSED, partial=True)),
    "text, then a record that breaks the rules": (
        b"no\r\n\x16\x03\x03\xff\xff",
        b"no\r\n",
        HelloAnswer(Evidence.GARBAGE, flags=VIOLATION),
    ),
    "text, then the end": (
        b"500 what?\r\n",
        b"",
        HelloAnswer(Evidence.PLAINTEXT, hint="smtp", text="500 what?\\r\\n"),
    ),
    "half a line, then the end": (b"500 wh", b"", HelloAnswer(Evidence.PLAINTEXT, hint="smtp", text="500 wh")),
    "text, then garbage": (b"no\r\n\xff\xff", b"", HelloAnswer(Evidence.PLAINTEXT, text="no\\r\\n\\xff\\xff")),
    "garbage": (b"\x01\xff\x16", b"", HelloAnswer(Evidence.GARBAGE, text="\\x01\\xff\\x16")),
    "an ERROR of SSLv2": (
        b"\x80\x03\x00\x00\x01",
        b"",
        HelloAnswer(Evidence.GARBAGE, text="\\x80\\x03\\x00\\x00\\x01"),
    ),
    "nothing before TLS": (TLS, b"", yes_12),
}


@pytest.mark.parametrize(("data", "early", "expected"), EARLY.values(), ids=EARLY)
def test_bytes_behind_the_go_ahead(data: bytes, early: bytes, expected: HelloAnswer) -> None:
    """After STARTTLS, what comes before TLS is kept aside and never reaches TLS; what comes in its place is text."""
    assert answered(data, after_upgrade=True) == expected
    for cut in CUTS:
        dialogue = asked(after_upgrade=True)
        play(dialogue, cut(data))
        assert dialogue.early == early


@given(early=st.binary(min_size=1, max_size=60), cut=st.integers(0, 60))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_bytes_behind_the_go_ahead(early: bytes, cut: int) -> None:
    """Whatever is put in front of TLS, the answer is read behind it."""
    dialogue = asked(after_upgrade=True)
    pieces = [early[:cut], early[cut:] + TLS]
    assert play(dialogue, filter(None, pieces)).value == yes_12
    assert dialogue.early == early


def test_endless_text_behind_the_go_ahead() -> None:
    """Text without end runs into our cap, and no more than a little of it is kept."""
    answer = play(asked(after_upgrade=True), [b"500 what?\n" + b"no\n" * 5000, *[b"no\n" * 5000] * 20]).value
    assert answer.evidence is Evidence.PLAINTEXT
    assert (answer.text or "").startswith("500 what?\\nno\\nno")  # its beginning, not where our cap fell
    assert answer.hint == "smtp"


def test_much_text_behind_the_go_ahead() -> None:
    """No more than a little is kept of what comes before TLS, and all of it is passed over."""
    dialogue = asked(after_upgrade=True)
    assert play(dialogue, [b"no\n" * 10_000 + TLS]).value == yes_12
    assert dialogue.early == (b"no\n" * 10_000)[:MAX_EARLY_BYTES]


@pytest.mark.parametrize("end", End)
@pytest.mark.parametrize(
    ("data", "version"), [(in_records(HELLO_12, 40), "TLSv1.2"), (alert(1, 90) + in_records(HELLO_13, 40), "TLSv1.3")]
)
def test_truncated_at_every_point(data: bytes, version: str, end: End) -> None:
    """A ServerHello that ends in its middle is none: how the wire ended is what there is, or the warning before it."""
    ended = ENDED[end]
    for length in range(len(data)):
        answer = answered(data[:length], Version(version), end)
        assert answer.evidence is (Evidence.ALERT if data.startswith(b"\x15") and length == 7 else ended)
        assert answer.partial == (length > 0 and answer.evidence is ended)


@given(garbage=st.binary(max_size=40))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_followed_by_garbage(garbage: bytes) -> None:
    """What comes behind the answer changes nothing, and is left over."""
    dialogue = asked()
    assert play(dialogue, [record(HANDSHAKE, HELLO_12) + garbage]).value == yes_12
    assert dialogue.trailing_data == garbage


def test_entropy_is_the_callers() -> None:
    """Two exchanges with other entropy send other hellos, of the same length."""
    hellos = {exchange(Version.TLS1_3, NAME, os.urandom(96), after_upgrade=False).hello for _ in range(3)}
    assert len(hellos) == 3
    assert len({len(hello) for hello in hellos}) == 1
