"""What must never happen, looked for all the time; and whether everything is equal once the weather is calm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from app.core.db import Row, Session
from app.ledger.verify import verify
from app.publishing.due import read_plans
from app.simulation.town import AnyShop, Town
from sandbox.base import Shop
from sandbox.shopify import PretendShopify
from sandbox.till import PretendTill
from sandbox.woocommerce import WooShop

_OWNERS = """
select owner_id, channel_id, stock_key, location_key, item_id, believed, buffer, buffer_percent, shown_min, shown_max,
       oversell_target, held, state from stock_owner
where merchant_id = %(merchant_id)s and item_id is not null order by owner_id
"""
_AVAILABLE = """
select i.sku, coalesce(sum(l.available), 0)::bigint as units from item i
left join level l using (merchant_id, item_id)
where i.merchant_id = %(merchant_id)s and i.kind <> 'kit' group by i.sku
"""
_CASES = """
select c.case_id, c.cause, c.detail, c.opened_at, c.evidence, i.sku, o.owner_id, c.channel_id from case_file c
join stock_owner o using (merchant_id, owner_id) join item i on i.merchant_id = o.merchant_id and i.item_id = o.item_id
where c.merchant_id = %(merchant_id)s and c.kind = 'drift' and c.cause in ('hand_edit', 'shared_owner')
  and i.sku = any(%(skus)s)
"""
# Of a channel that adds by itself; one that takes whole numbers replaces whatever is there.
_OVERWRITTEN = """
select c.case_id, c.cause, c.detail, c.opened_at, c.evidence, i.sku, c.channel_id from case_file c
join stock_owner o using (merchant_id, owner_id) join item i on i.merchant_id = o.merchant_id and i.item_id = o.item_id
join channel h on h.merchant_id = c.merchant_id and h.channel_id = c.channel_id
where c.merchant_id = %(merchant_id)s and c.kind = 'drift' and c.cause = 'overwritten' and h.platform = 'woocommerce'
  and i.sku = any(%(skus)s)
"""
_BOOKED = """
select o.channel_id, o.order_key, i.sku, sum(case m.from_state when 'available' then m.quantity else 0 end
       - case m.to_state when 'available' then m.quantity else 0 end)::bigint as units
from movement m join item i using (merchant_id, item_id)
join sales_order o on o.merchant_id = m.merchant_id and o.order_id = split_part(m.source_key, '/', 1)::bigint
where m.merchant_id = %(merchant_id)s and m.source = 'order' and i.sku = any(%(skus)s) group by 1, 2, 3
"""
_OPEN = """
select 'document ' || state || ' ' || coalesce(reason, '') as what from inbox
where merchant_id = %(merchant_id)s and state not in ('done', 'parked')
union all select 'attempt ' || state from push_attempt where merchant_id = %(merchant_id)s and state <> 'done'
union all select 'due' from due_listing d where d.merchant_id = %(merchant_id)s
    and not exists (select from stock_owner o where o.merchant_id = d.merchant_id and o.owner_id = d.owner_id
                    and o.held)
union all select 'parked ' || reason from inbox where merchant_id = %(merchant_id)s and state = 'parked'
    and topic <> 'unreadable' and reason is distinct from 'superseded'
