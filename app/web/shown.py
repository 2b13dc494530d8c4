"""How values look on pages: instants as "12s ago", units and money by the reader's locale, slugs as words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from urllib.parse import quote

from babel.dates import format_timedelta
from flask import Flask, g, request, url_for
from flask_babel import Babel, format_currency, format_decimal, get_locale, gettext

from app.insight import words
from app.publishing.why_text import QUIET, STEPS, WAITING
from app.web import access, asker, embedding, merchant, said

LANGUAGES = ("en",)
STATIC = Path(__file__).parent / "static"
STATIC_AGE_S = 365 * 86_400


def install(app: Flask) -> None:
    """Filters and names for every template."""
    Babel(app, default_locale=LANGUAGES[0], locale_selector=_language)
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = STATIC_AGE_S
    app.jinja_env.filters |= {"ago": ago, "iso": iso, "units": format_decimal, "money": money}
    app.jinja_env.globals |= {
        "locale": get_locale,
        "static": static_url,
        "item_url": item_url,
        "said": said.said,
        "say": say,
        "words": words,
        "waiting_words": WAITING,
        "quiet_waiting": QUIET,
        "step_words": STEPS,
        "carried_on": embedding.carried_on,
        "is_logged_in": access.is_logged_in,
        "asker": asker.asker,
        "may": merchant.may,
        "now": merchant.now,
    }


def _language() -> str:
    return request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0]


def ago(instant: datetime) -> str:
    """How long ago, in one unit."""
    since = instant - merchant.now()
    if abs(since) < timedelta(seconds=1):
        return str(gettext("now"))
    return format_timedelta(since, add_direction=True, format="narrow", threshold=1, locale=get_locale())


def say(table: Mapping[str, str], slug: str, otherwise: str | None = None) -> str:
    """The words for a slug, translated. Without words: `otherwise`, else the slug itself, which is then only text: what
    comes from outside is never a message, since a message may hold markup and placeholders."""
    text = table.get(slug, otherwise)
    return slug.replace("_", " ") if text is None else str(gettext(text))


def iso(instant: datetime) -> str:
    """For `datetime=`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def money(amount: Decimal) -> str:
    """In the merchant's currency."""
    return str(format_currency(amount, g.merchant.currency))


def item_url(sku: str, **more: object) -> str:
    """An item's page. A browser would fold `.` and `..` in a path, so a SKU with such a part goes into the query."""
    if any(part in ("", ".", "..") for part in sku.split("/")):
        return url_for("pages.item_by_query", sku=sku, **more)  # type: ignore[arg-type]
    return url_for("pages.item", sku=sku, **more)  # type: ignore[arg-type]


def static_url(name: str) -> str:
    """A static file by its content: browsers keep it for a year, another content is another address."""
    return f"{url_for('static', filename=name)}?v={quote(_digest(name))}"


@cache
def _digest(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
