"""A sealed value opens with its key, in its row, unchanged; otherwise with a reason and without the value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import ConfigError
from app.core.secrets import SealBroken, Sealer

OLD, NEW = b"o" * 32, b"n" * 32
ROW = "install:1:7:token"


def sealer(active: str = "old", **keys: bytes) -> Sealer:
    return Sealer(keys or {"old": OLD}, active)


def reason(opener: Sealer, sealed: bytes, row: str = ROW) -> str:
    with pytest.raises(SealBroken) as caught:
        opener.open(sealed, bound_to=row)
    return caught.value.reason


@given(st.binary(max_size=200))
def test_what_was_sealed_for_a_row_opens_for_that_row(plain: bytes) -> None:
    assert sealer().open(sealer().seal(plain, bound_to=ROW), bound_to=ROW) == plain


def test_the_same_secret_never_seals_to_the_same_bytes() -> None:
    assert sealer().seal(b"token", bound_to=ROW) != sealer().seal(b"token", bound_to=ROW)


def test_a_secret_copied_into_another_row_does_not_open() -> None:
    assert reason(sealer(), sealer().seal(b"token", bound_to=ROW), "install:2:7:token") == "not_authentic"


def test_a_key_with_another_value_does_not_open() -> None:
    assert reason(sealer(old=NEW), sealer().seal(b"token", bound_to=ROW)) == "not_authentic"


def test_a_key_that_is_not_configured_is_named() -> None:
    sealed = sealer().seal(b"token", bound_to=ROW)
    assert reason(sealer("new", new=NEW), sealed) == "unknown_key"


def test_no_byte_of_a_sealed_value_can_be_changed_or_cut() -> None:
    sealed = sealer().seal(b"token", bound_to=ROW)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        assert reason(sealer(), bytes(changed)) in ("not_authentic", "unknown_key", "not_sealed")
        assert reason(sealer(), sealed[:position]) in ("not_authentic", "unknown_key", "not_sealed")


@given(st.binary(max_size=80))
def test_bytes_that_were_never_sealed_are_refused_by_name(noise: bytes) -> None:
    assert reason(sealer(), noise) in ("not_authentic", "unknown_key", "not_sealed")


def test_a_changed_key_still_opens_what_the_old_one_sealed_until_it_is_sealed_again() -> None:
    sealed = sealer().seal(b"token", bound_to=ROW)
    both = sealer("new", old=OLD, new=NEW)
    assert both.open(sealed, bound_to=ROW) == b"token"
    assert both.needs_reseal(sealed)
    assert not both.needs_reseal(both.seal(b"token", bound_to=ROW))


def test_neither_key_nor_secret_is_shown_when_printed_or_refused() -> None:
    one = sealer(old=b"visible-key-material-32-bytes-aa")
    sealed = one.seal(b"visible-token", bound_to=ROW)
    with pytest.raises(SealBroken) as caught:
        sealer().open(sealed, bound_to=ROW)
    assert "visible" not in repr(one) + str(one) + str(caught.value)


def test_the_wrong_key_stops_the_start_61() -> None:
    with pytest.raises(ConfigError, match=r"security\.encryption_keys"):
        sealer(old=NEW).check(sealer().canary())


def test_the_missing_key_stops_the_start_61() -> None:
    with pytest.raises(ConfigError, match=r"security\.encryption_keys"):
        sealer("new", new=NEW).check(sealer().canary())


def test_the_right_key_starts_also_after_a_change_of_the_active_one() -> None:
    sealer("new", old=OLD, new=NEW).check(sealer().canary())


@pytest.mark.parametrize(("keys", "active"), [({}, "a"), ({"a": b"short"}, "a"), ({"a": OLD}, "b"), ({"": OLD}, "")])
def test_a_sealer_without_a_usable_active_key_is_never_made_61(keys: dict[str, bytes], active: str) -> None:
    with pytest.raises(ConfigError):
        Sealer(keys, active)
