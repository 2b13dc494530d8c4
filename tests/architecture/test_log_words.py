"""Everything that the audit log notes has words of its own on the page."""

from __future__ import annotations

import re
from pathlib import Path

from app.insight.words import DEEDS

APP = Path(__file__).parents[2] / "app"
NOTED = re.compile(r"audit\.note\(\s*\w+,\s*[^,]+,\s*\"([a-z_.]+)\"")


def test_every_deed_that_is_noted_is_told_in_words() -> None:
    noted = {deed for path in APP.rglob("*.py") for deed in NOTED.findall(path.read_text("utf-8"))}
    assert len(noted) > 30
    assert noted - DEEDS.keys() == set()
