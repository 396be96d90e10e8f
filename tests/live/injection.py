"""The test for command injection, put to real servers that run already: as it is, and as if they were careless.

A careless server runs the injected command inside TLS, before what the client says there. So the client may send it
there, and the replies of any server are those that it would give if it were careless.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace

import pytest

from scanner.connection import Connection, Timeouts
from scanner.dialogue import Script, Send
from scanner.question import Answer, InjectCommand
from scanner.starttls import SPOKEN, InjectionTest
from scanner.starttls.injection import Injection, Proof
from scanner.starttls.result import Names
from scanner.wires import dial
from targets.services import SERVICES
from targets.target import Endpoint, Origin
from tests.live.scan import OPTIONS, SCAN_WITHIN_S, TLSWEEP
from tests.live.servers import Listener, Truth

TESTED = {"smtp", "submission", "imap", "pop3", "sieve"}


def candidates(listeners: Sequence[Listener]) -> list[Listener]:
    """Those that have the test, and come to a handshake."""
    return [each for each in listeners if each.service in TESTED and each.leaf and each.handshake]


def scan_for_injection(listeners: Sequence[Listener]) -> dict[str, Truth]:
    """The record of each by its id, of one command for all of them."""
    targets = [
        f"{each.service}://[{each.address}]:{each.port}"
        if ":" in each.address
        else f"{each.service}://{each.address}:{each.port}"
        for each in listeners
    ]
    done = subprocess.run(
        [TLSWEEP, "scan", "--test-injection", *OPTIONS, *targets],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=SCAN_WITHIN_S,
    )
    records = [json.loads(line) for line in done.stdout.splitlines()]
    by_place = {(each["address"], each["port"]): each for each in records if each["type"] == "endpoint"}
    return {each.id: by_place[each.address, each.port] for each in listeners}


async def prove(monkeypatch: pytest.MonkeyPatch, listener: Listener, *, careless: bool) -> Injection:
    """What the commands inside TLS prove, of a server that was sent nothing behind the upgrade command.

    `careless`: the injected command comes first of all inside TLS.
    """
    service = SERVICES[listener.service]
    spoken = SPOKEN[service.protocol]
    assert spoken.injection
    test = spoken.injection
    proof = (lambda names: _behind(test, names)) if careless else test.proof
    monkeypatch.setitem(SPOKEN, service.protocol, replace(spoken, injection=InjectionTest(b"", proof)))
    endpoint = Endpoint(Origin("x"), listener.host, listener.address, listener.port, service)
    answer = Answer(InjectCommand(), 0.0)
    await Connection(endpoint, answer, Timeouts(), None).ask(dial)
    assert answer.injection, answer
    return answer.injection


def _behind(test: InjectionTest, names: Names) -> Proof:
    """The proof, behind the injected command."""
    proof = test.proof(names)

    def script(usual: Script[Injection]) -> Script[Injection]:
        yield Send(test.injected)
        return (yield from usual)

    proof._script = script(proof._script)
    return proof
