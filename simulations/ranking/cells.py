"""One cell of a league: an arm in a setting with a seed, as one JSON row."""

import time
from typing import Any

from common.failures import CheckFailed, ConfigError
from server.distil import predict
from server.students import fingerprint
from simulations.comparing.arms import Arm as Recipe
from simulations.examination import Examination
from simulations.experiment import Experiment
from simulations.finished import seeded
from simulations.measuring.measurement import measure
from simulations.ranking.definition import Arm
from simulations.ranking.groups import Group
from simulations.ranking.scene import Scene

STATES = ("raw", "fitted", "sharpened")
"""As they are; at the temperature fitted for likelihood; at the one fitted for distance."""


def cell(scene: Scene, group: Group, arm: Arm, experiment: Experiment) -> dict[str, Any]:
    """What is kept of one arm.

    Args:
        scene: the group's run.
        group: of the arm.
        arm: one of them.
        experiment: of the arm, without its seed.

    Returns:
        ``raw``, ``fitted`` and ``sharpened`` metrics, ``bytes`` per client, up and down, or
        None, ``seconds``; of an arm that cannot be trained ``refused``, the reason.
    """
    try:
        if arm.human:
            return _human(scene.world.exam)
        if arm.yardstick is not None:
            return _yardstick(scene, arm)
        if group.replayed:
            return _replayed(scene, seeded(experiment, scene.world.experiment.seed))
    except ConfigError as error:
        return {"refused": str(error)}
    return _own(scene, experiment)


def check(scene: Scene, group: Group) -> None:
    """The same code on the same predictions gives the same student, or something is wrong.

    Raises:
        CheckFailed: the run's own arm, replayed, gives another student than the run.
    """
    if not group.replayed:
        return
    base = scene.world.experiment
    student = scene.replay(base).learn(_recipe(base))
    if fingerprint(student) != scene.outcome["student_sha256"]:
        raise CheckFailed(
            f"{scene.world.folder}: the run's own arm gives another student than the run itself; "
            "delete the folder if the program or the machine has changed"
        )


def _human(exam: Examination) -> dict[str, Any]:
    found = exam.one_rater()
    if found is None:
        return {"refused": "the data set has no raters"}
    return {"raw": found, "fitted": {}, "sharpened": {}, "bytes": None, "seconds": None}


def _yardstick(scene: Scene, arm: Arm) -> dict[str, Any]:
    assert arm.yardstick is not None
    found = measure(arm.yardstick, scene.world, lambda phase, done, total: None)
    traffic = found["traffic"]
    both = ("bytes_up_per_client", "bytes_down_per_client")
    return {
        "raw": found["raw"],
        "fitted": found["fitted"],
        "sharpened": {},
        "bytes": traffic and sum(traffic[key] for key in both),
        "seconds": found["seconds"],
    }


def _replayed(scene: Scene, experiment: Experiment) -> dict[str, Any]:
    started = time.monotonic()
    replay = scene.replay(experiment)
    student = replay.learn(_recipe(experiment))
    learned = time.monotonic() - started
    clients = scene.seconds - scene.outcome["seconds"].get("distil", 0.0)
    told = {"bytes": scene.bytes_per_client(experiment), "seconds": round(clients + learned, 3)}
    return replay.grade(student) | told


def _own(scene: Scene, experiment: Experiment) -> dict[str, Any]:
    world = scene.world
    student, exam = world.distilled(), world.exam
    probs = predict(student, exam.inputs)
    raw = exam.grade(probs, predict(student, exam.slice_inputs))
    made: dict[str, Any] = {"student": scene.outcome["student_sha256"], "raw": raw}
    for state, key in (("fitted", "temperature"), ("sharpened", "sharpening_temperature")):
        temperature = raw[key]
        made[state] = {} if temperature is None else exam.warmed(probs, temperature)
    told = {"bytes": scene.bytes_per_client(experiment), "seconds": round(scene.seconds, 3)}
    return made | told


def _recipe(experiment: Experiment) -> Recipe:
    server = experiment.server
    return Recipe(server.loss, server.weighting, server.aggregator, server.geometry)
