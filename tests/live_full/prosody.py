"""Prosody: XMPP for clients and for servers, which must encrypt; an instance where they may, and one that cannot."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.live.certificates import WEB, Certificates
from tests.live.servers import TLS13, Found, Listener, Server, Truth, gets, merged, spoken_by_openssl
from tests.live_full.names import Names

CONFIGURATION = """\
run_as_root = true
daemonize = false
data_path = "{directory}/data"
pidfile = "{directory}/pid"
interfaces = {{ "{address}" }}
c2s_ports = {{ 5222 }}
s2s_ports = {{ 5269 }}
modules_enabled = {{ {modules} }}
authentication = "internal_plain"
log = "*console"
c2s_require_encryption = {required}
s2s_require_encryption = {required}
ssl = {{ key = "{key}", certificate = "{chain}" }}
VirtualHost "web.live.test"
"""

# Prosody names the mechanisms in an order that changes from start to start.
SCRAM = frozenset({"SCRAM-SHA-1", "SCRAM-SHA-256"})
IN_PLAIN_TEXT = frozenset({"PLAIN"})

ENCRYPTED: Truth = {
    "status": "tls",
    "mode": "starttls",
    "starttls": {
        "verdict": "ok",
        "stage": "reply",
        "code": "proceed",
        "advertised": True,
        "required": True,
        "early_bytes": None,
    },
    "versions": spoken_by_openssl("TLSv1.2", "TLSv1.3"),
    "tls": TLS13,
    "findings": Found(),
    "clients": gets("refused", "secure", "secure", "fails"),
    "flags": [],
}
CLIENT: Truth = merged(
    ENCRYPTED,
    {
        "starttls": {
            "before": {"capabilities": ["starttls"], "auth": []},
            "inside": {"capabilities": ["mechanisms"], "auth": Names(SCRAM | IN_PLAIN_TEXT)},
        }
    },
)
SERVER: Truth = merged(
    ENCRYPTED,
    {
        "tls": {"client_certificate": "requested"},
        "starttls": {
            "before": {"capabilities": Names(frozenset({"starttls", "dialback"})), "auth": []},
            "inside": {"capabilities": ["dialback"], "auth": []},
        },
    },
)


# A login by challenge is offered before TLS (a password as it is is not), and other servers may come by dialback.
OPTIONAL: Truth = {"starttls": {"required": False}, "clients": {"none": "plaintext"}}
OPTIONAL_CLIENT: Truth = merged(
    merged(CLIENT, OPTIONAL),
    {
        "starttls": {
            "before": {
                "capabilities": Names(frozenset({"starttls", "mechanisms"})),
                "auth": Names(SCRAM, absent=IN_PLAIN_TEXT),
            }
        }
    },
)
OPTIONAL_SERVER: Truth = merged(SERVER, OPTIONAL)


def plain(before: Truth) -> Truth:
    """Features without starttls."""
    starttls = {"verdict": "not_offered", "stage": "capabilities", "code": "features", "advertised": False}
    starttls["required"] = False
    return {
        "status": "no_tls",
        "mode": "starttls",
        "starttls": starttls | {"before": before, "inside": None},
        "versions": None,
        "tls": None,
        "certificate": None,
        "findings": Found("starttls-not-offered"),
        "clients": gets("plaintext", "plaintext", "fails", "fails"),
    }


PLAIN_CLIENT = plain({"capabilities": ["mechanisms"], "auth": Names(SCRAM, absent=IN_PLAIN_TEXT)})
PLAIN_SERVER = plain({"capabilities": ["dialback"], "auth": []})


def configure(
    address: str, modules: Sequence[str], *, required: bool
) -> Callable[[Path, Certificates], Sequence[str | Path]]:
    """One file, and an empty directory for its data."""

    def write(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        (directory / "data").mkdir()
        path = directory / "prosody.cfg.lua"
        path.write_text(
            CONFIGURATION.format(
                directory=directory,
                address=address,
                modules=", ".join(f'"{module}"' for module in modules),
                required=str(required).lower(),
                key=certificates.key_file(WEB),
                chain=certificates.chain_file(WEB),
            )
        )
        return "prosody", "--config", path, "-F"

    return write


SERVERS = (
    Server(
        "prosody",
        configure("127.77.12.1", ("tls", "saslauth", "dialback"), required=True),
        (
            Listener("web.live.test", "127.77.12.1", 5222, "xmpp-client", CLIENT, leaf=WEB),
            Listener("web.live.test", "127.77.12.1", 5269, "xmpp-server", SERVER, leaf=WEB),
        ),
    ),
    Server(
        "prosody-optional",
        configure("127.77.12.3", ("tls", "saslauth", "dialback"), required=False),
        (
            Listener("web.live.test", "127.77.12.3", 5222, "xmpp-client", OPTIONAL_CLIENT, leaf=WEB),
            Listener("web.live.test", "127.77.12.3", 5269, "xmpp-server", OPTIONAL_SERVER, leaf=WEB),
        ),
    ),
    Server(
        "prosody-plain",
        configure("127.77.12.2", ("saslauth", "dialback"), required=False),
        (
            Listener("web.live.test", "127.77.12.2", 5222, "xmpp-client", PLAIN_CLIENT),
            Listener("web.live.test", "127.77.12.2", 5269, "xmpp-server", PLAIN_SERVER),
        ),
    ),
)
