"""JARM and JA3S: against what was published of both, and on servers in memory."""

import ssl
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from scanner.conclusion import conclude
from scanner.connection import Connection, Timeouts
from scanner.dialogue import End
from scanner.interview import Interview
from scanner.probes import Known, Talked
from scanner.probes.fingerprint import Fingerprint, SayJarm, ja3s_of, jarm_of
from scanner.question import Answer, Wanted
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.hello import ServerHello
from scanner.tls.jarm import HELLOS, JarmExchange, JarmHello, jarm_client_hello
from scanner.tls.names import Version
from targets.services import SERVICES
from targets.target import Endpoint, Origin
from tests.peers.memory import FIN, RST, Network, Peer, Turn
from tests.peers.tls_server import HOST, TlsServer, server_context
from tests.scanner.play import byte_by_byte, play
from tests.scanner.tls.wire import CCS, HANDSHAKE, alert, extension, message, read_client_hello, record, server_hello

NAMES = [hello.name for hello in HELLOS]
TIMEOUTS = Timeouts(connect_s=5, greeting_s=10, reply_s=10, tls_s=10, deadline_s=120)
KNOWN = Known(SERVICES["https"], HOST, (Version.TLS1_2,), {}, None)

# SHA-256 of the ten hellos to mail.example.test with all zeros for random bytes, and with 0x0a0a for GREASE: of those
# that pyJARM 0.0.5 makes, which is another program for the same fingerprint.
PUBLISHED_HELLOS = {
    "tls1_2_forward": "92444dcd223f45e8041723ab02cb10bd3f7ceb0c555b2719ac66576af16063cc",
    "tls1_2_reverse": "6e17f29cef30d02051ee45c4e97d21541019e071e28d4b224f691ccb8784e81b",
    "tls1_2_top_half": "a0bfaf06154c59a1471d2bd0bea16fe6994cafc3cc47b84ddcb82fedd548652d",
    "tls1_2_bottom_half": "7f64b93dc3c8b1f06ef74633923d4a5931af51b67fdadb84697ef711c1eae167",
    "tls1_2_middle_out": "0ed5fe7b4803cc0a6f786c50c13fc859af6f8059c3af15bc1e5571ad31f3fe00",
    "tls1_1_middle_out": "01d952c0f4f4a8ad8956fca3d49d018f8f5fbef873362e054f23d25b288cdb85",
    "tls1_3_forward": "aaa81566afa71d853b7416567fba4452f11dd7019352ca3c961bd57dcbe33a62",
    "tls1_3_reverse": "c50234dddd89f78a40d6a79a325adf83649c3923591d293e0d4be3b28cad7d2c",
    "tls1_3_invalid": "63c463365d326a4f773023b4fa2409693203e49a2e03417abbe09217d0ec7303",
    "tls1_3_middle_out": "b71a645d67cb843ebca9727fcc420f03b94f9639597bc01511b1fea9ac114d58",
}

# What a server answers to each of the ten, and the fingerprint that was published of it. That tells version and suite
# of each answer; of names and extensions it has a hash, so what was not read is inferred: likely answers that have it.
GOOGLE_12 = "{}|0303|h2|0017-ff01-000b-0023-0010"
GOOGLE_13 = "{}|0303||0033-002b"
SALESFORCE = "c030|0303|{}|ff01-0000-0001-000b-0023-0010"
RUMBLE = "c02f|0303|http/1.1|0000-ff01-000b-0023-0010"
RUMBLE_RARE = "c02f|0303||0000-ff01-000b-0023"
PUBLISHED_JARMS: dict[str, tuple[list[str], str]] = {
    # Among the examples of JARM's README. Two of the answers are read, from the exchange that pyJARM's tests have on
    # record; the others are inferred.
    "google.com": (
        [
            GOOGLE_12.format("c02b"),
            *[GOOGLE_12.format("cca9")] * 2,
            "c02f|0303||0017-ff01-000b-0023",
            "cca9|0303||0017-ff01-000b-0023",
            "c009|0302|h2|0017-ff01-000b-0023-0010",
            GOOGLE_13.format("1302"),
            GOOGLE_13.format("1303"),
            "|||",
            GOOGLE_13.format("1301"),
        ],
        "27d40d40d29d40d1dc42d43d00041d4689ee210389f4f6b4b5b1b93f92252d",
    ),
    # Another of these examples. None of the answers is on record: all are inferred in the same way.
    "salesforce.com": (
        [
            *[SALESFORCE.format("h2")] * 2,
            "|||",
            *[SALESFORCE.format("http/1.0")] * 2,
            "|||",
            *["1302|0303||002b-0033"] * 2,
            "|||",
            "|||",
        ],
        "2ad2ad0002ad2ad00042d42d00000069d641f34fe76acdc05c40262f8815e5",
    ),
    # The example of jarm-go's tests.
    "console.rumble.run": (
        [RUMBLE, RUMBLE, "|||", RUMBLE_RARE, RUMBLE_RARE, "|||", *[RUMBLE] * 4],
        "29d29d00029d29d00029d29d29d29d8c9dac4e97f99c7a0e93e9d4d790df0a",
    ),
    # That of rustJarm's.
    "the same ten times": (
        [GOOGLE_12.format("c02b").replace("0017-ff01", "0000-0017-ff01")] * 10,
        "27d27d27d27d27d27d27d27d27d27debd865e63a4441da99411bab3aadfedf",
    ),
    "ten refusals": (["|||"] * 10, "0" * 62),
}


