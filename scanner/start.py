"""Starts a run: whom to trust, the outputs and what they hold; then the run itself, and its tables for people."""

import anyio
import structlog
from rich.console import Console

from scanner.children import forked
from scanner.config import Config
from scanner.exit_code import ExitCode
from scanner.output_files import OutputError, Outputs, open_outputs
from scanner.refusal import refuse
from scanner.resume import ResumeError
from scanner.run import Run, Watch
from scanner.standard_error import PATIENCE_S, has_room, is_terminal
from scanner.trust import TrustStore
from scanner.trust_store import TrustStoreError, read_store, system_store
from targets.target import Address

log = structlog.get_logger()


def start(config: Config) -> ExitCode:
    """Scan from the first record to the last. What cannot be used is refused before any output is touched."""
    trust = _trust_store(config.trust)
    watch = _metrics(*config.metrics) if config.metrics else None
    outputs = _open_outputs(config)
    run = Run(config, outputs.records, trust, outputs.certificates, outputs.recorded, watch, forked)
    code = anyio.run(run.scan, backend="trio")
    if config.progress and is_terminal() and has_room(PATIENCE_S):
        Console(stderr=True).print(run.summary.tables())
    return code


def _metrics(address: Address, port: int) -> Watch:
    """Take the port for them. What serves them is imported here: nobody else need wait for it."""
    from scanner.metrics_server import MetricsServer, listen

    try:
        return MetricsServer(listen(str(address), port)).serve
    except OSError as error:
        refuse(f"metrics cannot be served at {address} port {port}: {error.strerror}")


def _open_outputs(config: Config) -> Outputs:
    try:
        outputs = open_outputs(config)
    except (OutputError, ResumeError) as error:
        refuse(str(error))
    if outputs.recorded:
        log.info("going on with an earlier run", **outputs.recorded.counts)
    return outputs


def _trust_store(path: str | None) -> TrustStore | None:
    if path is None:
        store = system_store()
        if store is None:
            log.warning("no trust store found, so nobody can tell what is trusted: name one with --trust")
        return store
    try:
        return read_store(path)
    except TrustStoreError as error:
        refuse(str(error))
