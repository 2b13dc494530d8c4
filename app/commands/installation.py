"""This installation: its backup, its configuration, its owner's password."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.commands.frame import add_command, add_group, read_password, stop_embedded
from app.core.backup import backup, restore
from app.core.config import Settings
from app.core.embedded import Embedded
from app.core.local_secrets import store_owner_password_hash
from app.core.passwords import hash_password
from app.wiring import embedded_of, find_connectors


def add(commands: Any) -> None:
    """backup, restore, config check, owner set-password."""
    for name, run in (("backup", run_backup), ("restore", run_restore)):
        add_command(commands, name, run, f"{name} the embedded database").add_argument("file", type=Path)
    config = add_group(commands, "config", "configuration")
    add_command(config, "check", run_config_check, "read the configuration, find the connectors, list every fault")
    owner = add_group(commands, "owner", "the one owner of this installation")
    add_command(owner, "set-password", run_set_password, "set the password that opens the pages from elsewhere")


def run_backup(arguments: argparse.Namespace, settings: Settings) -> int:
    """The embedded database as one file; the data folder's secrets are not in it."""
    return _with_embedded(settings, lambda embedded: backup(embedded, arguments.file), "written")


def run_restore(arguments: argparse.Namespace, settings: Settings) -> int:
    """A backup into an embedded database that is empty."""
    return _with_embedded(settings, lambda embedded: restore(embedded, arguments.file), "restored")


def _with_embedded(settings: Settings, act: Callable[[Embedded], object], done: str) -> int:
    embedded = embedded_of(settings)
    if embedded is None:
        print("Your own database is yours to back up, with its own pg_dump.", file=sys.stderr)
        return 2
    started = embedded.ensure()
    try:
        act(embedded)
    finally:
        stop_embedded(embedded, started=started)
    print(f"The backup is {done}.")
    return 0


def run_config_check(arguments: argparse.Namespace, settings: Settings) -> int:
    """Coming to an end is the answer: faults end in `main`."""
    platforms = ", ".join(sorted(find_connectors(settings)))
    print(f"The configuration is fine. Platforms: {platforms}.")
    return 0


def run_set_password(arguments: argparse.Namespace, settings: Settings) -> int:
    """Store only the hash."""
    password = read_password("New owner password: ")
    if password is None:
        return 2
    store_owner_password_hash(settings.data.dir, hash_password(password))
    print("The owner password is set.")
    return 0
