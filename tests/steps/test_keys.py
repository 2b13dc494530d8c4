"""API keys: shown once, found by their hash in every merchant's, refused when revoked, expired or nobody's."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.accounts.keys import ALL, SCOPES, create_key, find_key, list_keys, read_scopes, revoke_key
from app.core.errors import InvalidInput, NotFound, PerpetualError
from app.core.log import hide_in_text
from tests.world import World


def make(world: World, *scopes: str, **more: object) -> tuple[int, str]:
    with world.session() as session:
        return create_key(session, name="till", scopes=scopes or ("items:read",), **{"expires_at": None, **more})  # type: ignore[arg-type]


def test_a_key_is_found_with_its_merchant_and_exactly_its_scopes(world: World, other: World) -> None:
    (key_id, token), (_, theirs) = make(world, "stock:read", "items:read"), make(other)
    found = find_key(world.database, world.now, token)
    assert found is not None
    assert (found.merchant_id, found.key_id, found.name) == (world.merchant_id, key_id, "till")
    assert found.scopes == {"stock:read", "items:read"}
    assert (principal := find_key(world.database, world.now, theirs)) is not None
    assert principal.merchant_id == other.merchant_id


def test_all_means_every_scope(world: World) -> None:
    found = find_key(world.database, world.now, make(world, ALL)[1])
    assert found is not None
    assert found.scopes == frozenset(SCOPES)


def test_the_key_itself_is_kept_nowhere(world: World) -> None:
    token = make(world)[1]
    with world.session() as session:
        (row,) = session.rows("select k::text as all_of_it from api_key k where merchant_id = %(merchant_id)s")
    assert token not in row.all_of_it
    assert token not in hide_in_text(f"GET /?x={token} and {token}")


@pytest.mark.parametrize("token", ["", "perp_", "perp_" + "0" * 64, "perp_" + "é" * 64, "x" * 100_000, "\0"])
def test_row_49_what_is_no_key_finds_nobody(world: World, token: str) -> None:
    assert find_key(world.database, world.now, token) is None


def test_row_49_a_revoked_or_expired_key_finds_nobody(world: World) -> None:
    end = world.now + timedelta(days=1)
    (key_id, token), (_, ending) = make(world), make(world, expires_at=end)
    with world.session() as session:
        revoke_key(session, key_id)
        revoke_key(session, key_id)
    assert find_key(world.database, world.now, token) is None
    assert find_key(world.database, end - timedelta(seconds=1), ending) is not None
    assert find_key(world.database, end, ending) is None
    with world.session() as session:
        assert [row.state(end) for row in list_keys(session)] == ["expired", "revoked"]


def test_row_21_another_merchants_key_is_neither_listed_nor_revoked(world: World, other: World) -> None:
    key_id, token = make(world)
    with other.session() as session:
        assert list_keys(session) == []
        with pytest.raises(NotFound) as refused:
            revoke_key(session, key_id)
    assert refused.value.reason == "unknown_key"
    assert find_key(world.database, world.now, token) is not None


def test_no_merchant_registers_a_key_for_another(world: World, other: World) -> None:
    with pytest.raises(Exception, match="only its own keys"), world.session() as session:
        session.value("select register_key(%(h)s, %(m)s, 1)", h=b"x", m=other.merchant_id)


def test_that_a_key_was_used_is_noted_once_a_minute(world: World) -> None:
    token = make(world)[1]
    used = []
    for seconds in (0, 30, 61):
        find_key(world.database, world.now + timedelta(seconds=seconds), token)
        with world.session() as session:
            used.append(list_keys(session)[0].last_used_at)
    assert used == [world.now, world.now, world.now + timedelta(seconds=61)]


@pytest.mark.parametrize("scopes", ["", "items", "items:read,merchant_id", "ALL", "items:read;stock:read"])
def test_row_18_a_scope_that_there_is_not_is_refused_with_the_list(scopes: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_scopes(scopes)
    assert (refused.value.reason, refused.value.where) == ("bad_scope", "scopes")
    assert "items:read" in refused.value.detail


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\r\nb"}, "name"),
        ({"expires_at": "past"}, "expires_at"),
        ({"scopes": ()}, "scopes"),
    ],
)
def test_a_key_that_is_asked_for_wrongly_is_not_made(world: World, more: dict[str, object], where: str) -> None:
    asked = {"name": "till", "scopes": ("all",), "expires_at": None, **more}
    if asked["expires_at"] == "past":
        asked["expires_at"] = world.now
    with pytest.raises(PerpetualError) as refused, world.session() as session:
        create_key(session, **asked)  # type: ignore[arg-type]
    assert refused.value.where == where
    with world.session() as session:
        assert list_keys(session) == []
