"""What a component is: a frozen dataclass whose fields are its settings."""

from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

T = TypeVar("T")

_CONFIG = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)


@dataclass_transform(frozen_default=True, field_specifiers=(Field,))
def component(cls: type[T]) -> type[T]:
    """Make ``cls`` a frozen dataclass that checks types and ranges on construction.

    Fields are the settings, the docstring is the manual, one method is the job. Ranges
    are given by :func:`pydantic.Field`; a wrong value raises ``pydantic.ValidationError``.
    """
    make: Callable[[type[T]], Any] = dataclass(frozen=True, config=_CONFIG)
    made: type[T] = make(cls)
    return made
