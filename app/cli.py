"""The command line: `python -m app COMMAND`. Each command is a few lines over the capability that does it.

Exit codes: 0 fine, 1 the answer is no (verify found something), 2 wrong use or configuration.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from app.commands import (
    accounts,
    bookkeeping,
    books,
    cases,
    catalogue,
    channels,
    installation,
    listings,
    processes,
    proofs,
    reading,
    sealing,
    setup,
)
from app.commands.frame import Command
from app.core.config import load_settings
from app.core.errors import ConfigError, PerpetualError
from app.core.log import configure

# In the order of the help.
SUBJECTS = (
    processes, books, bookkeeping, catalogue, listings, reading, channels, cases, setup, accounts, installation,
    sealing, proofs,
)  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    try:
        _tell_children(arguments)
        settings = load_settings(config=arguments.config, data_dir=_data_dir(arguments), environ=os.environ)
        configure(settings.log.format, settings.log.level)
        command: Command = arguments.run
        code = command(arguments, settings)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read the lines has enough of them, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except PerpetualError as error:
        print(f"{error.reason}: {error.detail}", file=sys.stderr)
        return 2


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="python -m app", description="Perpetual keeps one stock ledger and every channel equal to it."
    )
    parser.set_defaults(default_data=None)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for subject in SUBJECTS:
        subject.add(commands)
    return parser


def _data_dir(arguments: argparse.Namespace) -> Path | None:
    """`--data`; else a command's own folder, unless the environment names one: the demo never works on the real data
    that a file names. None: as the file says, or the default."""
    given: Path | None = arguments.data
    if given is not None or "PERPETUAL_DATA__DIR" in os.environ:
        return given
    own: Path | None = arguments.default_data
    return own


def _tell_children(arguments: argparse.Namespace) -> None:
    """Processes that this one starts read the same file, wherever they are started."""
    if arguments.config is not None:
        os.environ["PERPETUAL_CONFIG"] = str(arguments.config.resolve())
