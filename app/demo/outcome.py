"""Gathering what a run came to: the shops' books, the ledger's sums, and what `verify` says."""

from __future__ import annotations

from collections import Counter, defaultdict

from app.core.db import Session
from app.core.runtime import Runtime
from app.demo.audit import Books, Stock, audit, changes_of, oversold
from app.demo.goods import KIT, KIT_OF
from app.demo.lag import lags_s, percentiles
from app.demo.report import Report
from app.demo.seller import Seller
from app.demo.settle import mismatches
from app.demo.shops import SHOPIFY, Street
from app.demo.supervisor import Household
from app.ledger.verify import verify


def report_of(runtime: Runtime, street: Street, household: Household, seller: Seller, settle_s: float | None) -> Report:
    """Read everything and judge."""
    merchant_id = seller.merchant.merchant_id
    books = books_of(street, seller)
    with runtime.begin(merchant_id, runtime.clock()) as session:
        stock, findings = read_stock(session), verify(session)
        movements, parked = read_counts(session)
    shown = {name: shop.for_sale() for name, shop in street.shops.items()}
    verdict = audit(books.expected(), stock, shown, [SHOPIFY])
    unequal = mismatches(runtime, merchant_id, street)
    return Report(
        orders=seller.tally.orders,
        lines=seller.tally.lines,
        movements=movements,
        pushes=sum(len(shop.context.writes) for shop in street.shops.values()),
        lag_s=percentiles(lags_s(books, {name: shop.context.writes for name, shop in street.shops.items()})),
        settle_s=None if settle_s is None else round(settle_s, 2),
        oversold_units=oversold(books),
        lost_units=verdict.lost_units,
        double_units=verdict.double_units,
        parked=parked,
        mismatches=len(unequal),
        verify="ok" if not findings else ", ".join(sorted({finding.check for finding in findings})),
        kills=household.killed,
        restarts=household.supervisor.restarts,
        findings=[*verdict.where, *unequal],
    )


def books_of(street: Street, seller: Seller) -> Books:
    """What the two shops and the suppliers wrote down."""
    opening = {good.sku: sum(good.opening) for good in seller.goods}
    sales = {name: shop.context.sales for name, shop in street.shops.items()}
    parcels = {name: shop.context.parcels for name, shop in street.shops.items()}
    receipts = [(receipt.at, receipt.sku, receipt.units) for receipt in seller.receipts]
    return Books(opening, changes_of(sales, receipts), {KIT: KIT_OF}, changes_of(parcels, receipts))


def read_stock(session: Session) -> Stock:
    """Available units by SKU and place, and what is on hand in whatever state: all that the audit reads of ours."""
    available: defaultdict[str, dict[int, int]] = defaultdict(dict)
    on_hand: Counter[str] = Counter()
    for row in session.rows(
        """select i.sku, l.location_id, l.available, l.on_hand from level l join item i using (merchant_id, item_id)
           where l.merchant_id = %(merchant_id)s"""
    ):
        available[row.sku][row.location_id] = row.available
        on_hand[row.sku] += row.on_hand
    return Stock(dict(available), on_hand)


def read_counts(session: Session) -> tuple[int, int]:
    """Movements posted and documents parked."""
    row = session.row(
        """select (select count(*) from movement where merchant_id = %(merchant_id)s) as movements,
                  (select count(*) from inbox where merchant_id = %(merchant_id)s and state = 'parked') as parked"""
    )
    assert row is not None  # noqa: S101
    return row.movements, row.parked
