"""What all pages have in common: the template language's settings, one frame, one style sheet."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

_SHARED = Path(__file__).parent


def template(
    home: Path,
    name: str = "report.html",
    filters: Mapping[str, Callable[..., Any]] = MappingProxyType({}),
) -> Template:
    """A page's template; it extends ``base.html``, which stands beside this file.

    The frame's blocks are ``title``, ``style`` (rules of this page alone) and ``main``.

    Args:
        home: the folder that is searched first.
        name: of the template.
        filters: by name.
    """
    environment = Environment(
        loader=FileSystemLoader([home, _SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(name)
