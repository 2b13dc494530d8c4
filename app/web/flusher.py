"""Group commit: request threads hand over their delivery and wait; one thread writes all that wait in one transaction.

Each is answered only when it is durable, and one fsync serves many. At one request in flight nothing waits for company.
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
WAITING_MAX = 2_000  # deliveries in memory; more are turned away with 503 and come again
ANSWER_S = 20.0

log = get_logger("flusher")
Receive = Callable[[Sequence[Delivery]], list[Receipt]]


@dataclass(slots=True)
class _Waiting:
    delivery: Delivery
    done: threading.Event = field(default_factory=threading.Event)
    receipt: Receipt | None = None
    error: Exception | None = None


class Flusher:
    """Owns one daemon thread, started with the first delivery (so that a forked process gets its own)."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._queue: queue.Queue[_Waiting] = queue.Queue(WAITING_MAX)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, delivery: Delivery) -> Receipt:
        """Wait until the delivery is durable; raises Unavailable when it can't be made so now."""
        self._ensure_thread()
        waiting = _Waiting(delivery)
        try:
            self._queue.put_nowait(waiting)
        except queue.Full:
            raise Unavailable("too_many_deliveries", "more deliveries wait than can be stored; send it again") from None
        if not waiting.done.wait(ANSWER_S):
            raise Unavailable("store_too_slow", "the delivery could not be stored in time; send it again")
        if waiting.error is not None:
            raise waiting.error
        assert waiting.receipt is not None  # noqa: S101  set before `done`
        return waiting.receipt

    def _ensure_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            with self._starting:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name="flusher", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < BATCH_MAX:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            self._flush(batch)

    def _flush(self, batch: Sequence[_Waiting]) -> None:
        """Store a batch; the guard stands in for Flask's own, since an error here would leave the threads waiting."""
        try:
            for waiting, receipt in zip(batch, self._receive([w.delivery for w in batch]), strict=True):
                waiting.receipt = receipt
        except PerpetualError as error:
            self._fail(batch, error)
        except Exception:
            log.exception("flush_crashed", reason="internal_error")
            self._fail(batch, Unavailable("internal_error", "the delivery was not stored; send it again"))
        for waiting in batch:
            waiting.done.set()

    @staticmethod
    def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
        for waiting in batch:
            waiting.error = error
