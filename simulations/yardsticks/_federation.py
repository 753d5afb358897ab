"""A federation that averages parameters: one of Flower's strategies over clients' shards."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

# A privacy tool must not phone home; flwr reads this when it is imported.
os.environ["FLWR_TELEMETRY_ENABLED"] = "0"

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg, FedProx
from torch import Tensor, nn

from common.arrays import Floats, Ints
from common.failures import ConfigError
from common.seeds import derive, stream
from server.students import count_parameters
from simulations.examination import Metrics
from simulations.world import World
from simulations.yardsticks import Outcome, Progress
from simulations.yardsticks._grid import LocalGrid, flower
from simulations.yardsticks._local import Pace, train
from simulations.yardsticks._traffic import Traffic

_EXAMPLES = "num-examples"


def averaged(world: World, pace: Pace, progress: Progress) -> Outcome:
    """Under Flower's ``FedAvg``; see :func:`_federate`."""
    return _federate(world, FedAvg, pace, progress)


def held_near(world: World, mu: float, pace: Pace, progress: Progress) -> Outcome:
    """Under Flower's ``FedProx``, which sends mu to the clients; see :func:`_federate`."""
    return _federate(world, partial(FedProx, proximal_mu=mu), pace, progress)


def _federate(
    world: World, strategy: Callable[..., FedAvg], pace: Pace, progress: Progress
) -> Outcome:
    """Run Flower's strategy for R rounds and grade the last global model.

    The model is the run's own student with its own first weights, and learns from hard labels.
    Clients are weighted by their examples. The last model is graded, whatever the curve says.

    Args:
        world: a run that is over.
        strategy: makes the strategy from Flower's own settings.
        pace: of the federation.
        progress: told (rounds done, R).
    """
    model, seed = world.student(), derive(world.experiment.seed, "yardsticks")
    clients = {k: _Client(k, *shard, model, pace, seed) for k, shard in world.shards.items()}
    grid, watch = LocalGrid(clients), _Watch(world, model, pace.rounds, progress)
    with flower(derive(seed, "nodes")):
        made = strategy(
            fraction_train=pace.fraction,
            fraction_evaluate=0.0,  # the observer measures, on the public slice
            min_train_nodes=1,
            min_available_nodes=len(clients),
            weighted_by_key=_EXAMPLES,
        )
        first = to_record(model)
        result = made.start(grid, first, num_rounds=pace.rounds, evaluate_fn=watch.look)
    to_model(model, result.arrays)
    answers = world.answers(model)
    traffic = Traffic(tuple(grid.crossings), len(clients), pace.rounds, count_parameters(model))
    return Outcome(world.grade(answers), answers[0], curve=tuple(watch.curve), traffic=traffic)


def to_record(model: nn.Module) -> ArrayRecord:
    """The trainable parameters of a model, by name."""
    return ArrayRecord({name: Array(p.detach().numpy()) for name, p in _trained(model)})


@torch.no_grad()
def to_model(model: nn.Module, arrays: ArrayRecord) -> None:
    """Put parameters into a model; those that are not trained stay."""
    for name, parameter in _trained(model):
        parameter.copy_(torch.from_numpy(np.array(arrays[name].numpy())))


def _trained(model: nn.Module) -> Iterable[tuple[str, nn.Parameter]]:
    return ((name, p) for name, p in model.named_parameters() if p.requires_grad)


class _Client:
    """A client's half: from a message with the global parameters to its reply."""

    def __init__(
        self, client: int, inputs: Floats, labels: Ints, model: nn.Module, pace: Pace, seed: int
    ) -> None:
        """Hold a shard.

        Args:
            client: its id.
            inputs: shape (M, D), float32.
            labels: shape (M,).
            model: a place to work in, which clients share one after the other.
            pace: how it trains.
            seed: of the federation.
        """
        self._client, self._model, self._pace, self._seed = client, model, pace, seed
        self._inputs: Tensor = torch.tensor(inputs, dtype=torch.float32)
        self._labels: Tensor = torch.tensor(labels, dtype=torch.int64)

    def __call__(self, message: Message) -> Message:
        config = message.content.config_records["config"]
        to_model(self._model, message.content.array_records["arrays"])
        rng = stream(self._seed, "client", self._client, int(str(config["server-round"])))
        mu = float(str(config.get("proximal-mu", 0.0)))  # Flower's FedProx sends it, FedAvg not
        loss = train(self._model, self._inputs, self._labels, self._pace, mu, rng)
        reply = RecordDict({"arrays": to_record(self._model)})
        reply["metrics"] = MetricRecord({_EXAMPLES: len(self._labels), "loss": loss})
        return Message(reply, reply_to=message)


@dataclass
class _Watch:
    """Measures the global model on the public slice; called by Flower before round 1 and after all.

    Attributes:
        curve: one table for each look.
    """

    world: World
    model: nn.Module
    rounds: int
    progress: Progress
    curve: list[Metrics] = field(default_factory=list)

    def look(self, server_round: int, arrays: ArrayRecord) -> None:
        """Flower's ``evaluate_fn``."""
        to_model(self.model, arrays)
        if not all(torch.isfinite(p).all() for _, p in _trained(self.model)):
            raise ConfigError("pace: training diverged; write a smaller learning_rate")
        self.curve.append(self.world.on_slice(self.model))
        self.progress(server_round, self.rounds)
