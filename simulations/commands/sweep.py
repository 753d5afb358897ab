"""``fedknot sweep``."""

from pathlib import Path
from typing import Annotated, Any, cast

import click
import typer

from common.failures import ConfigError
from common.files import read_json
from simulations.commands.options import AsJson, Overrides, Quiet
from simulations.commands.printing import show


def sweep(  # noqa: PLR0913 - one parameter per option of the command
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|EXPERIMENT",
            help="a shipped sweep or experiment, or a TOML file of either sort",
        ),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(help="a TOML list, e.g. 'data.num_clients = [4, 16]'; repeatable"),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="one run each per setting", show_default="0,1,2")
    ] = None,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="folder, new or begun before")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="go on with the sweep in this folder; it says which it is")
    ] = None,
    backend: Annotated[
        str,
        typer.Option(
            click_type=click.Choice(["ray", "inline", "auto"]), help="of the runs; same bits"
        ),
    ] = "inline",
    jobs: Annotated[int, typer.Option(help="runs at a time", min=1)] = 1,
    keep: Annotated[
        str,
        typer.Option(
            click_type=click.Choice(["figures", "all"]),
            help="of each run folder: what tables need, or all of it",
        ),
    ] = "figures",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run a grid of experiments over seeds; tables, intervals and one report."""
    from simulations.comparing.comparison import read_seeds
    from simulations.screen import bars
    from simulations.sweeping.asked import begun, sweeps, typed
    from simulations.sweeping.files import lines
    from simulations.sweeping.sweep import How, complaint
    from simulations.sweeping.sweep import sweep as run_all

    if resume is not None:
        if name or vary or seeds or overrides or out:
            raise ConfigError("--resume names a sweep already; leave out what it consists of")
        asked = begun(resume)
    elif name is None:
        raise ConfigError(f"say what to sweep: {', '.join(sweeps())}, or an experiment and --vary")
    else:
        numbers = None if seeds is None else read_seeds(seeds)
        asked = typed(name, vary or [], numbers, overrides or [])
    how = How(cast(Any, backend), jobs, cast(Any, keep))
    with bars(quiet or as_json) as progress:
        folder = run_all(asked, resume or out, how, progress)
    made = read_json(folder / "sweep.json")
    if quiet:
        typer.echo(folder / "report.html")
    else:
        show(made, lambda made: lines(made, folder), as_json)
    if failed := complaint(made, folder):
        raise failed
