"""Who asks: a user with their roles, or the operator of this installation, who may do everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from flask import g, has_request_context

from app.accounts.roles import Permission, may

NEEDS = "perpetual_needs"
OPERATOR, THIS_MACHINE = "operator", "this machine"
View = TypeVar("View", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Asker:
    """`roles` by merchant; the operator (whoever has the owner's password, or this machine while there are no users)
    needs none. `name` is who acts in the audit log."""

    name: str
    is_operator: bool = False
    user_id: int | None = None
    session_id: int | None = None
    roles: Mapping[int, str] = field(default_factory=dict)

    def sees(self, merchant_id: int) -> bool:
        """Whether the merchant is there at all for them."""
        return self.is_operator or merchant_id in self.roles

    def may(self, merchant_id: int, permission: Permission) -> bool:
        """Whether their role in the merchant allows it."""
        return self.is_operator or may(self.roles.get(merchant_id), permission)


NOBODY = Asker("nobody")


def asker() -> Asker:
    """Of this request; nobody before a login."""
    found: Asker = g.get("asker", NOBODY) if has_request_context() else NOBODY
    return found


def needs(permission: Permission | None) -> Callable[[View], View]:
    """What a page or form asks for. None: it is about who asks and no merchant, and asks for a login alone. Without
    this a page needs `see`, and a form is for owners only."""

    def mark(view: View) -> View:
        setattr(view, NEEDS, permission)
        return view

    return mark
