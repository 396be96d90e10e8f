"""Lines → targets and rejections."""

import re
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from targets.parse import MAX_LINE_BYTES, Parser
from targets.reader import Reader
from targets.rules import Rules
from targets.services import services_named
from targets.shown import MAX_INPUT_BYTES, shown
from targets.target import Host, Network, Reason, Rejection, Target
from tests.targets.forms import named, told

SMTP = services_named("smtp")
MAIL = services_named("mail")


def parsed(line: str | bytes, services: str = "smtp") -> Target | Rejection | None:
    raw = line.encode() if isinstance(line, str) else line
    (answer,) = Reader(services_named(services)).feed(raw + b"\n")
    return answer


@pytest.mark.parametrize(
    ("line", "name", "asked"),
    [
        ("mx.example.org", "mx.example.org", "smtp:25"),
        ("  MX.example.org. \r", "mx.example.org", "smtp:25"),
        ("mx.example.org:2525", "mx.example.org", "smtp:2525"),
        ("imaps://mx.example.org", "mx.example.org", "imaps:993"),
        ("IMAPS://mx.example.org:9993", "mx.example.org", "imaps:9993"),
        ("https://mx.example.org/", "mx.example.org", "https:443"),
        ("https://mx.example.org:8443/", "mx.example.org", "https:8443"),
        ("bücher.example:25", "xn--bcher-kva.example", "smtp:25"),
        ("\ufeffmx.example.org", "mx.example.org", "smtp:25"),
    ],
)
def test_hosts(line: str, name: str, asked: str) -> None:
    """A host in each form that it can be written in."""
    target = parsed(line)
    assert isinstance(target, Host)
    assert (target.name, target.address) == (name, None)
    assert [f"{service.name}:{port}" for service, port in target.services] == [asked]


