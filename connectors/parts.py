"""Parts of a connector that many vendors have alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from connectors.base import Shop, Subscription, Window
from connectors.errors import Refused
from connectors.export import Export, ExportOf, ExportPage
from connectors.http import Http

KEY_MIN = 9  # characters of an address's last part that nobody has by chance


class NoExports:
    """A vendor that prepares no files: everything is read in pages."""

    def start_export(self, http: Http, shop: Shop, what: ExportOf, window: Window) -> Export:
        """Raises Refused."""
        _refuse()

    def read_export(self, http: Http, shop: Shop, export_key: str) -> Export:
        """Raises Refused."""
        _refuse()

    def read_export_pages(
        self, http: Http, shop: Shop, export: Export, what: ExportOf, offset: int
    ) -> Iterator[ExportPage]:  # fmt: skip
        """Raises Refused."""
        _refuse()


def _refuse() -> NoReturn:
    raise Refused("no_exports", "this platform prepares no files")


def is_ours(subscription: Subscription, url: str) -> bool:
    """Whether it delivers to `url`, or to the same unguessable key at another address of ours."""
    key = url.rpartition("/")[2]
    return subscription.url == url or (len(key) >= KEY_MIN and subscription.url.endswith(f"/{key}"))
