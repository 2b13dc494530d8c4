"""Cases: what a person should look at, and deciding about numbers that nothing explains."""

from __future__ import annotations

import argparse
from typing import Any

from app.commands.frame import add_command, add_group, add_merchant, with_merchant
from app.core.config import Settings
from app.core.db import Session
from app.listings.cases import CaseFile, dismiss, list_cases
from app.publishing.decisions import decide

BY = "command line"


def add(commands: Any) -> None:
    """case list, decide and dismiss."""
    case = add_group(commands, "case", "what a person should look at")
    listing = add_merchant(add_command(case, "list", run_list, "open cases, the latest first"))
    listing.add_argument("--all", action="store_true", help="the closed ones too, with how they ended")
    deciding = add_merchant(add_command(case, "decide", run_decide, "say which number is right"))
    deciding.add_argument("case", type=int, help="its number")
    deciding.add_argument("which", choices=("ledger", "channel"), help="ledger: ours is written again; channel: "
                          "the ledger is adjusted by the difference")  # fmt: skip
    over = add_merchant(add_command(case, "dismiss", run_dismiss, "a case that was seen to"))
    over.add_argument("case", type=int, help="its number")


def run_list(arguments: argparse.Namespace, settings: Settings) -> int:
    """One line each, columns by tab."""

    def show(session: Session) -> int:
        for case in list_cases(session, None if arguments.all else "open"):
            print(_line(case))
        return 0

    return with_merchant(arguments, settings, show)


def run_decide(arguments: argparse.Namespace, settings: Settings) -> int:
    """The number is written, or the ledger adjusted, and writing goes on."""

    def act(session: Session) -> int:
        decide(session, arguments.case, arguments.which, BY)
        right = "The ledger is right: its number is written again."
        print(right if arguments.which == "ledger" else "The channel is right: the ledger is adjusted.")
        return 0

    return with_merchant(arguments, settings, act)


def run_dismiss(arguments: argparse.Namespace, settings: Settings) -> int:
    """Closed without doing anything."""

    def act(session: Session) -> int:
        dismiss(session, arguments.case, BY)
        return 0

    return with_merchant(arguments, settings, act)


def _line(case: CaseFile) -> str:
    state = "asks" if case.asks else case.state
    cells = [
        str(case.case_id), state, f"{case.opened_at:%Y-%m-%d %H:%M}", case.channel or "-", case.kind, case.cause or "-",
        case.sku or case.subject, case.decided_by or "-", case.detail,
    ]  # fmt: skip
    return "\t".join("".join(c if c.isprintable() else "\ufffd" for c in cell) for cell in cells)
