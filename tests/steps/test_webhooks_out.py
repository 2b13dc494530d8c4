"""What happened is told to whom it concerns: written with what made it true, signed, at least once, over a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from app.core.errors import Conflict, InvalidInput
from app.ledger.post import post
from app.listings.cases import list_cases
from app.listings.states import change_state
from app.outbox import deliver as delivering
from app.outbox.deliver import CLAIM, KEPT, RESTS_S, RETRIES_S, deliver, prune_webhooks
from app.outbox.endpoints import (
    ENDPOINTS_MAX,
    EVENTS,
    change_endpoint,
    check_url,
    create_endpoint,
    get_endpoint,
    list_deliveries,
    remove_endpoint,
    replay,
)
from app.worker import DELIVER, DELIVERING_MAX, THREADS, WAITING_MAX, Worker
from tests.receiver import ADDRESS, Receiver, is_signed
from tests.street import Street
from tests.world import World

OPENING = "opening > available@A"


class Hook:
    """An endpoint of the street's merchant and the server behind it."""

    def __init__(self, street: Street, events: Sequence[str] = EVENTS, path: str = "/hook") -> None:
        self.street, self.receiver = street, Receiver()
        street.session.mount(ADDRESS + path, self.receiver)
        with street.world.session() as session:
            self.id, self.secret = create_endpoint(
                street.runtime, session, url=ADDRESS + path, description="till", events=events
            )

    def deliver(self) -> int:
        return deliver(self.street.runtime, self.street.world.merchant_id, self.id)

    def wait(self, seconds: float) -> int:
        self.street.world.now += timedelta(seconds=seconds)
        return self.deliver()

    def states(self) -> list[tuple[str, int]]:
        """(state, attempts) of its deliveries, the oldest event first."""
        with self.street.world.session() as session:
            rows = list_deliveries(session, self.id, state=None, before=None, limit=1_000)
        return [(row.state, row.attempts) for row in reversed(rows)]

    @property
    def state(self) -> str:
        with self.street.world.session() as session:
            return get_endpoint(session, self.id).state

    def take_up(self) -> None:
        with self.street.world.session() as session:
            one = get_endpoint(session, self.id, lock=True)
            change_endpoint(session, one, url=one.url, description=one.description, events=one.events, state="active")


def events(world: World) -> int:
    with world.session() as session:
        count: int = session.value("select count(*) from webhook_event where merchant_id = %(merchant_id)s")
    return count


def test_a_change_of_stock_is_told_signed_with_every_figure(street: Street) -> None:
    hook = Hook(street)
    street.world.move("mug", 10, OPENING, "50")
    assert hook.deliver() == 1
    heard = hook.receiver.heard[0]
    assert is_signed(heard, hook.secret)
    assert not is_signed(heard, "whsec_" + "A" * 43 + "=")
    assert heard.headers["content-type"] == "application/json"
    assert heard.body["type"] == "stock.changed"
    assert heard.body["timestamp"].startswith("2026-11-23T12:00:00")
    assert heard.body["data"] == {
        "item_id": street.world.items["mug"], "sku": "mug", "location_id": street.world.a, "available": 10,
        "committed": 0, "damaged": 0, "quarantined": 0, "in_transit": 0, "on_hand": 10,
    }  # fmt: skip
    assert heard.key == f"evt_{heard.body['sequence']}"
    assert hook.states() == [("delivered", 1)]
    assert hook.deliver() == 0


