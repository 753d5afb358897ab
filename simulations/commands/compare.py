"""``fedknot compare``."""

from typing import Any, cast

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


def compare(  # noqa: PLR0913 - one parameter per option of the command
    experiment: Experiment = "quickstart",
    losses: Kinds = None,
    weightings: Kinds = None,
    aggregators: Kinds = None,
    geometries: Kinds = None,
    seeds: Seeds = "0,1,2,3,4",
    overrides: Overrides = None,
    out: Begun = None,
    backend: Backend = "inline",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train every arm on the same predictions; say what geometry does beyond a temperature."""
    from simulations.comparing.choices import Asked
    from simulations.comparing.comparison import Call, read_seeds
    from simulations.comparing.comparison import compare as run_all
    from simulations.comparing.files import lines
    from simulations.experiment_file import read
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