def hello_of(answer: str) -> bytes:
    """What a server says that JARM writes down so."""
    cipher, version, alpn, kinds = answer.split("|")
    if not cipher:
        return alert(2, 40)
    body = b""
    for kind in filter(None, kinds.split("-")):
        name = alpn.encode()
        data = (len(name) + 1).to_bytes(2, "big") + bytes([len(name)]) + name if kind == "0010" else b"\x00\x00"
        body += extension(int(kind, 16), data)
    return record(HANDSHAKE, server_hello(int(version, 16), int(cipher, 16), body))


def answered(hello: JarmHello, data: bytes, end: End = End.EOF) -> HelloAnswer:
    """What these bytes come to, whole and byte by byte."""
    whole, in_pieces = (
        play(JarmExchange(hello, HOST, bytes(96), after_upgrade=False), pieces, end).value
        for pieces in ([data] if data else [], byte_by_byte(data))
    )
    assert (whole.evidence, whole.server_hello, whole.alert) == (
        in_pieces.evidence,
        in_pieces.server_hello,
        in_pieces.alert,
    )
    return whole


def talked(*answers: HelloAnswer | None) -> list[Talked]:
    """The ten were said, and came to this."""
    return [Talked(SayJarm(hello), answer, None) for hello, answer in zip(HELLOS, answers, strict=True)]


def result_of(had: Sequence[Talked]) -> dict[str, Any]:
    return Fingerprint().result(KNOWN, had)


# --- the hellos -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hello", HELLOS, ids=NAMES)
def test_the_hellos_are_those_that_were_published(hello: JarmHello) -> None:
    """Byte for byte, but for the random ones."""
    said = jarm_client_hello(hello, "mail.example.test", bytes(96))
    assert sha256(said).hexdigest() == PUBLISHED_HELLOS[hello.name]


def test_there_are_ten_in_their_order() -> None:
    """The order is that of the first thirty characters."""
    assert list(PUBLISHED_HELLOS) == NAMES


@pytest.mark.parametrize("hello", HELLOS, ids=NAMES)
def test_what_is_random(hello: JarmHello) -> None:
    """Random, session id, key and GREASE are the client's; a strict reader takes all ten."""
    entropy = bytes(range(7, 103))
    read = read_client_hello(jarm_client_hello(hello, None, entropy))
    assert (read.random, read.session) == (entropy[:32], entropy[32:64])
    assert read.extensions is not None
    assert 0 not in read.extensions, "an address may not stand in SNI"
    assert read.extensions[51].endswith(entropy[64:])
    assert (0x7A7A in read.suites, 0x7A7A in read.extensions) == (hello.greased, hello.greased)
    assert len(read.suites) == {"tls1_2_top_half": 35, "tls1_2_bottom_half": 34, "tls1_3_invalid": 64}.get(
        hello.name, 70 if hello.greased else 69
    )


# --- the answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answers", "jarm"), PUBLISHED_JARMS.values(), ids=PUBLISHED_JARMS)
def test_published_values(answers: list[str], jarm: str) -> None:
    """From the ServerHellos, be they read or inferred, to the 62 characters."""
    had = talked(*(answered(hello, hello_of(answer)) for hello, answer in zip(HELLOS, answers, strict=True)))
    result = result_of(had)
    assert result["jarm"] == jarm
    assert [each["answer"] for each in result["hellos"]] == answers
    assert not Fingerprint().ask(KNOWN, had)


