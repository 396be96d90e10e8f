"""Zones → files for a name server, with keys, signatures and delegations. dnspython signs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import dns.dnssec
import dns.dnssectypes
import dns.name
import dns.rdatatype
import dns.rdtypes.ANY.DNSKEY
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

from tests.live_full.world.names import NSD
from tests.live_full.world.zones import Zone

TOP = "test"
LIFETIME_S = 30 * 24 * 3600
SECURE_ENTRY_POINT = 257  # RFC 4034 §2.1.1: a zone key, and one that a parent vouches for


@dataclass(frozen=True, slots=True)
class Key:
    """The one key of a zone, which signs all of it."""

    private: ec.EllipticCurvePrivateKey
    public: dns.rdtypes.ANY.DNSKEY.DNSKEY

    @classmethod
    def make(cls) -> "Key":
        """A new one (ECDSA P-256: RFC 6605)."""
        private = ec.generate_private_key(ec.SECP256R1())
        algorithm = dns.dnssectypes.Algorithm.ECDSAP256SHA256
        return cls(private, dns.dnssec.make_dnskey(private.public_key(), algorithm, flags=SECURE_ENTRY_POINT))

    def anchor(self, name: str) -> str:
        """The DS record that its parent has, or whoever trusts it."""
        ds = dns.dnssec.make_ds(dns.name.from_text(name), self.public, "SHA256")
        return f"{dns.name.from_text(name)} 3600 IN DS {ds}"


def write_zones(zones: tuple[Zone, ...], fingerprints: Mapping[str, str], directory: Path) -> dict[str, Path]:
    """A file for the root, the top level and each of these, by name; and `anchor`, the DS record of the root."""
    keys = {name: Key.make() for name in [".", TOP, *(zone.name for zone in zones if zone.signed)]}
    delegations = [line for zone in zones for line in _delegation(zone, keys.get(zone.name))]
    top = Zone(TOP, (f"ns A {NSD}", *delegations))
    root = Zone(".", (f"ns.test. A {NSD}", "test. NS ns.test.", keys[TOP].anchor(TOP)))
    files = {}
    for zone in (root, top, *(zone for zone in zones if zone.server == NSD)):
        files[zone.name] = directory / f"{zone.name.strip('.') or 'root'}.zone"
        if not zone.lost:
            files[zone.name].write_text(_zone_file(zone, fingerprints, keys.get(zone.name)))
    (directory / "anchor").write_text(keys["."].anchor(".") + "\n")
    return files


def _delegation(zone: Zone, key: Key | None) -> list[str]:
    """What the parent says of it. One that is lame has its server below itself, so that it is asked nobody else."""
    server = "ns.test." if zone.server == NSD else f"ns.{zone.name}."
    lines = [f"{zone.name}. NS {server}"]
    if zone.server != NSD:
        lines.append(f"{server} A {zone.server}")
    return [*lines, key.anchor(zone.name)] if key else lines


def _zone_file(zone: Zone, fingerprints: Mapping[str, str], key: Key | None) -> str:
    apex = ("@ SOA ns.test. hostmaster.test. 1 3600 600 86400 60", "@ NS ns.test.")
    made = _parsed(zone.name, [*apex, *(line.format(**fingerprints) for line in zone.lines)])
    if key:
        dns.dnssec.sign_zone(made, keys=[(key.private, key.public)], lifetime=LIFETIME_S)
    for name, forged in _parsed(zone.name, zone.forged).iterate_rdatasets():
        made.replace_rdataset(name, forged)  # and the signature of the other stays
    return made.to_text(relativize=False)


def _parsed(name: str, lines: Iterable[str]) -> dns.zone.Zone:
    text = "$TTL 300\n" + "\n".join(lines) + "\n"
    return dns.zone.from_text(text, origin=dns.name.from_text(name), relativize=False, check_origin=False)
