"""Parsers, of what comes from wire and command line: each says what it is, or why it is not."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import TypeVar

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from dns.rcode import Rcode
from dns.rdatatype import RdataType
from OpenSSL import crypto

from scanner.dialogue import End, LimitExceeded, Violation
from scanner.hint import hint_of
from scanner.probes import Known, Talked
from scanner.probes.fingerprint import Fingerprint, SayJarm
from scanner.starttls import ber, xmpp
from scanner.starttls.mssql import Framing
from scanner.tls.certificate import MAX_NAMES, read_certificate
from scanner.tls.der import bits_in, extension_in, oids_in
from scanner.tls.exchange import Evidence, HelloAnswer
from scanner.tls.first_flight import FirstFlightExchange
from scanner.tls.flight import MAX_CHAIN, Flight
from scanner.tls.jarm import HELLOS, JarmExchange
from scanner.tls.key_exchange import MAX_PRIME_BYTES, curve_of, finite_group_of, prime_of
from scanner.tls.names import Version, versions_named
from scanner.tls.ocsp import MAX_RESPONSES, read_staple
from scanner.tls.overheard import Overheard
from scanner.tls.scts import MAX_SCTS, read_scts
from scanner.trust import TrustStore, Verifier
from scanner.wire_text import MAX_TEXT_BYTES, printable
from targets import services
from targets.resolving.question import question_of
from targets.resolving.reply import MAX_ALIASES, MAX_TTL, MalformedError, is_reply_to, name_text, read_reply
from targets.selection import port_number, service_named
from targets.services import GROUPS, SERVICES, services_named
from tests.fuzz.der import nodes_of
from tests.fuzz.inputs import Input, cut, flood_of, some_places, written
from tests.fuzz.oracles import is_safe, require, require_safe_text, texts_in
from tests.scanner.play import byte_by_byte, play
from tests.scanner.tls.test_overheard import BEFORE, HELLO, TICKET_12, Sealer, early_data, ticket
from tests.scanner.tls.wire import CCS, HANDSHAKE, in_records, message
from tests.scanner.transcript import every_transcript
from tests.targets.resolving.replies import failure as dns_failure
from tests.targets.resolving.replies import response as dns_response

T = TypeVar("T")

SUITE = 0x1301
SEALER = Sealer(SUITE)
MIN_HELLO_BYTES, MAX_SESSION_ID_BYTES = 38, 256
MOST_OVERHEARD_BYTES = 4_096
HINTS = {"tls", "http", "ssh", "echo", *services.Protocol}
NOW = datetime(2026, 11, 24, tzinfo=UTC)
MOST_ELEMENTS = 4_096
MOST_REPLY_BYTES = 4_096  # a datagram and more; an address takes ten microseconds


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
    escaped = any(escape in text for escape in ("\\x", "\\u", "\\U"))
    require(given.said[:MAX_TEXT_BYTES].isascii() or escaped or not text.isascii(), "bytes that vanish", text)
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
            refused(found[0].number, Violation)


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


def check_staple(given: Input) -> None:
    """Whatever is stapled is of some status, or has a reason why not; what it says can be shown, and is bounded."""
    staple = read_staple(given.said)
    require_safe_text(staple)
    require(staple.response_status or staple.parse_error, "no status, and no reason", staple)
    require(len(staple.statements) <= MAX_RESPONSES, "too many statements", len(staple.statements))
    said = staple.about(read_certificate(certificates()[1]))
    require(said is None or said in staple.statements, "a statement that is not there", said)


@cache
def staple_seeds() -> Iterable[bytes]:
    """They take a key, and so are not made before they are wanted."""
    return map(written, staples())


def staples() -> tuple[bytes, ...]:
    """OCSP responses in DER: of each status, and of each word about a certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    leaf, _ = (x509.load_der_x509_certificate(der) for der in certificates()[1:3])
    responder = x509.CertificateBuilder(leaf.issuer, leaf.issuer, key.public_key(), 7, NOW, NOW)
    signer = responder.sign(key, hashes.SHA256())
    made = [ocsp.OCSPResponseBuilder.build_unsuccessful(status) for status in list(ocsp.OCSPResponseStatus)[1:]]
    for word in ocsp.OCSPCertStatus:
        revoked = NOW if word is ocsp.OCSPCertStatus.REVOKED else None
        builder = ocsp.OCSPResponseBuilder().add_response(leaf, signer, hashes.SHA256(), word, NOW, NOW, revoked, None)
        made.append(builder.responder_id(ocsp.OCSPResponderEncoding.NAME, signer).sign(key, hashes.SHA256()))
    return tuple(each.public_bytes(Encoding.DER) for each in made)


def check_scts(given: Input) -> None:
    """A list of timestamps is bounded, and only its last entry may be one that was not there."""
    found = read_scts(given.said)
    require(len(found) <= MAX_SCTS, "too many timestamps", len(found))
    require(all(each.version for each in found if each.log_id), "a log without a version", found)
    whole = len(given.said) >= 2 + int.from_bytes(given.said[:2], "big")
    require(not whole or read_scts(given.said + b"more") == found, "what stands behind the list is read", found)


