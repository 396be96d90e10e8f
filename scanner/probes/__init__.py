"""Questions that are asked only on request, one module each. `PROBES` is the list of them, in the order of asking."""

from scanner.probes.alpn import Alpn
from scanner.probes.ciphers import Ciphers
from scanner.probes.compression import Compression
from scanner.probes.fallback_scsv import FallbackScsv
from scanner.probes.fingerprint import Fingerprint
from scanner.probes.groups import Groups
from scanner.probes.probe import Known, Probe, Talked
from scanner.probes.renegotiation import Renegotiation
from scanner.probes.resumption import Resumption

__all__ = ["PROBES", "Known", "Probe", "Talked"]

PROBES: dict[str, Probe] = {
    probe.name: probe
    for probe in (
        Groups(),
        Ciphers(),
        Alpn(),
        Resumption(),
        FallbackScsv(),
        Renegotiation(),
        Compression(),
        Fingerprint(),
    )
}
