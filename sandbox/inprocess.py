"""A pretend shop without sockets: the transport of a `requests.Session`, for virtual time and for tests.

The same faults as `sandbox.front`, told as the errors that `requests` raises for them. Nothing waits.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from sandbox.base import Request, Response, Shop
from sandbox.faults import CallFault, call_fault
from sandbox.front import BAD_GATEWAY, THROTTLED, UNAVAILABLE, Throttling


class ShopAdapter(BaseAdapter):
    """Mount it (`session.mount("http://", ShopAdapter(shop))`) and every call goes to the shop."""

    def __init__(self, shop: Shop) -> None:
        super().__init__()
        self.shop = shop
        self.calls: list[Request] = []  # what was asked, faults included

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Answer or raise as the network would."""
        asked = _asked(request)
        self._note(asked)
        return _response(request, self._dated(self._answer(asked)))

    def close(self) -> None:
        """Nothing to close."""

    def _note(self, asked: Request) -> None:
        self.calls.append(asked)

    def _dated(self, answer: Response) -> Response:
        """As every web server does, by the shop's own clock."""
        now = self.shop.context.now()
        return Response(answer.status, {"Date": format_datetime(now, usegmt=True), **answer.headers}, answer.body)

    def _answer(self, asked: Request) -> Response:
        context = self.shop.context
        fault = call_fault(context.faults, context.rng)
        if fault is CallFault.THROTTLE:
            return self.shop.throttled(asked) if isinstance(self.shop, Throttling) else THROTTLED
        if fault is CallFault.TIMEOUT_BEFORE:
            raise requests.ReadTimeout("no answer")
        if fault is CallFault.ERROR and context.rng.random() < 0.5:
            return UNAVAILABLE
        answer = self.shop.handle(asked)
        if fault is CallFault.TIMEOUT_AFTER:
            raise requests.ReadTimeout("no answer")
        return BAD_GATEWAY if fault is CallFault.ERROR else answer


def session(shop: Shop) -> requests.Session:
    """A session whose every call goes to this shop."""
    made = requests.Session()
    made.trust_env = False
    for prefix in ("http://", "https://"):
        made.mount(prefix, ShopAdapter(shop))
    return made


def _asked(request: requests.PreparedRequest) -> Request:
    parts = urlsplit(request.url or "")
    body = request.body or b""
    return Request(
        method=request.method or "GET",
        path=unquote(parts.path),
        query=tuple(parse_qsl(parts.query, keep_blank_values=True)),
        headers={name.lower(): str(value) for name, value in request.headers.items()},
        body=body.encode() if isinstance(body, str) else body,
        url=request.url or "",
    )


def _response(request: requests.PreparedRequest, answer: Response) -> requests.Response:
    headers: Mapping[str, str] = answer.headers
    response = requests.Response()
    response.status_code = answer.status
    response.headers.update(headers)
    response.raw = HTTPResponse(io.BytesIO(answer.body), headers=headers, status=answer.status, preload_content=False)
    response.request, response.url = request, request.url or ""
    return response
