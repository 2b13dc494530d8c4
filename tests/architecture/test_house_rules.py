"""Rules that no linter knows: names, promises in test names, pins, and what must never be written down here."""

from __future__ import annotations

import ast
import os
import re

import pytest

from tests.architecture.source import CODE, ROOT, Source, functions, python_files, text_files

VAGUE = {"utils", "util", "helpers", "helper", "services", "service", "managers", "manager", "common", "misc", "stuff"}
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
NOT_OURS = re.compile(
    r"(?<![\w.~-])/(work|root|tmp/brief)/|\b(pypi\.org|pythonhosted\.org|npmjs\.org)\b|--(extra-)?index-url"
)
WORDS_MIN = 4
MOCKS_PER_100_TESTS_MAX = 10
MOCK = re.compile(r"\b(Mock|MagicMock|AsyncMock|patch|mocker|setattr)\(")
PINNED = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[0-9][\w.]*")
PROVED_HERE = "tests/architecture/"


def ours() -> list[Source]:
    return [file for file in text_files() if not file.path.startswith(PROVED_HERE) and file.path != "LICENSE"]


def matches(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{file.path}:{number} {line.strip()}"
        for file in ours()
        for number, line in enumerate(file.text.splitlines(), start=1)
        if pattern.search(line)
    ]


def sentences(file: Source) -> list[str]:
    return [function.name for function in functions(file.tree) if function.name.startswith("test_")]


def test_every_module_is_named_after_what_it_owns() -> None:
    vague = [file.path for file in text_files() if VAGUE & set(re.split(r"[/._]", file.path.lower()))]
    assert vague == []


def test_nothing_is_left_for_later_in_a_comment() -> None:
    assert matches(UNFINISHED) == []


def test_no_file_names_this_machine_or_where_packages_come_from() -> None:
    assert matches(NOT_OURS) == []


def test_every_test_is_named_with_a_sentence_that_promises_something() -> None:
    names = [(file.path, name) for file in python_files("tests") for name in sentences(file)]
    assert [(path, name) for path, name in names if len(name.split("_")) - 1 < WORDS_MIN] == []


def test_two_tests_of_one_file_never_share_a_name() -> None:
    # The second would silently replace the first.
    doubled = [file.path for file in python_files("tests") if len(sentences(file)) != len(set(sentences(file)))]
    assert doubled == []


def test_mocks_stay_rare_because_the_pretend_shops_stand_in() -> None:
    files = [file for file in python_files("tests") if not file.path.startswith(PROVED_HERE)]
    mocks = sum(len(MOCK.findall(file.text)) for file in files)
    assert mocks * 100 <= MOCKS_PER_100_TESTS_MAX * sum(len(sentences(file)) for file in files)


def test_every_module_opens_with_what_it_owns_and_promises() -> None:
    silent = [file.path for file in python_files(*CODE) if file.text.strip() and not ast.get_docstring(file.tree)]
    assert silent == []


def test_every_public_function_and_class_says_what_it_does() -> None:
    silent = []
    for file in python_files("app", "connectors", "sandbox"):
        for node in file.tree.body:
            named = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if named and not ast.get_docstring(node):
                silent.append(f"{file.path}:{node.lineno} {node.name}")
    assert silent == []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_to_one_version(name: str) -> None:
    lines = [line.partition("#")[0].strip() for line in (ROOT / name).read_text("utf-8").splitlines()]
    wanted = [line for line in lines if line and line != "-r requirements.txt"]
    assert wanted
    assert [line for line in wanted if not PINNED.fullmatch(line)] == []


def test_the_build_runs_the_readmes_own_test_command_and_tolerates_no_missing_tool() -> None:
    script = ROOT / ".ci" / "run"
    text = script.read_text("utf-8")
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in text
    assert "PERPETUAL_CI=1" in text
    assert re.search(r"^make test$", text, re.MULTILINE)
