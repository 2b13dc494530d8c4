"""Answers with one value of another kind than it has to be, as a plugin or a new version leaves them."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import orjson

from sandbox.base import Request, Response

# Nothing here is what a shop may say of something that is so; `null` would be.
WRONG: tuple[Any, ...] = ("seven", 1.5, True, {}, [7])


def writes(asked: Request) -> bool:
    """Whether a call changes something."""
    return asked.method != "GET" and (b"mutation" in asked.body or asked.path.endswith(("/batch", "/stock")))


def spoilt(answer: Response, dice: Random) -> Response:
    """The same answer, but for one value of it. What is no JSON is cut in half."""
    try:
        body = {"all": orjson.loads(answer.body)}
    except orjson.JSONDecodeError:
        return Response(answer.status, answer.headers, answer.body[: len(answer.body) // 2])
    holder, key = dice.choice(list(places(body)))
    holder[key] = dice.choice([wrong for wrong in WRONG if type(wrong) is not type(holder[key])])
    return Response(answer.status, answer.headers, orjson.dumps(body["all"]))


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Where each value within is: what holds it, and its name or number there."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])
