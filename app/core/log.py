"""Logs: one JSON object a line (or a readable console), with secrets taken out before anything is written.

Our own events and those of libraries (the standard `logging`) go the same way. A key that looks like a secret keeps its
name and loses its value; a URL loses its password and its tokens.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Literal, TextIO

import structlog

HIDDEN = "[hidden]"
DEPTH_MAX = 6

_SECRET_KEY = re.compile(
    r"passw|secret|token|authorization|cookie|credential|hmac|signature|dsn|database_url|owner_url"
    r"|(api|access|private|encryption|consumer|secret)_?keys?$|^jwt$|^csrf",
    re.IGNORECASE,
)
_SECRET_PARAMETER = re.compile(
    r"([?&;](?:id_token|access_token|refresh_token|session|token|code|state|hmac|signature|consumer_key|consumer_secret"
    r"|oauth_\w+|password|api_key)=)[^&\s#\"']*",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+@", re.IGNORECASE)
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
_TOKEN = re.compile(
    r"\b(?:eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?:shp(?:at|ca|pa|ss|ua|rt)_|c[ks]_|perp[is]?_|whsec_)[\w+/=-]{6,})"
)
_HEADER = re.compile(
    r"\b((?:X-Shopify-Access-Token|(?:Proxy-)?Authorization|(?:Set-)?Cookie)\W{1,4})[^\s\"',]+", re.IGNORECASE
)


def configure(kind: Literal["json", "console"], level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log of this process to `stream` (standard error) in the given form. Call once, at start."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(kind)],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module: `log = get_logger(__name__)`, then `log.info("stock_pushed", rows=3)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: the event without its secrets, nested ones included."""
    return {key: HIDDEN if _SECRET_KEY.search(key) else _clean(value, 1) for key, value in event.items()}


def hide_in_text(text: str) -> str:
    """The text without URL passwords, tokens in a query, authorization values and vendors' tokens."""
    text = _SECRET_PARAMETER.sub(rf"\1{HIDDEN}", text)
    text = _URL_PASSWORD.sub(rf"\1{HIDDEN}@", text)
    text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    text = _HEADER.sub(rf"\1{HIDDEN}", text)
    return _TOKEN.sub(HIDDEN, text)


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return hide_in_text(value)
    if isinstance(value, bytes):
        return f"[{len(value)} bytes]"
    if depth >= DEPTH_MAX:
        return HIDDEN if isinstance(value, Mapping | Sequence) else value
    if isinstance(value, Mapping):
        return {k: HIDDEN if _SECRET_KEY.search(str(k)) else _clean(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, depth + 1) for item in value]
    return value


def _renderer(kind: str) -> structlog.typing.Processor:
    if kind == "console":
        return structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    return structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
