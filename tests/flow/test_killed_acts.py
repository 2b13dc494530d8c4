"""kill -9 at every point of the four acts: nothing is lost, nothing is done twice, and nothing is called drift.

Each act is done by a process of its own (tests/mortal.py) with real connections and pretend shops over loopback HTTP,
again and again, and killed one point later each time, until it lives. After each death others go on: at once when the
death is noticed, every fourth time only when the deadline of what it was at has passed. A call that was on its way to a
shop when its sender died arrives five seconds later, when others are at it already.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from app.claims import Absences, free_abandoned
from app.core.db import Database
from app.core.embedded import APP_ROLE, Embedded
from app.inbox.receive import Delivery
from app.publishing.push import push
from app.publishing.unanswered import LATE
from sandbox.base import Delivery as Posted
from sandbox.base import Request, Response
from sandbox.faults import NONE
from sandbox.front import Front
from sandbox.shopify import PretendShopify
from sandbox.woocommerce import WooShop
from tests.conftest import NOW
from tests.deliveries import as_delivery
from tests.mortal import LAST_CALL, NAME, End, Errand, nursery
from tests.street import Street
from tests.world import World

OPENING = 10_000
LATE_S = 35.0  # a call of the dead arrives that much later: longer than they would have waited for its answer
POINTS_MAX = 400
ROUNDS_MAX = 400
NEVER = 1_000_000
_names = count(1)


@dataclass
class LastCall:
    """The last call of a process that died: at which stage it is."""

    came: threading.Event = field(default_factory=threading.Event)
    let_in: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)


class Door(Front):
    """The shop's front; the last call of a process that died waits outside until it is let in."""

    last: LastCall

    def answer(self, request: Request) -> Response | None:
        if LAST_CALL not in request.headers:
            return super().answer(request)
        last = self.last
        last.came.set()
        last.let_in.wait(60)
        answer = super().answer(request)
        last.done.set()
        return answer


@dataclass
class Quarter:
    """A street whose acts are done by somebody mortal."""

    street: Street
    run: Callable[[Errand], End]
    url: str
    doors: dict[int, Door]
    orders: list[str | int] = field(default_factory=list)
    taken_by_hand: int = 0
    told_rightly: set[str] = field(default_factory=set)  # cases that are no mistake

    @property
    def shopify(self) -> PretendShopify:
        return next(shop for shop in self.street.shops.values() if isinstance(shop, PretendShopify))

    @property
    def woo(self) -> WooShop:
        return next(shop for shop in self.street.shops.values() if isinstance(shop, WooShop))

    def sell(self) -> None:
        """An order on each shop, told to nobody yet."""
        order = self.shopify.place_order([("mug", 2)])
        assert order is not None
        self.orders = [order, self.woo.place_order([("mug", 1)])]

    def due(self, *acts: str) -> list[tuple[int, str]]:
        keys = [key[1:] for key in self.street.worker.due()]
        return [key for act in acts for key in keys if key[1].startswith(act)]

    def do(self, *acts: str) -> None:
        """Somebody who lives does these acts as long as they are due."""
        for _ in range(10):
            done = [self.street.worker._act((self.street.world.merchant_id, *key)) for key in self.due(*acts)]
            if not any(done):
                return

    def hear(self, topics: str = "") -> None:
        """Deliveries whose topic holds that word are received; the others are lost."""
        heard, self.street.heard = self.street.heard, lambda posted: topics in topic(posted)
        self.street.deliver()
        self.street.heard = heard

    def taken(self) -> list[Posted]:
        """The deliveries that are due now."""
        return [posted for shop in self.street.shops.values() for posted in shop.due_deliveries()]

    def errand(self, deliveries: list[Delivery], acts: list[tuple[int, str]], die_at: int) -> Errand:
        street, world = self.street, self.street.world
        doors = {
            prefix: self.doors[channel_id].base_url
            for prefix, adapter in street.session.adapters.items()
            for channel_id, known in street.adapters.items()
            if adapter is known
        }
        return Errand(
            self.url, street.data, world.merchant_id, world.now, doors, deliveries, acts, die_at
        )  # fmt: skip


def topic(posted: Posted) -> str:
    return posted.headers.get("X-Shopify-Topic", posted.headers.get("X-WC-Webhook-Topic", ""))


Job = tuple[list[Posted], list[tuple[int, str]]]


def receive_(quarter: Quarter) -> Job:
    quarter.sell()
    return quarter.taken(), []


def ring(quarter: Quarter) -> Job:
    quarter.sell()
    quarter.street.settle(1)
    order, other = quarter.orders
    quarter.shopify.refund(str(order), {"mug": 1}, "CANCEL")
    quarter.woo.refund(int(other), {quarter.woo.line_ids(int(other))[0]: 1}, restock=True)
    quarter.street.deliver()
    quarter.do("process")
    return [], quarter.due("ring")


def poll(quarter: Quarter) -> Job:
    quarter.sell()
    quarter.hear("no delivery comes")
    quarter.told_rightly = {"webhook_silent"}
    quarter.street.world.now += timedelta(seconds=31)
    return [], quarter.due("poll_orders")


