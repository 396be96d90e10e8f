"""Inputs of every form → targets and rejections."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.parse import MAX_LINE_BYTES, Named
from targets.reader import Reader
from targets.rules import Format, Rules
from targets.services import services_named
from targets.target import FormatError, Rejection
from tests.targets.forms import SAMPLES, named, told

BY_NMAP = ["127.0.0.1/32 imaps:993", "127.0.0.1/32 smtp:25", "127.0.0.2/32 smtp:25", "127.0.0.2/32 tls:8443"]
BY_MASSCAN = ["192.0.2.1/32 imaps:993", "192.0.2.1/32 smtp:25", "192.0.2.2/32 smtp:25", "192.0.2.2/32 tls:8443"]
TRUTH = {
    "nmap.xml": (12, [*BY_NMAP, "127.0.0.3/32 tls:443"]),
    "nmap.gnmap": (17, [*BY_NMAP, "127.0.0.3/32 tls:443"]),
    "nmap-ipv6.xml": (2, ["::1/128 smtp:25"]),
    "nmap-names.xml": (6, ["127.0.0.2/32 smtp:25", "localhost@127.0.0.1 imaps:993", "localhost@127.0.0.1 smtp:25"]),
    "nmap-names.gnmap": (10, ["127.0.0.1/32 imaps:993", "127.0.0.1/32 smtp:25", "127.0.0.2/32 smtp:25"]),
    "nmap-no-ports.xml": (2, []),
    "nmap-no-ports.gnmap": (4, []),
    "masscan.txt": (7, [*BY_MASSCAN, "192.0.2.3/32 tls:443"]),
    "masscan.json": (12, [*BY_MASSCAN, "192.0.2.3/32 tls:443"]),
    "masscan.xml": (5, [*BY_MASSCAN, "192.0.2.3/32 tls:443"]),
    "masscan.ndjson": (3, [*BY_MASSCAN[1:]]),
    "masscan.gnmap": (6, [*BY_MASSCAN[1:]]),
    "zmap.txt": (2, ["192.0.2.1/32 tls:25", "192.0.2.2/32 tls:25"]),
    "zmap.csv": (3, ["192.0.2.1/32 tls:25", "192.0.2.2/32 tls:25"]),
    "zmap-closed.csv": (4, ["192.0.2.1/32 tls:25", "192.0.2.2/32 tls:25"]),
}


def test_every_sample_has_its_truth() -> None:
    """Nothing that the tools wrote is left out of the table."""
    assert {sample.name for sample in SAMPLES.iterdir()} == TRUTH.keys()


@pytest.mark.parametrize("name", TRUTH)
def test_what_the_tools_wrote(name: str) -> None:
    """The open TCP ports of each sample are named, and all its other lines count as comments."""
    answers = named((SAMPLES / name).read_bytes(), services="smtp" if name.startswith("zmap") else "mail,tls")
    lines, targets = TRUTH[name]
    if name.startswith("zmap"):
        targets = [each.replace("tls:25", "smtp:25") for each in targets]
    assert len(answers) == lines
    assert sorted(filter(None, told(answers))) == targets


@pytest.mark.parametrize("name", TRUTH)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_samples_in_pieces(name: str, size: int) -> None:
    """However the bytes come, the answers are the same."""
    content = (SAMPLES / name).read_bytes()
    assert _in_pieces(content, size, Rules()) == named(content)


def _in_pieces(content: bytes, size: int, rules: Rules) -> list[Named]:
    reader, answers = Reader(services_named("mail,tls"), rules), list[Named]()
    for at in range(0, len(content), size):
        answers += reader.feed(content[at : at + size])
    return [*answers, *reader.end()]


NOWHERE = "the line has neither a host nor an address"
FORMS: list[tuple[str, dict[str, str | None]]] = [
    ("text", {"": None, "# x": None, "a.example:25": "a.example@None smtp:25", "mx:a.example": "mx:a.example:25 mx"}),
    ("BOM", {"\ufeff# x": None, " ": None, "1.1.1.1:25 \r": "1.1.1.1/32 smtp:25"}),
    (
        "Tranco",
        {"7,a.example": "a.example@None", "8,1.1.1.1": "1.1.1.1/32", "9,": NOWHERE, "a.example": "not a line of"},
    ),
    ("Tranco with a header", {"Rank,Domain": None, "7,a.example:25": "the port belongs in a column of its own"}),
    (
        "domains in CSV",
        {
            "domain,port,service": None,
            "a.example,,": "mx:a.example:25 mx",
            "A.example.,2525,smtp": "mx:a.example:2525 mx",
            "a.example,,imap": "a mail domain is asked by smtp, not by imap",
            "1.1.1.1,,": "not a host name (its last label, '1', is all digits)",
        },
    ),
    (
        "domains beside hosts in CSV",
        {
            "host,domain,port": None,
            "1.1.1.1,a.example,25": "1.1.1.1/32 smtp:25",
            ",a.example,": "mx:a.example:25 mx",
            ",,": NOWHERE,
        },
    ),
    (
        "JSON lines",
        {
            '{"host": " a.example", "port": 25}': "a.example@None smtp:25",
            '{"host": "a.example", "address": "1.1.1.1", "port": "993"}': "a.example@1.1.1.1 imaps:993",
            '{"service": "imap", "address": "1.1.1.0/24", "port": null}': "1.1.1.0/24 imap:143",
            '{"domain": "a.example", "host": null}': "mx:a.example:25 mx",
            '{"host": "", "port": 25}': "the object has neither a host, nor an address, nor a domain",
            '{"host": 7}': "the value of 'host' is not text",
            '{"host": "a.example", "port": true}': "the value of 'port' is not text",
            '{"host": "a.example", "port": 65536}': "'65536' is not a port",
            '{"host": "\\u001b[2J"}': "'\\x1b' cannot be in a host name",
            '["a.example"]': "not a JSON object",
            '{"host"': "not JSON (",
            "": None,
        },
    ),
    ("ZMap", {"saddr": None, "1.1.1.1": "1.1.1.1/32", "a.example": "'a.example' in the address column"}),
    (
        "zgrab2",
        {
            ",a.example,,25": "a.example@None smtp:25",
            "1.1.1.1,a.example,t,25": "a.example@1.1.1.1 smtp:25",
            "1.1.1.0/24,,t,25": "1.1.1.0/24 smtp:25",
            "1.1.1.0/24,a.example": "a host has one address beside it",
            ",,t": NOWHERE,
            "1,2,3,4,5": "not a line for zgrab2 (IP,DOMAIN,TAG,PORT): it has 5 fields",
            "a.example": "a.example@None",
        },
    ),
    (
        "masscan's list",
        {
            "#masscan": None,
            "open tcp 25 1.1.1.1 1390380064": "1.1.1.1/32 smtp:25",
            "open tcp 993 2a00::1 1390380064": "2a00::1/128 imaps:993",
            "open udp 53 1.1.1.1 1390380064": None,
            "closed tcp 25 1.1.1.2 1390380064": None,
            "banner tcp 25 1.1.1.1 1390380064 smtp 220 mx.example.org": None,
            "open tcp 25 1.1.1.1": "not a line of masscan's list",
            "open tcp 22 1.1.1.1 1390380064": "which service is on port 22?",
        },
    ),
    (
        "grepable output of nmap",
        {
            "# Nmap 7.93": None,
            "Host: 1.1.1.1 (a.example)\tPorts: 25/open/tcp//smtp//Postfix smtpd, or so/": "1.1.1.1/32 smtp:25",
            "Host: 1.1.1.1 ()\tPorts: 25/open|filtered/tcp//smtp///": None,
            "Host: 1.1.1.1 ()\tPorts: what": "not a list of ports",
            "Ports: 25/open/tcp//smtp///": "not a line of nmap's grepable output",
        },
    ),
]


@pytest.mark.parametrize(("form", "lines"), FORMS)
def test_forms(form: str, lines: dict[str, str | None]) -> None:
    """What each form says, and what is wrong with a line of it."""
    found = told(named("".join(f"{line}\n" for line in lines), services="mail"))
    for (line, expected), own in zip(lines.items(), found, strict=True):
        assert own is expected or (own is not None and expected is not None and own.startswith(expected)), line


def test_tags() -> None:
    """What a form says beyond the target is carried along, with nothing in it that drives a terminal."""
    objects = '{"host": "a.example", "rack": 7, "x": {"y": [true]}, "none": null, "esc\\u001b": "\\u009b\\u2028ü"}\n'
    (answer,) = named(objects)
    assert answer is not None
    assert answer.origin.tags == {"rack": "7", "x": '{"y":[true]}', "esc\\x1b": "\\x9b\\u2028ü"}
    (answer,) = named('{"host": "a.example", "domain": "b.example"}')
    assert answer is not None
    assert answer.origin.tags == {"domain": "b.example"}
    assert [each and dict(each.origin.tags) for each in named("rank,domain\n7,a.example")] == [None, {"rank": "7"}]
    assert [each and dict(each.origin.tags) for each in named("1.1.1.1,,t\n,a.example")] == [{"tag": "t"}, {}]
    (answer, *_) = named((SAMPLES / "nmap-names.xml").read_bytes())
    assert answer is not None
    assert answer.origin.tags == {"ptr": "localhost"}
    _header, answer, _ = named((SAMPLES / "zmap.csv").read_bytes(), services="smtp")
    assert answer is not None
    assert answer.origin.tags == {"sport": "25", "classification": "synack", "success": "1", "ttl": "64"}


@pytest.mark.parametrize("depth", [200, 255, 900, 5_000])
def test_tags_nested_deeply(depth: int) -> None:
    """What is nested deeper than can be written again, or read at all, costs its own line and no other."""
    nested = "[" * depth + "]" * depth
    lines = f'{{"host": "a.example", "x": {nested}}}\n{{"host": "b.example"}}\n'
    first, second = told(named(lines, services="smtp"))
    assert first is not None
    assert first.startswith(("the value of 'x' is nested too deeply", "not JSON") if depth > 250 else "a.example")
    assert second == "b.example@None smtp:25"


def test_lines_where_they_stand() -> None:
    """A record's line is that of the file, also where several ports stand on one, or one element on several."""
    ports = b'[{"port": 25, "status": "open"},\n{"port": 993, "status": "open"}]'
    content = b'\n# x\n[\n{"ip": "1.1.1.1", "ports": ' + ports + b'},\n{"ip"}]'
    assert [each and each.origin.line for each in named(content)] == [None, None, 4, 4, 6]
    document = f"\n\n<nmaprun>\n{HOST}</nmaprun>"
    assert [each and each.origin.line for each in named(document)] == [None, None, 5]
    line = "Host: 1.1.1.1 ()\tPorts: 25/open/tcp//smtp///, 80/closed/tcp//http///, 993/open/tcp////\n"
    assert [each and each.origin.line for each in named("# Nmap \n" + line)] == [None, 2, None, 2]


