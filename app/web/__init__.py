"""The web application: webhooks, pages, health. `create_app` is the only way to make one."""

from __future__ import annotations

from app.web.application import create_app

__all__ = ["create_app"]
