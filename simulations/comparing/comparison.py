"""``fedknot compare``: one set of predictions per seed, and every arm on it.

For each seed one base run makes the predictions; all arms of that seed distil from what it
released. The arm that does what the base run did must give the same student, bit for bit,
or nothing is reported.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.configure import dump, kind_of, load
from common.failures import CheckFailed, ConfigError
from common.files import full_disk_is_a_failure, write_json, write_text
from common.seeds import stream
from simulations.comparing.arms import Arm
from simulations.comparing.choices import Asked, Choices, choose
from simulations.comparing.files import results_csv, write_parquet
from simulations.comparing.lineup import Entry, line_up
from simulations.comparing.notebook import Notebook, claimed
from simulations.comparing.replay import Replay, open_replay
from simulations.comparing.report import write_compare_report
from simulations.comparing.standings import standings
from simulations.events import Progress
from simulations.experiment import Experiment
from simulations.finished import finished_run, one_thread, seeded
from simulations.folder import summary_of
from simulations.runner import Backend


@dataclass(frozen=True)
class Call:
    """How a comparison was called.

    Attributes:
        experiment: whose predictions are compared on; its seed is not used.
        name: under which it is reported.
        asked: what is varied.
        seeds: one base run each.
        backend: of the base runs.
    """

    experiment: Experiment
    name: str
    asked: Asked
    seeds: tuple[int, ...]
    backend: Backend


def compare(call: Call, out: Path | None, progress: Progress) -> Path:
    """Run what is not finished in the folder; write ``compare.json``, tables and report.

    Args:
        call: what is compared.
        out: a new or empty folder, or one of the same comparison, which is continued, also
            with more arms or seeds; None for a new one under ``runs/``.
        progress: told ("compare", arms done, arms in all).

    Returns:
        The folder.

    Raises:
        ConfigError: unknown kinds, or arms that the labels cannot serve.
        FolderError: the folder holds something else.
        CheckFailed: the base run's own arm gave another student than the run.
    """
    choices = choose(call.asked, call.experiment)
    base, notes = base_of(call.experiment, choices)
    labels = base.data.dataset.load(stream(call.seeds[0], "data")).geometry
    server = base.server
    own = Arm(server.loss, server.weighting, server.aggregator, server.geometry)
    entries, left_out = line_up(choices, own, labels)
    folder = (out or _default(call.name)).absolute()
    with claimed(folder), full_disk_is_a_failure(), one_thread():
        notebook = Notebook(folder, base)
        _run(call, base, entries, notebook, progress)
        told = [*choices.notes, *left_out, *notes]
        made = standings(call.name, base, call.seeds, entries, _rows(base, call, entries, notebook))
        made |= {"notes": told, "bounds": _bounds(folder, call.seeds)}
        _write(folder, made)
    return folder


def read_seeds(text: str) -> tuple[int, ...]:
    """Seeds as they are typed, ``0,1,2``.

    Raises:
        ConfigError: they are not different whole numbers from 0.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not all(word.isdecimal() for word in words) or len(set(words)) < len(words):
        raise ConfigError(f"--seeds must be different whole numbers, got {text!r}; write 0,1,2")
    return tuple(map(int, words))


def base_of(experiment: Experiment, choices: Choices) -> tuple[Experiment, list[str]]:
    """The experiment whose predictions serve every arm, and what had to be changed for it.

    One round, because a second would ask the same teachers the same questions and train the
    arm's student further, and then no two arms would learn from the same thing; and a weighting
    that has the bias cross, where any arm needs it.

    Raises:
        ConfigError: there are no predictions of single clients.
    """
    if experiment.wire.secure_sum:
        raise ConfigError(
            "compare learns from every client's predictions, and a secure sum hides them; write "
            '--set "wire.secure_sum = false"'
        )
    table, notes = dump(experiment), []
    if experiment.num_rounds > 1:
        table["num_rounds"] = 1
        notes.append(f"one round instead of {experiment.num_rounds}: arms differ in one thing only")
    if table["server"].pop("cache", None) is not None:
        notes.append("no server.cache: in one round all texts are asked about")
    if table["server"].pop("hiding", None) is not None:
        notes.append("no server.hiding: arms learn from what clients say, without noise")
    wanting = [w for w in choices.weightings if "bias" in w.needs]
    if wanting and "bias" not in experiment.server.weighting.needs:
        table["server"]["weighting"] = {"kind": kind_of(wanting[0])} | dump(wanting[0])
        notes.append(f"base runs weigh by {kind_of(wanting[0])}, for an arm needs the bias")
    return load(Experiment, table), notes


def _run(
    call: Call, base: Experiment, entries: list[Entry], notebook: Notebook, progress: Progress
) -> None:
    served = [entry.arm for entry in entries if entry.refused is None]
    served.sort(key=lambda arm: not _is_own(arm, base))  # the check comes first
    total, done = len(call.seeds) * len(served), 0
    progress("compare", done, total)
    for seed in call.seeds:
        experiment = seeded(base, seed)
        home = notebook.folder / "seeds" / str(seed)
        home = finished_run(experiment, call.name, home, call.backend)
        replay: Replay | None = None
        for arm in served:
            key = arm.key(experiment.run_id, seed)
            if key not in notebook:
                replay = replay or open_replay(home, experiment)
                notebook.add({"key": key, "seed": seed, **arm_row(replay, arm)})
            if _is_own(arm, base):
                _check(home, seed, notebook[key])
            done += 1
            progress("compare", done, total)


def arm_row(replay: Replay, arm: Arm) -> dict[str, Any]:
    """What is kept of one arm; a loss that cannot learn is kept with the reason."""
    started = time.monotonic()
    try:
        found = replay.grade(replay.learn(arm))
    except ConfigError as error:
        found = {"refused": str(error)}
    return {"arm": arm.settings, **found, "seconds": round(time.monotonic() - started, 3)}


def _check(home: Path, seed: int, row: dict[str, Any]) -> None:
    """The same code on the same predictions gives the same student, or something is wrong."""
    if row.get("student") != summary_of(home)["hashes"]["student"]:
        raise CheckFailed(
            f"seed {seed}: the run's own arm gives another student than the run itself; "
            f"delete {home} and arms.jsonl if the program or the machine has changed"
        )


def _rows(
    base: Experiment, call: Call, entries: list[Entry], notebook: Notebook
) -> dict[tuple[Arm, int], dict[str, Any]]:
    runs = {seed: seeded(base, seed).run_id for seed in call.seeds}
    served = [entry.arm for entry in entries if entry.refused is None]
    return {(arm, seed): notebook[arm.key(runs[seed], seed)] for arm in served for seed in runs}


def _bounds(folder: Path, seeds: Sequence[int]) -> dict[str, Any] | None:
    """The base runs' yardsticks by seed, where the experiment asks for them."""
    found = {str(seed): summary_of(folder / "seeds" / str(seed))["bounds"] for seed in seeds}
    return found if all(found.values()) else None


def _write(folder: Path, made: dict[str, Any]) -> None:
    write_text(folder / "results.csv", results_csv(made))
    write_parquet(folder)
    write_compare_report(folder, made)
    write_json(folder / "compare.json", made)


def _is_own(arm: Arm, base: Experiment) -> bool:
    server = base.server
    return arm == Arm(server.loss, server.weighting, server.aggregator, server.geometry).bare()


def _default(name: str) -> Path:
    return Path("runs") / f"compare-{Path(name).stem}-{time.strftime('%Y%m%d-%H%M%S')}"
