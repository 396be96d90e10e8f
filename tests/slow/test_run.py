"""Whole runs by the real command, in a process of its own: from the first record to the last, and its exit status."""

import bz2
import fcntl
import gzip
import json
import os
import pty
import signal
import socket
import ssl
import struct
import termios
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from tests.peers import honest
from tests.peers.command import FAST, TLSWEEP, WITHIN_S, Done, Running, records_of, scan, tlsweep
from tests.peers.nameserver import name_server
from tests.peers.scripted import Talk, closed, serving, smtp
from tests.peers.tls_server import TlsServer, smtp_inside

IMPATIENT = ("--timeout-greeting", "0.2", "--timeout-tls", "0.2")  # for servers that keep silent
NOTHING = {"read": 0, "blank": 0, "expanded": 0, "rejected": 0}


async def silent(talk: Talk) -> None:
    """Says nothing."""
    await talk.silence()


async def slow(talk: Talk) -> None:
    """Takes half a second for its greeting, and is honest."""
    await trio.sleep(0.5)
    await smtp(talk, until="tls")
    await talk.let_speak(TlsServer(smtp_inside))


async def test_lines_of_every_kind(tmp_path: Path) -> None:
    """Every line is counted as what became of it, and a line that names nothing does not spoil the run."""
    place = closed().place
    path = tmp_path / "targets.txt"
    path.write_bytes(
        b"# a comment\n\n"
        + f"smtp://{place}\r\n".encode()
        + b"not a host!\n\xff\xfe\n"
        + f"smtp://{place}\n".encode()  # again
        + b"smtp://192.168.1.1\n"
        + b"smtp://127.46.1.0/30"  # and no newline
    )
    done = await scan("--input", str(path), "--services", "smtp")
    assert done.code == 0
    assert done.end["complete"]
    assert done.end["lines"] == {"read": 8, "blank": 2, "expanded": 2, "rejected": 4}
    assert done.end["rejected"] == {"invalid": 2, "duplicate": 1, "blocked": 1}
    assert [record["line"] for record in done.rejected] == [4, 5, 6, 7]
    assert sorted((record["line"], record["address"]) for record in done.endpoints) == [
        (3, "127.46.0.0"),
        *((8, f"127.46.1.{number}") for number in range(4)),
    ]
    assert done.end["connections"] == 5
    assert done.end["endpoints"]["status"] == {"unreachable": 5}


@pytest.mark.parametrize("arguments", [("--input", "/dev/null"), ("--input", "-")])
async def test_an_empty_input(arguments: tuple[str, ...]) -> None:
    """Nothing in the input is a complete run of nothing."""
    done = await scan(*arguments)
    assert (done.code, done.end["complete"], done.end["lines"]) == (0, True, NOTHING)
    assert len(done.records) == 2


async def test_bad_lines_only() -> None:
    """A run whose every line is rejected is complete."""
    done = await scan("--input", "-", stdin=b"!\n?\n")
    assert (done.code, done.end["complete"], done.end["lines"]["rejected"]) == (0, True, 2)


async def test_an_input_that_is_no_text() -> None:
    """What was found out too late for the command line ends the run as unusable, with a closing record."""
    done = await scan("--input", "-", stdin=bz2.compress(b"127.46.0.1\n"))
    assert (done.code, done.end["complete"]) == (2, False)
    assert "it is packed (bzip2)" in done.errors


async def test_an_archive_that_is_cut_off() -> None:
    """What is there is scanned, and then the run ends as unusable."""
    done = await scan("--input", "-", stdin=gzip.compress(b"!\n" * 5)[:-4])
    assert (done.code, done.end["complete"], done.end["lines"]["rejected"]) == (2, False, 5)
    assert "the gzip data are cut off" in done.errors


async def test_the_seed_is_in_the_record() -> None:
    """The order of a run can be had again: its seed is in its first record, also where chance chose it."""
    seeds = [(await scan("10.0.0.0/8")).records[0]["seed"] for _ in range(2)]
    assert seeds[0] != seeds[1]
    assert (await scan("10.0.0.0/8", "--seed", "7")).records[0]["seed"] == 7


