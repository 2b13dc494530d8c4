"""Reading a request strictly: what it accepts, its key, its query and its body, each refused with its own reason."""

from __future__ import annotations

import json
import re
from typing import Any

from flask import request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.core.errors import BadRequest, Fault, InvalidInput, NotAcceptable, TooLarge, Unauthenticated, WrongContentType
from app.web.api.problem import PROBLEM
from connectors.errors import Malformed
from connectors.strict_json import loads

JSON = "application/json"
BODY_MAX = 1_000_000
WHERE_MAX = 200
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_TOKEN = re.compile(r"Bearer +(\S+)", re.IGNORECASE)
_REASONS = {"extra_forbidden": "extra_field", "missing": "missing_field", "model_type": "not_an_object"}


def read_token() -> str:
    """The bearer key of the request; raises Unauthenticated."""
    found = _TOKEN.fullmatch(request.headers.get("Authorization", "").strip())
    if found is None:
        raise Unauthenticated("no_key", "send your API key: Authorization: Bearer …", "Authorization")
    return found[1]


def check_accepted() -> None:
    """Refuse a request that takes no JSON."""
    if request.accept_mimetypes and not (request.accept_mimetypes[JSON] or request.accept_mimetypes[PROBLEM]):
        raise NotAcceptable("not_acceptable", f"answers are {JSON}: accept that", "Accept")


def read_idempotency_key() -> str:
    """The key that makes a POST safe to repeat; raises BadRequest."""
    key = request.headers.get("Idempotency-Key", "")
    if not key:
        detail = "send a new key, such as a UUID, with each thing to be done, and the same when you try that again"
        raise BadRequest("idempotency_key_missing", detail, "Idempotency-Key")
    if not _KEY.fullmatch(key):
        raise BadRequest("bad_idempotency_key", "1 to 200 visible ASCII characters", "Idempotency-Key")
    return key


def read_query(model: type[BaseModel]) -> BaseModel:
    """The query as the model says; raises InvalidInput with every fault."""
    values = request.args.to_dict(flat=False)
    repeated = [Fault("repeated", "give it once", f"query.{_place(name)}") for name, v in values.items() if len(v) > 1]
    if repeated:
        raise InvalidInput(repeated[0].reason, str(repeated[0]), repeated[0].where, faults=repeated)
    try:
        return model.model_validate({name: v[0] for name, v in values.items()})
    except ValidationError as error:
        raise _invalid(error, "query") from None


def read_body(model: type[BaseModel] | None) -> tuple[BaseModel | None, bytes]:
    """The body as the model says, and its bytes."""
    data = _read_bytes()
    if model is None:
        if data:
            raise BadRequest("unexpected_body", "this takes no body", "body")
        return None, data
    if request.mimetype != JSON or request.mimetype_params.get("charset", "utf-8").lower() != "utf-8":
        raise WrongContentType("wrong_content_type", f"send the body as {JSON}, in UTF-8", "Content-Type")
    _check_json(data)
    try:
        return model.model_validate_json(data), data
    except ValidationError as error:
        raise _invalid(error, "") from None


def _read_bytes() -> bytes:
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise WrongContentType("compressed_body", "send the body as it is, not compressed", "Content-Encoding")
    if (request.content_length or 0) > BODY_MAX:
        raise TooLarge("body_too_large", f"at most {BODY_MAX} bytes", "body")
    data = request.stream.read(BODY_MAX + 1)
    if len(data) > BODY_MAX:
        raise TooLarge("body_too_large", f"at most {BODY_MAX} bytes", "body")
    return data


def _check_json(data: bytes) -> None:
    try:
        loads(data)
    except Malformed as error:
        raise BadRequest(error.reason, error.detail, _place(error.field)) from None
    try:
        json.loads(data, object_pairs_hook=_refuse_repeated)
    except RecursionError:
        raise BadRequest("nested_too_deeply", "nothing here nests that deeply", "body") from None


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest("repeated_key", "give each key once", _place(twice))
    return value


def _invalid(error: ValidationError, place: str) -> InvalidInput:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    faults = [_fault(item, place) for item in found]
    first = faults[0]
    return InvalidInput(first.reason, first.detail, first.where, faults=faults)


def _fault(item: ErrorDetails, place: str) -> Fault:
    where = ".".join([*([place] if place else []), *map(str, item["loc"])])
    detail = item["msg"].removeprefix("Value error, ")
    return Fault(_REASONS.get(item["type"], "invalid"), detail, _place(where) or "body")


def _place(name: str) -> str:
    """A name of theirs as a place: readable, and no longer than a place is."""
    return "".join(c if c.isprintable() else "\ufffd" for c in name[:WHERE_MAX])
