"""A server of pyOpenSSL's own OpenSSL, which is newer than Debian's: `hybrid_server.py ADDRESS PORT CHAIN KEY`.

Its groups are those of the configuration that OPENSSL_CONF names, for pyOpenSSL has no function for them.
"""

import sys
import threading
from socket import create_server, socket

from OpenSSL import SSL

WAIT_S = 10.0


def main(address: str, port: str, chain_file: str, key_file: str) -> None:
    """Serve until killed."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate_chain_file(chain_file)
    context.use_privatekey_file(key_file)
    with create_server((address, int(port)), backlog=64) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, context), daemon=True).start()


def serve(connection: socket, context: SSL.Context) -> None:
    """One handshake; then read until the peer is gone. A thread that waits for longer than that is no matter."""
    with connection:
        tls = SSL.Connection(context, connection)
        tls.set_accept_state()
        try:
            tls.do_handshake()
            while tls.recv(1024):
                pass
        except SSL.Error as error:
            print(type(error).__name__, error, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
