"""``fedknot attack``."""

from pathlib import Path
from typing import Annotated, Any, cast

import click
import typer

from simulations.commands.options import AsJson, Overrides, Quiet, Seed
from simulations.commands.printing import show

Target = Annotated[
    str,
    typer.Argument(metavar="EXPERIMENT|DIR", help="a shipped name, a TOML file, a run folder"),
]


def attack(
    target: Target = "quickstart",
    battery: Annotated[
        str,
        typer.Option(click_type=click.Choice(["quick", "full"]), help="how many models"),
    ] = "quick",
    overrides: Overrides = None,
    seed: Seed = None,
    out: Annotated[
        Path | None,
        typer.Option(help="folder, new or attacked before", show_default="runs/..; DIR"),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Attack one's own simulated clients, with and without defences; fail if a promise breaks."""
    from common.failures import CheckFailed
    from simulations.attacks._page import lines
    from simulations.attacks._session import Asked, run
    from simulations.screen import bars

    asked = Asked(target, cast(Any, battery), tuple(overrides or ()), seed, out)
    with bars(quiet or as_json) as progress:
        made, folder = run(asked, progress)
    if quiet:
        typer.echo(folder / "attack.html")
    else:
        show(made, lambda found: lines(found, folder), as_json)
    if made["faults"]:
        raise CheckFailed("; ".join(made["faults"]))
