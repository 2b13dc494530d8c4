"""Right after an import nobody has counted the rows yet: what goes over all of a shop, or takes away what is due, must
not take the square of their number then."""

from __future__ import annotations

from app.core.db import Session
from app.listings import matching, opening
from app.publishing.due import mark_due, settle_due
from tests.street import Street

DUE, SETTLED = 2_000, 100


def fetched(session: Session, table: str) -> int:
    """Rows of a table that this transaction has fetched so far."""
    rows: int = session.value(
        """select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint
           from pg_stat_xact_user_tables where relname = %(table)s""",
        table=table,
    )
    return rows


def test_taking_away_some_of_what_is_due_reads_just_that_however_much_is_due(street: Street) -> None:
    street.world.move("mug", 10, "opening > available@A", "50")
    shopify = street.open_shopify({"mug": 10})
    street.settle()
    channel = street.channel_of(shopify)
    with street.world.session() as session:
        owner = session.value("select min(owner_id) from stock_owner where merchant_id = %(merchant_id)s")
        mark_due(session, channel, [owner] * DUE)
    with street.world.session() as session:
        ids = session.value(
            """select array_agg(due_id) from (select due_id from due_listing where merchant_id = %(merchant_id)s
                                              order by due_id limit %(n)s) d""",
            n=SETTLED,
        )
        before = fetched(session, "due_listing")
        settle_due(session, channel, list(ids))
        assert fetched(session, "due_listing") - before <= 3 * SETTLED
        left = session.value("select count(*) from due_listing where merchant_id = %(merchant_id)s")
    assert left == DUE - SETTLED


def plan_of(session: Session, sql: str, **params: object) -> str:
    return "\n".join(row[0] for row in session.rows(f"explain {sql}", **params))


def test_what_goes_over_all_of_a_shop_is_never_joined_one_by_one(street: Street) -> None:
    shopify = street.open_shopify({"mug": 10})
    channel = street.channel_of(shopify)
    asked = {"channel": channel, "now": street.world.now, "shop_costs": True, "after": None, "upto": None}
    with street.world.session() as session:
        assert "Nested Loop" in plan_of(session, matching._PROPOSE, **asked)  # as a few rows would be
        with session.over_all():
            for sql in (matching._PROPOSE, matching._TWICE, opening._SUMMARY, opening._COMPARE, opening._EXAMPLES):
                plan = plan_of(session, sql, **asked)
                assert "Nested Loop" not in plan
        assert "Nested Loop" in plan_of(session, matching._PROPOSE, **asked)
