"""Somebody else's server that wants to be told what happened: takes deliveries in the test's own process."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import requests
from requests.adapters import BaseAdapter
from standardwebhooks import Webhook
from urllib3 import HTTPResponse

ADDRESS = "https://93.184.215.14"  # a public one, so that no name has to be looked up


@dataclass(frozen=True)
class Heard:
    """A delivery as it came."""

    key: str
    body: dict[str, Any]
    headers: Mapping[str, str]
    raw: str


@dataclass
class Receiver(BaseAdapter):
    """`answer` says with which status a delivery is taken; what was sent is in `heard`, taken or not."""

    answer: Callable[[Heard], int] = lambda heard: 200
    heard: list[Heard] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def send(self, request: requests.PreparedRequest, *arguments: object, **options: object) -> requests.Response:
        raw = bytes(request.body or b"").decode()  # type: ignore[arg-type]
        headers = {name.lower(): value for name, value in request.headers.items()}
        one = Heard(headers["webhook-id"], json.loads(raw), headers, raw)
        self.heard.append(one)
        response = requests.Response()
        response.status_code = self.answer(one)
        response.headers["Location"] = "https://93.184.215.14/elsewhere"
        response.raw = HTTPResponse(BytesIO(b"ok"), preload_content=False)
        response.request, response.url = request, str(request.url)
        return response

    def close(self) -> None:
        """Nothing is open."""

    def types(self) -> list[str]:
        """Of everything that was sent."""
        return [heard.body["type"] for heard in self.heard]


def is_signed(heard: Heard, secret: str) -> bool:
    """Whether the signature is the one that the standard asks for."""
    sent_at = datetime.fromtimestamp(int(heard.headers["webhook-timestamp"]), UTC)
    return heard.headers["webhook-signature"] == Webhook(secret).sign(heard.key, sent_at, heard.raw)