async def test_a_count_of_more_than_64_bits() -> None:
    """What no reader of JSON can hold is said in words."""
    done = await scan("2001:db8::/32", "--ipv6-most", "5")
    (blocked,) = (each for each in done.records if each["type"] == "rejected")
    assert (blocked["reason"], blocked["count"]) == ("blocked", None)
    assert f"{2**96:,} addresses of it are blocked" in blocked["detail"]


async def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    """A path of any bytes can be read, and named in a record."""
    path = os.fsencode(tmp_path) + b"/\xff.txt"
    with open(path, "wb") as file:  # noqa: ASYNC230
        file.write(b"# nothing\n")
    done = await scan("--input", os.fsdecode(path))
    assert (done.code, done.end["lines"]["blank"]) == (0, 1)
    assert done.records[0]["settings"]["inputs"][0].endswith(r"\xff.txt")


async def test_the_first_record_says_what_was_asked() -> None:
    """Settings, versions and our own name stand in the first record."""
    done = await scan(
        *("--input", "-", "--hello-name", "scan.example.test", "--resolver", "127.53.0.9"),
        *("--versions", "1.2,1.3", "--connections", "9"),
    )
    start = done.records[0]
    assert (start["event"], start["hello_name"]) == ("start", "scan.example.test")
    assert start["settings"]["versions"] == ["TLSv1.2", "TLSv1.3"]
    assert start["settings"]["limits"]["connections"] == 9
    assert start["run_id"] == done.end["run_id"]


async def test_addresses_that_are_not_scanned(tmp_path: Path) -> None:
    """Special-purpose ranges and the block list are refused, and nothing is sent to them."""
    block = tmp_path / "block.txt"
    block.write_text("# mine\n127.44.0.0/31 # two\n")
    async with serving({"listed": silent, "listed too": silent, "free": silent}) as servers:
        places = [f"smtp://{server.place}" for server in servers.values()]
        port = servers["listed"].port
        mapped = f"smtp://[::ffff:127.44.0.0]:{port}"
        options = ("--exclude", str(block), "--allow", "::ffff:0:0/96", *IMPATIENT)
        done = await scan(*places, mapped, "10.0.0.1", "::1", *options)
    assert [record["address"] for record in done.endpoints] == ["127.44.0.2"]
    assert [(record["reason"], record["address"]) for record in done.rejected] == [
        ("blocked", address) for address in ("127.44.0.0", "127.44.0.1", "::ffff:7f2c:0", "10.0.0.1", "::1")
    ]
    assert [server.connections for server in servers.values()] == [0, 0, 1]
    assert done.code == 0
    assert done.records[0]["settings"]["exclude"] == [str(block)]


async def test_loopback_is_not_scanned_unless_asked() -> None:
    """Without --allow, our own machine is left alone."""
    async with serving({"here": silent}) as servers:
        done = await tlsweep("scan", f"smtp://{servers['here'].place}", "--no-progress")
        assert servers["here"].connections == 0
    assert (done.code, done.end["rejected"]) == (0, {"blocked": 1})


# --- whom to trust ----------------------------------------------------------------------------------------------------

AUTHORITY, STRANGER = trustme.CA(), trustme.CA()
NO_SYSTEM = "export SSL_CERT_FILE=/nonexistent.pem SSL_CERT_DIR="


async def certificates_of(tmp_path: Path, *options: str, shell: str = "true") -> tuple[Done, list[dict[str, Any]]]:
    """Scan a server of ours under the name in its certificate, under another one, and under none."""
    pem = AUTHORITY.issue_cert("mx.example.org").private_key_and_cert_chain_pem.bytes()
    tls = honest.context(pem, str(tmp_path / "leaf.pem"), ssl.TLSVersion.TLSv1_2)
    async with honest.serving([honest.Honest("http", "127.46.7.1", tls, implicit=True)]) as (port,):
        hosts = ("mx.example.org", "other.example.org", "")
        lines = "".join(f"{host},127.46.7.1,{port},https\n" for host in hosts)
        targets = f"host,address,port,service\n{lines}".encode()
        done = await scan("--input", "-", "--versions", "1.3", *options, stdin=targets, shell=shell)
    assert done.code == 0
    return done, [record["certificate"] for record in sorted(done.endpoints, key=lambda record: int(record["line"]))]


