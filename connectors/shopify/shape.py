"""One field at a time out of a stranger's JSON object: the value as promised, or `Malformed` with the field's path.

Reasons: `missing_field`, `wrong_type`, `out_of_range`. The value itself is never repeated in an error.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation

from connectors import plausible
from connectors.base import QUANTITY_MAX
from connectors.errors import Malformed

ID_MAX = 2**63 - 1
TEXT_MAX = 1_000


class Node:
    """A JSON object and the path it was found at."""

    __slots__ = ("path", "values")

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, dict):
            raise Malformed("wrong_type", f"expected an object, got {_kind(value)}", field=path or "$")
        self.values: dict[str, object] = value
        self.path = path

    def at(self, name: str) -> str:
        """The path of a field of this object."""
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        """Present and not null."""
        return self.values.get(name) is not None

    def node(self, name: str) -> Node:
        """An object that must be there."""
        return Node(self._get(name), self.at(name))

    def find_node(self, name: str) -> Node | None:
        """An object, or None for null or absent."""
        return self.node(name) if self.has(name) else None

    def nodes(self, name: str) -> list[Node]:
        """The objects of an array that must be there."""
        values = self._get(name)
        if not isinstance(values, list):
            raise Malformed("wrong_type", f"expected a list, got {_kind(values)}", field=self.at(name))
        return [Node(value, f"{self.at(name)}[{index}]") for index, value in enumerate(values)]

    def find_nodes(self, name: str) -> list[Node]:
        """The objects of an array; null or absent is an empty one."""
        return self.nodes(name) if self.has(name) else []

    def connection(self, name: str) -> list[Node]:
        """The nodes of a GraphQL connection."""
        return self.node(name).nodes("nodes")

    def count(self, name: str) -> int:
        """A whole number from 0 to `QUANTITY_MAX`; not a bool, not a string, not 1.0."""
        value = self._get(name)
        if type(value) is not int:
            raise Malformed("wrong_type", f"expected a whole number, got {_kind(value)}", field=self.at(name))
        if not 0 <= value <= QUANTITY_MAX:
            raise Malformed("out_of_range", f"expected 0 to {QUANTITY_MAX}", field=self.at(name))
        return value

    def signed(self, name: str) -> int:
        """As `count`, but it may be below zero."""
        value = self._get(name)
        if type(value) is not int:
            raise Malformed("wrong_type", f"expected a whole number, got {_kind(value)}", field=self.at(name))
        if abs(value) > QUANTITY_MAX:
            raise Malformed("out_of_range", f"expected at most {QUANTITY_MAX} either way", field=self.at(name))
        return value

    def find_count(self, name: str) -> int | None:
        """As `count`; None for null or absent."""
        return self.count(name) if self.has(name) else None

    def find_whole(self, name: str) -> int | None:
        """A count that may be large and may be written as a text, as Shopify does (UnsignedInt64); None for null or
        absent."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19:
            return int(value)
        if type(value) is not int or not 0 <= value <= ID_MAX:
            raise Malformed("wrong_type", f"expected a count, got {_kind(value)}", field=self.at(name))
        return value

    def number(self, name: str) -> int:
        """A positive REST id, exact."""
        value = self._get(name)
        if type(value) is not int:
            raise Malformed("wrong_type", f"expected an id, got {_kind(value)}", field=self.at(name))
        if not 0 < value <= ID_MAX:
            raise Malformed("out_of_range", "expected a positive id of 63 bits", field=self.at(name))
        return value

    def find_number(self, name: str) -> int | None:
        """As `number`; None for null or absent."""
        return self.number(name) if self.has(name) else None

    def text(self, name: str) -> str:
        """A string of at most `TEXT_MAX` characters."""
        value = self._get(name)
        if not isinstance(value, str):
            raise Malformed("wrong_type", f"expected a text, got {_kind(value)}", field=self.at(name))
        if len(value) > TEXT_MAX:
            raise Malformed("out_of_range", f"longer than {TEXT_MAX} characters", field=self.at(name))
        return value

    def find_text(self, name: str) -> str | None:
        """As `text`; None for null, absent or blank."""
        text = self.text(name) if self.has(name) else ""
        return text if text.strip() else None

    def flag(self, name: str, absent: bool) -> bool:
        """A bool; `absent` when it is null or not there."""
        if not self.has(name):
            return absent
        value = self.values[name]
        if not isinstance(value, bool):
            raise Malformed("wrong_type", f"expected true or false, got {_kind(value)}", field=self.at(name))
        return value

    def instant(self, name: str) -> datetime:
        """ISO 8601 with an offset, as aware UTC."""
        try:
            at = datetime.fromisoformat(self.text(name))
        except ValueError:
            return self._no_instant(name)
        known = plausible.instant(at) if at.tzinfo is not None else None
        return self._no_instant(name) if known is None else known

    def find_money(self, name: str) -> Decimal | None:
        """A decimal written as a string; None for null, absent or blank."""
        text = self.find_text(name)
        if text is None:
            return None
        try:
            amount = Decimal(text)
        except InvalidOperation:
            amount = Decimal("NaN")
        if not plausible.is_amount(amount):
            raise Malformed("wrong_type", "expected an amount", field=self.at(name))
        return amount

    def _get(self, name: str) -> object:
        if name not in self.values:
            raise Malformed("missing_field", "is missing", field=self.at(name))
        return self.values[name]

    def _no_instant(self, name: str) -> datetime:
        raise Malformed("wrong_type", "expected a date and time with its offset", field=self.at(name))


def _kind(value: object) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")
