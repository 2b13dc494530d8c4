"""The listing commands as a person uses them, on one embedded database with two merchants and a channel each."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.accounts.merchants import create_merchant
from app.catalog.items import NewItem, create_items
from app.catalog.locations import create_location
from app.core.db import Database, Session, connect
from app.core.embedded import APP_ROLE, Embedded
from app.listings.catalogue import import_entries
from app.listings.channels import map_location
from connectors.base import CatalogueEntry, StockKey, StockReading
from tests.shell import app

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OURS = ("--merchant", "ours")


def entry(key: str, sku: str | None, title: str) -> CatalogueEntry:
    reading = StockReading(StockKey(key, ""), 7)
    return CatalogueEntry(key, key, sku, title, None, True, None, None, (reading,))


def a_merchant(database: Database, name: str, entries: list[CatalogueEntry]) -> None:
    merchant_id = create_merchant(database, NOW, name=name)
    with database.begin(merchant_id, NOW) as session:
        places = [create_location(session, place) for place in ("Main", "Shop, front")]
        create_items(session, [NewItem("mug", "A mug"), NewItem("bowl", "A bowl")])
        channel = a_channel(session)
        for place in places:
            map_location(session, channel, "", place)
        import_entries(session, channel, entries)


def a_channel(session: Session) -> int:
    channel: int = session.value(
        """insert into channel (merchant_id, channel_id, platform, name, address, base_url, sealed_credentials,
                                created_at, approved_at)
           values (%(merchant_id)s, nextval('channel_seq'), 'woocommerce', 'Web', 'web', 'https://web.test', '',
                   %(now)s, %(now)s) returning channel_id""",
        now=NOW,
    )
    return channel


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="perpetual-cli-", ignore_cleanup_errors=True) as folder:
        path = Path(folder)
        path.chmod(0o755)
        assert app(path, "migrate").returncode == 0
        embedded = Embedded(path)
        embedded.ensure()
        database = connect(embedded.url(APP_ROLE))
        ours = [entry("11", "mug", "Mug"), entry("12", "cup", "Cup"), entry("13", None, "Evil\t\x1b[31m")]
        a_merchant(database, "ours", ours)
        a_merchant(database, "theirs", [entry("99", "secret", "Secret")])
        database.close()
        yield path
        embedded.stop()


def lines(data: Path, *arguments: str) -> list[list[str]]:
    """The table without its head."""
    result = app(data, "listing", *arguments, *OURS)
    assert result.returncode == 0, result.stderr
    return [line.split("\t") for line in result.stdout.splitlines()[1:]]


def refusal(data: Path, *arguments: str) -> str:
    result = app(data, "listing", *arguments, *OURS)
    assert (result.returncode, result.stdout) == (2, "")
    return result.stderr


def test_the_list_shows_the_merchants_own_listings_with_item_rule_and_number(data: Path) -> None:
    found = lines(data, "list")
    assert ["Web", "11", "mug", "Mug", "mug", "everything", "7", "0"] in found
    assert {line[1] for line in found} == {"11", "12", "13"}
    assert "\x1b" not in app(data, "listing", "list", *OURS).stdout
    told = app(data, "listing", "list", "--unmapped", "--channel", "Web", "--json", *OURS).stdout.splitlines()
    assert {json.loads(line)["key"] for line in told} >= {"13"}
    assert all(json.loads(line)["item"] is None for line in told)


def test_a_listing_is_mapped_and_unmapped_by_sku_or_key(data: Path) -> None:
    assert lines(data, "map", "Web", "cup", "bowl")[0][4] == "bowl"
    assert lines(data, "map", "Web", "12", "mug")[0][4] == "mug"
    assert lines(data, "unmap", "Web", "12")[0][4:] == ["taken out", "everything", "7", "-"]


def test_a_rule_is_set_in_parts_shown_and_taken_back(data: Path) -> None:
    assert lines(data, "rule", "Web", "mug", "--buffer", "2", "--max", "5")[0][5] == "buffer 2, max 5"
    assert lines(data, "rule", "Web", "mug", "--min", "1", "--locations", "Shop, front")[0][5:] == [
        "buffer 2, min 1, max 5, from Shop, front", "7", "1",
    ]  # fmt: skip
    back = ("--buffer", "0", "--min", "0", "--max", "none", "--locations", "all")
    assert lines(data, "rule", "Web", "mug", *back)[0][5] == "everything"
    both = ("--at", "Main", "--locations", 'Main, "Shop, front"')
    assert lines(data, "rule", "Web", "mug", *both)[0][5] == "from Main, Shop, front"
    assert lines(data, "rule", "Web", "mug")[0][5] == "from Main, Shop, front"
    assert lines(data, "rule", "Web", "mug", "--oversell", "0.001")[0][5].startswith("oversell 0.001")
    assert "oversell" not in lines(data, "rule", "Web", "mug", "--oversell", "none")[0][5]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["map", "Wep", "cup", "mug"], "unknown_channel: no channel has that name; there is Web"),
        (["map", "Web", "cupp", "mug"], "unknown_listing: the channel has no product with that key or SKU; there is c"),
        (["map", "Web", "cup", "mugg"], "unknown_sku: no item has that SKU; there is mug"),
        (["map", "Web", "secret", "mug"], "unknown_listing"),
        (["unmap", "Web", "99"], "unknown_listing"),
        (["list", "--channel", "nowhere"], "unknown_channel"),
        (["rule", "Web", "mug", "--min", "5", "--max", "4"], "min_above_max: shown_max:"),
        (["rule", "Web", "mug", "--buffer", "-1"], "out_of_bounds: buffer:"),
        (["rule", "Web", "mug", "--oversell", "0.9"], "out_of_bounds: oversell_target:"),
        (["rule", "Web", "mug", "--locations", "nowhere"], "is fed by Main, Shop, front"),
        (["rule", "Web", "mug", "--at", "nowhere", "--buffer", "1"], "unknown_location"),
    ],
)
def test_what_is_not_there_or_out_of_bounds_exits_2_and_says_what_is(
    data: Path, arguments: list[str], words: str
) -> None:
    assert words in refusal(data, *arguments)
