"""``fedknot yardsticks``."""

from typing import Annotated, Any, cast

import typer

from common.files import read_json
from simulations.commands.options import AsJson, Backend, Begun, Experiment, Overrides, Seeds
from simulations.commands.printing import show


def yardsticks(
    experiment: Experiment = "quickstart",
    only: Annotated[
        str | None,
        typer.Option(
            help="kinds or inline tables with a comma between them", show_default="every kind"
        ),
    ] = None,
    seeds: Seeds = "0,1,2",
    overrides: Overrides = None,
    out: Begun = None,
    backend: Backend = "inline",
    as_json: AsJson = False,
) -> None:
    """What others reach on the same data and split: FedAvg, FedProx, alone, together, pooled."""
    from simulations.comparing.comparison import read_seeds
    from simulations.experiment_file import read
    from simulations.measuring.files import lines
    from simulations.measuring.measurement import Call, choose, measure_all
    from simulations.screen import bars

    chosen, made = choose(only), read(experiment, overrides)
    call = Call(made, experiment, chosen, read_seeds(seeds), cast(Any, backend))
    with bars(as_json) as progress:
        folder = measure_all(call, out, progress)
    show(read_json(folder / "yardsticks.json"), lambda made: lines(made, folder), as_json)