HOST = """<host><address addr='1.1.1.1' addrtype='ipv4'/>
<port protocol='tcp' portid='25'><state state='open'/></port></host>"""


@pytest.mark.parametrize("form", list(Format))
def test_a_form_that_is_named(form: Format) -> None:
    """A form that the user names is that of every input, whatever the content is like."""
    content = {Format.CSV: "host\n1.1.1.1\n", Format.JSONL: '{"address": "1.1.1.1"}', Format.TRANCO: "1,1.1.1.1"}
    content |= {Format.MASSCAN: "open tcp 25 1.1.1.1 0", Format.NMAP: "Host: 1.1.1.1 ()\tPorts: 25/open/tcp////"}
    answers = named(content.get(form, "1.1.1.1"), Rules(form), services="smtp")
    assert [each for each in told(answers) if each] == ["1.1.1.1/32 smtp:25"]


@pytest.mark.parametrize("form", [each for each in Format if each is not Format.CSV])
def test_garbage_in_a_form_that_is_named(form: Format) -> None:
    """A line that is not of the form is a rejection that says so."""
    (answer,) = named("not,of;this form\n", Rules(form))
    assert isinstance(answer, Rejection)


def test_csv_without_its_header() -> None:
    """An input that was called CSV and has no header is none of its lines' fault."""
    with pytest.raises(FormatError, match="the first line is no CSV header"):
        named("1.1.1.1,25\n", Rules(Format.CSV))