def process_(quarter: Quarter) -> Job:
    quarter.sell()
    quarter.street.deliver()
    return [], quarter.due("process")


def push_lower(quarter: Quarter) -> Job:
    quarter.sell()
    quarter.street.deliver()
    quarter.do("process")
    return [], quarter.due("push")


def push_higher(quarter: Quarter) -> Job:
    quarter.sell()
    quarter.street.settle(1)
    order, other = quarter.orders
    quarter.shopify.cancel(str(order))
    quarter.woo.set_status(int(other), "cancelled")
    quarter.street.deliver()
    quarter.do("process", "ring", "process")
    return [], quarter.due("push")


def push_conflicting(quarter: Quarter) -> Job:
    """Each shop has sold something that nobody knows of, so that a raise does not fit."""
    nobody, acts = push_higher(quarter)
    quarter.told_rightly = {"webhook_silent"}
    quarter.sell()
    return nobody, acts


def push_unanswered(quarter: Quarter) -> Job:
    """One did not answer to a write, was looked at in vain, and its number is to be lowered further."""
    street, woo = quarter.street, quarter.woo
    for _ in range(2):
        street.world.move("mug", 1, "available@A > shrinkage")
        quarter.taken_by_hand += 1
        woo.context.faults = replace(NONE, timeout_after=1.0)
        for lane in range(2):
            push(street.runtime, street.world.merchant_id, street.channel_of(woo), lane)
        woo.context.faults = NONE
    quarter.do("push")
    with street.world.session() as session:
        session.run("update stock_owner set conflicts = 9 where merchant_id = %(merchant_id)s")
    street.world.now += LATE + timedelta(seconds=1)
    return [], quarter.due("push")


def look_(quarter: Quarter) -> Job:
    """One shop tells a number that nobody knows why, the other did not answer to a write."""
    quarter.told_rightly = {"webhook_silent"}
    street, woo = quarter.street, quarter.woo
    street.world.move("mug", 1, "available@A > shrinkage")
    quarter.taken_by_hand += 1
    woo.context.faults = replace(NONE, timeout_after=1.0)
    for lane in range(2):
        push(street.runtime, street.world.merchant_id, street.channel_of(woo), lane)
    woo.context.faults = NONE
    quarter.do("push")
    quarter.shopify.place_order([("mug", 2)])
    quarter.hear("inventory_levels/update")
    quarter.do("process")
    street.world.now += timedelta(seconds=4)
    return [], [(c, act) for c, _ in quarter.due("look") for act in ("look", "poll_orders", "process", "look")]


JOBS: dict[str, Callable[[Quarter], Job]] = {
    "receive": receive_, "read: doorbells": ring, "read: poll": poll, "process": process_,
    "push: lower": push_lower, "push: higher": push_higher, "push: conflict": push_conflicting,
    "push: unanswered": push_unanswered, "look": look_,
}  # fmt: skip


@contextmanager
def opened(street: Street, run: Callable[[Errand], End], url: str) -> Iterator[Quarter]:
    street.world.move("mug", OPENING, "opening > available@A", "50000")
    street.open_shopify({"mug": OPENING})
    street.open_woo({"mug": OPENING})
    street.settle(3)
    doors = {channel_id: Door(shop, pump=False).start() for channel_id, shop in street.shops.items()}
    try:
        yield Quarter(street, run, url, doors)
    finally:
        for door in doors.values():
            door.stop()


def round_(quarter: Quarter, job: Callable[[Quarter], Job], die_at: int, kind: int) -> list[End]:
    """Let mortal ones do the job, one for each channel, all killed at that point of theirs. `kind` decides what else
    happens: 1 of 4, deliveries about stock arrive; 0 of 4, a death is noticed late."""
    street = quarter.street
    # Deliveries about stock are echoes and hints, each of which costs a look: three times of four they are lost too.
    street.heard = lambda one: kind % 4 == 1 or not ("inventory" in topic(one) or "product" in topic(one))
    posted, acts = job(quarter)
    assert posted or acts
    for door in quarter.doors.values():
        door.last = LastCall()
    by_channel = {c: [key for key in acts if key[0] == c] for c, _ in acts}
    errands = [quarter.errand([], mine, die_at) for mine in by_channel.values()]
    if posted:
        errands.append(quarter.errand([as_delivery(one) for one in posted], [], die_at))
    ends = [quarter.run(errand) for errand in errands]
    assert all(end.killed or end.exit_code == 0 for end in ends), ends
    wait_until_gone(street)
    for one in posted if ends[-1].killed else ():  # nobody was answered: Shopify sends it again, WooCommerce doesn't
        if "X-Shopify-Topic" in one.headers:
            street.hand_over(quarter.shopify, one)
    late = [quarter.doors[c].last for c, end in zip(by_channel, ends, strict=False) if end.points[-1] == "sent call"]
    take_over(quarter, late, noticed=kind % 4 > 0)
    return ends


