"""TLS by libraries that are neither OpenSSL nor GnuTLS, in whatever Debian packages as a server.

wolfSSL, mbedTLS and NSS by lighttpd, which has a module for each; NSS by its own test server as well; BoringSSL by its
command-line tool; and the libraries of Java and Go by small servers of ours, beside this file. Erlang's is that of
RabbitMQ. LibreSSL is in no package. OpenSSL of a newer version than Debian's, with hybrid groups, is pyOpenSSL's.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.live.certificates import WEB, WEB_RSA, Certificates, Leaf
from tests.live.servers import (
    TLS13,
    VERSIONS,
    Found,
    Listener,
    NotStartedError,
    Server,
    Truth,
    alert,
    beyond_us,
    lower,
    merged,
    speaks,
)
from tests.live_full.truths import Like
from tests.live_full.unpacked import PACKAGES, library_path, unpacked

HOST = "web.live.test"
EVERYWHERE = "127.77.44.1"  # of servers that have no option for the address, hence ports of their own
PASSWORD = "live"
HERE = Path(__file__).parent
GO_SERVER = PACKAGES / "go" / "tls_server"  # built by the install script

OLD, MODERN = ("TLSv1.0", "TLSv1.1"), ("TLSv1.2", "TLSv1.3")
CLOSED: Truth = {"evidence": "closed"}
HANGS_UP: Truth = {"evidence": Like("closed|reset")}
BY_ALERT_70: Truth = dict.fromkeys(VERSIONS, alert("protocol_version"))
# RFC 8446 §4.1.3: TLS 1.1 or below by a server that has TLS 1.2, and TLS 1.2 by one that has TLS 1.3.
SENTINELS: Truth = {version: {"flags": ["tls12_hint"]} for version in OLD} | {"TLSv1.2": {"flags": ["tls13_hint"]}}
SHAKEN: Truth = TLS13 | {"client_certificate": "none"}
OLD_ENABLED = Found("tls1.0-enabled", "tls1.1-enabled")

Configure = Callable[[Path, Certificates], Sequence[str | Path]]


def server(
    name: str, configure: Configure, truth: Truth, *, address: str, port: int = 443, leaf: Leaf | None = WEB_RSA
) -> Server:
    """One of them, which shows this leaf; None where nobody of ours gets to see it."""
    return Server(name, configure, (Listener(HOST, address, port, "tls", {"status": "tls"} | truth, leaf=leaf),))


def keyed(certificates: Certificates, leaf: Leaf, directory: Path) -> Path:
    """Key and chain in PKCS #12, under the name `live`."""
    store = directory / "live.p12"
    files = ("-inkey", certificates.key_file(leaf), "-in", certificates.chain_file(leaf))
    command = ("openssl", "pkcs12", "-export", *files, "-name", "live", "-passout", f"pass:{PASSWORD}", "-out", store)
    subprocess.run(command, check=True)
    return store


# --- lighttpd: wolfSSL, mbedTLS, NSS ----------------------------------------------------------------------------------

LIGHTTPD = """\
server.document-root = "{directory}"
server.modules = ("mod_{module}")
server.bind = "{address}"
server.port = 443
ssl.engine = "enable"
ssl.pemfile = "{chain}"
ssl.privkey = "{key}"
{settings}
"""


def lighttpd(number: int, module: str, truth: Truth, settings: str = "", leaf: Leaf = WEB_RSA) -> Server:
    """An instance with this module for TLS. It runs outside of its root, where NSS finds the rest of itself."""
    address = f"127.77.42.{number}"

    def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        modules = "/usr/lib/lighttpd"
        programs = ("/usr/sbin/lighttpd", f"{modules}/mod_nss.so", f"{modules}/mod_mbedtls.so")
        root = unpacked("lighttpd", directory.parent, certificates, programs=programs)
        path = directory / "lighttpd.conf"
        files = {"chain": certificates.chain_file(leaf), "key": certificates.key_file(leaf)}
        path.write_text(
            LIGHTTPD.format(directory=directory, module=module, address=address, settings=settings, **files)
        )
        program = (root / "usr/sbin/lighttpd", "-D", "-f", path, "-m", root / modules.lstrip("/"))
        return "env", f"LD_LIBRARY_PATH={library_path(root)}", *program

    return server(f"lighttpd-{module}-{number}", configure, truth, address=address, leaf=leaf)


