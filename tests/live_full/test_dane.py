"""DANE, as OpenSSL sees it: `openssl s_client` is asked the same of each chain and its records, and agrees.

Nothing of it leaves loopback: the records are given on its command line.
"""

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from scanner.mail_policy.dane import judge
from scanner.mail_policy.result import Result
from tests.scanner.mail_policy.dane_matrix import Case, cases
from tests.scanner.test_trust import HOST, NOW, Made

ADDRESS, FIRST_PORT = "127.77.9.1", 4_430
START_WITHIN_S, ANSWER_WITHIN_S = 10.0, 20.0
NO_STORE = ("-no-CAfile", "-no-CApath", "-no-CAstore")
# OpenSSL takes no record without data on its command line.
CASES = [case for case in cases() if all(record.data for record in case.records)]
# X509_V_ERR_*; what is not here is about the path.
WORDS = {"62": Result.HOST_MISMATCH, "65": Result.TLSA_INVALID}
EXPIRED = {"9", "10"}


class Servers:
    """One for each chain."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ports: dict[tuple[bytes, ...], int] = {}
        self._running = ExitStack()

    def __enter__(self) -> "Servers":
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def port(self, case: Case) -> int:
        """Where the chain of this case is served."""
        if case.ders not in self._ports:
            self._ports[case.ders] = FIRST_PORT + len(self._ports)
            self._start(case.chain, self._ports[case.ders])
        return self._ports[case.ders]

    def _start(self, chain: tuple[Made, ...], port: int) -> None:
        leaf, key, above = (self._directory / f"{port}-{name}.pem" for name in ("leaf", "key", "above"))
        leaf.write_bytes(chain[0].certificate.public_bytes(Encoding.PEM))
        key.write_bytes(chain[0].key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        above.write_bytes(b"".join(each.certificate.public_bytes(Encoding.PEM) for each in chain[1:]))
        more = ("-cert_chain", above) if chain[1:] else ()
        command = ("openssl", "s_server", "-quiet", "-www", "-accept", f"{ADDRESS}:{port}", *NO_STORE, *more)
        server = subprocess.Popen(
            (*command, "-cert", leaf, "-key", key),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._running.enter_context(server)
        self._running.callback(server.kill)
        _wait_for(port)


def _wait_for(port: int) -> None:
    until = time.monotonic() + START_WITHIN_S
    while True:
        try:
            socket.create_connection((ADDRESS, port), timeout=1).close()
        except OSError:
            assert time.monotonic() < until, "openssl s_server does not start"
            time.sleep(0.02)
        else:
            return


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """They are started as they are needed, and all stopped in the end."""
    with TemporaryDirectory(prefix="tlsweep-dane-") as name, Servers(Path(name)) as running:
        yield running


def seen_by_openssl(case: Case, port: int) -> tuple[Result, ...]:
    """The first thing that fails, in our words. Names do not count for DANE-EE, as RFC 7672 §3.1.1 has it."""
    records = (f"{each.usage} {each.selector} {each.matching} {each.data.hex()}" for each in case.records)
    named = ("-dane_tlsa_domain", HOST, "-dane_ee_no_namechecks", "-attime", str(int(NOW.timestamp())))
    command = ["openssl", "s_client", "-brief", "-verify_return_error", "-connect", f"{ADDRESS}:{port}", *named]
    command += [*NO_STORE, *(option for record in records for option in ("-dane_tlsa_rrdata", record))]
    answer = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ANSWER_WITHIN_S, check=False
    )
    said = answer.stdout + answer.stderr
    if "Failed to import any TLSA records" in said:
        return (Result.TLSA_INVALID,)
    if failed := re.search(r"depth=(\d+).*\nverify error:num=(\d+)", said):
        is_expired = failed[1] == "0" and failed[2] in EXPIRED
        return (Result.EXPIRED if is_expired else WORDS.get(failed[2], Result.NOT_TRUSTED),)
    assert "Verification: OK" in said, said
    return ()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_openssl_agrees(case: Case, servers: Servers) -> None:
    """It stops at the first thing that fails, which is one of those that we tell; where it differs, that is known."""
    ours, theirs = judge(case.records, case.ders, HOST, NOW).results(), seen_by_openssl(case, servers.port(case))
    assert ours == case.results
    if case.openssl is not None:
        assert theirs == case.openssl
    else:
        assert bool(theirs) is bool(ours)
        assert set(theirs) <= set(ours)
