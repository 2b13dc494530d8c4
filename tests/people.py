"""People of two merchants for tests: users who log in at a site, each with a role."""

from __future__ import annotations

from dataclasses import dataclass

from app.accounts.members import add_member
from app.accounts.users import User, create_user
from tests.street import Street
from tests.unit.web.site import Site
from tests.world import World

PASSWORD = "a long enough password"


@dataclass
class People:
    """`world` is the street's merchant, `other` another; nobody is there yet."""

    street: Street
    other: World

    @property
    def world(self) -> World:
        return self.street.world

    def user(self, email: str, role: str | None = "owner", world: World | None = None) -> User:
        with (world or self.world).session() as session:
            user = create_user(session, email, email.partition("@")[0], PASSWORD)
            if role is not None:
                add_member(session, user, role)
        return user

    def join(self, user: User, role: str, world: World) -> None:
        with world.session() as session:
            add_member(session, user, role)

    def site(self, **settings: object) -> Site:
        return Site.of(self.street, **settings)  # type: ignore[arg-type]

    def logged_in(self, email: str) -> Site:
        site = self.site()
        assert site.log_in(PASSWORD, email=email).status_code == 302
        return site