async def test_trust_by_a_file(tmp_path: Path) -> None:
    """With --trust, the authorities of that file are trusted, and no others; the run record says so."""
    for authority, trusted in ((AUTHORITY, True), (STRANGER, False)):
        path = tmp_path / "ca.pem"
        path.write_bytes(authority.cert_pem.bytes())
        done, certificates = await certificates_of(tmp_path, "--trust", str(path))
        assert [(each["trusted"], each["name_matches"]) for each in certificates] == [
            (trusted, True),
            (trusted, False),
            (trusted, None),
        ]
        untrusted = [] if trusted else ["certificate-not-trusted"]
        expected = [untrusted, ["certificate-host-mismatch", *untrusted], untrusted]
        assert [each["results"] for each in certificates] == expected
        assert {each["trust_error"] for each in certificates} == {None if trusted else "issuer_unknown"}
        found = [{finding["id"] for finding in record["findings"]} for record in done.endpoints]
        assert sorted(map(sorted, found)) == sorted(map(sorted, expected))
        start = done.records[0]
        assert start["settings"]["trust"] == str(path)
        assert start["trust_store"] == {"sources": [str(path)], "certificates": 1}
        assert not done.errors


async def test_trust_by_the_system(tmp_path: Path) -> None:
    """Without --trust, the system's authorities are trusted."""
    path = tmp_path / "system.pem"
    path.write_bytes(AUTHORITY.cert_pem.bytes() + STRANGER.cert_pem.bytes())
    done, certificates = await certificates_of(tmp_path, shell=f"export SSL_CERT_FILE={path} SSL_CERT_DIR=")
    assert {each["trusted"] for each in certificates} == {True}
    assert done.records[0]["settings"]["trust"] == "system"
    assert done.records[0]["trust_store"] == {"sources": [str(path)], "certificates": 2}


async def test_a_system_without_a_trust_store(tmp_path: Path) -> None:
    """Then nobody is called untrusted: trust is unknown, the log says so once, and so does the run record."""
    done, certificates = await certificates_of(tmp_path, shell=NO_SYSTEM)
    assert {each["trusted"] for each in certificates} == {None}
    assert [each["results"] for each in certificates] == [[], ["certificate-host-mismatch"], []]
    assert done.records[0]["trust_store"] is None
    assert done.errors.count("no trust store found") == 1
    assert "--trust" in done.errors


# --- the output -------------------------------------------------------------------------------------------------------


async def test_an_output_file(tmp_path: Path) -> None:
    """With --output, the records go there, and standard output stays empty."""
    path = tmp_path / "out.jsonl"
    path.write_text("from an earlier run\n")
    done = await scan("--input", "-", "--output", str(path))
    assert (done.code, done.output) == (0, b"")
    assert len(records_of(path.read_bytes())) == 2


@pytest.mark.parametrize("lines", [b"!\n", b"!\n" * 100_000])
async def test_a_full_disk(lines: bytes) -> None:
    """An output that takes no more stops the run, and says why."""
    done = await scan("--input", "-", "--output", "/dev/full", stdin=lines)
    assert done.code == 3
    assert "the output cannot be written: No space left on device" in done.errors
    assert "Traceback" not in done.errors


async def test_a_reader_that_has_enough() -> None:
    """`| head -1` ends a run whose input never ends."""
    command = f"yes '!' | {TLSWEEP} scan --no-progress -i - | head -1; echo ${{PIPESTATUS[1]}} >&2"
    with trio.fail_after(WITHIN_S):
        done = await trio.run_process(["bash", "-c", command], capture_stdout=True, capture_stderr=True)
    assert [record["event"] for record in records_of(done.stdout)] == ["start"]
    assert done.stderr.decode().strip().endswith("\n3")
    assert b"the reader of the output has gone" in done.stderr
    assert b"Traceback" not in done.stderr


