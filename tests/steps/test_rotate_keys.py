"""Another key: everything that is sealed is sealed anew, wherever it is kept, and then the former key may go."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from app.accounts.answers import StoredAnswer, bound_to, claim, store
from app.commands.sealing import PLACES
from app.core.db import Database
from app.core.reseal import BATCH, reseal
from app.core.runtime import Runtime
from app.core.secrets import Sealer
from app.inbox.receive import Delivery, receive
from app.listings.credentials import read_credentials
from app.listings.joining import begin_joining
from app.outbox.endpoints import create_endpoint
from app.worker import Worker
from connectors.join import Found
from tests.shell import app
from tests.street import Street
from tests.world import World

NEW = bytes(range(32))
# Columns of the schema that hold bytes but nothing sealed.
OPEN = {
    ("sales_order", "digest"), ("sales_order", "read_digest"), ("api_key_hash", "token_hash"), ("api_answer", "digest"),
    ("audit_log", "hash"), ("audit_log", "previous_hash"), ("audit_head", "hash"), ("shop_joining", "token_hash"),
    ("install_state", "digest"), ("user_session", "token_hash"), ("invitation", "token_hash"), ("upload", "body"),
    ("history_seal", "hash"), ("history_seal", "previous_hash"),
}  # fmt: skip


def moved_on(runtime: Runtime) -> Runtime:
    """The same process after another key was made active."""
    old = runtime.sealer
    return replace(runtime, sealer=Sealer({**old.keys, "new": NEW}, "new"))


def only_new(runtime: Runtime) -> Runtime:
    """The same process after the former key was taken away."""
    return replace(runtime, sealer=Sealer({"new": NEW}, "new"))


def work_with(street: Street, runtime: Runtime) -> None:
    street.runtime, street.worker = runtime, Worker(runtime, only_merchant=street.world.merchant_id)


def fill(street: Street) -> tuple[int, int, str]:
    """One secret of every kind: the channel, the endpoint and its secret."""
    shop = street.open_woo({"mug": 5})
    channel, runtime, merchant = street.channel_of(shop), street.runtime, street.world.merchant_id
    begin_joining(runtime, merchant, "woocommerce", Found(f"https://other-{merchant}.test", "Other"))
    shop.place_order([("mug", 1)])
    posted = next(one for one in shop.due_deliveries() if one.headers.get("X-WC-Webhook-Topic", "").startswith("order"))
    nonsense = street.signed(shop, posted, b"<html>")
    path = nonsense.url.rsplit("/", 1)[-1]
    (receipt,) = receive(
        runtime,
        [Delivery("woocommerce", path, {k.lower(): v for k, v in nonsense.headers.items()}, nonsense.body)],
    )
    assert receipt.reason == "parked"
    with street.world.session() as session:
        endpoint, secret = create_endpoint(
            runtime, session, url="https://example.com/hook", description="", events=["stock.changed"]
        )
        assert claim(session, "once", b"digest") is None
        sealed = runtime.sealer.seal(b"secret answer", bound_to=bound_to(merchant, "once"))
        store(session, "once", StoredAnswer(201, {}, sealed))
    return channel, endpoint, secret


def test_what_every_kind_of_secret_is_sealed_with_changes_and_it_opens_with_the_new_key_alone(
    street: Street, other: World
) -> None:
    channel, _, _ = fill(street)
    merchant, runtime = street.world.merchant_id, moved_on(street.runtime)
    with street.world.session() as session:
        credentials = read_credentials(runtime.sealer, session, channel)
        before = {
            f"{place.table}.{place.column}": session.value(f"select count(*) from ({_sealed(place)}) s")
            for place in PLACES
        }
    assert {column for column, count in before.items() if not count} <= {"shop_joining.sealed_keys"}
    assert reseal(runtime, other.merchant_id, PLACES).former.total() == 0
    done = reseal(runtime, merchant, PLACES)
    assert (done.broken, done.former) == ([], {street.runtime.sealer.active: sum(before.values())})
    alone = only_new(street.runtime)
    with street.world.session() as session:
        assert read_credentials(alone.sealer, session, channel) == credentials
        for place in PLACES:
            for row in session.rows(_sealed(place)):
                assert alone.sealer.open(bytes(row.sealed), bound_to=place.bound_to(merchant, row))
    assert reseal(runtime, merchant, PLACES).former == {}


def _sealed(place: object) -> str:
    from app.core.reseal import Kept

    assert isinstance(place, Kept)
    names = ", ".join([*place.key, *place.also])
    return f"""select {names}, {place.column} as sealed from {place.table}
               where merchant_id = %(merchant_id)s and ({place.where}) and {place.column} is not null"""


def test_no_column_that_holds_sealed_values_is_forgotten(database: Database, street: Street) -> None:
    with street.world.session() as session:
        rows = session.rows(
            """select c.relname as table, a.attname as column from pg_attribute a join pg_class c on c.oid = a.attrelid
               join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition
                 and a.atttypid = 'bytea'::regtype and a.attnum > 0 and not a.attisdropped"""
        )
    known = {(place.table, place.column) for place in PLACES}
    assert {(row.table, row.column) for row in rows} - OPEN == known


def test_more_values_than_a_batch_are_all_sealed_anew_and_one_that_nothing_opens_is_named_and_left(
    street: Street,
) -> None:
    runtime, merchant = moved_on(street.runtime), street.world.merchant_id
    number = BATCH + 7
    with street.world.session() as session:
        for n in range(number):
            assert claim(session, f"key {n:04}", b"digest") is None
            sealed = street.runtime.sealer.seal(b"answer", bound_to=bound_to(merchant, f"key {n:04}"))
            store(session, f"key {n:04}", StoredAnswer(201, {}, sealed))
        foreign = Sealer({"gone": bytes(32)}, "gone").seal(b"answer", bound_to=bound_to(merchant, "key 0003"))
        store(session, "key 0003", StoredAnswer(201, {}, foreign))
    done = reseal(runtime, merchant, PLACES)
    assert done.former == {street.runtime.sealer.active: number - 1}
    assert done.broken == [
        f"api_answer.body answer:{merchant}:key 0003: it was sealed with key 'gone', which is not configured"
    ]
    with street.world.session() as session:
        left = session.value("select body from api_answer where merchant_id = %(merchant_id)s and key = 'key 0003'")
    assert bytes(left) == foreign


def test_an_answer_that_was_open_is_left_as_it_is(street: Street) -> None:
    with street.world.session() as session:
        claim(session, "open", b"digest")
        store(session, "open", StoredAnswer(200, {}, b'{"id": 1}'))
    assert reseal(moved_on(street.runtime), street.world.merchant_id, PLACES).former == {}
    with street.world.session() as session:
        answer = claim(session, "open", b"digest")
    assert answer is not None
    assert answer.body == b'{"id": 1}'


@pytest.mark.timeout(120)
def test_a_single_machine_makes_a_key_restarts_and_rotates(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    first = app(tmp_path, "rotate-keys", "--json")
    assert (first.returncode, json.loads(first.stdout)["active"]) == (0, "k1")
    made = app(tmp_path, "rotate-keys", "--new")
    assert made.stdout == "k2 seals what comes from now on. Restart the service, then run: python -m app rotate-keys\n"
    told = json.loads(app(tmp_path, "rotate-keys", "--json").stdout)
    assert told == {"active": "k2", "sealed_anew": 0, "by_former_key": {}, "broken": [], "not_needed": ["k1"]}
    secrets = tmp_path / "secrets.toml"
    secrets.write_text("\n".join(line for line in secrets.read_text().splitlines() if not line.startswith("k1")))
    assert app(tmp_path, "merchant", "list").returncode == 0  # the database opens without the former key


def test_keys_of_the_configuration_are_added_there(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    config.write_text(
        f'[server]\nsecret_key = "{"x" * 48}"\n[security]\nactive_key = "a"\n[security.encryption_keys]\na = "{key}"\n'
    )
    config.chmod(0o600)
    refused = app(tmp_path, "rotate-keys", "--new", "--config", str(config))
    assert refused.returncode == 2
    assert "add one to security.encryption_keys there" in refused.stderr
    assert not (tmp_path / "secrets.toml").exists()


def test_keys_are_rotated_while_everybody_works(street: Street) -> None:
    street.world.move("mug", 5, "opening > available@A", "25")
    shop = street.open_shopify({"mug": 5})
    work_with(street, moved_on(street.runtime))
    street.settle(5)
    reseal(street.runtime, street.world.merchant_id, PLACES)
    work_with(street, only_new(street.runtime))
    street.world.now += timedelta(seconds=1)
    shop.place_order([("mug", 2)])
    street.settle(5)
    assert street.world.level("mug")["committed"] == 2
