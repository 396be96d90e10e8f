"""Whom to trust: the file that is named with --trust, or else what the system trusts.

The OpenSSL that comes with our Python packages looks in places that exist on no system, so the places of the
distributions are looked up here; SSL_CERT_FILE and SSL_CERT_DIR go before them, as in OpenSSL.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from OpenSSL import crypto

from scanner.trust import TrustStore

FILES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo, Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",  # the same, of old
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/var/lib/ca-certificates/ca-bundle.pem",  # the same
    "/etc/ssl/cert.pem",  # the BSDs, macOS
    "/usr/local/share/certs/ca-root-nss.crt",  # FreeBSD of old
)
DIRECTORIES = ("/etc/ssl/certs", "/etc/pki/tls/certs")

# A last one that is cut off has no end: it is found, and then refused.
_BLOCK = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----.*?(?:-----END (?:X509 )?CERTIFICATE-----|\Z)", re.DOTALL)


class TrustStoreError(Exception):
    """The file cannot be used; the message says which, and why."""


def read_store(path: str) -> TrustStore:
    """The certificates (PEM) of a file. Raises TrustStoreError where it has none, or one that cannot be parsed."""
    try:
        blocks = _blocks(Path(path))
    except OSError as error:
        raise TrustStoreError(f"{path}: {error.strerror}") from error
    if not blocks:
        raise TrustStoreError(f"{path}: there is no certificate in it (PEM)")
    anchors = []
    for number, block in enumerate(blocks, start=1):
        try:
            anchors.append(crypto.load_certificate(crypto.FILETYPE_PEM, block))
        except crypto.Error as error:
            raise TrustStoreError(f"{path}: certificate {number} in it cannot be parsed") from error
    return TrustStore(tuple(anchors), (path,))


def system_store() -> TrustStore | None:
    """What the system trusts; None where nothing is found. What cannot be read or parsed there is passed over."""
    named = [os.environ.get("SSL_CERT_FILE", ""), *os.environ.get("SSL_CERT_DIR", "").split(os.pathsep)]
    choices = [named] if any(named) else [[each] for each in (*FILES, *DIRECTORIES)]
    return next(filter(None, map(_store_in, choices)), None)


def _store_in(places: Iterable[str]) -> TrustStore | None:
    """All that is found in these files and directories together."""
    anchors: dict[bytes, crypto.X509] = {}  # once each: a directory has its certificates under several names
    found = []
    for place in filter(None, places):
        before = len(anchors)
        for block in _blocks_in(Path(place)):
            with suppress(crypto.Error):
                if block not in anchors:
                    anchors[block] = crypto.load_certificate(crypto.FILETYPE_PEM, block)
        if len(anchors) > before:
            found.append(place)
    return TrustStore(tuple(anchors.values()), tuple(found)) if anchors else None


def _blocks_in(place: Path) -> Iterator[bytes]:
    with suppress(OSError):
        for path in sorted(place.iterdir()) if place.is_dir() else [place]:
            with suppress(OSError):
                yield from _blocks(path)


def _blocks(path: Path) -> list[bytes]:
    return _BLOCK.findall(path.read_bytes())
