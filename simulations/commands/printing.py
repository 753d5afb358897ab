"""How a command says what it found: lines or one JSON object, and asides on standard error."""

import json
import sys
from collections.abc import Callable
from typing import Any

import typer


def show(made: dict[str, Any], table: Callable[[dict[str, Any]], list[str]], bare: bool) -> None:
    """Print what was made, as the lines of ``table`` or, if ``bare``, as JSON."""
    if bare:
        print_json(made)
    else:
        typer.echo("\n".join(table(made)))


def print_json(made: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    typer.echo(json.dumps(made, allow_nan=False))


def say(line: str) -> None:
    """One line on standard error."""
    print(f"fedknot: {line}", file=sys.stderr)
