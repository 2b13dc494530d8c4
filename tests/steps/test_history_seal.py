"""Row 58: history that was changed in spite of grants and triggers is found out by its seals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal

import pytest
import sqlalchemy

from app.core.db import Session
from app.core.embedded import OWNER_ROLE, Embedded
from app.ledger import seal
from app.ledger.models import Purchase
from app.ledger.seal import SEALED_AFTER, find_head, seal_history
from app.worker import housekeeping
from tests.street import Street
from tests.world import World

HISTORY = ("movement", "journal", "cost_adjustment", "movement_purchase", "history_seal")
EUROS = Purchase(Decimal(10), "EUR", Decimal("1.3"), date(2026, 11, 20))


@pytest.fixture
def owner(server: Embedded) -> Iterator[Callable[[str, World], int]]:
    """The database's owner with triggers off."""
    engine = sqlalchemy.create_engine(server.url(OWNER_ROLE), poolclass=sqlalchemy.NullPool)

    def rewrite(sql: str, world: World) -> int:
        with engine.begin() as connection:
            for table in HISTORY:
                connection.exec_driver_sql(f"alter table {table} disable trigger append_only")
            changed = connection.exec_driver_sql(sql, {"m": world.merchant_id}).rowcount
            for table in HISTORY:
                connection.exec_driver_sql(f"alter table {table} enable trigger append_only")
        return changed

    yield rewrite
    engine.dispose()


def trade(world: World, sku: str = "mug", number: int = 6) -> None:
    """Goods come in, are sold, also before they come, and come back."""
    world.move(sku, 10, "supplier > available@A", "50")
    for _ in range(number):
        world.move(sku, 2, "available@A > customer")
    world.move(sku, 5, "supplier > available@A", "35")  # settles what was sold before it came


def sealed(world: World) -> int:
    world.now += SEALED_AFTER + timedelta(seconds=1)
    with world.session() as session:
        return seal_history(session)


def broken(world: World) -> list[str]:
    return [finding.place for finding in world.verify() if finding.check == "sealed_history_was_changed"]


def test_history_is_sealed_an_hour_later_once_and_what_is_added_gets_the_next_seal(world: World) -> None:
    trade(world)
    with world.session() as session:
        assert seal_history(session) == 0
    assert sealed(world) == 1
    assert sealed(world) == 0
    with world.session() as session:
        first = find_head(session)
    trade(world, "cup")
    assert sealed(world) == 1
    with world.session() as session:
        second = find_head(session)
    assert first is not None
    assert second is not None
    assert (second.number, second.last_id > first.last_id, second.hash != first.hash) == (2, True, True)
    assert world.verify() == []


def test_what_is_booked_on_old_postings_later_is_added_and_breaks_no_seal(world: World) -> None:
    world.move("mug", 2, "available@A > customer")  # sold before it came
    assert sealed(world) == 1
    world.move("mug", 5, "supplier > available@A", "35")
    assert sealed(world) == 1
    assert world.verify() == []


@pytest.mark.parametrize(
    "deed",
    [
        "update movement set quantity = quantity + 1 where merchant_id = %(m)s and movement_id = {first}",
        "update movement set occurred_at = occurred_at - interval '1 day' where merchant_id = %(m)s "
        "and movement_id = {first}",
        "update journal set amount = amount + 0.0001 where merchant_id = %(m)s and posting_id = {first}",
        "update movement_purchase set rate_on = rate_on - 1 where merchant_id = %(m)s and movement_id = "
        "(select min(movement_id) from movement_purchase where merchant_id = %(m)s)",
        "delete from movement where merchant_id = %(m)s and movement_id = {first}",
        "delete from journal where merchant_id = %(m)s and posting_id = {first} and line = "
        "(select max(line) from journal where merchant_id = %(m)s and posting_id = {first})",
        "insert into journal select merchant_id, posting_id, line + 100, item_id, debit, credit, 0, provisional, "
        "corrects_posting_id, posted_on, recorded_at from journal where merchant_id = %(m)s "
        "and posting_id = {first} limit 1",
        "update history_seal set hash = sha256('') where merchant_id = %(m)s and number = 1",
        "delete from history_seal where merchant_id = %(m)s and number = 1",
    ],
)
def test_row_58_a_row_that_the_owner_changed_takes_out_or_puts_in_is_found_and_the_seal_named(
    world: World, other: World, owner: Callable[[str, World], int], deed: str
) -> None:
    for one in (world, other):
        one.move("mug", 1, "supplier > available@A", "13", purchase=EUROS)
        trade(one)
        assert sealed(one) == 1
        trade(one, "cup")
        assert sealed(one) == 1
    assert broken(world) == []
    with world.session() as session:
        first = session.value("select min(movement_id) from movement where merchant_id = %(merchant_id)s")
    assert owner(deed.format(first=first), world) == 1
    found = broken(world)
    assert found
    assert found[0].startswith("seal 2" if "delete from history_seal" in deed else "seal 1, postings 1 to ")
    assert broken(other) == []


def test_the_application_may_make_a_seal_and_never_change_one_row_58(world: World) -> None:
    trade(world)
    sealed(world)
    for deed in ("update history_seal set rows = 0", "delete from history_seal", "truncate history_seal"):
        with pytest.raises(Exception, match="permission denied"), world.session() as session:
            session.run(f"{deed} -- merchant_id")


def test_a_long_history_gets_many_seals_and_a_posting_that_is_young_ends_the_sealing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal, "SEAL_MAX", 3)
    trade(world, number=8)
    world.now += SEALED_AFTER
    world.move("mug", 1, "supplier > available@A", "7")
    world.now += timedelta(seconds=1)

    def count(session: Session) -> int:
        rows: int = session.value(
            """select count(*) from movement where merchant_id = %(merchant_id)s and movement_id <=
               (select max(last_id) from history_seal where merchant_id = %(merchant_id)s)"""
        )
        return rows

    with world.session() as session:
        assert seal_history(session) == 4
        assert count(session) == 10
    assert world.verify() == []


def test_the_worker_seals_what_is_old_enough(street: Street) -> None:
    trade(street.world)
    street.world.now += SEALED_AFTER + timedelta(seconds=1)
    assert housekeeping(street.runtime)
    with street.world.session() as session:
        assert find_head(session) is not None
