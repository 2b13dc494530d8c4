"""The demo's run: shops open, Perpetual starts, buyers buy; then everything is compared."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import requests

from app.accounts.merchants import list_merchants
from app.core.clock import monotonic_s
from app.core.config import Settings
from app.core.errors import Conflict, Unavailable
from app.core.log import configure
from app.core.runtime import Runtime
from app.core.signals import stop_on_signals
from app.demo import goods, shops
from app.demo.goods import Merchant, create_demo_merchant, find_demo_merchant
from app.demo.home import only_one, prepare_home
from app.demo.outcome import report_of
from app.demo.report import as_json, as_text
from app.demo.seller import Seller
from app.demo.settle import wait_until_quiet
from app.demo.shops import SHOPS_FILE, Street, can_reopen, dice
from app.demo.supervisor import Household, end_orphans, paced
from app.wiring import build, embedded_of
from sandbox.faults import NAMED

WEB_START_S = 60.0
SAVE_EVERY_S = 1.0
TELL_EVERY_S = 10.0
LOG_FILE = "demo.log"
_PACE = """
select percentile_cont(0.5) within group (order by s) as p50, percentile_cont(0.99) within group (order by s) as p99
from (select extract(epoch from a.closed_at - p.due_since) as s
      from push_row p join push_attempt a using (merchant_id, attempt_id)
      where p.merchant_id = %(merchant_id)s and p.outcome = 'written' and a.closed_at > %(since)s) w
