"""Servers for the questions that are asked on request: sessions, application protocols, renegotiation, fallbacks.

OpenSSL, GnuTLS and nginx, each set up so that what is measured differs: a fleet of its own for test_requested.py.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import WEB_RSA, Certificates
from tests.live.servers import Listener, Server, Truth

HOST = "web.live.test"
OPENSSL, NGINX = "127.77.47.{}", "127.77.48.{}"
GNUTLS = "127.77.49.1"  # it listens on all addresses, hence ports of its own

UP_TO_1_2, TLS12, TLS13 = "TLSv1.1", "TLSv1.2", "TLSv1.3"
HAS_NO_TLS12: Truth = {"session_id": None, "session_ticket": None}


def by_id(resumed: bool | None) -> Truth:
    """Sessions by id in TLS 1.2; None where none is offered."""
    return {"session_id": {"version": TLS12, "offered": resumed is not None, "resumed": resumed}}


def by_ticket(lifetime_s: int | None) -> Truth:
    """By ticket in TLS 1.2; None where none is offered."""
    offered = lifetime_s is not None
    facts = {"offered": offered, "resumed": offered or None, "lifetime_s": lifetime_s}
    return {"session_ticket": {"version": TLS12, **facts}}


def by_psk(lifetime_s: int | None, early_data: int | None = 0, *, resumed: bool = True) -> Truth:
    """By ticket in TLS 1.3; None where none is offered."""
    if lifetime_s is None:
        facts: Truth = {"offered": False, "resumed": None, "lifetime_s": None, "max_early_data_bytes": None}
    else:
        facts = {"offered": True, "resumed": resumed, "lifetime_s": lifetime_s, "max_early_data_bytes": early_data}
    return {"psk": {"version": TLS13, **facts}}


def takes(version: str, *protocols: str, order: str | None = None, no_match: str = "ignored") -> Truth:
    """What is taken by ALPN."""
    return {"version": version, "protocols": list(protocols), "order": order, "no_match": no_match}


REFUSES: Truth = {"secure": True, "client_initiated": "refused", "alert": "no_renegotiation", "cause": None}
ACCEPTS: Truth = {"secure": True, "client_initiated": "accepted", "alert": None, "cause": None}
NO_RENEGOTIATION: Truth = {"version": None, "secure": None, "client_initiated": "not_applicable"}
PROTECTS: Truth = {"verdict": "yes", "alert": "inappropriate_fallback"}
ONE_VERSION: Truth = {"verdict": "not_applicable", "version": None}
UNCOMPRESSED: Truth = {"verdict": "no", "method": "null"}


def told(alpn: Truth, resumption: Truth, fallback: Truth, renegotiation: Truth, *findings: str) -> Truth:
    """All five parts."""
    modern = resumption.get("session_id", 0) is None
    return {
        "status": "tls",
        "alpn": {"complete": True} | alpn,
        "resumption": {"complete": True} | resumption,
        "fallback_scsv": {"complete": True} | fallback,
        "renegotiation": {"complete": True} | renegotiation,
        "compression": {"complete": True} | UNCOMPRESSED | ({"method": None} if modern else {}),
        "of_requested": set(findings),
    }


def openssl(number: int, options: str, truth: Truth) -> Server:
    """An instance of s_server."""
    address = OPENSSL.format(number)

    def configure(_: Path, certificates: Certificates) -> Sequence[str | Path]:
        files = ("-cert", certificates.chain_file(WEB_RSA), "-key", certificates.key_file(WEB_RSA))
        return "openssl", "s_server", "-www", "-quiet", "-accept", f"{address}:443", *files, *options.split()

    return Server(f"openssl-requested-{number}", configure, (Listener(HOST, address, 443, "tls", truth),))


def gnutls(port: int, options: str, truth: Truth) -> Server:
    """An instance of gnutls-serv."""

    def configure(_: Path, certificates: Certificates) -> Sequence[str | Path]:
        files = ("--x509certfile", certificates.chain_file(WEB_RSA), "--x509keyfile", certificates.key_file(WEB_RSA))
        usual = ("--quiet", "--echo", "--disable-client-cert", "--port", str(port))
        return "gnutls-serv", *usual, *files, *options.split()

    return Server(f"gnutls-requested-{port}", configure, (Listener(HOST, GNUTLS, port, "tls", truth),))


CONFIGURATION = """
daemon off;
worker_processes 1;
pid {directory}/pid;
error_log stderr;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  ssl_certificate {chain};
  ssl_certificate_key {key};
  server {{ listen {addresses[0]}:443 ssl http2; ssl_early_data on; {all} }}
  server {{ listen {addresses[1]}:443 ssl; ssl_session_tickets off; ssl_session_cache shared:one:1m; {new} }}
  server {{ listen {addresses[2]}:443 ssl; ssl_session_tickets off; ssl_session_cache off; {new} }}
}}
"""
VERSIONS = {"all": "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; ssl_ciphers ALL:@SECLEVEL=0", "new": "TLSv1.2 TLSv1.3"}


def configure_nginx(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """One file, with all servers."""
    path = directory / "nginx.conf"
    path.write_text(
        CONFIGURATION.format(
            directory=directory,
            chain=certificates.chain_file(WEB_RSA),
            key=certificates.key_file(WEB_RSA),
            addresses=[NGINX.format(number) for number in (1, 2, 3)],
            **{name: f"ssl_protocols {versions};" for name, versions in VERSIONS.items()},
        )
    )
    return "nginx", "-p", directory, "-c", path


def nginx(number: int, truth: Truth) -> Listener:
    """One of its servers."""
    return Listener(HOST, NGINX.format(number), 443, "https", truth)


HTTP1 = takes(TLS12, "http/1.1", "http/1.0", "http/0.9", order="server", no_match="refused")
ALL = "-cipher ALL:@SECLEVEL=0"
UNSAFE = "NORMAL:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.2:%DISABLE_SAFE_RENEGOTIATION"

SERVERS = (
    openssl(
        1,
        f"{ALL} -alpn http/1.1,h2 -client_renegotiation -max_early_data 1234",
        told(
            takes(TLS12, "http/1.1", "h2", order="server", no_match="refused"),
            by_id(True) | by_ticket(7200) | by_psk(7200, 1234),
            PROTECTS | {"version": TLS12, "newest": TLS13, "oldest": "TLSv1.0"},
            ACCEPTS,
            "client-renegotiation",
        ),
    ),
    openssl(
        2,
        "-tls1_2 -no_ticket",
        told(takes(TLS12), by_id(True) | by_ticket(None) | {"psk": None}, ONE_VERSION, REFUSES),
    ),
    openssl(
        3,
        "-tls1_3 -alpn h2,http/1.1",
        told(
            takes(TLS13, "h2", "http/1.1", order="server", no_match="refused"),
            HAS_NO_TLS12 | by_psk(7200),
            ONE_VERSION,
            NO_RENEGOTIATION,
        ),
    ),
    openssl(
        4, "-tls1_3 -num_tickets 0", told(takes(TLS13), HAS_NO_TLS12 | by_psk(None), ONE_VERSION, NO_RENEGOTIATION)
    ),
    gnutls(
        20491,
        f"--priority {UNSAFE}",
        told(
            takes(TLS12),
            by_id(True) | by_ticket(21600) | {"psk": None},
            PROTECTS | {"version": UP_TO_1_2},
            ACCEPTS | {"secure": False},
            "insecure-renegotiation",
        ),
    ),
    gnutls(
        20492,
        "--alpn http/1.1 --alpn h2",
        told(
            takes(TLS12, "h2", "http/1.1", order="client"),
            by_id(True) | by_ticket(21600) | by_psk(21600),
            PROTECTS,
            ACCEPTS,
            "client-renegotiation",
        ),
    ),
    gnutls(
        20493,
        "--nodb --noticket",
        told(takes(TLS12), by_id(False) | by_ticket(None) | by_psk(None), PROTECTS, ACCEPTS, "client-renegotiation"),
    ),
    Server(
        "nginx-requested",
        configure_nginx,
        (
            nginx(
                1,
                told(
                    HTTP1 | {"protocols": ["h2", "http/1.1", "http/1.0", "http/0.9"]},
                    by_id(False) | by_ticket(300) | by_psk(300, 16384),
                    PROTECTS | {"newest": TLS13, "oldest": "TLSv1.0"},
                    REFUSES,
                ),
            ),
            nginx(2, told(HTTP1, by_id(True) | by_ticket(None) | by_psk(300), PROTECTS, REFUSES)),
            nginx(3, told(HTTP1, by_id(None) | by_ticket(None) | by_psk(300, resumed=False), PROTECTS, REFUSES)),
        ),
    ),
)
LISTENERS: tuple[Listener, ...] = tuple(listener for server in SERVERS for listener in server.listeners)
