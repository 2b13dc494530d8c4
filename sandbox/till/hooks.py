"""A till's deliveries: signed, sent once, each with an id of its own; the body is the state when it happened."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from heapq import heappop, heappush

import orjson

from sandbox.base import Context, Delivery
from sandbox.till.state import Hook
from sandbox.till.wire import Json

EVENTS = ("order.changed", "order.deleted", "product.changed", "product.deleted", "stock.changed")
FAILURES_MAX = 20  # in a row; then the subscription is paused


class Hooks:
    """Subscriptions and what is on its way."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.hooks: dict[str, Hook] = {}
        self._flying: list[tuple[datetime, int, Delivery]] = []
        self._count = 0

    def add(self, event: str, url: str, secret: str) -> Hook:
        """A new active subscription."""
        self._count += 1
        hook = self.hooks[str(self._count)] = Hook(str(self._count), event, url, secret)
        return hook

    def emit(self, event: str, what: Json) -> None:
        """Something happened: every active subscription to it is told, as often as the dice say."""
        for hook in self.hooks.values():
            if hook.event == event and hook.status == "active":
                self._send(hook, what)

    def _send(self, hook: Hook, what: Json) -> None:
        self._count += 1
        body = orjson.dumps({"event": hook.event, "delivery": f"d{self._count}", **what})
        signature = hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Till-Signature": signature}
        now, delays = self._context.now(), self._context.delays_s()
        for delay_s in delays:
            self._count += 1
            due_at = now + timedelta(seconds=delay_s)
            heappush(self._flying, (due_at, self._count, Delivery(due_at, hook.url, headers, body, hook.id)))
        if not delays:
            self.delivered(hook.id, None)  # lost on the way: the till sees a failed connection

    def due(self) -> list[Delivery]:
        """Take those whose time has come."""
        now, landed = self._context.now(), []
        while self._flying and self._flying[0][0] <= now:
            landed.append(heappop(self._flying)[2])
        return landed

    def next_at(self) -> datetime | None:
        """When the next one falls due."""
        return self._flying[0][0] if self._flying else None

    def delivered(self, hook_key: str, status: int | None) -> None:
        """The receiver's answer."""
        hook = self.hooks.get(hook_key)
        if hook is None:
            return
        hook.failures = 0 if status is not None and 200 <= status < 300 else hook.failures + 1
        if hook.failures >= FAILURES_MAX:
            hook.status = "paused"
