"""What to publish before a scan, so that whoever sees its connections knows whose they are (RFC 9511).

Pure. A connection cannot carry a description itself: all that stands in it is the name in EHLO. So it is told out of
band, by a file at the name to which the address resolves (RFC 9511 §3), in the form of security.txt (RFC 9116 §4).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address

PATH = "/.well-known/probing.txt"  # RFC 9511 §2.2
DESCRIPTION = (
    "A survey of the TLS and STARTTLS that servers offer: a few connections to each, no login, no mail, no exploit."
)
# What nobody can know for the user; it is to be seen that these are none.
_HOST, _CONTACT = "scan.example.org", "mailto:CHANGE-ME@example.org"


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who scans. What is None or empty was not said, and stands as an example in what is printed."""

    host: str | None = None  # to which the addresses resolve
    contacts: tuple[str, ...] = ()  # URIs
    description: str = DESCRIPTION
    languages: str = "en"
    expires: float = 0.0  # seconds since 1970
    addresses: tuple[str, ...] = ()  # from which connections come

    @property
    def is_whole(self) -> bool:
        """Has it what the file needs?"""
        return self.host is not None and bool(self.contacts)


def probing_txt(who: Attribution) -> str:
    """The file (RFC 9511 §2.2, RFC 9116 §2.5)."""
    fields = (
        ("Canonical", f"https://{who.host or _HOST}{PATH}"),
        *(("Contact", contact) for contact in who.contacts or (_CONTACT,)),
        ("Expires", datetime.fromtimestamp(who.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("Preferred-Languages", who.languages),
        ("Description", who.description),
    )
    return "".join(f"{name}: {value}\n" for name, value in fields)


def dns_records(who: Attribution) -> Iterator[str]:
    """The lines of zone files that lead from each address to the name, and back."""
    host = who.host or _HOST
    for text in who.addresses or ("192.0.2.1",):
        address = ip_address(text)
        yield f"{address.reverse_pointer}. PTR {host}."
        yield f"{host}. {'A' if address.version == 4 else 'AAAA'} {address}"


def advice(who: Attribution) -> str:
    """All that is to be done, in the order in which to do it."""
    return _ADVICE.format(
        example="" if who.is_whole else _EXAMPLE,
        path=PATH,
        host=who.host or _HOST,
        file=_indented(probing_txt(who).splitlines()),
        zone=_indented([*dns_records(who)]),
        nat=_NAT if any(not ip_address(each).is_global for each in who.addresses) else "",
        contact=(who.contacts or (_CONTACT,))[0],
    )


def _indented(lines: Sequence[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)


_EXAMPLE = """Examples stand where nothing was said: give --host and --contact, and put in what is yours.

"""
_NAT = """
   Some of these addresses are not those of the Internet: behind a NAT, name the one that others see.
"""
_ADVICE = """{example}1. Publish who you are (RFC 9511): this file at https://{host}{path}, as
   text/plain in UTF-8, and where you can, at https:// and the address itself. Renew it before it
   expires; `tlsweep about --file` prints it alone.

{file}

2. Have the addresses from which you scan resolve to that name, and the name to them:

{zone}
{nat}
   Greet mail servers by it: tlsweep scan --hello-name {host}. A connection can
   say nothing else of itself: the name in EHLO is what its other end has in its log.

3. Put up a page at https://{host}/ that says the same in sentences: who you are, what for,
   from when to when, from which addresses, what becomes of the data, and how to be left out. Of each
   connection you may say:

    - It reads the whole greeting before it sends a byte. It says EHLO (or what the protocol has in
      its place), asks for TLS, sends a ClientHello or completes one handshake, asks for the
      capabilities inside, and says goodbye.
    - A service gets seven of them or so, one at a time and one a second; a network no more than
      twenty a second. A server that speaks of load is left alone for a while.
    - It never logs in, sends no mail, and exploits nothing. Only --test-injection sends more: a
      harmless command behind STARTTLS. Leave it out where you have no permission.
    - What it learns is what the server tells everybody: versions, ciphers, certificates, capabilities.

4. Read the mailbox ({contact}), and abuse@ of the domain and of the network
   (RFC 2142), every day while you scan, and answer. Tell your network's operators before you begin.

5. Whoever asks to be left out is left out, in this scan and all later ones: put the network into a
   file, one CIDR a line, and give it to every scan by --exclude FILE. `tlsweep scan --dry-run` tells
   how much it leaves out.
"""
