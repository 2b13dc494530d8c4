"""Single fields of WooCommerce's JSON, each read with its path so that what is wrong can be named.

Numbers with a point are `Decimal` from the first byte on; no float touches an amount.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import orjson

from connectors import plausible, strict_json
from connectors.errors import Malformed

Node = Mapping[str, object]
KEY_MAX = 2**63
TEXT_MAX = 500
_WHOLE = re.compile(r"-?[0-9]{1,12}(\.0{1,6})?\Z")
_AMOUNT = re.compile(r"-?[0-9]{1,15}(\.[0-9]{0,60})?\Z")


def decode(body: bytes) -> object:
    """JSON from a stranger, amounts as `Decimal`. Raises `Malformed` (see `connectors.strict_json`)."""
    strict_json.loads(body)
    return _exact(body)


def decode_answer(body: bytes) -> object:
    """As `decode`, for an answer with many objects: a NUL in one of them must not hide the others, so what is kept of
    each is judged by itself."""
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("not_json", error.msg.split(":")[0], field=f"byte {error.pos}") from error
    return _exact(body)


def _exact(body: bytes) -> object:
    try:
        value: object = json.loads(body, parse_float=Decimal)
    except RecursionError as error:
        raise Malformed("nested_too_deeply", "the body is nested too deeply") from error
    except ValueError as error:  # Python's own bound on the digits of an integer
        raise Malformed("integer_too_large", "an integer of thousands of digits") from error
    return value


def node(value: object, path: str) -> Node:
    """`value` as an object."""
    if not isinstance(value, dict):
        raise Malformed("not_an_object", f"{_kind(value)} where an object belongs", field=path)
    return value


def nodes(parent: Node, name: str, path: str, *, limit: int) -> list[Node]:
    """The list of objects `name`; at most `limit`."""
    value = parent.get(name)
    where = f"{path}.{name}"
    if not isinstance(value, list):
        raise Malformed("not_a_list", f"{_kind(value)} where a list belongs", field=where)
    if len(value) > limit:
        raise Malformed("too_many", f"more than {limit} entries", field=where)
    return [node(item, f"{where}[{index}]") for index, item in enumerate(value)]


def find_nodes(parent: Node, name: str, path: str, *, limit: int) -> list[Node]:
    """As `nodes`; absent or null is empty, and nothing else is."""
    return [] if parent.get(name) is None else nodes(parent, name, path, limit=limit)


def whole(value: object, path: str, *, low: int, high: int) -> int:
    """A JSON integer between `low` and `high`; nothing that merely looks like one."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Malformed("not_a_whole_number", f"{_kind(value)} where a whole number belongs", field=path)
    if not low <= value <= high:
        raise Malformed("out_of_range", f"outside {low} to {high}", field=path)
    return value


def counted(value: object, path: str, limit: int) -> int:
    """A count kept in meta data: WooCommerce writes strings there ("2", also "-3"). Absent is 0."""
    if value is None or value == "":
        return 0
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)) or not _WHOLE.match(str(value)):
        raise Malformed("not_a_whole_number", "not a whole number", field=path)
    return whole(int(Decimal(str(value))), path, low=-limit, high=limit)


def is_count(text: str) -> bool:
    """Whether it is a plain number that `int` reads: digits of other scripts, and thousands of them, are none."""
    return text.isascii() and text.isdigit() and len(text) < 19


def key(value: object, path: str) -> int:
    """A foreign id ≥ 0; plugins write them as strings too. Absent is 0."""
    if value is None or value == "":
        return 0
    if isinstance(value, str) and is_count(value):
        return int(value)
    return whole(value, path, low=0, high=KEY_MAX)


def text(value: object, path: str) -> str | None:
    """Text without NUL, at most 500 characters; empty counts as absent. A number is taken as its digits."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise Malformed("not_text", f"{_kind(value)} where text belongs", field=path)
    if len(str(value)) > TEXT_MAX:
        raise Malformed("too_long", f"longer than {TEXT_MAX} characters", field=path)
    return str(value)


def amount(value: object, path: str) -> Decimal | None:
    """Money as a number or as digits in text; "" and null are no amount."""
    if value is None or value == "":
        return None
    if isinstance(value, Decimal) and plausible.is_amount(value):
        return value
    plain = isinstance(value, (str, int)) and not isinstance(value, bool)
    if not plain or not _AMOUNT.match(str(value)) or not plausible.is_amount(Decimal(str(value))):
        raise Malformed("not_an_amount", f"{_kind(value)} that is not an amount", field=path)
    return Decimal(str(value))


def find_instant(value: object, path: str) -> datetime | None:
    """A `*_gmt` stamp, naive in the wire and UTC by meaning; None when absent."""
    if value is None or value == "":
        return None
    try:
        stamp = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        stamp = None
    known = None if stamp is None else plausible.instant(stamp)
    if known is None:
        raise Malformed("not_a_date", "not a date with time", field=path)
    return known


def get_instant(value: object, path: str) -> datetime:
    """As `find_instant`, but it must be there."""
    stamp = find_instant(value, path)
    if stamp is None:
        raise Malformed("missing_field", "no date", field=path)
    return stamp


def _kind(value: object) -> str:
    names = {type(None): "null", bool: "a truth value", str: "text", dict: "an object", list: "a list"}
    return names.get(type(value), "a number")
