"""Starts a run: whom to trust, the outputs and what they hold; then the run itself, and its tables for people."""

import anyio
import structlog
from rich.console import Console

from scanner.config import Config
from scanner.exit_code import ExitCode
from scanner.log import is_terminal
from scanner.output_files import OutputError, Outputs, open_outputs
from scanner.refusal import refuse
from scanner.resume import ResumeError
from scanner.run import Run
from scanner.trust import TrustStore
from scanner.trust_store import TrustStoreError, read_store, system_store

log = structlog.get_logger()


def start(config: Config) -> ExitCode:
    """Scan from the first record to the last. What cannot be used is refused before any output is touched."""
    trust = _trust_store(config.trust)
    outputs = _open_outputs(config)
    run = Run(config, outputs.records, trust, outputs.certificates, outputs.recorded)
    code = anyio.run(run.scan, backend="trio")
    if config.progress and is_terminal():
        Console(stderr=True).print(run.summary.tables())
    return code


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
