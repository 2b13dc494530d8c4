"""What real shops sent and answered, as recorded; see the README beside the files."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2] / "fixtures" / "woocommerce"
SECRET = "whsec-local-fake"
VERSIONS = ("10.2.4", "10.9.0")


@cache
def load(name: str) -> Any:
    """A recording by `version/file` without its ending."""
    return json.loads((ROOT / f"{name}.json").read_text(encoding="utf-8"))


def names(pattern: str = "*") -> list[str]:
    """Recordings of both versions whose file fits."""
    return sorted(f"{path.parent.name}/{path.stem}" for path in ROOT.glob(f"*/{pattern}.json"))


def deliveries() -> list[str]:
    """Everything a webhook brought."""
    return [name for name in names("*hook_*") if "body_raw" in load(name)]


def body(name: str) -> Any:
    """The JSON of a recording, however it was recorded."""
    value = load(name)
    if not isinstance(value, dict):
        return value
    return value.get("body_json") or value.get("body") or value


def orders() -> list[tuple[str, Any]]:
    """Every recorded order body, from deliveries, single reads and lists."""
    found = []
    for name in names():
        value = body(name)
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(item, dict) and "line_items" in item and "status" in item:
                found.append((f"{name}[{index}]", item))
    return found