@pytest.mark.parametrize(
    ("version", "cipher", "kinds", "ja3s"),
    [
        (769, 47, [65281, 0, 11, 35, 5, 16], "836ce314215654b5b1f85f97c73e506f"),  # the example of JA3S's authors
        # Those of CyberChef's tests, but for one of a draft of TLS 1.3, whose ServerHello was another.
        (0x0301, 0xC011, [0xFF01, 11, 35], "bed95e1b525d2f41db3a6d68fac5b566"),
        (0x0302, 0xC013, [0xFF01, 11, 35], "130fac2dc19b142500acb0abc63b6379"),
        (0x0303, 0xC02F, [0xFF01, 11, 35], "ccc514751b175866924439bdbb5bba34"),
    ],
)
def test_published_ja3s(version: int, cipher: int, kinds: list[int], ja3s: str) -> None:
    """MD5 of version, cipher and extensions, in decimal and in their order."""
    said = dict.fromkeys(kinds, b"\x00")
    hello = ServerHello(version, cipher, None, False, frozenset(), legacy_version=version, extensions=said)
    assert ja3s_of(hello) == ja3s
    written = b"".join(extension(kind, b"\x00") for kind in kinds)
    answer = answered(HELLOS[6], record(HANDSHAKE, server_hello(version, cipher, written)))
    assert answer.server_hello is not None
    assert ja3s_of(answer.server_hello) == ja3s


def test_ja3s_tells_of_which_hello_it_is() -> None:
    """Of the first that offers TLS 1.3; where that was refused, of the first that was answered."""
    first, second = hello_of("c02f|0303||ff01"), hello_of("1301|0303||002b-0033")
    all_answered = result_of(talked(*(answered(hello, second) for hello in HELLOS)))
    assert all_answered["ja3s_hello"] == "tls1_3_forward"
    assert all_answered["ja3s"] == all_answered["hellos"][6]["ja3s"]
    one = result_of(talked(*(answered(hello, first if hello is HELLOS[3] else alert(2, 40)) for hello in HELLOS)))
    assert (one["ja3s_hello"], one["ja3s"]) == ("tls1_2_bottom_half", one["hellos"][3]["ja3s"])
    none = result_of(talked(*[HelloAnswer(Evidence.ALERT, alert=40)] * 10))
    assert (none["ja3s_hello"], none["ja3s"]) == (None, None)


REFUSALS: dict[str, bytes] = {
    "an alert": alert(2, 40),
    "a warning, then a ServerHello": alert(1, 112) + hello_of("c02f|0303||ff01"),  # JARM reads the first record alone
    "a Certificate": record(HANDSHAKE, b"\x0b\x00\x00\x03\x00\x00\x00"),
    "application data": record(23, b"x"),
    "a version that there is not": record(HANDSHAKE, server_hello(0x0309, 0xC02F, b"")),
    "an extension twice": record(HANDSHAKE, server_hello(0x0303, 0xC02F, extension(35, b"") * 2)),
    "our own hello": jarm_client_hello(HELLOS[0], HOST, bytes(96)),
}


@pytest.mark.parametrize("data", REFUSALS.values(), ids=REFUSALS)
def test_what_is_no_server_hello(data: bytes) -> None:
    """JARM has one word for all of it."""
    others = [answered(hello, hello_of("c02f|0303||ff01")) for hello in HELLOS[1:]]
    result = result_of(talked(answered(HELLOS[0], data), *others))
    assert (result["hellos"][0]["answer"], result["jarm"][:6]) == ("|||", "00029d")
    assert "complete" not in result


ODD: dict[str, tuple[bytes, str]] = {
    "a suite of TLS 1.3 in TLS 1.2": (hello_of("1301|0303||ff01"), "41d"),
    "a suite that was not offered": (hello_of("0001|0303||ff01"), "46d"),
    "SSLv3": (record(HANDSHAKE, server_hello(0x0300, 0x0035)), "08a"),
    "no list of extensions": (record(HANDSHAKE, server_hello(0x0303, 0xC02F)), "29d"),
    "an empty list": (record(HANDSHAKE, server_hello(0x0303, 0xC02F, b"")), "29d"),
    "a ChangeCipherSpec before it": (CCS + hello_of("c02f|0303||ff01"), "29d"),
    "a HelloRequest before it": (record(HANDSHAKE, bytes(4)) + hello_of("c02f|0303||ff01"), "29d"),
}


