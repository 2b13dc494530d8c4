"""Connectors that other people's packages bring: found by entry point at the start, and refused by name when broken.

A package that can't be used stops the start: a channel of it would go unread in silence. One that is taken away later
is told apart from a bug: its channels wait, and nothing of theirs is lost or parked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points

from app.core.errors import ConfigError, Fault, Unavailable
from connectors.base import Abilities, Connector

GROUP = "perpetual.connectors"
HOW = "docs/writing-a-connector.md"
NO_CONNECTOR = "no_connector"
_SLUG = re.compile(r"[a-z][a-z0-9_]{1,39}\Z")
_PARTS = tuple(name for name in vars(Connector) if not name.startswith("_"))


class Connectors(dict[str, Connector]):
    """Connectors by platform. Asking for one that is not here is no bug: its package was taken away, or tills are
    switched off."""

    def __missing__(self, platform: str) -> Connector:
        raise Unavailable(NO_CONNECTOR, f"no connector for {platform} is here: install its package, or allow tills")


def with_packages(own: Mapping[str, Connector], found: Iterable[EntryPoint] | None = None) -> Connectors:
    """Our own connectors and those of installed packages. Raises ConfigError that names each package that can't be
    used, and why."""
    faults: list[Fault] = []
    connectors, brought_by = Connectors(own), dict.fromkeys(own, "Perpetual itself")
    for point in sorted(entry_points(group=GROUP) if found is None else found, key=lambda one: (one.name, one.value)):
        fault = _clash(point, brought_by)
        loaded = _load(point) if fault is None else fault
        if isinstance(loaded, Fault):
            faults.append(loaded)
        else:
            connectors[point.name], brought_by[point.name] = loaded, _package(point)
    if faults:
        raise ConfigError(faults)
    return connectors


def _clash(point: EntryPoint, brought_by: Mapping[str, str]) -> Fault | None:
    if not _SLUG.match(point.name):
        return _fault(point, "bad_platform_name", "a platform is named by 2 to 40 of a-z, 0-9 and _: rename it there")
    if point.name in brought_by:
        both = f"{brought_by[point.name]} has a connector for {point.name} already: uninstall one of them"
        return _fault(point, "platform_taken", both)
    return None


def _load(point: EntryPoint) -> Connector | Fault:
    """The connector that the entry point is, or makes; or what is wrong with it."""
    try:
        loaded = point.load()
        made = loaded() if isinstance(loaded, type) or (callable(loaded) and _missing(loaded)) else loaded
        missing, platform, abilities = _missing(made), getattr(made, "platform", ""), getattr(made, "abilities", None)
    except Exception as error:  # noqa: BLE001  a stranger's code may raise anything, and is named instead of us
        said = f"{type(error).__name__}: {error}"[:300]
        return _fault(point, "connector_broken", f"it could not be loaded ({said}): repair or uninstall it")
    if missing:
        lacks = f"it is no connector: it has no {', '.join(missing)} ({HOW})"
        return _fault(point, "not_a_connector", lacks)
    if platform != point.name:
        other = f"its connector says that its platform is {str(platform)[:40]!r}: name both the same"
        return _fault(point, "platform_differs", other)
    if not isinstance(abilities, Abilities):
        return _fault(point, "not_a_connector", f"its abilities are not connectors.base.Abilities ({HOW})")
    connector: Connector = made
    return connector


def _missing(candidate: object) -> list[str]:
    return [name for name in _PARTS if not hasattr(candidate, name)]


def _fault(point: EntryPoint, reason: str, detail: str) -> Fault:
    return Fault(reason, detail, f"package {_package(point)}, entry point {point.name} = {point.value}")


def _package(point: EntryPoint) -> str:
    return "of an unknown name" if point.dist is None else f"{point.dist.name} {point.dist.version}"
