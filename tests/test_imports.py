"""The rule of the house: who may import whom, and which rooms touch the world outside."""

import ast
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PURE, IO = False, True


@dataclass(frozen=True, slots=True)
class Room:
    """Modules that stand at the same place in the flow of data. A name with `.*` is a package with all in it."""

    modules: tuple[str, ...]
    does_io: bool


# In the order in which data flows: a room imports what stands above it, and from itself without a circle.
ROOMS = (
    Room(("targets", "targets.services", "targets.target", "targets.answer", "targets.rules", "targets.shown"), PURE),
    Room(("targets.permutation", "targets.network", "targets.prefixes", "targets.shares"), PURE),
    Room(("targets.hostname", "targets.place", "targets.selection", "targets.row", "targets.parse"), PURE),
    Room(("targets.columns", "targets.objects", "targets.lists", "targets.masscan", "targets.nmap"), PURE),
    Room(("targets.format", "targets.splitter", "targets.reader"), PURE),
    Room(("targets.exclude", "targets.seen", "targets.mail_answer", "targets.domain_targets"), PURE),
    Room(("targets.resolving", "targets.resolving.question", "targets.resolving.reply"), PURE),
    Room(("targets.resolving.health", "targets.resolving.cache"), PURE),
    Room(("targets.resolving.limits", "targets.resolving.resolv_conf"), IO),
    Room(("targets.resolving.udp", "targets.resolving.tcp"), IO),
    Room(("targets.resolving.name_server",), IO),
    Room(("targets.resolving.servers",), IO),
    Room(("targets.archive", "targets.lines", "targets.resolver"), IO),
    Room(("targets.crowd", "targets.excluded"), PURE),
    Room(("targets.census",), IO),
    Room(("targets.mail_domain", "targets.domain_expand"), IO),
    Room(("targets.estimate", "targets.expand", "targets.source"), IO),
    Room(("scanner", "scanner.cache", "scanner.wire_text", "scanner.hint", "scanner.outcome", "scanner.limits"), PURE),
    Room(("scanner.exit_code", "scanner.about", "scanner.stopwatch"), PURE),
    Room(("scanner.histogram", "scanner.rates", "scanner.standing"), PURE),
    Room(("scanner.pace", "scanner.schedule", "scanner.spread"), PURE),
    Room(("scanner.dialogue",), PURE),
    Room(("scanner.starttls.*",), PURE),
    Room(("scanner.tls.*",), PURE),
    Room(("scanner.probes.*",), PURE),
    Room(("scanner.looks", "scanner.question", "scanner.ladder", "scanner.versions"), PURE),
    Room(("scanner.shortfall", "scanner.traffic", "scanner.state"), PURE),
    Room(("scanner.economy", "scanner.interview"), PURE),
    Room(("scanner.conclusion", "scanner.trust", "scanner.chain"), PURE),
    Room(("scanner.signs", "scanner.back_off"), PURE),
    Room(("scanner.clients", "scanner.findings", "scanner.certificate_parts"), PURE),
    Room(("scanner.mail_policy", "scanner.mail_policy.result", "scanner.mail_policy.text_record"), PURE),
    Room(("scanner.mail_policy.dane", "scanner.mail_policy.mta_sts", "scanner.mail_policy.tls_rpt"), PURE),
    Room(("scanner.mail_policy.conformance",), PURE),
    Room(("scanner.result_table", "scanner.endpoint_result", "scanner.tlsa_set", "scanner.domains"), PURE),
    Room(("scanner.domain_status", "scanner.domain_findings"), PURE),
    Room(("scanner.recorded_domain",), PURE),
    Room(("scanner.record", "scanner.domain_record", "scanner.run_record", "scanner.scribe", "scanner.summary"), PURE),
    Room(
        (
            "scanner.standard_error",
            "scanner.log",
            "scanner.vigil",
            "scanner.wires",
            "scanner.connection",
            "scanner.descriptors",
            "scanner.usage",
            "scanner.engine",
            "scanner.trust_store",
        ),
        IO,
    ),
    Room(("scanner.output", "scanner.sink"), IO),
    Room(("scanner.mail_policy.https", "scanner.mail_policy.fetch"), IO),
    Room(("scanner.config",), PURE),  # its timeouts are the connection's
    Room(("scanner.dealing", "scanner.errand"), PURE),
    Room(("scanner.metrics",), PURE),
    Room(("scanner.metrics_server",), IO),
    Room(("scanner.progress", "scanner.domain_desk"), IO),
    Room(("scanner.hello_name",), PURE),
    Room(("scanner.resume", "scanner.output_files", "scanner.new_file"), IO),
    Room(("scanner.shards",), PURE),
    Room(("scanner.shard_files", "scanner.merge"), IO),
    Room(
        (
            "scanner.pipe",
            "scanner.crew",
            "scanner.worker",
            "scanner.start_worker",
            "scanner.children",
            "scanner.workers",
        ),
        IO,
    ),
    Room(("scanner.run",), IO),
    Room(("scanner.imagined", "scanner.plan", "scanner.plan_shown"), PURE),
    Room(("scanner.refusal", "scanner.checks", "scanner.start", "scanner.dry_run"), IO),
    Room(("scanner.options.*",), PURE),
    Room(("scanner.commands.*",), PURE),
    Room(("scanner.cli",), IO),
)

