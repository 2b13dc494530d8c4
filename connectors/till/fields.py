"""Single fields of the till's JSON, each read with its path so that what is wrong can be named. Nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from connectors import plausible
from connectors.errors import Malformed

Node = Mapping[str, object]
TEXT_MAX = 500
_KEY = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
_AMOUNT = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,10})?\Z")


def node(value: object, path: str) -> Node:
    """`value` as an object."""
    if not isinstance(value, dict):
        raise Malformed("not_an_object", "no object where one belongs", field=path)
    return value


def nodes(parent: Node, name: str, path: str, *, limit: int) -> list[Node]:
    """The list of objects `name`; at most `limit`."""
    value, where = parent.get(name), f"{path}.{name}"
    if not isinstance(value, list):
        raise Malformed("not_a_list", "no list where one belongs", field=where)
    if len(value) > limit:
        raise Malformed("too_many", f"more than {limit} entries", field=where)
    return [node(item, f"{where}[{index}]") for index, item in enumerate(value)]


def whole(value: object, path: str, *, low: int, high: int) -> int:
    """A whole number between `low` and `high`; nothing that merely looks like one."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Malformed("not_a_whole_number", "no whole number where one belongs", field=path)
    if not low <= value <= high:
        raise Malformed("out_of_range", f"outside {low} to {high}", field=path)
    return value


def find_text(value: object, path: str) -> str | None:
    """Text of at most 500 characters; empty counts as absent."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Malformed("not_text", "no text where it belongs", field=path)
    if len(value) > TEXT_MAX:
        raise Malformed("too_long", f"longer than {TEXT_MAX} characters", field=path)
    return value


def text(value: object, path: str) -> str:
    """As `find_text`, but it must be there."""
    found = find_text(value, path)
    if found is None:
        raise Malformed("missing_field", "nothing where something belongs", field=path)
    return found


def key(value: object, path: str) -> str:
    """An id of the till's: letters, digits and hyphens, so that many fit into one query."""
    found = text(value, path)
    if not is_key(found):
        raise Malformed("bad_key", "an id that is none", field=path)
    return found


def is_key(text: str) -> bool:
    """Whether it can be an id."""
    return _KEY.match(text) is not None


def amount(value: object, path: str) -> Decimal | None:
    """Money is text on the wire: a number could only come as a float, which has lost something already."""
    found = find_text(value, path)
    if found is not None and not (_AMOUNT.match(found) and plausible.is_amount(Decimal(found))):
        raise Malformed("not_an_amount", "text that is no amount", field=path)
    return None if found is None else Decimal(found)


def instant(value: object, path: str) -> datetime:
    """A stamp that says its zone, as UTC."""
    try:
        stamp = datetime.fromisoformat(text(value, path))
    except ValueError as error:
        raise Malformed("not_a_date", "not a date with time", field=path) from error
    if stamp.tzinfo is None:
        raise Malformed("no_time_zone", "a date that does not say its zone", field=path)
    known = plausible.instant(stamp)
    if known is None:
        raise Malformed("not_a_date", "a year that nothing happens in", field=path)
    return known
