"""Rows 26 and 61 for an installed app: neither a token that Shopify ever gave us, nor the app's secret, nor what the
admin opened the app with is seen anywhere."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from app.worker import Worker
from sandbox.shopify import PretendShopify
from tests.canaries import as_they_travel, columns_with
from tests.installing import FORMER, SECRET, Installing
from tests.street import Street
from tests.throwing import paths, suffer
from tests.unit.web.site import PASSWORD


def given(shop: PretendShopify) -> set[str]:
    """Every token that the shop ever gave out."""
    return {*shop.admin.grants.tokens, *shop.admin.grants.refreshes}


def test_no_token_of_an_installed_shop_is_seen_in_any_log_page_file_answer_or_column_though_it_throws_them_back(
    street: Street, logged: io.StringIO, owner: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    installing = Installing(street)
    shop = installing.shop("one", {"mug": 50})
    installing.installed(shop)
    merchant_id, channel_id = installing.found(shop)
    street.worker = Worker(street.runtime, only_merchant=merchant_id)  # days pass here: other tests' shops may wait
    street.settle(5)
    tokens = given(shop)
    opened = [installing.query(shop)["id_token"] for _ in range(2)]
    for path, id_token in zip(("/shopify/app", "/listings"), opened, strict=True):
        installing.open(shop, path, id_token=id_token)
    suffer(street, [(merchant_id, channel_id, shop)], monkeypatch)
    street.world.now += timedelta(hours=2)  # the token's hour is over
    street.settle(60, rounds_max=2_000)
    tokens |= given(shop)
    assert len(tokens) >= 4  # it was refreshed once at least
    secrets = as_they_travel({*tokens, *opened, SECRET, FORMER, PASSWORD})
    site = installing.site
    assert site.log_in(PASSWORD).status_code == 302
    for path in paths(site, channel_id):
        answer = site.get(f"{path}?merchant={merchant_id}")
        text = f"{answer.headers}\n{answer.get_data(as_text=True)}"
        assert [secret for secret in secrets if secret in text] == [], path
    for path in ("/shopify/app", "/", "/listings", "/cases", "/diagnose"):
        answer = installing.open(shop, path)
        assert [secret for secret in secrets if secret in answer.text] == [], path
    log = logged.getvalue()
    assert log.count("bug while asking") >= 1
    assert [secret for secret in secrets if secret in log] == []
    assert columns_with(owner, secrets) == []
