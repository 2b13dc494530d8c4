"""What is broken when nothing moves, in words, and the one thing to do about it.

Slugs travel; here are their words in English, ready to be translated. CHANNEL, SKU, CASE and KEY in a remedy stand for
what the finding is about.
"""

from __future__ import annotations

# The links between a sale and the number that follows it, the most basic first: what comes after a broken one is often
# its consequence. (what is broken, the one thing to do)
LINKS = {
    "clock_not_running": (
        "no worker is running: nothing is read, booked or written",
        "start one: `python -m app serve` runs everything, `python -m app worker` a worker alone",
    ),
    "clock_stuck": (
        "a worker is running, but what is due is not done",
        "read the worker's log and restart it",
    ),
    "channel_disconnected": ("the channel is disconnected", "connect the shop again"),
    "channel_paused": (
        "the channel is paused: nothing is read or written",
        "`python -m app channel state CHANNEL active`",
    ),
    "clock_differs": (
        "its clock and ours differ, so that it refuses our signatures",
        "set this server's clock by NTP; it is tried again by itself",
    ),
    "channel_unreachable": (
        "the shop can't be reached",
        "open the shop's address from this machine and put right what stands between; it is tried again by itself",
    ),
    "token_refused": (
        "the shop refuses our token or key",
        "give it a valid one: `python -m app channel credentials CHANNEL`",
    ),
    "scope_missing": (
        "our token or key may not do what is needed",
        "grant it in the shop (Shopify: the app's scopes; WooCommerce: a read and write key of a shop manager), then "
        "`python -m app channel credentials CHANNEL`",
    ),
    "channel_throttles": (
        "the shop asks us to slow down again and again",
        "find what else calls the shop's API with our token or from our address; it is tried again by itself",
    ),
    "calls_fail": (
        "calls to the shop fail",
        "read the worker's log for its answer; it is tried again by itself",
    ),
    "import_failed": (
        "an import has failed",
        "`python -m app reading status` names its trouble; ask for it again once that is put right",
    ),
    "location_not_mapped": (
        "a place of the channel is none of yours: nothing is counted there",
        "`python -m app location map CHANNEL KEY LOCATION`",
    ),
    "webhook_gone": ("webhooks are not subscribed any more", ""),
    "webhook_disabled": ("the shop switched webhooks off", ""),
    "webhook_elsewhere": ("webhooks deliver to another address", ""),
    "webhook_silent": ("no webhook tells of orders", ""),
    "webhooks_refused": (
        "webhooks come with a signature that is not the one we know",
        "store the secret that the shop signs with: `python -m app channel credentials CHANNEL`",
    ),
    "sku_not_mapped": (
        "products of the channel are no item yet: their numbers are not written, their orders not booked",
        "`python -m app listing map CHANNEL KEY ITEM`, or `python -m app listing unmap CHANNEL KEY` for what is none",
    ),
    "item_untracked": (
        "the shop does not track stock for products that are items",
        "switch on stock tracking for SKU in the shop; the next comparison sees it",
    ),
    "listing_gone": (
        "the shop has products no more that are items",
        "`python -m app listing unmap CHANNEL KEY`",
    ),
    "number_refused": (
        "the shop refused numbers",
        "`python -m app why SKU --channel CHANNEL` says why; put that right in the shop: the next comparison sees it",
    ),
    "attempt_open": (
        "a write was never finished, and the ones after it wait",
        "`python -m app reading afresh CHANNEL`",
    ),
    "plan_stuck": (
        "numbers wait to be written for longer than they should",
        "`python -m app reading afresh CHANNEL`; before, `python -m app why SKU --channel CHANNEL` tells more",
    ),
    "drift_waits": (
        "the shop shows a number that nothing explains: it waits for your answer",
        "`python -m app case decide CASE ledger`, or `channel`, whichever is right",
    ),
    "orders_parked": ("orders could not be booked", ""),
    "shadow": ("in shadow: numbers are worked out, never written", "`python -m app channel state CHANNEL active`"),
    "activating": (
        "becoming active: its numbers and orders are read first",
        "wait for it, or see what keeps them from being read",
    ),
    "importing": (
        "an import is under way; while it is of orders nothing is concluded from numbers",
        "wait for it: `python -m app reading status`",
    ),
    "not_stocked": (
        "the shop does not stock products at a place: nothing is shown there",
        "stock SKU at that place in the shop if it should be sold there; the next comparison sees it",
    ),
    "cases_open": ("cases are open that a person should look at", "`python -m app case list`"),
}
# What is as it should be, or at least as somebody wanted it: told, but nothing is broken.
NOTES = frozenset({"shadow", "activating", "importing", "not_stocked", "cases_open"})
WEBHOOKS_REPAIRED = "nothing for now: they were made again, and the case closes with the next delivery"
WEBHOOKS_CURED_BY_HAND = (
    "see that the shop reaches `server.public_url` from outside, with its signature untouched; they are made again by "
    "themselves"
)
# Failures of calls by what is broken; any other is `calls_fail`.
OF_FAILURE = {
    **dict.fromkeys(
        (
            "connection_failed", "connection_lost", "connect_timeout", "read_timeout", "unavailable", "no_answer",
            "busy", "bad_certificate", "bad_address", "redirected", "not_found", "no_such_route", "html_answer",
            "blocked_by_firewall", "shop_frozen", "shop_locked", "shop_inactive", "plain_permalinks",
            "internal_server_error", "service_unavailable", "request_failed", "certificate_expired",
            "certificate_not_yet_valid", "certificate_self_signed", "certificate_incomplete", "certificate_of_another",
            "no_encryption", "unknown_host", "address_not_allowed",
        ),
        "channel_unreachable",
    ),
    **dict.fromkeys(
        (
            "unauthorized", "missing_credentials", "keys_not_accepted", "keys_refused", "wrong_secret",
            "wrong_signature",
        ),
        "token_refused",
    ),
    **dict.fromkeys(("forbidden", "access_denied", "no_permission", "read_only_key"), "scope_missing"),
    **dict.fromkeys(("throttled", "security_rejection", "export_busy"), "channel_throttles"),
    "clock_differs": "clock_differs",
}  # fmt: skip
