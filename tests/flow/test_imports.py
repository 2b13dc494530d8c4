"""First imports and back-fills: from a file that the channel prepares, or page by page; a kill costs one page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from app.inbox import backfill
from app.listings.importing import Import, cancel_import, list_imports, request_import
from connectors.errors import Refused
from connectors.shopify import Shopify
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop
from tests.street import Street

OPENING = "opening > available@A"


class Killed(BaseException):
    """The process is gone."""


def imports(street: Street) -> list[Import]:
    with street.world.session() as session:
        return list(list_imports(session))


def listings(street: Street) -> int:
    with street.world.session() as session:
        count: int = session.value("select count(*) from listing where merchant_id = %(merchant_id)s")
    return count


def large(street: Street, monkeypatch: pytest.MonkeyPatch, count: int = 130) -> PretendShopify:
    """A shop whose catalogue is worth a file, read in pages of 20."""
    monkeypatch.setattr("connectors.shopify.bulk.PAGE_OBJECTS", 20)
    small = Shopify.abilities.__class__(**{**_fields(Shopify.abilities), "exports_from": 100})
    monkeypatch.setattr(Shopify, "abilities", small)
    return street.open_shopify({f"S{n:03}": n for n in range(count)})


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def test_a_large_catalogue_is_imported_by_the_worker_from_one_file(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = large(street, monkeypatch)
    assert listings(street) == 0
    street.settle(60)
    (job,) = imports(street)
    assert (job.state, job.objects, job.stored, job.last_error) == ("done", 260, 130, None)
    assert listings(street) == 130
    assert len(shop.bulk.operations) == len(shop.bulk.fetched) == 1
    street.settle(60)
    assert len(shop.bulk.operations) == 1  # and it is not asked for again


def test_a_small_catalogue_is_read_in_pages_while_the_shop_is_connected(street: Street) -> None:
    shop = street.open_shopify({f"S{n}": n for n in range(30)})
    assert (listings(street), imports(street), shop.bulk.operations) == (30, [], [])


@pytest.mark.parametrize("dies_at", [1, 3, 7])
def test_after_a_kill_the_same_file_is_read_on_and_no_stored_page_is_fetched_again(
    street: Street, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    shop = large(street, monkeypatch)
    store, pages = backfill.import_entries, []

    def mortal(session: Any, channel_id: int, entries: Any, **given: Any) -> Any:
        pages.append([entry.sku for entry in entries])
        if len(pages) == dies_at:
            raise Killed
        return store(session, channel_id, entries, **given)

    monkeypatch.setattr(backfill, "import_entries", mortal)
    with pytest.raises(Killed):
        street.settle(60)
    assert listings(street) == 20 * (dies_at - 1)
    street.world.now += timedelta(seconds=street.settings.sync.attempt_deadline_s + 1)
    street.settle(60)
    assert listings(street) == 130
    assert imports(street)[0].stored == 130
    assert len(shop.bulk.operations) == 1
    assert len(pages) == 8  # seven, and the one it died at again
    assert len({sku for page in pages for sku in page}) == 130
    assert shop.bulk.fetched[-1].headers["range"] != "bytes=0-" or dies_at == 1


def test_a_kill_right_after_the_start_does_not_start_a_second_file(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = large(street, monkeypatch)
    run, died = shop.bulk.run_query, []

    def answer_lost(*args: Any, **kwargs: Any) -> Any:
        answer = run(*args, **kwargs)
        died.append(answer)
        return answer

    monkeypatch.setitem(shop.endpoint.root, "bulkOperationRunQuery", answer_lost)  # type: ignore[arg-type]
    note = backfill._Work.note

    def mortal(work: Any, state: str, **changed: Any) -> None:
        if state == "exporting" and len(died) == 1 and not changed.get("objects"):
            died.append("killed")
            raise Killed
        note(work, state, **changed)

    monkeypatch.setattr(backfill._Work, "note", mortal)
    with pytest.raises(Killed):
        street.settle(60)
    street.world.now += timedelta(seconds=street.settings.sync.attempt_deadline_s + 1)
    street.settle(60)
    assert (listings(street), len(shop.bulk.operations)) == (130, 1)


def _fails(shop: PretendShopify) -> None:
    shop.bulk.next_error = "INTERNAL_SERVER_ERROR"


def _is_partial(shop: PretendShopify) -> None:
    shop.bulk.next_error, shop.bulk.next_partial = "TIMEOUT", True


def _is_cut(shop: PretendShopify) -> None:
    shop.bulk.spoil = lambda body: body[: len(body) // 2]


def _is_a_page(shop: PretendShopify) -> None:
    shop.bulk.spoil = lambda body: b"<html>" + body


def _lies_elsewhere(shop: PretendShopify) -> None:
    shop.bulk.host = "https://evil.example"


@pytest.mark.parametrize("fault", [_fails, _is_partial, _is_cut, _is_a_page, _lies_elsewhere])
def test_whatever_becomes_of_the_file_the_catalogue_is_imported_whole(
    street: Street, monkeypatch: pytest.MonkeyPatch, fault: Callable[[PretendShopify], None]
) -> None:
    shop = large(street, monkeypatch)
    fault(shop)
    street.settle(90)
    assert (imports(street)[0].state, listings(street)) == ("done", 130)


def test_files_that_keep_failing_are_asked_for_three_times_and_then_pages_are_read(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = large(street, monkeypatch)
    run = shop.bulk.run_query

    def failing(*args: Any, **kwargs: Any) -> Any:
        shop.bulk.next_error = "TIMEOUT"
        return run(*args, **kwargs)

    monkeypatch.setitem(shop.endpoint.root, "bulkOperationRunQuery", failing)  # type: ignore[arg-type]
    street.settle(300, rounds_max=2_000)
    assert (imports(street)[0].state, listings(street), len(shop.bulk.operations)) == ("done", 130, 3)


def test_a_busy_shop_is_waited_for(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = large(street, monkeypatch)
    shop.bulk.at_once_max = 0
    street.settle(100, rounds_max=2_000)
    assert (imports(street)[0].state, listings(street)) == ("waiting", 0)
    shop.bulk.at_once_max = 1
    street.settle(400, rounds_max=4_000)
    assert (imports(street)[0].state, listings(street)) == ("done", 130)


def sell_while_away(street: Street, shop: PretendShopify | WooShop) -> None:
    """Orders of twenty days that nobody heard or read, one a day, some of them shipped."""
    street.heard = lambda posted: False
    for day in range(20):
        order = shop.place_order([("mug", 1)])
        if day % 5 == 0 and isinstance(shop, PretendShopify):
            shop.fulfill(str(order))
        street.world.now += timedelta(days=1)
    street.deliver()
    street.heard = lambda posted: True


@pytest.mark.parametrize("few", [13, 14])
def test_what_happened_while_nobody_read_for_weeks_is_made_up_for_from_a_file_unless_it_is_little(
    street: Street, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(backfill, "FEW", few)
    street.world.move("mug", 100, OPENING, "500")
    shop = street.open_shopify({"mug": 100})
    street.settle(1)
    sell_while_away(street, shop)
    street.settle(120, rounds_max=2_000)
    job = imports(street)[-1]
    assert (job.what, job.state, job.stored) == ("orders", "done", 14)
    assert any("ExportOrders" in operation.query for operation in shop.bulk.operations) is (few < 14)
    assert street.world.available("mug") == 80
    assert street.world.level("mug")["committed"] == 16
    assert shop.shown()["mug"] == 80
    assert street.world.verify() == []


def test_a_list_that_the_shop_refuses_does_not_keep_the_weeks_from_being_read(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(work: Any, window: Any) -> bool:
        raise Refused("window_too_large", "more than a search reaches")

    monkeypatch.setattr(backfill, "_read_few", refused)
    street.world.move("mug", 100, OPENING, "500")
    shop = street.open_shopify({"mug": 100})
    street.settle(1)
    sell_while_away(street, shop)
    street.settle(120, rounds_max=2_000)
    job = imports(street)[-1]
    assert (job.what, job.state, job.stored) == ("orders", "done", 14)
    assert street.world.available("mug") == 80


def test_without_files_the_weeks_are_read_a_day_at_a_time_and_a_kill_costs_a_day(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    street.world.move("mug", 100, OPENING, "500")
    shop = street.open_woo({"mug": 100})
    street.settle(1)
    sell_while_away(street, shop)
    page, days = backfill._page_orders, []

    def mortal(work: Any, window: Any) -> None:
        days.append(window.since)
        if len(days) == 6:
            raise Killed
        page(work, window)

    monkeypatch.setattr(backfill, "_page_orders", mortal)
    with pytest.raises(Killed):
        street.settle(120, rounds_max=2_000)
    street.world.now += timedelta(seconds=street.settings.sync.attempt_deadline_s + 1)
    street.settle(120, rounds_max=2_000)
    assert imports(street)[0].state == "done"
    assert len(days) == len(set(days)) + 1
    assert street.world.available("mug") == 80
    assert shop.shown()["mug"] == 80


def test_a_back_fill_of_what_is_known_already_changes_nothing(street: Street) -> None:
    street.world.move("mug", 100, OPENING, "500")
    shop = street.open_shopify({"mug": 100})
    for _ in range(10):
        shop.place_order([("mug", 1)])
    street.settle(90)
    with street.world.session() as session:
        since, until = street.world.now - timedelta(days=1), street.world.now
        request_import(session, street.channel_of(shop), "orders", since=since, until=until)
    street.settle(60)
    with street.world.session() as session:
        told = session.value(
            "select count(*) from inbox where merchant_id = %(merchant_id)s and topic = 'import' and reason is null"
        )
    assert (imports(street)[0].stored, told) == (10, 0)
    assert street.world.available("mug") == 90


def test_a_catalogue_that_can_not_be_had_in_any_way_is_a_case_and_not_an_endless_try(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = large(street, monkeypatch)
    _is_cut(shop)
    monkeypatch.setattr("connectors.shopify.catalogue.VARIANTS_IN_ALL_MAX", 1)
    street.settle(90)
    (job,) = imports(street)
    assert (job.state, job.last_error) == ("failed", "catalogue_too_large")
    assert street.cases() == ["import_failed"]


def test_an_import_says_how_much_is_done_how_fast_it_goes_and_how_long_it_will_take(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(street, monkeypatch)
    store = backfill.import_entries

    def slow(session: Any, channel_id: int, entries: Any, **given: Any) -> Any:
        street.world.now += timedelta(seconds=40)  # a call ends after a minute: the rest comes with the next
        return store(session, channel_id, entries, **given)

    monkeypatch.setattr(backfill, "import_entries", slow)
    told = []
    for _ in range(200):
        street.worker.step()
        street.world.now += timedelta(seconds=1)
        told += imports(street)
        if told[-1].state == "done":
            break
    half = next(job for job in told if job.state == "reading" and job.stored)
    assert (half.stored, half.expected) == (40, 130)
    assert half.share == pytest.approx(40 / 130, abs=0.05)
    assert half.per_s == pytest.approx(1.0, abs=0.05)  # the second piece began after 40 seconds
    assert half.eta_s == pytest.approx(90, abs=15)
    assert (told[-1].share, told[-1].eta_s, told[-1].stored) == (1.0, None, 130)


def test_a_stopped_import_reads_no_further_piece_and_keeps_what_it_has(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = large(street, monkeypatch)
    store, pages = backfill.import_entries, []

    def stopped(session: Any, channel_id: int, entries: Any, **given: Any) -> Any:
        pages.append(len(entries))
        if len(pages) == 2:
            with street.world.session() as other:
                assert cancel_import(other, channel_id, "catalogue")
        return store(session, channel_id, entries, **given)

    monkeypatch.setattr(backfill, "import_entries", stopped)
    street.settle(60)
    (job,) = imports(street)
    assert (job.state, job.stored, listings(street), len(pages)) == ("canceled", 20, 20, 2)
    with street.world.session() as session:
        assert not cancel_import(session, street.channel_of(shop), "catalogue")
        request_import(session, street.channel_of(shop), "catalogue", since=session.now, until=session.now)
    street.settle(60)
    assert ([job.state for job in imports(street)], listings(street)) == (["done"], 130)
