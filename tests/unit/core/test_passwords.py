"""Passwords: bounded, normalised, hashed; a check tells nothing but yes or no."""

from __future__ import annotations

import argon2
import pytest

from app.core import passwords
from app.core.errors import InvalidInput
from app.core.passwords import hash_password, needs_rehash, verify_password


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def reason(password: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        hash_password(password)
    return caught.value.reason


def test_a_password_opens_what_it_closed_and_another_does_not() -> None:
    stored = hash_password("correct horse battery")
    assert verify_password(stored, "correct horse battery")
    assert not verify_password(stored, "correct horse batterz")


def test_the_hash_is_argon2id_salted_and_without_the_password() -> None:
    one, two = hash_password("correct horse battery"), hash_password("correct horse battery")
    assert one.startswith("$argon2id$")
    assert one != two
    assert "horse" not in one


def test_two_keyboards_spellings_of_one_password_are_the_same_35() -> None:
    assert verify_password(hash_password("caf\u00e9 au lait ①"), "cafe\u0301 au lait 1")


def test_a_password_of_a_megabyte_is_refused_before_any_hashing_35() -> None:
    assert reason("a" * 1_000_000) == "password_too_long"
    with pytest.raises(InvalidInput):
        verify_password(None, "a" * 1_000_000)


def test_the_bound_counts_bytes_after_normalising_35() -> None:
    assert reason("é" * 513) == "password_too_long"
    assert reason("\ufdfa" * 100) == "password_too_long"  # one code point becomes eighteen
    assert verify_password(hash_password("é" * 512), "é" * 512)


def test_half_a_character_in_a_password_is_refused_by_name_15() -> None:
    assert reason("long enough \ud800") == "password_unreadable"


def test_a_short_password_is_refused_when_set_and_only_wrong_when_tried() -> None:
    assert reason("short") == "password_too_short"
    assert not verify_password(hash_password("correct horse battery"), "short")


def test_nobodys_password_is_checked_like_anybodys_and_never_fits() -> None:
    assert not verify_password(None, "nobody has this password")


def test_a_stored_text_that_is_no_hash_fits_nothing() -> None:
    assert not verify_password("plain", "plain")


def test_a_hash_with_weaker_settings_asks_to_be_made_again() -> None:
    weaker = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1, hash_len=16).hash("correct horse battery")
    assert needs_rehash(weaker)
    assert not needs_rehash(hash_password("correct horse battery"))


def test_a_refused_password_is_not_repeated_in_the_refusal() -> None:
    with pytest.raises(InvalidInput) as caught:
        hash_password("hunter2")
    assert "hunter2" not in str(caught.value)