def take_over(quarter: Quarter, late: list[LastCall], *, noticed: bool) -> None:
    """Others take over what the dead were at: at once, or after its deadline. Their last calls come in between."""
    street = quarter.street
    if noticed:
        free_abandoned(street.runtime, Absences(grace_s=0), 0.0)
    if late:
        street.settle(LATE_S)  # others wait for it as long as UNDER_WAY, LATE in publishing/unanswered.py say
    for call in late:
        assert call.came.wait(30)
        call.let_in.set()
        assert call.done.wait(30)
    if not noticed:
        street.world.now += timedelta(seconds=street.settings.sync.attempt_deadline_s + 1)


def go_on(quarter: Quarter) -> list[str]:
    """Others go on until nothing is under way any more; if that is not enough, until all channels were polled. What is
    wrong then."""
    for patience_s in (0, 35):
        rest(quarter.street, patience_s)
        if not (faults := faults_of(quarter)):
            return []
    return faults


def rest(street: Street, seconds: float) -> None:
    """As `settle`, in longer steps: until nothing is due, and that much time has passed."""
    until = street.world.now + timedelta(seconds=seconds)
    for _ in range(ROUNDS_MAX):
        busy = street.deliver() or street.worker.step()
        if not busy and street.world.now >= until and not street.worker.due():
            return
        street.world.now += timedelta(seconds=0.01 if busy else 1)
    raise AssertionError(f"no rest: {street.worker.due()}")


def wait_until_gone(street: Street) -> None:
    """Until the server has noticed as well, and rolled back what was open."""
    while True:
        with street.world.database.across(street.world.now) as session:
            if not session.value("select count(*) from pg_stat_activity where application_name = %(name)s", name=NAME):
                return


def faults_of(quarter: Quarter) -> list[str]:
    """What is not as the shops' own order books say."""
    street = quarter.street
    sold: Counter[tuple[int, str]] = Counter()
    for channel_id, shop in street.shops.items():
        for sale in shop.context.sales:
            sold[channel_id, sale.order_key] += sale.units
    left = OPENING - quarter.taken_by_hand - sold.total()
    told = {
        "ledger": street.world.available("mug") - left,
        **{name: shop.shown()["mug"] - left for name, shop in (("Shopify", quarter.shopify), ("Woo", quarter.woo))},
    }
    faults = [f"{who} {gap:+d}" for who, gap in told.items() if gap]
    faults += [f"verify: {finding}" for finding in street.world.verify()]
    faults += [f"case: {kind}" for kind in street.cases() if kind not in quarter.told_rightly]
    faults += [f"parked: {reason}" for reason in street.parked()]
    booked = booked_units(street.world)
    faults += [
        f"order {key}: sold {sold[key]}, booked {booked[key]}" for key in sold | booked if sold[key] != booked[key]
    ]
    return faults


def booked_units(world: World) -> Counter[tuple[int, str]]:
    """Units that each order holds, by the movements themselves."""
    with world.session() as session:
        rows = session.rows(
            """select o.channel_id, o.order_key, sum(case m.from_state when 'available' then m.quantity else 0 end
                   - case m.to_state when 'available' then m.quantity else 0 end)::bigint as units
               from movement m join sales_order o on o.merchant_id = m.merchant_id
                    and o.order_id = split_part(m.source_key, '/', 1)::bigint
               where m.merchant_id = %(merchant_id)s and m.source = 'order' group by 1, 2"""
        )
    return Counter({(row.channel_id, row.order_key): row.units for row in rows})


@pytest.fixture(scope="module")
def mortals() -> Iterator[Callable[[Errand], End]]:
    with nursery() as run:
        yield run


@pytest.mark.timeout(600)
@pytest.mark.parametrize("act", JOBS)
def test_kill_9_at_any_point_of_an_act_loses_and_doubles_nothing(
    act: str, database: Database, server: Embedded, tmp_path: Path, mortals: Callable[[Errand], End]
) -> None:
    street = Street(World.make(database, NOW, f"killed {next(_names)}", "fifo"), tmp_path)
    violations: dict[str, list[str]] = {}
    died_at: list[str] = []

    def kill(point: int, kind: int) -> list[End]:
        ends = round_(quarter, JOBS[act], point, kind)
        died_at.extend(now := [end.points[-1] for end in ends if end.killed])
        if faults := go_on(quarter):
            violations[f"{point}: {now}"] = faults
        return ends

    with opened(street, mortals, server.url(APP_ROLE)) as quarter:
        ends, last = kill(NEVER, NEVER), 0
        for last in range(POINTS_MAX):
            ends = kill(last, last)
            if violations or not any(end.killed for end in ends):
                break
        # What only this round came by, since every kind of round finds the shops a little otherwise.
        for end in ends:
            for point, name in enumerate(end.points):
                if name not in died_at and not violations:
                    kill(NEVER, last - 1)  # as it was before
                    kill(point, last)
    alive = [point for end in ends for point in end.points]
    missed = sorted(set(alive) - set(died_at))
    covered = 1 - sum(point in missed for point in alive) / len(alive)
    report = {"act": act, "points": len(alive), "killed": len(died_at), "covered": covered, "violations": violations}
    print(json.dumps(report))
    street.world.leave()
    assert violations == {}
    assert missed == []
    assert last < POINTS_MAX - 1, "it never lived to its end"
