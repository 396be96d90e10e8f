"""The servers of the world: NSD, Unbound that validates, Postfix behind the MX records, nginx with the policies."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.live.certificates import Certificates, Leaf
from tests.live.postfix import MASTER
from tests.live.servers import Listener, Server
from tests.live_full.world import names
from tests.live_full.world.signing import write_zones
from tests.live_full.world.zones import ZONES

# --- NSD --------------------------------------------------------------------------------------------------------------

NSD_CONF = """
server:
  ip-address: {address}
  port: 53
  username: ""
  chroot: ""
  server-count: 1
  database: ""
  pidfile: ""
  zonesdir: "{directory}"
  zonelistfile: "{directory}/zone.list"
  xfrdfile: ""
remote-control:
  control-enable: no
"""


def configure_nsd(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """Sign the zones, and serve them."""
    files = write_zones(ZONES, fingerprints(certificates), directory)
    zones = "".join(f'zone:\n  name: "{name}"\n  zonefile: "{path}"\n' for name, path in files.items())
    (directory / "nsd.conf").write_text(NSD_CONF.format(address=names.NSD, directory=directory) + zones)
    return "nsd", "-d", "-c", directory / "nsd.conf"


def fingerprints(certificates: Certificates) -> dict[str, str]:
    """What TLSA records with a SHA-256 are made of: `label_spki` and `label_full`."""
    known = {leaf.label: certificates.chains[leaf][0] for leaf in names.LEAVES}
    known["intermediate"] = certificates.chains[names.GOOD_LEAF][1]
    found = {}
    for label, certificate in known.items():
        found[f"{label}_spki"] = hashlib.sha256(_public_key(certificate)).hexdigest()
        found[f"{label}_full"] = hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
    return found


def _public_key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


# --- Unbound ----------------------------------------------------------------------------------------------------------

UNBOUND_CONF = """
server:
  interface: {address}
  access-control: 127.0.0.0/8 allow
  username: ""
  chroot: ""
  directory: "{directory}"
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  do-not-query-localhost: no
  do-ip6: no
  root-hints: "{directory}/hints"
  trust-anchor-file: "{anchor}"
  local-zone: "test." nodefault
  ede: yes
  qname-minimisation: no
remote-control:
  control-enable: no
"""


def configure_unbound(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """A resolver that trusts the key of our root, which NSD's configuration has made."""
    (directory / "hints").write_text(f". 3600 NS ns.test.\nns.test. 3600 A {names.NSD}\n")
    conf = UNBOUND_CONF.format(address=names.UNBOUND, directory=directory, anchor=directory.parent / "nsd" / "anchor")
    (directory / "unbound.conf").write_text(conf)
    return "unbound", "-d", "-c", directory / "unbound.conf"


# --- Postfix ----------------------------------------------------------------------------------------------------------

MAIN_CF = """
compatibility_level = 3.6
myhostname = mx.test
mydestination =
mynetworks = 127.77.61.254/32
alias_maps =
alias_database =
local_recipient_maps =
maillog_file = /dev/stdout
queue_directory = {directory}/queue
data_directory = {directory}/data
smtpd_client_connection_count_limit = 0
smtpd_tls_protocols = >=TLSv1.2
"""
MASTER_CF = """
{good}:25 inet n - n - - smtpd
  -o smtpd_tls_security_level=may {good_chain}
{good}:587 inet n - n - - smtpd
  -o smtpd_tls_security_level=may {good_chain}
{good}:465 inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes {good_chain}
{expired}:25 inet n - n - - smtpd
  -o smtpd_tls_security_level=may {expired_chain}
{self_signed}:25 inet n - n - - smtpd
  -o smtpd_tls_security_level=may {self_signed_chain}
{other_name}:25 inet n - n - - smtpd
  -o smtpd_tls_security_level=may {other_name_chain}
{plain}:25 inet n - n - - smtpd
  -o smtpd_tls_security_level=none
anvil      unix       - - n - 1 anvil
postlog    unix-dgram n - n - 1 postlogd
proxymap   unix       - - n - - proxymap
rewrite    unix       - - n - - trivial-rewrite
tlsmgr     unix       - - n 1000? 1 tlsmgr
"""


