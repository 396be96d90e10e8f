"""A server for SSLv3, which OpenSSL and GnuTLS no longer have: `sslv3_server.py ADDRESS PORT HIGHEST CHAIN KEY`."""

import sys
import threading
from pathlib import Path
from socket import create_server, socket

from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey  # type: ignore[import-untyped]

NUMBERS = {"SSLv3": (3, 0), "TLSv1.0": (3, 1), "TLSv1.1": (3, 2), "TLSv1.2": (3, 3), "TLSv1.3": (3, 4)}
WAIT_S = 10.0


def main(address: str, port: str, highest: str, chain_file: str, key_file: str) -> None:
    """Serve SSLv3 up to the highest version, until killed."""
    chain = X509CertChain()
    chain.parsePemList(Path(chain_file).read_text())
    key = parsePEMKey(Path(key_file).read_text(), private=True)
    settings = HandshakeSettings()
    settings.minVersion = NUMBERS["SSLv3"]
    settings.maxVersion = NUMBERS[highest]
    settings.versions = [number for number in NUMBERS.values() if number <= NUMBERS[highest]][::-1]  # best first
    with create_server((address, int(port)), backlog=64) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, chain, key, settings), daemon=True).start()


def serve(connection: socket, chain: object, key: object, settings: object) -> None:
    """One handshake; then read until the peer is gone."""
    connection.settimeout(WAIT_S)
    with connection:
        tls = TLSConnection(connection)
        try:
            tls.handshakeServer(certChain=chain, privateKey=key, settings=settings)
            while tls.read(max=1024):
                pass
            tls.close()
        except Exception as error:  # whatever the scanner does, the next connection is served
            print(type(error).__name__, error, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
