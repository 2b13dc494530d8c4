"""Values that are made by the thousand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """A dataclass that the type checker holds to be frozen. At run time it is not: freezing makes each one cost three
    times as much to make."""
    return dataclass(slots=True)(cls)
