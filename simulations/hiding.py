"""Which experiments can hide a whole client behind a trusted server's noise, and at what price."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.configure import kind_of
from common.failures import BudgetExceeded, ConfigError
from common.gaussian_dp import mu_of

if TYPE_CHECKING:
    from server.config import ServerConfig
    from simulations.experiment import Experiment

_WITHOUT = "or leave server.hiding out"


def expected_noise(experiment: Experiment, rows: int) -> str | None:
    """A few words on the noise if all clients answer; None where there is none.

    Args:
        experiment: whose.
        rows: N, of the transfer set.
    """
    hiding = experiment.server.hiding
    if hiding is None:
        return None
    return hiding.told(hiding.sigma(rows), experiment.data.num_clients)


def check_hiding(experiment: Experiment) -> None:
    """Refuse what the noise would not cover, and more rounds than the budget lasts for.

    Raises:
        ConfigError: the first reason, and what to write.
        BudgetExceeded: of the rounds.
    """
    if experiment.server.hiding is None:
        return
    _check_server(experiment.server)
    _check_answers(experiment)
    _check_budget(experiment)


def _check_server(server: ServerConfig) -> None:
    """The sum of all answers must be all that the student and the weights are made of."""
    if kind_of(server.weighting) != "uniform":
        raise ConfigError(
            f"server.weighting = '{kind_of(server.weighting)}' gives a client a weight that its "
            "answer or size moves, or learns one past the noise, and server.hiding bounds what one "
            f"of K equal clients moves; write server.weighting = 'uniform', {_WITHOUT}"
        )
    if kind_of(server.aggregator) != "mean":
        raise ConfigError(
            "server.hiding noises the sum over clients, and server.aggregator = "
            f"'{kind_of(server.aggregator)}' makes something else of single answers; write "
            f"server.aggregator = 'mean', {_WITHOUT}"
        )
    if server.pretraining is not None and server.pretraining.teacher:
        raise ConfigError(
            "server.pretraining.teacher is one more opinion, and server.hiding counts those of "
            f"clients only; write server.pretraining.teacher = false, {_WITHOUT}"
        )
    if server.cache is not None:
        raise ConfigError(
            "server.cache keeps targets for later rounds, and server.hiding accounts for rounds "
            f"over all texts; write server.cache = 'none', {_WITHOUT}"
        )


def _check_answers(experiment: Experiment) -> None:
    """An answer must be one matrix, in clear, and the run must promise one thing."""
    if experiment.wire.secure_sum:
        raise ConfigError(
            "server.hiding trusts the server with every answer, and a secure sum does not; write "
            f"wire.secure_sum = false, {_WITHOUT}"
        )
    if experiment.clients.num_subclasses > 1:
        raise ConfigError(
            "server.hiding noises labels, not subclasses; write clients.subclasses = 'none', "
            f"{_WITHOUT}"
        )
    if experiment.disclose:
        raise ConfigError(
            "disclose lets numbers of single clients cross, which the noise of server.hiding does "
            f"not cover; write disclose = [], {_WITHOUT}"
        )
    if experiment.clients.mechanism is not None:
        raise ConfigError(
            "clients.mechanism promises something of an example and server.hiding of a client, and "
            f"a run says one guarantee; write clients.mechanism = 'none', {_WITHOUT}"
        )


def _check_budget(experiment: Experiment) -> None:
    hiding, rounds = experiment.server.hiding, experiment.num_rounds
    assert hiding is not None, "asked before"
    mus = [mu_of(hiding.target_epsilon(), hiding.failure_probability())] * rounds
    if hiding.exceeds(mus):
        raise BudgetExceeded(
            f"{rounds} noised rounds would spend epsilon {hiding.epsilon(mus):.4g} of "
            f"{hiding.limit():.4g}; write num_rounds = 1, a smaller server.hiding.epsilon_target "
            "or a larger server.hiding.budget"
        )
