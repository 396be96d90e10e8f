"""Requested questions: a probe comes to its end, with few connections, whatever a server answers from one to the next.

    byte 0   bits: 1 whether the versions were known by a hello, 2 and 4 which versions those were
    byte 1   how the wire ends, where a server says nothing more
    rest     what it does on each connection, four bytes each: `kind a b c`; behind them it closes

A kind below 4 is a ServerHello with the suite in place `a` of those that were offered, in a version that `b` tells, and
with what `c` tells in it and behind it. Others say an alert, end, or say what no server says. Where a probe makes a
handshake, a real server makes it too, and one of its bytes is altered: `a b` tells which.
"""

from collections.abc import Iterator
from typing import Any

from scanner.dialogue import End
from scanner.probes import PROBES, Known, Talked
from scanner.probes.ciphers import candidates
from scanner.probes.fingerprint import SayJarm
from scanner.probes.groups import TLS13_GROUPS
from scanner.probes.older_groups import CURVES
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.key_exchange import FINITE_GROUPS, prime_of
from scanner.tls.names import Version
from scanner.tls.talk import SayHello, Talk, Whom
from targets.services import SERVICES
from tests.conftest import as_written, validate_part
from tests.fuzz.hellos import ANSWERS, SERVERS
from tests.fuzz.inputs import Input, written
from tests.fuzz.oracles import kept_bytes, require, require_safe_text
from tests.peers.tls_server import Speaker, TlsServer
from tests.scanner.play import play
from tests.scanner.probes.asking import Altered, talk_with
from tests.scanner.tls.wire import (
    HRR_RANDOM,
    SUPPORTED_VERSIONS_13,
    alert,
    extension,
    in_records,
    message,
    server_hello,
    u16,
)

ACT_BYTES = 4
MOST_ACTS = 256  # of an input; a connection takes a tenth of a millisecond
MOST_KEPT_BYTES = 6_144  # of what came to a connection, on the average
WHOM = Whom("mx.example.test", False)
VERSIONS = (
    (Version.TLS1_2,),
    (Version.TLS1_3,),
    (Version.TLS1_0, Version.TLS1_2, Version.TLS1_3),
    (Version.SSLV2, Version.SSLV3, Version.TLS1_1),
)
# Of each: an offer that meets an end costs three connections, and whose order it is, up to two offers.
MOST_CONNECTIONS = {
    "compression": 1,
    "fallback_scsv": 1,
    "renegotiation": 2,
    "resumption": 6,
    "alpn": 10,
    "fingerprints": 20,
    "groups": 3 * (len(TLS13_GROUPS) + len(CURVES) + len(FINITE_GROUPS) + 12),
    "ciphers": 3 * sum(2 * len(candidates(version)) + 12 for version in list(Version)[1:]),
}


