"""Readers of files, in every form and however packed: each line names something, or is rejected with a sentence."""

from collections.abc import Iterable
from pathlib import Path

from scanner.record import Recorder
from targets.archive import PIECE_BYTES, ArchiveError, Unpacker
from targets.exclude import BlockListError, Exclusions, block_list
from targets.hostname import MAX_NAME, canonical_name
from targets.parse import Named
from targets.place import MIN_V6_PREFIX
from targets.reader import Reader
from targets.rules import Format, Rules
from targets.services import services_named
from targets.shown import MAX_INPUT_BYTES
from targets.splitter import LineSplitter
from targets.target import FormatError, Host, MailDomain, Network, Rejection, Target, TargetError
from tests.conftest import as_written, validate
from tests.fuzz.inputs import Input, cut, flood_of, some_places, written
from tests.fuzz.oracles import is_safe, require, texts_in
from tests.fuzz.readers import refused
from tests.scanner.play import byte_by_byte
from tests.targets.packed import gzip_packed, zstd_packed

MOST_LIST_BYTES = 16_384  # whose every line takes ten microseconds
MOST_LINES = 2_000
MOST_REJECTED = 1  # of one input are validated as records: that takes a while
SAMPLES = Path(__file__).parent.parent / "targets" / "samples"

SELECTIONS = (
    services_named("mail"),
    services_named("https"),
    services_named("tls"),
    services_named("smtp,tls"),
    services_named("all"),
)
FORMS = (Rules(), *map(Rules, Format), Rules(mx=True), Rules(srv=True, ipv6_most=5))
TEXT = Rules(Format.TEXT)
HEADERS = (b"", b"\xef\xbb\xbf", b"host,address,port,service\n", b"address,rack,rack,,HOST\n", b"host,port\n")
TARGET_LINES = (
    b"mail.example.org",
    b"mail.example.org:587",
    b"192.0.2.1",
    b"[2001:db8::1]:993",
    b"2001:db8::/120",
    b"192.0.2.0/24:25",
    b"imaps://mail.example.org",
    b"tls://192.0.2.1:8443/",
    b"mail1.example.net,192.0.2.25,,,A7,alice",
    b'"mail, the second",192.0.2.26,143,imap',
    b"# a comment",
    "bücher.example".encode(),
    "\u202eexample.org \u3002example".encode(),
    b"_dmarc.x-.example.",
    b"::ffff:192.0.2.1",
    b"fe80::1%eth0",
    b"[::1",
    b"1.2.3",
    b"xn--bcher-kva.example",
    b"a" * 64 + b".example",
    b"mx:example.org:2525",
    b"xn--a-.example",
)
OTHER_LINES = (
    b'{"host": "mail.example.org", "port": 25, "rack": {"a": [1]}, "\\u001b": "\\u009b"}\n{"domain": "example.org"}\n',
    b"rank,domain\n1,example.org\n2,192.0.2.1\n",
    b"192.0.2.1,mail.example.org,tag,25\n,mail.example.org\n192.0.2.0/24,,tag\n",
    b'{ "ip": "192.0.2.1", "ports": [ {"port": 25, "proto": "tcp", "status": "open"} ] },\n{finished: 1}\n]\n',
    b'[{"ip":"192.0.2.1","ports":[{"port":25,"proto":"tcp","status":"open"},{"port":53,"proto":"udp"}]}]',
    b'<!DOCTYPE nmaprun [<!ENTITY a "b">]><nmaprun>&a;</nmaprun>',
    b"<nmaprun><host><address addr='192.0.2.1' addrtype='ipv4'/><ports><port protocol='tcp' portid='0'><state",
    b"<" + b"a" * 250,
)
_RECORDER = Recorder("0" * 26)
_EXCLUSIONS = Exclusions()


