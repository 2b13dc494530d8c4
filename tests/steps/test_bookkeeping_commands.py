"""The commands that keep books as a person uses them: closing months, late cost, making anew what is derived."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.accounts.audit import list_entries
from app.cli import build_parser
from app.core.db import connect
from app.core.embedded import APP_ROLE, OWNER_ROLE, Embedded
from app.core.errors import InvalidInput
from app.core.migrate import migrate
from app.insight.words import DEEDS
from app.ledger.by_hand import add_cost
from app.ledger.models import Account, Adjustment, KeyConflict
from tests.shell import app
from tests.world import World

NOW = datetime.now(UTC)
LAST_MONTH = NOW.replace(day=1) - timedelta(days=3)
MONTH = f"{LAST_MONTH:%Y-%m}"


@dataclass(frozen=True)
class Books:
    """A data folder with a merchant that bought and sold last month."""

    data: Path
    world: World
    receipt: int


@pytest.fixture(scope="module")
def books() -> Iterator[Books]:
    with tempfile.TemporaryDirectory(prefix="perpetual-cli-", ignore_cleanup_errors=True) as folder:
        path = Path(folder)
        path.chmod(0o755)
        embedded = Embedded(path)
        embedded.ensure()
        migrate(embedded.url(OWNER_ROLE))
        database = connect(embedded.url(APP_ROLE))
        world = World.make(database, NOW, "shop", "fifo")
        receipt = world.move("mug", 10, "supplier > available@A", "100", occurred_at=LAST_MONTH)
        world.move("mug", 4, "available@A > customer", occurred_at=LAST_MONTH)
        yield Books(path, world, receipt)
        database.close()
        embedded.stop()


def deeds(world: World) -> list[tuple[str, str]]:
    with world.session() as session:
        return [(entry.action, entry.subject) for entry in list_entries(session, None, limit=20)]


def test_a_month_is_closed_once_with_its_figures_and_is_listed_and_told_of(books: Books) -> None:
    assert app(books.data, "month", "list").stdout == f"{MONTH}\topen\t-\t-\n"
    done = app(books.data, "month", "close", MONTH)
    assert done.stdout == f"{MONTH} is closed: stock 60.0000 USD, cost of goods sold 40.0000 USD\n"
    for month, reason in ((MONTH, "month_closed"), (f"{NOW + timedelta(days=40):%Y-%m}", "month_not_over")):
        refused = app(books.data, "month", "close", month)
        assert (refused.returncode, reason in refused.stderr) == (2, True)
    listed = app(books.data, "month", "list").stdout.rstrip("\n").split("\t")
    assert (listed[0], listed[1][:7], listed[2:]) == (MONTH, "closed ", ["60.0000", "40.0000"])
    assert ("month.closed", MONTH) in deeds(books.world)


@pytest.mark.parametrize(("arguments", "said"), [
    *((("month", "close", month), "a month such as 2026-10")
      for month in ("2026-13", "2026-1", "202611", "october", "2026-11-01", "0001-01", "")),
    (("cost", "add", "2", "five", "--key", "k"), "an amount such as 12.50"),
    (("cost", "add", "2", "5", "--key", "k", "--on", "2026-02-30"), "a day such as 2026-11-20"),
    (("cost", "add", "2", "5"), "--key"),
    (("cost", "add", "99999999999999999999", "5", "--key", "k"), "the number of a movement"),
    (("cost", "add", "mug", "5", "--key", "k"), "the number of a movement"),
])  # fmt: skip
def test_what_is_no_month_day_amount_or_number_is_refused_with_an_example(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(SystemExit) as refused:
        build_parser().parse_args(arguments)
    assert refused.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("wrong", "reason"), [
    ({"amount": Decimal("5.00001")}, "bad_amount"), ({"amount": Decimal(0)}, "bad_amount"),
    ({"amount": Decimal("sNaN")}, "bad_amount"), ({"amount": Decimal("-1e400")}, "bad_amount"),
    ({"source_key": ""}, "bad_key"), ({"source_key": "a\nb"}, "bad_key"), ({"source_key": "k" * 201}, "bad_key"),
    ({"occurred_at": datetime(2999, 1, 1, tzinfo=UTC)}, "in_the_future"), ({"movement_id": 2**62}, "unknown_receipt"),
])  # fmt: skip
def test_late_cost_that_can_not_be_is_refused_with_its_reason(world: World, wrong: dict[str, Any], reason: str) -> None:
    receipt = world.move("mug", 10, "supplier > available@A", "100")
    bill = Adjustment(receipt, Decimal(5), Account.GOODS_RECEIVED, "bill", "k", world.now)
    with pytest.raises(InvalidInput) as refused, world.session() as session:
        add_cost(session, replace(bill, **wrong))
    assert refused.value.reason == reason
    assert world.worth("mug") == (10, 100)


def test_the_same_key_with_another_amount_is_refused(world: World) -> None:
    receipt = world.move("mug", 10, "supplier > available@A", "100")
    bill = Adjustment(receipt, Decimal(5), Account.GOODS_RECEIVED, "bill", "k", world.now)
    with world.session() as session:
        assert add_cost(session, bill)
        assert not add_cost(session, bill)
    with pytest.raises(KeyConflict), world.session() as session:
        add_cost(session, replace(bill, amount=Decimal(6)))


def test_late_cost_is_booked_once_under_its_key_and_split(books: Books) -> None:
    before = books.world.balance("cost_of_goods_sold")
    added = ("cost", "add", str(books.receipt), "5", "--key", "invoice 7", "--on", f"{LAST_MONTH:%Y-%m-%d}")
    assert app(books.data, *added).stdout == "booked\n"
    assert app(books.data, *added).stdout == "it was booked before: nothing was done\n"
    assert books.world.balance("cost_of_goods_sold") - before == 2
    assert books.world.balance("goods_received_not_invoiced") == -105
    credit = app(books.data, "cost", "add", str(books.receipt), "-0.5", "--key", "credit 7", "--as", "freight")
    assert credit.stdout == "booked\n", credit.stderr
    assert books.world.balance("landed_cost_clearing") == Decimal("0.5")
    assert ("cost.added", f"movement {books.receipt}") in deeds(books.world)
    assert books.world.verify() == []


def test_a_rebuild_says_what_had_been_wrong_and_mends_it(books: Books) -> None:
    assert app(books.data, "rebuild").stdout == "shop: 1 items made anew, nothing differed\n"
    with books.world.session() as session:
        session.run("update level set available = 7 where merchant_id = %(merchant_id)s")
    mended = app(books.data, "rebuild", "--merchant", "shop")
    assert mended.stdout.splitlines() == [
        "shop: mug at A: available was 7, is 6",
        "shop: 1 items made anew, 1 differed",
    ]
    assert books.world.verify() == []
    assert {action for action, _ in deeds(books.world)} <= DEEDS.keys()
