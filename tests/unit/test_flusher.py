"""Group commit: each is answered after their own delivery is durable, many in one transaction, errors to all of it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from app.core.errors import Unavailable
from app.inbox.receive import Delivery, Receipt
from app.web import flusher
from app.web.flusher import Flusher


def delivery(number: int) -> Delivery:
    return Delivery("shopify", None, {}, str(number).encode())


def test_everybody_gets_the_answer_to_their_own_delivery() -> None:
    made = Flusher(lambda batch: [Receipt(200, d.body.decode()) for d in batch])
    with ThreadPoolExecutor(16) as pool:
        receipts = list(pool.map(lambda n: made.submit(delivery(n)), range(200)))
    assert [receipt.reason for receipt in receipts] == [str(n) for n in range(200)]


def test_what_waits_while_one_batch_is_written_goes_together_in_the_next() -> None:
    first, go = Event(), Event()
    sizes: list[int] = []

    def receive(batch: Sequence[Delivery]) -> list[Receipt]:
        sizes.append(len(batch))
        if len(sizes) == 1:
            first.set()
            go.wait(10)
        return [Receipt(200, "received")] * len(batch)

    made = Flusher(receive)
    with ThreadPoolExecutor(9) as pool:
        alone = pool.submit(made.submit, delivery(0))
        first.wait(10)
        barrier = Barrier(9)

        def send(number: int) -> Receipt:
            barrier.wait()
            return made.submit(delivery(number))

        rest = [pool.submit(send, n) for n in range(8)]
        barrier.wait()
        while made.waiting() < 8:
            pass
        go.set()
        assert alone.result().status == 200
        assert [r.result().status for r in rest] == [200] * 8
    assert sizes == [1, 8]


def test_a_batch_that_can_not_be_stored_is_refused_to_all_and_the_next_goes_on() -> None:
    broken = [True]

    def receive(batch: Sequence[Delivery]) -> list[Receipt]:
        if broken.pop() if broken else False:
            raise Unavailable("database_unavailable")
        return [Receipt(200, "received")] * len(batch)

    made = Flusher(receive)
    with pytest.raises(Unavailable):
        made.submit(delivery(1))
    assert made.submit(delivery(2)).status == 200


def test_a_crash_while_storing_is_a_503_and_never_a_lost_thread() -> None:
    def receive(batch: Sequence[Delivery]) -> list[Receipt]:
        raise ZeroDivisionError

    made = Flusher(receive)
    for number in range(2):
        with pytest.raises(Unavailable) as refused:
            made.submit(delivery(number))
        assert refused.value.reason == "internal_error"


def test_more_than_can_wait_is_turned_away_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flusher, "WAITING_MAX", 2)
    busy, go = Event(), Event()

    def receive(batch: Sequence[Delivery]) -> list[Receipt]:
        busy.set()
        go.wait(10)
        return [Receipt(200, "received")] * len(batch)

    made = Flusher(receive)
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(made.submit, delivery(0))]
        busy.wait(10)
        waiting += [pool.submit(made.submit, delivery(n)) for n in (1, 2)]
        while made.waiting() < 2:
            pass
        with pytest.raises(Unavailable) as refused:
            made.submit(delivery(3))
        assert refused.value.reason == "too_many_deliveries"
        go.set()
        assert [w.result().status for w in waiting] == [200] * 3
