"""What is broken when nothing moves, in words, and the one thing to do about it.

Slugs travel; here are their words in English, ready to be translated. CHANNEL, SKU, CASE and KEY in a remedy stand for
what the finding is about. A command helps who runs the server; where a click does, pages name that (`click_of`).
"""

from __future__ import annotations

from collections.abc import Mapping

WEBHOOKS_REPAIRED = "nothing for now: they were made again, and the case closes with the next delivery"
WEBHOOKS_CURED_BY_HAND = (
    "see that the shop reaches `server.public_url` from outside, with its signature untouched; they are made again by "
    "themselves"
)
_MADE_AGAIN = "nothing for now: they are made again within minutes; then check again, `python -m app diagnose --check`"
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
    "connector_missing": (
        "nothing on this server speaks to this kind of shop: nothing is read or written, and nothing is lost",
        "install the package that brings it (or set `shopify.point_of_sale` to true for a till), then start again",
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
    "keys_unreadable": (
        "the shop's keys can't be opened with the encryption keys here",
        "give the former key back in `security.encryption_keys`, or connect the shop again",
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
    "api_version_retired": (
        "the shop answers as another version of its API than this was made for: numbers may be read wrongly",
        "install the newest Perpetual and start it again, or ask who runs this server to",
    ),
    "not_encrypted": (
        "the shop is reached without encryption: what is read on the way can be changed on the way",
        "have the shop's host switch on https, then connect the shop again by its https address",
    ),
    "stock_not_managed": (
        "the shop does not keep stock at all, so that numbers written to it are dropped",
        "in WooCommerce switch on Settings, Products, Inventory, Enable stock management",
    ),
    "cannot_post": (
        "the shop's server can't call others, so that no webhook leaves it",
        "ask its host to let it call out by https; until then orders are read by asking for them",
    ),
    "no_public_url": (
        "this server has no public https address, so that no shop can tell it of a sale",
        "set `server.public_url` in config.toml; until then orders are read by asking for them",
    ),
    "import_failed": (
        "an import has failed",
        "`python -m app reading status` names its trouble; ask for it again once that is put right",
    ),
    "location_not_mapped": (
        "a place of the channel is none of yours: nothing is counted there",
        "`python -m app location map CHANNEL KEY LOCATION`",
    ),
    "webhook_gone": ("webhooks are not subscribed any more", _MADE_AGAIN),
    "webhook_disabled": ("the shop switched webhooks off", _MADE_AGAIN),
    "webhook_elsewhere": ("webhooks deliver to another address", _MADE_AGAIN),
    "webhook_silent": ("no webhook tells of orders", WEBHOOKS_CURED_BY_HAND),
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
    "orders_parked": (
        "orders could not be booked",
        "look at them in the shop; a corrected version is booked by itself",
    ),
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
    "webhooks_repeated": (
        "webhooks came more than once; each was counted once",
        "nothing; if they are many, the shop gets our answers late: see how busy this server is",
    ),
    "cases_open": ("cases are open that a person should look at", "`python -m app case list`"),
}
# What has to be in order: (in words, the links that break it), as the connection check lists them.
REQUIREMENTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "answers": (
        "The shop answers at its address",
        ("channel_unreachable", "channel_throttles", "calls_fail", "clock_differs"),
    ),
    "connector": ("This server speaks to this kind of shop", ("connector_missing",)),
    "encrypted": ("It is reached over https", ("not_encrypted",)),
    "key": ("It accepts our key", ("token_refused", "keys_unreadable")),
    "rights": ("The key may read orders and write stock", ("scope_missing",)),
    "version": ("Its version is one that this was tried with", ("api_version_retired",)),
    "stock_managed": ("It keeps stock", ("stock_not_managed",)),
    "sells_all": ("It sells its last units", ()),
    "cron": ("Its cron runs by itself", ()),
    "posts_out": ("Its server can call others", ("cannot_post",)),
    "reachable": ("This server has an address that shops can call", ("no_public_url",)),
    "webhooks": (
        "It tells us of sales at once",
        ("webhook_gone", "webhook_disabled", "webhook_elsewhere", "webhook_silent", "webhooks_refused"),
    ),
    "worker": ("A worker is running here", ("clock_not_running", "clock_stuck")),
    "switched_on": ("The channel is switched on", ("channel_disconnected", "channel_paused")),
    "imported": ("Its products and orders were imported", ("import_failed",)),
    "places": ("Each of its places is one of yours", ("location_not_mapped",)),
    "products": ("Each of its products is an item, or said to be none", ("sku_not_mapped",)),
    "numbers": ("It keeps a number for each item", ("item_untracked", "listing_gone", "number_refused")),
    "written": ("Numbers are written in time", ("attempt_open", "plan_stuck")),
    "explained": ("Every number is explained", ("drift_waits",)),
    "booked": ("Every order is booked", ("orders_parked",)),
}
# What only the shop knows, asked by the connection check; all others are known from what is stored. Of every shop:
ASKED_OF_ALL = frozenset({"answers", "key", "reachable"})
# and more of these.
ASKED: Mapping[str, frozenset[str]] = {
    "shopify": ASKED_OF_ALL | {"encrypted", "rights", "version"},
    "woocommerce": ASKED_OF_ALL | {"encrypted", "rights", "version", "stock_managed", "sells_all", "cron", "posts_out"},
}
ASKED_AT_ALL = ASKED_OF_ALL.union(*ASKED.values())
# Why it is not known whether something is in order, and what to do about it.
UNSURE = {
    "version_untried": "this version was not tried yet: look at the first numbers with care",
    "keeps_last_units": "so many units of each product are never sold there, whatever it shows: its out-of-stock "
    "threshold; unless that is wanted, set it to 0 under WooCommerce, Settings, Products, Inventory",
    "cron_elsewhere": "WordPress's own cron is off; if its host calls wp-cron.php every minute all is well, else the "
    "shop tells us of sales late",
}
# What is as it should be, or at least as somebody wanted it: told, but nothing is broken.
NOTES = frozenset({"shadow", "activating", "importing", "not_stocked", "webhooks_repeated", "cases_open"})
# Where a click cures it, what to click: for any shop,
CLICKS = {
    "channel_disconnected": "connect it again on the page Connect a shop",
    "channel_paused": "press Make it active on the page of its connection",
    "location_not_mapped": "say on its page Places which of yours it is",
    "attempt_open": "press Read it afresh on the page of its connection",
    "plan_stuck": "press Read it afresh on the page of its connection; before, the page of SKU tells more",
    "drift_waits": "say on the page Cases which number is right",
    "cases_open": "look at them on the page Cases",
    "shadow": "approve its first numbers under Set up; after that, press Make it active on its connection's page",
    "sku_not_mapped": "say on the page Listings which items they are, or take out what is none",
    "listing_gone": "take them out on the page Listings",
    "number_refused": "open the page of SKU: it says why; put that right in the shop",
    **dict.fromkeys(
        ("webhook_gone", "webhook_disabled", "webhook_elsewhere"),
        "nothing for now: they are made again within minutes; then press Check now",
    ),
}
INSTALLED = "installed"  # instead of the platform, for a shop that our app is installed in
# and by the kind of shop.
CLICKS_OF: Mapping[str, Mapping[str, str]] = {
    INSTALLED: {
        "channel_disconnected": "install the app again from the shop's admin and open it there",
        "token_refused": "open the app once in the shop's admin, under Apps",
        "scope_missing": "open the app in the shop's admin, under Apps, and agree to what it asks for; then press "
        "Check now",
    },
    "shopify": {
        "token_refused": "connect it again on the page Connect a shop, with the keys of its own app",
        "scope_missing": "grant its app the missing scopes at Shopify, under Apps, Develop apps; then press Check now",
    },
    "woocommerce": {
        "token_refused": "give other keys below",
        "scope_missing": "make a read and write key of a shop manager in WooCommerce, under Settings, Advanced, REST "
        "API, and give it below",
    },
}
CATALOGUE_AGAIN = "press Read the catalogue again on the shop's page Set up"


