"""`--dry-run`: reads what a scan would read, sends nothing, and tells what the scan would be."""

import json
import sys

import anyio
import typer

from scanner.checks import read_block_list
from scanner.config import Config, shown_path
from scanner.descriptors import fit_to_descriptors
from scanner.exit_code import ExitCode
from scanner.plan import Plan
from scanner.plan_shown import sentences
from scanner.refusal import refuse
from targets.census import Census, take_census
from targets.exclude import Exclusions
from targets.excluded import Excluders
from targets.lines import InputError


def show_plan(config: Config) -> ExitCode:
    """Print it: in sentences on a terminal, as one JSON object elsewhere, as a scan's records are."""
    lists = {f"the block list {shown_path(path)}": read_block_list(path) for path in config.exclude}
    exclusions = Exclusions(config.allow, config.block)
    census = Census(exclusions, Excluders(config.allow, lists), config.rules.ipv6_most, config.share)
    try:
        anyio.run(take_census, census, config.services, config.targets, config.inputs, config.rules, backend="trio")
    except InputError as error:
        refuse(str(error))
    plan = Plan(census, config, fit_to_descriptors(config.limits, 0))
    if sys.stdout.isatty():
        typer.echo("\n".join(sentences(plan)))
    else:
        typer.echo(json.dumps(plan.record()))  # an IPv6 network has more addresses than orjson takes
    return ExitCode.COMPLETE
