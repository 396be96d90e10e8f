"""Everything that is scanned."""

from tests.live import dovecot, gnutls, nginx, openssl, postfix, sslv3
from tests.live.servers import Listener, Server, Truth, gets

SERVERS: tuple[Server, ...] = (
    *postfix.SERVERS,
    *dovecot.SERVERS,
    *nginx.SERVERS,
    *gnutls.SERVERS,
    *openssl.SERVERS,
    *sslv3.SERVERS,
)

REFUSED: Truth = {"verdict": "unreachable", "stage": "connect", "cause": "refused"}
NOBODY_THERE = (
    Listener(
        "closed.live.test",
        "127.77.9.1",
        25,
        "smtp",
        {
            "status": "unreachable",
            "starttls": REFUSED,
            "versions": None,
            "tls": None,
            "certificate": None,
            "clients": gets("fails", "fails", "fails", "fails"),
        },
    ),
    Listener(
        "closed.live.test",
        "127.77.9.1",
        443,
        "https",
        {"status": "unreachable", "starttls": None, "versions": None, "tls": {"error": REFUSED}, "certificate": None},
    ),
)

LISTENERS: tuple[Listener, ...] = (*(listener for server in SERVERS for listener in server.listeners), *NOBODY_THERE)
