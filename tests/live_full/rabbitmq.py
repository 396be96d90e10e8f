"""RabbitMQ: AMQP 0-9-1, which cannot be upgraded to TLS, and the same inside TLS. What runs it is Erlang, with a TLS of
its own.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.live.certificates import WEB, Certificates
from tests.live.servers import VERSIONS, Listener, Server, Truth, alert, speaks
from tests.live_full.truths import encrypted, not_encrypted, refused
from tests.live_full.unpacked import unpacked

ADDRESS = "127.77.18.1"

CONFIGURATION = """\
listeners.tcp.1 = {address}:5672
listeners.ssl.1 = {address}:5671
ssl_options.cacertfile = {root}
ssl_options.certfile = {chain}
ssl_options.keyfile = {key}
ssl_options.versions.1 = tlsv1.3
ssl_options.versions.2 = tlsv1.2
log.console = true
"""
# The machine's `erl` knows one place where it may be.
ERL = """\
#!/bin/sh
export ROOTDIR={erlang} BINDIR={binaries} EMU=beam PROGNAME=erl
exec {binaries}/erlexec "$@"
"""
# RabbitMQ would start Erlang's name server where it is missing, and leave it behind.
START = """\
{binaries}/epmd &
until {binaries}/epmd -names >/dev/null 2>&1; do sleep 0.05; done
exec {server}
"""

# It answers the header of AMQP 1.0's TLS with that of what it speaks.
NOT_OFFERED = not_encrypted(
    "no_tls",
    refused("not_offered", "reply", "0", r"AMQP\x00\x00\t\x01", advertised=False),
    None,
    "starttls-not-offered",
)
# To Erlang a hello of SSLv2 is a record of an unknown type. Its alert is a no beside other hellos that it answers.
BY_ERLANG: Truth = dict.fromkeys(VERSIONS, alert("protocol_version")) | {
    "SSLv2": {"verdict": "no"} | alert("unexpected_message")
}
KNOWN: Truth = {"TLSv1.2": {"flags": ["tls13_hint"]}, "TLSv1.3": {"group": "x25519", "group_id": "0x001d"}}
IMPLICIT = encrypted({}, speaks("TLSv1.2", "TLSv1.3", others=BY_ERLANG, known=KNOWN), None)
IMPLICIT |= {"mode": "implicit", "starttls": None}


def configure(directory: Path, certificates: Certificates) -> Sequence[str | Path]:
    """The start script of the package, with all that it writes in one directory."""
    root = unpacked("rabbitmq", directory, certificates, programs=("/usr/lib/erlang/erts-*/bin/beam.smp",))
    (binaries,) = root.glob("usr/lib/erlang/erts-*/bin")
    (server,) = root.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server")
    files = {"root": certificates.root, "chain": certificates.chain_file(WEB), "key": certificates.key_file(WEB)}
    (directory / "rabbitmq.conf").write_text(CONFIGURATION.format(address=ADDRESS, **files))
    erl = directory / "bin" / "erl"
    erl.parent.mkdir()
    erl.write_text(ERL.format(erlang=binaries.parent.parent, binaries=binaries))
    erl.chmod(0o755)
    environment = {
        "PATH": f"{erl.parent}:{binaries}:/usr/bin:/bin",
        "HOME": directory,
        "ERL_EPMD_ADDRESS": ADDRESS,
        "ERL_EPMD_PORT": 20369,
        "RABBITMQ_NODENAME": "live@localhost",
        "RABBITMQ_DIST_PORT": 20370,
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": directory / "rabbitmq.conf",
        "RABBITMQ_ADVANCED_CONFIG_FILE": directory / "advanced.config",
        "RABBITMQ_GENERATED_CONFIG_DIR": directory / "generated",
        "RABBITMQ_ENABLED_PLUGINS_FILE": directory / "plugins",
        "RABBITMQ_FEATURE_FLAGS_FILE": directory / "features",
        "RABBITMQ_MNESIA_BASE": directory / "data",
        "RABBITMQ_LOG_BASE": directory,
        "RABBITMQ_LOGS": "-",
        "RUNNING_UNDER_SYSTEMD": "true",  # the virtual machine takes the script's place
    }
    start = START.format(binaries=binaries, server=server)
    return "env", *(f"{name}={value}" for name, value in environment.items()), "sh", "-c", start


SERVERS = (
    Server(
        "rabbitmq",
        configure,
        (
            Listener("web.live.test", ADDRESS, 5672, "amqp", NOT_OFFERED),
            Listener("web.live.test", ADDRESS, 5671, "amqps", IMPLICIT, leaf=WEB),
        ),
    ),
)
