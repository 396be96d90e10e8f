"""What to publish before a scan: the file keeps to its RFCs, and nothing that was made up can be published."""

import re
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from typer.testing import CliRunner

from scanner import cli
from scanner.about import Attribution, advice, dns_records, probing_txt

HOST, CONTACT = "scan.example.net", "scan@example.net"
# RFC 9116 §4, of the fields that RFC 9511 §2.2 names.
LINE = re.compile(
    r"(Canonical: https://\S+|Contact: (mailto|tel|https):\S+|Expires: \S+|Preferred-Languages: \S.*|Description: \S.*)"
)
WHO = Attribution(HOST, (f"mailto:{CONTACT}",), expires=1_800_000_000, addresses=("198.51.100.7", "2001:db8::7"))


def run(*arguments: str) -> tuple[int, str, str]:
    """The command's exit status, and what it prints."""
    result = CliRunner().invoke(cli.app, ["about", *arguments], env={"COLUMNS": "400", "NO_COLOR": "1"})
    return result.exit_code, result.stdout, result.stderr


def test_the_file() -> None:
    """One field a line; contacts in the order of preference; exactly one date, which is not a year away."""
    code, text, _ = run("--file", "--host", HOST.upper(), "--contact", CONTACT, "--contact", "tel:+1-201-555-0123")
    assert code == 0
    lines = text.splitlines()
    assert all(map(LINE.fullmatch, lines))
    assert [line for line in lines if line.startswith(("Can", "Con"))] == [
        f"Canonical: https://{HOST}/.well-known/probing.txt",
        f"Contact: mailto:{CONTACT}",
        "Contact: tel:+1-201-555-0123",
    ]
    (expires,) = (line.removeprefix("Expires: ") for line in lines if line.startswith("Expires: "))
    assert timedelta(days=179) < datetime.fromisoformat(expires) - datetime.now(UTC) < timedelta(days=181)
    assert "Expires: 2027-01-15T08:00:00Z\n" in probing_txt(WHO)


def test_what_was_said() -> None:
    """Description, languages and date are those of the options."""
    _, text, _ = run("--file", "--host", HOST, "--contact", CONTACT, "--description", "Härte", "--languages", "de, en")
    assert "Preferred-Languages: de, en\nDescription: Härte\n" in text


def test_no_example_is_published() -> None:
    """Without who it is there is no file, and the advice says that it shows examples."""
    for arguments in ((), ("--host", HOST), ("--contact", CONTACT)):
        code, text, errors = run("--file", *arguments)
        assert (code, text) == (2, "")
        assert "needs a --host and a --contact" in errors
        assert run(*arguments)[1].startswith("Examples stand where nothing was said")
    assert "CHANGE-ME" in run()[1]
    assert "CHANGE-ME" not in run("--host", HOST, "--contact", CONTACT)[1]


@pytest.mark.parametrize(
    "arguments",
    [
        *(("--contact", "nobody"), ("--contact", "a@b.example\r\nContact: x"), ("--contact", "http://example.org")),
        *(("--host", "https://scan.example.net"), ("--host", "nodots"), ("--host", "a..b"), ("--host", "x" * 254)),
        *(("--description", "two\nlines"), ("--description", " "), ("--languages", "en;de"), ("--days", "366")),
    ],
)
def test_what_breaks_the_file_is_refused(arguments: tuple[str, str]) -> None:
    """A value that would be more than its field, or none, is refused."""
    assert run("--file", "--host", HOST, "--contact", CONTACT, *arguments)[0] == 2


def test_the_lines_for_the_dns() -> None:
    """Each address leads to the name, and the name to each address."""
    assert [*dns_records(WHO)] == [
        "7.100.51.198.in-addr.arpa. PTR scan.example.net.",
        "scan.example.net. A 198.51.100.7",
        f"{ip_address('2001:db8::7').reverse_pointer}. PTR scan.example.net.",
        "scan.example.net. AAAA 2001:db8::7",
    ]


def test_the_advice() -> None:
    """It has the file, the lines, the option and the mailbox, and says of addresses behind a NAT that they are."""
    text = advice(WHO)
    for part in (*probing_txt(WHO).splitlines(), *dns_records(WHO), f"--hello-name {HOST}", CONTACT, "--exclude FILE"):
        assert part in text
    assert "behind a NAT" in text
    assert "behind a NAT" not in advice(Attribution(HOST, (CONTACT,), addresses=("9.9.9.9",)))
