"""Nothing is offered that does nothing, and nothing works that nobody is told of: settings, commands, their options."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator

from app.core.config import Settings
from tests.architecture.source import ROOT, python_files
from tests.architecture.test_docs import code_of, documents

# A setting that is read through a method of its section, in app/core/config.py itself.
THROUGH = {
    "security.encryption_keys": "security.keys()",
    "shopify.client_secret": "shopify.secrets()",
    "shopify.former_client_secret": "shopify.secrets()",
}


def settings() -> list[str]:
    """`section.key` of every setting."""
    found = []
    for section, field in Settings.model_fields.items():
        assert field.annotation is not None
        found += [f"{section}.{key}" for key in field.annotation.model_fields]
    return found


def parsers(parser: argparse.ArgumentParser, words: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command as a person types it, with its parser."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield words.strip(), parser
    for group in groups:
        for name, below in group.choices.items():
            yield from parsers(below, f"{words} {name}")


def commands() -> dict[str, argparse.ArgumentParser]:
    return dict(parsers(importlib.import_module("app.cli").build_parser()))


def test_every_setting_is_read_by_something_that_runs() -> None:
    code = "\n".join(file.text for file in python_files("app", "bench") if file.path != "app/core/config.py")
    unread = [
        setting for setting in settings() if not re.search(rf"\b{re.escape(THROUGH.get(setting, setting))}(?!\w)", code)
    ]
    assert unread == []


def test_every_command_is_named_in_the_readme_or_a_document_that_it_links_to() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    told = [
        text for doc in documents() if doc.path == "README.md" or f"({doc.path})" in readme for text in code_of(doc)
    ]
    named = [command for command in commands() if any(re.search(rf"-m app {command}\b", text) for text in told)]
    assert sorted(set(commands()) - set(named)) == []


def test_every_command_and_each_of_its_options_says_what_it_is_for() -> None:
    silent = [
        f"{name} {action.dest}"
        for name, parser in commands().items()
        for action in parser._actions
        if not action.help and action.option_strings
    ]
    assert silent == []
    assert all(parser.description for parser in commands().values())
