"""Logging in as a user: by e-mail in any spelling, slowed when wrong, in sessions that are listed and end."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from app.accounts import audit
from app.accounts.logins import SESSION_LIFE, drop_old_sessions, find_login, list_sessions
from app.accounts.users import normal_email
from app.core.errors import InvalidInput
from app.web.failures import FAILURES_MAX, USER_FAILURES_MAX
from tests.people import PASSWORD, People
from tests.unit.web import site as sites
from tests.unit.web.site import BROWSER, Site
from tests.world import World

OUTSIDE = {"environ_base": {"REMOTE_ADDR": "203.0.113.9"}}
ANNA = "anna@example.com"


def test_once_there_is_a_user_this_machine_too_needs_a_login(people: People) -> None:
    site = people.site()
    assert site.ask("/").status_code == 200
    people.user(ANNA)
    for page in (site.ask("/"), site.ask("/", **OUTSIDE), site.ask("/keys")):
        assert (page.status_code, page.headers["Location"][:12]) == (302, "/login?next=")
    assert site.ask("/", {"Accept": "application/json"}).get_json()["reason"] == "login_needed"
    assert site.get("/healthz").status_code == 200


def test_a_user_sees_the_pages_of_their_only_merchant_without_naming_it(people: People) -> None:
    people.user(ANNA)
    site = people.logged_in(ANNA)
    page = site.get("/", **OUTSIDE)
    assert page.status_code == 200
    assert people.world.session
    assert ANNA in page.text
    assert 'href="/members"' in page.text


@pytest.mark.parametrize("email", ["ANNA@Example.COM", " anna@example.com ", "ａｎｎａ@example.com"])
def test_row_35_every_spelling_of_an_address_is_the_same_person(people: People, email: str) -> None:
    people.user(ANNA)
    assert people.site().log_in(PASSWORD, email=email).status_code == 302


@pytest.mark.parametrize("email", ["аnna@example.com", "anna@exаmple.com", "annа@example.com", "ànna@example.com"])
def test_row_35_an_address_that_only_looks_like_another_is_refused(people: People, email: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        normal_email(email)
    assert (refused.value.reason, refused.value.where) == ("email_not_ascii", "email")
    people.user(ANNA)
    assert people.site().log_in(PASSWORD, email=email).status_code == 401


@pytest.mark.parametrize(
    "email",
    [
        "a@b.c\nBcc: x@y.z", "a@b.c\r\n", "\na@b.c", "a@b.c\0", "a b@c.d", "a@b", "@b.c", "a@b..c", "a@b.c,d@e.f",
        "x" * 300 + "@a.b",
    ],
)  # fmt: skip
def test_row_47_an_address_with_a_line_break_or_of_another_shape_is_refused(email: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        normal_email(email)
    assert (refused.value.status, refused.value.where) == (422, "email")


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(people: People) -> None:
    people.user(ANNA)
    site = people.site()
    wrong, unknown = site.log_in("wrong password", email=ANNA), site.log_in(PASSWORD, email="eve@example.com")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    told = [re.sub(r'name="csrf_token" value="[^"]+"', "", page.text) for page in (wrong, unknown)]
    assert told[0].replace(ANNA, "") == told[1].replace("eve@example.com", "")
    assert site.get("/").status_code == 302


def test_row_35_tries_are_slowed_by_address_and_for_one_user_from_wherever(people: People) -> None:
    people.user(ANNA)
    site = people.site()
    for _ in range(FAILURES_MAX):
        assert site.log_in("wrong password", email=ANNA).status_code == 401
    assert site.log_in(PASSWORD, email=ANNA).status_code == 429
    for number in range(USER_FAILURES_MAX - FAILURES_MAX):
        place = {"REMOTE_ADDR": f"203.0.113.{number}"}
        site.log_in("wrong password", email=ANNA.upper(), environ_base=place)
    slowed = site.log_in(PASSWORD, email=ANNA, environ_base={"REMOTE_ADDR": "198.51.100.1"})
    assert slowed.status_code == 429
    assert int(slowed.headers["Retry-After"]) > 0


def test_row_35_another_spelling_of_an_address_is_no_further_try(people: People) -> None:
    people.user(ANNA)
    site = people.site()
    wide = [ANNA.replace(letter, chr(ord(letter) + 0xFEE0)) for letter in "anexmplco"]  # one person, by NFKC
    for number in range(USER_FAILURES_MAX):
        place = {"REMOTE_ADDR": f"203.0.113.{number}"}
        assert site.log_in("wrong password", email=wide[number % len(wide)], environ_base=place).status_code == 401
    assert site.log_in(PASSWORD, email=ANNA, environ_base={"REMOTE_ADDR": "198.51.100.1"}).status_code == 429


def test_row_35_logging_in_oneself_gives_no_further_guesses_at_somebody_elses_password(people: People) -> None:
    people.user(ANNA)
    site = people.site(password=True)
    statuses = []
    for _ in range(FAILURES_MAX):
        statuses.append(site.another().log_in("a guess at the operator's").status_code)
        statuses.append(site.another().log_in(PASSWORD, email=ANNA).status_code)
    assert statuses[:2] == [401, 302]
    assert site.another().log_in("a guess at the operator's").status_code == 429


def test_row_35_a_password_of_a_megabyte_is_refused_for_a_user_too(people: People) -> None:
    people.user(ANNA)
    assert people.site().log_in("x" * 1_000_000, email=ANNA).status_code == 422


def test_row_18_a_field_that_the_form_does_not_have_is_refused(people: People) -> None:
    people.user(ANNA)
    answer = people.site().send("/login", email=ANNA, password=PASSWORD, merchant_id="1")
    assert answer.status_code == 422
    assert "extra field" in answer.text


def test_row_36_a_form_of_the_account_without_its_token_is_refused(people: People) -> None:
    people.user(ANNA)
    site = people.logged_in(ANNA)
    for path in ("/account/password", "/account/sessions/1/end", "/members/invitations", "/keys", "/logout"):
        assert site.client.post(path, headers=BROWSER).status_code == 403
        crossed = site.client.post(path, headers={**BROWSER, "Sec-Fetch-Site": "cross-site"})
        assert crossed.status_code == 403


def test_logging_out_ends_the_session_even_for_a_cookie_that_was_copied(people: People) -> None:
    people.user(ANNA)
    site = people.logged_in(ANNA)
    with site.client.session_transaction() as kept:
        copied = dict(kept)
    assert site.send("/logout", page="/account").status_code == 302
    with site.client.session_transaction() as session:
        session.update(copied)
    assert site.get("/").status_code == 302


def test_a_session_ends_by_itself_and_is_forgotten_later(people: People) -> None:
    user = people.user(ANNA)
    site = people.logged_in(ANNA)
    world = people.world
    assert len(list_sessions(world.database, world.now, user.user_id)) == 1
    world.now += SESSION_LIFE
    assert list_sessions(world.database, world.now, user.user_id) == []
    assert site.get("/account").status_code == 302
    drop_old_sessions(world.database, world.now + timedelta(days=31))


def test_the_cookie_and_the_database_hold_nothing_that_opens_the_other(people: People) -> None:
    people.user(ANNA)
    site = people.logged_in(ANNA)
    with site.client.session_transaction() as session:
        token = session["token"]
    assert find_login(people.world.database, people.world.now, token) is not None
    assert find_login(people.world.database, people.world.now, token[:-1]) is None
    assert "csrf" not in token


def test_another_browser_is_listed_and_logged_out_but_never_somebody_elses(people: People) -> None:
    anna = people.user(ANNA)
    eve = people.user("eve@example.com", world=people.other)
    first, second, theirs = people.logged_in(ANNA), people.logged_in(ANNA), people.logged_in("eve@example.com")
    database, now = people.world.database, people.world.now
    newest = list_sessions(database, now, anna.user_id)[0].session_id
    stranger = list_sessions(database, now, eve.user_id)[0].session_id
    assert "this browser" in first.get("/account").text
    assert first.send(f"/account/sessions/{stranger}/end", page="/account").status_code == 404
    assert theirs.get("/account").status_code == 200
    assert first.send(f"/account/sessions/{newest}/end", page="/account").status_code == 303
    assert (first.get("/account").status_code, second.get("/account").status_code) == (200, 302)
    assert deeds(people.world, ANNA)[0] == ("session.ended", ANNA)
    assert "session.ended" not in {deed for deed, _ in deeds(people.other, "eve@example.com")}


def deeds(world: World, actor: str) -> list[tuple[str, str]]:
    """(what, on what) somebody did, the latest first."""
    with world.session() as session:
        return [(entry.action, entry.subject) for entry in audit.list_entries(session) if entry.actor == actor]


def test_another_password_needs_the_former_one_and_ends_every_other_session(people: People) -> None:
    people.user(ANNA)
    site, elsewhere = people.logged_in(ANNA), people.logged_in(ANNA)

    def change(former: str, password: str) -> int:
        return site.send("/account/password", page="/account", former=former, password=password).status_code

    assert change("wrong", "another long password") == 422
    assert change(PASSWORD, "short") == 422
    assert elsewhere.get("/account").status_code == 200
    assert change(PASSWORD, "another long password") == 303
    assert (site.get("/account").status_code, elsewhere.get("/account").status_code) == (200, 302)
    assert people.site().log_in(PASSWORD, email=ANNA).status_code == 401
    assert people.site().log_in("another long password", email=ANNA).status_code == 302
    with people.world.session() as session:
        told = [
            (entry.actor, entry.subject) for entry in audit.list_entries(session) if entry.action == "password.changed"
        ]
    assert told == [(ANNA, ANNA)]


def test_row_35_a_browser_that_was_left_open_may_not_guess_the_former_password_for_ever(people: People) -> None:
    people.user(ANNA)
    site = people.logged_in(ANNA)
    statuses = [
        site.send("/account/password", page="/account", former="wrong", password="another long password").status_code
        for _ in range(12)
    ]
    assert statuses[0] == 422
    assert statuses[-1] == 429


def test_the_owners_password_stays_the_operators_way_in_and_the_operator_has_no_account(people: People) -> None:
    people.user(ANNA)
    site = people.site(password=True)
    assert "as the operator" in site.get("/login").text
    assert site.log_in(sites.PASSWORD).status_code == 302
    assert site.ask("/members").status_code == 200
    assert site.get("/account").status_code == 404


def test_a_login_is_told_in_the_log_of_each_merchant_of_the_user_and_no_other(people: People) -> None:
    people.user(ANNA)
    people.logged_in(ANNA)
    with people.world.session() as session:
        entry = audit.list_entries(session)[0]
    assert (entry.actor, entry.action, entry.origin) == (ANNA, "login.succeeded", "127.0.0.1")
    with people.other.session() as session:
        assert audit.list_entries(session) == []


def test_the_operators_first_look_at_a_merchant_is_told_in_that_merchants_log_once_a_session(people: People) -> None:
    people.join(people.user(ANNA), "owner", people.other)
    for _ in range(2):
        site = people.site(password=True)
        site.log_in(sites.PASSWORD)
        for page in ("/", "/members", "/log"):
            assert site.get(f"{page}?merchant={people.other.merchant_id}").status_code == 200
    with people.other.session() as session:
        entries = [entry for entry in audit.list_entries(session) if entry.actor == "operator"]
    assert [(entry.action, entry.origin) for entry in entries] == [("operator.entered", "127.0.0.1")] * 2
    with people.world.session() as session:
        assert audit.list_entries(session, limit=1)[0].action != "operator.entered"


def test_a_user_of_several_merchants_chooses_and_sees_no_others(people: People) -> None:
    user = people.user(ANNA, "viewer")
    people.join(user, "owner", people.other)
    site = people.logged_in(ANNA)
    choices = site.get("/").text
    assert "Which merchant?" in choices
    assert choices.count('class="card"') == 2
    assert site.get(f"/members?merchant={people.other.merchant_id}").status_code == 200
    assert site.get(f"/members?merchant={people.world.merchant_id}").status_code == 403
    assert site.get("/?merchant=1").status_code == 404


def test_who_belongs_to_no_merchant_is_told_so(people: People) -> None:
    people.user(ANNA, None)
    page = people.logged_in(ANNA).get("/")
    assert "You belong to no merchant" in page.text


def test_row_64_nothing_about_any_shop_is_told_to_who_is_not_logged_in(people: People) -> None:
    people.user(ANNA)
    with people.world.session() as session:
        name = session.value("select name from merchant where merchant_id = %(merchant_id)s")
    site: Site = people.site()
    answers = [
        site.get(path, **OUTSIDE) for path in ("/healthz", "/metrics", "/login", "/api/v1/openapi.json", "/nowhere")
    ]
    assert [a.status_code for a in answers] == [200, 401, 200, 200, 302]
    assert answers[0].get_json() == {"status": "ok"}
    assert not [a for a in answers if name in a.text or "merchant 1" in a.text]
