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
    tls_gnutls,
    tls_libraries,
    tls_nginx,
    tls_old,
    tls_openssl,
    vsftpd,
    xrdp,
)

SERVERS: tuple[Server, ...] = (
    *rabbitmq.SERVERS,  # the slowest to start
    *tls_libraries.SERVERS,  # Java is slow, too
    *tls_nginx.SERVERS,
    *tls_openssl.SERVERS,
    *tls_gnutls.SERVERS,
    *tls_old.SERVERS,
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
