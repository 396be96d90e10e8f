"""Everything that is scanned here: what tests/live leaves out."""

from tests.live.servers import Listener, Server
from tests.live_full import (
    courier,
    cyrus,
    dovecot,
    exim,
    freerdp,
    inn,
    inspircd,
    mariadb,
    ngircd,
    opensmtpd,
    postfix,
    postgresql,
    proftpd,
    prosody,
    pureftpd,
    rabbitmq,
    slapd,
    telnetd,
    vsftpd,
    xrdp,
)

SERVERS: tuple[Server, ...] = (
    *rabbitmq.SERVERS,  # the slowest to start
    *vsftpd.SERVERS,
    *proftpd.SERVERS,
    *pureftpd.SERVERS,
    *slapd.SERVERS,
    *prosody.SERVERS,
    *inspircd.SERVERS,
    *ngircd.SERVERS,
    *inn.SERVERS,
    *mariadb.SERVERS,
    *postgresql.SERVERS,
    *telnetd.SERVERS,
    *xrdp.SERVERS,
    *freerdp.SERVERS,
    *dovecot.SERVERS,
    *postfix.SERVERS,
    *exim.SERVERS,
    *opensmtpd.SERVERS,
    *courier.SERVERS,
    *cyrus.SERVERS,
)
LISTENERS: tuple[Listener, ...] = tuple(listener for server in SERVERS for listener in server.listeners)
