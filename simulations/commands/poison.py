"""``fedknot poison``."""

from typing import Annotated, Any, cast

import typer

from common.files import read_json
from simulations.commands.options import (
    AsJson,
    Backend,
    Begun,
    Experiment,
    Kinds,
    Overrides,
    Quiet,
    Seeds,
)
from simulations.commands.printing import show


def poison(  # noqa: PLR0913 - one parameter per option of the command
    experiment: Experiment = "quickstart",
    poisons: Kinds = None,
    aggregators: Kinds = None,
    weightings: Kinds = None,
    losses: Kinds = None,
    shares: Annotated[str, typer.Option(help="of the clients, that lie")] = "0,0.1,0.2,0.3",
    seeds: Seeds = "0,1,2",
    overrides: Overrides = None,
    out: Begun = None,
    backend: Backend = "inline",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Have some clients lie, and see what every rule makes of it."""
    from simulations.comparing.comparison import read_seeds
    from simulations.experiment_file import read
    from simulations.poisoning.asked import Asked, Call
    from simulations.poisoning.files import lines
    from simulations.poisoning.matrix import poison as run_all
    from simulations.screen import bars

    asked = Asked(poisons, aggregators, weightings, losses, shares)
    made = read(experiment, overrides)
    call = Call(made, experiment, asked, read_seeds(seeds), cast(Any, backend))
    with bars(quiet or as_json) as progress:
        folder = run_all(call, out, progress)
    if quiet:
        typer.echo(folder / "report.html")
    else:
        show(read_json(folder / "poison.json"), lambda made: lines(made, folder), as_json)