@pytest.mark.parametrize(
    ("line", "network", "asked"),
    [
        ("192.0.2.1", "192.0.2.1/32", "smtp:25"),
        ("192.0.2.1:2525", "192.0.2.1/32", "smtp:2525"),
        ("imap://192.0.2.1", "192.0.2.1/32", "imap:143"),
        ("imap://192.0.2.1:1143/", "192.0.2.1/32", "imap:1143"),
        ("192.0.2.5/24", "192.0.2.0/24", "smtp:25"),
        ("192.0.2.0/24:2525", "192.0.2.0/24", "smtp:2525"),
        ("tls://192.0.2.0/24:8443", "192.0.2.0/24", "tls:8443"),
        ("imap://10.0.0.0/8", "10.0.0.0/8", "imap:143"),
        ("0.0.0.0/0", "0.0.0.0/0", "smtp:25"),
        ("2001:DB8::0:1", "2001:db8::1/128", "smtp:25"),
        ("2001:db8::1:25", "2001:db8::1:25/128", "smtp:25"),
        ("[2001:db8::1]", "2001:db8::1/128", "smtp:25"),
        ("[2001:db8::1]:2525", "2001:db8::1/128", "smtp:2525"),
        ("imap://[2001:db8::1]:1143", "2001:db8::1/128", "imap:1143"),
        ("imap://2001:db8::1", "2001:db8::1/128", "imap:143"),
        ("2001:db8::ff/120", "2001:db8::/120", "smtp:25"),
        ("2001:db8::/112", "2001:db8::/112", "smtp:25"),
        ("[2001:db8::]/120:2525", "2001:db8::/120", "smtp:2525"),
        ("tls://2001:db8::/120:8443", "2001:db8::/120", "tls:8443"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1/128", "smtp:25"),
    ],
)
def test_networks(line: str, network: str, asked: str) -> None:
    """An address or a network in each form that it can be written in."""
    target = parsed(line)
    assert isinstance(target, Network)
    assert target.network == ip_network(network)
    assert [f"{service.name}:{port}" for service, port in target.services] == [asked]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("mx.example.org:", "the port after ':' is missing"),
        ("mx.example.org:smtp", "'smtp' is not a port"),
        ("mx.example.org:65536", "'65536' is not a port"),
        (":25", "the host name is empty"),
        ("imap://", "the host name is empty"),
        ("http://example.org", "no service is called 'http'"),
        ("://example.org", "no service is called ''"),
        ("tls://example.org", "tls has no default port"),
        ("https://example.org/index.html", "'/index.html' is a path"),
        ("https://example.org:8443/a/b", "'/a/b' is a path"),
        ("https://cafe.be:443/x", "'/x' is a path"),
        ("example.org/24", "'/24' is a path"),
        ("example.org/", "'/' is a path"),
        ("192.0.2.0/33", "'33' is not a prefix length"),
        ("192.0.2.0/", "'' is not a prefix length"),
        ("192.0.2.0/255.255.255.0", "'255.255.255.0' is not a prefix length"),
        ("192.0.2.0/²", "'²' is not a prefix length"),
        ("192.0.2.0/24:0", "'0' is not a port"),
        ("999.1.2.3", "not an IPv4 address .*, and not a host name"),
        ("192.0.2.1.", "not an IPv4 address"),
        ("192.000.002.001", "Leading zeros"),
        ("example.123", "all digits"),
        ("2001:db8::/64", "an IPv6 /64 has too many addresses .* /112"),
        ("::/0", "an IPv6 /0 has too many"),
        ("2001:db8::/129", "'129' is not a prefix length"),
        ("fe80::1%eth0", "a zone"),
        ("[fe80::1%eth0]:25", "a zone"),
        ("2001:db8::12345", "not an IPv6 address"),
        ("a:b:c", r"not an IPv6 address .*\[address\]:port"),
        ("[2001:db8::1", "'\\[' is not closed"),
        ("[192.0.2.1]:25", "only an IPv6 address stands in brackets"),
        ("[2001:db8::1]25", "'25' behind"),
        ("[a:b]", "'a:b' is not an IPv6 address"),
        ("[a:b]/64", "'a:b' is not an IPv6 address"),
        ("two words", "a space"),
        ("two\twords", "a tab"),
        ("example.org # comment", "a space"),
        ("example.org,192.0.2.1", "a comma .* CSV"),
        ("user@example.org", "'@'"),
        ("exam\x00ple.org", "a control character, '\\\\x00'"),
        ("example\x85.org", "a control character"),
        ("one.example\rtwo.example", "a control character"),
        (b"caf\xe9.example", "byte 4 of the line, 0xe9, is not UTF-8"),
        (b"a" * (MAX_LINE_BYTES + 1), "longer than 65,536 bytes"),
    ],
)
def test_rejected(line: str | bytes, why: str) -> None:
    """Whatever names nothing is invalid, for a reason that can be acted on."""
    rejection = parsed(line)
    assert isinstance(rejection, Rejection)
    assert rejection.reason is Reason.INVALID
    assert rejection.origin.line == 1
    assert re.search(why, rejection.detail), rejection.detail


@pytest.mark.parametrize(
    ("line", "domain"),
    [
        ("mx:example.org", "mx:example.org:25 mx"),
        ("MX:Example.ORG.", "mx:example.org:25 mx"),
        ("mx:example.org:2525", "mx:example.org:2525 mx"),
        ("mx:bücher.example", "mx:xn--bcher-kva.example:25 mx"),
        ("mx:_tcp.example", "mx:_tcp.example:25 mx"),
        ("mx:25", "mx@None smtp:25"),
        ("mx:example.org:", "the port after ':' is missing"),
        ("mx:example.org:smtp", "'smtp' is not a port"),
        ("mx:", "the host name is empty"),
        ("mx:192.0.2.1", "an address has no MX records"),
        ("mx:[2001:db8::1]:25", "an address has no MX records"),
        ("mx:2001:db8::1", "an address has no MX records"),
        ("mx:user@example.org", "'@' cannot be in a host name"),
        ("mx:example.org/24", "'/' cannot be in a host name"),
        ("mx:xn--a.example", "the label 'xn--a' begins as an internationalised one"),
        ("mx: example.org", "a space cannot be in a host name"),
        ("mx://example.org", "'/' cannot be in a host name"),
    ],
)
def test_mail_domains(line: str, domain: str) -> None:
    """Behind mx: stands a domain, with the port on which its MX hosts are asked."""
    assert (told([parsed(line)])[0] or "").startswith(domain)


