"""What a stranger's JSON may hold, and how the rest is refused."""

from __future__ import annotations

import pytest

from connectors.errors import Malformed
from connectors.strict_json import loads


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        (b"", "empty_body", ""),
        (b"  \n", "empty_body", ""),
        (b"[" * 100_000, "nested_too_deeply", "byte 1025"),
        (b'{"a": NaN}', "not_json", "byte 6"),
        (b'{"a": -Infinity}', "not_json", "byte 7"),
        (b'{"a": 1e999}', "not_json", "byte 6"),
        (b'{"sku": "\\ud800"}', "lone_surrogate", "sku"),
        (b'{"lines": [{"sku": "A"}, {"sku": "A\\udc00"}]}', "lone_surrogate", "lines[1].sku"),
        (b'{"a": {"b\\ud800": 1}}', "lone_surrogate", "a"),
        (b'{"sku": "\\ud800", "sku": "A"}', "not_json", "byte 9"),
        (b'{"sku": "\\ud800"', "not_json", "byte 9"),
        (b'{"lines": [{"sku": "A\\u0000"}]}', "nul_in_string", "lines[0].sku"),
        (b'{"a\\u0000": 1}', "nul_in_string", ""),
        (b'{"id": ' + b"9" * 5_000 + b"}", "not_json", "byte 7"),
        (b'{"id": 18446744073709551616}', "integer_too_large", ""),
        (b'{"id": -9223372036854775809}', "integer_too_large", ""),
        (b'{"a": "\xff"}', "not_json", "byte 0"),
        ('{"a": 1}'.encode("utf-16"), "not_json", "byte 0"),
        (b"\xef\xbb\xbf{}", "not_json", "byte 0"),
        (b"<html>", "not_json", "byte 0"),
        (b'{"a": 1} x', "not_json", "byte 9"),
    ],
)
def test_what_could_surprise_us_later_is_refused_with_its_reason(body: bytes, reason: str, field: str) -> None:
    with pytest.raises(Malformed) as caught:
        loads(body)
    assert caught.value.reason == reason
    assert caught.value.field == field


def test_integers_up_to_64_bits_stay_exact() -> None:
    assert loads(b'{"id": 18446744073709551615, "n": -9223372036854775808}') == {
        "id": 18446744073709551615,
        "n": -9223372036854775808,
    }


def test_long_digits_inside_a_string_or_an_escaped_backslash_are_no_offence() -> None:
    body = b'{"phone": "00000000000000000000000", "path": "C:\\\\u0000"}'
    assert loads(body) == {"phone": "00000000000000000000000", "path": "C:\\u0000"}


def test_of_a_repeated_key_the_last_one_wins() -> None:
    assert loads(b'{"quantity": 1, "quantity": 2}') == {"quantity": 2}
