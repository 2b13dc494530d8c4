"""Another key for the secrets that are kept here: `rotate-keys`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from app.accounts import answers, audit
from app.accounts.merchants import list_merchants
from app.commands.frame import add_command, with_runtime
from app.core.config import Settings
from app.core.local_secrets import add_local_key
from app.core.reseal import Resealed, reseal
from app.core.runtime import Runtime
from app.inbox import receive
from app.listings import credentials, joining
from app.outbox import endpoints
from app.wiring import store_canary

PLACES = (*credentials.SEALED, *joining.SEALED, *endpoints.SEALED, *receive.SEALED, *answers.SEALED)


def add(commands: Any) -> None:
    """rotate-keys."""
    rotate = add_command(commands, "rotate-keys", run, "seal every secret here with the active key")
    rotate.add_argument(
        "--new", action="store_true", help="first step on a single machine: make a new key and activate it"
    )
    rotate.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """0: the former keys may go; 1: values are left that no key here opens."""
    if arguments.new:
        key_id = add_local_key(settings.data.dir)
        print(f"{key_id} seals what comes from now on. Restart the service, then run: python -m app rotate-keys")
        return 0
    done = with_runtime(settings, _reseal_everything)
    former = sorted(set(settings.security.keys()) - {settings.security.active_key})
    told = {
        "active": settings.security.active_key, "sealed_anew": done.former.total(), "by_former_key": dict(done.former),
        "broken": done.broken, "not_needed": [] if done.broken else former,
    }  # fmt: skip
    print(json.dumps(told) if arguments.json else _say(told))
    for line in done.broken:
        print(line, file=sys.stderr)
    return 1 if done.broken else 0


def _reseal_everything(runtime: Runtime) -> Resealed:
    total, now = Resealed(), runtime.clock()
    for merchant in list_merchants(runtime.database, now):
        done = reseal(runtime, merchant.merchant_id, PLACES)
        total.former += done.former
        total.broken += done.broken
        if done.former:
            with runtime.begin(merchant.merchant_id, runtime.clock()) as session:
                audit.note(session, None, "keys.rotated", runtime.sealer.active, after={"values": done.former.total()})
    store_canary(runtime.database, runtime.sealer, now)
    return total


def _say(told: dict[str, Any]) -> str:
    lines = [f"{told['sealed_anew']} values were sealed anew with {told['active']}."]
    if told["not_needed"]:
        keys = ", ".join(told["not_needed"])
        lines.append(f"Nothing here needs {keys} any more; backups from before do, so keep a copy where they are kept.")
    return "\n".join(lines)
