"""Arguments and options that several commands have in common."""

from pathlib import Path
from typing import Annotated

import click
import typer

Experiment = Annotated[str, typer.Argument(help="a shipped name or a TOML file")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="TOML assignments, e.g. 'data.num_clients = 8'; repeatable"),
]
Seed = Annotated[int | None, typer.Option(help="wins over the file and --set", min=0)]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object and nothing else")]
Quiet = Annotated[bool, typer.Option("--quiet", help="print the report's path only")]
Folder = Annotated[Path, typer.Argument(help="a run folder")]
Begun = Annotated[Path | None, typer.Option(help="folder, new or begun before")]
Seeds = Annotated[str, typer.Option(help="one run each")]
Kinds = Annotated[
    str | None,
    typer.Option(help="kinds or inline tables with a comma between them; all for every kind"),
]
Backend = Annotated[
    str,
    typer.Option(click_type=click.Choice(["ray", "inline", "auto"]), help="of the runs; same bits"),
]