@pytest.mark.parametrize(
    ("rules", "plain", "explicit"),
    [
        (Rules(), "a.example@None", "mx"),
        (Rules(mx=True), "mx:a.example:25 mx", "mx"),
        (Rules(srv=True), "mx:a.example:25 srv", "mx srv"),
        (Rules(mx=True, srv=True), "mx:a.example:25 mx srv", "mx srv"),
    ],
)
def test_plain_names(rules: Rules, plain: str, explicit: str) -> None:
    """With --mx or --srv a plain name is a mail domain, in all forms; what names more than a name is not."""
    for content in ("a.example", "7,a.example", '{"host": "a.example"}', "host,x\nA.example,", ",a.example"):
        assert (told(named(content, rules))[-1] or "").startswith(plain)
    for content in ("mx:a.example", "domain,x\na.example,", '{"domain": "a.example"}'):
        assert told(named(content, rules))[-1] == f"mx:a.example:25 {explicit}"
    for content in ("a.example:25", "smtp://a.example", '{"host": "a.example", "service": "smtp"}'):
        assert told(named(content, rules)) == ["a.example@None smtp:25"]
    for content in ("1.1.1.1,a.example,,25", '{"host": "a.example", "address": "1.1.1.1", "port": 25}'):
        assert told(named(content, rules)) == ["a.example@1.1.1.1 smtp:25"]
    assert told(named("1.1.1.1:25", rules)) == ["1.1.1.1/32 smtp:25"]


