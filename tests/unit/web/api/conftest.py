"""A site with the street's merchant, and a program of its own with every scope."""

from __future__ import annotations

import pytest

from tests.street import Street
from tests.unit.web.api.program import Program
from tests.unit.web.site import Site


@pytest.fixture
def site(street: Street) -> Site:
    return Site.of(street)


@pytest.fixture
def program(site: Site) -> Program:
    return Program.of(site)
