"""A small experiment and its run folder."""

from simulations.events import silent
from simulations.experiment import read
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