def check_targets(given: Input) -> None:
    """Every line of text, or of CSV, is answered once."""
    content = _some_lines(given.said) if given.is_flood else HEADERS[given.way % len(HEADERS)] + given.said
    rules = TEXT if given.choice >= 128 else Rules()
    reader, splitter = Reader(SELECTIONS[given.choice % len(SELECTIONS)], rules), LineSplitter()
    try:
        named = [*reader.feed(content), *reader.end()]
    except FormatError:
        require(rules is not TEXT, "text that is not of its form")
        return
    if rules is TEXT:
        require(len(named) == len([*splitter.feed(content), *splitter.end()]), "lines are not answered once", named)
    _require_answers(named, rules)


def check_forms(given: Input) -> None:
    """In every form the same is named however the bytes come; or it is said that they are not of that form."""
    rules = FORMS[given.choice % len(FORMS)]
    ways = [[_some_lines(given.said)]] if given.is_flood else [[given.said], cut(given.said, some_places(given.said))]
    answers = [_answers(rules, pieces) for pieces in ways]
    require(all(each == answers[0] for each in answers), "what is named depends on how the file is read", *answers)
    _require_answers(answers[0][0], rules)


def check_archive(given: Input) -> None:
    """What is unpacked is the same however it comes, in pieces of bounded size; or it is said why it is not."""
    raw = (given.said, gzip_packed(given.said), zstd_packed(given.said))[given.choice % 3]
    unpacked = [_unpacked(pieces) for pieces in ([raw], cut(raw, some_places(raw)))]
    if not given.is_flood:
        unpacked.append(_unpacked(byte_by_byte(raw)))
    require(all(each == unpacked[0] for each in unpacked), "what is unpacked depends on how it is read")


def _some_lines(flood: bytes) -> bytes:
    """As much of it as is read in time: all, if its lines are long."""
    return flood if flood.count(b"\n") < MOST_LINES else flood[:MOST_LIST_BYTES]


def _answers(rules: Rules, pieces: Iterable[bytes]) -> tuple[list[Named], str]:
    reader, named = Reader(SELECTIONS[0], rules), list[Named]()
    try:
        for piece in pieces:
            named += reader.feed(piece)
        named += reader.end()
    except FormatError as why:
        require(is_safe(str(why)) and len(str(why)) < 512, "not a sentence", str(why))
        return [], str(why)
    return named, ""


def _unpacked(pieces: Iterable[bytes]) -> tuple[bytes, bool]:
    unpacker, whole = Unpacker(), b""
    try:
        for piece in pieces:
            for block in unpacker.feed(piece):
                require(len(block) <= max(PIECE_BYTES, len(piece) + 3), "a piece beyond its bound", len(block))
                whole += block
        return whole + b"".join(unpacker.end()), True
    except ArchiveError as why:
        require(is_safe(str(why)), "text that a terminal obeys", str(why))
        return b"", False


def _require_answers(answers: Iterable[Named], rules: Rules) -> None:
    """Each is as it should be, and nothing of it drives a terminal."""
    rejected = 0
    for named in answers:
        if named is None:
            continue
        for text in texts_in(named.origin):
            require(is_safe(text), "text that a terminal obeys", text)
        require(len(named.origin.input) <= 10 * MAX_INPUT_BYTES, "more of a line than is kept", named.origin.input)
        if isinstance(named, Rejection):
            require(is_safe(named.detail) and len(named.detail) < 2_048, "not a sentence", named.detail)
            rejected += 1
            if rejected <= MOST_REJECTED:
                validate(as_written(_RECORDER.rejected(named)))
        else:
            _require_target(named, rules)


def _require_target(named: Target, rules: Rules) -> None:
    match named:
        case Host(name=name) | MailDomain(name=name):
            require(len(name) <= MAX_NAME and canonical_name(name) == name, "not a canonical name", name)
        case Network(network=network):
            spans, blocked = _EXCLUSIONS.remaining(network)
            count = sum(last - first + 1 for first, last in spans)
            require(count + blocked == network.num_addresses, "addresses that are neither in nor out", named)
            is_wide = network.version == 6 and network.prefixlen < MIN_V6_PREFIX
            require(rules.ipv6_most or not is_wide, "a network that nobody can walk through", named)
    ports = [named.port] if isinstance(named, MailDomain) else [port for _, port in named.services]
    require(ports and all(1 <= port <= 65_535 for port in ports), "nothing to ask", named)


