"""Every page and form that takes an id is tried with the real id of another merchant's thing: by a member of another
merchant, and by somebody in the admin of another merchant's Shopify shop. It is answered like one that is not there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pytest
from werkzeug.test import TestResponse

from app.simulation.town import ORIGIN
from app.web.access import LOGIN_BLUEPRINT, OPEN_BLUEPRINTS
from app.web.asker import NEEDS
from tests.installing import CLIENT_ID, Installing
from tests.people import People
from tests.unit.web.site import BROWSER, Site
from tests.world import World

ABSENT = 2**62
# What an id at the beginning of a path is of; the longest beginning that fits counts.
KINDS = {
    "/cases/": ("case_file", "case_id"),
    "/channels/": ("channel", "channel_id"),
    "/connect/woocommerce/": ("shop_joining", "joining_id"),
    "/import/": ("upload", "upload_id"),
    "/import/batches/": ("import_batch", "batch_id"),
    "/items/": ("item", "sku"),
    "/keys/": ("api_key", "key_id"),
    "/listings/": ("listing", "listing_id"),
    "/members/": ("membership", "user_id"),
    "/members/invitations/": ("invitation", "invitation_id"),
    "/numbers/": ("stock_owner", "owner_id"),
}
# What has to be said, by the end of the path, before the id is looked for.
FIELDS: Mapping[str, Mapping[str, str]] = {
    "accept": {"kind": "new", "listings": "0"},
    "decide": {"right": "ledger"},
    "state": {"state": "paused"},
    "role": {"role": "viewer"},
    "opening": {"source": "shop"},
    "approve": {"digest": "x"},
    "map": {"item": "ours"},
    "rule": {"buffer": "3"},
    "keys": {"consumer_key": "ck_" + "0" * 40, "consumer_secret": "cs_" + "0" * 40},
    "disconnect": {"sure": "yes"},
    "places": {"place": "gid://shopify/Location/1", "location": "new"},
}
_MADE = (
    """insert into shop_joining (merchant_id, joining_id, platform, name, base_url, token_hash, sealed_token,
                                 created_at, expires_at)
       values (%(merchant_id)s, nextval('shop_joining_seq'), 'woocommerce', 'Theirs', 'https://theirs.test', 'x', 'x',
               %(now)s, %(now)s + interval '1 hour')""",
    """insert into upload (merchant_id, upload_id, name, body, size, made_at)
       values (%(merchant_id)s, nextval('upload_seq'), 'theirs.csv', 'x', 1, %(now)s)""",
    """insert into import_batch (merchant_id, batch_id, name, items, openings, units, made_at, made_by)
       values (%(merchant_id)s, nextval('import_batch_seq'), 'theirs.csv', 0, 0, 0, %(now)s, 'anna')""",
    """insert into match_batch (merchant_id, batch_id, channel_id, kinds, items, listings, made_at, made_by)
       select %(merchant_id)s, nextval('match_batch_seq'), min(channel_id), '{new}', 0, 0, %(now)s, 'anna'
       from channel where merchant_id = %(merchant_id)s""",
    """insert into case_file (merchant_id, case_id, kind, subject, detail, opened_at)
       values (%(merchant_id)s, nextval('case_seq'), 'goods_to_check', 'box', 'look', %(now)s)""",
)


@pytest.fixture
def theirs(people: People) -> dict[str, object]:
    """A real id of each kind, by the beginning of its paths; `batch_id`: of the second id in a path."""
    street, world = people.street, people.world
    world.move("theirs", 10, "opening > available@A", "50")
    people.other.item("ours")
    street.open_shopify({"theirs": 10})
    street.settle()
    anna = people.user("anna@example.com")
    people.logged_in(anna.email).send("/members/invitations", page="/members", email="bob@example.com", role="clerk")
    people.logged_in(anna.email).send("/keys", page="/keys", name="till", expires="", scopes=["all"])
    with world.session() as session:
        for text in _MADE:
            session.run(text, now=session.now)
        found = {
            start: session.value(f"select max({column}) from {table} where merchant_id = %(merchant_id)s")
            for start, (table, column) in KINDS.items()
        }
        found["batch_id"] = session.value("select max(batch_id) from match_batch where merchant_id = %(merchant_id)s")
    assert None not in found.values()
    return found


Ask = Callable[[str, str], TestResponse]


def asks(site: Site, ask: Ask, method: str) -> Mapping[str, Callable[[Mapping[str, object]], tuple[int, str]]]:
    """By rule: what is answered when the ids in it are these."""
    found = {}
    for rule in site.app.url_map.iter_rules():
        open_one = rule.endpoint.split(".")[0] in OPEN_BLUEPRINTS | {LOGIN_BLUEPRINT, "static"}
        personal = getattr(site.app.view_functions[rule.endpoint], NEEDS, "see") is None
        if rule.arguments and method in (rule.methods or ()) and not (open_one or personal):
            found[rule.rule] = lambda ids, rule=rule.rule: _told(ask(method, _filled(rule, ids)))
    return found


def _filled(rule: str, ids: Mapping[str, object]) -> str:
    start = max((start for start in KINDS if rule.startswith(start)), key=len)
    second = re.sub(r"<[^>]*:batch_id>", str(ids["batch_id"]), rule)
    return re.sub(r"<[^>]+>", str(ids[start]), second)


def _told(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, re.sub(r'(name="csrf_token" value=|[?&]said=)"?[^"&]+', "", answer.text)


def everything(world: World) -> list[object]:
    """What of the merchant could have been changed."""
    with world.session() as session:
        return [
            tuple(row)
            for table in sorted({table for table, _ in KINDS.values()} | {"match_batch", "audit_log"})
            for row in session.rows(f"select t::text from {table} t where merchant_id = %(merchant_id)s order by 1")
        ]


@pytest.fixture(params=["member", "visitor"])
def ask(request: pytest.FixtureRequest, people: People) -> tuple[Site, Ask]:
    """Somebody of another merchant, with every right there: logged in, or in their own shop's admin."""
    if request.param == "member":
        people.user("eve@example.com", "owner", people.other)
        return _member(people.logged_in("eve@example.com"))
    return _visitor(Installing(people.street))


