"""``fedknot plan --out FILE``: who would hold what, as a picture or a page of its own."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from common.failures import ConfigError
from common.files import full_disk_is_a_failure, write_text
from simulations.reporting.drawing import STYLE
from simulations.reporting.figures import holdings, svg
from simulations.reporting.page import template

_DOTS_PER_INCH = 150


def check_name(path: Path) -> None:
    """Whether the file can be written as what its name says.

    Raises:
        ConfigError: it cannot.
    """
    if path.suffix not in (".html", ".png"):
        raise ConfigError(f"--out {path.name}: write a name that ends in .html or .png")
    if not path.parent.is_dir():
        raise ConfigError(f"--out: there is no folder {path.parent}; make it first")


def write_plan(path: Path, plan: dict[str, Any], lines: list[str]) -> None:
    """Write the heat map of a plan, and in a page also what the terminal shows.

    Args:
        path: ends in ``.html`` or ``.png``.
        plan: of :func:`simulations.preview.preview`.
        lines: the same for a person.

    Raises:
        ConfigError: the name has another ending, or its folder is missing.
    """
    check_name(path)
    with full_disk_is_a_failure():
        if path.suffix == ".png":
            with mpl.rc_context(STYLE):
                _drawn(plan).savefig(path, dpi=_DOTS_PER_INCH)
            return
        picture = svg(_drawn(plan), "Who would hold what: samples of each label at each client")
        page = template(Path(__file__).parent, "plan.html")
        write_text(path, page.render(picture=picture, lines=lines))


def _drawn(plan: dict[str, Any]) -> Figure:
    clients = plan["clients"]
    names = [_name(client) for client in clients]
    return holdings([client["counts"] for client in clients], names, plan["labels"])


def _name(client: dict[str, Any]) -> str:
    corrupted = " + ".join(client["corruptions"])
    return f"client {client['client']}" + (f" ({corrupted})" if corrupted else "")