# --- signals ----------------------------------------------------------------------------------------------------------


@contextmanager
def handing_down(number: int, handler: signal.Handlers) -> Iterator[None]:
    """What a process has for a signal that is started meanwhile."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_pipe_that_never_ends_and_a_signal(number: int) -> None:
    """Targets are scanned as they come; a signal ends the intake, and what is in flight is finished."""
    options = ("--input", "-", "--versions", "1.2")
    with handing_down(signal.SIGHUP, signal.SIG_DFL):  # the tests themselves may run behind nohup
        async with serving({"slow": slow}) as servers, Running(*options) as running:
            await running.say(f"smtp://{closed().place}\n!\n".encode())
            await running.read_until(b'"invalid"')
            await running.read_until(b'"unreachable"')
            await running.say(f"smtp://{servers['slow'].place}\n".encode())
            await servers["slow"].visited.wait()
            running.process.send_signal(number)
            done = await running.done()
    assert done.code == 3
    assert not done.end["complete"]
    assert {record["address"]: record["status"] for record in done.endpoints} == {
        "127.46.0.0": "unreachable",
        "127.44.0.0": "tls",
    }
    assert done.end["lines"] == {"read": 3, "blank": 0, "expanded": 2, "rejected": 1}
    assert done.end["endpoints"]["unfinished"] == 0
    assert done.errors.count("stopping") == 1


async def test_behind_nohup_a_terminal_may_go() -> None:
    """The scan goes on as if nothing had been."""
    with handing_down(signal.SIGHUP, signal.SIG_IGN):
        async with Running("--input", "-") as running:
            await running.say(f"smtp://{closed().place}\n".encode())
            await running.read_until(b'"unreachable"')
            running.process.send_signal(signal.SIGHUP)
            await running.say(f"smtp://{closed(1).place}\n".encode())
            assert running.process.stdin
            await running.process.stdin.aclose()
            done = await running.done()
    assert done.code == 0
    assert done.end["complete"]
    assert len(done.endpoints) == 2


async def busy(talk: Talk) -> None:
    """Too many connections, says an SMTP server."""
    await talk.say(b"421 4.7.0 mx.example.test Error: too many connections\r\n")


async def test_a_signal_while_endpoints_wait_for_a_later_look() -> None:
    """What is known of them is written at once, and a busy server's refusal is no "no"."""
    async with serving({"busy": busy}) as servers:
        target = f"smtp://{servers['busy'].place}"
        async with Running(target, "--input", "-", "--retries", "1", "--versions", "1.2") as running:
            await servers["busy"].visited.wait()
            await running.say(f"smtp://{closed().place}\n".encode())
            await running.read_until(b'"unreachable"')
            running.process.send_signal(signal.SIGINT)
            began = trio.current_time()
            done = await running.done()
            assert trio.current_time() - began < 5
    assert done.code == 3
    (waited,) = [record for record in done.endpoints if record["starttls"]["verdict"] == "rate_limited"]
    assert (waited["status"], len(waited["looks"]), waited["connections"]) == ("inconclusive", 1, 1)
    assert (done.end["endpoints"]["unfinished"], done.end["endpoints"]["given_up"]) == (0, 1)
    assert (done.end["answered"], done.end["errors"]) == (
        0,
        {"connect": {"refused": 1}, "greeting": {"rate_limited": 1}},
    )
    assert done.records[0]["settings"]["retries"] == 1