def click_of(link: str, kind: str) -> str:
    """What to click for a shop of this kind (`INSTALLED` or its platform); nothing where only a command helps."""
    return CLICKS_OF.get(kind, {}).get(link, CLICKS.get(link, ""))


# Failures of calls by what is broken; any other is `calls_fail`.
OF_FAILURE = {
    **dict.fromkeys(
        (
            "connection_failed", "connection_lost", "connect_timeout", "read_timeout", "unavailable", "no_answer",
            "busy", "bad_certificate", "bad_address", "redirected", "not_found", "no_such_route", "html_answer",
            "blocked_by_firewall", "login_page", "maintenance", "shop_frozen", "shop_locked", "shop_inactive",
            "plain_permalinks", "not_wordpress", "no_woocommerce",
            "internal_server_error", "service_unavailable", "request_failed", "certificate_expired",
            "certificate_not_yet_valid", "certificate_self_signed", "certificate_incomplete", "certificate_of_another",
            "no_encryption", "unknown_host", "address_not_allowed",
        ),
        "channel_unreachable",
    ),
    **dict.fromkeys(
        (
            "unauthorized", "token_refused", "reconnect_needed", "app_refused", "app_not_installed", "no_app",
            "missing_credentials", "keys_not_accepted", "keys_refused", "wrong_secret",
            "wrong_signature",
        ),
        "token_refused",
    ),
    "keys_unreadable": "keys_unreadable",
    **dict.fromkeys(("forbidden", "access_denied", "no_permission", "read_only_key"), "scope_missing"),
    **dict.fromkeys(("throttled", "security_rejection", "export_busy"), "channel_throttles"),
    "clock_differs": "clock_differs",
    "no_connector": "connector_missing",
}  # fmt: skip
