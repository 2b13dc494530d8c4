"""Plain words for slugs: what is wrong with a channel, what a parked row needs, what a movement was.

Slugs travel; words are for reading, so they are here once, for pages and the command line, in English, ready to be
translated. A slug without words of its own is shown as it is.
"""

from __future__ import annotations

# How things stand with a channel, and the one thing to do.
HEALTH = {
    "nothing_wrong": "Working",
    "paused": "Paused: nothing is read or written until it is resumed",
    "shadow": "Looking only: numbers are worked out, never written",
    "activating": "Becoming active: its numbers and orders are read first",
    "disconnected": "Disconnected",
    "never_read": "Orders were not read yet",
    "clock_not_running": "No worker is running: start one, so that orders are read and numbers written",
    "reading_orders_fails": "Its orders can't be read",
    "sweeping_orders_fails": "Its older orders can't be read again",
    "reading_stock_fails": "Its stock can't be compared",
    "checking_orders_fails": "Its open orders can't be looked for",
    "checking_webhooks_fails": "Its webhooks can't be checked",
    "reading_products_fails": "New or changed products can't be read",
    "asking_the_shop_fails": "The shop can't be asked who it is and what we may do",
    "importing_fails": "Its catalogue or older orders can't be imported",
    "writing_fails": "Numbers can't be written",
    "looking_fails": "Its numbers can't be looked at",
    "writing_is_late": "Numbers wait longer than they should",
    "webhooks_refused": "Webhooks were refused: their signature is not the one we know",
}
# What a channel or the way to it said: the kind of failure, and what to do about it.
FAILURES = {
    "unauthorized": "it does not accept our token: connect it again",
    "token_refused": "it no longer accepts our access: open the app in the shop's admin once, or connect it again",
    "reconnect_needed": "our access has ended: open the app in the shop's admin once, or connect it again",
    "app_refused": "it does not accept our app: see that client id and secret are those of the Dev Dashboard",
    "app_not_installed": "the app is not installed in the shop: install it from the shop's admin",
    "no_app": "no app is set up here: put its client id and secret into the settings",
    "token_busy": "its token is being refreshed",
    "missing_credentials": "its token or key is missing: connect it again",
    "keys_unreadable": "its keys can't be opened with the encryption keys here: connect it again",
    "forbidden": "the token may not do this: grant the missing permission and connect it again",
    "access_denied": "the token may not do this: grant the app the missing scope",
    "shop_inactive": "the shop is not active: see to its plan at Shopify",
    "no_permission": "the key may not do this: give its user the rights of a shop manager",
    "keys_not_accepted": "it does not accept our key: make a new one in the shop and connect it again",
    "keys_refused": "it does not accept our key: make a new one in the shop and connect it again",
    "wrong_secret": "the key's secret is wrong: connect it again",
    "wrong_signature": "it refuses our signature: connect it again with a new key",
    "read_only_key": "the key may only read: make one that may read and write",
    "no_connector": "no connector for this kind of shop is on this server: install its package, then start again",
    "clock_differs": "its clock and ours differ: set the server's clock",
    "plain_permalinks": "its permalinks are set to plain: in WordPress choose any other form under Settings, "
    "Permalinks and save",
    "blocked_by_firewall": "a firewall before the shop turns us away: let our address through",
    "shop_frozen": "the shop is frozen, mostly for an unpaid bill",
    "shop_locked": "the shop is locked",
    "not_found": "the shop's address does not lead to its API: check the address",
    "no_such_route": "the shop's API is not there: check that it is switched on",
    "login_page": "a login page stands before its data: have the plugin or host that asks for a password let /wp-json/ "
    "through",
    "maintenance": "it is down for maintenance: try again when that is over",
    "not_wordpress": "what answers there is no WordPress site: check the address, also whether the shop is in a folder "
    "such as /shop",
    "no_woocommerce": "it is a WordPress site without WooCommerce: activate WooCommerce there, or check the address",
    "redirect_downgrade": "it sends us from https to http, where keys could be read on their way: have its host switch "
    "that redirect off",
    "needs_https": "WooCommerce sends keys only over https, and its address or ours is not https: use keys by hand, or "
    "have both on https",
    "html_answer": "it answers with a web page instead of data: a firewall, a login page or a broken plugin",
    "redirected": "it has moved: store its final address",
    "bad_certificate": "its certificate can't be trusted: the shop has to renew it",
    "certificate_expired": "its certificate has expired: the shop's host has to renew it",
    "certificate_not_yet_valid": "its certificate is not valid yet: check the shop's and this server's clock",
    "certificate_self_signed": "its certificate is one that it made itself: have its host install a real one (most do "
    "that for nothing)",
    "certificate_incomplete": "its certificate can't be traced to one that is trusted: have its host install the whole "
    "chain",
    "certificate_of_another": "its certificate is for another name: use the address that it is for, or have its host "
    "install one for this name",
    "no_encryption": "it does not speak https there: use its http address, or have its host switch on https",
    "unknown_host": "there is no such host: look for a typing mistake in its address",
    "address_not_allowed": "its address leads into a private network or to this machine: only public addresses are "
    "called",
    "answer_cut_short": "its answer broke off in the middle",
    "bad_compression": "its answer is compressed in a way that can't be read: have its host look at gzip",
    "answer_too_large": "its answer is too large to be one: it was not read to the end",
    "not_json": "it answers with something that is not data: a plugin or an error of PHP writes into it",
    "bad_address": "its address is not one that can be called",
    "connection_failed": "it can't be reached",
    "connection_lost": "the connection broke",
    "request_failed": "it could not be asked: try again in a moment",
    "connect_timeout": "it can't be reached in time",
    "stood_still": "this process stood still before it could be sent",
    "read_timeout": "it takes too long to answer",
    "throttled": "it asked us to slow down",
    "export_busy": "it is busy with other exports",
    "webhook_refused": "it refuses our webhook address: it must be a public https address",
    "cursor_stuck": "its lists never end: nothing was concluded from them",
    "security_rejection": "it took us for an attack and asked us to slow down",
    "unavailable": "it is down for the moment",
    "busy": "it is busy",
    "no_answer": "it did not answer",
}
# What to do about what could not be booked. A slug that is missing here is about the document itself.
PARKED = {
    "unknown_listing": "Map the product to an item: the order is then booked by itself.",
    "unknown_location": "Map the channel's location to one of yours: the order is then booked by itself.",
    "return_exceeds_issue": "More comes back than was sold: look at the refunds of the order in the shop.",
    "key_conflict": "It says something else than what was booked before: look at the order in the shop.",
    "order_hidden": "It is older than 60 days: book by hand what changed, or let the app read all orders.",
    "topic_body_mismatch": "The delivery is not what it says it is: nothing to do if the order arrives by itself.",
    "key_too_long": "The delivery's id is not one: nothing to do if the order arrives by itself.",
}
PARKED_OTHERWISE = "It can't be read as it is: look at it in the shop; a corrected version is booked by itself."
CASES = {
    "drift": "Another number than expected",
    "unmanaged": "A number is not kept any more",
    "write_refused": "The channel refused a number",
    "order_deleted": "An order was deleted",
    "order_trashed": "An order is in the trash",
    "reconnect_shop": "Connect the shop again",
    "api_version_retired": "The shop answers as another version of its API",
    "scope_missing": "The app may not do all that it needs",
    "customer_data_asked": "A customer asked for their data",
    "shop_erased": "A shop's data was erased",
    "webhook_gone": "Webhooks are not subscribed any more",
    "webhook_disabled": "The shop switched webhooks off",
    "webhook_elsewhere": "Webhooks deliver to another address",
    "webhook_silent": "No webhook tells of orders",
    "webhook_unneeded": "Webhooks that nobody listens to",
    "import_failed": "An import failed",
    "endpoint_disabled": "Events are not sent any more to an address that kept failing",
    "listing_renamed": "A product has another item's SKU now",
    "goods_to_check": "Goods to check",
    "currency_changed": "The currency of an order changed",
    "restock_unclear": "A refund does not say what came back",
    "refund_exceeds_order": "More was refunded than ordered",
    "refund_of_no_line": "A refund names a line that is not there",
    "duplicate_line": "An order names a line twice",
    "unknown_status": "An order has a status of the shop's own",
}
CASE_STATES = {"open": "Open", "explained": "Explained", "corrected": "Corrected", "dismissed": "Seen to"}
# Which number was said to be right.
RIGHT = {"ledger": "ours was right", "channel": "the shop was right"}
# What happened, by (from, to).
HAPPENED = {
    ("opening", "available"): "Opening stock",
    ("supplier", "available"): "Received",
    ("available", "supplier"): "Sent back to the supplier",
    ("available", "committed"): "Reserved by an order",
    ("committed", "available"): "Released by an order",
    ("committed", "customer"): "Shipped",
    ("available", "customer"): "Shipped",
    ("customer", "available"): "Returned",
    ("customer", "committed"): "Shipment undone",
    ("customer", "damaged"): "Returned damaged",
    ("customer", "quarantined"): "Returned, to be checked",
    ("committed", "quarantined"): "To be checked",
    ("available", "damaged"): "Damaged",
    ("available", "quarantined"): "Set aside",
    ("quarantined", "available"): "Checked and good",
    ("available", "shrinkage"): "Lost",
    ("shrinkage", "available"): "Found",
    ("available", "in_transit"): "Sent to another place",
    ("in_transit", "available"): "Arrived",
    ("available", "available"): "Moved",
    ("available", "assembly"): "Used in an assembly",
    ("assembly", "available"): "Assembled",
}
STATES = {
    "available": "available",
    "committed": "committed",
    "damaged": "damaged",
    "quarantined": "to be checked",
    "in_transit": "on its way to",
    "supplier": "supplier",
    "customer": "customer",
    "shrinkage": "shrinkage",
    "opening": "opening",
    "assembly": "assembly",
}
CHANNEL_STATES = {"active": "Active", "paused": "Paused", "shadow": "Looking only", "disconnected": "Disconnected"}
# Why an item is probably what a listing is.
SUGGESTED = {
    "same_sku": "the same SKU",
    "like_sku": "the same SKU but for capitals",
    "same_barcode": "its SKU is the item's barcode",
}
# Why a listing is no item.
UNMAPPED = {
    "taken_out": "Taken out",
    "no_sku": "Not mapped: it has no SKU",
    "no_such_sku": "Not mapped: no item has its SKU",
}
ROLES = {
    "owner": "Owner",
    "manager": "Manager",
    "buyer": "Buyer",
    "clerk": "Clerk",
    "bookkeeper": "Bookkeeper",
    "viewer": "Viewer",
}
# As `app.accounts.roles.PERMISSIONS` has it.
ROLES_MAY = {
    "owner": "Everything, also members and API keys.",
    "manager": "Everything but members and API keys.",
    "buyer": "Sees stock, costs and reports; changes items and buys.",
    "clerk": "Sees stock; moves, receives and counts it. Sees no costs.",
    "bookkeeper": "Sees stock, costs, reports and the log; exports, closes months.",
    "viewer": "Sees stock and numbers; changes nothing.",
}
KEY_STATES = {"active": "Active", "revoked": "Revoked", "expired": "Expired"}
# What was done, in the audit log.
DEEDS = {
    "login.succeeded": "Logged in",
    "password.changed": "Changed their password",
    "operator.entered": "Looked at this merchant with the operator's password",
    "member.added": "Became a member",
    "member.removed": "Removed a member",
    "member.role_changed": "Changed a role",
    "member.logged_out": "Logged a member out",
    "member.invited": "Invited",
    "member.invitation_withdrawn": "Withdrew an invitation",
    "key.created": "Made an API key",
    "key.revoked": "Revoked an API key",
    "channel.connected": "Connected a channel",
    "channel.connected_again": "Connected a channel again",
    "channel.credentials_changed": "Changed a channel's credentials",
    "channel.state_changed": "Changed a channel's state",
    "channel.policy_changed": "Changed a channel's drift policy",
    "listing.mapped": "Mapped a listing",
    "listing.unmapped": "Unmapped a listing",
    "rule.changed": "Changed a number's rule",
    "case.decided": "Decided a case",
    "case.dismissed": "Dismissed a case",
    "month.closed": "Closed a month",
    "cost.added": "Added a receipt's late cost",
    "ledger.rebuilt": "Made levels and costs anew from the movements",
    "channel.disconnected": "Disconnected a channel",
    "channel.uninstalled": "The app was removed from the shop",
    "channel.erased": "Erased a shop's data",
    "matching.accepted": "Accepted what products are",
    "matching.taken_back": "Took back what products are",
    "stock.opened": "Opened the stock",
    "import.committed": "Imported a file",
    "import.taken_back": "Took an import back",
    "first_push.approved": "Approved the first numbers",
    "item.created": "Made an item",
    "item.changed": "Changed an item",
    "kit.changed": "Changed what a kit is made of",
    "location.changed": "Changed a location",
    "location.created": "Made a location",
    "place.mapped": "Said which location a shop's place is",
    "session.ended": "Logged another browser out",
    "endpoint.created": "Added a webhook endpoint",
    "endpoint.changed": "Changed a webhook endpoint",
    "endpoint.removed": "Removed a webhook endpoint",
    "keys.rotated": "Sealed all secrets with another key",
}
RESOURCES = {"order": "orders", "stock": "stock", "product": "products", "unknown": "deliveries"}


