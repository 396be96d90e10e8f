"""First lines → the form of an input."""

import pytest

from targets.format import format_of
from targets.rules import Format


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ("mx.example.org", Format.TEXT),
        ("192.0.2.1", Format.TEXT),
        ("[2001:db8::1]:25", Format.TEXT),
        ("mx:example.org", Format.TEXT),
        ("host", Format.TEXT),
        ("example.org,192.0.2.1", Format.TEXT),
        ("mx.example.org,25", Format.TEXT),
        ("a,b", Format.TEXT),
        ("1,2", Format.TEXT),
        (",", Format.TEXT),
        ('"host,port', Format.TEXT),
        ("opened tcp 25", Format.TEXT),
        ("Host: mx.example.org", Format.TEXT),
        ("host,port", Format.CSV),
        ("Tier, ADDRESS", Format.CSV),
        ("domain,customer", Format.CSV),
        ("rank,domain,customer", Format.CSV),
        ('{"host": "mx.example.org"}', Format.JSONL),
        ('{"domain": "example.org", "ip": "192.0.2.1"}', Format.JSONL),
        ("{", Format.JSONL),
        ("1,example.org", Format.TRANCO),
        ("Rank,Domain", Format.TRANCO),
        ("saddr", Format.ZMAP),
        ("saddr,sport,success", Format.ZMAP),
        ("open tcp 25 192.0.2.1 1390380064", Format.MASSCAN),
        ("banner tcp 25 192.0.2.1 1390380064 smtp 220", Format.MASSCAN),
        ("#masscan", Format.MASSCAN),
        ("[", Format.MASSCAN),
        ("[]", Format.MASSCAN),
        ('[ {"ip": "192.0.2.1"', Format.MASSCAN),
        ('{   "ip": "192.0.2.1",   "timestamp"', Format.MASSCAN),
        ("{finished: 1}", Format.MASSCAN),
        ("<?xml version='1.0'?>", Format.NMAP),
        ("<nmaprun>", Format.NMAP),
        ("# Nmap 7.93 scan initiated", Format.NMAP),
        ("# Masscan 1.3.2 scan initiated", Format.NMAP),
        ("Host: 192.0.2.1 ()\tStatus: Up", Format.NMAP),
        ("Timestamp: 1\tHost: 192.0.2.1 ()\tPorts: 25/open/tcp//smtp//", Format.NMAP),
        ("192.0.2.1,mx.example.org,tag", Format.ZGRAB2),
        ("192.0.2.0/24,", Format.ZGRAB2),
        ("2001:db8::1,mx.example.org", Format.ZGRAB2),
        (",mx.example.org", Format.ZGRAB2),
        ("", None),
        ("  \t\r", None),
        ("# comment", None),
        ("#", None),
    ],
)
def test_what_a_line_tells(line: str, form: Format | None) -> None:
    """Each form has a sign in its first line; blank lines and comments tell nothing."""
    assert format_of(f"  {line} \r".encode()) is form


def test_bytes_that_are_no_text() -> None:
    """What is not even text is read as text, whose every line has a reason of its own."""
    assert format_of(b"\xff\xfe\x00") is Format.TEXT