WOLFSSL: Truth = {
    "versions": speaks(*MODERN, others=BY_ALERT_70 | {"SSLv2": HANGS_UP}, known={"TLSv1.2": {"flags": ["tls13_hint"]}}),
    # It hangs up on a hello with a key for a hybrid group, longer than a packet; the second handshake is short.
    "tls": {"version": "TLSv1.3", "client_certificate": "none", "error": None},
    "findings": Found("large-hello-intolerant"),
}
MBEDTLS: Truth = {
    "versions": speaks("TLSv1.2", others=BY_ALERT_70 | {"SSLv2": HANGS_UP, "TLSv1.3": lower("TLSv1.2")}),
    "tls": {"version": "TLSv1.2", "client_certificate": "none", "error": None},
}
BY_NSS = BY_ALERT_70 | {"SSLv2": alert("unexpected_message")}
NSS: Truth = {
    "versions": speaks(*MODERN, others=BY_NSS, known={"TLSv1.2": {"flags": ["tls13_hint"]}}),
    "tls": {"version": "TLSv1.3", "client_certificate": "none", "error": None},
}

# --- NSS's own server -------------------------------------------------------------------------------------------------


def selfserv(port: int, versions: str, truth: Truth) -> Server:
    """An instance with a database of its own."""

    def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        database = f"sql:{directory}"
        store = keyed(certificates, WEB_RSA, directory)
        subprocess.run(["certutil", "-N", "-d", database, "--empty-password"], check=True)
        subprocess.run(["pk12util", "-i", store, "-d", database, "-W", PASSWORD], check=True, stdout=subprocess.DEVNULL)
        return "selfserv", "-d", database, "-n", "live", "-p", str(port), "-V", versions, "-H", "1"

    return server(f"nss-{port}", configure, truth, address=EVERYWHERE, port=port)


# --- BoringSSL --------------------------------------------------------------------------------------------------------


def boringssl(port: int, options: str, truth: Truth, leaf: Leaf = WEB) -> Server:
    """The tool of BoringSSL that Debian has for Android's sake."""

    def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        android = "/usr/lib/*-linux-gnu/android"
        root = unpacked(
            "boringssl", directory.parent, certificates, programs=["/usr/bin/bssl-tool"], libraries=[android]
        )
        program = (root / "usr/bin/bssl-tool", "server", "-accept", str(port), "-loop", "-www")
        files = ("-cert", certificates.chain_file(leaf), "-key", certificates.key_file(leaf))
        return "env", f"LD_LIBRARY_PATH={library_path(root, [android])}", *program, *files, *options.split()

    return server(f"boringssl-{port}", configure, truth, address=EVERYWHERE, port=port, leaf=leaf)


# --- Java and Go ------------------------------------------------------------------------------------------------------


def java(number: int, versions: Sequence[str], truth: Truth) -> Server:
    """The JDK's own TLS. It names the versions as it names them itself."""
    address = f"127.77.43.{number}"

    def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        store = keyed(certificates, WEB_RSA, directory)
        return "java", HERE / "TlsServer.java", address, "443", store, PASSWORD, *versions

    return server(f"java-{number}", configure, truth, address=address)


def go(number: int, lowest: int, highest: int, truth: Truth, leaf: Leaf = WEB_RSA) -> Server:
    """Go's crypto/tls."""
    address = f"127.77.43.{number}"

    def configure(_: Path, certificates: Certificates) -> Sequence[str | Path]:
        if not GO_SERVER.exists():
            raise NotStartedError(f"{GO_SERVER} was not built: run tests/live_full/install")
        files = certificates.chain_file(leaf), certificates.key_file(leaf)
        return GO_SERVER, f"{address}:443", hex(lowest), hex(highest), *files

    return server(f"go-{number}", configure, truth, address=address, leaf=leaf)


# --- OpenSSL of pyOpenSSL ---------------------------------------------------------------------------------------------

GROUPS_CONFIGURATION = """\
openssl_conf = start
[start]
ssl_conf = tls
[tls]
system_default = all
[all]
Groups = {groups}
MinProtocol = {lowest}
"""


def hybrid(number: int, groups: str, truth: Truth, lowest: str = "TLSv1.3", leaf: Leaf | None = WEB) -> Server:
    """With these groups, by OpenSSL's names of them. TLS 1.2 has no hybrid ones."""
    address = f"127.77.43.{number}"

    def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
        configuration = directory / "openssl.cnf"
        configuration.write_text(GROUPS_CONFIGURATION.format(groups=groups, lowest=lowest))
        files = certificates.chain_file(WEB), certificates.key_file(WEB)
        program = (sys.executable, "-P", HERE / "hybrid_server.py", address, "443", *files)
        return "env", f"OPENSSL_CONF={configuration}", *program

    return server(f"hybrid-{number}", configure, truth, address=address, leaf=leaf)


