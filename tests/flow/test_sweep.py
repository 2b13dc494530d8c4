"""Behind the marks of what is due stands a slow full sweep: a number whose mark was lost is written all the same."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.publishing import sweep as sweeping
from app.publishing.attempts import KEEP, prune_attempts
from app.publishing.sweep import sweep
from tests.street import Street

OPENING = "opening > available@A"


def lose_marks(street: Street) -> None:
    with street.world.session() as session:
        session.run("delete from due_listing where merchant_id = %(merchant_id)s")


def test_a_number_whose_mark_was_lost_is_found_and_written_by_the_sweep(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "PAGE", 1)
    for sku in ("mug", "bowl", "cup"):
        street.world.move(sku, 10, OPENING, "50")
    shopify = street.open_shopify({"mug": 10, "bowl": 10, "cup": 10})
    street.settle(10)
    for sku in ("mug", "cup"):
        street.world.move(sku, 2, "available@A > shrinkage")
    lose_marks(street)
    street.settle(60)
    assert shopify.shown() == {"mug": 10, "bowl": 10, "cup": 10}  # nothing else knows of it
    street.live(street.runtime.settings.sync.sweep_interval_s)
    street.settle(10)
    assert shopify.shown() == {"mug": 8, "bowl": 10, "cup": 8}


def test_where_every_mark_is_there_the_sweep_marks_nothing_and_of_nobody_else(street: Street) -> None:
    for sku in ("mug", "bowl"):
        street.world.move(sku, 10, OPENING, "50")
    shopify, woo = street.open_shopify({"mug": 10, "bowl": 10}), street.open_woo({"mug": 10, "bowl": 10})
    street.settle(10)
    street.world.move("mug", 2, "available@A > shrinkage")
    channel = street.channel_of(shopify)
    assert sweep(street.runtime, street.world.merchant_id, channel) == 0  # it is due already
    lose_marks(street)
    assert sweep(street.runtime, street.world.merchant_id, channel) == 1
    street.settle(10)
    assert (shopify.shown()["mug"], woo.shown()["mug"]) == (8, 10)


def test_attempts_that_are_old_are_dropped_and_one_that_nobody_knows_the_end_of_is_kept(street: Street) -> None:
    street.world.move("mug", 5, "opening > available@A", "25")
    street.open_woo({"mug": 5})
    street.settle(10)
    for _ in range(3):
        street.world.move("mug", 1, "available@A > shrinkage")
        street.settle(5)
    with street.world.session() as session:
        first = session.value("select min(attempt_id) from push_attempt where merchant_id = %(merchant_id)s")
        session.run("update stock_owner set unclear_attempt_id = %(id)s where merchant_id = %(merchant_id)s", id=first)
    with street.world.session() as session:
        assert prune_attempts(session) == 0
    street.world.now += KEEP + timedelta(seconds=60)
    with street.world.session() as session:
        assert prune_attempts(session) == 2
        left = "select array_agg(attempt_id) from push_row where merchant_id = %(merchant_id)s"
        assert session.value(left) == [first]
