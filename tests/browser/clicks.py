"""What is clicked in a browser, word by word, and what the README says is clicked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import BrowserContext

README = Path(__file__).parents[2] / "README.md"
_LISTEN = """
addEventListener('click', event => {
    const clicked = event.target.closest('a, button');
    if (clicked) sayClicked(clicked.innerText);
}, true)
"""


@dataclass
class Clicks:
    """The words on each link and button that was clicked, in whatever frame."""

    said: list[str] = field(default_factory=list)

    @classmethod
    def in_(cls, context: BrowserContext) -> Clicks:
        """Those from now on."""
        clicks = cls()
        context.expose_binding("sayClicked", lambda source, text: clicks.said.append(" ".join(text.split())))
        context.add_init_script(_LISTEN)
        return clicks

    def follow(self, steps: Sequence[str]) -> str:
        """The first of these steps that was not clicked after the ones before it; empty when all were."""
        clicked = iter(self.said)
        for step in steps:
            words = re.compile(".*".join(map(re.escape, step.split("…"))))
            if not any(words.fullmatch(text) for text in clicked):
                return step
        return ""


def steps_in_readme(column: int, *rows: str) -> list[str]:
    """The bold words of "Connect your shop": those of a platform's rows of the table, then those for both."""
    section = README.read_text("utf-8").split("## Connect your shop")[1].split("\n## ")[0]
    table = {cells[1].strip(): cells for line in section.splitlines() if len(cells := line.split("|")) > column + 1}
    both = section.split("Then for both:")[1].split("Picture by picture")[0]
    return re.findall(r"\*\*(.+?)\*\*", " ".join(table[row][column + 1] for row in rows) + both)
