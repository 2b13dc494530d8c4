"""The street's own site, with its merchant among others."""

from __future__ import annotations

import pytest

from tests.street import Street
from tests.unit.web.site import Site


@pytest.fixture
def site(street: Street) -> Site:
    return Site.of(street)
