"""The wire between a simulated process and a pretend shop: it takes time, breaks, and brings what is no answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, NoReturn

import requests

from app.simulation.answers import CUT_SHORT, GARBLED, refusals_of
from app.simulation.clockwork import Process
from app.simulation.spoiling import spoilt
from app.simulation.weather import Fate, Weather, fate_of
from sandbox.base import Request, Response, Shop
from sandbox.front import BAD_GATEWAY, THROTTLED, UNAVAILABLE, Throttling
from sandbox.inprocess import ShopAdapter
from sandbox.woocommerce import adding

GIVEN_UP_S = 30.0  # connectors.http.READ_S: how long a caller mostly waits for an answer that never comes
LATE_S = 15.0  # how long after that a shop may still go on; below `LATE` of app/publishing/unanswered.py
LATENCY_S = (0.02, 0.6)
SPOILT = 0.5  # of the answers that can't be read: all of it is there, and one value is of another kind


@dataclass
class Wires:
    """What all wires of a run share. `saw(what)` counts; `wrote(shop)` is told after each effect on a shop, `replaced`
    of units that were sold while a shop read, added and wrote. `broken`: calls that nobody will hear of again, and
    processes that stand still."""

    dice: Random
    weather: Callable[[], Weather]
    saw: Callable[[str], None]
    wrote: Callable[[Shop], None]
    replaced: Callable[[Shop, str, int], None] = lambda shop, sku, units: None
    broken: int = 0

    @contextmanager
    def broken_meanwhile(self) -> Iterator[None]:
        """Something is broken that the storm's end does not mend at once."""
        self.broken += 1
        try:
            yield
        finally:
            self.broken -= 1

    def break_off(self, process: Process, after_s: float) -> NoReturn:
        """No answer comes; the caller gives up in the end."""
        with self.broken_meanwhile():
            process.pause(after_s)
        raise requests.ReadTimeout("no answer")


class Wire(ShopAdapter):
    """The transport of one process to one shop."""

    def __init__(self, shop: Shop, process: Process, wires: Wires) -> None:
        super().__init__(shop)
        self.process = process
        self.wires = wires
        self._patience_s = GIVEN_UP_S

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """As the network would, for a caller who waits as long as they say."""
        timeout = kwargs.get("timeout")
        self._patience_s = timeout[1] if isinstance(timeout, tuple) else GIVEN_UP_S
        return super().send(request, *args, **kwargs)

    def _note(self, asked: Request) -> None:
        """Runs are long: what was asked is not kept."""
        self.wires.saw("call")

    def _answer(self, asked: Request) -> Response:
        wires, process = self.wires, self.process
        process.point()
        fate = fate_of(wires.weather(), wires.dice)
        if fate is not Fate.GOOD:
            wires.saw(fate)
        process.pause(wires.dice.uniform(*LATENCY_S))
        if fate is Fate.THROTTLED:
            return self.shop.throttled(asked) if isinstance(self.shop, Throttling) else THROTTLED
        if fate is Fate.REFUSED:
            return self._choose(refusals_of(self.shop))
        if fate in (Fate.LOST_BEFORE, Fate.LATE):
            self._unheard(asked, late=fate is Fate.LATE)
        answer = self._handled(asked)
        process.point()
        if fate is Fate.LOST_AFTER:
            wires.break_off(process, self._patience_s)
        process.pause(wires.dice.uniform(*LATENCY_S) / 4)
        if fate is Fate.GARBLED and wires.dice.random() < SPOILT:
            return spoilt(answer, wires.dice)
        if fate is Fate.GARBLED:
            return self._choose((*GARBLED, *CUT_SHORT))
        return wires.dice.choice((BAD_GATEWAY, UNAVAILABLE)) if fate is Fate.BROKEN else answer

    def _choose(self, answers: Sequence[Response | type[Exception]]) -> Response:
        answer = self.wires.dice.choice(answers)
        if isinstance(answer, Response):
            return answer
        raise answer("broken")

    def _unheard(self, asked: Request, *, late: bool) -> NoReturn:
        clockwork, begun = self.process.clockwork, self.process.clockwork.now
        try:
            self.wires.break_off(self.process, self._patience_s)
        finally:  # given up, or dead, of which the shop knows nothing: it goes on no longer than for the living
            if late:
                left_s = max(0.0, self._patience_s - (clockwork.now - begun).total_seconds())
                self.wires.broken += 1
                clockwork.after(self.wires.dice.uniform(0, left_s + LATE_S), lambda: self._do_late(asked))

    def _do_late(self, asked: Request) -> None:
        begun = adding.begin(self.shop, asked)

        def end() -> None:
            self._finish(begun)
            self.wires.broken -= 1

        self.process.clockwork.after(self._adding_s(), end)

    def _handled(self, asked: Request) -> Response:
        begun = adding.begin(self.shop, asked)
        if begun.read:
            self.process.pause(self._adding_s())
        return self._finish(begun)

    def _adding_s(self) -> float:
        return self.wires.dice.uniform(0.0, self.wires.weather().adding_s)

    def _finish(self, begun: adding.Adding) -> Response:
        answer, replaced = adding.finish(self.shop, begun)
        for sku, units in replaced.items():
            self.wires.saw("replaced")
            self.wires.replaced(self.shop, sku, units)
        self.wires.wrote(self.shop)
        return answer
