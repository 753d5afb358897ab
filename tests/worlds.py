"""A small experiment and its run folder."""

import csv

from common.files import read_json
from simulations.events import silent
from simulations.experiment_file import read
from simulations.folder import create
from simulations.provision import provision

TINY = (
    "data.dataset = { kind = 'synthetic', size = 160, num_labels = 3 }",
    "data.num_clients = 4; data.validation_size = 16",
    "clients.teacher = { kind = 'frozen_mlp', hidden = 4, epochs = 1, min_steps = 4 }",
    "clients.encoder = { kind = 'hashing', dimensions = 16 }",
    "server.student = { kind = 'frozen_mlp', hidden = 4 }",
    "server.schedule = { steps = 4 }",
    "num_rounds = 1; bounds = false",
)


def tiny_with(*overrides):
    return read("synthetic", [*TINY, *overrides])


def stocked(experiment, folder):
    """A new run folder in which everybody holds their part and nobody has acted."""
    made = create(folder, "synthetic", experiment.seed)
    provision(experiment, made, silent)
    return made


def outcome(folder):
    """What the server found: hashes of student and predictions, clients, bytes."""
    return read_json(folder / "checkpoint" / "server.json")


def hashes(folder):
    found = outcome(folder)
    return found["student_sha256"], found["predictions_sha256"]


def tallies(folder):
    """``clients.csv`` as {client: (status, reason)}."""
    with (folder / "clients.csv").open() as file:
        return {int(r["client"]): (r["status"], r["reason"]) for r in csv.DictReader(file)}