def form_seeds() -> Iterable[bytes]:
    """What the tools themselves wrote, recognised and as every form."""
    for sample in sorted(SAMPLES.iterdir()):
        content = sample.read_bytes()[:2_000]
        yield from (written(content, choice) for choice in range(len(FORMS)))
    for line in OTHER_LINES:
        yield from (written(line, choice) for choice in range(len(FORMS)))
        yield written(flood_of(b"", line[:255]), 0, 0xF0)


def archive_seeds() -> Iterable[bytes]:
    """Archives, two in a row, and what is none."""
    packed = gzip_packed(b"192.0.2.1\n" * 9), zstd_packed(b"192.0.2.1\n" * 9)
    for content in (
        *packed,
        *(each * 2 for each in packed),
        packed[0] + b"\0" * 9,
        b"\x50\x2a\x4d\x18\1\0\0\0x" + packed[1],
    ):
        yield written(content)
        yield written(content[:-3])
    yield from (written(b"192.0.2.1\n" * 9, choice) for choice in range(3))
    yield written(flood_of(b"", b"a"), 1, 0xF0)


def target_seeds() -> Iterable[bytes]:
    """Lines of every form, under every header and selection."""
    for choice in range(len(SELECTIONS)):
        for way in range(len(HEADERS)):
            yield written(b"\n".join(TARGET_LINES), choice + 128 * (way == 1), way)
    for number, line in enumerate(TARGET_LINES):
        yield written(line, number)
        yield written(flood_of(b"", line[:255]), number, 0xF0)
        yield written(flood_of(line[:32], line[-1:]), number, 0xF0)


def check_block_list(given: Input) -> None:
    """The networks of a list are blocked, all of them; or the line is named that is none."""
    try:
        networks = block_list(given.said[:MOST_LIST_BYTES].split(b"\n"), "list")
    except BlockListError as error:
        require(1 <= error.line <= given.said.count(b"\n") + 1, "a line that is not there", error.line)
        require(is_safe(str(error)), "text that a terminal obeys", str(error))
        return
    exclusions = Exclusions(block=networks)
    for network in networks[:16]:
        require(exclusions.blocked(network[0]) and exclusions.blocked(network[-1]), "listed, and not blocked", network)
        require(exclusions.remaining(network) == ([], network.num_addresses), "listed, and remains", network)
        require(is_safe(exclusions.blocked_within(network)), "text that a terminal obeys")


def check_hostname(given: Input) -> None:
    """A name in its one form, which is its own form; or a sentence."""
    written_name = given.said.decode("utf-8", "replace" if given.way & 1 else "ignore")
    name = refused(lambda: canonical_name(written_name), TargetError)
    if isinstance(name, str):
        require(name.isascii() and 0 < len(name) <= MAX_NAME, "not a host name", name)
        require(not set(name) & set(" :/@\\%[]"), "not a host name", name)
        require(canonical_name(name) == name, "a canonical name has another form", name)


def check_lines(given: Input) -> None:
    """However a file is read, its lines are the same, whole ones and those that are too long."""
    most = 1 + given.choice % 64
    ways = [[given.said], cut(given.said, some_places(given.said)), byte_by_byte(given.said)]
    results = [_split(pieces, most) for pieces in ([given.flood()] if given.is_flood else ways)]
    require(all(each == results[0] for each in results), "lines depend on how the file is read", *results)
    whole = given.said.split(b"\n")
    require(results[0] == [line[: most + 1] for line in (whole if whole[-1] else whole[:-1])], "not the lines")


def _split(pieces: Iterable[bytes], most: int) -> list[bytes]:
    splitter = LineSplitter(most)
    return [line for piece in pieces for line in splitter.feed(piece)] + splitter.end()