def _member(site: Site) -> tuple[Site, Ask]:
    token = site.get("/account").text.split('name="csrf_token" value="')[1].split('"')[0]

    def ask(method: str, path: str) -> TestResponse:
        fields = FIELDS.get(path.rpartition("/")[2], {})
        said = {"data": {"csrf_token": token, **fields}} if method == "POST" else {"query_string": fields}
        return site.client.open(path, method=method, headers=BROWSER, **said)  # type: ignore[arg-type]

    return site, ask


def _visitor(installing: Installing) -> tuple[Site, Ask]:
    shop = installing.shop("eve")
    installing.installed(shop)
    site = Site(installing.street, installing.site.app)
    site.client = site.app.test_client(use_cookies=False)

    def ask(method: str, path: str) -> TestResponse:
        headers = {**BROWSER, "Authorization": f"Bearer {shop.admin.session_token(CLIENT_ID)}"}
        fields, where = FIELDS.get(path.rpartition("/")[2], {}), {"shop": shop.domain, "embedded": "1"}
        said = {"data": fields, "query_string": where} if method == "POST" else {"query_string": {**where, **fields}}
        return site.client.open(path, method=method, headers=headers, base_url=ORIGIN, **said)  # type: ignore[arg-type]

    return site, ask


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_real_id_of_another_merchants_thing_is_answered_like_an_absent_one_row_21(
    people: People, theirs: dict[str, object], ask: tuple[Site, Ask], method: str
) -> None:
    before = everything(people.world)
    found = asks(*ask, method)
    assert len(found) > 5
    absent = {**dict.fromkeys(theirs, ABSENT), "/items/": "absent"}
    for rule, told in found.items():
        real, nothing = told(theirs), told(absent)
        assert (real[0], nothing[0]) == (404, 404), (rule, real, nothing)
        assert real[1].replace(str(theirs["/items/"]), "absent") == nothing[1], rule
    assert everything(people.world) == before


def test_the_ids_are_real_for_whom_they_belong_to(people: People, theirs: dict[str, object]) -> None:
    anna = people.logged_in("anna@example.com")
    found = asks(*_member(anna), "GET")
    not_found = {rule for rule, told in found.items() if told(theirs)[0] == 404}
    assert not_found == set()
