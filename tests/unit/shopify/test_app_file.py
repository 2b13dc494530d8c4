"""shopify.app.toml against what the connector asks for and the application answers."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.core.config import DEFAULT_SCOPES
from connectors.shopify import graphql
from connectors.shopify.shop import SCOPES, TOPICS
from connectors.shopify.webhooks import PRIVACY_TOPICS
from sandbox.shopify.api import introspection
from tests.street import Street
from tests.unit.web.site import Site

TEXT = (Path(__file__).parents[3] / "shopify.app.toml").read_text("utf-8")
FILE: dict[str, Any] = tomllib.loads(TEXT)


def test_the_file_subscribes_to_each_topic_of_the_connector_once() -> None:
    told = [topic for one in FILE["webhooks"]["subscriptions"] for topic in one.get("topics", ())]
    assert sorted(topic.replace("/", "_").upper() for topic in told) == sorted(TOPICS)


def test_the_file_asks_for_the_three_compliance_topics() -> None:
    told = [topic for one in FILE["webhooks"]["subscriptions"] for topic in one.get("compliance_topics", ())]
    assert sorted(told) == sorted(PRIVACY_TOPICS)


def test_the_file_the_settings_and_the_connector_name_the_same_scopes() -> None:
    assert FILE["access_scopes"]["scopes"] == ",".join(SCOPES) == DEFAULT_SCOPES


def test_the_file_pins_the_version_that_the_connector_calls() -> None:
    assert FILE["webhooks"]["api_version"] == graphql.API_VERSION


def test_every_topic_of_the_file_is_one_of_the_schema() -> None:
    (enum,) = [one for one in introspection()["__schema"]["types"] if one["name"] == "WebhookSubscriptionTopic"]
    assert set(TOPICS) <= {value["name"] for value in enum["enumValues"]}


@pytest.mark.parametrize("where", ["application_url", "redirect", "webhook"])
def test_every_address_of_the_file_is_one_that_the_application_answers(street: Street, where: str) -> None:
    urls = {
        "application_url": [FILE["application_url"]],
        "redirect": FILE["auth"]["redirect_urls"],
        "webhook": [one["uri"] for one in FILE["webhooks"]["subscriptions"]],
    }[where]
    adapter = Site.of(street).app.url_map.bind("localhost")
    for url in urls:
        assert adapter.match(urlsplit(url).path, method="POST" if where == "webhook" else "GET")
