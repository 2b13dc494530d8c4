"""How fast a whole catalogue comes in, and in how much memory: a pretend Shopify over loopback leaves a file of its
bulk operation behind, and a real worker reads and stores it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import orjson

from app.accounts.merchants import create_merchant
from app.catalog.locations import create_location
from app.core.clock import system_clock
from app.core.db import Session
from app.listings import matching
from app.listings.channels import NewChannel
from app.listings.connect import connect
from app.listings.credentials import WEBHOOK_SECRETS
from app.listings.importing import Import, list_imports, request_import
from app.listings.opening import open_from_shop
from app.publishing.first_push import approve, lay_out
from bench import first_push, process
from bench.scratch import Scratch, scratch
from sandbox.base import Context
from sandbox.front import Front
from sandbox.shopify import PretendShopify
from sandbox.shopify.shop import ACCESS_TOKEN, WEBHOOK_SECRET
from sandbox.shopify.state import FIRST_ID, number

DOMAIN, PLACE = "bench-import.myshopify.com", "Warehouse"
WAIT_MAX_S, LOOK_EVERY_S = 3_600.0, 0.2
KIB_PER_MIB = 1_024
Result = TypeVar("Result")


def run(variants: int) -> dict[str, Any]:
    """Import so many variants on a database of its own."""
    from random import Random

    shop = PretendShopify(Context(system_clock, Random(1)), domain=DOMAIN)
    place = number(shop.add_location(PLACE))
    shop.bulk.takes_s = 1.0
    shop.bulk.content = lambda: (_file(variants, place), variants * 2)
    with scratch() as home, Front(shop, pump=False) as front:
        merchant_id, channel_id = _connect(home, front.base_url)
        began = perf_counter()
        home.start("worker", "app", "worker")
        job, peak_mib = _wait(home, merchant_id, channel_id)
        total_s = perf_counter() - began
        stored_s = (job.completed_at - job.began_at).total_seconds() if job.completed_at and job.began_at else total_s
        return {
            "variants": job.stored, "variants_per_s": round(job.stored / stored_s), "peak_rss_mib": round(peak_mib),
            "stored_s": round(stored_s, 1), "with_waiting_for_the_file_s": round(total_s, 1),
            "acts_s": _acts(home, merchant_id, channel_id), "first_push_s": first_push.run(home),
        }  # fmt: skip


def _connect(home: Scratch, base_url: str) -> tuple[int, int]:
    runtime = home.runtime
    merchant_id = create_merchant(runtime.database, runtime.clock(), name="bench")
    with runtime.begin(merchant_id, runtime.clock()) as session:
        create_location(session, PLACE)
    credentials = {"access_token": ACCESS_TOKEN, WEBHOOK_SECRETS: WEBHOOK_SECRET}
    new = NewChannel("shopify", "Shopify", DOMAIN, base_url, credentials, {}, "shadow")
    channel_id = connect(runtime, merchant_id, new, webhook_url=f"{home.origin}/webhooks/shopify")
    with runtime.begin(merchant_id, runtime.clock()) as session:
        request_import(session, channel_id, "catalogue", since=session.now, until=session.now)
    return merchant_id, channel_id


def _acts(home: Scratch, merchant_id: int, channel_id: int) -> dict[str, float]:
    """Seconds of each act on the way to the first push, with all variants at once, as the pages do them."""
    runtime, took = home.runtime, dict[str, float]()

    def timed(name: str, act: Callable[[Session], Result]) -> Result:
        began = perf_counter()
        with runtime.begin(merchant_id, runtime.clock()) as session:
            done = act(session)
        took[name] = round(perf_counter() - began, 1)
        return done

    found = timed("match", lambda session: matching.propose(session, channel_id))
    listings, _ = found.of(["new"])
    timed("accept", lambda session: matching.accept(session, channel_id, ["new"], listings=listings, by="bench"))
    timed("open_stock", lambda session: open_from_shop(session, channel_id))
    shown = timed("lay_out", lambda session: lay_out(session, channel_id))
    timed("approve", lambda session: approve(session, channel_id, shown.digest, by="bench"))
    return took


def _wait(home: Scratch, merchant_id: int, channel_id: int) -> tuple[Import, float]:
    """Until the import has ended; the job, and the most memory that the worker ever held. Raises TimeoutError."""
    until, peak = perf_counter() + WAIT_MAX_S, 0.0
    while perf_counter() < until:
        peak = max(peak, _peak_mib(home.processes["worker"].pid))
        with home.runtime.begin(merchant_id, home.runtime.clock()) as session:
            job = next(job for job in list_imports(session, channel_id) if job.what == "catalogue")
        if job.completed_at is not None:
            return job, peak
        process.rest(LOOK_EVERY_S)
    raise TimeoutError("the import does not end")


def _peak_mib(root: int) -> float:
    """The highest resident size so far of the process and its children together."""
    total = 0.0
    for pid in process.tree(root):
        with suppress(OSError):
            told = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
            total += int(told[1]) / KIB_PER_MIB if told else 0.0
    return total


def _file(variants: int, place: int) -> bytes:
    """The file of a bulk operation: each variant, and behind it its number at the one location."""
    lines = []
    for n in range(variants):
        item = f"gid://shopify/InventoryItem/{FIRST_ID + 2 * n + 1}"
        variant = {
            "id": f"gid://shopify/ProductVariant/{FIRST_ID + 2 * n}", "sku": f"SKU-{n:07}", "barcode": f"{10**12 + n}",
            "displayName": f"Product {n // 10} - Size {n % 10}", "price": "10.00", "requiresComponents": False,
            "inventoryItem": {"id": item, "tracked": True, "unitCost": {"amount": "4.20"}},
        }  # fmt: skip
        level = {
            "id": f"gid://shopify/InventoryLevel/{FIRST_ID + n}?inventory_item_id={FIRST_ID + 2 * n + 1}",
            "location": {"id": f"gid://shopify/Location/{place}"},
            "quantities": [{"name": "available", "quantity": n % 50}], "__parentId": item,
        }  # fmt: skip
        lines += [orjson.dumps(variant), orjson.dumps(level)]
    return b"\n".join(lines) + b"\n"