async def test_a_signal_drops_what_has_not_begun() -> None:
    """Endpoints that wait for their turn have no record, and are counted."""
    async with serving({"slow": slow}) as servers:
        port = servers["slow"].port
        targets = (f"smtp://127.44.0.0:{port}", f"smtp://127.46.0.0/24:{port}")
        async with Running(*targets, "--connections", "1", "--versions", "1.2") as running:
            await servers["slow"].visited.wait()
            running.process.send_signal(signal.SIGINT)
            done = await running.done()
    assert done.code == 3
    assert [record["address"] for record in done.endpoints] == ["127.44.0.0"]
    assert done.end["endpoints"]["taken"] == 257
    assert done.end["endpoints"]["unfinished"] == 256


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_ends_at_once(number: int) -> None:
    """A second signal cuts the connections; every line is whole, and the last one says that it is not complete."""
    async with serving({"silent": silent}) as servers:
        arguments = ("--input", "-", "--timeout-greeting", "30")
        async with Running(*arguments) as running:
            await running.say(f"smtp://{closed().place}\nsmtp://{servers['silent'].place}\n".encode())
            await servers["silent"].visited.wait()
            running.process.send_signal(number)
            await running.read_errors_until(b"stopping")
            began = trio.current_time()
            running.process.send_signal(number)
            done = await running.done()
            assert trio.current_time() - began < 5
    assert done.code == 3
    assert not done.end["complete"]
    assert [record["status"] for record in done.endpoints] == ["unreachable"]
    assert done.end["endpoints"]["unfinished"] == 1
    assert done.end["errors"] == {"connect": {"refused": 1}, "greeting": {"cut_off": 1}}


async def test_a_second_signal_with_a_reader_that_has_stalled() -> None:
    """When nobody reads the output, a second signal still ends the run, and with whole lines."""
    async with Running("--input", "-") as running, trio.open_nursery() as nursery:
        nursery.start_soon(running.feed, b"!\n" * 1_000_000)
        await running.read_until(b'"invalid"')
        await trio.sleep(0.3)  # for the pipe to fill
        running.process.send_signal(signal.SIGINT)
        await running.read_errors_until(b"stopping")
        began = trio.current_time()
        running.process.send_signal(signal.SIGINT)
        with trio.fail_after(WITHIN_S):
            await running.process.wait()
        assert trio.current_time() - began < 5
        done = await running.done()
        nursery.cancel_scope.cancel()
    assert done.code == 3
    assert len(done.records) > 10


async def test_a_signal_while_the_last_records_are_written() -> None:
    """A run that is over, but for a reader that has stalled, has ten seconds after one signal, and one after two."""
    async with Running("--input", "-") as running:
        await running.say(b"!\n" * 2_000)
        assert running.process.stdin
        await running.process.stdin.aclose()
        await running.read_until(b'"invalid"')
        await trio.sleep(0.3)
        running.process.send_signal(signal.SIGTERM)
        with trio.move_on_after(1.5) as patience:
            await running.process.wait()
        assert patience.cancelled_caught
        running.process.send_signal(signal.SIGTERM)
        with trio.fail_after(5):
            await running.process.wait()
        done = await running.done()
    assert done.code == 3
    assert done.records[0]["event"] == "start"


# --- descriptors ------------------------------------------------------------------------------------------------------


async def _everywhere(stack: AsyncExitStack) -> int:
    """A silent server on every address of this machine; its port."""
    nursery = await stack.enter_async_context(trio.open_nursery())
    stack.callback(nursery.cancel_scope.cancel)
    (listener,) = await trio.open_tcp_listeners(0, host="0.0.0.0")

    async def handle(stream: trio.SocketStream) -> None:
        while await stream.receive_some():
            pass

    nursery.start_soon(trio.serve_listeners, handle, [listener])
    port: int = listener.socket.getsockname()[1]
    return port


async def test_few_descriptors() -> None:
    """With `ulimit -n 80` fewer connections are open at once, which is said once; no server is blamed for it."""
    async with AsyncExitStack() as stack:
        port = await _everywhere(stack)
        target = f"smtp://127.48.0.0/26:{port}"
        done = await scan(target, *IMPATIENT, "--log-format", "json", shell="ulimit -n 80")
    warnings = [json.loads(line) for line in done.errors.splitlines()]
    assert [(line["level"], line["asked"], line["possible"]) for line in warnings] == [("warning", 1000, 36)]
    assert done.records[0]["settings"]["limits"]["connections"] == 36
    assert done.code == 0
    assert {record["starttls"]["verdict"] for record in done.endpoints} == {"timeout"}
    assert len(done.endpoints) == 64