def only_in(group: str, number: str) -> Truth:
    """TLS 1.3 in this group and in no other: no hello of ours has a key for it."""
    agreed = {"group": group, "group_id": number}
    answered = {"evidence": "hello_retry_request", "flags": ["hrr", "retry_used"]} | agreed
    return {"versions": speaks("TLSv1.3", others=BY_OPENSSL_4, known={"TLSv1.3": answered}), "tls": SHAKEN | agreed}


BY_OPENSSL_4 = BY_ALERT_70 | {
    "SSLv2": {"evidence": Like("closed|reset|alert")}
}  # pyOpenSSL may close before it says it
BY_JAVA = BY_ALERT_70 | {"SSLv2": alert("handshake_failure")}
SPEAKS_ALL: Truth = {"versions": speaks(*OLD, *MODERN, others=BY_ALERT_70, known=SENTINELS), "findings": OLD_ENABLED}
SPEAKS_MODERN: Truth = {
    "versions": speaks(*MODERN, others=BY_ALERT_70, known={"TLSv1.2": {"flags": ["tls13_hint"]}}),
    "findings": Found(),
}


def old_only(others: Truth) -> Truth:
    """TLS 1.0 and 1.1: an offer of TLS 1.2 is answered with what there is, and one of TLS 1.3 is not."""
    return {
        "versions": speaks(*OLD, others=others | {"TLSv1.2": lower("TLSv1.1")}),
        "tls": {"version": "TLSv1.1", "group": "x25519", "client_certificate": "none", "error": None},
        "findings": Found("tls1.0-enabled", "tls1.1-enabled", "no-tls1.2-or-later"),
    }


# The handshake offers the hybrid group, and the raw hello a key for x25519 alone.
HYBRID_OR_NOT: Truth = {
    "versions": speaks(
        *MODERN,
        others=BY_OPENSSL_4,
        known={"TLSv1.2": {"flags": ["tls13_hint"]}, "TLSv1.3": {"group": "x25519"}},
    ),
    "tls": SHAKEN | {"group": "X25519MLKEM768", "group_id": "0x11ec"},
}
ANY_TLS13: Truth = {"tls": {"version": "TLSv1.3", "client_certificate": "none", "error": None}}

SERVERS = (
    java(  # the slowest to start
        1,
        ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
        {"versions": speaks(*OLD, *MODERN, others=BY_JAVA, known=SENTINELS), "findings": OLD_ENABLED} | ANY_TLS13,
    ),
    java(2, ("TLSv1.2",), {"versions": speaks("TLSv1.2", others=BY_JAVA), "findings": Found()}),
    lighttpd(1, "wolfssl", WOLFSSL),
    lighttpd(2, "mbedtls", MBEDTLS),
    lighttpd(3, "nss", NSS),
    selfserv(20461, "tls1.0:", {"versions": speaks(*OLD, *MODERN, others=BY_NSS, known=SENTINELS)} | ANY_TLS13),
    selfserv(20462, "tls1.3:", {"versions": speaks("TLSv1.3", others=BY_NSS)} | ANY_TLS13),
    selfserv(20463, "tls1.0:tls1.1", old_only(BY_NSS)),
    boringssl(20464, "", SPEAKS_ALL | ANY_TLS13),
    boringssl(
        20465,
        "-min-version tls1.2 -curves P-384",
        merged(
            SPEAKS_MODERN,
            {
                "versions": {"TLSv1.3": {"evidence": "hello_retry_request", "group": "secp384r1", "flags": ["hrr"]}},
                "tls": SHAKEN | {"group": "secp384r1", "group_id": "0x0018"},
            },
        ),
    ),
    boringssl(20466, "-max-version tls1.1", old_only(BY_ALERT_70), leaf=WEB_RSA),
    go(3, 0x0301, 0x0304, SPEAKS_ALL | ANY_TLS13),
    go(4, 0x0304, 0x0304, {"versions": speaks("TLSv1.3", others=BY_ALERT_70)} | ANY_TLS13, leaf=WEB),
    go(5, 0x0301, 0x0302, old_only(BY_ALERT_70)),
    hybrid(6, "X25519MLKEM768", only_in("X25519MLKEM768", "0x11ec")),
    hybrid(7, "SecP256r1MLKEM768", only_in("SecP256r1MLKEM768", "0x11eb")),
    # OpenSSL offers this one only if it is told to, and pyOpenSSL has no function for that: no handshake of ours.
    hybrid(
        8,
        "SecP384r1MLKEM1024",
        only_in("SecP384r1MLKEM1024", "0x11ed") | {"tls": beyond_us("SecP384r1MLKEM1024"), "findings": Found()},
        leaf=None,
    ),
    hybrid(9, "X25519MLKEM768:X25519", HYBRID_OR_NOT, lowest="TLSv1.2"),
)
