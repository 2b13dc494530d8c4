"""Promise 3: a fact is booked once. Its key again does nothing."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from app.core.db import connect
from app.core.embedded import APP_ROLE, Embedded
from app.ledger.post import post
from tests.world import World

BUY = "supplier > available@A"


@pytest.mark.parametrize("before", range(7))
def test_a_fact_sent_again_costs_nobody_the_connections_later_postings(
    server: Embedded, world: World, before: int
) -> None:
    with closing(connect(server.url(APP_ROLE), pool_max=1)) as own:  # no statement of it has been prepared yet
        mine = replace(world, database=own)
        known = mine.movement("mug", 3, BUY, "30")
        mine.post(known)
        for _ in range(before):
            mine.move("mug", 1, BUY, "10")
        with mine.session() as session:
            assert post(session, [known, mine.movement("mug", 2, BUY, "20")]).repeated == 1
        assert mine.move("mug", 1, BUY, "10")
        assert mine.available("mug") == 6 + before
