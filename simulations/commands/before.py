"""What can be asked before anything runs: ``fedknot plan`` and ``fedknot list``."""

from pathlib import Path
from typing import Annotated

import typer

from simulations.commands.options import AsJson, Experiment, Overrides, Seed
from simulations.commands.printing import show


def plan(
    experiment: Experiment = "quickstart",
    overrides: Overrides = None,
    seed: Seed = None,
    out: Annotated[
        Path | None, typer.Option(help="also as a heat map, a file .html or .png")
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="no estimate of time and memory, which needs a rehearsal"),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show who would hold what, how skewed, and what would cross, before anything is trained."""
    from simulations.experiment_file import read
    from simulations.preview import preview, table

    if out is not None:
        from simulations.reporting.plan_page import check_name, write_plan

        check_name(out)
    made = preview(read(experiment, overrides, seed), rehearsed=not quick)
    if out is not None:
        write_plan(out, made, table(made))
    show(made, table, as_json)


def list_(
    family: Annotated[str | None, typer.Argument(help="e.g. losses; all if left out")] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The whole manuals, as docs/components/ has them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List every component with its one-line manual and its settings."""
    from simulations import manuals
    from simulations.catalogue import catalogue, table

    show(catalogue(family), manuals.markdown if markdown else table, as_json)
