"""Wiring: the one place that picks vendors and builds the runtime from settings."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping
from datetime import datetime

import psycopg

from app.core.clock import AgreedClock, Clock
from app.core.config import Settings
from app.core.db import Database, connect, psycopg_url
from app.core.embedded import APP_ROLE, OWNER_ROLE, Embedded
from app.core.errors import ConfigError, Fault
from app.core.migrate import migrate
from app.core.packages import Connectors, with_packages
from app.core.runtime import Runtime, fresh_dice, make_key
from app.core.secrets import SealBroken, Sealer
from connectors.apps import AppPlatform
from connectors.base import Connector, Platform
from connectors.guarded import guarded_session
from connectors.http import Http
from connectors.shopify import Shopify, ShopifyApp
from connectors.woocommerce import WooCommerce

DOORBELL = "perpetual"  # the NOTIFY channel; it may be lost, since workers also look by themselves
CANARY = "sealing_canary"
CONNECTORS: Mapping[str, Connector] = {Platform.SHOPIFY: Shopify(), Platform.WOOCOMMERCE: WooCommerce()}


def embedded_of(settings: Settings) -> Embedded | None:
    """The embedded server, None where a database is given."""
    return None if settings.database.url is not None else Embedded(settings.data.dir.resolve())


def app_url(settings: Settings) -> str:
    """Where the application's role logs in."""
    embedded = embedded_of(settings)
    if embedded is not None:
        return embedded.url(APP_ROLE)
    assert settings.database.url is not None  # noqa: S101  embedded_of said so
    return _with_driver(settings.database.url.get_secret_value())


def owner_url(settings: Settings) -> str:
    """Where the role logs in that owns the schema and migrates."""
    embedded = embedded_of(settings)
    if embedded is not None:
        return embedded.url(OWNER_ROLE)
    given = settings.database.owner_url or settings.database.url
    assert given is not None  # noqa: S101
    return _with_driver(given.get_secret_value())


def _with_driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def prepare(settings: Settings) -> bool:
    """Start the embedded server if that is what we use and bring the schema up to date; True when this call started
    it. Before that, packages with connectors are looked at: raises ConfigError, and nothing was started."""
    find_connectors(settings)
    embedded = embedded_of(settings)
    started = embedded.ensure() if embedded else False
    migrate(owner_url(settings))
    return started


def build(settings: Settings, *, name: str = "") -> Runtime:
    """The runtime of a process. Raises ConfigError when the encryption key is not the one that sealed this database, or
    an installed package's connector can't be used."""
    clock = AgreedClock()
    database = connect(app_url(settings), pool_max=settings.database.pool_size, clock=clock)
    sealer = Sealer(settings.security.keys(), settings.security.active_key)
    database.ask_time()
    check_sealer(database, sealer, clock())
    return Runtime(
        settings=settings,
        database=database,
        clock=clock,
        rng=fresh_dice(),
        connectors=find_connectors(settings),
        sealer=sealer,
        open_http=http_opener(allow_loopback=settings.security.allow_loopback, clock=clock),
        worker=name or f"{socket.gethostname()}:{os.getpid()}:{make_key()[:8]}",
        ring=Doorbell(psycopg_url(app_url(settings))).ring,
        platforms=platforms_of(settings),
    )


def find_connectors(settings: Settings) -> Connectors:
    """The vendors that there are here: our own and those of installed packages. Raises ConfigError."""
    return connectors_of(settings, with_packages(CONNECTORS))


def connectors_of(settings: Settings, all_of_them: Mapping[str, Connector]) -> Connectors:
    """The vendors of this installation: without points of sale in the App Store's profile."""
    tills = settings.shopify.point_of_sale
    return Connectors({name: one for name, one in all_of_them.items() if tills or not one.abilities.point_of_sale})


def platforms_of(settings: Settings) -> Mapping[str, AppPlatform]:
    """The platforms that install our app into their shops."""
    return {Platform.SHOPIFY: ShopifyApp(settings.shopify.pretend_shops)}


def check_sealer(database: Database, sealer: Sealer, now: datetime) -> None:
    """The first start stores a sealed canary; every other must be able to open it."""
    with database.across(now) as session:
        canary = session.value("select get_setting(%(name)s)", name=CANARY)
    if canary is None:
        store_canary(database, sealer, now)
        return
    try:
        sealer.check(bytes.fromhex(canary))
    except SealBroken as error:
        where = "security.encryption_keys"
        raise ConfigError(
            [Fault(error.reason, "this database was sealed with another key: give that one", where)]
        ) from error


def store_canary(database: Database, sealer: Sealer, now: datetime) -> None:
    """Seal the word that tells at the start whether keys are the right ones."""
    with database.across(now) as session:
        session.run("select put_setting(%(name)s, %(value)s)", name=CANARY, value=sealer.canary().hex())


def http_opener(*, allow_loopback: bool, clock: Clock | None = None) -> Callable[[], Http]:
    """What gives each thread a session of its own, which keeps connections open and calls public addresses only; shops'
    clocks are measured by `clock`."""
    local = threading.local()

    def open_http() -> Http:
        if not hasattr(local, "http"):
            local.http = Http(session=guarded_session(allow_loopback=allow_loopback), clock=clock)
        http: Http = local.http
        return http

    return open_http


class Doorbell:
    """NOTIFY from a connection of its own, outside every transaction: inside, it would halve the rate of inserts."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None

    def ring(self) -> None:
        """Wake the workers. A bell that does not ring is no harm: they look by themselves."""
        with self._lock:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=5)
                self._connection.execute(f"notify {DOORBELL}")
            except psycopg.OperationalError:
                self._connection = None


__all__ = ["CONNECTORS", "DOORBELL", "app_url", "build", "http_opener", "make_key", "owner_url", "prepare"]
