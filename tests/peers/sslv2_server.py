"""A server of SSLv2, which no packaged library speaks any more: `sslv2_server.py ADDRESS PORT CHAIN [OPTION...]`.

It reads a CLIENT-HELLO as a strict server does (Hickman's draft of 1995, "The SSL Protocol", §2), and answers it:

    --kinds HEX,HEX,...  its cipher kinds; the answer has those of them that the client has too, and may have none
    --padding N          the answer comes behind the header of three bytes, with so many bytes of padding
    --error N            an ERROR in place of every answer
    --greets-tls NAME    what it does on hearing TLS: fin, error (1, no cipher), or alert (70, protocol_version)

Nothing of it is imported from the scanner.
"""

import argparse
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import create_server, socket

ERROR, CLIENT_HELLO, SERVER_HELLO = 0, 1, 4
SSLV2 = 0x0002
X509 = 1
NO_CIPHER = 1
CONNECTION_ID = bytes(range(16))
ALL_KINDS = (0x010080, 0x020080, 0x030080, 0x040080, 0x050080, 0x060040, 0x0700C0)
PROTOCOL_VERSION_ALERT = bytes.fromhex("15 0301 0002 02 46")
TLS_HANDSHAKE = 0x16
WAIT_S = 10.0


class NotUnderstoodError(Exception):
    """What came is no CLIENT-HELLO."""


@dataclass(frozen=True, slots=True)
class Sslv2Table:
    """What a server has, and how it says so."""

    kinds: tuple[int, ...] = ALL_KINDS
    certificate: bytes = b""  # DER
    padding: int | None = None  # None: the header of two bytes
    error: int | None = None
    greets_tls: str = "fin"

    def answer(self, heard: bytes) -> bytes | None:
        """To all that was heard so far: b"" for a FIN, None where more has to come. Raises NotUnderstoodError."""
        if heard[:1] == bytes([TLS_HANDSHAKE]):
            return {"fin": b"", "error": self._record(_error(NO_CIPHER)), "alert": PROTOCOL_VERSION_ALERT}[
                self.greets_tls
            ]
        message = _message(heard)
        if message is None:
            return None
        offered = _offered_kinds(message)
        if self.error is not None:
            return self._record(_error(self.error))
        return self._record(self._server_hello([kind for kind in offered if kind in self.kinds]))

    def _server_hello(self, kinds: Sequence[int]) -> bytes:
        specs = b"".join(kind.to_bytes(3, "big") for kind in kinds)
        lengths = b"".join(len(part).to_bytes(2, "big") for part in (self.certificate, specs, CONNECTION_ID))
        head = bytes([SERVER_HELLO, 0, X509]) + SSLV2.to_bytes(2, "big")  # 0: no session is resumed
        return head + lengths + self.certificate + specs + CONNECTION_ID

    def _record(self, message: bytes) -> bytes:
        if self.padding is None:
            return (0x8000 | len(message)).to_bytes(2, "big") + message
        padded = message + bytes(self.padding)
        return len(padded).to_bytes(2, "big") + bytes([self.padding]) + padded


def _error(number: int) -> bytes:
    return bytes([ERROR]) + number.to_bytes(2, "big")


def _message(heard: bytes) -> bytes | None:
    """The first message, once it is whole, without its header and padding."""
    if len(heard) < 3:
        return None
    short = bool(heard[0] & 0x80)
    header_bytes, padding = (2, 0) if short else (3, heard[2])
    length = int.from_bytes(heard[:2], "big") & (0x7FFF if short else 0x3FFF)
    if len(heard) < header_bytes + length:
        return None
    if len(heard) > header_bytes + length:
        raise NotUnderstoodError("more than a CLIENT-HELLO")
    return heard[header_bytes : header_bytes + length - padding]


def _offered_kinds(message: bytes) -> list[int]:
    """Those of a CLIENT-HELLO. Every length of it has to be right."""
    if len(message) < 9 or message[0] != CLIENT_HELLO:
        raise NotUnderstoodError("no CLIENT-HELLO")
    version, specs, session, challenge = (int.from_bytes(message[at : at + 2], "big") for at in range(1, 9, 2))
    if version < SSLV2 or specs == 0 or specs % 3 or session not in (0, 16) or not 16 <= challenge <= 32:
        raise NotUnderstoodError("a CLIENT-HELLO that the draft does not allow")
    if len(message) != 9 + specs + session + challenge:
        raise NotUnderstoodError("a CLIENT-HELLO of another length than its parts")
    return [int.from_bytes(message[at : at + 3], "big") for at in range(9, 9 + specs, 3)]


def serve(listener: socket, table: Sslv2Table) -> None:
    """Answer each connection, until the listener is closed."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_converse, args=(connection, table), daemon=True).start()


def _converse(connection: socket, table: Sslv2Table) -> None:
    """One hello and its answer; then wait until the peer is gone."""
    connection.settimeout(WAIT_S)
    with connection:
        heard = b""
        try:
            while (answer := table.answer(heard)) is None:
                if not (data := connection.recv(4_096)):
                    return
                heard += data
            connection.sendall(answer)
            while answer and connection.recv(4_096):
                pass
        except (NotUnderstoodError, OSError) as error:
            print(type(error).__name__, error, flush=True)


def main() -> None:
    """Serve until killed."""
    options = argparse.ArgumentParser()
    options.add_argument("address")
    options.add_argument("port", type=int)
    options.add_argument("chain", type=Path, help="PEM; of its certificates the first is shown")
    options.add_argument("--kinds", type=lambda text: tuple(int(each, 16) for each in text.split(",") if each))
    options.add_argument("--padding", type=int)
    options.add_argument("--error", type=int)
    options.add_argument("--greets-tls", choices=["fin", "error", "alert"], default="fin")
    asked = options.parse_args()
    first, end = asked.chain.read_text().partition("-----END CERTIFICATE-----")[:2]
    certificate = ssl.PEM_cert_to_DER_cert(first + end)
    kinds = ALL_KINDS if asked.kinds is None else asked.kinds
    table = Sslv2Table(kinds, certificate, asked.padding, asked.error, asked.greets_tls)
    with create_server((asked.address, asked.port), backlog=64) as listener:
        serve(listener, table)


if __name__ == "__main__":
    main()
