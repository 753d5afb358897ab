"""Arguments and options that several commands have in common."""

from pathlib import Path
from typing import Annotated

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
