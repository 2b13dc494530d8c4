"""Keeping the books: closing months, cost that comes after its goods, and making anew what is derived."""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from app.commands.frame import (
    COMMAND_LINE,
    add_command,
    add_group,
    add_merchant,
    chosen_merchants,
    with_merchant,
    with_runtime,
)
from app.core.config import Settings
from app.core.db import Session
from app.core.runtime import Runtime
from app.ledger import period
from app.ledger.by_hand import add_cost
from app.ledger.models import Account, Adjustment
from app.ledger.rebuild import Difference, rebuild

# Who is owed, by what the paper is.
OWED = {"bill": Account.GOODS_RECEIVED, "freight": Account.LANDED_COST}
EARLIEST = date(2000, 1, 1)
ID_MAX = 2**63 - 1


def add(commands: Any) -> None:
    """month list and close, cost add, rebuild."""
    month = add_group(commands, "month", "accounting months")
    add_merchant(add_command(month, "list", run_list, "months, whether they are closed, and what they closed with"))
    close = add_merchant(add_command(month, "close", run_close, "close a month for good: what comes late is booked on "
                                     "the first day that is open"))  # fmt: skip
    close.add_argument("month", type=_month, metavar="YYYY-MM")
    cost = add_group(commands, "cost", "what goods cost")
    late = add_merchant(add_command(cost, "add", run_add_cost, "cost of a receipt that comes after its goods, split "
                                    "between what is left and what was sold"))  # fmt: skip
    late.add_argument("receipt", type=_receipt, help="its movement's number, as the API's movements tell it")
    late.add_argument("amount", type=_amount, help="in the merchant's currency; a credit note's is negative")
    late.add_argument("--key", required=True, help="what names the paper once, such as its number: again does nothing")
    late.add_argument("--as", dest="paper", choices=tuple(OWED), default="bill", help="whom it is owed to (bill)")
    late.add_argument("--on", type=_day, metavar="DAY", help="its day, such as 2026-11-20 (today)")
    add_merchant(add_command(commands, "rebuild", run_rebuild, "make levels and costs anew from movements and journal, "
                             "and tell what differed"))  # fmt: skip


def _month(text: str) -> date:
    return _parsed(text, "%Y-%m", "a month such as 2026-10")


def _day(text: str) -> date:
    return _parsed(text, "%Y-%m-%d", "a day such as 2026-11-20")


def _parsed(text: str, form: str, wanted: str) -> date:
    try:
        day = datetime.strptime(text, form).replace(tzinfo=UTC).date()
    except ValueError:
        raise argparse.ArgumentTypeError(wanted) from None
    if day.strftime(form) != text or day < EARLIEST:
        raise argparse.ArgumentTypeError(wanted)
    return day


def _receipt(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(ID_MAX)) and 1 <= int(text) <= ID_MAX):
        raise argparse.ArgumentTypeError("the number of a movement")
    return int(text)


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError("an amount such as 12.50") from None


def run_list(arguments: argparse.Namespace, settings: Settings) -> int:
    """One line each, columns by tab."""

    def show(session: Session) -> int:
        for month in period.list_months(session):
            closed = "open" if month.closed_at is None else f"closed {month.closed_at:%Y-%m-%d}"
            print(f"{month.month:%Y-%m}", closed, _money(month.inventory_value), _money(month.cogs), sep="\t")
        return 0

    return with_merchant(arguments, settings, show)


def _money(amount: Decimal | None) -> str:
    return "-" if amount is None else f"{amount:f}"


def run_close(arguments: argparse.Namespace, settings: Settings) -> int:
    """What it closed with."""

    def act(session: Session) -> int:
        value, cogs = period.close(session, arguments.month)
        currency = period.get_merchant(session).currency
        print(f"{arguments.month:%Y-%m} is closed: stock {value:f} {currency}, cost of goods sold {cogs:f} {currency}")
        return 0

    return with_merchant(arguments, settings, act)


def run_add_cost(arguments: argparse.Namespace, settings: Settings) -> int:
    """Booked once under its key."""

    def act(session: Session) -> int:
        at = session.now if arguments.on is None else _within(session, arguments.on)
        late = Adjustment(arguments.receipt, arguments.amount, OWED[arguments.paper], COMMAND_LINE, arguments.key, at)
        print("booked" if add_cost(session, late) else "it was booked before: nothing was done")
        return 0

    return with_merchant(arguments, settings, act)


def _within(session: Session, day: date) -> datetime:
    """An instant of the local day: now if it is today, else its last."""
    zone = period.get_merchant(session).time_zone
    return session.now if day == session.now.astimezone(zone).date() else period.end_of_day(day, zone)


def run_rebuild(arguments: argparse.Namespace, settings: Settings) -> int:
    """For the merchant, or for all of them, each in a transaction of its own."""

    def act(runtime: Runtime) -> int:
        now = runtime.clock()
        for merchant in chosen_merchants(runtime, now, arguments.merchant):
            with runtime.begin(merchant.merchant_id, now) as session:
                rebuilt = rebuild(session)
            for difference in rebuilt.differences:
                print(f"{merchant.name}: {_line(difference)}")
            more = rebuilt.wrong - len(rebuilt.differences)
            if more:
                print(f"{merchant.name}: and {more} more")
            print(f"{merchant.name}: {rebuilt.items} items made anew, {rebuilt.wrong or 'nothing'} differed")
        return 0

    return with_runtime(settings, act)


def _line(difference: Difference) -> str:
    where = f"{difference.sku} at {difference.place}" if difference.place else difference.sku
    line = f"{where}: {difference.what} was {difference.stored}, is {difference.right}"
    return "".join(c if c.isprintable() else "\ufffd" for c in line)