def test_a_line_without_end() -> None:
    """A line of a hundred megabytes is one rejection, in the text, in JSON, and in the first line of all."""
    for beginning in (b"", b"1.1.1.1\n", b'[{"ip": "', b'{"host": "'):
        reader, answers = Reader(services_named("smtp")), list[Named]()
        for block in [beginning, *[b"x" * 65536] * 1600]:
            answers += reader.feed(block)
        answers += reader.end()
        assert isinstance(answers[-1], Rejection)
        assert answers[-1].detail == f"the line is longer than {MAX_LINE_BYTES:,} bytes"
        assert len(answers) == 1 + beginning.endswith(b"\n")


def test_a_million_comments_before_the_header() -> None:
    """What does not tell the form is not held back until something does."""
    reader = Reader(services_named("smtp"))
    assert sum(len(list(reader.feed(b"# comment\n" * 10_000))) for _ in range(20)) == 200_000
    assert told(list(islice(reader.feed(b"host,port\na.example,25\n"), 2))) == [None, "a.example@None smtp:25"]


WORDS = st.sampled_from(
    [
        *("1.1.1.1", "a.example", "mx:", "2a00::/64", "host,address", "rank,domain", "saddr", "open tcp", "xn--", "25"),
        *('"ip"', '"ports"', '"host"', "Host: ", "Ports: ", "/open/tcp/", "<nmaprun>", "<host>", "</port>", "\\", "ü"),
        *("<port protocol='tcp' portid='25'>", "\x1b", "\xff", "\n", "\t", *',{}[]": <>/#%'),
    ]
)
CONTENT = st.one_of(
    st.binary(max_size=200),
    st.lists(WORDS, max_size=25).map(lambda words: "".join(words).encode()),
    st.sampled_from(sorted(TRUTH)).map(lambda name: (SAMPLES / name).read_bytes()[:600]),
)
ANY_RULES = st.builds(Rules, st.sampled_from([None, *Format]), st.booleans(), st.booleans(), st.sampled_from([None, 4]))


@given(st.lists(CONTENT, max_size=3), ANY_RULES, st.integers(1, 50))
def test_any_content(contents: list[bytes], rules: Rules, size: int) -> None:
    """Any bytes in any form are answered line by line, the same in any pieces, or are not of that form."""
    content = b"\n".join(contents)
    whole, reason = _answers_of(content, len(content) or 1, rules)
    assert _answers_of(content, size, rules) == (whole, reason)
    if rules.format is Format.TEXT and not reason:
        assert len(whole) == content.count(b"\n") + (not content.endswith(b"\n") and bool(content))
    for answer in whole:
        if answer is not None:
            assert answer.origin.line is not None
            assert 0 < answer.origin.line <= content.count(b"\n") + 1
        if isinstance(answer, Rejection):
            assert 0 < len(answer.detail) < 500


def _answers_of(content: bytes, size: int, rules: Rules) -> tuple[list[Named], str]:
    try:
        return _in_pieces(content, size, rules), ""
    except FormatError as error:
        return [], str(error)
