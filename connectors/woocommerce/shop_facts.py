"""What is worth knowing of a shop when it is connected: versions, time zone, cron, order storage, how to sign."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from connectors.errors import AccessDenied
from connectors.woocommerce import fields
from connectors.woocommerce.api import Api
from connectors.woocommerce.auth import BASIC, OAUTH, QUERY
from connectors.woocommerce.fields import Node

ROOT_FIELDS = "name,url,home,gmt_offset,timezone_string,namespaces"
SETTINGS: Mapping[str, str] = {
    "woocommerce_manage_stock": "manage_stock",
    "woocommerce_hold_stock_minutes": "hold_stock_minutes",
    "woocommerce_notify_no_stock_amount": "no_stock_amount",
    "woocommerce_notify_low_stock_amount": "low_stock_amount",
}

ZONE_MAX = 64  # the longest there is has 38
_ZONE = re.compile(r"[A-Za-z]+(/[A-Za-z0-9_+-]+){0,2}\Z")


def read_facts(api: Api) -> Mapping[str, str]:
    """Facts as text: name, home, timezone, gmt_offset, version, wp_version, wp_cron, hpos, currency, features,
    remote_post, manage_stock, hold_stock_minutes, no_stock_amount, low_stock_amount, auth, signed_scheme, languages
    (`wpml` or nothing). Yes and no are `yes` and `no`."""
    root = fields.node(api.get("/", {"_fields": ROOT_FIELDS})[0], "root")
    status, accepted = _status(api)
    environment, settings = _part(status, "environment"), _part(status, "settings")
    features = settings.get("enabled_features")
    facts = {
        "name": _text(root.get("name")),
        "home": _text(root.get("home")),
        "timezone": _zone(root.get("timezone_string")),
        "gmt_offset": _text(root.get("gmt_offset")),
        "version": _text(environment.get("version")),
        "wp_version": _text(environment.get("wp_version")),
        "wp_cron": _yes(environment.get("wp_cron")),
        "remote_post": _yes(environment.get("remote_post_successful")),
        "hpos": _yes(settings.get("HPOS_enabled")),
        "currency": _text(settings.get("currency")),
        "features": ",".join(map(str, features))[:2_000] if isinstance(features, list) else "",
        "auth": accepted.shop.facts.get("auth", ""),
        "signed_scheme": accepted.shop.facts.get("signed_scheme", ""),
        "languages": _languages(root.get("namespaces")),
    }
    return facts | _settings(accepted)


def _status(api: Api) -> tuple[Node, Api]:
    """The first way to prove who asks that the shop accepts. Some hosts strip the header, some hide TLS from PHP."""
    ways: tuple[tuple[str, str], ...] = ((BASIC, ""), (QUERY, ""), (OAUTH, ""), (OAUTH, "http"))
    if not api.shop.base_url.startswith("https://"):
        ways = ((OAUTH, ""),)
    refusal: AccessDenied | None = None
    for auth, scheme in ways:
        facts = {**api.shop.facts, "auth": auth, "signed_scheme": scheme}
        trial = replace(api, shop=replace(api.shop, facts=facts))
        try:
            return fields.node(trial.get("system_status")[0], "system_status"), trial
        except AccessDenied as error:
            # Keys that never reached PHP read as "cannot view"; a wrong secret or a firewall is the same every way.
            if error.reason not in {"keys_not_accepted", "wrong_signature"}:
                raise
            refusal = refusal or error
    raise refusal or AccessDenied("keys_not_accepted")


def _settings(api: Api) -> dict[str, str]:
    found = {}
    for setting, name in SETTINGS.items():
        value = fields.node(api.get(f"settings/products/{setting}")[0], setting)
        found[name] = _text(value.get("value"))
    return found


def _languages(namespaces: object) -> str:
    """WPML's own routes begin with `wpml/` (WPML_REST_Base::REST_NAMESPACE, read 2026-11-30)."""
    names = namespaces if isinstance(namespaces, list) else ()
    return "wpml" if any(str(name).startswith("wpml/") for name in names) else ""


def _part(node: Node, name: str) -> Node:
    return fields.node(node.get(name), f"system_status.{name}")


def _text(value: object) -> str:
    return "" if value is None else str(value)[: fields.TEXT_MAX]


def _zone(value: object) -> str:
    """An IANA name, else nothing: the offset says it then, as it does where the shop has chosen one."""
    text = _text(value)
    return text if len(text) <= ZONE_MAX and _ZONE.match(text) else ""


def _yes(value: object) -> str:
    return "yes" if value is True else "no"
