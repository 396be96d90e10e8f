"""telnetd-ssl: its TLS begins with Telnet's AUTHENTICATION option, which is older than START_TLS, or at once. No
package of Debian's has a server that knows START_TLS.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.live.certificates import WEB_RSA, Certificates
from tests.live.servers import Listener, Server, spoken_by_openssl
from tests.live_full.truths import OLD_UNSIGNED, encrypted, not_encrypted, refused
from tests.live_full.unpacked import library_path, unpacked

ADDRESS = "127.77.19.1"
TELNETD, SOCAT = "/usr/sbin/in.telnetd", "/usr/bin/socat"
COMMAND = "{program} -h -N -L /bin/cat -z cert={chain} -z key={key} {more}"

# IAC DONT START_TLS.
NOT_OFFERED = not_encrypted(
    "no_tls",
    refused("not_offered", "reply", "DONT", r"\xff\xfe.", advertised=False),
    None,
    "starttls-not-offered",
)
IMPLICIT = encrypted({}, spoken_by_openssl("TLSv1.2", "TLSv1.3", others=OLD_UNSIGNED), None)
IMPLICIT |= {"mode": "implicit", "starttls": None}


def configure(port: int, more: str) -> Callable[[Path, Certificates], Sequence[str | Path]]:
    """socat takes the connections, and hands them over as inetd does; but it keeps its children in its group."""

    def write(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        root = unpacked("telnetd", directory.parent, certificates, programs=(TELNETD, SOCAT))
        files = {"chain": certificates.chain_file(WEB_RSA), "key": certificates.key_file(WEB_RSA)}
        command = COMMAND.format(program=root / TELNETD.lstrip("/"), more=more, **files)
        listen = f"TCP4-LISTEN:{port},bind={ADDRESS},reuseaddr,fork"
        environment = f"LD_LIBRARY_PATH={library_path(root)}"
        return "env", environment, root / SOCAT.lstrip("/"), listen, f"EXEC:{command},nofork"

    return write


SERVERS = (
    Server("telnetd", configure(23, ""), (Listener("web.live.test", ADDRESS, 23, "telnet", NOT_OFFERED),)),
    Server(
        "telnetd-tls",
        configure(992, "-z ssl"),
        (Listener("web.live.test", ADDRESS, 992, "telnets", IMPLICIT, leaf=WEB_RSA),),
    ),
)
