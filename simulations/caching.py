"""Which experiments can ask about a part of the shared texts, and what is agreed on then."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from common.configure import kind_of
from common.failures import ConfigError

if TYPE_CHECKING:
    from server.config import ServerConfig
    from simulations.experiment import Experiment

_WITHOUT = "or leave server.cache out"


def kept(experiment: Experiment) -> dict[str, Any] | None:
    """The table of the terms, see :class:`common.asking.Asking`; None where all texts are asked."""
    cache = experiment.server.cache
    return None if cache is None else asdict(cache.plan())


def check_cache(experiment: Experiment) -> None:
    """Refuse what cannot be had where a round asks about a part of the texts.

    Raises:
        ConfigError: the first reason, and what to write.
    """
    if experiment.server.cache is None:
        return
    if experiment.num_rounds == 1:
        raise ConfigError(
            "server.cache keeps answers for later rounds, and there is one round; write "
            "num_rounds = 2 or more, or server.cache = 'none'"
        )
    if experiment.wire.secure_sum:
        raise ConfigError(
            "server.cache asks about a part of the texts, and secure sums are over all of them; "
            f"write wire.secure_sum = false, {_WITHOUT}"
        )
    if experiment.clients.num_subclasses > 1:
        raise ConfigError(
            "server.cache keeps soft labels, not subclasses; write clients.subclasses = 'none', "
            f"{_WITHOUT}"
        )
    _check_server(experiment.server)


def _check_server(server: ServerConfig) -> None:
    if server.aggregator.keeps_opinions:
        raise ConfigError(
            "server.cache keeps one soft label of a text, and server.aggregator = "
            f"'{kind_of(server.aggregator)}' makes one for every client; write "
            f"server.aggregator = 'mean', {_WITHOUT}"
        )
    if key := server.needs_labels:
        raise ConfigError(
            f"{key} needs known labels of texts, of which a round with server.cache may ask none; "
            f"write it out of the experiment, {_WITHOUT}"
        )
    for part in (server.weighting, server.aggregator):
        if part.sees_all_samples:
            raise ConfigError(
                f"'{kind_of(part)}' compares what is said of all texts, and with server.cache a "
                "round asks about a part of them; write server.weighting = 'uniform' and "
                f"server.aggregator = 'mean', {_WITHOUT}"
            )