def test_wide_ipv6_networks() -> None:
    """They are rejected, with what would let them in, unless a cap is named."""
    for prefix in (0, 64, 111):
        (rejection,) = named(f"2001:db8::/{prefix}")
        assert isinstance(rejection, Rejection)
        assert "--ipv6-most" in rejection.detail
        assert isinstance(named(f"2001:db8::/{prefix}", Rules(ipv6_most=1))[0], Network)


@pytest.mark.parametrize("line", ["", " ", "\t\r", "# comment", "  # comment", "#", "\ufeff", "\ufeff# x"])
def test_blank(line: str) -> None:
    """A blank line and a comment name nothing and are no mistake."""
    assert parsed(line) is None


def test_all_selected_services_without_a_port() -> None:
    """A host without a port is asked for every selected service that has a default port."""
    target = parsed("mx.example.org", "mail,tls")
    assert isinstance(target, Host)
    assert [port for _, port in target.services] == [25, 587, 465, 143, 993, 110, 995, 4190]


def test_the_input_is_kept() -> None:
    """The line is kept as it was written, without its white space."""
    target = parsed("  SMTP://MX.example.org:25 ")
    assert isinstance(target, Host)
    assert target.origin.input == "SMTP://MX.example.org:25"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"caf\xe9", r"caf\xe9"),
        (b"a\x1b[2Jb", r"a\x1b[2Jb"),
        (b"a\tb", r"a\tb"),
        ("a\u2028b".encode(), r"a\u2028b"),
        ("bücher".encode(), "bücher"),
        (b"x" * 5000, "x" * 1024),
    ],
)
def test_shown(raw: bytes, text: str) -> None:
    """What is kept of a line is short, and drives no terminal."""
    assert shown(raw) == text


def csv_parsed(*lines: str, services: str = "smtp") -> list[Target | Rejection | None]:
    return list(Reader(services_named(services)).feed("\n".join([*lines, ""]).encode()))


def test_csv_columns() -> None:
    """Columns are found by name in any order and case; what is not ours is a tag."""
    header, target = csv_parsed("Tier,PORT,Host,service", "gold, 2525, MX.example.org ,SMTP")
    assert header is None
    assert isinstance(target, Host)
    assert target.name == "mx.example.org"
    assert [(service.name, port) for service, port in target.services] == [("smtp", 2525)]
    assert target.origin.tags == {"Tier": "gold"}
    assert target.origin.input == "gold, 2525, MX.example.org ,SMTP"


def test_csv_address_beside_a_host() -> None:
    """A host with its address needs no DNS; an address alone is an address; a network may stand there too."""
    _, host, address, network, host6 = csv_parsed(
        "host,address", "mx.example.org,192.0.2.1", ",192.0.2.2", ",192.0.2.0/24", "mx.example.org,[2001:db8::1]"
    )
    assert isinstance(host, Host)
    assert (host.name, host.address) == ("mx.example.org", ip_address("192.0.2.1"))
    assert isinstance(address, Network)
    assert address.network == ip_network("192.0.2.2")
    assert isinstance(network, Network)
    assert network.network == ip_network("192.0.2.0/24")
    assert isinstance(host6, Host)
    assert host6.address == ip_address("2001:db8::1")


def test_csv_address_in_the_host_column() -> None:
    """An address in the host column is an address, with and without the same one beside it."""
    _, alone, twice = csv_parsed("host,address", "192.0.2.1,", "192.0.2.1,192.0.2.1")
    assert isinstance(alone, Network)
    assert isinstance(twice, Network)
    assert alone.network == twice.network == ip_network("192.0.2.1")


def test_csv_header_behind_comments_and_a_bom() -> None:
    """The header is the first line that is neither blank nor a comment."""
    *nothing, target = csv_parsed("\ufeff# list", "", '"host",note', 'mx.example.org,"a, b"')
    assert nothing == [None, None, None]
    assert isinstance(target, Host)
    assert target.origin.tags == {"note": "a, b"}


