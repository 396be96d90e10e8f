"""nginx with TLS 1.0 to 1.3, and with a certificate of each kind of key; tests/live has its other settings."""

from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import WEB, WEB_RSA, Certificates
from tests.live.servers import TLS13, Found, Listener, Server, Truth, spoken_by_openssl

HOST = "web.live.test"
ALL, BOTH_KEYS = "127.77.46.1", "127.77.46.2"
CONFIGURATION = f"""
daemon off;
worker_processes 1;
pid {{directory}}/pid;
error_log stderr;
events {{{{ }}}}
http {{{{
  access_log off;
  client_body_temp_path {{directory}}/body;
  proxy_temp_path {{directory}}/proxy;
  fastcgi_temp_path {{directory}}/fastcgi;
  uwsgi_temp_path {{directory}}/uwsgi;
  scgi_temp_path {{directory}}/scgi;
  server {{{{
    listen {ALL}:443 ssl; ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; ssl_ciphers ALL:@SECLEVEL=0;
    {{rsa}}
  }}}}
  server {{{{
    listen {BOTH_KEYS}:443 ssl http2; ssl_protocols TLSv1.2 TLSv1.3; ssl_prefer_server_ciphers on;
    {{rsa}} {{ecdsa}}
  }}}}
}}}}
"""
SHAKEN: Truth = TLS13 | {"client_certificate": "none"}


def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """One file, with all servers."""
    files = {
        kind: f"ssl_certificate {certificates.chain_file(leaf)}; ssl_certificate_key {certificates.key_file(leaf)};"
        for kind, leaf in (("rsa", WEB_RSA), ("ecdsa", WEB))
    }
    path = directory / "nginx.conf"
    path.write_text(CONFIGURATION.format(directory=directory, **files))
    return "nginx", "-p", directory, "-c", path


SERVERS = (
    Server(
        "nginx-tls",
        configure,
        (
            Listener(
                HOST,
                ALL,
                443,
                "https",
                {
                    "status": "tls",
                    "versions": spoken_by_openssl("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
                    "tls": SHAKEN | {"alpn": "http/1.1"},
                    "findings": Found("tls1.0-enabled", "tls1.1-enabled"),
                },
                leaf=WEB_RSA,
            ),
            Listener(
                HOST,
                BOTH_KEYS,
                443,
                "https",
                {
                    "status": "tls",
                    "versions": spoken_by_openssl("TLSv1.2", "TLSv1.3"),
                    "tls": SHAKEN | {"alpn": "h2"},
                    "findings": Found(),
                },
                leaf=WEB,
            ),
        ),
    ),
)
