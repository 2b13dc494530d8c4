"""Races on the ledger: threads behind a barrier, real transactions, no sleeping."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from tests.world import World

CLIENTS = 8


def together(clients: int, act: Callable[[int], None]) -> None:
    """Run `act(n)` in as many threads, all let go at the same moment; the first error is raised."""
    barrier = Barrier(clients)

    def run(number: int) -> None:
        barrier.wait()
        act(number)

    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(run, number) for number in range(clients)]:
            done.result()


def test_eight_clients_on_two_hot_skus_lose_no_unit(world: World) -> None:
    for sku in ("mug", "cup"):
        world.move(sku, 1000, "supplier > available@A", "5000")

    def act(number: int) -> None:
        for _ in range(25):
            batch = [world.movement(sku, 1, path) for sku in ("mug", "cup")
                     for path in ("available@A > committed@A", "committed@A > customer")]  # fmt: skip
            random.Random(number).shuffle(batch)
            world.post(*sorted(batch, key=lambda m: m.to_state == "customer"))

    together(CLIENTS, act)
    assert [world.available(sku) for sku in ("mug", "cup")] == [800, 800]
    assert world.worth("mug")[0] == 800
    assert world.balance("cost_of_goods_sold") == 2000
    assert world.verify() == []


def test_writers_who_touch_the_same_items_in_other_orders_never_deadlock(world: World) -> None:
    skus = [f"sku {n}" for n in range(6)]
    for sku in skus:
        world.item(sku)

    def act(number: int) -> None:
        dice = random.Random(number)
        for _ in range(15):
            picked = dice.sample(skus, 4)
            world.post(
                *(
                    world.movement(sku, 1, dice.choice(["supplier > available@A", "available@B > customer"]), None)
                    for sku in picked
                )
            )

    together(CLIENTS, act)
    assert world.verify() == []


def test_the_same_fact_posted_by_eight_clients_at_once_counts_once(world: World) -> None:
    movement = world.movement("mug", 1, "supplier > available@A", "3", source_key="the one")
    together(CLIENTS, lambda _: world.post(movement) and None)
    assert world.available("mug") == 1
    assert world.verify() == []