"""
SAVE_SHARE = 20  # saving takes at most one part in so many of the time


@dataclass
class Demo:
    """One run of the demo. `for_s` None: until somebody stops it."""

    args: argparse.Namespace
    runtime: Runtime
    folder: Path
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.for_s: float | None = self.args.for_s
        self.origin = f"http://127.0.0.1:{self.runtime.settings.server.port}"
        self.faults = NAMED[self.args.faults]
        self.seed: int = self.args.seed

    def run(self) -> int:
        """Open, sell, and either serve until stopped or settle and report."""
        street, merchant = self._open()
        household = Household(self.runtime, merchant.merchant_id, self.folder / LOG_FILE)
        seller = Seller(street, self.runtime, merchant, goods.goods(), self.args.rate, dice(self.seed))
        try:
            household.start()
            self._wait_for_web()
            self._greet()
            seller.start()
            if self.args.faults == "wild":
                household.start_killing(dice(self.seed + 1))
            self._live(street, seller)
            seller.stop()
            return self._end(street, household, seller)
        finally:
            seller.stopping.set()
            household.stop()
            street.stop()
            street.save(self.folder / SHOPS_FILE)

    def _open(self) -> tuple[Street, Merchant]:
        """The street as it was left, or a new one."""
        clock = self.runtime.clock
        merchants = list_merchants(self.runtime.database, clock())
        saved = self.folder / SHOPS_FILE
        if merchants and saved.exists():
            street = shops.reopen_street(saved, clock, self.seed, self.faults)
            street.start()
            merchant = find_demo_merchant(self.runtime, merchants[0].merchant_id)
            with _without_faults(street):
                shops.reconnect_street(street, self.runtime, merchant, self.origin)
            return street, merchant
        street = shops.open_street(clock, self.seed, self.faults)
        shops.fill(street, goods.PLACES, goods.goods())
        street.start()
        merchant = create_demo_merchant(self.runtime)
        with _without_faults(street):
            shops.connect_street(street, self.runtime, merchant, self.origin, goods.PLACES)
        street.save(saved)
        return street, merchant

    def _wait_for_web(self) -> None:
        until = monotonic_s() + WEB_START_S
        while not self.stopping.wait(0.1):
            try:
                if requests.get(f"{self.origin}/healthz", timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            if monotonic_s() > until:
                raise Unavailable("web_did_not_start", f"see {self.folder / 'demo.log'}")

    def _greet(self) -> None:
        self.say(f"Perpetual's demo is at {self.origin}/ (Ctrl-C stops it)")
        self.say("A Shopify shop and a WooCommerce shop sell from one stock of 40 items in two places; faults: "
                  f"{self.args.faults}.")  # fmt: skip

    def say(self, text: str) -> None:
        """A line for a person."""
        if not self.args.json:
            print(text, flush=True)

    def _live(self, street: Street, seller: Seller) -> None:
        """Until the time is over or somebody stops us; a state of the shops is on disk at any moment."""
        started = monotonic_s()
        tell_at, save_at = started + TELL_EVERY_S, started + SAVE_EVERY_S
        while not self.stopping.wait(0.1):
            now = monotonic_s()
            if not seller.is_selling:
                raise Unavailable("seller_broke_off", "the pretend shops' buyers stopped: nothing was compared")
            if self.for_s is not None and now - started >= self.for_s:
                return
            if self.for_s is None and now >= save_at:
                street.save(self.folder / SHOPS_FILE)
                save_at = monotonic_s() + max(SAVE_EVERY_S, SAVE_SHARE * (monotonic_s() - now))
            if now >= tell_at:
                tell_at = now + (TELL_EVERY_S if now - started < 60 else 60.0)
                self._tell(seller)
                street.forget(self.runtime.clock())

    def _tell(self, seller: Seller) -> None:
        tally = seller.tally
        self.say(f"  sold {tally.orders} orders, {tally.units} units; turned away {tally.turned_away} buyers; "
                  f"{self._pace(seller.merchant)}")  # fmt: skip

    def _pace(self, merchant: Merchant) -> str:
        """How long a change waited until it was written, lately."""
        now = self.runtime.clock()
        try:
            with self.runtime.begin(merchant.merchant_id, now) as session:
                row = session.row(
                    _PACE,
                    since=now - timedelta(seconds=TELL_EVERY_S),
                )
        except Unavailable:
            return "the database is being brought back"
        if row is None or row.p50 is None:
            return "nothing had to be written"
        return f"a change is written after {row.p50:.2f} s (median), {row.p99:.2f} s (p99)"

    def _end(self, street: Street, household: Household, seller: Seller) -> int:
        household.calm()
        if self.for_s is None:
            self.say(f"Stopped after {seller.tally.orders} orders; the next start goes on from here.")
            return 0
        street.calm()
        settle_s = wait_until_quiet(self.runtime, seller.merchant.merchant_id, street)
        report = report_of(self.runtime, street, household, seller, settle_s)
        print(as_json(report) if self.args.json else as_text(report), flush=True)
        return 0 if report.is_good else 1


@contextmanager
def _without_faults(street: Street) -> Iterator[None]:
    """Shops are connected on a good day."""
    kept = {name: shop.context.faults for name, shop in street.shops.items()}
    street.calm()
    yield
    for name, shop in street.shops.items():
        shop.context.faults = kept[name]


def play(args: argparse.Namespace, settings: Settings) -> int:
    """The demo from the command line."""
    settings = paced(settings, args.port or shops.free_port())
    folder = settings.data.dir.resolve()
    with only_one(folder):
        end_orphans(folder / LOG_FILE)
        if args.port and not shops.port_becomes_free(args.port):
            raise Conflict("port_taken", f"port {args.port} is in use: choose another with --port")
        configure(settings.log.format, "ERROR" if settings.log.level == "INFO" else settings.log.level)
        goes_on = args.for_s is None and can_reopen(folder / SHOPS_FILE)
        was_there = prepare_home(settings, empty=not goes_on)
        runtime = build(settings, name="demo")
        demo = Demo(args, runtime, folder)
        stop_on_signals(demo.stopping.set)
        if not goes_on:
            (folder / SHOPS_FILE).unlink(missing_ok=True)
            (folder / LOG_FILE).unlink(missing_ok=True)
        if was_there and not goes_on and args.for_s is None:
            demo.say("What sold here last left no shops to go on with (a replay never does): starting empty.")
        try:
            return demo.run()
        finally:
            runtime.database.close()
            embedded = embedded_of(settings)
            if embedded is not None:
                embedded.stop()
