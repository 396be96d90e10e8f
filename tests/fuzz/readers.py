"""Parsers, of what comes from wire, files and command line: each says what it is, or why it is not."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TypeVar

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import crypto

from scanner.dialogue import LimitExceeded, Violation
from scanner.hint import hint_of
from scanner.record import Recorder
from scanner.starttls import ber, xmpp
from scanner.starttls.mssql import Framing
from scanner.tls.certificate import MAX_NAMES, read_certificate
from scanner.tls.names import versions_named
from scanner.trust import TrustStore, Verifier
from scanner.wire_text import MAX_TEXT_BYTES, printable
from targets import services
from targets.exclude import BlockListError, Exclusions, block_list
from targets.hostname import MAX_NAME, canonical_name
from targets.lines import LineSplitter
from targets.parse import MAX_INPUT_BYTES, Parser
from targets.selection import port_number, service_named
from targets.services import GROUPS, SERVICES, services_named
from targets.target import Host, Network, Rejection, Target, TargetError
from tests.conftest import as_written, validate
from tests.fuzz.der import nodes_of
from tests.fuzz.inputs import Input, cut, flood_of, some_places, written
from tests.fuzz.oracles import is_safe, require, require_safe_text, texts_in
from tests.scanner.play import byte_by_byte
from tests.scanner.transcript import every_transcript

T = TypeVar("T")

HINTS = {"tls", "http", "ssh", "echo", "xmpp", *services.Protocol}
NOW = datetime(2026, 11, 24, tzinfo=UTC)
MOST_ELEMENTS = 4_096
MOST_LIST_BYTES = 16_384  # whose every line takes ten microseconds
MOST_REJECTED = 1  # of one input are validated as records: that takes a while


@dataclass(frozen=True, slots=True)
class Reader:
    """A parser as a target."""

    check: Callable[[Input], None]
    seeds: Callable[[], Iterable[bytes]]
    words: Callable[[], list[bytes]] = list


# --- from the wire ----------------------------------------------------------------------------------------------------


def check_text(given: Input) -> None:
    """Text from the wire can be shown, and is short; what can be shown already stays as it is."""
    text = printable(given.said)
    require_safe_text(text)
    require(given.said[:MAX_TEXT_BYTES].isascii() or "\\x" in text or not text.isascii(), "bytes that vanish", text)
    if len(text.encode()) <= MAX_TEXT_BYTES:
        require(printable(text.encode()) == text, "safe text is changed", text)


def check_hint(given: Input) -> None:
    """A hint is a word of the vocabulary, and does not depend on what comes behind 4 KB."""
    require(hint_of(given.said) in {None, *HINTS}, "an unknown hint", hint_of(given.said))
    require(hint_of(given.said, given.said[:8]) in {None, *HINTS}, "an unknown hint")


def first_words() -> list[bytes]:
    """What servers of all protocols say first."""
    return list(dict.fromkeys(each.turns[0].server[:64] for each in every_transcript() if each.turns))


def check_ber(given: Input) -> None:
    """What is read fits into what there is, at every depth; the rest is refused."""
    due = [given.said]
    count = 0
    while due and count < MOST_ELEMENTS:
        data = due.pop()
        try:
            found = ber.elements(data)
        except Violation:
            continue
        count += len(found)
        require(sum(len(each.content) + 2 for each in found) <= len(data), "more than there is", found)
        due += [each.content for each in found if each.tag & 0x20]
        if found and len(found[0].content) <= 8:
            _refused(found[0].number, Violation)


def check_xml(given: Input) -> None:
    """A stream is refused, or what is kept of it is not more than was sent: no entities."""
    stream = xmpp.Stream()
    try:
        for part in given.said.split(b">"):
            stream.feed(part + b">")
            if element := stream.finished:
                require(len("".join(texts_in(element))) <= 8 * len(given.said), "more text than was sent", element)
                require(_depth(element) <= xmpp.MAX_DEPTH, "too deep")
                printable(element.local.encode())
    except (Violation, LimitExceeded):
        pass


def _depth(element: xmpp.Element) -> int:
    return 1 + max(map(_depth, element.children), default=0)


def check_framing(framing: type[Framing], given: Input) -> None:
    """What comes out is the same for any cutting of the packets, and what we wrap is what comes out."""
    results = set()
    ways = [[given.said], cut(given.said, some_places(given.said)), byte_by_byte(given.said)]
    for pieces in [given.flood()] if given.is_flood else ways:
        reader = framing()
        payload = b"".join(map(reader.feed, pieces))
        if given.way & 1:
            reader.end()
        results.add((reader.early, payload, str(reader.stopped)))
        require(len(reader.early + payload) <= len(given.said), "more comes out than went in")
        require(given.said.startswith(reader.early), "early bytes that nobody sent", reader.early)
    require(len(results) == 1, "what comes out depends on how the packets come", results)
    require(framing().feed(framing().wrap(given.said)) == given.said, "what is wrapped is not what comes out")


def check_certificate(given: Input) -> None:
    """Whatever a chain is, its leaf has facts that can be shown, or a reason why not; and it is verified or not."""
    chain = tuple(node.encoded() for node in nodes_of(given.said) or ()) or (given.said,)
    certificate = read_certificate(chain[0])
    require_safe_text(certificate)
    require(certificate.parse_error or certificate.subject is not None, "no subject, and no reason", certificate)
    for names in (certificate.dns_names, certificate.ip_names):
        require(len(names or ()) <= MAX_NAMES, "too many names", len(names or ()))
    again = read_certificate(bytes(bytearray(chain[0])))
    require(again == certificate, "another certificate when it is read again", again)
    host = (None, "mx.example.org", "a.example.net")[given.choice % 3]
    verified = Verifier(trust_store()).verify(chain, certificate, host, "192.0.2.1", NOW)
    require_safe_text(verified)
    require((verified.trusted is False) == (verified.trust_error is not None), "no reason, or no refusal", verified)


@cache
def trust_store() -> TrustStore:
    """One authority, that of `certificates`."""
    return TrustStore((crypto.load_certificate(crypto.FILETYPE_ASN1, certificates()[0]),), ("fuzz",))


def certificate_seeds() -> Iterable[bytes]:
    """Each alone, and chains."""
    authority, *leaves = certificates()
    for choice in range(3):
        yield from (written(leaf, choice) for leaf in (authority, *leaves))
        yield from (written(leaf + authority, choice) for leaf in leaves if len(leaf) < 1_000)


@cache
def certificates() -> tuple[bytes, ...]:
    """In DER: of an authority, of a server, of a person."""
    authority = trustme.CA()
    pems = [
        authority.cert_pem.bytes(),
        authority.issue_cert("mx.example.org", "*.example.net", "192.0.2.1", "2001:db8::1").cert_chain_pems[0].bytes(),
        authority.issue_cert("büro.example", key_type=trustme.KeyType.RSA).cert_chain_pems[0].bytes(),
        authority.issue_cert("postmaster@example.org", common_name="Post Master").cert_chain_pems[0].bytes(),
    ]
    return tuple(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER) for pem in pems)


# --- from files and the command line ----------------------------------------------------------------------------------

SELECTIONS = (
    services_named("mail"),
    services_named("https"),
    services_named("tls"),
    services_named("smtp,tls"),
    services_named("all"),
)
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
)
_RECORDER = Recorder("0" * 26)
_EXCLUSIONS = Exclusions()


def check_targets(given: Input) -> None:
    """Every line names something, or is rejected with a sentence; nothing of it drives a terminal."""
    header = b"" if given.is_flood else HEADERS[given.way % len(HEADERS)]
    parser = Parser(SELECTIONS[given.choice % len(SELECTIONS)], header_allowed=given.choice < 128)
    splitter = LineSplitter()
    rejected = 0
    for number, line in enumerate(splitter.feed(header + given.said) + splitter.end(), 1):
        named = parser.parse(line, number)
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
            _require_target(named)


def _require_target(named: Target) -> None:
    require(named.services and all(1 <= port <= 65_535 for _, port in named.services), "nothing to ask", named)
    match named:
        case Host(name=name):
            require(len(name) <= MAX_NAME and canonical_name(name) == name, "not a canonical name", name)
        case Network(network=network):
            spans, blocked = _EXCLUSIONS.remaining(network)
            count = sum(last - first + 1 for first, last in spans)
            require(count + blocked == network.num_addresses, "addresses that are neither in nor out", named)


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
    name = _refused(lambda: canonical_name(written_name), TargetError)
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


def check_arguments(given: Input) -> None:
    """Names of services and versions, and ports: what is meant, or a sentence."""
    text = given.said[:1_024].decode("utf-8", "replace")
    for read in (services_named, versions_named, port_number, service_named):
        _refused(lambda read=read: read(text), ValueError)  # type: ignore[misc]


def argument_seeds() -> Iterable[bytes]:
    """All the words that there are."""
    words = [*SERVICES, *GROUPS, "all", "TLSv1.2", "tls1_3,ssl3", "25", "65536", "mail,,chat"]
    return (written(word.encode()) for word in words)


def _refused(read: Callable[[], T], error: type[Exception]) -> T | None:
    """What is read, or None where it is refused, in a sentence."""
    try:
        return read()
    except error as why:
        require(is_safe(str(why)) or isinstance(why, Violation), "text that a terminal obeys", str(why))
        return None


def plain_seeds(samples: Iterable[bytes]) -> Callable[[], Iterable[bytes]]:
    """Samples, and floods of them."""
    kept = tuple(samples)
    return lambda: (
        *(written(sample) for sample in kept),
        *(written(flood_of(b"", sample[:255]), 0, 0xF0) for sample in kept),
    )
