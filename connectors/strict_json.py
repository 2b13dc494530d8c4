"""JSON from strangers, read strictly: what it lets through can be stored, compared and counted without surprises.

Refused, each with its reason and place: invalid UTF-8 and byte-order marks, NaN and infinities, lone surrogates, NUL in
a string, integers beyond 64 bits (they would silently become floats), nesting beyond 1,024. Of a repeated key the last
one wins. A body of 4 KB takes some tens of µs: only one that looks suspicious is looked at twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import orjson

from connectors.errors import Malformed

# A NUL can only be written as an escape, and an integer beyond 64 bits has at least 19 digits. Looked for as plain
# bytes, with every digit made a 0: a tenth of what a regular expression takes.
_NUL = b"\\u0000"
_ANY_DIGIT = bytes.maketrans(b"123456789", b"0" * 9)
_LONG = b"0" * 19
_SURROGATE = re.compile("[\ud800-\udfff]")


def loads(data: bytes) -> object:
    """The value in `data`. Raises `Malformed`: `empty_body`, `nested_too_deeply`, `nul_in_string`, `lone_surrogate`,
    `integer_too_large` or `not_json`; `field` is the path where it is known, else the byte."""
    if not data.strip():
        raise Malformed("empty_body", "the body is empty")
    try:
        value: object = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if "surrogate" in error.msg:
            _refuse_surrogate(data)
        reason = "nested_too_deeply" if "depth limit" in error.msg else "not_json"
        raise Malformed(reason, error.msg.split(":")[0], field=f"byte {error.pos}") from error
    if _NUL in data or _LONG in data.translate(_ANY_DIGIT):
        _refuse_nul(value)
        _refuse_large_integers(data)
    return value


def _refuse_nul(value: object) -> None:
    for path, text, of_key in _texts(value):
        if "\x00" in text:
            raise Malformed("nul_in_string", "a NUL character in a key" if of_key else "a NUL character", field=path)


def _refuse_surrogate(data: bytes) -> None:
    """Name the field: Python's own parser lets half a character by. One that it finds no more (a repeated key hid it)
    keeps its byte."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    for path, text, of_key in _texts(value):
        if _SURROGATE.search(text):
            raise Malformed("lone_surrogate", "half a character in a key" if of_key else "half a character", field=path)


def _texts(value: object) -> Iterator[tuple[str, str, bool]]:
    """Every text with its path, and whether it is a key there. Walks without recursion; the document is at most 1,024
    deep and as long as its body."""
    todo: list[tuple[str, object]] = [("", value)]
    while todo:
        path, node = todo.pop()
        if isinstance(node, str):
            yield path, node, False
        if isinstance(node, dict):
            yield from ((path, key, True) for key in node)
            todo.extend((f"{path}.{key}" if path else key, child) for key, child in node.items())
        elif isinstance(node, list):
            todo.extend((f"{path}[{index}]", child) for index, child in enumerate(node))


def _refuse_large_integers(data: bytes) -> None:
    try:
        json.loads(data, parse_int=_integer)
    except RecursionError as error:
        raise Malformed("nested_too_deeply", "too deep to look for large numbers in") from error


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64:
        raise Malformed("integer_too_large", f"an integer of {len(digits)} digits")
    return int(digits)
