"""What is looked at before a run begins: can its inputs be read, and would its outputs destroy nothing?"""

import os
import stat
import sys

from scanner.config import STDOUT, Config
from scanner.refusal import refuse
from targets.exclude import BlockListError, block_list
from targets.lines import STDIN, InputError, check_readable
from targets.parse import Parser
from targets.target import IPNetwork, Rejection


def check_inputs(config: Config) -> None:
    """Refuse what names nothing, and what cannot be read."""
    if not config.targets and not config.inputs:
        refuse("nothing to scan: name a TARGET, or --input FILE (- is standard input)")
    if config.inputs.count(STDIN) > 1:
        refuse("standard input can be read only once")
    parser = Parser(config.services, config.rules)
    for target in config.targets:
        match parser.parse(os.fsencode(target)):
            case Rejection(origin=origin, detail=detail):
                refuse(f"{origin.input}: {detail}")
            case None:
                refuse(f"{target!r} names nothing to scan")
    try:
        check_readable(config.inputs)
    except InputError as error:
        refuse(str(error))


def check_outputs(config: Config) -> None:
    """Refuse to overwrite what is read, or to write two things to one place."""
    for path in filter(None, (*config.inputs, *config.exclude, config.trust)):
        if path != STDIN and config.output != STDOUT and _are_the_same(path, config.output):
            refuse(f"{config.output}: the output would overwrite {path}")
        if path != STDIN and config.certificates is not None and _are_the_same(path, config.certificates):
            refuse(f"{config.certificates}: the certificates would overwrite {path}")
    for option, is_given in (("--resume", config.resume), ("--rotate", config.rotate_bytes is not None)):
        if is_given and not _is_a_file(config.output):
            refuse(f"{option} needs a file: name one with --output")
        if is_given and config.certificates is not None and not _is_a_file(config.certificates):
            refuse(f"{option} needs a file: {config.certificates} is none")
    if config.certificates == STDOUT:
        refuse("--certificates needs a file: standard output is for the records")
    if config.certificates is not None and _is_the_output(config.certificates, config.output):
        refuse(f"{config.certificates}: the certificates and the records need a file each")


def _is_a_file(path: str) -> bool:
    """Or will it be one?"""
    return path != STDOUT and (not os.path.exists(path) or stat.S_ISREG(os.stat(path).st_mode))


def _is_the_output(path: str, output: str) -> bool:
    """Is it the same file, or the same pipe? A device, such as /dev/null, may be named twice."""
    if output != STDOUT and os.path.realpath(path) == os.path.realpath(output):
        return not os.path.exists(path) or not stat.S_ISCHR(os.stat(path).st_mode)
    if not os.path.exists(path) or (output != STDOUT and not os.path.exists(output)):
        return False
    if output == STDOUT and sys.stdout is None:
        return False
    ours, theirs = os.stat(path), os.fstat(sys.stdout.fileno()) if output == STDOUT else os.stat(output)
    return os.path.samestat(ours, theirs) and not stat.S_ISCHR(ours.st_mode)


def _are_the_same(path: str, output: str) -> bool:
    return os.path.exists(output) and stat.S_ISREG(os.stat(output).st_mode) and os.path.samefile(path, output)


def read_block_list(path: str) -> list[IPNetwork]:
    """The networks of a `--exclude`."""
    try:
        with open(path, "rb") as lines:
            return block_list(lines, path)
    except BlockListError as error:
        refuse(str(error))
    except OSError as error:
        refuse(f"{path}: {error.strerror}")
