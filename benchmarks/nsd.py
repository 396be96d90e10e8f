"""A real name server on loopback, where it is installed: NSD, with one zone."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.fleet import free_ports, running

ZONE = "bench.test"
_APEX = f"$ORIGIN {ZONE}.\n$TTL 3600\n@ SOA ns hostmaster 1 3600 600 86400 300\n@ NS ns\nns A 127.0.0.1\n"
_CONF = """\
server:
  ip-address: 127.0.0.1@{port}
  username: ""
  chroot: ""
  zonesdir: "{directory}"
  database: ""
  pidfile: ""
  zonelistfile: "{directory}/zone.list"
  xfrdfile: ""
  logfile: "{directory}/log"
  server-count: 1
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: "{zone}"
  zonefile: "zone"
"""


@contextmanager
def nsd(lines: Iterable[str]) -> Iterator[int | None]:
    """Its port, with the zone that these lines make below the apex; None where it is not installed."""
    program = shutil.which("nsd", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        print("nsd is not installed: no figures of the DNS", file=sys.stderr)
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="tlsweep-bench-dns-") as name:
        directory, (port,) = Path(name), free_ports(1)
        with (directory / "zone").open("w") as zone:
            zone.write(_APEX)
            zone.writelines(lines)
        (directory / "nsd.conf").write_text(_CONF.format(port=port, directory=directory, zone=ZONE))
        with running([program, "-d", "-c", str(directory / "nsd.conf")], port):
            yield port