def sct_lists() -> list[bytes]:
    """Lists of one, of two, and of another version."""
    one, other = bytes(1) + bytes(range(32)) + bytes(8) + b"\0\0\4\3\0\1x", b"\1?"
    entries = ((one,), (one, one), (other, one))
    bodies = [b"".join(len(each).to_bytes(2, "big") + each for each in entry) for entry in entries]
    return [len(body).to_bytes(2, "big") + body for body in bodies]


KNOWN = Known(SERVICES["https"], "mx.example.org", (Version.TLS1_2,), {}, None)


def check_first_flight(given: Input) -> None:
    """The chain of a raw hello is the same however it comes, bounded, and nothing more than was sent."""
    seen = set()
    for pieces in ([given.said], cut(given.said, some_places(given.said)), byte_by_byte(given.said)):
        exchange = FirstFlightExchange(Version.TLS1_2, "mx.example.org", bytes(96), after_upgrade=False)
        play(exchange, pieces, End.RESET)
        seen.add(replace(exchange.seen, hello=HelloAnswer(Evidence.NOT_REACHED)) if exchange.seen else None)
    require(len(seen) == 1, "what is seen depends on how it comes", seen)
    (flight,) = seen
    require(flight is None or len(flight.chain) <= MAX_CHAIN, "too many certificates")
    require(flight is None or all(der for der in flight.chain), "an empty certificate", flight)


def first_flights() -> list[bytes]:
    """With a chain, with a request for a certificate, and cut short."""
    hello = bytes.fromhex("020000260303") + bytes(33) + bytes.fromhex("002f00")
    chain = bytes.fromhex("0b00000f00000c 000003 616263 000003 646566")
    asks, done = bytes.fromhex("0d00000501400000 00"), bytes.fromhex("0e000000")
    flights = (hello + chain + done, hello + chain + asks + done, hello + done, hello + chain)
    return [b"\x16\x03\x03" + len(flight).to_bytes(2, "big") + flight for flight in flights]


def check_flight(given: Input) -> None:
    """What is read along is the same however it comes, bounded, and never raises but for a group that is too large."""
    seen, said = set(), given.said[:MOST_OVERHEARD_BYTES]
    for pieces in ([said], cut(said, some_places(said)), byte_by_byte(said)):
        flight, too_large = Flight(), False
        try:
            for piece in pieces:
                flight.read(piece)
        except LimitExceeded:
            too_large = True
        told = (flight.version, flight.chain, flight.client_certificate, flight.whole)
        seen.add((too_large, None if too_large else (told, flight.alert)))
    require(len(seen) == 1, "what is seen depends on how it comes", seen)


def check_der(given: Input) -> None:
    """What is found of an extension stands there; what is no DER is refused."""
    for oid in (bytes.fromhex("551d25"), bytes.fromhex("551d0f")):
        value = refused(partial(extension_in, given.said, oid), ValueError)
        require(value is None or value in given.said, "an extension out of nothing", value)
        if value is not None:
            refused(partial(oids_in, value), ValueError)
            refused(partial(bits_in, value), ValueError)
    refused(partial(oids_in, given.said), ValueError)
    require(0 <= (refused(partial(bits_in, given.said), ValueError) or 0) < 256, "more than eight bits")


def check_key_exchange(given: Input) -> None:
    """A curve has a number that stands there; a group in a finite field is of some size, and not beyond all bounds."""
    curve, group = curve_of(given.said), finite_group_of(given.said)
    require(curve is None or 0 <= curve < 2**16, "no such curve", curve)
    require(group is None or 0 < group.bits <= 8 * MAX_PRIME_BYTES, "no such group", group)


def key_exchanges() -> list[bytes]:
    """Of both kinds."""
    own = prime_of(0x0100).to_bytes(256, "big")
    return [b"\x03\x00\x17\x41\x04", b"\x01\x00", b"\x01\x00" + own + b"\x00\x01\x02", b"\x00\x01\x00", b"\x00\x00"]


def check_jarm(given: Input) -> None:
    """A fingerprint is the same however the answers come; what is told of it is safe text, and keeps to its form."""
    parts, end = [], list(End)[given.choice % len(End)]
    for pieces in ([given.said], cut(given.said, some_places(given.said)), byte_by_byte(given.said)):
        had = []
        for hello in HELLOS:
            exchange = JarmExchange(hello, "mx.example.org", bytes(96), after_upgrade=False)
            had.append(Talked(SayJarm(hello), play(exchange, pieces, end).value, None))
        parts.append(Fingerprint().result(KNOWN, had))
    require(all(part == parts[0] for part in parts), "the fingerprint depends on how the answers come", parts)
    require(parts[0]["jarm"] is None or len(parts[0]["jarm"]) == 62, "not a fingerprint", parts[0])
    require_safe_text(parts[0])