def happened(from_state: str, to_state: str) -> str:
    """What a movement was."""
    return HAPPENED.get((from_state, to_state), "Moved")


def failure(reason: str) -> str:
    """What a channel said, in words; its slug where there are none."""
    return FAILURES.get(reason, reason.replace("_", " "))


# What a product of a shop that is no item yet probably is, and why; by `app.listings.matching.KINDS`.
MATCHES = {
    "new": "a new item: nothing else has its SKU",
    "same_number": "the item of the products that share its number",
    "sku": "the item of exactly its SKU",
    "barcode": "the item of its barcode",
    "like_sku": "the item of its SKU but for capitals or blanks",
    "shared": "one item for all variations: they share one number in the shop",
    "same_barcode": "a new item by its SKU, though another product has the same barcode",
    "name": "the item of the same name",
    "duplicate_sku": "not decided: its SKU is in the shop twice",
    "twice": "mapped to an item that has another number in the shop too",
    "two_items": "not decided: it fits several items",
    "blank": "not decided: it has no SKU, and no barcode or name that is known",
    "bad_sku": "not decided: its SKU is too long or can't be printed",
    "untracked": "not counted: the shop keeps no stock for it, or it is a bundle",
}
MATCH_NAMES = {
    "new": "New items", "same_number": "Same number", "sku": "Same SKU", "barcode": "Same barcode",
    "like_sku": "Nearly the same SKU", "shared": "Shared number", "same_barcode": "Barcode used twice",
    "name": "Same name", "duplicate_sku": "SKU used twice", "twice": "One item twice", "two_items": "Several items",
    "blank": "No SKU", "bad_sku": "Unusable SKU", "untracked": "Not counted",
}  # fmt: skip
# What becomes of a number with the first push.
FIRST_PUSH = {
    "up": "rise",
    "down": "fall",
    "zero": "fall to 0",
    "unknown": "fall to 0 because nobody said how many there are",
    "same": "stay as they are",
    "unread": "are not known yet: they are read before they are written",
}
FIRST_PUSH_NAMES = {
    "up": "Up", "down": "Down", "zero": "To zero", "unknown": "To zero, never counted", "same": "Unchanged",
    "unread": "Not read yet",
}  # fmt: skip
# What keeps an item from being opened from a shop.
OPENING = {
    "twice": "has two numbers in the shop at one place: leave one of its products out, or count it",
    "unread": "its number was not read yet",
    "moving": "its number is just being looked at: open again in a moment",
    "negative": "the shop shows less than none: count it",
    "without_cost": "has no known cost: worth 0 until it is known",
}
