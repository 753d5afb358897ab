"""The guide against the code: no key of an experiment file is left out."""

import dataclasses
from pathlib import Path

import pytest

from clients.config import ClientConfig
from server.config import ServerConfig
from server.distil import Schedule
from server.pretraining import Pretraining
from simulations.datasets.vader import Vader
from simulations.experiment import DataConfig, Experiment, WireConfig

GUIDE = Path(__file__).parents[1] / "docs" / "guide.md"
TABLES = [Experiment, DataConfig, ClientConfig, ServerConfig, WireConfig]


def every_key() -> str:
    text = GUIDE.read_text(encoding="utf-8")
    return text.split("\n## Every key\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_key_of_an_experiment_stands_in_the_guide(table):
    sections = {"data", "clients", "server", "wire"}  # each a heading of its own
    names = {field.name for field in dataclasses.fields(table)} - sections
    rows = {line.split("`")[1] for line in every_key().splitlines() if line.startswith("| `")}
    assert sorted(names - rows) == []


@pytest.mark.parametrize("table", [Schedule, Pretraining, Vader], ids=lambda t: t.__name__)
def test_settings_of_what_has_no_row_of_its_own_are_named(table):
    text = every_key()
    missing = [f.name for f in dataclasses.fields(table) if f.name not in text]
    assert missing == []
