"""InspIRCd: IRC with the STARTTLS command, by its GnuTLS module, and without; and IRC inside TLS. What it knows are its
modules; before a client has registered, it passes over every command that none of them knows.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tests.live.certificates import WEB, Certificates
from tests.live.servers import TLS13, Listener, Server, Truth, alert, merged, speaks
from tests.live_full.crowd import held
from tests.live_full.names import Names
from tests.live_full.truths import Like, accepted, encrypted, not_encrypted, refused

CONFIGURATION = """\
<server name="web.live.test" description="live" network="live" id="001">
<admin name="live" nick="live" email="live@live.test">
<pid file="{directory}/pid">
<bind address="{address}" port="6667" type="clients">
<bind address="{address}" port="6697" type="clients" sslprofile="default">
<module name="ssl_gnutls">
{modules}
<sslprofile name="default" provider="gnutls" certfile="{chain}" keyfile="{key}">
<starttls sslprofile="default">
<connect allow="*" timeout="60" resolvehostnames="no" localmax="{connections}" globalmax="{connections}">
<log method="file" type="*" level="default" target="{directory}/inspircd.log">
<options prefixquit="">
<performance quietbursts="yes">
<security announceinvites="dynamic">
"""

# InspIRCd ends a failed handshake with a close_notify, a no beside other hellos that it answers; its GnuTLS wants P-256
# first, and asks for a client's certificate.
CLOSED: Truth = {"verdict": "no"} | alert("close_notify")
P256: Truth = {"group": "secp256r1", "group_id": "0x0017"}
HANDSHAKE = TLS13 | P256 | {"client_certificate": "requested"}
VERSIONS = speaks(
    "TLSv1.0",
    "TLSv1.1",
    "TLSv1.2",
    "TLSv1.3",
    others={"SSLv2": CLOSED, "SSLv3": CLOSED},
    known={
        "TLSv1.0": {"flags": ["tls12_hint"]},
        "TLSv1.1": {"flags": ["tls12_hint"]},
        "TLSv1.2": {"flags": ["tls13_hint"]},
        "TLSv1.3": {"evidence": "hello_retry_request", "flags": ["hrr"]} | P256,
    },
)
OLD = ("tls1.0-enabled", "tls1.1-enabled")
GO_AHEAD = ("670", ":web.live.test 670 * :STARTTLS successful, go ahead with TLS handshake")


def capabilities(*, tls: bool) -> Truth:
    """What CAP LS lists; `tls` is listed inside TLS as well."""
    word = frozenset({"tls"})
    return {"capabilities": Names(word) if tls else Names(frozenset(), absent=word), "auth": [], "login_disabled": None}


SAYS = capabilities(tls=True)
UPGRADED = encrypted(
    accepted(*GO_AHEAD, before=SAYS, inside=SAYS, required=None),
    VERSIONS,
    None,
    *OLD,
    tls=HANDSHAKE,
)
# Nobody hears a list, and nobody misses it: STARTTLS is older.
WITHOUT_LIST = merged(UPGRADED, {"starttls": {"advertised": None, "before": None, "inside": None}})
IMPLICIT = merged(UPGRADED, {"mode": "implicit", "starttls": dict.fromkeys(UPGRADED["starttls"]) | {"inside": SAYS}})
# It says nothing to STARTTLS, for as long as we wait.
SILENT = not_encrypted(
    "no_tls",
    refused(
        "not_offered",
        "reply",
        "CAP",
        Like(r":web\.live\.test CAP \* LS :.*"),
        advertised=False,
        before=capabilities(tls=False),
    ),
    None,
    "starttls-not-offered",
)
FULL = not_encrypted(
    "inconclusive",
    refused(
        "rate_limited",
        "reply",
        "ERROR",
        Like(r"ERROR :Closing link: \(\w+@127\.0\.0\.1\) \[No more connections allowed from your host .*\]"),
    ),
    None,
)


def configure(
    address: str, modules: Sequence[str], connections: int = 100
) -> Callable[[Path, Certificates], Sequence[str | Path]]:
    """One file; its log and its process number stay beside it."""

    def write(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        path = directory / "inspircd.conf"
        path.write_text(
            CONFIGURATION.format(
                directory=directory,
                address=address,
                modules="\n".join(f'<module name="{module}">' for module in modules),
                connections=connections,
                chain=certificates.chain_file(WEB),
                key=certificates.key_file(WEB),
            )
        )
        return "inspircd", "--nofork", "--runasroot", "--config", path

    return write


SERVERS = (
    Server(
        "inspircd",
        configure("127.77.13.1", ("starttls", "cap")),
        (
            Listener("web.live.test", "127.77.13.1", 6667, "irc", UPGRADED, leaf=WEB),
            Listener("web.live.test", "127.77.13.1", 6697, "ircs", IMPLICIT, leaf=WEB),
        ),
    ),
    Server(
        "inspircd-without-cap",
        configure("127.77.13.2", ("starttls",)),
        (Listener("web.live.test", "127.77.13.2", 6667, "irc", WITHOUT_LIST, leaf=WEB),),
    ),
    Server(
        "inspircd-without-starttls",
        configure("127.77.13.3", ("cap",)),
        (Listener("web.live.test", "127.77.13.3", 6667, "irc", SILENT),),
    ),
    Server(
        "inspircd-full",
        configure("127.77.13.4", ("starttls", "cap"), connections=1),
        (Listener("web.live.test", "127.77.13.4", 6667, "irc", FULL),),
        partial(held, "127.77.13.4", 6667, 1, b"CAP LS 302\r\n", b":web.live.test CAP"),
    ),
)
