"""What every connector must keep, checked against a pretend shop over real HTTP.

A vendor's test module gives a `rig` fixture and a class `TestVendor(ConnectorContract)`; the checks are the same for
all, and `python -m tests.contract NAME` runs them on an installed package. Order life is told in units over all
locations, so that vendors with and without locations pass the same checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.base import (
    NoticeKind,
    OrderDocument,
    OrderHead,
    OrderSnapshot,
    Rejected,
    StockKey,
    StockWrite,
    Window,
    WriteMode,
    Written,
)
from connectors.errors import ChannelError, InvalidSignature, Malformed, OutcomeUnknown, Refused, Throttled, Transient
from connectors.export import ExportOf
from connectors.http import BODY_MAX
from sandbox.base import Response
from tests.contract.rig import Rig, answering, counting, faults

DAY = timedelta(days=1)
OUR_URL = "http://127.0.0.1:9/webhooks/of-this-shop"
ORDERS_OF_PAGES = 450  # some pages of any vendor's listing


def until_now(rig: Rig) -> Window:
    return Window(rig.clock() - DAY, rig.clock())


def heads(rig: Rig, window: Window) -> list[OrderHead]:
    return [head for page in rig.connector.read_order_heads(rig.http, rig.shop, window) for head in page]


def whole(rig: Rig, listed: Sequence[OrderHead]) -> list[OrderDocument]:
    """The documents of what was listed: its own, or read by key."""
    size = rig.connector.abilities.read_orders_max
    keys = [head.order_key for head in listed if head.document is None]
    read = {
        document.order_key: document
        for start in range(0, len(keys), size)
        for document in rig.connector.read_orders_by_key(rig.http, rig.shop, keys[start : start + size])
    }
    return [head.document or read[head.order_key] for head in listed]


def documents(rig: Rig, window: Window) -> list[OrderDocument]:
    return whole(rig, heads(rig, window))


def snapshot(rig: Rig, order_key: str) -> OrderSnapshot:
    (document,) = rig.connector.read_orders_by_key(rig.http, rig.shop, [order_key])
    return rig.connector.parse_order(document.body)


def whereabouts(found: OrderSnapshot) -> dict[str, int]:
    """Units of the whole order by where they are; noughts left out."""
    units = [unit for line in found.lines for unit in line.units]
    names = ("committed", "shipped", "restocked", "damaged", "held")
    sums = {name: sum(getattr(unit, name) for unit in units) for name in names}
    return {name: count for name, count in sums.items() if count}


def taken_by(rig: Rig, orders: Sequence[str]) -> int:
    """What the shop took off its own number for these orders, by what it says of them."""
    found = [snapshot(rig, order) for order in orders]
    return sum(unit.taken for one in found for line in one.lines for unit in line.units)


def row(rig: Rig, key: StockKey, expected: int, target: int) -> StockWrite:
    relative = rig.connector.abilities.write_mode is WriteMode.RELATIVE
    return StockWrite(key, expected, target, relative=relative)


class ConnectorContract:
    """The checks. `rig` is a fresh one per test."""

    def test_an_order_is_committed_then_shipped_then_back_in_stock(self, rig: Rig) -> None:
        rig.add("A", 10)
        order = rig.order("A", 3)
        assert whereabouts(snapshot(rig, order)) == {"committed": 3}
        rig.clock.tick(60)
        rig.ship(order)
        assert whereabouts(snapshot(rig, order)) == {"shipped": 3}
        rig.clock.tick(60)
        rig.refund(order, 2, restock=True)
        assert whereabouts(snapshot(rig, order)) == {"shipped": 1, "restocked": 2}

    def test_a_cancelled_order_holds_nothing(self, rig: Rig) -> None:
        rig.add("A", 10)
        order = rig.order("A", 3)
        rig.cancel(order)
        assert whereabouts(snapshot(rig, order)) == {}

    def test_a_unit_refunded_before_it_left_is_free_if_restocked_else_held(self, rig: Rig) -> None:
        rig.add("A", 10)
        restocked, kept = rig.order("A", 3), rig.order("A", 3)
        rig.refund(restocked, 1, restock=True)
        rig.refund(kept, 1, restock=False)
        assert whereabouts(snapshot(rig, restocked)) == {"committed": 2}
        assert whereabouts(snapshot(rig, kept)) == {"committed": 2, "held": 1}

    def test_belief_equals_what_the_shop_took_off_its_number(self, rig: Rig) -> None:
        rig.add("A", 10)
        orders = [rig.order("A", 3)]
        assert rig.pretend.shown()["A"] == 10 - taken_by(rig, orders) == 7
        rig.refund(orders[0], 1, restock=True)
        assert rig.pretend.shown()["A"] == 10 - taken_by(rig, orders)
        rig.clock.tick(60)
        rig.ship(orders[0])
        rig.clock.tick(60)
        rig.refund(orders[0], 1, restock=True)
        assert rig.pretend.shown()["A"] == 10 - taken_by(rig, orders)
        orders.append(rig.order("A", 2))
        rig.cancel(orders[1])
        assert rig.pretend.shown()["A"] == 10 - taken_by(rig, orders)

    def test_the_same_document_reads_the_same_again(self, rig: Rig) -> None:
        rig.add("A", 10)
        order = rig.order("A", 3)
        (first,) = rig.connector.read_orders_by_key(rig.http, rig.shop, [order])
        (second,) = rig.connector.read_orders_by_key(rig.http, rig.shop, [order])
        assert first == second

    def test_a_window_holds_both_its_ends_and_nothing_before(self, rig: Rig) -> None:
        rig.add("A", 10)
        early = rig.order("A", 1)
        rig.clock.tick(600)
        first, since = rig.order("A", 1), rig.clock()
        rig.clock.tick(600)
        last, until = rig.order("A", 1), rig.clock()
        found = {document.order_key for document in documents(rig, Window(since, until))}
        assert {first, last} <= found
        assert early not in found

    def test_a_window_of_many_pages_is_complete_and_each_order_comes_once(self, rig: Rig) -> None:
        rig.add("A", 1_000)
        orders = [rig.order("A", 1) for _ in range(ORDERS_OF_PAGES)]
        rig.clock.tick(10)
        keys = [head.order_key for head in heads(rig, until_now(rig))]
        assert len(keys) == len(set(keys))
        assert set(orders) <= set(keys)

    def test_orders_that_change_while_a_window_is_read_are_not_lost(self, rig: Rig) -> None:
        rig.add("A", 1_000)
        orders = [rig.order("A", 1) for _ in range(ORDERS_OF_PAGES)]
        rig.clock.tick(3_600)
        window = Window(rig.clock() - DAY, rig.clock() - timedelta(seconds=2))
        found, changed = set[str](), orders[:5]
        for number, page in enumerate(rig.connector.read_order_heads(rig.http, rig.shop, window)):
            found.update(head.order_key for head in page)
            if number == 0:
                for order in changed:
                    rig.touch(order)
        assert set(orders) - found <= set(changed)

    def test_orders_by_key_come_back_and_one_that_is_gone_is_said_to_be_missing(self, rig: Rig) -> None:
        rig.add("A", 10)
        here, gone = rig.order("A", 1), rig.gone_order()
        found = {d.order_key: d for d in rig.connector.read_orders_by_key(rig.http, rig.shop, [here, gone])}
        assert (found[here].missing, found[gone].missing) == (False, True)
        assert found[here].version is not None

    def test_what_is_listed_says_the_version_of_the_order_that_is_read(self, rig: Rig) -> None:
        rig.add("A", 10)
        orders = [rig.order("A", 1) for _ in range(3)]
        rig.clock.tick(60)
        rig.ship(orders[1])
        rig.refund(orders[1], 1, restock=True)
        for listed in (heads(rig, until_now(rig)), rig.connector.read_heads_by_key(rig.http, rig.shop, orders)):
            versions = {document.order_key: document.version for document in whole(rig, listed)}
            assert versions.keys() == set(orders)
            assert all(head.version in (None, versions[head.order_key]) for head in listed)

    def test_of_orders_asked_for_by_key_those_are_listed_that_are_still_there(self, rig: Rig) -> None:
        rig.add("A", 1_000)
        here = [rig.order("A", 1) for _ in range(120)]
        listed = rig.connector.read_heads_by_key(rig.http, rig.shop, [rig.gone_order(), *here])
        assert sorted(head.order_key for head in listed) == sorted(here)

    def test_webhooks_are_subscribed_for_every_topic_and_listed_with_other_peoples(self, rig: Rig) -> None:
        made = rig.connector.write_webhooks(rig.http, rig.shop, url=OUR_URL, secret="s3cret")
        again = rig.connector.write_webhooks(rig.http, rig.shop, url=OUR_URL, secret="s3cret", renew=True)
        assert [hook.topic for hook in made] == list(rig.connector.topics)
        assert sorted(hook.subscription_key for hook in again) == sorted(hook.subscription_key for hook in made)
        listed = rig.connector.read_webhooks(rig.http, rig.shop)
        assert {hook.topic for hook in listed if hook.url == OUR_URL} == set(rig.connector.topics)
        assert {hook.status for hook in listed} == {"active"}

    @pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"{}", b'{"data":{}}', b'{"data":null}', b'"x"'])
    def test_an_answer_that_is_not_what_was_asked_for_is_a_typed_error_everywhere(self, rig: Rig, body: bytes) -> None:
        key = rig.add("A", 7)
        with answering(rig, Response(200, {"Content-Type": "application/json", "X-WP-Total": "1"}, body)):
            for ask in (
                lambda: list(rig.connector.read_order_heads(rig.http, rig.shop, until_now(rig))),
                lambda: rig.connector.read_heads_by_key(rig.http, rig.shop, [rig.gone_order()]),
                lambda: rig.connector.read_orders_by_key(rig.http, rig.shop, [rig.gone_order()]),
                lambda: rig.connector.read_stock(rig.http, rig.shop, [key]),
                lambda: list(rig.connector.read_catalogue(rig.http, rig.shop)),
                lambda: rig.connector.read_webhooks(rig.http, rig.shop),
                lambda: rig.connector.write_webhooks(rig.http, rig.shop, url=OUR_URL, secret="s3cret"),
                lambda: rig.connector.read_facts(rig.http, rig.shop),
                lambda: rig.connector.write_stock(rig.http, rig.shop, [row(rig, key, 7, 6)], "k1"),
            ):
                if body == b"[]" and getattr(rig, "bare_lists", False):
                    continue  # an empty list is an answer there
                with pytest.raises(ChannelError):
                    ask()

    def test_a_listing_in_order_comes_with_the_oldest_change_first(self, rig: Rig) -> None:
        rig.add("A", 10)
        orders = [rig.order("A", 1) for _ in range(4) if rig.clock.tick(60) is None]
        rig.clock.tick(60)
        rig.ship(orders[0])
        listed = [head.order_key for head in heads(rig, until_now(rig))]
        assert sorted(listed) == sorted(orders)
        if rig.connector.abilities.reads_in_order:
            assert listed == [*orders[1:], orders[0]]

    def test_what_is_kept_of_an_order_says_nothing_of_the_customer(self, rig: Rig) -> None:
        rig.add("A", 10)
        rig.order("A", 3)
        for document in documents(rig, until_now(rig)):
            assert b"@" not in document.body

    def test_an_export_is_prepared_only_where_the_abilities_promise_one(self, rig: Rig) -> None:
        if rig.connector.abilities.exports_from is None:
            with pytest.raises(Refused):
                rig.connector.start_export(rig.http, rig.shop, ExportOf.CATALOGUE, until_now(rig))

    def test_stock_is_read_and_what_has_no_number_says_why(self, rig: Rig) -> None:
        keys = [rig.add("A", 7), rig.add_untracked("U"), rig.gone_stock()]
        found = {reading.key: reading for reading in rig.connector.read_stock(rig.http, rig.shop, keys)}
        assert (found[keys[0]].quantity, found[keys[0]].reason) == (7, "")
        assert (found[keys[1]].quantity, found[keys[1]].reason) == (None, "untracked")
        assert (found[keys[2]].quantity, found[keys[2]].reason) == (None, "gone")

    def test_a_written_number_is_shown_and_answered(self, rig: Rig) -> None:
        key = rig.add("A", 7)
        (outcome,) = rig.connector.write_stock(rig.http, rig.shop, [row(rig, key, 7, 12)], "k1")
        assert isinstance(outcome, Written)
        assert outcome.quantity in (12, None)
        assert rig.pretend.shown()["A"] == 12

    def test_a_sale_between_read_and_write_is_dealt_with_as_the_write_mode_says(self, rig: Rig) -> None:
        key = rig.add("A", 7)
        rig.order("A", 2)  # seen by nobody yet
        rig.connector.write_stock(rig.http, rig.shop, [row(rig, key, 7, 6)], "k1")
        # Compared: refused. A difference: taken off as well. Absolute: the last write wins, so nothing but the number
        # is sent, and whoever writes looks before and after.
        mode = rig.connector.abilities.write_mode
        by_mode = {WriteMode.COMPARE_AND_SET: 5, WriteMode.RELATIVE: 4, WriteMode.ABSOLUTE: 6}
        assert rig.pretend.shown()["A"] == by_mode[mode]

    def test_one_bad_row_is_refused_and_told_apart_from_the_good_ones(self, rig: Rig) -> None:
        good, gone = rig.add("A", 7), rig.gone_stock()
        outcomes = rig.connector.write_stock(rig.http, rig.shop, [row(rig, good, 7, 6), row(rig, gone, 1, 2)], "k1")
        told = {outcome.key: outcome for outcome in outcomes}
        assert isinstance(told[gone], Rejected)
        assert not isinstance(told[good], Rejected)
        assert rig.pretend.shown()["A"] == (6 if isinstance(told[good], Written) else 7)

    def test_a_write_that_was_not_answered_is_unknown_and_was_sent_once(self, rig: Rig) -> None:
        key = rig.add("A", 7)
        for fault, shown in (("timeout_before", 7), ("timeout_after", 6)):
            with counting(rig) as reached, faults(rig, **{fault: 1.0}), pytest.raises(OutcomeUnknown):
                rig.connector.write_stock(rig.http, rig.shop, [row(rig, key, 7, 6)], fault)
            assert reached.calls == (1 if fault == "timeout_after" else 0)
            assert rig.pretend.shown()["A"] == shown

    def test_a_throttled_write_surely_had_no_effect(self, rig: Rig) -> None:
        key = rig.add("A", 7)
        with faults(rig, throttle=1.0), pytest.raises(Throttled) as caught:
            rig.connector.write_stock(rig.http, rig.shop, [row(rig, key, 7, 6)], "k1")
        assert caught.value.retry_after_s
        assert rig.pretend.shown()["A"] == 7

    def test_a_throttled_read_waits_as_asked_and_then_gives_up(self, rig: Rig) -> None:
        waits: list[float] = []
        http = replace(rig.http, sleep=waits.append)
        key = rig.add("A", 7)
        with faults(rig, throttle=1.0), pytest.raises(Throttled):
            rig.connector.read_stock(http, rig.shop, [key])
        assert waits
        assert min(waits) >= 1.0

    def test_a_read_outlives_a_failure_now_and_then(self, rig: Rig) -> None:
        key = rig.add("A", 7)
        http = replace(rig.http, sleep=lambda seconds: None)
        answered = 0
        with faults(rig, timeout_before=0.1, timeout_after=0.1, throttle=0.1):
            for _ in range(20):
                try:
                    answered += rig.connector.read_stock(http, rig.shop, [key])[0].quantity == 7
                except Transient:
                    continue
        assert answered > 10

    def test_a_web_page_is_not_data(self, rig: Rig) -> None:
        key = rig.add("A", 7)
        page = Response(200, {"Content-Type": "text/html"}, b"<!doctype html><h1>Are you human?</h1>")
        with answering(rig, page):
            with pytest.raises(Malformed) as caught:
                rig.connector.read_stock(rig.http, rig.shop, [key])
            with pytest.raises(OutcomeUnknown):
                rig.connector.write_stock(rig.http, rig.shop, [row(rig, key, 7, 6)], "k1")
        assert caught.value.reason == "html_answer"

    def test_an_endless_answer_is_cut_off(self, rig: Rig) -> None:
        key = rig.add("A", 7)
        endless = Response(200, {"Content-Type": "application/json"}, b" " * (BODY_MAX + 1))
        with answering(rig, endless), pytest.raises(Malformed) as caught:
            rig.connector.read_stock(rig.http, rig.shop, [key])
        assert caught.value.reason == "answer_too_large"

    @pytest.mark.parametrize("status", [301, 302, 307])
    def test_a_redirect_is_never_followed(self, rig: Rig, status: int) -> None:
        key = rig.add("A", 7)
        elsewhere = Response(status, {"Location": "http://169.254.169.254/"}, b"")
        with answering(rig, elsewhere), pytest.raises(ChannelError) as caught:
            rig.connector.read_stock(rig.http, rig.shop, [key])
        assert caught.value.reason == "redirected"

    def test_the_catalogue_names_each_sellable_with_its_number(self, rig: Rig) -> None:
        keys = {rig.add("A", 7): 7, rig.add("B", 0): 0}
        rig.add_untracked("U")
        entries = [entry for page in rig.connector.read_catalogue(rig.http, rig.shop) for entry in page.entries]
        assert {entry.sku: entry.tracked for entry in entries} == {"A": True, "B": True, "U": False}
        shown = {reading.key: reading.quantity for entry in entries for reading in entry.stock if entry.tracked}
        assert shown == keys

    def test_a_catalogue_goes_on_behind_any_page_that_says_so_and_misses_nothing(self, rig: Rig) -> None:
        for number in range(130):
            rig.add(f"S{number:03}", number)
        pages = list(rig.connector.read_catalogue(rig.http, rig.shop))
        assert sum(len(page.entries) for page in pages) == 130
        for number, page in enumerate(pages):
            if page.after:
                rest = {e for p in rig.connector.read_catalogue(rig.http, rig.shop, page.after) for e in p.entries}
                assert rest >= {e for p in pages[number + 1 :] for e in p.entries}
                assert number + 1 == len(pages) or rest.isdisjoint(page.entries)

    def test_a_delivery_is_verified_and_says_the_same_as_a_read(self, rig: Rig) -> None:
        rig.subscribe()
        rig.add("A", 10)
        order = rig.order("A", 3)
        deliveries = [delivery for delivery in rig.pretend.due_deliveries() if delivery.hook_key]
        assert deliveries
        told = []
        for delivery in deliveries:
            rig.connector.verify(["another", rig.secret], delivery.headers, delivery.body)
            with pytest.raises(InvalidSignature):
                rig.connector.verify(["another"], delivery.headers, delivery.body)
            with pytest.raises(InvalidSignature):
                rig.connector.verify([rig.secret], delivery.headers, delivery.body + b" ")
            notice = rig.connector.notice(rig.shop, delivery.headers, delivery.body)
            if notice.kind is NoticeKind.DOCUMENT:
                told.append(rig.connector.parse_order(notice.body or b""))
        assert {found.order_key for found in told} == {order}
        assert {tuple(whereabouts(found).items()) for found in told} == {(("committed", 3),)}
