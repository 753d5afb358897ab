"""``fedknot compare``."""

from pathlib import Path
from typing import Annotated, Any, cast

import click
import typer

from common.files import read_json
from simulations.commands.options import AsJson, Experiment, Overrides, Quiet
from simulations.commands.printing import show

Kinds = Annotated[
    str | None,
    typer.Option(help="kinds or inline tables with a comma between them; all for every kind"),
]


def compare(  # noqa: PLR0913 - one parameter per option of the command
    experiment: Experiment = "quickstart",
    losses: Kinds = None,
    weightings: Kinds = None,
    aggregators: Kinds = None,
    geometries: Kinds = None,
    seeds: Annotated[str, typer.Option(help="one base run each")] = "0,1,2,3,4",
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="folder, new or begun before")] = None,
    backend: Annotated[
        str,
        typer.Option(
            click_type=click.Choice(["ray", "inline", "auto"]), help="of the base runs; same bits"
        ),
    ] = "inline",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train every arm on the same predictions; say what geometry does beyond a temperature."""
    from simulations.comparing.choices import Asked
    from simulations.comparing.comparison import Call, read_seeds
    from simulations.comparing.comparison import compare as run_all
    from simulations.comparing.files import lines
    from simulations.experiment import read
    from simulations.screen import bars

    asked = Asked(losses, weightings, aggregators, geometries)
    made = read(experiment, overrides)
    call = Call(made, experiment, asked, read_seeds(seeds), cast(Any, backend))
    with bars(quiet or as_json) as progress:
        folder = run_all(call, out, progress)
    if quiet:
        typer.echo(folder / "report.html")
    else:
        show(read_json(folder / "compare.json"), lambda made: lines(made, folder), as_json)
