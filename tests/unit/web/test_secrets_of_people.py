"""Row 26: sessions, invitations, keys, the word a shop is joined by and the app's own secrets are in no log, on no page
but the one that is for them, and in the clear in no column."""

from __future__ import annotations

import io
import re

from sqlalchemy import Engine

from app.listings.joining import begin_joining, get_joining
from app.web.access import OPEN_BLUEPRINTS, TOKEN
from connectors.join import Found
from tests.canaries import as_they_travel, columns_with
from tests.installing import FORMER, SECRET, Installing
from tests.people import PASSWORD, People
from tests.unit.web.site import BROWSER, Site

ANNA, BOB = "anna@example.com", "bob@example.com"


def join(people: People) -> str:
    """A shop is being joined; the word in the link to its page."""
    street, found = people.street, Found("https://joined.test", "Joined")
    joining_id = begin_joining(street.runtime, street.world.merchant_id, "woocommerce", found)
    with street.world.session() as session:
        sealed = get_joining(session, joining_id).sealed_token
    bound = f"joining:{street.world.merchant_id}:{joining_id}:token"
    return street.runtime.sealer.open(bytes(sealed), bound_to=bound).decode()


def pages(site: Site) -> list[str]:
    return sorted(
        rule.rule
        for rule in site.app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.arguments and rule.endpoint.split(".")[0] not in OPEN_BLUEPRINTS
    )


def test_what_lets_people_shops_and_programs_in_is_seen_once_by_whom_it_is_for_and_kept_in_the_clear_nowhere(
    people: People, logged: io.StringIO, owner: Engine
) -> None:
    installing = Installing(people.street)
    shop = installing.shop("one")
    installed = installing.query(shop)
    installing.installed(shop)
    people.user(ANNA)
    anna = people.logged_in(ANNA)
    invited = anna.send("/members/invitations", page="/members", email=BOB, role="clerk").text
    invitation = re.search(r"/join/(\w+)", invited)[1]  # type: ignore[index]
    made = anna.send("/keys", page="/keys", name="till", expires="", scopes=["all"]).text
    key = re.search(r"perpk_\w+|perp\w*_\w{20,}", made)[0]  # type: ignore[index]
    word = join(people)
    with anna.client.session_transaction() as kept:
        session = kept[TOKEN]
    cookie = anna.client.get_cookie(anna.app.config["SESSION_COOKIE_NAME"])
    assert cookie is not None
    secrets = as_they_travel({invitation, key, word, SECRET, FORMER, PASSWORD, installed["id_token"], session})
    seen = {path: anna.client.get(path, headers=BROWSER) for path in pages(anna) if "/live" not in path}
    assert sum(answer.status_code == 200 for answer in seen.values()) > 10
    for path, answer in seen.items():
        headers = [value for name, value in answer.headers if name != "Set-Cookie"]
        text = f"{headers}\n{answer.get_data(as_text=True)}"
        assert [secret for secret in secrets if secret in text] == [], path
    anna.client.get(f"/join/{'x' * 40}", headers=BROWSER)
    people.site().get(f"/join/{invitation}")
    assert [secret for secret in {*secrets, cookie.value} if secret in logged.getvalue()] == []
    assert columns_with(owner, secrets) == []
