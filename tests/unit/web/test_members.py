"""Members, roles and invitations on pages: who may do what, and that another merchant's are not there at all."""

from __future__ import annotations

import re

import pytest
from werkzeug.test import TestResponse

from app.accounts import audit
from app.accounts.members import INVITATION_LIFE, INVITATIONS_MAX, list_invitations, list_members
from app.accounts.members import invite as create_invitation
from app.accounts.roles import EVERYTHING, PERMISSIONS, ROLES
from app.insight import words
from app.web.access import LOGIN_BLUEPRINT, OPEN_BLUEPRINTS
from app.web.asker import NEEDS
from tests.people import PASSWORD, People
from tests.unit.web.site import Site

ANNA, BOB, EVE = "anna@example.com", "bob@example.com", "eve@example.com"
_FILLED = re.compile(r"<[^>]+>")
_CSRF = re.compile(r'name="csrf_token" value="[^"]+"')


def invite(site: Site, email: str = BOB, role: str = "clerk") -> str:
    """The path of the link that is shown."""
    page = site.send("/members/invitations", page="/members", email=email, role=role)
    assert page.status_code == 200, page.text
    return re.search(r'value="http://localhost(/join/\w+)"', page.text)[1]  # type: ignore[index]


def accept(site: Site, link: str, **fields: object) -> TestResponse:
    return site.send(link, page=link, **{"name": "Bob", "password": PASSWORD, **fields})


def roles_of(people: People) -> dict[str, str]:
    with people.world.session() as session:
        return {member.email: member.role for member in list_members(session)}


def test_an_invited_person_sets_a_password_and_is_a_member_in_that_role(people: People) -> None:
    people.user(ANNA)
    owner = people.logged_in(ANNA)
    link = invite(owner)
    assert link not in owner.get("/members").text
    assert BOB in owner.get("/members").text
    bob = people.site()
    page = bob.get(link)
    assert (page.status_code, "Clerk" in page.text, BOB in page.text) == (200, True, True)
    assert accept(bob, link, password="short").status_code == 422
    assert accept(bob, link, name=" ").status_code == 422
    assert accept(bob, link).status_code == 302
    assert bob.get("/").status_code == 200
    assert roles_of(people) == {ANNA: "owner", BOB: "clerk"}
    with people.world.session() as session:
        added = next(entry for entry in audit.list_entries(session) if entry.after == {"role": "clerk"})
    assert (added.actor, added.action, added.subject) == (BOB, "member.added", BOB)


def test_an_invitations_link_is_never_made_of_the_name_that_somebody_asked_by(people: People) -> None:
    people.user(ANNA)
    for host in ("evil.example", "stock.lan:8000"):
        site, base_url = people.site(), f"http://{host}"
        assert site.log_in(PASSWORD, email=ANNA, base_url=base_url).status_code == 302
        environ = {"base_url": base_url}
        sent = site.send("/members/invitations", page="/members", environ=environ, email=BOB, role="clerk")
        assert (sent.status_code, "no_public_url" in sent.text, "/join/" in sent.text) == (403, True, False)
    with people.world.session() as session:
        assert list_invitations(session) == []


def test_a_link_works_once_and_not_after_it_was_withdrawn_replaced_or_is_too_old(people: People) -> None:
    people.user(ANNA)
    owner = people.logged_in(ANNA)
    used = invite(owner)
    assert accept(people.site(), used).status_code == 302
    replaced = invite(owner, EVE)
    withdrawn = invite(owner, EVE)
    with people.world.session() as session:
        (open_one,) = list_invitations(session)
    path = f"/members/invitations/{open_one.invitation_id}/withdraw"
    assert owner.send(path, page="/members").status_code == 303
    late = invite(owner, EVE)
    people.world.now += INVITATION_LIFE
    for link in (used, replaced, withdrawn, late, "/join/nothing", "/join/perpi_" + "0" * 64):
        page = people.site().get(link)
        assert (page.status_code, "ask for another" in page.text) == (404, True)


def test_somebody_who_has_an_account_proves_it_and_belongs_to_both_merchants(people: People) -> None:
    people.user(ANNA)
    people.user(BOB, "owner", people.other)
    link = invite(people.logged_in(ANNA), BOB, "viewer")
    bob = people.site()
    assert accept(bob, link, name="", password="not the password").status_code == 422
    assert accept(bob, link, name="").status_code == 302
    assert bob.get("/").text.count('class="card"') == 2


