"""What is special about WooCommerce's stock, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest

from connectors.base import Rejected, StockKey, StockWrite, Unknown, Unsent, Written
from connectors.errors import ChannelError, OutcomeUnknown, Refused, Transient
from sandbox.base import Request, Response
from sandbox.faults import CallFault, Faults
from tests.contract.rig import faults
from tests.contract.woo_rig import Answer, WooRig, running

_JSON = {"Content-Type": "application/json"}


@pytest.fixture
def rig() -> Iterator[WooRig]:
    yield from running()


@pytest.fixture(params=["10.2.4", "10.9.0"])
def either(request: pytest.FixtureRequest) -> Iterator[WooRig]:
    yield from running(version=request.param)


def variable(rig: WooRig) -> tuple[StockKey, StockKey]:
    """A variation that keeps its own number, and a parent that keeps it for its variations."""
    rig.pretend.add_variable("V", {"V-S": 5, "V-M": 6})
    rig.pretend.add_variable("P", {"P-S": None, "P-M": None}, stock=7)
    return StockKey(rig.pretend.stock_key("V-S")), StockKey(rig.pretend.stock_key("P-S"))


def test_variations_are_read_where_their_number_is_kept(either: WooRig) -> None:
    own, parent = variable(either)
    managed = StockKey(f"{parent.stock_key}/{either.pretend.product_id('P-S')}")
    gone = StockKey(f"{own.stock_key.split('/', maxsplit=1)[0]}/99999")
    orphan = StockKey("99999/99998")
    found = either.connector.read_stock(either.http, either.shop, [own, parent, managed, gone, orphan])
    assert [(reading.quantity, reading.reason) for reading in found] == [
        (5, ""),
        (7, ""),
        (None, "parent_managed"),
        (None, "gone"),
        (None, "gone"),
    ]


def test_variations_are_written_where_their_number_is_kept(either: WooRig) -> None:
    own, parent = variable(either)
    rows = [StockWrite(own, 5, 3, relative=True), StockWrite(parent, 7, 10, relative=True)]
    assert [type(outcome) for outcome in either.connector.write_stock(either.http, either.shop, rows, "k")] == [
        Written,
        Written,
    ]
    assert (either.pretend.shown()["V-S"], either.pretend.shown()["P"]) == (3, 10)


def test_the_catalogue_shares_a_parent_s_number_among_its_variations(either: WooRig) -> None:
    own, parent = variable(either)
    listed = [entry for page in either.connector.read_catalogue(either.http, either.shop) for entry in page.entries]
    assert sorted(entry.sku or "" for entry in listed) == ["P-M", "P-S", "V-M", "V-S"]
    entries = {entry.sku: entry for entry in listed}
    assert (entries["V-S"].stock_key, entries["P-S"].stock_key) == (own.stock_key, parent.stock_key)
    assert entries["P-S"].listing_key == f"{parent.stock_key}/{either.pretend.product_id('P-S')}"
    assert entries["P-S"].title == "Product P - P-S"
    assert [reading.quantity for reading in entries["P-S"].stock] == [7]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("api", "catalogue"):
        monkeypatch.setattr(f"connectors.woocommerce.{module}.PAGE", 3)


@pytest.mark.usefixtures("small_pages")
def test_a_catalogue_goes_on_anywhere_with_the_same_titles_though_products_left_it_meanwhile(either: WooRig) -> None:
    for number in range(7):
        either.add(f"S{number}", number)
    variable(either)
    either.pretend.add_variable("W", {f"W-{n}": n for n in range(5)})
    pages = list(either.connector.read_catalogue(either.http, either.shop))
    assert len(pages) >= 5
    assert (pages[-1].read, pages[0].read < pages[-1].read) == (pages[-1].total, True)
    assert [page.read for page in pages if page.total] == sorted(page.read for page in pages if page.total)
    either.pretend.delete_product("S0")  # all others move up a place
    for number, page in enumerate(pages):
        rest = {e for p in either.connector.read_catalogue(either.http, either.shop, page.after) for e in p.entries}
        assert rest >= {e for p in pages[number + 1 :] for e in p.entries}


def test_a_place_that_is_none_is_refused(rig: WooRig) -> None:
    for wrong in ("x", "products", "products:x:1", "orders:1:1", "products:1:-1"):
        with pytest.raises(Refused):
            list(rig.connector.read_catalogue(rig.http, rig.shop, wrong))


def test_entries_are_found_by_variation_by_product_and_by_the_parent_s_number(either: WooRig) -> None:
    own, parent = variable(either)
    product = own.stock_key.split("/", maxsplit=1)[0]

    def found(*keys: str) -> list[str]:
        return sorted(entry.sku or "" for entry in either.connector.read_entries(either.http, either.shop, keys))

    assert found(own.stock_key) == ["V-S"]
    assert found(product) == ["V-M", "V-S"]
    assert found(parent.stock_key, own.stock_key) == ["P-M", "P-S", "V-S"]
    assert found(f"{product}/99999", "99999/1", "99999") == []
    entry = either.connector.read_entries(either.http, either.shop, [own.stock_key])[0]
    assert entry in [e for page in either.connector.read_catalogue(either.http, either.shop) for e in page.entries]


def test_what_lies_in_the_trash_is_not_sold_nor_are_its_variations(either: WooRig) -> None:
    own, _ = variable(either)
    either.add("A", 3)
    for sku in ("A", "V"):
        either.pretend.trash_product(sku)
    keys = [own.stock_key, own.stock_key.split("/", maxsplit=1)[0], either.pretend.stock_key("A")]
    assert list(either.connector.read_entries(either.http, either.shop, keys)) == []


def test_a_page_that_only_links_to_other_products_is_no_sellable_and_a_bundle_says_so(rig: WooRig) -> None:
    for kind in ("grouped", "external", "bundle"):
        rig.add(kind, 1)
        rig.pretend.state.product_of_sku(kind).kind = kind
    entries = [entry for page in rig.connector.read_catalogue(rig.http, rig.shop) for entry in page.entries]
    assert [(entry.sku, entry.bundle) for entry in entries] == [("bundle", True)]


def test_an_unmanaged_product_ignores_the_number_with_200_and_is_refused_by_us(rig: WooRig) -> None:
    key = rig.add_untracked("U")
    (outcome,) = rig.connector.write_stock(rig.http, rig.shop, [StockWrite(key, 0, 5)], "k")
    assert outcome == Rejected(key, "untracked", "the shop keeps no number here")


def test_a_variation_under_the_wrong_parent_is_refused(rig: WooRig) -> None:
    own, _ = variable(rig)
    key = StockKey(f"{rig.pretend.product_id('P')}/{own.stock_key.split('/')[1]}")
    (outcome,) = rig.connector.write_stock(rig.http, rig.shop, [StockWrite(key, 5, 3, relative=True)], "k")
    assert isinstance(outcome, Rejected)
    assert outcome.reason == "gone"


def test_an_answer_shows_a_sale_that_came_between(rig: WooRig) -> None:
    key = rig.add("A", 7)
    rig.order("A", 2)
    (outcome,) = rig.connector.write_stock(rig.http, rig.shop, [StockWrite(key, 7, 6, relative=True)], "k")
    assert outcome == Written(key, 4)


def test_a_number_below_nought_is_read_and_moved(rig: WooRig) -> None:
    key = rig.add("A", 1)
    rig.order("A", 5)
    assert rig.connector.read_stock(rig.http, rig.shop, [key])[0].quantity == -4
    (outcome,) = rig.connector.write_stock(rig.http, rig.shop, [StockWrite(key, -4, 0, relative=True)], "k")
    assert outcome == Written(key, 0)


class _FailsAt:
    """Lets calls through until the n-th, which goes wrong in a given way."""

    def __init__(self, rig: WooRig, number: int, fault: CallFault) -> None:
        self._rig, self._number, self._fault, self.asked = rig, number, fault, 0
        self.context = rig.pretend.context

    def handle(self, request: Request) -> Response:
        self.asked += 1
        answer = self._rig.pretend.handle(request)
        if self.asked == self._number - 1:
            self.context.faults = Faults(**{self._fault.value: 1.0})
        return answer

    def throttled(self, request: Request) -> Response:
        return self._rig.pretend.throttled(request)


class _AnswersAt:
    """Lets calls through, and says something else in answer to the n-th."""

    def __init__(self, rig: WooRig, number: int, answer: Response) -> None:
        self._rig, self._left, self._answer = rig, number, answer
        self.context = rig.pretend.context

    def handle(self, request: Request) -> Response:
        self._left -= 1
        answer = self._rig.pretend.handle(request)
        return self._answer if self._left == 0 else answer

    def throttled(self, request: Request) -> Response:
        return self._rig.pretend.throttled(request)


def three_groups(rig: WooRig) -> list[StockWrite]:
    keys = [rig.add("A", 5)]
    for sku in ("V", "W"):
        rig.pretend.add_variable(sku, {f"{sku}-S": 5})
        keys.append(StockKey(rig.pretend.stock_key(f"{sku}-S")))
    return [StockWrite(key, 5, 4, relative=True) for key in keys]


@pytest.mark.parametrize("fault", [CallFault.TIMEOUT_BEFORE, CallFault.TIMEOUT_AFTER])
def test_a_part_of_a_write_without_an_answer_is_unknown_beside_what_is_known(rig: WooRig, fault: CallFault) -> None:
    rows = three_groups(rig)
    rig.front.shop = _FailsAt(rig, 2, fault)  # type: ignore[assignment]
    outcomes = rig.connector.write_stock(rig.http, rig.shop, rows, "k")
    assert [type(outcome) for outcome in outcomes] == [Written, Unknown, Unsent]
    applied = 4 if fault is CallFault.TIMEOUT_AFTER else 5
    assert rig.pretend.shown() == {"A": 4, "V-S": applied, "W-S": 5}


@pytest.mark.parametrize("error", ["null", '"busy"', "[]"])
def test_a_part_of_a_write_whose_answer_says_an_error_that_is_none_is_unknown(rig: WooRig, error: str) -> None:
    rows = three_groups(rig)
    own = rows[1].key.stock_key.split("/")[1]
    body = f'{{"update": [{{"id": {own}, "manage_stock": true, "stock_quantity": 4, "error": {error}}}]}}'
    rig.front.shop = _AnswersAt(rig, 2, Response(200, _JSON, body.encode()))  # type: ignore[assignment]
    outcomes = rig.connector.write_stock(rig.http, rig.shop, rows, "k")
    assert [type(outcome) for outcome in outcomes] == [Written, Unknown, Unsent]


@pytest.mark.parametrize(
    "body", [b"<html>Not found</html>", b'{"code": "rest_no_route", "message": "?", "data": null}']
)
def test_an_address_that_is_not_found_does_not_mean_that_the_products_are_gone(rig: WooRig, body: bytes) -> None:
    key = rig.add("A", 5)
    rig.front.shop = _AnswersAt(rig, 1, Response(404, _JSON, body))  # type: ignore[assignment]
    with pytest.raises(ChannelError):
        rig.connector.write_stock(rig.http, rig.shop, [StockWrite(key, 5, 4, relative=True)], "k")


def test_a_part_of_a_write_that_is_throttled_was_not_sent(rig: WooRig) -> None:
    rows = three_groups(rig)
    rig.front.shop = _FailsAt(rig, 2, CallFault.THROTTLE)  # type: ignore[assignment]
    outcomes = rig.connector.write_stock(rig.http, rig.shop, rows, "k")
    assert [type(outcome) for outcome in outcomes] == [Written, Unsent, Unsent]


def test_a_write_that_takes_too_long_is_stopped_before_its_next_part(rig: WooRig) -> None:
    seconds = count(0, 30)
    slow = replace(rig.http, monotonic=lambda: float(next(seconds)))
    outcomes = rig.connector.write_stock(slow, rig.shop, three_groups(rig), "k")
    assert [type(outcome) for outcome in outcomes] == [Written, Unsent, Unsent]


def test_more_rows_than_a_batch_takes_are_a_mistake_of_the_caller(rig: WooRig) -> None:
    rows = [StockWrite(StockKey(str(number)), 0, 1, relative=True) for number in range(1, 52)]
    with pytest.raises(ValueError):
        rig.connector.write_stock(rig.http, rig.shop, rows, "k")


def test_an_answer_about_other_items_leaves_the_outcome_unknown(rig: WooRig) -> None:
    key = rig.add("A", 5)
    rig.front.shop = Answer(rig.pretend, b'{"update":[{"id":1,"manage_stock":true,"stock_quantity":4}]}')  # type: ignore[assignment]
    with pytest.raises(OutcomeUnknown) as caught:
        rig.connector.write_stock(rig.http, rig.shop, [StockWrite(key, 5, 4)], "k")
    assert caught.value.reason == "answer_out_of_order"


def test_a_gateway_error_to_a_write_is_unknown(rig: WooRig) -> None:
    key = rig.add("A", 5)
    seen = set()
    for _ in range(12):
        try:
            with faults(rig, error=1.0):
                rig.connector.write_stock(rig.http, rig.shop, [StockWrite(key, 5, 5, relative=True)], "k")
        except (Transient, OutcomeUnknown) as error:
            seen.add((type(error), error.reason))
        finally:
            rig.pretend.context.faults = Faults()
    assert seen == {(OutcomeUnknown, "unavailable"), (OutcomeUnknown, "http_502")}


def test_a_byte_order_mark_before_the_json_is_forgiven(rig: WooRig) -> None:
    body = b"\xef\xbb\xbf" + b'[{"id":1,"manage_stock":true,"stock_quantity":4}]'
    rig.front.shop = Answer(rig.pretend, body)  # type: ignore[assignment]
    assert rig.connector.read_stock(rig.http, rig.shop, [StockKey("1")])[0].quantity == 4


def test_plugins_stock_that_is_no_whole_number_is_not_rounded(rig: WooRig) -> None:
    body = b'[{"id":1,"manage_stock":true,"stock_quantity":1.5},{"id":2,"manage_stock":null,"stock_quantity":3}]'
    rig.front.shop = Answer(rig.pretend, body)  # type: ignore[assignment]
    readings = rig.connector.read_stock(rig.http, rig.shop, [StockKey("1"), StockKey("2")])
    assert [(reading.quantity, reading.reason) for reading in readings] == [(None, "not_whole"), (None, "untracked")]


@pytest.mark.parametrize(
    ("shown", "reason"),
    [("true", "not_whole"), ("null", "untracked"), ('"seven"', "untracked"), ("[7]", "untracked"), ("1", "not_whole")],
)
def test_an_answer_whose_number_can_not_be_read_leaves_it_unknown_what_was_done_34(
    rig: WooRig, shown: str, reason: str
) -> None:
    key = rig.add("A", 5)
    body = f'{{"update":[{{"id":{key.stock_key},"manage_stock":{shown},"stock_quantity":4.5}}]}}'
    rig.front.shop = Answer(rig.pretend, body.encode())  # type: ignore[assignment]
    outcome = rig.connector.write_stock(rig.http, rig.shop, [StockWrite(key, 5, 4, relative=True)], "k")
    assert list(outcome) == [Unknown(key, reason)]


@pytest.mark.parametrize(
    ("code", "data", "outcome"),
    [
        ('"some_plugin"', '{"status":500}', Unknown(StockKey("11"), "some_plugin")),
        ('"some_plugin"', '{"status":400}', Unknown(StockKey("11"), "some_plugin")),
        ('"some_plugin"', "null", Unknown(StockKey("11"), "some_plugin")),
        ("null", '{"status":500}', Unknown(StockKey("11"), "refused")),
        ("7", "[]", Unknown(StockKey("11"), "7")),
        ('"rest_invalid_param"', '{"status":500}', Unknown(StockKey("11"), "rest_invalid_param")),
        ('"rest_invalid_param"', '{"status":400}', Rejected(StockKey("11"), "invalid_parameter", "no")),
        ('"woocommerce_rest_product_invalid_id"', '{"status":400}', Rejected(StockKey("11"), "gone", "no")),
        ('"woocommerce_rest_product_invalid_id"', "null", Rejected(StockKey("11"), "gone", "no")),
        ('"woocommerce_rest_cannot_edit"', '{"status":"x"}', Rejected(StockKey("11"), "no_permission", "no")),
    ],
)
def test_only_a_refusal_that_is_said_before_the_number_is_saved_says_that_it_was_not(
    rig: WooRig, code: str, data: str, outcome: Rejected | Unknown
) -> None:
    key = rig.add("A", 5)
    error = f'{{"code":{code},"message":"no","data":{data}}}'
    rig.front.shop = Answer(rig.pretend, f'{{"update":[{{"id":11,"error":{error}}}]}}'.encode())  # type: ignore[assignment]
    rows = [StockWrite(key, 5, 4, relative=True)]
    assert list(rig.connector.write_stock(rig.http, rig.shop, rows, "k")) == [outcome]
