"""A channel's policy and state, and what shadow tells, as a person at a shell sees them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.accounts.merchants import list_merchants
from app.core.config import load_settings
from app.core.db import connect
from app.core.embedded import APP_ROLE, OWNER_ROLE, Embedded
from app.core.migrate import migrate
from app.core.secrets import Sealer
from app.listings.channels import list_channels
from tests.shell import app
from tests.steps.test_listing_commands import NOW, a_merchant, entry

OURS = ("--merchant", "ours")
_SENT = """
insert into shadow_write (merchant_id, channel_id, shadow_id, owner_id, at, expected, target, shown, reasons)
select merchant_id, channel_id, nextval('shadow_seq'), owner_id, %(now)s, 7, 4, 9, '[["available", 4]]'
from stock_owner where merchant_id = %(merchant_id)s and stock_key = '11'
"""


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="perpetual-cli-", ignore_cleanup_errors=True) as folder:
        path = Path(folder)
        path.chmod(0o755)
        embedded = Embedded(path)
        embedded.ensure()
        migrate(embedded.url(OWNER_ROLE))
        database = connect(embedded.url(APP_ROLE))
        for name in ("ours", "theirs"):
            a_merchant(database, name, [entry("11", "mug", "Mug")])
        database.close()
        yield path
        embedded.stop()


def state(data: Path, *more: str) -> str:
    result = app(data, "channel", "state", "Web", *more, *OURS)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_a_channels_policy_is_set_by_its_name_and_is_one_of_three(data: Path) -> None:
    for policy in ("ask", "channel_wins", "ledger_wins"):
        assert app(data, "channel", "policy", "Web", policy, *OURS).stdout == f"Web: {policy}\n"
    assert "unknown_channel" in app(data, "channel", "policy", "Wob", "ask", *OURS).stderr
    assert app(data, "channel", "policy", "Web", "whoever", *OURS).returncode == 2


def test_a_channels_state_says_since_when_and_by_whom_and_active_waits_for_a_reading(data: Path) -> None:
    assert state(data) == "Web: active"
    assert state(data, "paused").startswith("Web: paused, since 20")
    assert state(data).endswith(" by command line")
    assert state(data, "active").startswith("Web: becomes active when its numbers and orders have been read")
    assert state(data, "shadow").startswith("Web: shadow, since 20")
    assert app(data, "channel", "state", "Web", "--merchant", "theirs").stdout == "Web: active\n"
    assert "unknown_channel" in app(data, "channel", "state", "Wob", *OURS).stderr
    assert app(data, "channel", "state", "Web", "asleep", *OURS).returncode == 2


def test_the_shadow_report_is_for_reading_and_as_json(data: Path) -> None:
    nothing = app(data, "shadow", "--merchant", "theirs")
    assert (nothing.returncode, "channel state CHANNEL shadow" in nothing.stdout) == (1, True)
    state(data, "shadow")
    database = connect(Embedded(data).url(APP_ROLE))
    with database.begin(1, NOW) as session:
        session.run(_SENT, now=NOW)
    database.close()
    text = app(data, "shadow", *OURS).stdout
    assert "1 numbers would have been sent, for 1 listings" in text
    assert "7 → 4, it showed 9  (available 4)" in text
    (told,) = json.loads(app(data, "shadow", "--channel", "Web", "--json", *OURS).stdout)
    assert (told["channel"], told["state"]) == ("Web", "shadow")
    assert told["numbers"][0]["writes"][0]["steps"] == [["available", 4]]
    assert "unknown_channel" in app(data, "shadow", "--channel", "Wob", *OURS).stderr


def test_diagnose_names_what_is_broken_by_its_exit_code_as_text_and_as_json(data: Path) -> None:
    state(data, "paused")
    result = app(data, "diagnose", *OURS)
    assert result.returncode == 1
    assert "! the channel is paused" in result.stdout
    assert "do: `python -m app channel state Web active`" in result.stdout
    (one,) = json.loads(app(data, "diagnose", "--json", *OURS).stdout)
    assert len(one["requirements"]) > 10
    assert [f"  {need['state']:7} {need['what']}" in result.stdout for need in one["requirements"]].count(False) == 0
    told = json.loads(app(data, "diagnose", "--channel", "Web", "--json", *OURS).stdout)
    assert [(one["channel"], one["broken"], one["findings"][0]["link"]) for one in told] == [
        ("Web", True, "channel_paused")
    ]
    assert "unknown_channel" in app(data, "diagnose", "--channel", "Wob", *OURS).stderr
    theirs = app(data, "diagnose", "--merchant", "theirs")
    assert (theirs.returncode, "clock_not_running" in theirs.stdout) == (1, True)
    assert "paused" not in theirs.stdout


def test_diagnose_asks_the_shops_when_it_is_told_to_and_keeps_what_they_say(data: Path) -> None:
    keys = load_settings(config=None, data_dir=data, environ={}).security
    sealer = Sealer(keys.keys(), keys.active_key)
    database = connect(Embedded(data).url(APP_ROLE))
    theirs = next(one for one in list_merchants(database, NOW) if one.name == "theirs")
    with database.begin(theirs.merchant_id, NOW) as session:
        (channel,) = list_channels(session)
        sealed = sealer.seal(b"{}", bound_to=f"channel:{theirs.merchant_id}:{channel.channel_id}")
        session.run(
            """update channel set sealed_credentials = %(sealed)s, base_url = 'http://10.0.0.1'
               where merchant_id = %(merchant_id)s""",
            sealed=sealed,
        )
    database.close()

    def told(*more: str) -> tuple[bool, dict[str, str]]:
        (one,) = json.loads(app(data, "diagnose", "--json", *more, "--merchant", "theirs").stdout)
        return one["checked_at"] is not None, {found["name"]: found["state"] for found in one["requirements"]}

    asked, before = told()
    assert (asked, before["key"]) == (False, "unknown")
    asked, found = told("--check")
    assert (asked, found["key"], found["reachable"]) == (True, "fail", "fail")
    assert told() == (True, found)


def test_what_a_remedy_names_is_refused_with_what_to_do_where_it_does_not_fit(data: Path) -> None:
    state(data, "paused")
    assert "channel_not_active" in app(data, "reading", "afresh", "Web", *OURS).stderr
    wrong = app(data, "location", "map", "Web", "Annex", "Mars", *OURS)
    assert (wrong.returncode, "there is Main, Shop, front" in wrong.stderr) == (2, True)
    assert app(data, "channel", "credentials", "Wob", *OURS).returncode == 2


def test_a_shop_is_disconnected_and_then_erased_by_who_says_so_twice(data: Path) -> None:
    theirs = ("--merchant", "theirs")
    refused = app(data, "channel", "erase", "Web", "--yes", *theirs)
    assert (refused.returncode, "still_connected" in refused.stderr) == (2, True)
    left = app(data, "channel", "disconnect", "Web", *theirs)
    assert "Web: disconnected, its keys are forgotten" in left.stdout
    asked = app(data, "channel", "erase", "Web", *theirs)
    assert (asked.returncode, "--yes" in asked.stderr) == (2, True)
    assert "Web" in app(data, "diagnose", *theirs).stdout
    erased = app(data, "channel", "erase", "Web", "--yes", *theirs)
    assert (erased.returncode, erased.stdout.startswith("Web: erased, ")) == (0, True)
    assert "Removed shop" in app(data, "diagnose", *theirs).stdout
    assert app(data, "channel", "state", "Web", *OURS).returncode == 0
