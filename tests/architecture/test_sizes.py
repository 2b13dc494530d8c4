"""Functions, files and parameter lists stay small enough to read. A docstring does not count as length."""

from __future__ import annotations

import ast
import statistics

from tests.architecture.source import CODE, Function, functions, python_files

FUNCTION_MEDIAN_MAX = 9
FUNCTION_P90_MAX = 32
FUNCTION_MAX = 60
FILE_MAX = 400
PARAMETERS_MAX = 6
POSITIONAL_MAX = 5  # beside self; the house rule asks for names after the third


def length(function: Function) -> int:
    first = function.body[0]
    doc = first.end_lineno - first.lineno + 1 if ast.get_docstring(function) and first.end_lineno else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - doc


def parameters(function: Function) -> tuple[int, int]:
    """(positional, all), without self and cls."""
    positional = [
        arg.arg for arg in (*function.args.posonlyargs, *function.args.args) if arg.arg not in ("self", "cls")
    ]
    return len(positional), len(positional) + len(function.args.kwonlyargs)


def lengths() -> dict[str, int]:
    return {
        f"{file.path}:{function.lineno} {function.name}": length(function)
        for file in python_files(*CODE)
        for function in functions(file.tree)
    }


def test_functions_are_short_in_the_median_and_nearly_always() -> None:
    sizes = sorted(lengths().values())
    median, p90 = statistics.median(sizes), sizes[len(sizes) * 9 // 10]
    print(f"{len(sizes)} functions: median {median:g} lines, p90 {p90}, longest {sizes[-1]}")
    assert median <= FUNCTION_MEDIAN_MAX
    assert p90 <= FUNCTION_P90_MAX


def test_no_function_is_longer_than_a_screen() -> None:
    assert {where: size for where, size in lengths().items() if size > FUNCTION_MAX} == {}


def test_no_file_is_longer_than_one_reading() -> None:
    files = python_files(*CODE, "tests", "migrations", "conftest.py")
    sizes = {file.path: len(file.text.splitlines()) for file in files}
    assert {path: size for path, size in sizes.items() if size > FILE_MAX} == {}


def test_no_function_takes_more_parameters_than_one_can_hold_in_mind() -> None:
    too_many = {}
    for file in python_files(*CODE):
        for function in functions(file.tree):
            positional, everything = parameters(function)
            if everything > PARAMETERS_MAX or positional > POSITIONAL_MAX:
                too_many[f"{file.path}:{function.lineno} {function.name}"] = (positional, everything)
    assert too_many == {}
