"""Which arms can learn from the same predictions, and the one run that makes them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from common.configure import dump, load
from simulations.experiment import Experiment
from simulations.ranking.definition import Arm, League, Setting, Stage


@dataclass(frozen=True)
class Group:
    """Arms for which clients do the very same.

    Attributes:
        base: what is run, with any seed; its own arm comes out as it would alone.
        arms: with the experiment of each; the setting's own for yardsticks and raters.
        replayed: whether arms learn from the predictions of ``base``; else there is one arm,
            and it is the run itself.
    """

    base: Experiment
    arms: tuple[tuple[Arm, Experiment], ...]
    replayed: bool


def grouped(league: League, setting: Setting, stage: Stage, seed: int) -> list[Group]:
    """The arms of a setting that are run with a seed, by what their clients do."""
    made: dict[str, list[tuple[Arm, Experiment]]] = {}
    own = _key(league.experiment(setting, None, stage))
    for arm in league.arms_of(setting):
        if seed in league.seeds_of(arm, stage):
            experiment = league.experiment(setting, arm, stage)
            key = _key(experiment) if is_one_shot(experiment) else f"{arm.name} alone"
            beside = arm.human or arm.yardstick is not None
            made.setdefault(own if beside else key, []).append((arm, experiment))
    return [_group(members) for members in made.values()]


def is_one_shot(experiment: Experiment) -> bool:
    """Whether its student can be had from predictions that another run released."""
    several = experiment.num_rounds > 1 or experiment.server.feedback is not None
    return not several and not experiment.wire.secure_sum


def _group(members: Sequence[tuple[Arm, Experiment]]) -> Group:
    experiments = [experiment for _, experiment in members]
    base, replayed = experiments[0], is_one_shot(experiments[0])
    if replayed:
        base = next((e for e in experiments if "bias" in e.server.weighting.needs), base)
        told = sorted({name for e in experiments for name in e.disclose})
        base = load(Experiment, dump(base) | {"disclose": told})
    return Group(base, tuple(members), replayed)


def _key(experiment: Experiment) -> str:
    """Equal for experiments whose clients release the same, but for declared extras."""
    table = dump(experiment)
    kept = {key: table[key] for key in ("data", "clients", "wire")}
    return json.dumps([kept, table["server"]["student"]], sort_keys=True)
