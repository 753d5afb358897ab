"""What the server makes of pseudo-subclasses: heads, a finer ground cost, and what cannot be."""

from common.failures import ConfigError
from common.labels import LabelGeometry
from common.subclasses import RefinedGeometry, merged, refined
from server.aggregators import Targets
from server.config import ServerConfig
from server.geometries import Geometry
from server.heads import Heads

WITHIN = 0.5
"""Cost between subclasses of one label, in units of the smallest cost between labels.

At 0 a transport loss would not see subclasses at all. Not tuned; divergences do not look at it.
"""


def heads_for(config: ServerConfig, num_clients: int, subclasses: int) -> Heads | None:
    """The heads of a student of opinions with S subclasses; None if it has to be asked for none.

    An aggregator that merges opinions and knows nothing of subclasses is given the labels' sums,
    so that the student is one without subclasses.
    """
    if subclasses == 1:
        return None
    if config.aggregator.matches_subclasses:
        return Heads(1, subclasses)
    return Heads(num_clients, subclasses) if config.aggregator.keeps_opinions else None


def check(config: ServerConfig) -> None:
    """Refuse what cannot be had with heads.

    Raises:
        ConfigError: what to leave out.
    """
    unfit = {
        "server.weighting": config.weighting.steers,
        "server.reweighting": config.reweighting is not None,
        "server.label_weight": config.label_weight is not None,
        "server.pretraining": config.pretraining is not None,
        "server.geometry": type(config.geometry).refine is not Geometry.refine,
    }
    for key, wrong in unfit.items():
        if wrong:
            raise ConfigError(
                f"{key} as it stands knows nothing of pseudo-subclasses; write another, or leave "
                "out clients.subclasses"
            )


def check_used(config: ServerConfig) -> None:
    """Refuse subclasses that would cross and be summed away, and what :func:`check` refuses.

    Raises:
        ConfigError: what to write.
    """
    if heads_for(config, 2, 2) is None:
        raise ConfigError(
            "server.aggregator would mix subclasses that have nothing to do with each other; "
            "write server.aggregator = 'keep_all' or 'aligned', or leave out clients.subclasses"
        )
    check(config)


def fine(geometry: LabelGeometry, subclasses: int) -> RefinedGeometry:
    """The ground cost between subclasses, for the loss and the aggregator."""
    positive = geometry.cost[geometry.cost > 0]
    within = WITHIN * float(positive.min()) if len(positive) else 0.0
    return refined(geometry, subclasses, within)


def coarse(targets: Targets, subclasses: int) -> Targets:
    """Targets of the labels, whatever their subclasses."""
    if subclasses == 1:
        return targets
    return Targets(merged(targets.probs, subclasses), targets.weights)
