"""The guide names every command, and says of shipped experiments what they say."""

import re
import tomllib
from pathlib import Path

import pytest
import typer

from simulations.cli import app
from simulations.experiment_file import SHIPPED

GUIDE = (Path(__file__).parents[1] / "docs" / "guide.md").read_text()


def commands(command, words=("fedknot",)):
    """The words of every command that does something."""
    below = getattr(command, "commands", {})
    if not below:
        return [" ".join(words)]
    return [line for name, one in below.items() for line in commands(one, (*words, name))]


@pytest.mark.parametrize("line", commands(typer.main.get_command(app)))
def test_every_command_has_a_row(line):
    assert re.search(rf"^\| `{line}[ `]", GUIDE, re.MULTILINE)


def test_every_shipped_experiment_asks_for_bounds():
    assert "every shipped experiment says `true`" in GUIDE
    for path in SHIPPED.glob("*.toml"):
        assert tomllib.loads(path.read_text())["bounds"] is True