def test_csv_comments_and_blanks_in_the_body() -> None:
    """Blank lines and comments are skipped in CSV as they are in text."""
    assert csv_parsed("host,port", "", "# x") == [None, None, None]


def test_csv_names_that_are_there_twice() -> None:
    """No column is lost: the second of two alike, and one without a name, are tags with a number."""
    _, target = csv_parsed("host,note,note,,host", "mx.example.org,a,b,c,d")
    assert isinstance(target, Host)
    assert target.name == "mx.example.org"
    assert target.origin.tags == {"note": "a", "note_2": "b", "column_4": "c", "host_2": "d"}


@pytest.mark.parametrize("first", ["host", "mx.example.org,25", "name,port", '"host,port'])
def test_no_header(first: str) -> None:
    """A line without a comma, or without a host or address column, is no header."""
    _, target = csv_parsed(first, "mx.example.org")
    assert isinstance(target, Host)


def test_header_only_at_the_beginning() -> None:
    """A header behind the first target is a line like any other."""
    _, rejection = csv_parsed("mx.example.org", "host,port")
    assert isinstance(rejection, Rejection)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("mx.example.org,192.0.2.1,25", "names 4 columns and this line has 3"),
        ('mx.example.org,"192.0.2.1,25,smtp', "a quote is not closed"),
        ('"mx"x,192.0.2.1,25,smtp', "not a CSV record"),
        (",,25,smtp", "neither a host nor an address"),
        ("mx.example.org,mx2.example.org,,", "is not an address"),
        ("mx.example.org,192.0.2.0/24,,", "not a network"),
        ("192.0.2.1,192.0.2.2,,", "another one"),
        ("mx.example.org:25,,,", "column of its own"),
        (",[2001:db8::1]:25,,", "column of its own"),
        ("mx.example.org,,x,", "'x' is not a port"),
        ("mx.example.org,,,gopher", "no service is called 'gopher'"),
        ("mx.example.org,,,tls", "tls has no default port"),
        ("a b,,,", "a space"),
    ],
)
def test_csv_rejected(line: str, why: str) -> None:
    """A record that names nothing says why, and the next line is read as if it had not been there."""
    _, rejection, target = csv_parsed("host,address,port,service", line, "mx.example.org,,,")
    assert isinstance(rejection, Rejection)
    assert why in rejection.detail
    assert isinstance(target, Host)


def test_command_line_targets_have_no_header() -> None:
    """On the command line, a target that looks like a header is a target."""
    rejection = Parser(SMTP).parse(b"host,port")
    assert isinstance(rejection, Rejection)
    assert rejection.origin.line is None


ANY_LINE = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(lambda text: text.encode(errors="surrogatepass")),
    st.text(alphabet="0123456789.:/[]abcdef%,-_\"' ", max_size=60).map(str.encode),
    st.from_regex(r"(tls|imap)://[\[\]a-f0-9.:/%]{0,30}", fullmatch=True).map(str.encode),
)


@given(st.lists(ANY_LINE, max_size=4))
@example([b"1." * 30_000, b"a:" * 30_000, b"a" * 60_000, b"9" * 60_000, b"a." * 20_000 + b"9" * 20_000])
@example(["ü".encode() * 500, "a\ufffd".encode() * 200, b"x://" * 10_000, b"1.1.1.1/" + b"9" * 60_000])
@example([b"host,address", b"\x00"])
@example([b'host,"', b""])
def test_any_line_is_answered(lines: list[bytes]) -> None:
    """Any bytes are a target, a rejection, or nothing; what is kept of them is short and printable."""
    parser = Parser(MAIL)
    for number, line in enumerate(lines, 1):
        answer = parser.parse(line, number)
        if answer is not None:
            assert answer.origin.line == number
            assert not any(char < " " for char in answer.origin.input)
            assert len(answer.origin.input) <= 10 * MAX_INPUT_BYTES
        if isinstance(answer, Rejection):
            assert 0 < len(answer.detail) < 500
        if isinstance(answer, Host | Network):
            assert all(1 <= port <= 65535 for _, port in answer.services)
