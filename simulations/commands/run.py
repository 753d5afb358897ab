"""``fedknot run``."""

from pathlib import Path
from typing import Annotated, Any, cast

import click
import typer

from simulations.commands.options import AsJson, Overrides, Quiet, Seed
from simulations.commands.printing import print_json, say


def run(  # noqa: PLR0913 - one parameter per option of the command
    experiment: Annotated[
        str | None,
        typer.Argument(help="a shipped name or a TOML file", show_default="quickstart"),
    ] = None,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="run folder, new or empty")] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            click_type=click.Choice(["ray", "inline", "auto"]),
            help="ray: Flower on Ray; inline: one process, same bits",
            show_default="ray",
        ),
    ] = None,
    ray_address: Annotated[str | None, typer.Option(help="of a Ray cluster that runs")] = None,
    seed: Seed = None,
    resume: Annotated[
        Path | None, typer.Option(help="go on with the run in this folder; it says which it is")
    ] = None,
    force_new_run: Annotated[
        bool, typer.Option("--force-new-run", help="move the folder aside and start anew in it")
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run one experiment: provision, federate, observe; a report at the end."""
    from simulations.folder import summary_of
    from simulations.screen import bars
    from simulations.starting import Order, start
    from simulations.summary import lines

    order = Order(
        experiment,
        tuple(overrides or ()),
        seed,
        out,
        resume,
        force_new_run,
        cast(Any, backend),
        ray_address,
    )
    with bars(quiet or as_json) as progress:
        folder = start(order, progress, say)
    summary = summary_of(folder)
    if as_json:
        print_json(summary)
    elif quiet:
        typer.echo(folder / "report.html")
    else:
        typer.echo("\n".join(lines(summary, folder)))
