"""Which experiments can have secure sums, and what their parties agree on then."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from common.configure import kind_of
from common.failures import ConfigError
from common.fixed_point import MOST_PARTIES
from common.secure_terms import SecureTerms

if TYPE_CHECKING:
    from simulations.experiment import Experiment

CROWD = 2
"""Fewest clients that anything is told of, where ``wire.contributors`` does not say."""


def agreed(experiment: Experiment) -> dict[str, Any] | None:
    """The table of the terms of secure sums; None where clients answer in clear."""
    if experiment.wire.secure_sum is None:
        return None
    server = experiment.server
    rule, floor = server.weighting.own_rule, getattr(server.aggregator, "floor", None)
    assert rule is not None, "checked when the experiment was made"
    return asdict(SecureTerms(rule, experiment.wire.contributors or CROWD, floor))


def check_secure_sum(experiment: Experiment) -> None:
    """Refuse what cannot be had of sums, and what would tell more than sums.

    Raises:
        ConfigError: the first reason, and what to write.
    """
    if experiment.wire.secure_sum is None:
        if experiment.wire.contributors is not None:
            raise ConfigError(
                "wire.contributors is about secure sums, and there are none; write "
                "wire.secure_sum = true"
            )
        return
    _check_sums(experiment)
    _check_parts(experiment)
    _check_numbers(experiment)


def _check_sums(experiment: Experiment) -> None:
    """The server must be able to do with sums."""
    server = experiment.server
    if not server.aggregator.of_sums:
        raise ConfigError(
            f"server.aggregator = '{kind_of(server.aggregator)}' needs every client's predictions, "
            "and of a secure sum the server sees the sum alone; write server.aggregator = 'mean' "
            "or 'geometric_mean', or wire.secure_sum = false"
        )
    if server.weighting.own_rule is None:
        raise ConfigError(
            f"server.weighting = '{kind_of(server.weighting)}' depends on what others say or on "
            "what only the server knows, and in a secure sum clients weigh themselves; write "
            "server.weighting = 'uniform', 'size', 'knot', 'entropy', 'margin' or 'variance'"
        )
    if server.pretraining is not None and server.pretraining.teacher:
        raise ConfigError(
            "server.pretraining.teacher weighs the server's own opinion among the clients', which "
            "a secure sum hides; write server.pretraining.teacher = false"
        )


def _check_parts(experiment: Experiment) -> None:
    """Nothing may cross beside the sums, and nobody be in one sum and not in the next."""
    if experiment.disclose:
        raise ConfigError(
            "disclose lets numbers of single clients cross in clear, beside a secure sum; write "
            "disclose = []"
        )
    if experiment.clients.num_subclasses > 1:
        raise ConfigError(
            "clients.subclasses of different clients cannot be added up; leave it out, or write "
            "wire.secure_sum = false"
        )
    if kind_of(experiment.server.cohort) != "everyone":
        raise ConfigError(
            "server.cohort asks other clients in every round, and secure sums over different "
            "clients can be subtracted; write server.cohort = 'everyone'"
        )


def _check_numbers(experiment: Experiment) -> None:
    fewest, clients = experiment.wire.contributors or CROWD, experiment.data.num_clients
    if experiment.k_min < fewest:
        raise ConfigError(
            f"k_min is {experiment.k_min}, and a secure sum must hide each client among at least "
            f"{fewest}; write k_min = {fewest} or more"
        )
    if clients > MOST_PARTIES:
        raise ConfigError(
            f"data.num_clients is {clients}, and the sum of more than {MOST_PARTIES} might not "
            f"fit into 32 bits; write data.num_clients = {MOST_PARTIES} or less"
        )
