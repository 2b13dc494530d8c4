"""The connection check of one channel, and what a person can do: ask now, give other keys, disconnect, erase."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as Answer

from app.core.errors import InvalidInput
from app.inbox.erase import erase_left
from app.insight import words
from app.insight.diagnose import diagnose
from app.listings.channels import Channel, get_channel
from app.listings.connect import renew_credentials
from app.listings.leaving import leave
from app.listings.states import get_standing
from app.reconcile.check import check
from app.web.asker import asker, needs
from app.web.merchant import carry_on, chosen, reading, runtime
from app.web.said import refuse
from connectors.errors import ChannelError
from connectors.join import Joins

KEY_MAX = 200
_ID = "<int(max=9223372036854775807):id_>"
# What is known of a shop and worth showing, by platform: the fact's name and its words.
FACTS: Mapping[str, Mapping[str, str]] = {
    "shopify": {
        "domain": "Shopify's name for it",
        "plan": "Plan",
        "currency": "Currency",
        "time_zone": "Time zone",
        "location_count": "Places with stock",
        "variant_count": "Products with their variants, counted up to 10,000",
        "api_version": "Version of Shopify's API",
        "scopes": "What we may do",
        "missing_scopes": "What we may not do yet",
    },
    "woocommerce": {
        "version": "WooCommerce",
        "wp_version": "WordPress",
        "timezone": "Time zone",
        "gmt_offset": "Hours from UTC",
        "currency": "Currency",
        "hpos": "High-performance order storage",
        "wp_cron": "WordPress's own cron",
        "manage_stock": "Keeps stock",
        "low_stock_amount": "Low-stock threshold",
        "no_stock_amount": "Out-of-stock threshold",
        "hold_stock_minutes": "Minutes that unpaid stock is held",
        "auth": "How we prove who asks",
    },
}
FACTS_OF_ANY = {"version": "Version", "currency": "Currency", "timezone": "Time zone"}

blueprint = Blueprint("checks", __name__)
carry_on(blueprint)


@blueprint.get(f"/channels/{_ID}/check")
def show(id_: int) -> str:
    """Each requirement with how things stand and the cure; when the shop was last asked."""
    return _render(id_)


def _render(id_: int, wrong: dict[str, str] | None = None) -> str:
    with reading() as session:
        channel = get_channel(session, id_)
        standing = get_standing(session, id_)
        found = diagnose(session, channel.name)[0]
    return render_template(
        "check.html", merchant=chosen(), channel=channel, standing=standing, found=found, facts=_facts(channel),
        wrong=wrong or {}, by_keys=_by_keys(channel),
        requirements=sorted(found.requirements, key=lambda one: one.state != "fail"),
    )  # fmt: skip


def _facts(channel: Channel) -> list[tuple[str, str]]:
    known = FACTS.get(channel.platform, FACTS_OF_ANY)
    return [(what, channel.facts[name].replace(",", ", ")) for name, what in known.items() if channel.facts.get(name)]


def _by_keys(channel: Channel) -> bool:
    """Whether its keys are something that a person types."""
    return isinstance(runtime().connectors.get(channel.platform), Joins) and channel.state != "disconnected"


@blueprint.post(f"/channels/{_ID}/check")
@needs("channels.change")
def run(id_: int) -> Answer:
    """Ask the shop now."""
    check(runtime(), chosen().merchant_id, id_)
    return redirect(url_for("checks.show", id_=id_), 303)


@blueprint.post(f"/channels/{_ID}/keys")
@needs("channels.change")
def keys(id_: int) -> Answer | tuple[str, int]:
    """Other keys: stored when the shop accepts them; what was typed is not shown again."""
    with reading() as session:
        channel = get_channel(session, id_)
    joins = runtime().connectors[channel.platform]
    typed = {name: request.form.get(name, "")[:KEY_MAX] for name in ("consumer_key", "consumer_secret")}
    try:
        if not isinstance(joins, Joins):
            raise InvalidInput("not_by_keys", "the keys of this shop are not typed: connect it again", "consumer_key")
        given = joins.read_keys(typed)
        renew_credentials(runtime(), chosen().merchant_id, id_, given)
    except InvalidInput as error:
        return _render(id_, {error.where: error.detail}), 422
    except ChannelError as error:
        field = getattr(error, "field", "") or "consumer_key"
        return _render(id_, {field: words.FAILURES.get(error.reason, error.detail)}), 422
    runtime().ring()
    flash(gettext("The shop accepts the new keys; what failed is tried again now."))
    return redirect(url_for("checks.show", id_=id_), 303)


@blueprint.post(f"/channels/{_ID}/erase")
@needs("channels.change")
def erase(id_: int) -> Answer | tuple[str, int]:
    """Erase a disconnected shop, if the box is ticked that says so."""
    if request.form.get("sure") != "yes":
        return _render(id_, {"sure": gettext("tick the box first")}), 422
    erase_left(runtime(), chosen().merchant_id, id_, asker().name)
    flash(gettext("Erased. The books keep units, dates and cost."))
    return redirect(url_for("checks.show", id_=id_), 303)


@blueprint.post(f"/channels/{_ID}/disconnect")
@needs("channels.change")
def disconnect(id_: int) -> Answer | tuple[str, int]:
    """Disconnect the shop, if the box is ticked that says so."""
    if request.form.get("sure") != "yes":
        return _render(id_, {"sure": gettext("tick the box first")}), 422
    with reading() as session:
        by_keys = _by_keys(get_channel(session, id_))
    trouble = leave(runtime(), chosen().merchant_id, id_, asker().name)
    if trouble:
        said = gettext("Disconnected. Its webhooks could not be taken back: delete those named Perpetual in the shop.")
        refuse(f"{said} ({gettext(words.failure(trouble))})")
    elif by_keys:
        flash(gettext("Disconnected. Its keys are forgotten here; you can delete them in the shop too."))
    else:
        flash(gettext("Disconnected. Its access is forgotten here; you can uninstall the app in the shop too."))
    return redirect(url_for("checks.show", id_=id_), 303)
