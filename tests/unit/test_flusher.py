"""Group commit: each is answered after their own delivery is durable, many in one transaction, errors to all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from app.core.errors import PerpetualError, Unavailable
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


class Gate:
    """A receiver whose first batch waits until `go`, so that the next holds everything that came meanwhile."""

    def __init__(self, receive: Callable[[Sequence[Delivery]], list[Receipt]]) -> None:
        self.receive, self.held, self.go = receive, Event(), Event()
        self.batches: list[list[bytes]] = []

    def __call__(self, batch: Sequence[Delivery]) -> list[Receipt]:
        self.batches.append([one.body for one in batch])
        if len(self.batches) == 1:
            self.held.set()
            self.go.wait(10)
            return received(batch)
        return self.receive(batch)

    def outcomes(self, number: int) -> list[int | str]:
        """Status or reason of deliveries 1 … number, which are one batch."""
        made = Flusher(self)

        def send(which: int) -> int | str:
            try:
                return made.submit(delivery(which)).status
            except PerpetualError as error:
                return error.reason

        with ThreadPoolExecutor(number + 1) as pool:
            alone = pool.submit(send, 0)
            assert self.held.wait(10)
            rest = []
            for which in range(1, number + 1):  # one after the other, so that their order in the batch is known
                rest.append(pool.submit(send, which))
                while made.waiting() < which:
                    pass
            self.go.set()
            assert alone.result() == 200
            return [one.result() for one in rest]


def received(batch: Sequence[Delivery]) -> list[Receipt]:
    return [Receipt(200, "received")] * len(batch)


@pytest.mark.parametrize("error", [ZeroDivisionError(), PerpetualError("not_authentic")])
def test_a_delivery_that_breaks_its_batch_fails_alone_and_the_others_are_stored(error: Exception) -> None:
    def receive(batch: Sequence[Delivery]) -> list[Receipt]:
        if any(one.body == b"2" for one in batch):
            raise error
        return received(batch)

    gate = Gate(receive)
    reason = error.reason if isinstance(error, PerpetualError) else "internal_error"
    assert gate.outcomes(3) == [200, reason, 200]
    assert gate.batches == [[b"0"], [b"1", b"2", b"3"], [b"1"], [b"2"], [b"3"]]


def test_a_database_that_is_away_is_asked_once_for_a_batch_and_not_once_for_each() -> None:
    def receive(batch: Sequence[Delivery]) -> list[Receipt]:
        raise Unavailable("database_unavailable")

    gate = Gate(receive)
    assert gate.outcomes(3) == ["database_unavailable"] * 3
    assert gate.batches == [[b"0"], [b"1", b"2", b"3"]]


def test_a_batch_has_a_bound_and_the_rest_goes_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flusher, "BATCH_MAX", 2)
    gate = Gate(received)
    assert gate.outcomes(5) == [200] * 5
    assert [len(batch) for batch in gate.batches] == [1, 2, 2, 1]


def test_a_delivery_that_takes_too_long_to_store_is_a_503_and_the_thread_is_free_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flusher, "ANSWER_S", 0.0)
    go = Event()

    def receive(batch: Sequence[Delivery]) -> list[Receipt]:
        go.wait(10)
        return received(batch)

    with pytest.raises(Unavailable) as refused:
        Flusher(receive).submit(delivery(1))
    assert refused.value.reason == "store_too_slow"
    go.set()


def test_an_answer_for_fewer_deliveries_than_were_given_is_a_success_for_nobody() -> None:
    gate = Gate(lambda batch: received(batch)[1:])
    assert gate.outcomes(2) == ["internal_error"] * 2


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