# What talks to the world, by the module that has to be imported for it.
WORLDLY = {
    *("anyio", "asyncio", "fcntl", "glob", "http", "io", "multiprocessing", "pathlib", "resource", "select"),
    *(
        "httpcore",
        "selectors",
        "shutil",
        "signal",
        "socket",
        "socketserver",
        "ssl",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
    ),
    *("trio", "urllib", "dns.asyncbackend", "dns.asyncresolver", "dns.resolver"),
}
OS_WITHOUT_IO = {"urandom", "fsencode", "fsdecode"}


@dataclass(frozen=True, slots=True)
class Module:
    """A module of ours, read and not imported."""

    name: str
    tree: ast.Module

    @property
    def imports(self) -> set[str]:
        """Full names: of modules, and of what is taken from them, which may be modules too."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name} imports by a relative name"
                found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        return found

    @property
    def io(self) -> set[str]:
        """What it has that talks to the world."""
        found = {name for name in self.imports if any(f"{name}.".startswith(f"{each}.") for each in WORLDLY)}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("open", "print"):
                found.add(f"{node.func.id}()")
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
                found |= {f"os.{node.attr}"} - {f"os.{name}" for name in OS_WITHOUT_IO}
        return found | {name for name in self.imports if name.startswith("os.") and name[3:] not in OS_WITHOUT_IO}


def read_all() -> dict[str, Module]:
    """Every module of both packages."""
    modules = {}
    for path in sorted(file for package in ("targets", "scanner") for file in (ROOT / package).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        modules[name] = Module(name, ast.parse(path.read_text("utf-8")))
    return modules


MODULES = read_all()


def rank(name: str) -> int:
    """The number of a module's room; there is exactly one."""
    ranks = [
        number
        for number, room in enumerate(ROOMS)
        for each in room.modules
        if name == each.removesuffix(".*") or (each.endswith(".*") and name.startswith(each[:-1]))
    ]
    assert len(ranks) == 1, f"{name} has {len(ranks)} rooms; give it its place in ROOMS"
    return ranks[0]


def ours(module: Module) -> set[str]:
    """The modules of both packages that a module imports."""
    return module.imports & MODULES.keys()


@pytest.mark.parametrize("name", MODULES)
def test_only_what_stands_above_is_imported(name: str) -> None:
    """Data flows one way: no room imports one that comes after it."""
    own = rank(name)
    assert {each for each in ours(MODULES[name]) if rank(each) > own} == set()


def test_no_circles() -> None:
    """No module imports itself by a detour."""
    TopologicalSorter({name: ours(module) - {name} for name, module in MODULES.items()}).prepare()


def test_every_room_is_lived_in() -> None:
    """The table names nothing that is not there."""
    named = {each.removesuffix(".*") for room in ROOMS for each in room.modules}
    assert named <= MODULES.keys()


@pytest.mark.parametrize("name", [name for name in MODULES if not ROOMS[rank(name)].does_io])
def test_pure_rooms_do_no_io(name: str) -> None:
    """Whatever decides, reads or makes a record can be tested without a socket, a file or a clock."""
    assert MODULES[name].io == set()


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("targets")])
def test_targets_know_nothing_of_the_scanner(name: str) -> None:
    """Who is scanned does not depend on how."""
    assert not [each for each in MODULES[name].imports if each.split(".")[0] == "scanner"]


@pytest.mark.parametrize(("package", "other"), [("starttls", "tls"), ("tls", "starttls")])
def test_starttls_and_tls_are_strangers(package: str, other: str) -> None:
    """What comes before TLS, and TLS itself, meet in the connection only."""
    for name, module in MODULES.items():
        if name.startswith(f"scanner.{package}"):
            assert not [each for each in module.imports if f"{each}.".startswith(f"scanner.{other}.")]


@pytest.mark.parametrize(
    ("module", "rooms"),
    [
        ("socket", {"scanner.wires", "scanner.metrics_server", "targets.resolving.udp"}),
        ("time", {"scanner.engine"}),
        ("signal", {"scanner.run", "scanner.cli", "scanner.children", "scanner.worker", "scanner.workers"}),
        ("asyncio", set()),
    ],
)
def test_one_room_for_each(module: str, rooms: set[str]) -> None:
    """Sockets, the wall clock and signals have their rooms: sockets one for the scan, for the DNS, and to be asked."""
    assert {name for name, each in MODULES.items() if module in each.imports} == rooms


def test_nobody_else_asks_what_time_it_is() -> None:
    """No module asks for the date of today by another way."""
    for module in MODULES.values():
        asked = {node.attr for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
        assert not asked & {"now", "utcnow", "today"}, module.name


@pytest.mark.parametrize(
    ("source", "io"),
    [
        ("import socket", {"socket"}),
        ("from trio import Event", {"trio", "trio.Event"}),
        ("import os\nos.stat('x')", {"os.stat"}),
        ("from os import stat", {"os.stat"}),
        ("open('x')", {"open()"}),
        ("def f():\n    from pathlib import Path", {"pathlib", "pathlib.Path"}),
        ("import os\nos.urandom(8)", set()),
        ("import dns.name", set()),
        ("import ioannina", set()),
        ("import httpcore", {"httpcore"}),
    ],
)
def test_io_is_seen(source: str, io: set[str]) -> None:
    """The rule sees what it looks for, wherever in a module it stands."""
    assert Module("example", ast.parse(source)).io == io