def check_overheard(given: Input) -> None:
    """What is overheard is the same however it comes, and a ticket has numbers that a ticket can have."""
    seen, said = set(), given.said[:MOST_OVERHEARD_BYTES]
    for pieces in ([said], cut(said, some_places(said)), byte_by_byte(said)):
        for tls13 in (False, True):
            heard, secret = Overheard(tls13=tls13), SEALER.secret
            for piece in pieces:
                heard.hear(piece)
            seen.add((tls13, heard.session_id, heard.abbreviated, heard.ticket, heard.open_ticket(SUITE, secret)))
            require(heard.server_hello is None or len(said) > MIN_HELLO_BYTES, "a hello out of nothing")
    require(len(seen) == 2, "what is overheard depends on how it comes", seen)
    for _, session_id, _, *tickets in seen:
        require(len(session_id) < MAX_SESSION_ID_BYTES, "a session id that is too long")
        for found in filter(None, tickets):
            require(0 <= found.lifetime_s < 2**32 and found.max_early_data_bytes >= 0, "no such ticket", found)


def overheard() -> list[bytes]:
    """Whole and abbreviated handshakes of TLS 1.2, and tickets of TLS 1.3 behind what nobody can read."""
    hello, done = HELLO + message(11, b"\x00\x00\x00"), message(14, b"")
    sealed = SEALER.seal(HANDSHAKE, ticket(60, early_data(16384)))
    return [
        in_records(hello + done + TICKET_12, 2**14) + CCS,
        in_records(HELLO + TICKET_12, 30) + CCS,
        BEFORE + sealed,
        BEFORE + sealed[:-1] + b"?",
    ]


DNS_KINDS = (RdataType.A, RdataType.MX, RdataType.TXT, RdataType.TLSA, RdataType.SRV, RdataType.AAAA, RdataType.CNAME)
DNS_NAME = "mx.example.org"


def check_dns_reply(given: Input) -> None:
    """A datagram is the reply to a question, or malformed, or none of our matter; it comes to the same in any case.

    It is tried as it is, and behind a header and a question that are right.
    """
    asked = question_of(DNS_NAME, given.of(DNS_KINDS))
    said = given.said[:MOST_REPLY_BYTES]
    counts = (0, *said[:1], 0, *said[1:2], 0, *said[2:3])
    for wire in (said, b"\x12\x34\x81\x80\0\1" + bytes(counts).ljust(6, b"\0") + asked.wire + said[3:]):
        if not is_reply_to(wire, asked):
            continue
        try:
            reply = read_reply(wire, asked)
        except MalformedError as error:
            require_safe_text(str(error))
            continue
        require(reply == read_reply(bytes(bytearray(wire)), asked), "another reply when it is read again", reply)
        require(all(each.rdtype == asked.kind for each in reply.records), "records that were not asked for", reply)
        require(reply.aliases <= MAX_ALIASES and (reply.ttl or 0) <= MAX_TTL, "beyond its bounds", reply)
        if reply.aliases:
            text = name_text(reply.end)
            require_safe_text(text)
            require(question_of(text, asked.kind).qname == reply.end, "an alias to a name that is none", reply)


def dns_replies() -> list[bytes]:
    """Of each type, an alias, a denial, a failure with its reason, and one that is cut off."""
    seeds = list[bytes]()
    data = ("192.0.2.1", "10 mx1.example.org.", '"v=STSv1; id=1;"', "3 1 1 " + "ab" * 32, "0 1 993 imap.example.org.")
    for choice, text in enumerate(data):
        asked = question_of(DNS_NAME, DNS_KINDS[choice])
        found = dns_response(asked, f"{DNS_NAME}. 60 {asked.kind.name} {text}").to_wire()
        seeds += [written(found, choice), written(b"\1\0\1" + found[12 + len(asked.wire) :], choice)]
    asked = question_of(DNS_NAME, RdataType.A)
    alias = dns_response(asked, f"{DNS_NAME}. 60 CNAME A.example.net.", "a.example.net. 9 A 192.0.2.1").to_wire()
    denial = dns_response(asked, authority=("org. 300 SOA ns.org. root.org. 1 2 3 4 60",)).to_wire()
    bogus = dns_failure(asked, Rcode.SERVFAIL, 6).to_wire()
    return [*seeds, *(written(each, 0) for each in (alias, denial, bogus, alias[:2] + b"\x83\x80" + alias[4:]))]


# --- from the command line --------------------------------------------------------------------------------------------


def check_arguments(given: Input) -> None:
    """Names of services and versions, and ports: what is meant, or a sentence."""
    text = given.said[:1_024].decode("utf-8", "replace")
    for read in (services_named, versions_named, port_number, service_named):
        refused(lambda read=read: read(text), ValueError)  # type: ignore[misc]


def argument_seeds() -> Iterable[bytes]:
    """All the words that there are."""
    words = [*SERVICES, *GROUPS, "all", "TLSv1.2", "tls1_3,ssl3", "25", "65536", "mail,,chat"]
    return (written(word.encode()) for word in words)


def refused(read: Callable[[], T], error: type[Exception]) -> T | None:
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
