"""What every command is made of: a parser with the options they all share, and the database it runs against.

A command is a function of its arguments and the settings that returns the exit code: 0 fine, 1 the answer is no,
2 wrong use. What it raises as a PerpetualError is said and ends in 2.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from getpass import getpass, getuser
from pathlib import Path
from typing import Any, TypeVar

from app.accounts.merchants import MerchantRow, get_merchant, list_merchants
from app.core.config import Settings
from app.core.db import Session
from app.core.embedded import Embedded
from app.core.runtime import Runtime
from app.wiring import build, embedded_of, prepare

Command = Callable[[argparse.Namespace, Settings], int]
Answer = TypeVar("Answer")
COMMAND_LINE = "command line"  # who acts, in the audit log


def add_command(commands: Any, name: str, run: Command, help_text: str) -> argparse.ArgumentParser:
    """A command with the options all have; `run` is what it does."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help_text, description=help_text)
    parser.add_argument("--config", type=Path, help="TOML file (default: config.toml if it exists)")
    parser.add_argument("--data", type=Path, help="folder of the database and state (default: the file's, or var/data)")
    parser.set_defaults(run=run)
    return parser


def add_group(commands: Any, name: str, help_text: str) -> Any:
    """A word with commands below it, such as `items` with `items import`; pass it as their `commands`."""
    return commands.add_parser(name, help=help_text).add_subparsers(required=True, metavar="WHAT")


def add_merchant(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The option of a command that works for one merchant."""
    parser.add_argument("--merchant", help="which merchant, where there are several")
    return parser


def with_runtime(settings: Settings, act: Callable[[Runtime], Answer]) -> Answer:
    """Run one command against the database; an embedded server that was not running is stopped again."""
    started = prepare(settings)
    runtime = replace(build(settings), acting=(COMMAND_LINE, getuser()))
    try:
        return act(runtime)
    finally:
        runtime.database.close()
        stop_embedded(embedded_of(settings), started=started)


def with_merchant(arguments: argparse.Namespace, settings: Settings, act: Callable[[Session], Answer]) -> Answer:
    """Run one command in one transaction of the merchant that `--merchant` names, or of the only one."""

    def inside(runtime: Runtime) -> Answer:
        now = runtime.clock()
        merchant = get_merchant(runtime.database, now, arguments.merchant)
        with runtime.begin(merchant.merchant_id, now) as session:
            return act(session)

    return with_runtime(settings, inside)


def chosen_merchants(runtime: Runtime, now: datetime, name: str | None) -> Sequence[MerchantRow]:
    """The merchant of that name, or all of them. Raises NotFound."""
    return list_merchants(runtime.database, now) if name is None else [get_merchant(runtime.database, now, name)]


def read_password(prompt: str) -> str | None:
    """Ask twice, or read one line when piped; None, and said so, when the two differ."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass(prompt)
    if getpass("Again: ") != password:
        print("The two differ; nothing was changed.", file=sys.stderr)
        return None
    return password


def stop_embedded(embedded: Embedded | None, *, started: bool) -> None:
    """Stop the embedded server if this command started it."""
    if embedded is not None and started:
        embedded.stop()
