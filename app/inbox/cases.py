"""Cases that orders give rise to: deleted or trashed ones, odd documents, goods to check."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.core.db import Session
from app.inbox.orders import OrderRow, Positions, Seen
from app.listings.cases import Case, open_cases

HIDDEN = (
    "order_hidden",
    "the order changed, and is older than the channel shows to an app: book by hand what changed, or let the app read "
    "all orders (Shopify: the scope read_all_orders)",
)


def order_gone(
    session: Session, channel_id: int, order_id: int, order_key: str, *, shown_from: datetime | None
) -> bool:
    """The channel has no such known order any more. What is posted stays; the channel did not restock either. False for
    one from before `shown_from`, which is only hidden from us."""
    deleted = session.run(
        """update sales_order set frozen = true where merchant_id = %(merchant_id)s and order_id = %(id)s
           and coalesce(coalesce(placed_at, recorded_at) > %(shown_from)s, true)""",
        id=order_id, shown_from=shown_from,
    )  # fmt: skip
    if deleted:
        detail = "the order was deleted on the channel; its stock is held as it was"
        open_cases(session, channel_id, [("order_deleted", order_key, detail, {"order_id": order_id})])
    return bool(deleted)


def of_orders(session: Session, channel_id: int, chosen: Sequence[tuple[OrderRow, Seen]], changed: Positions) -> None:
    """Cases of processed orders: what the channel's document says is odd, trashed orders, goods to check."""
    cases: list[Case] = []
    held = {line[0] for line, places in changed.items() if any(h.counts.held for h in places.values())}
    for order, seen in chosen:
        number = seen.snapshot.number
        for problem in seen.snapshot.problems:
            subject = f"{order.order_key} {problem.line_key or ''}".strip()
            cases.append((problem.reason, subject, f"order {number}: {problem.detail}", {"order_id": order.order_id}))
        if order.currency and seen.snapshot.currency and order.currency != seen.snapshot.currency:
            changed_to = f"order {number} was placed in {order.currency} and now says {seen.snapshot.currency}"
            cases.append(("currency_changed", order.order_key, changed_to, {}))
        if seen.snapshot.frozen:
            cases.append(
                ("order_trashed", order.order_key, f"order {number} is in the trash; its stock is held as it was", {})
            )
        if order.order_id in held:
            cases.append(
                ("goods_to_check", order.order_key, f"order {number} was refunded or cancelled: check the goods", {})
            )
    open_cases(session, channel_id, cases)
