"""Group commit: request threads hand over their delivery and wait; one thread writes all that wait in one transaction.

Each is answered only when it is durable, and one fsync serves many. At one request in flight nothing waits for company;
in a rush a batch waits a moment for more, since a transaction costs the same for one row as for fifty.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.core.errors import PerpetualError, Unavailable
from app.core.log import get_logger
from app.inbox.receive import Delivery, Receipt

BATCH_MAX = 200
GATHER_S = 0.004  # for company, if the batch before had some
WAITING_MAX = 2_000  # deliveries in memory; more are turned away with 503 and come again
ANSWER_S = 20.0

log = get_logger("flusher")
Receive = Callable[[Sequence[Delivery]], list[Receipt]]


def _taken() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True)
class _Waiting:
    """`done` is released when there is an answer."""

    delivery: Delivery
    done: threading.Lock = field(default_factory=_taken)
    receipt: Receipt | None = None
    error: PerpetualError | None = None


class Flusher:
    """Owns one daemon thread, started with the first delivery (so that a forked process gets its own)."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._queue: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pause = threading.Event()  # never set

    def submit(self, delivery: Delivery) -> Receipt:
        """Wait until the delivery is durable; raises Unavailable when it can't be made so now."""
        self._ensure_thread()
        if self._queue.qsize() >= WAITING_MAX:
            raise Unavailable("too_many_deliveries", "more deliveries wait than can be stored; send it again")
        waiting = _Waiting(delivery)
        self._queue.put(waiting)
        if not waiting.done.acquire(timeout=ANSWER_S):
            raise Unavailable("store_too_slow", "the delivery could not be stored in time; send it again")
        if waiting.error is not None:
            raise waiting.error
        assert waiting.receipt is not None  # noqa: S101  set before `done`
        return waiting.receipt

    def waiting(self) -> int:
        """Deliveries that nobody is writing yet."""
        return self._queue.qsize()

    def _ensure_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            with self._starting:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name="flusher", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        rush = False
        while True:
            batch = [self._queue.get()]
            if rush:
                self._pause.wait(GATHER_S)
            while len(batch) < BATCH_MAX and not self._queue.empty():
                batch.append(self._queue.get())
            rush = len(batch) > 1
            self._flush(batch)

    def _flush(self, batch: Sequence[_Waiting]) -> None:
        """Store a batch. A database that is away fails all of it; what one delivery breaks fails that one alone. The
        guard stands in for Flask's own, since an error here would leave the threads waiting."""
        failed: PerpetualError | None = None
        try:
            for waiting, receipt in zip(batch, self._receive([w.delivery for w in batch]), strict=True):
                waiting.receipt = receipt
        except Unavailable as error:
            failed = error
        except Exception as error:
            log.exception("flush_crashed", reason="internal_error", deliveries=len(batch))
            if len(batch) > 1:
                for waiting in batch:
                    self._flush([waiting])
                return
            again = Unavailable("internal_error", "the delivery was not stored; send it again")
            failed = error if isinstance(error, PerpetualError) else again
        for waiting in batch:
            waiting.error = failed
            waiting.done.release()
