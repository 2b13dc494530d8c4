"""Deliveries from the socket to the row: stored before they are answered, many at once, each its own merchant's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from werkzeug.test import EnvironBuilder

from app.core.db import connect
from app.core.embedded import APP_ROLE, SUPERUSER, Embedded
from app.core.errors import InvalidInput, Unavailable
from app.inbox.receive import receive
from app.web import create_app
from sandbox.base import Delivery as Posted
from sandbox.shopify import PretendShopify
from tests.deliveries import Gate, address, as_delivery, committed, opened, orders_of, post, refusals, stored
from tests.street import Street
from tests.world import World


@pytest.fixture
def shop(street: Street) -> PretendShopify:
    return opened(street)


def test_a_delivery_is_stored_before_its_shop_hears_anything(street: Street, shop: PretendShopify) -> None:
    posted = orders_of(street, shop, 1)[0]
    seen: list[tuple[str, int]] = []

    def start_response(status: str, headers: object, error: object = None) -> Any:
        seen.append((status, len(stored(street.world))))

    builder = EnvironBuilder(address(posted), method="POST", data=posted.body, headers=dict(posted.headers))
    list(create_app(street.runtime).wsgi_app(builder.get_environ(), start_response))
    assert seen == [("200 OK", 1)]


FULL = "could not extend file: No space left on device"


@pytest.mark.parametrize("full_disk", [psycopg.OperationalError(FULL), psycopg.errors.DiskFull(FULL)])
def test_a_commit_that_fails_is_a_503_and_the_same_delivery_again_is_stored_once(
    server: Embedded, street: Street, shop: PretendShopify, full_disk: psycopg.Error
) -> None:
    posted = orders_of(street, shop, 1)[0]
    database = connect(server.url(APP_ROLE))
    broken = [True]

    def full(connection: Any) -> None:
        wrote = connection.exec_driver_sql("select pg_current_xact_id_if_assigned() is not null").scalar_one()
        if broken and wrote:
            raise OperationalError("commit", {}, full_disk)

    event.listen(database.engine, "commit", full)
    app = create_app(replace(street.runtime, database=database))
    answer = post(app, posted)
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)
    assert stored(street.world) == []
    assert app.test_client().get("/healthz").status_code == 503
    broken.clear()
    assert app.test_client().get("/healthz").status_code == 200
    assert [post(app, posted).status_code for _ in range(2)] == [200, 200]
    assert len(stored(street.world)) == 1
    database.close()


@pytest.mark.parametrize("statement", ["insert into inbox", "pg_logical_emit_message"])
def test_a_disk_that_is_full_while_a_statement_writes_is_a_503_with_retry_after_and_leaves_nothing_62(
    server: Embedded, street: Street, shop: PretendShopify, statement: str
) -> None:
    posted = orders_of(street, shop, 1)[0]
    database = connect(server.url(APP_ROLE))

    def full(connection: Any, cursor: Any, sql: str, *rest: Any) -> None:
        if statement in sql:
            raise OperationalError(sql, {}, psycopg.errors.DiskFull(FULL))

    event.listen(database.engine, "before_cursor_execute", full)
    app = create_app(replace(street.runtime, database=database))
    answers = [post(app, posted), app.test_client().get("/healthz")]
    failed = answers["emit" in statement]
    assert (failed.status_code, failed.json["reason"]) == (503, "database_unavailable")
    assert int(failed.headers["Retry-After"]) > 0
    assert len(stored(street.world)) == ("emit" in statement)
    database.close()


def test_a_database_that_is_switched_to_reading_turns_health_red_though_it_answers_62(
    server: Embedded, street: Street, shop: PretendShopify
) -> None:
    posted = orders_of(street, shop, 1)[0]
    role = f"alter role {APP_ROLE}"
    server.run_client("psql", "-qc", f"{role} set default_transaction_read_only = on", role=SUPERUSER)
    try:
        database = connect(server.url(APP_ROLE))
        app = create_app(replace(street.runtime, database=database))
        health = app.test_client().get("/healthz")
        assert (health.status_code, health.json["reason"]) == (503, "database_read_only")
        assert int(health.headers["Retry-After"]) > 0
        assert post(app, posted).status_code == 503
        database.close()
    finally:
        server.run_client("psql", "-qc", f"{role} reset default_transaction_read_only", role=SUPERUSER)
    assert stored(street.world) == []
    assert create_app(street.runtime).test_client().get("/healthz").status_code == 200


def test_deliveries_that_wait_together_are_one_transaction_and_all_are_stored(
    street: Street, shop: PretendShopify
) -> None:
    first, *rest = orders_of(street, shop, 13)
    gate = Gate(street)
    with committed(street.world.database) as commits:
        answers = gate.answers(first, rest)
        assert gate.sizes == [1, 12]
        assert len(commits) == 4  # each flush: whose shops they are, and the rows
    assert [answer.status_code for answer in answers] == [200] * 12
    assert len(set(stored(street.world))) == 13


def test_two_merchants_deliveries_in_one_flush_go_to_their_own_inbox(
    street: Street, shop: PretendShopify, other: World, tmp_path: Path
) -> None:
    theirs = Street(other, tmp_path)
    their_shop = opened(theirs)
    mine, yours = orders_of(street, shop, 4), orders_of(theirs, their_shop, 3)
    gate = Gate(street)
    answers = gate.answers(mine[0], [mine[1], yours[0], mine[2], yours[1], yours[2], mine[3]])
    assert gate.sizes == [1, 6]
    assert [answer.status_code for answer in answers] == [200] * 6
    assert (len(stored(street.world)), len(stored(other))) == (4, 3)
    for one in (street, theirs):
        one.settle(3)
    assert (street.world.available("mug"), other.available("mug")) == (46, 47)


def test_both_platforms_in_one_flush_are_read_by_their_own_rules(street: Street, shop: PretendShopify) -> None:
    woo = street.open_woo({"mug": 50})
    street.settle()
    first, second = orders_of(street, shop, 2)
    theirs = orders_of(street, woo, 2)
    answers = Gate(street).answers(first, [*theirs, second])
    assert [answer.status_code for answer in answers] == [200] * 3
    assert len(stored(street.world)) == 4


@pytest.mark.parametrize("way", [{}, {"headers": {"Content-Encoding": "identity"}}])
def test_an_address_with_a_nul_is_nobodys_and_harms_no_other_delivery(
    street: Street, shop: PretendShopify, way: dict[str, Any]
) -> None:
    first, second, third = orders_of(street, shop, 3)
    nowhere = Posted(third.due_at, "http://x/webhooks/woocommerce/%00", third.headers, third.body, third.hook_key)
    answers = Gate(street).answers(first, [second, nowhere], **way)
    assert [answer.status_code for answer in answers] == [200, 404]
    assert len(stored(street.world)) == 2


@pytest.mark.parametrize("length", [201, 8_000])
def test_a_delivery_whose_own_id_is_endless_is_parked_and_harms_no_other_shops(
    street: Street, shop: PretendShopify, other: World, tmp_path: Path, length: int
) -> None:
    theirs = Street(other, tmp_path)
    (first, mine), (yours,) = orders_of(street, shop, 2), orders_of(theirs, opened(theirs), 1)
    endless = "".join(chr(33 + byte % 94) for byte in Random(7).randbytes(length))  # nothing that can be compressed
    named = replace(mine, headers={**mine.headers, "X-Shopify-Webhook-Id": endless})
    answers = Gate(street).answers(first, [named, yours])
    assert [answer.status_code for answer in answers] == [200, 200]
    assert (len(stored(street.world)), len(stored(other)), street.parked()) == (2, 1, ["key_too_long"])


def test_what_the_database_has_no_room_for_is_the_senders_fault_and_not_a_database_that_is_away(world: World) -> None:
    with pytest.raises(InvalidInput), world.session() as session:
        session.value("select array_fill(0, array[2000000000])")


def test_a_shop_whose_credentials_can_not_be_opened_fails_alone(
    street: Street, shop: PretendShopify, other: World, tmp_path: Path
) -> None:
    theirs = Street(other, tmp_path)
    their_shop = opened(theirs)
    (first, mine), (yours,) = orders_of(street, shop, 2), orders_of(theirs, their_shop, 1)
    with other.session() as session:
        session.run("update channel set sealed_credentials = 'torn' where merchant_id = %(merchant_id)s")
    answers = Gate(street).answers(first, [yours, mine])
    assert [answer.status_code for answer in answers] == [503, 200]
    assert (len(stored(street.world)), stored(other)) == (2, [])


def test_a_database_that_goes_away_between_two_merchants_refuses_both_and_nothing_is_lost_or_doubled(
    street: Street, shop: PretendShopify, other: World, tmp_path: Path
) -> None:
    theirs = Street(other, tmp_path)
    posted = [*orders_of(street, shop, 2), *orders_of(theirs, opened(theirs), 2)]
    database = street.world.database
    begun: list[int] = []

    class Failing:
        across = staticmethod(database.across)

        @staticmethod
        def begin(merchant_id: int, now: Any, **how: Any) -> Any:
            begun.append(merchant_id)
            if len(begun) == 2:
                raise Unavailable("database_unavailable")
            return database.begin(merchant_id, now, **how)

    runtime = replace(street.runtime, database=Failing())  # type: ignore[arg-type]
    deliveries = [as_delivery(one) for one in posted]
    with pytest.raises(Unavailable):
        receive(runtime, deliveries)
    assert sorted([len(stored(street.world)), len(stored(other))]) == [0, 2]
    assert [receipt.status for receipt in receive(runtime, deliveries)] == [200] * 4
    assert (len(stored(street.world)), len(stored(other))) == (2, 2)


def test_a_database_that_was_restarted_costs_one_503_and_the_delivery_comes_again(
    server: Embedded, street: Street, shop: PretendShopify
) -> None:
    first, second = orders_of(street, shop, 2)
    database = connect(server.url(APP_ROLE))
    app = create_app(replace(street.runtime, database=database))
    assert post(app, first).status_code == 200
    with database.engine.connect() as one:
        ours = one.exec_driver_sql("select pg_backend_pid()").scalar_one()
    server.run_client("psql", "-qXt", "-c", f"select pg_terminate_backend({ours})", role=SUPERUSER)
    answers = [post(app, second) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 200]
    assert int(answers[0].headers["Retry-After"]) > 0
    assert len(stored(street.world)) == 2
    database.close()


def test_wrong_signatures_are_counted_by_reason_and_never_stored(street: Street, shop: PretendShopify) -> None:
    woo = street.open_woo({"mug": 50})
    street.settle()
    first, *rest = orders_of(street, shop, 4)
    forged = [replace(one, headers={**one.headers, "X-Shopify-Hmac-Sha256": "AAAA"}) for one in rest[:2]]
    bare = {name: value for name, value in rest[2].headers.items() if "Hmac" not in name}
    of_woo = orders_of(street, woo, 1)[0]
    forged_woo = replace(of_woo, headers={**of_woo.headers, "X-WC-Webhook-Signature": "AAAA"})
    answers = Gate(street).answers(first, [*forged, replace(rest[2], headers=bare), forged_woo])
    assert [answer.status_code for answer in answers] == [401, 401, 401, 202]
    assert len(stored(street.world)) == 1
    counts = refusals(street.world)
    assert counts[street.channel_of(shop), "invalid_signature"] == 2
    assert counts[street.channel_of(shop), "missing_signature"] == 1
    assert counts[street.channel_of(woo), "invalid_signature"] == 1


@pytest.mark.parametrize("forged", [{}, {"X-Shopify-Hmac-Sha256": "AAAA"}])
def test_whoever_can_not_sign_is_answered_alike_for_a_shop_that_is_connected_and_for_one_that_is_nobodys(
    street: Street, shop: PretendShopify, forged: dict[str, str]
) -> None:
    (posted,) = orders_of(street, shop, 1)
    bare = {name: value for name, value in posted.headers.items() if "Hmac" not in name}
    app = create_app(street.runtime)
    known, nobodys = (
        post(app, replace(posted, headers={**bare, **forged, "X-Shopify-Shop-Domain": domain}))
        for domain in (shop.domain, "somebody-else.myshopify.com")
    )
    assert (known.status_code, nobodys.status_code, known.data) == (401, 401, nobodys.data)
    assert (list(known.headers.items()), stored(street.world)) == (list(nobodys.headers.items()), [])


def test_a_forged_delivery_can_not_write_into_the_count_of_a_shop_that_is_nobodys(
    street: Street, shop: PretendShopify
) -> None:
    posted = orders_of(street, shop, 1)[0]
    app = create_app(street.runtime)
    answer = post(app, posted, headers={"X-Shopify-Shop-Domain": "somebody-else.myshopify.com"})
    assert (answer.status_code, refusals(street.world), stored(street.world)) == (401, {}, [])
