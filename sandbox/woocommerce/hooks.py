"""Webhooks with WooCommerce's habits (10.2.4 and 10.9.0, 2026-11-23).

The body is the state when it is sent; an identical pending delivery swallows a new one; there is no retry; the 7th
failure in a row disables; the count stays at 6 after that, so one more failure disables again; the delivery id is the
same for all deliveries of a webhook within a second; a new webhook pings, unsigned.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush

from sandbox.base import Delivery
from sandbox.woocommerce.state import State

CRON_S = 60.0
CRON_JITTER_S = 7.0
FAILURES_MAX = 5  # above it the next failure disables
RESOURCES = {
    "coupon": ("created", "updated", "deleted", "restored"),
    "customer": ("created", "updated", "deleted"),
    "order": ("created", "updated", "deleted", "restored"),
    "product": ("created", "updated", "deleted", "restored"),
}
_ACTION = re.compile(r"action\.(woocommerce|wc)_[a-z0-9_]+\Z")


@dataclass(slots=True)
class Hook:
    """One subscription."""

    id: int
    name: str
    topic: str
    url: str
    secret: str
    created_at: datetime
    modified_at: datetime | None = None
    status: str = "active"
    failures: int = 0


def is_topic(topic: str, release: tuple[int, ...]) -> bool:
    """Whether the shop would accept it; any action name passes, even one that never fires."""
    resource, _, event = topic.partition(".")
    known = event in RESOURCES.get(resource, ()) or (topic == "product.published" and release >= (10, 9))
    return known or _ACTION.match(topic) is not None


class Hooks:
    """Subscriptions and what is on its way. `render(topic, arg)` gives the body as it is at that moment."""

    def __init__(self, state: State, render: Callable[[str, int], bytes]) -> None:
        self._state = state
        self._render = render
        self.hooks: dict[int, Hook] = {}
        self._by_topic: dict[str, list[Hook]] = {}
        self._pending: dict[tuple[int, int], None] = {}
        self._queue: list[tuple[datetime, int, int, int]] = []  # due, sequence, hook, arg
        self._flying: list[tuple[datetime, int, Delivery]] = []
        self._sequence = 0
        self._last_id = 0
        self._visited_at: datetime | None = None

    def add(self, name: str, topic: str, *, url: str, secret: str) -> Hook:
        """A new active subscription; the ping leaves at once."""
        self._last_id += 1
        hook = Hook(self._last_id, name, topic, url, secret, self._state.now())
        self.hooks[hook.id] = hook
        self._by_topic.setdefault(topic, []).append(hook)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": self._agent()}
        now = self._state.context.now()
        self._fly(Delivery(now, url, headers, f"webhook_id={hook.id}".encode(), ""))
        return hook

    def remove(self, hook: Hook) -> None:
        """Gone, with what it had pending."""
        del self.hooks[hook.id]
        self._by_topic[hook.topic].remove(hook)

    def visited(self) -> None:
        """Somebody called the site: what cron had due may run."""
        self._visited_at = self._state.context.now()

    def emit(self, topic: str, arg: int) -> None:
        """Something happened; active subscriptions of the topic get a pending delivery, unless they have the same."""
        for hook in self._by_topic.get(topic, ()):
            if hook.status == "active" and (hook.id, arg) not in self._pending:
                self._pending[hook.id, arg] = None
                self._sequence += 1
                heappush(self._queue, (self._due_at(), self._sequence, hook.id, arg))

    def _due_at(self) -> datetime:
        now = self._state.context.now()
        if self._state.options.webhooks == "instant":
            return now
        return now + timedelta(seconds=CRON_S + self._state.context.rng.uniform(0, CRON_JITTER_S))

    def due(self) -> list[Delivery]:
        """What has to be posted now."""
        now = self._state.context.now()
        while self._queue and self._queue[0][0] <= now and self._may_run(self._queue[0][0]):
            _, _, hook_id, arg = heappop(self._queue)
            self._pending.pop((hook_id, arg), None)
            hook = self.hooks.get(hook_id)
            if hook is not None and hook.status == "active":
                self._send(hook, arg)
        return self._landing(now)

    def next_at(self) -> datetime | None:
        """When the next one falls due, to be rendered or to arrive; None when there is none."""
        return min((queue[0][0] for queue in (self._queue, self._flying) if queue), default=None)

    def _may_run(self, due_at: datetime) -> bool:
        if not self._state.options.needs_traffic:
            return True
        return self._visited_at is not None and self._visited_at >= due_at

    def _landing(self, now: datetime) -> list[Delivery]:
        landed = []
        while self._flying and self._flying[0][0] <= now:
            landed.append(heappop(self._flying)[2])
        return landed

    def _send(self, hook: Hook, arg: int) -> None:
        now = self._state.context.now()
        body = self._render(hook.topic, arg)
        delays = self._state.context.delays_s()
        headers = self._headers(hook, body, now)
        for delay_s in delays:
            self._fly(Delivery(now + timedelta(seconds=delay_s), hook.url, headers, body, str(hook.id)))
        if not delays:
            self.delivered(str(hook.id), None)  # lost on the way: the shop sees a failed connection

    def _fly(self, delivery: Delivery) -> None:
        self._sequence += 1
        heappush(self._flying, (delivery.due_at, self._sequence, delivery))

    def _headers(self, hook: Hook, body: bytes, now: datetime) -> dict[str, str]:
        resource, _, event = hook.topic.partition(".")
        key = html.unescape(hook.secret).encode()
        second = f"{hook.id}{int(now.timestamp())}"
        return {
            "User-Agent": self._agent(),
            "Content-Type": "application/json",
            "X-WC-Webhook-Source": f"{self._state.options.base_url}/",
            "X-WC-Webhook-Topic": hook.topic,
            "X-WC-Webhook-Resource": resource,
            "X-WC-Webhook-Event": event,
            "X-WC-Webhook-Signature": base64.b64encode(hmac.new(key, body, hashlib.sha256).digest()).decode(),
            "X-WC-Webhook-ID": str(hook.id),
            "X-WC-Webhook-Delivery-ID": hashlib.md5(second.encode()).hexdigest(),  # noqa: S324 (as the shop does)
        }

    def _agent(self) -> str:
        options = self._state.options
        return f"WooCommerce/{options.version} Hookshot (WordPress/{options.wp_version})"

    def delivered(self, hook_key: str, status: int | None) -> None:
        """200 to 302 is success and clears the count; anything else counts, the 7th in a row disables."""
        hook = self.hooks.get(int(hook_key)) if hook_key else None
        if hook is None:
            return
        if status is not None and 200 <= status <= 302:
            hook.failures = 0
        elif hook.failures > FAILURES_MAX:
            hook.status = "disabled"
        else:
            hook.failures += 1
