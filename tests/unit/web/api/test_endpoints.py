"""A program says where events are sent to, sees how that goes, and has them sent again."""

from __future__ import annotations

from app.outbox.deliver import deliver
from tests.receiver import ADDRESS, Receiver, is_signed
from tests.unit.web.api.program import Program
from tests.unit.web.site import Site

HOOK = {"url": f"{ADDRESS}/hook", "events": ["stock.changed"], "description": "till"}


def test_an_endpoint_is_made_with_a_secret_that_is_shown_once_and_hears_what_happens(
    program: Program, site: Site
) -> None:
    street = site.street
    receiver = Receiver()
    street.session.mount(ADDRESS, receiver)
    made = program.call("POST", "/webhook-endpoints", HOOK)
    assert made.status_code == 201
    path = f"/webhook-endpoints/{made.json['endpoint_id']}"
    assert made.headers["Location"].endswith(path)
    shown = [program.call("GET", where).text for where in (path, "/webhook-endpoints", f"{path}/deliveries")]
    assert not any("secret" in text or made.json["secret"] in text for text in shown)
    street.world.move("mug", 5, "opening > available@A", "5")
    deliver(street.runtime, street.world.merchant_id, made.json["endpoint_id"])
    assert is_signed(receiver.heard[0], made.json["secret"])
    told = program.ask(f"{path}/deliveries?state=delivered")["data"]
    assert [(one["type"], one["data"]["available"], one["attempts"]) for one in told] == [("stock.changed", 5, 1)]
    again = program.do("POST", f"{path}/replay", {"since": "2026-11-01T00:00:00Z"})
    assert again == {"events": 1}
    assert [one["state"] for one in program.ask(f"{path}/deliveries")["data"]] == ["waiting"]


def test_the_secret_of_an_answer_that_is_asked_for_again_was_kept_sealed(program: Program, site: Site) -> None:
    once = {"Idempotency-Key": "make-hook"}
    made = program.call("POST", "/webhook-endpoints", HOOK, headers=once)
    with site.street.world.session() as session:
        kept = bytes(session.value("select body from api_answer where merchant_id = %(merchant_id)s"))
    assert made.json["secret"].encode() not in kept
    assert program.call("POST", "/webhook-endpoints", HOOK, headers=once).data == made.data
    assert len(program.ask("/webhook-endpoints")["data"]) == 1


def test_an_endpoint_is_changed_paused_taken_up_and_removed(program: Program) -> None:
    path = f"/webhook-endpoints/{program.do('POST', '/webhook-endpoints', HOOK)['endpoint_id']}"
    assert program.do("PATCH", path, {"state": "paused"})["state"] == "paused"
    changed = program.do("PATCH", path, {"events": ["case.opened", "order.booked"], "state": "active"})
    assert (changed["events"], changed["url"], changed["state"]) == (
        ["case.opened", "order.booked"],
        HOOK["url"],
        "active",
    )
    assert program.call("DELETE", path).status_code == 204
    assert program.call("GET", path).status_code == 404


def test_an_address_inside_or_an_event_that_is_none_is_refused_rows_29_and_30(program: Program) -> None:
    for url in ("https://127.0.0.1/", "http://93.184.215.14/", "file:///etc/passwd", "https://a:b@93.184.215.14/"):
        answer = program.call("POST", "/webhook-endpoints", {**HOOK, "url": url})
        assert (answer.status_code, answer.json["where"]) == (422, "url")
        assert url not in answer.text
    answer = program.call("POST", "/webhook-endpoints", {**HOOK, "events": ["stock.sold"]})
    assert (answer.status_code, answer.json["where"]) == (422, "events.0")
    path = f"/webhook-endpoints/{program.do('POST', '/webhook-endpoints', HOOK)['endpoint_id']}"
    assert program.call("PATCH", path, {"url": "https://10.0.0.1/"}).json["where"] == "url"
    assert program.ask(path)["url"] == HOOK["url"]