async def test_names_with_few_descriptors() -> None:
    """Names are resolved within `ulimit -n` as well: none is called unknown for our own lack of descriptors."""
    names = [f"mx{number}.example.test" for number in range(100)]
    async with name_server({name: {"A": ["127.46.0.9"]} for name in names}) as server:
        done = await scan(
            *("--input", "-", "--services", "smtp", "--versions", "1.2", "--resolver", f"127.0.0.1:{server.port}"),
            stdin="\n".join(names).encode(),
            shell="ulimit -n 80",
        )
    assert done.end["rejected"] == {}
    assert done.end["endpoints"]["status"] == {"unreachable": 100}


async def test_no_descriptors() -> None:
    """Where descriptors run out all the same, that is our own limit: `error`, and not the server's fault."""
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(55)]
    try:
        async with AsyncExitStack() as stack:
            port = await _everywhere(stack)
            done = await scan(
                f"smtp://127.48.0.0/26:{port}",
                *IMPATIENT,
                shell=f"ulimit -n {max(held) + 15}",
                pass_fds=held,
            )
    finally:
        for each in held:
            os.close(each)
    ends = {(record["status"], record["starttls"]["verdict"], record["starttls"]["cause"]) for record in done.endpoints}
    assert ends == {("error", "local_limitation", "no_descriptors"), ("inconclusive", "timeout", "timeout")}
    assert (done.code, len(done.endpoints)) == (0, 64)


# --- people -----------------------------------------------------------------------------------------------------------


async def rude(talk: Talk) -> None:
    """Tries to clear the screen of whoever scans it."""
    await talk.say(b"220 \x1b[2J\x1b]0;owned\x07 ESMTP\r\n")
    await trio.sleep(1.2)
    await talk.say(b"\x1b[2J\r\n")


async def test_progress_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal there are live lines, and a table at the end; nothing from the wire gets there raw."""
    terminal, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
    path = tmp_path / "out.jsonl"
    shown = b""
    async with serving({"rude": rude}) as servers:
        options = [option for option in FAST if option != "--no-progress"]
        targets = [f"smtp://{servers['rude'].place}", f"https://{closed().place}"]
        process = await trio.lowlevel.open_process(
            [TLSWEEP, "scan", *options, "--timeout-reply", "3", *targets, "--output", str(path)], stderr=theirs
        )
        os.close(theirs)
        with trio.fail_after(WITHIN_S):
            for _ in count():
                try:
                    shown += await trio.to_thread.run_sync(os.read, terminal, 65_536)
                except OSError:  # the other end is closed
                    break
            code = await process.wait()
        os.close(terminal)
    assert code == 0
    assert b"1 in flight" in shown
    assert b"1 of 2 done" in shown
    assert b"connect refused 1" in shown
    assert b"unreachable 1" in shown
    assert b"Endpoints" in shown
    for line in (b"\x1b[2J", b"owned", b"\x07"):
        assert line not in shown
    (record,) = [each for each in records_of(path.read_bytes()) if each.get("service") == "smtp"]
    assert "\\x1b[2J" in record["starttls"]["text"]


async def test_progress_without_a_terminal_is_quiet() -> None:
    """Where standard error is no terminal, a short run says nothing at all."""
    done = await tlsweep("scan", "--allow", "127.0.0.0/8", f"smtp://{closed().place}")
    assert (done.code, done.errors) == (0, "")


async def test_logs_as_json() -> None:
    """With --log-format json every line on standard error is JSON."""
    with closing(socket.create_server(("127.0.0.1", 0))):
        done = await scan("--input", "-", "--log-format", "json", "--output", "/dev/full", stdin=b"!\n")
    (line,) = [json.loads(line) for line in done.errors.splitlines()]
    assert line["level"] == "error"
    assert line["event"].startswith("the output cannot be written")
    assert line["timestamp"].endswith("Z")