@pytest.mark.parametrize(("data", "start"), ODD.values(), ids=ODD)
def test_odd_choices_are_what_a_fingerprint_lives_on(data: bytes, start: str) -> None:
    """No rule is applied to a ServerHello but that of its form."""
    jarm = jarm_of([answered(HELLOS[0], data).server_hello, *[None] * 9])
    assert jarm[:30] == start + "000" * 9
    assert len(jarm) == 62


def test_words_from_the_wire_are_printable() -> None:
    """The name that ALPN chose is the server's."""
    name = b"\x1b[31m\xff"
    data = extension(16, bytes([0, len(name) + 1, len(name)]) + name)
    answer = answered(HELLOS[0], record(HANDSHAKE, server_hello(0x0303, 0xC02F, data)))
    assert result_of(talked(answer, *[None] * 9))["hellos"][0]["answer"] == "c02f|0303|\\x1b[31m\\xff|0010"


@given(st.binary(max_size=80), st.sampled_from(HELLOS), st.sampled_from(End))
def test_any_bytes_at_all(body: bytes, hello: JarmHello, end: End) -> None:
    """Whatever stands in a ServerHello, or in its place: a line or none, and no crash."""
    said = b"\x03\x03" + bytes(32) + b"\x00" + body
    for data in (body, record(HANDSHAKE, body or b"x"), record(HANDSHAKE, message(2, said))):
        result = result_of(talked(answered(hello, data, end), *[YES] * 9))
        assert result["hellos"][0]["answer"] is None or result["hellos"][0]["answer"].count("|") == 3
        assert (result["jarm"] is None) == (result["hellos"][0]["answer"] is None)


# --- what was not answered --------------------------------------------------------------------------------------------

YES = HelloAnswer(Evidence.SERVER_HELLO, server_hello=ServerHello(0x0303, 0xC02F, None, False, frozenset(), 0x0303))
NO = HelloAnswer(Evidence.ALERT, alert=40)
CLOSED, RESET, SILENT = (HelloAnswer(evidence) for evidence in (Evidence.CLOSED, Evidence.RESET, Evidence.TIMEOUT))
TEXT = HelloAnswer(Evidence.PLAINTEXT, text="421 too many connections")


@pytest.mark.parametrize("end", [End.EOF, End.RESET, End.TIMEOUT, End.DEADLINE])
def test_half_an_answer_is_none(end: End) -> None:
    """A ServerHello that was cut short makes no fingerprint, wherever it was cut."""
    data = hello_of("c02f|0303|h2|ff01-0010")
    for length in range(1, len(data)):
        answer = answered(HELLOS[0], data[:length], end)
        result = result_of(talked(answer, *[YES] * 9))
        assert (result["jarm"], result["complete"], result["hellos"][0]["answer"]) == (None, False, None), length
        assert not Fingerprint().ask(KNOWN, talked(answer, *[YES] * 9))


@pytest.mark.parametrize(
    "came", [SILENT, TEXT, None, HelloAnswer(Evidence.CLOSED, partial=True)], ids=["silence", "text", "none", "half"]
)
def test_what_nobody_can_tell(came: HelloAnswer | None) -> None:
    """Silence, a word about load, and a hello that was not said: no JARM, and the others stand."""
    had = talked(*[YES] * 4, came, *[YES] * 5)
    result = result_of(had)
    assert (result["jarm"], result["complete"]) == (None, False)
    assert [each["answer"] for each in result["hellos"]].count(None) == 1
    assert result["ja3s"]


@pytest.mark.parametrize("hung_up", [CLOSED, RESET])
def test_who_hangs_up_is_asked_once_more(hung_up: HelloAnswer) -> None:
    """FIN and RST are how some servers refuse, and also how busy ones do: twice is no chance."""
    had = talked(YES, hung_up, *[YES] * 7, hung_up)
    again = Fingerprint().ask(KNOWN, had)
    assert again == [SayJarm(HELLOS[1]), SayJarm(HELLOS[9])]
    assert result_of(had)["jarm"] is None
    had += [Talked(again[0], hung_up, None), Talked(again[1], YES, None)]
    assert not Fingerprint().ask(KNOWN, had)
    result = result_of(had)
    assert [each["answer"] == "|||" for each in result["hellos"]] == [False, True, *[False] * 8]
    assert result["jarm"].startswith("29d000" + "29d" * 8)


