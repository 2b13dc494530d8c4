"""Products and their numbers: the till keeps one per product, and what is written replaces what is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from connectors.base import (
    QUANTITY_MAX,
    CatalogueEntry,
    Rejected,
    StockKey,
    StockReading,
    StockWrite,
    WriteOutcome,
    Written,
)
from connectors.errors import Malformed, OutcomeUnknown
from connectors.export import CataloguePage
from connectors.till import fields
from connectors.till.api import PAGE, Api
from connectors.till.fields import Node

WRITE_ROWS_MAX = 20  # the till refuses 21
READ_ROWS_MAX = PAGE
# What the till says of one row → our reason, and whether only a person can cure it.
ROW_ERRORS: Mapping[str, tuple[str, bool]] = {
    "no_such_product": ("gone", True),
    "no_stock_kept": ("untracked", True),
    "bad_quantity": ("bad_quantity", True),
}


def read_stock(api: Api, keys: Sequence[StockKey]) -> Sequence[StockReading]:
    """One reading per key; a number that is not there comes with the reason."""
    rows = {
        fields.key(row.get("id"), "product.id"): row for row in api.named("products", [key.stock_key for key in keys])
    }
    return [reading(key, rows.get(key.stock_key)) for key in dict.fromkeys(keys)]


def reading(key: StockKey, product: Node | None) -> StockReading:
    """What a product's own JSON shows. One odd number is no reason to read none of the others: without a reading
    nothing is written to a till."""
    if product is None:
        return StockReading(key, None, "gone")
    if product.get("stock") is None:
        return StockReading(key, None, "untracked")
    try:
        return StockReading(key, _quantity(product.get("stock"), "product.stock"))
    except Malformed:
        return StockReading(key, None, "not_whole")


def write_stock(api: Api, rows: Sequence[StockWrite]) -> Sequence[WriteOutcome]:
    """One call, one outcome per row. Raises what `Api.send` raises; nothing is tried again here."""
    if len(rows) > WRITE_ROWS_MAX or any(row.relative for row in rows):
        raise ValueError(f"at most {WRITE_ROWS_MAX} rows, each with the number to set")
    wanted = [{"product": row.key.stock_key, "quantity": row.target} for row in rows]
    answer = api.send("PUT", "stock", {"rows": wanted})
    try:
        said = fields.nodes(answer, "rows", "answer", limit=len(rows))
        if [one.get("product") for one in said] != [row.key.stock_key for row in rows]:
            raise Malformed("answer_out_of_order", "the answer is about other products")
        return [_outcome(row, one) for row, one in zip(rows, said, strict=True)]
    except Malformed as error:
        raise OutcomeUnknown(error.reason, error.detail) from error


def _outcome(row: StockWrite, said: Node) -> WriteOutcome:
    if "error" in said:
        code = fields.text(said["error"], "error")
        reason, permanent = ROW_ERRORS.get(code, (code, True))
        return Rejected(row.key, reason, "the till refused this row", permanent)
    return Written(row.key, _quantity(said.get("quantity"), "answer.quantity"))


def read_catalogue(api: Api, after: str) -> Iterator[CataloguePage]:
    """Everything that it sells, or what is behind a cursor of its own."""
    for rows, following in api.pages_after("products", {}, after):
        yield CataloguePage([entry(row) for row in rows], following)


def read_entries(api: Api, keys: Sequence[str]) -> Sequence[CatalogueEntry]:
    """What it sells under these ids."""
    return [entry(row) for row in api.named("products", keys)]


def entry(product: Node) -> CatalogueEntry:
    """A product as we list it: it is sold and counted under the same id."""
    key = fields.key(product.get("id"), "product.id")
    return CatalogueEntry(
        listing_key=key,
        stock_key=key,
        sku=fields.find_text(product.get("sku"), "product.sku"),
        title=fields.find_text(product.get("name"), "product.name") or key,
        barcode=fields.find_text(product.get("barcode"), "product.barcode"),
        tracked=product.get("stock") is not None,
        price=fields.amount(product.get("price"), "product.price"),
        unit_cost=fields.amount(product.get("cost"), "product.cost"),
        stock=(reading(StockKey(key), product),),
    )


def _quantity(value: object, path: str) -> int:
    return fields.whole(value, path, low=-QUANTITY_MAX, high=QUANTITY_MAX)
