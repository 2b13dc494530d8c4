"""What the documents name exists: files, links, make targets, and commands that the command line accepts."""

from __future__ import annotations

import importlib
import re
import shlex

from tests.architecture.source import ROOT, Source, functions, python_files, text_files

FOLDERS = ("app", "connectors", "sandbox", "migrations", "tests", "bench", "docs", ".ci")
MADE_LATER = {"config.toml", "secrets.toml", "owner.toml"}
CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s#]+)")
PATH = re.compile(r"(?:" + "|".join(map(re.escape, FOLDERS)) + r")(?:/[\w.-]+)*/?")
ROOT_FILE = re.compile(r"[\w-]+\.(?:md|toml|txt|py)|Makefile|Procfile|LICENSE")
COMMAND = re.compile(r"(?:python3?|\$\(PY\)) -m app\b([^`\n\"|>&;)]*)")
MAKE = re.compile(r"(?:^|[`\s&;])make ([a-z-]+)")
PLACEHOLDER = re.compile(r"<[^>]*>|[A-Z]{3,}")


NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
TRAPS = {"Shopify": 27, "WooCommerce": 21}


def documents() -> list[Source]:
    return [file for file in text_files() if file.path.endswith(".md")]


def code_of(document: Source) -> list[str]:
    """Everything in a document that is set as code, continued lines joined."""
    return [(block or inline).replace("\\\n", " ") for block, inline in CODE.findall(document.text)]


def missing_paths(document: Source) -> list[str]:
    words = [word.rstrip(".,:;") for code in code_of(document) for word in code.split()]
    missing = []
    for word in words:
        path = word.partition(":")[0]
        if PATH.fullmatch(path) and "/" in path and not (ROOT / path).exists():
            missing.append(path)
        if ROOT_FILE.fullmatch(path) and path not in MADE_LATER and not _anywhere(path):
            missing.append(path)
    return missing


def _anywhere(name: str) -> bool:
    return any(file.path.rpartition("/")[2] == name for file in text_files())


def commands() -> list[tuple[str, str]]:
    """(file, arguments) of every `python -m app …` that documents, settings and our own messages name."""
    named = [file for file in text_files() if file.path in ("Procfile", "Makefile", "config.example.toml")]
    named += [file for file in text_files() if file.path.startswith("app/") and file.path.endswith((".py", ".html"))]
    found = [(file.path, arguments) for file in named for arguments in COMMAND.findall(file.text)]
    return found + [(doc.path, text) for doc in documents() for code in code_of(doc) for text in COMMAND.findall(code)]


def plain(arguments: str) -> list[str]:
    """The words of a command: no comment, no brackets of optional parts, a 1 where a reader fills something in."""
    text = arguments.partition("…")[0].replace("[", "").replace("]", "")
    return shlex.split(PLACEHOLDER.sub("1", text), comments=True)


def test_every_path_that_a_document_names_exists() -> None:
    assert {doc.path: missing_paths(doc) for doc in documents() if missing_paths(doc)} == {}


def test_every_test_that_a_document_names_exists() -> None:
    there = {(file.path, function.name) for file in python_files("tests") for function in functions(file.tree)}
    named = {(doc.path, *test) for doc in documents() for test in NAMED_TEST.findall(doc.text)}
    assert named
    assert sorted((doc, test) for doc, path, test in named if (path, test) not in there) == []


def test_every_trap_of_a_channel_has_a_test_or_says_that_it_touches_no_call() -> None:
    told: dict[str, list[str]] = {}
    for part in (ROOT / "docs" / "traps.md").read_text("utf-8").split("\n## ")[1:]:
        rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in re.findall(r"^\| \d.*$", part, re.M)]
        assert [row[0] for row in rows] == [str(number) for number in range(1, len(rows) + 1)]
        told[part.partition("\n")[0]] = [
            row[1] for row in rows if not NAMED_TEST.search(row[3]) and "touches no call" not in row[2]
        ]
        assert len(rows) == TRAPS[part.partition("\n")[0]]
    assert told == {name: [] for name in TRAPS}


def test_every_link_of_a_document_leads_somewhere() -> None:
    broken = [
        (doc.path, target)
        for doc in documents()
        for target in LINK.findall(doc.text)
        if "://" not in target
        and not target.startswith("mailto:")
        and not (ROOT / doc.path).parent.joinpath(target).exists()
    ]
    assert broken == []


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {target for doc in documents() for code in code_of(doc) for target in MAKE.findall(f" {code}")}
    assert named - targets == set()


def test_every_command_that_is_named_anywhere_is_one_that_the_command_line_accepts() -> None:
    parser = importlib.import_module("app.cli").build_parser()
    refused = []
    for path, arguments in commands():
        if plain(arguments) in ([], ["1"]):
            continue  # the program's own name in a sentence, or COMMAND
        try:
            parser.parse_args(plain(arguments))
        except SystemExit as stop:
            if stop.code:
                refused.append((path, arguments.strip()))
    assert refused == []
