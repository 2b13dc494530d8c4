"""Ctrl-C and SIGTERM end a process by a thread of their own.

Python runs a signal's handler in the main thread, between any two of its steps: also while that thread holds the lock
of the very event that the handler would set, and then it hangs for ever. `SimpleQueue.put` is made to be called there.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread


def stop_on_signals(stop: Callable[[], None]) -> None:
    """Call `stop` in another thread whenever this process is asked to end. To be called in the main thread."""
    asked: SimpleQueue[int] = SimpleQueue()

    def wait() -> None:
        while asked.get():
            stop()

    Thread(target=wait, name="signals", daemon=True).start()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda number, _frame: asked.put(number))
