"""Behind the marks of what is due stands a slow full sweep: a number whose mark was lost is written all the same."""

from __future__ import annotations

import pytest

from app.publishing import sweep as sweeping
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
