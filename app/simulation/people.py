"""What customers, staff and suppliers do, by dice. None of it goes through us.

Two kinds of goods: of those that are *booked* everything that happens is told by the shops' order books, so that they
can be audited by them; with the *odd* ones people also do what leaves no trace there (numbers typed over, orders thrown
away, refunds deleted), and only agreement is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from app.simulation.clockwork import Clockwork
from app.simulation.town import AnyShop, Town
from app.simulation.weather import Weather
from app.simulation.whims import accept, refuse
from sandbox.shopify import PretendShopify
from sandbox.shopify.state import gid
from sandbox.till import PretendTill
from sandbox.woocommerce import WooShop

Act = tuple[Callable[[], object], bool]  # what is done, and whether the order is done with then

WHIM_S = 30.0  # how long a shop refuses a product at most
OPEN_ORDERS_MAX = 60  # that somebody may come back to


@dataclass
class People:
    """`supply(sku, units)` has the merchant receive (> 0) or write off (< 0) units. `pace_s`: between two things that
    somebody does."""

    town: Town
    clockwork: Clockwork
    dice: Random
    weather: Callable[[], Weather]
    saw: Callable[[str], None]
    supply: Callable[[str, int], None]
    booked: Sequence[str]
    odd: Sequence[str]
    kits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    pace_s: float = 1.0
    awake: bool = False
    _orders: list[tuple[AnyShop, str | int, bool]] = field(default_factory=list)

    def wake(self) -> None:
        """Open the shops."""
        self.awake = True
        self._next()

    def sleep(self) -> None:
        """Nobody does anything, and no shop refuses anything."""
        self.awake = False
        for shop in self.town.shops.values():
            accept(shop, [*self.booked, *self.odd])

    def _next(self) -> None:
        if not self.awake:
            return
        for _ in range(self.dice.choice((1, 1, 1, 1, 2, 8))):  # now and then a rush
            self._act()
        self.clockwork.after(self.dice.expovariate(1 / self.pace_s), self._next)

    def _act(self) -> None:
        self.saw("person")
        roll, weather = self.dice.random(), self.weather()
        if self.dice.random() < weather.whims:
            self._take_against()
        if roll < weather.edits and self.odd:
            self._type_over()
        elif roll < weather.edits + weather.deletions and self._orders:
            self._throw_away()
        elif self.dice.random() < 0.62 or not self._orders:
            self._buy()
        elif self.dice.random() < 0.85:
            self._go_on()
        else:
            self.supply(self.dice.choice([*self.booked, *self.odd]), self.dice.choice((-1, 3, 6, 12, 20)))

    def _buy(self) -> None:
        shop = self.dice.choice(list(self.town.shops.values()))
        odd = bool(self.odd) and self.dice.random() < 0.3
        goods = list(self.odd) if odd else [*self.booked, *self.kits]
        lines = [(sku, self.dice.choice((1, 1, 2, 5))) for sku in self.dice.sample(goods, min(len(goods), 2))]
        order = shop.place_order(lines[: self.dice.choice((1, 1, 2))])
        if order is not None:
            self._orders.append((shop, order, odd))
            del self._orders[:-OPEN_ORDERS_MAX]

    def _go_on(self) -> None:
        """Somebody comes back to an order; after a few times it is done with."""
        place = self.dice.randrange(len(self._orders))
        shop, order, odd = self._orders[place]
        acts = _acts(shop, order, odd)
        what = self.dice.choice(sorted(acts))
        act, over = acts[what]
        act()
        if over or self.dice.random() < 0.3:
            del self._orders[place]

    def _type_over(self) -> None:
        """Somebody types another number into a shop's admin."""
        shop, sku = self.dice.choice(list(self.town.shops.values())), self.dice.choice(list(self.odd))
        by = self.dice.choice((-3, -1, 1, 4))
        number = max(0, shop.shown()[sku] + by)
        if isinstance(shop, WooShop):
            self.dice.choice((shop.set_stock_by_hand, shop.set_stock_by_sql))(sku, number)
        elif isinstance(shop, PretendTill):
            shop.set_stock_by_hand(sku, number)
        else:
            place = self.dice.choice(list(shop.locations))
            there = shop.inventory.available(shop.variant(sku).item_id, place)
            shop.set_stock_by_hand(sku, gid("Location", place), max(0, there + by))

    def _take_against(self) -> None:
        """A shop refuses one of its products, to the storm's end at most."""
        shop, sku = self.dice.choice(list(self.town.shops.values())), self.dice.choice([*self.booked, *self.odd])
        self.saw("whim")
        refuse(shop, sku, self.dice)
        self.clockwork.after(self.dice.uniform(1, WHIM_S), lambda: accept(shop, [sku]))

    def _throw_away(self) -> None:
        """An order is deleted, or trashed, or its refund taken back; only of odd goods."""
        thrown = [entry for entry in self._orders if entry[2]]
        if not thrown:
            return
        shop, order, _ = entry = self.dice.choice(thrown)
        if isinstance(shop, PretendShopify | PretendTill):
            shop.delete_order(str(order))
        elif shop.get_order(int(order)).refunds and self.dice.random() < 0.5:
            shop.delete_refund(int(order), shop.get_order(int(order)).refunds[0].id)
            return
        else:
            self.dice.choice((shop.trash, shop.delete))(int(order))
        self._orders.remove(entry)


