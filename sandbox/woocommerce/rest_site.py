"""The site itself over REST: root, system status, settings, webhooks."""

from __future__ import annotations

from sandbox.woocommerce.hooks import Hook, Hooks, is_topic
from sandbox.woocommerce.problem import Problem, gone, invalid
from sandbox.woocommerce.rest import Call, Route
from sandbox.woocommerce.state import State
from sandbox.woocommerce.wire import Json, Wire

NAMESPACES = ["oembed/1.0", "wc/v3", "wc/v1", "wc-admin", "wc-analytics", "wc/store", "wc/store/v1", "wc/v2", "wp/v2"]
HOOK_STATUSES = ("all", "active", "paused", "disabled")


class Site:
    """Routes that are about the shop rather than its goods."""

    def __init__(self, state: State, wire: Wire, hooks: Hooks) -> None:
        self._state = state
        self._wire = wire
        self._hooks = hooks

    def routes(self) -> list[Route]:
        """What is served."""
        root = "/wp-json/wc/v3"
        item = {"GET": self._get_hook, "PUT": self._put_hook, "POST": self._put_hook, "DELETE": self._delete_hook}
        return [
            Route("/wp-json", {"GET": self._root}, public=True),
            Route(f"{root}/system_status", {"GET": self._system_status}),
            Route(f"{root}/settings/products", {"GET": self._settings}),
            Route(f"{root}/settings/products/*", {"GET": self._setting}),
            Route(f"{root}/webhooks", {"GET": self._list_hooks, "POST": self._create_hook}),
            Route(f"{root}/webhooks/#", item),
        ]

    def _root(self, call: Call) -> Json:
        options = self._state.options
        offset = self._state.now().astimezone(self._state.zone).utcoffset()
        return call.query.trimmed(
            {
                "name": options.name,
                "description": "",
                "url": options.base_url,
                "home": options.base_url,
                "gmt_offset": offset.total_seconds() / 3600 if offset else 0,
                "timezone_string": options.timezone,
                "namespaces": [
                    *(NAMESPACES if options.has_woocommerce else ["oembed/1.0", "wp/v2"]),
                    *{"wpml": ["wpml/v1"], "polylang": ["pll/v1"]}.get(options.languages, []),
                ],
                "authentication": {},
            }
        )

    def _system_status(self, call: Call) -> Json:
        options = self._state.options
        environment: Json = {
            "home_url": options.base_url,
            "site_url": options.base_url,
            "version": options.version,
            "wp_version": options.wp_version,
            "wp_multisite": False,
            "wp_cron": options.runs_cron,
            "language": "en_US",
            "php_version": "8.2.36",
            "mysql_version": "10.11.19",
            "default_timezone": "UTC",
            "remote_post_successful": options.posts_out,
        }
        features = ["analytics", "custom_order_tables", "cost_of_goods_sold"]
        settings: Json = {
            "api_enabled": False,
            "force_ssl": False,
            "currency": options.currency,
            "order_datastore": "Automattic\\WooCommerce\\Internal\\DataStores\\Orders\\OrdersTableDataStore",
            "HPOS_enabled": True,
            "HPOS_sync_enabled": False,
            "enabled_features": features,
        }
        return {"environment": environment, "active_plugins": [], "settings": settings}

    def _values(self) -> dict[str, str]:
        return {
            "woocommerce_manage_stock": "yes" if self._state.options.manages_stock else "no",
            "woocommerce_hold_stock_minutes": "60",
            "woocommerce_notify_low_stock_amount": "2",
            "woocommerce_notify_no_stock_amount": str(self._state.options.no_stock_amount),
        }

    def _settings(self, call: Call) -> list[Json]:
        return [{"id": name, "type": "text", "default": "", "value": value} for name, value in self._values().items()]

    def _setting(self, call: Call) -> Json:
        for setting in self._settings(call):
            if setting["id"] == call.names[0]:
                return setting
        raise Problem(404, "rest_setting_setting_invalid", "Invalid setting.")

    def _list_hooks(self, call: Call) -> list[Json]:
        status = call.query.one_of("status", "all", HOOK_STATUSES)
        hooks = [hook for hook in self._hooks.hooks.values() if status in ("all", hook.status)]
        newest_first = call.query.one_of("order", "desc", ("asc", "desc")) == "desc"
        page = call.query.page(sorted((hook.id for hook in hooks), reverse=newest_first))
        call.paged(page)
        return [self._wire.hook(self._hooks.hooks[item]) for item in page.ids]

    def _hook(self, call: Call) -> Hook:
        hook = self._hooks.hooks.get(call.ids[0])
        if hook is None:
            raise gone("shop_webhook")
        return hook

    def _get_hook(self, call: Call) -> Json:
        return self._wire.hook(self._hook(call))

    def _create_hook(self, call: Call) -> Json:
        topic, url = str(call.body.get("topic", "")), str(call.body.get("delivery_url", ""))
        if not is_topic(topic, self._state.options.release):
            text = "Webhook topic is required and must be valid."
            raise Problem(400, "woocommerce_rest_shop_webhook_invalid_topic", text)
        if not url.startswith(("http://", "https://")):
            text = "Webhook delivery URL must be a valid URL starting with http:// or https://."
            raise Problem(400, "woocommerce_rest_shop_webhook_invalid_delivery_url", text)
        secret = str(call.body.get("secret") or f"{self._state.context.rng.getrandbits(200):050x}")
        hook = self._hooks.add(str(call.body.get("name") or "Webhook"), topic, url=url, secret=secret)
        call.created(f"{self._state.options.base_url}/wp-json/wc/v3/webhooks/{hook.id}")
        return self._wire.hook(hook)

    def _put_hook(self, call: Call) -> Json:
        hook = self._hook(call)
        status = call.body.get("status", hook.status)
        if status not in HOOK_STATUSES[1:]:
            raise invalid("status", "status is not one of active, paused, disabled.", "rest_not_in_enum")
        hook.status = str(status)  # the count of failures stays as it is
        hook.secret = str(call.body.get("secret") or hook.secret)
        hook.url = str(call.body.get("delivery_url") or hook.url)
        hook.modified_at = self._state.now()
        return self._wire.hook(hook)

    def _delete_hook(self, call: Call) -> Json:
        hook = self._hook(call)
        if not call.query.flag("force") and call.body.get("force") is not True:
            raise Problem(501, "woocommerce_rest_trash_not_supported", "Webhooks do not support trashing.")
        self._hooks.remove(hook)
        return self._wire.hook(hook)