def test_all_hung_up_on() -> None:
    """Without one that was answered, nobody can tell it from a server that is gone."""
    had = talked(*[CLOSED] * 10)
    assert not Fingerprint().ask(KNOWN, had)
    assert result_of(had)["jarm"] is None
    assert result_of([*had, *had])["jarm"] is None
    assert result_of(talked(NO, *[CLOSED] * 9))["jarm"] is None, "an alert may be an answer to load"


def test_nothing_was_asked() -> None:
    """The first round is all ten; before it there is no fingerprint."""
    assert Fingerprint().ask(KNOWN, []) == [SayJarm(hello) for hello in HELLOS]
    result = result_of([])
    assert (result["jarm"], result["ja3s"], result["complete"]) == (None, None, False)
    assert {each["evidence"] for each in result["hellos"]} == {"not_reached"}


# --- on servers in memory ---------------------------------------------------------------------------------------------

MODERN = server_context


def only_tls12() -> ssl.SSLContext:
    """Another configuration of the same library."""
    context = server_context("prime256v1")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


async def interviewed(service: str, peers: Callable[[], Peer]) -> tuple[dict[str, Any], int]:
    """The part of a whole interview, and the connections that it took."""
    spoken = SERVICES[service]
    endpoint = Endpoint(Origin("x"), HOST, "192.0.2.1", spoken.port or 1, spoken)
    interview = Interview(endpoint, Wanted((Version.TLS1_2,), handshake=False, probes=("fingerprints",)))
    questions = interview.begin()
    connections = 0
    while questions:
        answer = Answer(questions.pop(0), trio.current_time())
        connections += 1
        network = Network({"192.0.2.1": [peers()]})
        await Connection(endpoint, answer, TIMEOUTS, "scan.example.test").ask(network.dial)
        questions += interview.take(answer)
    return conclude(interview).probes.get("fingerprints", {}), connections


SMTP = (
    Turn(0.1, b"220 mx ready\r\n"),
    Turn(0.1, b"250-mx\r\n250 STARTTLS\r\n", heard=b"EHLO scan.example.test\r\n"),
    Turn(0.1, b"220 go ahead\r\n", heard=b"STARTTLS\r\n"),
)


def served(context: ssl.SSLContext, before: Sequence[Turn] = ()) -> Peer:
    """One connection to a server of OpenSSL."""
    return Peer([*before, Turn(0.01, TlsServer(context=context))])


@pytest.mark.parametrize("context", [MODERN, only_tls12])
async def test_through_starttls(context: Callable[[], ssl.SSLContext], autojump_clock: MockClock) -> None:
    """The same server has the same fingerprint behind STARTTLS as without."""
    bare, connections = await interviewed("https", lambda: served(context()))
    upgraded, as_many = await interviewed("smtp", lambda: served(context(), SMTP))
    assert bare == upgraded
    assert (connections, as_many) == (11, 11)  # one for the version
    assert bare["complete"] is True
    assert len(bare["jarm"]) == 62
    assert bare["ja3s_hello"] == "tls1_3_forward"


async def test_servers_that_differ(autojump_clock: MockClock) -> None:
    """What they choose shows: neither has TLS 1.1, and one has no TLS 1.3."""
    modern, _ = await interviewed("https", lambda: served(MODERN()))
    old, _ = await interviewed("https", lambda: served(only_tls12()))
    # Its certificate is of ECDSA, so that the half that has suites of RSA alone has nothing in common with it.
    refused = [[each["answer"] == "|||" for each in part["hellos"][:8]] for part in (modern, old)]
    assert refused == [[False] * 3 + [True, False, True] + [False] * 2] * 2
    assert modern["hellos"][6]["answer"] == "1302|0303||002b-0033"
    assert old["hellos"][6]["answer"].startswith("c02c|0303||")
    assert modern["jarm"][:18] == old["jarm"][:18]
    assert modern["jarm"][18:] != old["jarm"][18:]


@pytest.mark.parametrize("act", [FIN, RST])
async def test_a_server_that_turns_us_away_half_way(act: Any, autojump_clock: MockClock) -> None:
    """Behind the fourth connection the service does not let us in: no JARM, and no further connection."""
    count = 0

    def peers() -> Peer:
        nonlocal count
        count += 1
        return served(MODERN(), SMTP) if count <= 4 else Peer([Turn(0.1, act)])

    part, connections = await interviewed("smtp", peers)
    assert (part["jarm"], part["complete"]) == (None, False)
    assert [each["evidence"] for each in part["hellos"]] == [*["server_hello"] * 3, *["not_reached"] * 7]
    assert connections == 11
