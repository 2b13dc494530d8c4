"""A process that dies between any two statements, or around any call: nothing is lost, nothing is done twice.

The crash is an exception that nothing catches, raised before the nth statement or call, or right after the nth call's
effect; what was not committed is rolled back by the server just as after kill -9. Another process goes on later.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests

from app.core.db import Database, Session
from app.worker import Worker, free_abandoned
from sandbox.inprocess import ShopAdapter
from tests.conftest import NOW
from tests.street import Street
from tests.world import World

_names = count(1)


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Fuse:
    """Burns down by one at every point; at 0 the process is gone. Counts what it passed."""

    left: int = -1
    passed: int = 0
    reached: int = 0  # of those, while the mortal one lived

    def burn(self) -> None:
        self.passed += 1
        if self.left >= 0:
            self.left -= 1
            if self.left < 0:
                raise Killed


@dataclass(frozen=True, slots=True)
class MortalSession(Session):
    fuse: Fuse | None = None

    def bound(self, params: Any) -> Any:
        assert self.fuse is not None
        self.fuse.burn()  # every statement's parameters pass here, whether it is waited for or not
        return Session.bound(self, params)


@dataclass(frozen=True, slots=True)
class MortalDatabase(Database):
    fuse: Fuse | None = None

    @contextmanager
    def begin(
        self, merchant_id: int, now: datetime, *, snapshot: bool = False, acting: tuple[str, str] = ("", "")
    ) -> Iterator[Session]:
        with Database.begin(self, merchant_id, now, snapshot=snapshot, acting=acting) as session:
            yield MortalSession(session.connection, session.merchant_id, session.now, self.fuse)


class MortalAdapter(ShopAdapter):
    """Dies before a call reaches the shop, or after the shop did it and before we hear."""

    fuse: Fuse

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self.fuse.burn()
        response = super().send(request, *args, **kwargs)
        self.fuse.burn()
        return response


def open_street(database: Database, data: Path, fuse: Fuse) -> Street:
    street = Street(World.make(database, NOW, f"mortal {next(_names)}", "fifo"), data)
    street.world.move("mug", 10, "opening > available@A", "50")
    street.open_shopify({"mug": 10})
    street.open_woo({"mug": 10})
    street.settle(3)
    for channel_id, shop in street.shops.items():
        adapter = MortalAdapter(shop)
        adapter.fuse = fuse
        prefix = next(p for p, a in street.session.adapters.items() if a is street.adapters[channel_id])
        street.session.mount(prefix, adapter)
    return street


def play(street: Street, fuse: Fuse, kill_at: int, *, noticed: bool = True) -> bool:
    """Sell on both shops and let one mortal worker do what it can; True when it died. Then others go on: at once when
    its death is noticed, else after the deadline of what it was at."""
    shopify, woo = street.shops.values()
    order = shopify.place_order([("mug", 2)])
    woo.place_order([("mug", 1)])
    assert order is not None
    street.deliver()
    fuse.left, fuse.passed = kill_at, 0
    mortal = replace(
        street.runtime, database=MortalDatabase(street.runtime.database.engine, fuse=fuse), worker="mortal"
    )
    worker = Worker(mortal, only_merchant=street.world.merchant_id)
    died = False
    try:
        for _ in range(8):
            worker.step()
            street.world.now += timedelta(seconds=0.05)
    except Killed:
        died = True
    fuse.left, fuse.reached = -1, fuse.passed
    if noticed:
        free_abandoned(street.runtime)
    else:
        street.world.now += timedelta(seconds=street.settings.sync.attempt_deadline_s + 1)
    street.settle(30)
    return died


@pytest.mark.timeout(600)
def test_a_process_that_dies_at_any_point_of_the_acts_loses_and_doubles_nothing(
    database: Database, tmp_path: Path
) -> None:
    fuse = Fuse()
    street = open_street(database, tmp_path, fuse)
    assert not play(street, fuse, 100_000)
    points = fuse.reached
    assert points > 60
    for point in range(points):
        street = open_street(database, tmp_path, fuse)
        assert play(street, fuse, point, noticed=point % 4 > 0) or point > points - 10, point
        assert street.world.verify() == [], point
        assert street.world.available("mug") == 7, point
        assert [shop.shown()["mug"] for shop in street.shops.values()] == [7, 7], point
        assert street.cases() == [], point  # a lost answer is explained, not called drift
        with street.world.session() as session:
            orders = "select count(*) from movement where merchant_id = %(merchant_id)s and source = 'order'"
            assert session.value(orders) == 2, point
        street.world.leave()