def configure_postfix(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """One instance, with an address for each kind of MX host."""
    for name in ("configuration", "queue", "data"):
        (directory / name).mkdir()
    shutil.chown(directory / "data", "postfix")
    master = MASTER_CF.format(
        good=names.GOOD,
        expired=names.EXPIRED,
        self_signed=names.SELF_SIGNED,
        other_name=names.OTHER_NAME,
        plain=names.PLAIN,
        good_chain=_chain_option(certificates, names.GOOD_LEAF),
        expired_chain=_chain_option(certificates, names.EXPIRED_LEAF),
        self_signed_chain=_chain_option(certificates, names.SELF_SIGNED_LEAF),
        other_name_chain=_chain_option(certificates, names.OTHER_NAME_LEAF),
    )
    (directory / "configuration" / "master.cf").write_text(master)
    (directory / "configuration" / "main.cf").write_text(MAIN_CF.format(directory=directory))
    return "sh", "-c", f"postfix -c {directory}/configuration check && exec {MASTER} -c {directory}/configuration -s"


def _chain_option(certificates: Certificates, leaf: Leaf) -> str:
    return f"-o smtpd_tls_chain_files={certificates.key_file(leaf)},{certificates.chain_file(leaf)}"


# --- nginx ------------------------------------------------------------------------------------------------------------

NGINX_CONF = """
daemon off;
worker_processes 1;
pid {directory}/pid;
error_log stderr;
events {{ }}
http {{
  access_log {directory}/access;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  default_type text/plain;
{servers}
}}
"""
SERVER = """
  server {{
    listen {address}:443 ssl;
    server_name mta-sts.{domain};
    ssl_certificate {chain};
    ssl_certificate_key {key};
    location = /.well-known/mta-sts.txt {{ {answer} }}
  }}
"""
LARGE_BYTES = 100_000
MAX_AGE_S = 604_800


def policy(mode: str, *patterns: str, max_age_s: int = MAX_AGE_S) -> str:
    """The text of a policy (RFC 8461 §3.2)."""
    return "\n".join(
        ["version: STSv1", f"mode: {mode}", *(f"mx: {each}" for each in patterns), f"max_age: {max_age_s}", ""]
    )


SHARED = policy("enforce", "mx1.good.test")
POLICIES: dict[str, str] = {
    "good.test": policy("enforce", "*.good.test"),
    "ee-expired.test": policy("enforce", "mx.ee-expired.test"),
    "other-name.test": policy("enforce", "mx.other-name.test"),
    "self-signed.test": policy("enforce", "mx.self-signed.test"),
    "plain.test": policy("enforce", "mx.plain.test"),
    "huge.test": SHARED,
    "sts-expired.test": SHARED,
    "sts-self-signed.test": SHARED,
    "sts-other-mx.test": policy("enforce", "mx.elsewhere.test"),
    "sts-large.test": SHARED + "x: " + "y" * LARGE_BYTES,
    "sts-slow.test": SHARED,
    "sts-invalid.test": policy("enforce", "mx1.good.test", max_age_s=99_999_999),
    "sts-testing.test": policy("testing", "mx1.good.test"),
    "sts-none.test": policy("none"),
    "sts-html.test": "<html>no policy</html>",
}
OTHER_ANSWERS = {
    "sts-redirect.test": "return 301 https://mta-sts.good.test/.well-known/mta-sts.txt;",
    "sts-missing.test": "return 404;",
}


def configure_nginx(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """A server block for each policy host."""
    blocks = []
    for domain in (*POLICIES, *OTHER_ANSWERS):
        address, leaf = _policy_host(domain)
        answer = OTHER_ANSWERS.get(domain) or _file_of(directory, domain)
        chain, key = certificates.chain_file(leaf), certificates.key_file(leaf)
        blocks.append(SERVER.format(address=address, domain=domain, chain=chain, key=key, answer=answer))
    (directory / "nginx.conf").write_text(NGINX_CONF.format(directory=directory, servers="".join(blocks)))
    return "nginx", "-p", directory, "-e", "stderr", "-c", directory / "nginx.conf"


def _policy_host(domain: str) -> tuple[str, Leaf]:
    match domain:
        case "sts-expired.test":
            return names.EXPIRED_POLICIES, names.EXPIRED_POLICIES_LEAF
        case "sts-self-signed.test":
            return names.SELF_SIGNED_POLICIES, names.SELF_SIGNED_POLICIES_LEAF
        case _:
            return names.POLICIES, names.POLICIES_LEAF


def _file_of(directory: Path, domain: str) -> str:
    """The policy as a file. The slow one comes at a byte a second."""
    path = directory / f"{domain}.txt"
    path.write_text(POLICIES[domain])
    return f"alias {path};" + (" limit_rate 1;" if domain == "sts-slow.test" else "")


def listening(*addresses: tuple[str, int]) -> tuple[Listener, ...]:
    """Where to look whether they have started."""
    return tuple(Listener(None, address, port, "tls", {}) for address, port in addresses)


SERVERS = (
    Server("nsd", configure_nsd, listening((names.NSD, 53))),
    Server("unbound", configure_unbound, listening((names.UNBOUND, 53))),
    Server("postfix", configure_postfix, listening((names.GOOD, 25), (names.PLAIN, 25))),
    Server("nginx", configure_nginx, listening((names.POLICIES, 443))),
)
