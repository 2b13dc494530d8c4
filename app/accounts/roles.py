"""Roles: what a member of a merchant may do. One table, asked by pages and everything else alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Permission = Literal[
    "see",  # pages that show stock, numbers, orders
    "items.change", "stock.change", "listings.change", "channels.change", "cases.decide",
    "purchasing.change", "counting.change", "costs.see", "reports.see", "export", "books.close",
    "audit.see", "keys.change", "members.change",
]  # fmt: skip
EVERYTHING: frozenset[Permission] = frozenset(Permission.__args__)  # type: ignore[attr-defined]

PERMISSIONS: Mapping[str, frozenset[Permission]] = {
    "owner": EVERYTHING,
    "manager": EVERYTHING - {"keys.change", "members.change"},
    "buyer": frozenset({"see", "items.change", "purchasing.change", "costs.see", "reports.see"}),
    "clerk": frozenset({"see", "stock.change", "counting.change"}),
    "bookkeeper": frozenset({"see", "costs.see", "reports.see", "export", "books.close", "audit.see"}),
    "viewer": frozenset({"see"}),
}
ROLES = tuple(PERMISSIONS)


def may(role: str | None, permission: Permission) -> bool:
    """Whether the role allows it; no role allows nothing."""
    return permission in PERMISSIONS.get(role or "", frozenset())
