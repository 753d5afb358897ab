"""``fedknot frontier``."""

from pathlib import Path
from typing import Annotated, Any, cast

import click
import typer

from common.failures import CheckFailed
from common.files import read_json
from simulations.commands.options import AsJson, Experiment, Overrides, Quiet
from simulations.commands.printing import show


def frontier(  # noqa: PLR0913 - one parameter per option of the command
    experiment: Experiment = "quickstart",
    epsilons: Annotated[str, typer.Option(help="of guarantees, beside none")] = "8,4,2,1",
    bits: Annotated[str, typer.Option(help="widths of a code")] = "16,8,4,2,1",
    seeds: Annotated[str, typer.Option(help="everything once with each")] = "0,1,2",
    full: Annotated[
        bool, typer.Option("--full", help="every epsilon at every width, not at one alone")
    ] = False,
    overrides: Overrides = None,
    private: Annotated[
        list[str] | None,
        typer.Option(help="like --set, for runs with a guarantee only; repeatable"),
    ] = None,
    battery: Annotated[
        str,
        typer.Option(click_type=click.Choice(["quick", "full"]), help="how many models"),
    ] = "quick",
    jobs: Annotated[int, typer.Option(help="runs at a time", min=1)] = 1,
    out: Annotated[Path | None, typer.Option(help="folder, new or begun before")] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Draw privacy, use and bytes together: what epsilon costs, what fewer bits do not buy."""
    from simulations.comparing.comparison import read_seeds
    from simulations.frontier.asked import Asked, read_bits, read_epsilons
    from simulations.frontier.files import lines
    from simulations.frontier.frontier import failures
    from simulations.frontier.frontier import frontier as draw
    from simulations.screen import bars
    from simulations.sweeping.sweep import How

    asked = Asked(
        experiment,
        tuple(overrides or ()),
        tuple(private or ()),
        read_epsilons(epsilons),
        read_bits(bits),
        read_seeds(seeds),
        cast(Any, battery),
        full,
    )
    with bars(quiet or as_json) as progress:
        folder = draw(asked, out, How(jobs=jobs), progress)
    made = read_json(folder / "frontier.json")
    if quiet:
        typer.echo(folder / "report.html")
    else:
        show(made, lambda made: lines(made, folder), as_json)
    if made["faults"]:
        raise CheckFailed("; ".join(made["faults"]))
    if failed := failures(folder):
        raise failed