def test_an_order_a_case_and_a_channels_state_are_told_by_the_worker_itself(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    shop = street.open_shopify({"mug": 10})
    street.settle()
    hook = Hook(street)
    shop.place_order([("mug", 3)])
    street.settle(2)
    with street.world.session() as session:
        change_state(session, street.channel_of(shop), "paused", "anna")
        session.run(
            """insert into case_file (merchant_id, case_id, kind, subject, detail, opened_at)
               values (%(merchant_id)s, nextval('case_seq'), 'goods_to_check', 'box', 'look', %(now)s)""",
            now=session.now,
        )
    street.settle(2)
    told = {heard.body["type"]: heard.body["data"] for heard in hook.receiver.heard}
    assert told.keys() == set(EVENTS)
    assert told["stock.changed"]["committed"] == 3
    assert told["order.booked"]["number"]
    assert (told["channel.state_changed"]["was"], told["channel.state_changed"]["state"]) == ("active", "paused")
    assert told["channel.state_changed"]["by"] == "anna"
    assert told["case.opened"]["kind"] == "goods_to_check"


def move_and_fail(world: World) -> None:
    movement = world.movement("mug", 1, OPENING, "1")
    with world.session() as session:
        post(session, [movement])
        raise ZeroDivisionError


def test_what_was_rolled_back_is_not_told(street: Street) -> None:
    hook = Hook(street)
    with pytest.raises(ZeroDivisionError):
        move_and_fail(street.world)
    assert (events(street.world), hook.deliver()) == (0, 0)


def test_where_nobody_wants_to_be_told_nothing_is_written(street: Street) -> None:
    street.world.move("mug", 10, OPENING, "50")
    assert events(street.world) == 0
    hook = Hook(street, ["order.booked"])
    street.world.move("mug", 1, OPENING, "5")
    assert (events(street.world), hook.deliver()) == (0, 0)


def test_one_merchants_endpoint_hears_nothing_of_another(street: Street, other: World) -> None:
    hook = Hook(street)
    other.move("theirs", 5, OPENING, "5")
    assert (events(street.world), events(other), hook.deliver()) == (0, 0, 0)
    street.world.move("mug", 1, OPENING, "1")
    assert deliver(street.runtime, other.merchant_id, hook.id) == 0
    assert hook.deliver() == 1


def test_a_batch_tells_once_of_each_item_at_each_place_and_the_latest_has_the_highest_number(street: Street) -> None:
    hook = Hook(street)
    world = street.world
    world.post(*[world.movement(f"i{n % 5}", 1, OPENING, "1") for n in range(20)])
    world.move("i0", 1, OPENING, "1")
    assert hook.deliver() == 6
    of_one = [heard.body for heard in hook.receiver.heard if heard.body["data"]["sku"] == "i0"]
    assert [body["data"]["available"] for body in sorted(of_one, key=lambda body: body["sequence"])] == [4, 5]


def test_a_failure_is_tried_again_later_and_later_and_given_up_after_a_day(street: Street) -> None:
    hook = Hook(street)
    hook.receiver.answer = lambda heard: 500
    street.world.move("mug", 1, OPENING, "1")
    for number, pause in enumerate(RETRIES_S, start=1):
        assert hook.deliver() == 0
        assert hook.states() == [("waiting", number)]
        assert hook.deliver() == 0
        assert len(hook.receiver.heard) == number  # not before its time
        hook.take_up()  # keeps the endpoint itself out of it
        street.world.now += timedelta(seconds=pause * 1.2 + 1)
    hook.deliver()
    assert hook.states() == [("failed", len(RETRIES_S) + 1)]
    assert 23 * 3600 < sum(RETRIES_S) < 25 * 3600


def test_an_endpoint_that_fails_rests_longer_each_time_and_its_other_events_wait_unspent(street: Street) -> None:
    hook = Hook(street)
    hook.receiver.answer = lambda heard: 503
    for _ in range(3):
        street.world.move("mug", 1, OPENING, "1")
    hook.deliver()
    assert hook.states() == [("waiting", 1), ("waiting", 0), ("waiting", 0)]
    assert len(hook.receiver.heard) == 1
    assert hook.wait(RESTS_S[0] - 1) == 0
    assert len(hook.receiver.heard) == 1
    hook.wait(2)
    assert len(hook.receiver.heard) == 2
    hook.wait(RESTS_S[1] - 1)
    assert len(hook.receiver.heard) == 2
    hook.receiver.answer = lambda heard: 200
    hook.wait(60)
    assert [state for state, _ in hook.states()] == ["delivered"] * 3
    with street.world.session() as session:
        one = get_endpoint(session, hook.id)
    assert (one.failures, one.failing_since, one.last_error) == (0, None, None)


def test_one_event_that_is_never_taken_does_not_hold_up_the_others(street: Street) -> None:
    hook = Hook(street)
    street.world.move("poison", 1, OPENING, "1")
    hook.receiver.answer = lambda heard: 500 if heard.body["data"]["sku"] == "poison" else 200
    hook.deliver()
    for _ in range(5):
        street.world.move("mug", 1, OPENING, "1")
    hook.wait(6)
    hook.wait(20)
    hook.wait(60)
    assert [state for state, _ in hook.states()] == ["waiting", *["delivered"] * 5]
    assert hook.state == "active"


def test_after_a_day_of_failures_nothing_more_is_sent_and_a_case_says_so_until_it_is_active_again(
    street: Street,
) -> None:
    hook = Hook(street)
    hook.receiver.answer = lambda heard: 500
    for _ in range(3):
        street.world.move("mug", 1, OPENING, "1")
    hook.deliver()
    hook.wait(25 * 3600)
    assert hook.state == "disabled"
    with street.world.session() as session:
        assert [(case.kind, case.subject) for case in list_cases(session)] == [
            ("endpoint_disabled", f"endpoint {hook.id}")
        ]
    sent = len(hook.receiver.heard)
    street.world.move("mug", 1, OPENING, "1")
    assert (hook.wait(3600), len(hook.receiver.heard)) == (0, sent)
    hook.receiver.answer = lambda heard: 200
    hook.take_up()
    assert hook.deliver() == 3
    assert street.cases() == []
    assert street.cases("corrected") == ["endpoint_disabled"]


def test_an_endpoint_that_says_it_is_gone_is_believed_at_once(street: Street) -> None:
    hook = Hook(street)
    hook.receiver.answer = lambda heard: 410
    street.world.move("mug", 1, OPENING, "1")
    hook.deliver()
    assert (hook.state, street.cases()) == ("disabled", ["endpoint_disabled"])


def test_a_redirect_is_no_answer_and_is_not_followed(street: Street) -> None:
    hook = Hook(street)
    hook.receiver.answer = lambda heard: 302
    street.world.move("mug", 1, OPENING, "1")
    hook.deliver()
    with street.world.session() as session:
        told = list_deliveries(session, hook.id, state="waiting", before=None, limit=10)
    assert [one.error for one in told] == ["redirected"]
    assert len(hook.receiver.heard) == 1


def test_what_a_worker_that_died_was_at_is_told_by_another_once_its_claim_ends(street: Street) -> None:
    hook = Hook(street)
    street.world.move("mug", 1, OPENING, "1")
    assert delivering._claim(street.runtime, street.world.merchant_id, hook.id) is not None
    assert hook.deliver() == 0
    assert hook.wait(CLAIM.total_seconds() + 1) == 1
    assert hook.states() == [("delivered", 2)]


def test_who_comes_back_after_its_claim_ended_changes_nothing(street: Street) -> None:
    hook = Hook(street)
    street.world.move("mug", 1, OPENING, "1")
    late = delivering._claim(street.runtime, street.world.merchant_id, hook.id)
    assert late is not None
    assert hook.wait(CLAIM.total_seconds() + 1) == 1
    with street.world.session() as session:
        delivering._record(session, late, delivering.Told(0, "http_500"), street.rng)
    assert hook.states() == [("delivered", 2)]


def test_what_is_kept_can_be_told_again(street: Street) -> None:
    hook = Hook(street)
    for _ in range(3):
        street.world.move("mug", 1, OPENING, "1")
        street.world.now += timedelta(hours=1)
    assert hook.deliver() == 3
    since = street.world.now - timedelta(hours=2)
    with street.world.session() as session:
        assert replay(session, hook.id, since) == 2
    assert hook.deliver() == 2
    keys = [heard.key for heard in hook.receiver.heard]
    assert keys[1:3] == keys[3:5]  # by which the receiver knows that it heard them before


def test_after_a_week_events_are_forgotten(street: Street) -> None:
    hook = Hook(street)
    street.world.move("mug", 1, OPENING, "1")
    street.world.now += KEPT - timedelta(hours=1)
    street.world.move("mug", 1, OPENING, "1")
    street.world.now += timedelta(hours=2)
    with street.world.session() as session:
        assert prune_webhooks(session) == 1
    assert (events(street.world), len(hook.states())) == (1, 1)
    with street.world.session() as session:
        assert prune_webhooks(session) == 0


def test_an_endpoint_that_is_removed_takes_what_it_was_told_with_it(street: Street) -> None:
    hook = Hook(street)
    street.world.move("mug", 1, OPENING, "1")
    with street.world.session() as session:
        remove_endpoint(session, hook.id)
        assert session.value("select count(*) from webhook_delivery where merchant_id = %(merchant_id)s") == 0
    assert hook.deliver() == 0


def test_a_secret_is_sealed_to_its_row(street: Street) -> None:
    hook = Hook(street)
    with street.world.session() as session:
        sealed = bytes(session.value("select sealed_secret from webhook_endpoint where merchant_id = %(merchant_id)s"))
    assert hook.secret.encode() not in sealed
    bound = f"webhook_endpoint:{street.world.merchant_id}:{hook.id}"
    assert street.runtime.sealer.open(sealed, bound_to=bound).decode() == hook.secret


def test_endpoints_are_so_many_and_no_more(street: Street) -> None:
    for number in range(ENDPOINTS_MAX):
        Hook(street, path=f"/hook{number}")
    with pytest.raises(Conflict) as full:
        Hook(street)
    assert full.value.reason == "too_many_endpoints"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://[::1]/", "https://0.0.0.0/", "https://2130706433/", "https://0x7f.1/",
        "https://10.1.2.3/", "https://169.254.169.254/", "https://[fd00:ec2::254]/", "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/", "https://100.64.1.1/", "http://93.184.215.14/", "file:///etc/passwd",
        "gopher://93.184.215.14/", "javascript:alert(1)", "https://a:b@93.184.215.14/", "https://93.184.215.14:22/",
        "nowhere", "",
    ],
)  # fmt: skip
def test_an_address_that_leads_inside_is_refused_rows_29_and_30(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_url(url, allow_loopback=False)
    assert refused.value.where == "url"


def test_endpoints_that_are_slow_leave_the_workers_other_threads_to_the_shops(street: Street) -> None:
    worker = Worker(street.runtime)
    worker._busy |= {(1, number, DELIVER) for number in range(DELIVERING_MAX)}
    assert worker._full((1, 99, DELIVER))
    assert not worker._full((1, 99, "push_0"))


def test_shops_that_are_read_for_long_leave_threads_to_book_sales_and_to_write_numbers(street: Street) -> None:
    worker = Worker(street.runtime)
    worker._busy |= {(1, number, "poll_orders") for number in range(WAITING_MAX)}
    assert worker._full((1, 99, "poll_import"))
    assert worker._full((1, 99, DELIVER))
    assert not worker._full((1, 99, "process"))
    assert not worker._full((1, 99, "push_0"))
    worker._busy |= {(1, number, "process") for number in range(THREADS - WAITING_MAX)}
    assert worker._full((1, 99, "push_0"))


def test_shops_that_hang_leave_a_thread_to_book_what_was_told_and_one_alone_leaves_others_to_the_rest(
    street: Street,
) -> None:
    worker = Worker(street.runtime)
    worker._busy |= {(1, 7, act) for act in ("look", "ring", "push_0", "push_1")}
    assert worker._full((1, 7, "poll_orders"))
    assert not worker._full((1, 8, "push_1"))
    assert not worker._full((2, 7, "push_1"))
    worker._busy |= {(1, 8, "look")}
    assert worker._full((1, 9, "push_0"))
    assert not worker._full((1, 9, "process"))


def test_long_readings_of_a_shop_leave_threads_to_write_its_numbers(street: Street) -> None:
    worker = Worker(street.runtime)
    worker._busy |= {(1, 7, "poll_orders"), (1, 7, "poll_import")}
    assert worker._full((1, 7, "poll_stock"))
    assert not worker._full((1, 8, "poll_stock"))
    assert not worker._full((1, 7, "push_0"))