def _acts(shop: AnyShop, key: str | int, odd: bool) -> Mapping[str, Act]:
    """What can be done with an order as it is now, and whether it is done with then."""
    if isinstance(shop, PretendShopify):
        return _shopify_acts(shop, str(key))
    return _till_acts(shop, str(key)) if isinstance(shop, PretendTill) else _woo_acts(shop, int(key), odd)


def _till_acts(till: PretendTill, key: str) -> Mapping[str, Act]:
    order = till.orders[key]
    waiting = {line.id: 1 for line in order.lines if line.waiting}
    gone = {line.id: 1 for line in order.lines if line.with_buyer}
    acts: dict[str, Act] = {}
    if waiting:
        acts["hand over"] = (lambda: till.hand_over(key), False)
        acts["cancel"] = (lambda: till.cancel(key), True)
        acts["refund"] = (lambda: till.refund(key, waiting), False)
    if gone:
        acts["return"] = (lambda: till.refund(key, gone), True)
    return acts or {"nothing": (lambda: None, True)}


def _shopify_acts(shop: PretendShopify, key: str) -> Mapping[str, Act]:
    order = shop.order(key)
    owed = {line.id: order.owed(line) for line in order.lines if order.owed(line) > 0}
    gone = {line.id: order.shipped(line) for line in order.lines if order.shipped(line) > 0}
    acts: dict[str, Act] = {}
    if owed:
        first = next(iter(owed))
        acts["fulfil"] = (lambda: shop.fulfill(key), False)
        acts["cancel"] = (lambda: shop.cancel(key), True)
        acts["shrink"] = (lambda: shop.edit_line(key, first, order.line(first).current - 1), False)
        acts["grow"] = (lambda: shop.edit_line(key, first, order.line(first).current + 1), False)
        acts["refund"] = (lambda: shop.refund(key, {first: 1}, "CANCEL"), False)
    if gone and not order.refunds:
        first_gone = next(iter(gone))
        acts["return"] = (lambda: shop.refund(key, {first_gone: 1}, "RETURN"), True)
    return acts or {"nothing": (lambda: None, True)}


def _woo_acts(shop: WooShop, key: int, odd: bool) -> Mapping[str, Act]:
    order = shop.state.orders.get(key)
    if order is None or order.status in ("trash", "cancelled", "refunded"):
        return {"nothing": (lambda: None, True)}
    acts: dict[str, Act] = {}
    line = order.lines[0] if order.lines else None
    if order.status in ("processing", "on-hold"):
        acts["complete"] = (lambda: shop.set_status(key, "completed"), False)
        acts["pause"] = (lambda: shop.set_status(key, "on-hold"), False)
        if not order.refunds:
            acts["cancel"] = (lambda: shop.set_status(key, "cancelled"), True)
            if line is not None and line.quantity > 1:
                acts["shrink"] = (lambda: shop.edit_line(key, line.id, line.quantity - 1), False)
                acts["grow"] = (lambda: shop.edit_line(key, line.id, line.quantity + 1), False)
    if line is not None and line.quantity > 1 and not order.refunds and order.status != "on-hold":
        acts["refund"] = (lambda: shop.refund(key, {line.id: 1}, restock=True), True)
    if odd:
        acts["fail"] = (lambda: shop.set_status(key, "failed"), False)
        acts["plugin"] = (lambda: shop.set_status(key, "backordered"), False)
        acts["reopen"] = (lambda: shop.set_status(key, "processing"), False)
    return acts or {"nothing": (lambda: None, True)}
