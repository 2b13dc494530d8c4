"""Live pages: one small stream per open page tells the browser that something has changed; the page then loads itself.

One thread per process looks once a second, for all streams together, and only while somebody watches; should it crash,
the next heartbeat of any stream starts it again. Streams are bounded per process and merchant, have a heartbeat, and
end by themselves: the browser opens the next one.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial

from app.core.clock import monotonic_s
from app.core.errors import Unavailable
from app.core.log import get_logger
from app.core.runtime import Runtime
from app.insight.stamp import read_stamp

STREAMS_MAX = 32  # per process: each holds a thread of the web server
STREAMS_PER_MERCHANT_MAX = 16
LOOK_EVERY_S = 1.0
HEARTBEAT_S = 15.0
STREAM_S = 300.0
RETRY_MS = 2_000
RETRY_FULL_S = 30

log = get_logger("live")


class Live:
    """Owns the process's looking thread, started with the first stream and gone after the last."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        look_every_s: float = LOOK_EVERY_S,
        heartbeat_s: float = HEARTBEAT_S,
        stream_s: float = STREAM_S,
    ) -> None:
        self._runtime = runtime
        self._look_every_s = look_every_s
        self._heartbeat_s = heartbeat_s
        self._stream_s = stream_s
        self._changed = threading.Condition()
        self._watching: Counter[int] = Counter()
        self._stamps: dict[int, str] = {}
        self._thread: threading.Thread | None = None
        self._stopping = False

    def take_seat(self, merchant_id: int) -> None:
        """Count a stream in; raises Unavailable when there are too many. `leave` it in any case."""
        with self._changed:
            if self._watching.total() >= STREAMS_MAX or self._watching[merchant_id] >= STREAMS_PER_MERCHANT_MAX:
                raise Unavailable("too_many_streams", "too many live pages are open", retry_after_s=RETRY_FULL_S)
            self._watching[merchant_id] += 1
            self._ensure_thread()

    def leave(self, merchant_id: int) -> None:
        """Count a stream out."""
        with self._changed:
            self._watching[merchant_id] -= 1
            if self._watching[merchant_id] <= 0:
                del self._watching[merchant_id]
                self._stamps.pop(merchant_id, None)
            self._changed.notify_all()

    def stop(self) -> None:
        """End the thread and every stream (the process ends, or a test does)."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(timeout=5)

    @property
    def streams(self) -> int:
        """How many are open."""
        with self._changed:
            return self._watching.total()

    def stream(self, merchant_id: int, seen: str) -> Iterator[str]:
        """Server-sent events: `changed` whenever the stamp is no longer `seen`, a comment as heartbeat."""
        ends_at = monotonic_s() + self._stream_s
        yield f"retry: {RETRY_MS}\n\n"
        while (left := ends_at - monotonic_s()) > 0:
            with self._changed:
                self._ensure_thread()
                news = partial(self._is_news, merchant_id, seen)
                self._changed.wait_for(news, timeout=min(self._heartbeat_s, left))
                stamp = self._stamps.get(merchant_id, seen)
                if self._stopping:
                    return
            if stamp == seen:
                yield ": still here\n\n"
            else:
                seen = stamp
                yield f"id: {stamp}\nevent: changed\ndata: {stamp}\n\n"

    def _is_news(self, merchant_id: int, seen: str) -> bool:
        return self._stopping or self._stamps.get(merchant_id, seen) != seen

    def _ensure_thread(self) -> None:
        """Hold `_changed`."""
        if not self._stopping and self._watching and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._look, name="live", daemon=True)
            self._thread.start()

    def _look(self) -> None:
        """Until nobody watches. What nobody expected ends the thread and is logged here: a page that learns of nothing
        for a heartbeat is no reason to hide it."""
        try:
            self._look_on()
        finally:
            if sys.exc_info()[0] is not None:
                log.error("live_look_crashed", reason="internal_error", exc_info=True)

    def _look_on(self) -> None:
        while True:
            with self._changed:
                if self._stopping or not self._watching:
                    self._thread = None
                    return
                merchants = list(self._watching)
            stamps = self._read(merchants)
            with self._changed:
                self._stamps |= {m: stamp for m, stamp in stamps.items() if m in self._watching}
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._stopping or not self._watching, timeout=self._look_every_s)

    def _read(self, merchants: list[int]) -> dict[int, str]:
        stamps = {}
        try:
            for merchant_id in merchants:
                with self._runtime.begin(merchant_id, self._runtime.clock()) as session:
                    stamps[merchant_id] = read_stamp(session)
        except Unavailable as error:
            log.warning("live_look_failed", reason=error.reason)
        return stamps
