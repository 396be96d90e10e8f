"""Everything that is scanned here: what tests/live leaves out."""

from tests.live.servers import Listener, Server
from tests.live_full import inspircd, prosody, slapd, vsftpd

SERVERS: tuple[Server, ...] = (*vsftpd.SERVERS, *slapd.SERVERS, *prosody.SERVERS, *inspircd.SERVERS)
LISTENERS: tuple[Listener, ...] = tuple(listener for server in SERVERS for listener in server.listeners)
