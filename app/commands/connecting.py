"""Connecting a shop of a platform that a package brings, from the command line."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from app.accounts.merchants import get_merchant
from app.commands.frame import add_command, add_merchant, with_runtime
from app.core.config import Settings
from app.core.runtime import Runtime
from app.insight import words
from app.listings.by_keys import connect_by_keys
from connectors.errors import ChannelError


def add(channel: Any) -> None:
    """channel connect."""
    help_text = "connect a shop of a package's platform; its keys as name=value lines from the input"
    connecting = add_merchant(add_command(channel, "connect", run_connect, help_text))
    connecting.add_argument("platform", help="as the package names it: `config check` shows them")
    connecting.add_argument("address", help="where the shop's API is, such as https://till.example.com")
    connecting.add_argument("--name", default="", help="what to call it; as it calls itself, if not given")


def read_pairs() -> dict[str, str]:
    """name=value lines of the input, since a shell remembers its arguments."""
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in sys.stdin) if value}


def run_connect(arguments: argparse.Namespace, settings: Settings) -> int:
    """In shadow: no number is written before a person has approved the first ones."""

    def act(runtime: Runtime) -> int:
        merchant_id = get_merchant(runtime.database, runtime.clock(), arguments.merchant).merchant_id
        where, server = (arguments.platform, arguments.address), settings.server
        origin = server.public_url or f"http://{server.host}:{server.port}"
        try:
            connect_by_keys(runtime, merchant_id, where, read_pairs(), name=arguments.name, origin=origin)
        except ChannelError as error:
            print(f"{error.reason}: {words.failure(error.reason)}", file=sys.stderr)
            return 1
        print("The shop is connected. Its products are being read; no number is written yet: docs/first-push.md.")
        return 0

    return with_runtime(settings, act)