class ProbeTarget:
    """One probe, and a server that keeps to nothing."""

    def __init__(self, name: str) -> None:
        self.probe = PROBES[name]
        self._shapes = set[str]()  # of results that keep to the schema

    def check(self, given: Input) -> None:
        """It ends, and what it came to keeps to the schema, at each step too; little is kept of what was answered."""
        known, talked = _known(given), list[Talked]()
        while talks := self.probe.ask(known, talked):
            talked += [_talked(talk, given, len(talked) + number) for number, talk in enumerate(talks)]
            require(len(talked) <= MOST_CONNECTIONS[self.probe.name], "too many connections", len(talked))
        for told in {0, len(talked) // 2, len(talked)}:
            self._require_result(self.probe.result(known, talked[:told]))
        kept = kept_bytes([each.found for each in talked if isinstance(each.found, HelloAnswer)])
        require(kept <= MOST_KEPT_BYTES * max(1, len(talked)), "too much is kept of the answers", kept)

    def _require_result(self, result: dict[str, Any]) -> None:
        part = as_written({"complete": True, **result})
        if (shape := repr(part)) not in self._shapes:
            validate_part(self.probe.name, part)
            self._shapes.add(shape)
        require_safe_text(part)
        require(set(self.probe.findings(result)) <= _FINDINGS, "an unknown finding", result)

    def seeds(self) -> Iterator[bytes]:
        """Servers that choose the first, the last, another version, and what was not offered; and that end at once."""
        scripts = [bytes((kind, a, b, 0)) * 40 for kind in range(12) for a, b in ((0, 0), (255, 0), (1, 1), (0, 3))]
        scripts += [bytes((kind, 0, 0, c)) * 20 for kind in (1, 4) for c in range(12)]
        scripts += [bytes((8, 0, 0, 0, 1, 0, 0, 0)) * 20]
        for number, script in enumerate(scripts):
            yield written(script, number * 5 % 8, number % 7)
            yield written(script, 1, number % 7)

    def words(self) -> list[bytes]:
        """Acts."""
        return [bytes((kind, 0, 0, 0)) for kind in range(12)]


_FINDINGS = {
    *("weak-cipher", "weak-dh-group", "compression-enabled", "fallback-scsv-missing"),
    *("client-renegotiation", "insecure-renegotiation"),
}


def _known(given: Input) -> Known:
    versions = VERSIONS[given.choice >> 1 & 3]
    hellos = {}
    for version in versions if given.choice & 1 else ():
        suites = candidates(version) if version is not Version.SSLV2 else (0x010080,)
        group = 0x001D if version is Version.TLS1_3 else None
        hellos[version] = HelloAnswer(Evidence.SERVER_HELLO, version.code, suites[0], group, kinds=suites[:1])
    return Known(SERVICES["https"], WHOM.name, versions, hellos, None)


def _talked(talk: Talk, given: Input, number: int) -> Talked:
    """One connection."""
    acts = given.said[: MOST_ACTS * ACT_BYTES]
    act = acts[number * ACT_BYTES : (number + 1) * ACT_BYTES].ljust(ACT_BYTES, b"\0")
    dialogue, end = talk.begin(WHOM), list(End)[given.way % len(End)]
    match talk:
        case _ if number * ACT_BYTES >= len(acts):
            found = play(dialogue, [], End.EOF).value
        case SayHello(offer=offer):
            groups = offer.groups or (0x001D, 0x0017)
            found = play(dialogue, [_answer(offer.version, offer.all_suites, groups, *act)], _end(act, end)).value
        case SayJarm(hello=hello):
            found = play(dialogue, [_answer(hello.version, hello.suites, (0x001D,), *act)], _end(act, end)).value
        case _:
            server: Speaker = TlsServer(context=SERVERS[act[0] % len(SERVERS)](), greeting=b"220 early\r\n")
            if act[3]:
                server = Altered(server, int.from_bytes(act[1:3], "big") % 4_096, act[3])
            found = talk_with(dialogue, server, end)
    return Talked(talk, found, dialogue.ended)


def _end(act: bytes, end: End) -> End:
    return {8: End.RESET, 9: End.EOF, 10: End.TIMEOUT}.get(act[0] % 16, end)


def _answer(offered: Version, suites: tuple[int, ...], groups: tuple[int, ...], *act: int) -> bytes:
    """What a server says to a hello."""
    kind, a, b, c = act
    suite, group = suites[a * len(suites) // 256], groups[a * len(groups) // 256]
    match kind % 16:
        case 0 | 1 | 2 | 3 | 4:
            suite = suite if kind % 16 else a << 8 | b  # and one that nobody has offered
            code = (offered.code, offered.code - 1, offered.code + 1, 0x0301)[b % 4]
            return in_records(_hello(code, suite, group, kind % 16 == 4, c) + _behind(group, c), 2**14)
        case 5:
            return alert(2, 40)
        case 6:
            return alert(1 + b % 2, a)
        case 7:
            return ANSWERS[a % len(ANSWERS)]
        case 8 | 9 | 10:
            return b""
        case _:
            return bytes((a, b, c))


def _hello(code: int, suite: int, group: int, retry: bool, c: int) -> bytes:
    told = _EXTENSIONS[c % len(_EXTENSIONS)]
    if code < 0x0304:
        return server_hello(code, suite, told, compression=c & 1)
    told += SUPPORTED_VERSIONS_13 + extension(51, u16(group) if retry else u16(group) + u16(32) + bytes(32))
    return server_hello(0x0303, suite, told, random=HRR_RANDOM if retry else bytes(32))


_EXTENSIONS = (
    b"",
    extension(0xFF01, b"\0"),
    *(extension(16, u16(len(name) + 1) + bytes([len(name)]) + name) for name in (b"h2", b"\x0a\x0a", b"\x1b[2J\xff")),
    extension(18, bytes(12_000)),
    b"".join(extension(kind, b"") for kind in range(100, 164)),
    b"".join(extension(kind, b"") for kind in range(100, 3_000)),
)


def _behind(group: int, c: int) -> bytes:
    """The first flight, up to TLS 1.2."""
    prime = prime_of(group) if group in FINITE_GROUPS else (1 << (64 * (c + 1))) - 1
    own = prime.to_bytes((prime.bit_length() + 7) // 8, "big")
    finite, curve = u16(len(own)) + own + b"\0\1\2", b"\x03" + u16(group) + b"\x01\x04"
    chain = message(11, bytes(3 + 100 * (c & 3)))
    return chain + message(12, finite if c & 4 else curve if c & 8 else bytes([c]) * 20) + message(14, b"")