"""


@dataclass
class Books:
    """What the shops' own books say is left of the booked goods. `moved`: what we received and wrote off ourselves."""

    town: Town
    opening: Mapping[str, int]
    kits: Mapping[str, Mapping[str, int]]
    received: Counter[str] = field(default_factory=Counter)
    written_off: Counter[str] = field(default_factory=Counter)

    def come(self, sku: str) -> int:
        """Units that ever came in, of a kit those that could be made of its parts."""
        parts = self.kits.get(sku, {sku: 1})
        return min((self.opening.get(part, 0) + self.received[part]) // each for part, each in parts.items())

    def left(self) -> dict[str, int]:
        """Units that can be sold, by SKU, negative where more was sold than there was."""
        left = Counter(self.opening)
        left.update(self.received)
        left.subtract(self.written_off)
        for (_, _, sku), units in self.sold().items():
            left[sku] -= units
        return dict(left)

    def sold(self) -> Counter[tuple[int, str, str]]:
        """Units that each order holds, by channel, order and SKU."""
        sold: Counter[tuple[int, str, str]] = Counter()
        for channel_id, shop in self.town.shops.items():
            for sale in shop.context.sales:
                for sku, each in self.kits.get(sale.sku, {sale.sku: 1}).items():
                    sold[channel_id, sale.order_key, sku] += sale.units * each
        return sold


@dataclass
class Watch:
    """Looks at every write. `failed(why)` is told what must not be."""

    books: Books
    booked: Sequence[str]
    failed: Callable[[str], None]
    _seen: Counter[int] = field(default_factory=Counter)
    _taken: Counter[tuple[int, str]] = field(default_factory=Counter)
    _read: Counter[int] = field(default_factory=Counter)
    _shown: dict[tuple[int, str], int] = field(default_factory=dict)
    _replaced: Counter[tuple[int, str]] = field(default_factory=Counter)
    _ever_replaced: set[tuple[int, str]] = field(default_factory=set)

    def replaced(self, shop: Shop, sku: str, units: int) -> None:
        """Told before `wrote`: the shop itself lost that it sold these. What is added to its number from then on is
        added to a wrong one, until it is put right."""
        self._replaced[id(shop), sku] += units
        self._ever_replaced.add((id(shop), sku))

    def all_is_equal(self) -> None:
        """Whatever shops had lost was put right."""
        self._replaced.clear()

    def misexplained(self, session: Session) -> list[str]:
        """Numbers that are said to have been overwritten in a shop that never lost a sale of them: something else is
        wrong, and that explanation hides it."""
        shops = self.books.town.shops
        rows = session.rows(_OVERWRITTEN, skus=list(self.booked))
        false = [row for row in rows if (id(shops[row.channel_id]), row.sku) not in self._ever_replaced]
        return [f"false explanation of {row.sku} on channel {row.channel_id}, {_told(row)}" for row in false]

    def wrote(self, shop: Shop) -> None:
        """After each call: a number that we raised leaves out every unit that this shop has sold itself, whether we
        have heard of it or not. What other shops sold may be on its way to us, as may what kits took of their parts;
        one that we lowered counts nothing that the shop did not count itself."""
        context, key = shop.context, id(shop)
        for sale in context.sales[self._read[key] :]:
            self._taken[key, sale.sku] += sale.units
            self._shown[key, sale.sku] = sale.shown_after
        self._read[key] = len(context.sales)
        for write in context.writes[self._seen[key] :]:
            there = self.books.come(write.sku) - self._taken[key, write.sku]
            there += max(0, self._replaced[key, write.sku])
            raised = write.quantity > self._shown.get((key, write.sku), -1)
            self._shown[key, write.sku] = write.quantity
            looked_at = write.sku in self.booked or write.sku in self.books.kits
            if raised and looked_at and write.quantity > max(0, there) and _can_be_kept(shop):
                self.failed(f"{write.sku} was written to {write.quantity}, but this shop's own sales leave {there}")
        self._seen[key] = len(context.writes)


def _can_be_kept(shop: Shop) -> bool:
    """Whether the promise can be kept and looked at: a till takes whole numbers, and what it sells between our looking
    and our writing nobody can keep; where there are several places, which one sold is not known here."""
    return not isinstance(shop, PretendTill) and (not isinstance(shop, PretendShopify) or len(shop.locations) == 1)


def differences(session: Session, town: Town, books: Books, booked: Sequence[str]) -> list[str]:
    """What is not equal: a shop's number and its target by the ledger, the ledger and the shops' own books."""
    owners = session.rows(_OWNERS)
    plans = read_plans(session, owners)
    found = []
    for owner in owners:
        plan, shop = plans.get(owner.owner_id), town.shops[owner.channel_id]
        shown = _number(shop, owner.stock_key, owner.location_key)
        if plan is not None and owner.state == "managed" and shown is not None and shown != plan.target:
            found.append(f"channel {owner.channel_id} shows {shown} of {owner.stock_key}, its target is {plan.target}")
    left = books.left()
    for row in session.rows(_AVAILABLE):
        if row.sku in booked and row.units != left[row.sku]:
            found.append(f"the ledger has {row.units} of {row.sku}, the shops' books say {left[row.sku]}")
    return found


def miscounted(session: Session, books: Books, booked: Sequence[str]) -> list[str]:
    """Orders that hold other units in the ledger than in their shop: two faults may make up for each other."""
    sold = {order: units for order, units in books.sold().items() if order[2] in booked}
    rows = session.rows(_BOOKED, skus=list(booked))
    ours = {(row.channel_id, row.order_key, row.sku): row.units for row in rows}
    return [
        f"order {key} of channel {channel} has {ours.get((channel, key, sku), 0)} of {sku}, its shop says {units}"
        for channel, key, sku in sorted({*sold, *ours})
        if ours.get((channel, key, sku), 0) != (units := sold.get((channel, key, sku), 0))
    ]


def _number(shop: AnyShop, stock_key: str, location_key: str) -> int | None:
    if isinstance(shop, WooShop):
        product = shop.state.products.get(int(stock_key.rpartition("/")[2]))
        return None if product is None else product.stock
    if isinstance(shop, PretendTill):
        goods = shop.products.get(stock_key)
        return None if goods is None else goods.stock
    item, place = int(stock_key.rpartition("/")[2]), int(location_key.rpartition("/")[2])
    return shop.inventory.available(item, place)


def unsound(session: Session, booked: Sequence[str]) -> list[str]:
    """Whatever the weather: the ledger's promises, and that no number of the booked goods was ever called an edit."""
    found = [f"verify: {finding}" for finding in verify(session)]
    rows = session.rows(_CASES, skus=list(booked))
    return found + [f"false drift of {row.sku} on channel {row.channel_id}, {_told(row)}" for row in rows]


def _told(case: Row) -> str:
    return f"case {case.case_id} at {case.opened_at:%H:%M:%S.%f}: {case.detail}; {case.evidence}"


def unfinished(session: Session) -> list[str]:
    """What is still open when all is calm."""
    return sorted({row.what for row in session.rows(_OPEN)})
