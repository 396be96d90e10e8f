"""nginx: one instance with a server block for each way in which HTTPS meets TLS."""

from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import FIRST, LEAVES, SECOND, WEB, WEB_RSA, Certificates
from tests.live.servers import TLS13, Listener, Server, Truth, alert, failed, merged, spoken_by_openssl

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

  server {{ listen 127.77.3.1:443 ssl; ssl_protocols TLSv1.2 TLSv1.3; {web} {web_rsa} }}
  server {{ listen [::1]:20440 ssl http2; ssl_protocols TLSv1.2 TLSv1.3; {web_rsa} }}
  server {{
    listen 127.77.3.2:443 ssl;
    ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
    ssl_ciphers ALL:@SECLEVEL=0;
    {web_rsa}
  }}
  server {{ listen 127.77.3.3:443 ssl; ssl_protocols TLSv1.3; {web} }}
  server {{ listen 127.77.3.4:443 ssl; ssl_protocols TLSv1.2; server_name first.live.test;  {first} }}
  server {{ listen 127.77.3.4:443 ssl; ssl_protocols TLSv1.2; server_name second.live.test; {second} }}
  server {{ listen 127.77.3.5:443; }}
  server {{ listen 127.77.3.6:443 ssl default_server; ssl_protocols TLSv1.2 TLSv1.3; ssl_reject_handshake on; }}
  server {{ listen 127.77.3.6:443 ssl; ssl_protocols TLSv1.2 TLSv1.3; server_name web.live.test; {web} }}
}}
"""

HTTP11 = {"alpn": "http/1.1"}
MODERN: Truth = {
    "status": "tls",
    "starttls": None,
    "versions": spoken_by_openssl("TLSv1.2", "TLSv1.3"),
    "tls": TLS13 | HTTP11,
}
OLD: Truth = {
    "status": "tls",
    "versions": spoken_by_openssl("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "tls": TLS13 | HTTP11,
}


def tls12(cipher: str, cipher_id: str) -> Truth:
    """With TLS 1.2 alone, and this as our OpenSSL's first choice."""
    return {
        "status": "tls",
        "versions": spoken_by_openssl("TLSv1.2"),
        "tls": TLS13 | HTTP11 | {"version": "TLSv1.2", "cipher": cipher, "cipher_id": cipher_id},
    }


PLAIN_HTTP: Truth = {
    "status": "mismatch",
    "starttls": None,
    "tls": {
        "version": None,
        "chain": None,
        "error": {"verdict": "protocol_mismatch", "stage": "tls", "hint": "http", "alert": None},
    },
    "certificate": None,
}
NO_SUCH_NAME: Truth = {"verdict": "unknown"} | alert("unrecognized_name")
REJECTED: Truth = {
    "status": "tls_failed",
    "versions": merged(spoken_by_openssl(), {"TLSv1.2": NO_SUCH_NAME, "TLSv1.3": NO_SUCH_NAME}),
    "tls": merged(failed("unrecognized_name"), {"chain": None}),
    "certificate": None,
}
LISTENERS = (
    Listener("web.live.test", "127.77.3.1", 443, "https", MODERN, leaf=WEB),
    Listener("a.web.live.test", "::1", 20440, "https", merged(MODERN, {"tls": {"alpn": "h2"}}), leaf=WEB_RSA),
    Listener("web.live.test", "127.77.3.2", 443, "https", OLD, leaf=WEB_RSA),
    Listener(
        "web.live.test",
        "127.77.3.3",
        443,
        "https",
        {"status": "tls", "versions": spoken_by_openssl("TLSv1.3"), "tls": TLS13 | HTTP11},
        leaf=WEB,
    ),
    Listener(
        "first.live.test",
        "127.77.3.4",
        443,
        "https",
        tls12("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "0xc02c"),
        leaf=FIRST,
    ),
    Listener(
        "second.live.test",
        "127.77.3.4",
        443,
        "https",
        tls12("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "0xc030"),
        leaf=SECOND,
    ),
    Listener("web.live.test", "127.77.3.5", 443, "https", PLAIN_HTTP),
    Listener("web.live.test", "127.77.3.6", 443, "https", MODERN, leaf=WEB),
    Listener("unknown.live.test", "127.77.3.6", 443, "https", REJECTED),
)


def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """One file; what nginx writes stays beside it."""
    files = {
        leaf.label.replace("-", "_"): f"ssl_certificate {certificates.chain_file(leaf)}; "
        f"ssl_certificate_key {certificates.key_file(leaf)};"
        for leaf in LEAVES
    }
    (directory / "nginx.conf").write_text(CONFIGURATION.format(directory=directory, **files))
    return "nginx", "-p", directory, "-e", "stderr", "-c", directory / "nginx.conf"


SERVERS = (Server("nginx", configure, LISTENERS),)