def test_the_role_is_another_from_the_next_click_on(people: People) -> None:
    people.user(ANNA)
    bob = people.user(BOB, "manager")
    owner, site = people.logged_in(ANNA), people.logged_in(BOB)
    assert site.get("/log").status_code == 200
    changed = owner.send(f"/members/{bob.user_id}/role", page="/members", role="clerk")
    assert changed.status_code == 303
    refused = site.get("/log")
    assert (refused.status_code, "Your role here is clerk" in refused.text) == (403, True)
    assert owner.send(f"/members/{bob.user_id}/log-out", page="/members").status_code == 303
    assert site.get("/").status_code == 302
    assert owner.send(f"/members/{bob.user_id}/remove", page="/members").status_code == 303
    assert "You belong to no merchant" in people.logged_in(BOB).get("/").text
    with people.world.session() as session:
        told = [(entry.actor, entry.action) for entry in audit.list_entries(session)][:4]
    assert [action for actor, action in told if actor == ANNA] == [
        "member.removed", "member.logged_out", "member.role_changed",
    ]  # fmt: skip


def test_the_last_owner_is_neither_removed_nor_made_anything_else(people: People) -> None:
    anna = people.user(ANNA)
    site = people.logged_in(ANNA)
    for path, fields in (
        (f"/members/{anna.user_id}/role", {"role": "viewer"}),
        (f"/members/{anna.user_id}/remove", {}),
    ):
        refused = site.send(path, page="/members", **fields)
        assert (refused.status_code, "at least one owner" in refused.text) == (409, True)
    people.user(BOB)
    assert site.send(f"/members/{anna.user_id}/role", page="/members", role="viewer").status_code == 303
    assert roles_of(people) == {ANNA: "viewer", BOB: "owner"}
    assert site.get("/members").status_code == 403


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"email": "b@c.de\r\nBcc: x@y.z", "role": "clerk"}, "line breaks"),
        ({"email": "bоb@example.com", "role": "clerk"}, "look like others"),
        ({"email": BOB, "role": "emperor"}, "one of owner, manager"),
        ({"email": BOB, "role": "clerk", "merchant_id": "1"}, "extra field"),
        ({"email": BOB, "role": ["clerk", "owner"]}, "more than once"),
        ({"email": BOB, "role": "clerk", "user_id": "1"}, "extra field"),
    ],
)
def test_rows_18_and_47_a_form_with_a_bad_or_extra_field_invites_nobody(
    people: People, fields: dict[str, object], text: str
) -> None:
    people.user(ANNA)
    refused = people.logged_in(ANNA).send("/members/invitations", page="/members", **fields)
    assert (refused.status_code, text in refused.text) == (422, True)
    with people.world.session() as session:
        assert list_invitations(session) == []


def test_row_48_nobody_is_mailed_in_bulk_as_there_are_so_many_open_invitations_and_one_address_in_each(
    people: People,
) -> None:
    people.user(ANNA)
    owner = people.logged_in(ANNA)
    with people.world.session() as session:
        for number in range(INVITATIONS_MAX):
            create_invitation(session, f"guest{number}@example.com", "viewer", "anna")
    form, page = "/members/invitations", "/members"
    refused = owner.send(form, page=page, email="one-too-many@example.com", role="viewer")
    assert (refused.status_code, "withdraw some of the open invitations first" in refused.text) == (409, True)
    crowd = [f"guest{number}@example.com" for number in range(500)]
    for separator in (",", ", ", ";", " ", "\n", "%0A"):
        refused = owner.send(form, page=page, email=separator.join(crowd), role="viewer")
        assert (refused.status_code, "/join/" in refused.text) == (422, False)
    with people.world.session() as session:
        assert len(list_invitations(session)) == INVITATIONS_MAX
        row = session.row("select count(*) as made from invitation where merchant_id = %(merchant_id)s")
        assert row is not None
        assert row.made == INVITATIONS_MAX


def test_who_is_a_member_is_not_invited_again(people: People) -> None:
    people.user(ANNA)
    refused = people.logged_in(ANNA).send(
        "/members/invitations", page="/members", email="ANNA@example.com", role="clerk"
    )
    assert (refused.status_code, "a member already" in refused.text) == (409, True)


def test_a_key_is_made_on_its_page_shown_once_and_revoked(people: People) -> None:
    people.user(ANNA)
    site = people.logged_in(ANNA)
    wrong = site.send("/keys", page="/keys", name="till", expires="2027-13-01", scopes=["items:read"])
    assert (wrong.status_code, "a day such as" in wrong.text) == (422, True)
    assert site.send("/keys", page="/keys", name="till", expires="").status_code == 422
    made = site.send("/keys", page="/keys", name="till", expires="", scopes=["items:read", "stock:read"])
    token = re.search(r"perp_[0-9a-f]{64}", made.text)[0]  # type: ignore[index]
    listed = site.get("/keys").text
    assert (token in listed, "items:read, stock:read" in listed) == (False, True)
    number = re.search(r"/keys/(\d+)/revoke", listed)[1]  # type: ignore[index]
    assert site.send(f"/keys/{number}/revoke", page="/keys").status_code == 303
    assert "Revoked" in site.get("/keys").text


