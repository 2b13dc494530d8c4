"""A catalogue that is read in pages goes on at the page that it was at, and tells how long it will take."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.inbox import backfill
from app.listings.importing import Import, list_imports, request_import
from connectors.errors import Transient
from sandbox.woocommerce import WooShop
from tests.street import Street

PAGES = 5


class Killed(BaseException):
    """The process is gone."""


def import_of(street: Street) -> Import:
    with street.world.session() as session:
        (job,) = list_imports(session)
    return job


@pytest.fixture
def paged(street: Street) -> WooShop:
    """A shop whose catalogue is read in five pages, of which each takes a second; asked for once more."""
    shop = street.open_woo({f"S{number:03}": 3 for number in range(100 * PAGES - 20)})
    street.settle()
    with street.world.session() as session:
        now = session.now
        request_import(session, street.channel_of(shop), "catalogue", since=now, until=now)
    return shop


def pages_read(street: Street, shop: WooShop) -> list[int]:
    calls = street.adapters[street.channel_of(shop)].calls
    asked = [dict(call.query) for call in calls if call.path.endswith("/wc/v3/products")]
    return [int(query["page"]) for query in asked if "page" in query]


def breaking_at(monkeypatch: pytest.MonkeyPatch, street: Street, page: int, error: BaseException) -> None:
    """The storing of a page comes to nothing, once."""
    store, stored = backfill._store_page, []

    def mortal(work: Any, told: Any) -> None:
        street.world.now += timedelta(seconds=1)
        stored.append(told)
        if len(stored) == page:
            raise error
        store(work, told)

    monkeypatch.setattr(backfill, "_store_page", mortal)


def go_on(street: Street) -> None:
    street.world.now += timedelta(seconds=street.settings.sync.attempt_deadline_s + 1)
    street.settle(60, rounds_max=2_000)


def test_a_catalogue_read_in_pages_goes_on_at_the_page_at_which_it_was_killed(
    street: Street, paged: WooShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking_at(monkeypatch, street, 3, Killed())
    before = len(pages_read(street, paged))
    with pytest.raises(Killed):
        street.settle(60)
    assert pages_read(street, paged)[before:] == [1, 2, 3]
    go_on(street)
    assert pages_read(street, paged)[before + 3 :] == [3, 4, 5]
    assert (import_of(street).state, import_of(street).stored) == ("done", 480)


def test_a_shop_that_is_away_for_a_moment_costs_a_page_and_not_the_catalogue(
    street: Street, paged: WooShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking_at(monkeypatch, street, 4, Transient("unavailable", "down"))
    before = len(pages_read(street, paged))
    street.settle(60, rounds_max=2_000)
    assert pages_read(street, paged)[before:] == [1, 2, 3, 4, 4, 5]
    assert (import_of(street).state, import_of(street).stored) == ("done", 480)


def test_a_catalogue_of_many_pages_makes_room_for_other_work_after_a_minute_and_goes_on(
    street: Street, paged: WooShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "STEP_MAX", timedelta(seconds=2))
    breaking_at(monkeypatch, street, 99, Killed())
    before = len(pages_read(street, paged))
    street.settle(60, rounds_max=2_000)
    assert pages_read(street, paged)[before:] == [1, 2, 3, 4, 5]
    assert import_of(street).state == "done"


def test_how_much_is_read_and_how_long_it_will_take_is_told_of_a_woocommerce_shop_too(
    street: Street, paged: WooShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking_at(monkeypatch, street, 3, Killed())
    with pytest.raises(Killed):
        street.settle(60)
    job = import_of(street)
    assert job.share == pytest.approx(200 / 480)
    assert job.eta_s == pytest.approx(2.8, abs=0.3)  # 280 at 100 a second


def test_a_place_that_the_channel_no_longer_knows_is_begun_again_once(street: Street, paged: WooShop) -> None:
    street.settle(60, rounds_max=2_000)
    with street.world.session() as session:
        request_import(session, street.channel_of(paged), "catalogue", since=session.now, until=session.now)
        session.run("update channel_import set state = 'paging', position = 'gone' where merchant_id = %(merchant_id)s")
    before = len(pages_read(street, paged))
    street.settle(60, rounds_max=2_000)
    assert pages_read(street, paged)[before:] == [1, 2, 3, 4, 5]
    assert import_of(street).state == "done"
