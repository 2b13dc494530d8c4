"""Virtual time, and programs that live in it.

A program is a thread, but only one of them runs at any moment: it goes on until it pauses, and who goes on next is
decided by the clockwork alone. So a run is the same every time, and every order of steps that pauses allow can happen.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count


class Killed(BaseException):
    """The process is gone. Nothing catches it; whatever it tries to do on its way out fails with the same."""


@dataclass
class Clockwork:
    """What happens when. Acts of the same moment happen in the order in which they were asked for."""

    now: datetime
    _due: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    _order: count[int] = field(default_factory=count)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Have something happen that many seconds from now."""
        heapq.heappush(self._due, (self.now + timedelta(seconds=seconds), next(self._order), act))

    def run(self, seconds: float) -> None:
        """Let that much time pass, with everything that is due in it."""
        until = self.now + timedelta(seconds=seconds)
        while self._due and self._due[0][0] <= until:
            at, _, act = heapq.heappop(self._due)
            self.now = max(self.now, at)
            act()
        self.now = until

    def leap(self, seconds: float) -> None:
        """Time passes while nobody runs; what was due meanwhile is due now."""
        self.now += timedelta(seconds=seconds)


@dataclass(eq=False)
class Process:
    """A program in virtual time. `fuse`: how many more points (statements, calls) it passes before it dies; None: it
    lives on. `crashed` is what ended it if it was neither killed nor done: a bug."""

    clockwork: Clockwork
    name: str
    fuse: int | None = None
    dead: bool = False
    crashed: BaseException | None = None
    on_end: Callable[[], None] = lambda: None
    resting: bool = False
    _turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _back: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _nap: int = 0  # a nap that was cut short must not end again
    _thread: threading.Thread | None = None

    def start(self, program: Callable[[Process], None]) -> None:
        """Run the program from now on."""
        self._thread = threading.Thread(target=self._live, args=(program,), name=self.name, daemon=True)
        self._thread.start()
        self.clockwork.after(0, lambda: self._go_on(0))

    def pause(self, seconds: float) -> None:
        """Called by the program: let others run for that long."""
        if self.dead:
            raise Killed
        nap = self._nap
        self.clockwork.after(seconds, lambda: self._go_on(nap))
        self._back.release()
        self._turn.acquire()
        if self.dead:
            raise Killed

    def rest(self, seconds: float) -> None:
        """Called by the program: nothing to do for that long, or until it is woken."""
        self.resting = True
        try:
            self.pause(seconds)
        finally:
            self.resting = False

    def wake(self) -> None:
        """End its rest."""
        if self.resting:
            nap = self._nap
            self.clockwork.after(0, lambda: self._go_on(nap))

    def point(self) -> None:
        """Called by the program at every point where it may die."""
        if self.fuse is not None:
            self.fuse -= 1
            self.dead = self.dead or self.fuse < 0
        if self.dead:
            raise Killed

    def end(self) -> None:
        """Kill it where it is, and wait until it is gone."""
        self.dead = True
        if self._thread is not None and self._thread.is_alive():
            self._go_on(self._nap)
            self._thread.join()

    def _go_on(self, nap: int) -> None:
        if nap != self._nap or self._thread is None or not self._thread.is_alive():
            return
        self._nap += 1
        self._turn.release()
        self._back.acquire()

    def _live(self, program: Callable[[Process], None]) -> None:
        self._turn.acquire()
        try:
            if not self.dead:
                program(self)
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001  reported as a violation by whoever watches
            self.crashed = error
        finally:
            self.dead = True
            self.on_end()
            self._back.release()