def rules(site: Site, method: str) -> list[str]:
    """Every path of a method that is about a merchant, its variables filled in."""
    found = []
    for rule in site.app.url_map.iter_rules():
        open_one = rule.endpoint.split(".")[0] in OPEN_BLUEPRINTS | {LOGIN_BLUEPRINT, "static"}
        personal = getattr(site.app.view_functions[rule.endpoint], NEEDS, "see") is None
        if method in (rule.methods or ()) and not (open_one or personal):
            found.append(_FILLED.sub("1", rule.rule))
    return found


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_row_21_a_member_of_another_merchant_finds_nothing_at_any_address(people: People, method: str) -> None:
    people.user(EVE, "owner", people.other)
    people.user(ANNA)
    site = people.logged_in(EVE)
    token = site.get("/account").text.split('name="csrf_token" value="')[1].split('"')[0]
    paths = rules(site, method)
    assert len(paths) > 5
    for path in paths:
        asked = {"query_string": {"merchant": people.world.merchant_id}, "headers": {"Accept": "application/json"}}
        answer = site.client.open(
            path, method=method, data={"csrf_token": token} if method == "POST" else None, **asked
        )
        absent = {"query_string": {"merchant": 10**9}, "headers": {"Accept": "application/json"}}
        nothing = site.client.open(
            path, method=method, data={"csrf_token": token} if method == "POST" else None, **absent
        )
        assert answer.status_code == 404, path
        assert answer.get_json() == nothing.get_json(), path


def test_row_21_ids_of_another_merchants_things_are_answered_like_absent_ones(people: People) -> None:
    people.user(EVE, "owner", people.other)
    anna = people.user(ANNA)
    owner, stranger = people.logged_in(ANNA), people.logged_in(EVE)
    invite(owner)
    owner.send("/keys", page="/keys", name="till", expires="", scopes=["all"])
    with people.world.session() as session:
        invitation = list_invitations(session)[0].invitation_id
        key = session.value("select max(key_id) from api_key where merchant_id = %(merchant_id)s")
    paths = {
        f"/members/{anna.user_id}/role": {"role": "viewer"}, f"/members/{anna.user_id}/remove": {},
        f"/members/{anna.user_id}/log-out": {}, f"/members/invitations/{invitation}/withdraw": {},
        f"/keys/{key}/revoke": {},
    }  # fmt: skip
    for path, fields in paths.items():
        real = stranger.send(path, page="/members", **fields)
        absent = stranger.send(re.sub(r"\d+", str(10**9), path), page="/members", **fields)
        assert (real.status_code, absent.status_code) == (404, 404), path
        assert _CSRF.sub("", real.text) == _CSRF.sub("", absent.text), path
    assert owner.get("/members").status_code == 200
    assert roles_of(people) == {ANNA: "owner"}


def test_a_viewer_reads_and_every_form_of_the_merchant_is_refused(people: People) -> None:
    people.user(ANNA, "viewer")
    site = people.logged_in(ANNA)
    token = site.get("/account").text.split('name="csrf_token" value="')[1].split('"')[0]
    for path in rules(site, "POST"):
        answer = site.client.post(path, data={"csrf_token": token}, headers={"Accept": "application/json"})
        assert (answer.status_code, answer.get_json()["reason"]) == (403, "not_allowed"), path
    for path in ("/", "/items", "/listings"):
        page = site.get(path)
        assert page.status_code == 200
        assert 'href="/members"' not in page.text
    for path in ("/members", "/keys", "/log"):
        assert site.get(path).status_code == 403


def test_every_role_has_its_words_and_every_permission_somebody_beside_the_owner_or_a_reason() -> None:
    assert ROLES == tuple(words.ROLES) == tuple(words.ROLES_MAY)
    for_owners = EVERYTHING - frozenset().union(*(may for role, may in PERMISSIONS.items() if role != "owner"))
    assert for_owners == {"keys.change", "members.change"}
    assert all("see" in may for may in PERMISSIONS.values())


def test_every_form_of_a_merchant_says_which_permission_it_takes(site: Site) -> None:
    silent = [
        rule.endpoint
        for rule in site.app.url_map.iter_rules()
        if "POST" in (rule.methods or ())
        and rule.endpoint.split(".")[0] not in OPEN_BLUEPRINTS | {LOGIN_BLUEPRINT}
        and not hasattr(site.app.view_functions[rule.endpoint], NEEDS)
    ]
    assert silent == []
