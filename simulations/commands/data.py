"""``fedknot data``: data sets and caches."""

from pathlib import Path
from typing import Annotated

import typer

from simulations.commands.options import AsJson
from simulations.commands.printing import show

app = typer.Typer(help="Data sets and caches.", no_args_is_help=True)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the data sets and whether they are in the cache."""
    from simulations.data import datasets

    rows = [{"kind": k, "manual": m, "cached": c} for k, m, c in datasets()]
    show(
        {"datasets": rows},
        lambda d: [
            f"{r['kind']:12}{'cached' if r['cached'] else '-':8}{r['manual']}"
            for r in d["datasets"]
        ],
        as_json,
    )


@app.command("fetch")
def fetch_(
    name: Annotated[str, typer.Argument(help="a data set, e.g. vader")],
    source: Annotated[
        Path | None, typer.Option("--from", help="a file or folder already at hand")
    ] = None,
) -> None:
    """Fetch a data set into the cache and check its hash."""
    from simulations.data import fetch

    typer.echo(fetch(name, source))


@app.command("describe")
def describe_(
    name: Annotated[str, typer.Argument(help="a data set, e.g. vader")], as_json: AsJson = False
) -> None:
    """Show rows, classes, source, licence and known faults of a data set."""
    from simulations.data import describe

    show(describe(name), lambda d: [f"{key:18}{value}" for key, value in d.items()], as_json)


@app.command("clear")
def clear_() -> None:
    """Empty our caches: data sets and features of texts."""
    from simulations.data import clear

    typer.echo(f"freed {clear() / 1e6:.1f} MB")
