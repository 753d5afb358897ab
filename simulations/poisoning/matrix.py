"""``fedknot poison``: every lie against every rule, on the same predictions of one seed.

For each seed one honest base run makes the predictions. Then some clients' answers are replaced,
and a student learns from what the server hears, through the same code as in a run.
"""

import hashlib
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from common.configure import dump, kind_of
from common.failures import CheckFailed, ConfigError
from common.files import full_disk_is_a_failure, write_json, write_text
from common.records import Layout
from common.terms import Terms
from server.weightings import normalised
from simulations.comparing.arms import Arm
from simulations.comparing.comparison import arm_row
from simulations.comparing.notebook import Notebook, claimed
from simulations.comparing.replay import Replay, open_replay
from simulations.events import Progress
from simulations.experiment import Experiment
from simulations.finished import finished_run, one_thread, seeded
from simulations.folder import summary_of
from simulations.poisoning.asked import Call, Case, Plan, plan
from simulations.poisoning.files import results_csv
from simulations.poisoning.lies import Federation, Heard, attackers, heard
from simulations.poisoning.report import write_poison_report
from simulations.poisoning.table import Rows, tabulate

_ROWS = "lies.jsonl"


@dataclass(frozen=True, eq=False)
class Stage:
    """One seed's honest answers.

    Attributes:
        replay: what was said, and the exam.
        layout: of a record.
        seed: of the run.
    """

    replay: Replay
    layout: Layout
    seed: int

    def with_lies(self, case: Case) -> tuple[Replay, Heard | None]:
        """The same with some answers replaced; as it is if nobody lies."""
        said, experiment = self.replay, self.replay.experiment
        if case.poison is None:
            return said, None
        clients = experiment.data.num_clients
        liars = attackers(clients, case.attackers, self.seed)
        liars = np.intersect1d(liars, said.ensemble.clients)  # who is absent says nothing
        if len(liars) == len(said.ensemble.clients):
            raise ConfigError(
                f"seed {self.seed}: with {case.attackers} attackers nobody honest answered; write "
                "smaller --shares"
            )
        run = Federation(self.layout, said.exam.geometry, clients, self.seed)
        made = heard(said.ensemble, case.poison, liars, run)
        grown = replace(experiment, data=replace(experiment.data, num_clients=made.num_clients))
        return Replay(grown, made.ensemble, said.room, said.exam), made


def poison(call: Call, out: Path | None, progress: Progress) -> Path:
    """Try what is not finished in the folder; write ``poison.json``, table and report.

    Args:
        call: what is tried.
        out: a new or empty folder, or one of the same experiment, which is continued, also
            with more lies, rules, shares or seeds; None for a new one under ``runs/``.
        progress: told ("poison", students done, students in all).

    Returns:
        The folder.

    Raises:
        ConfigError: what :func:`simulations.poisoning.asked.plan` refuses, or a seed on which
            nobody but attackers answered.
        FolderError: the folder holds something else.
        CheckFailed: with nobody lying, the base run's own rule gave another student.
    """
    made = plan(call)
    folder = (out or _default(call.name)).absolute()
    with claimed(folder), full_disk_is_a_failure(), one_thread():
        notebook = Notebook(folder, made.base, _ROWS)
        rows = _run(call, made, notebook, progress)
        table = tabulate(call.name, made, call.seeds, rows)
        write_text(folder / "results.csv", results_csv(table))
        write_poison_report(folder, table)
        write_json(folder / "poison.json", table)
    return folder


def _run(call: Call, made: Plan, notebook: Notebook, progress: Progress) -> Rows:
    rows: Rows = {}
    total = len(call.seeds) * len(made.cases) * len(made.arms)
    progress("poison", 0, total)
    for seed in call.seeds:
        experiment = seeded(made.base, seed)
        home = finished_run(
            experiment, call.name, notebook.folder / "seeds" / str(seed), call.backend
        )
        stage: Stage | None = None
        for case in made.cases:
            keys = {arm: _key(arm, case, experiment) for arm in made.arms}
            if any(key not in notebook for key in keys.values()):
                stage = stage or _open(home, experiment)
                _learn(stage, case, keys, notebook)
            for arm, key in keys.items():
                rows[arm, case, seed] = notebook[key]
                _check(home, made.base, arm, case, notebook[key])
            progress("poison", len(rows), total)
    return rows


def _open(home: Path, experiment: Experiment) -> Stage:
    layout = Terms.read(home / "terms.json").layout
    return Stage(open_replay(home, experiment), layout, experiment.seed)


def _learn(stage: Stage, case: Case, keys: dict[Arm, str], notebook: Notebook) -> None:
    """All arms of a case that are not yet known."""
    replay, lies = stage.with_lies(case)
    about = {"seed": stage.seed, "poison": _dumped(case), "attackers": case.attackers}
    for arm, key in keys.items():
        if key not in notebook:
            bought = None if lies is None else bought_weight(arm, lies)
            row = arm_row(replay, arm)
            notebook.add({"key": key, **about, "weight": bought, **row})


def bought_weight(arm: Arm, lies: Heard) -> float | None:
    """The share of all weight that goes to the liars, mean over the texts, in [0, 1].

    None where it hangs on labels that only the server knows.
    """
    weighting = arm.weighting
    if "labels" in weighting.needs:
        return None
    weights = normalised(weighting.weigh(lies.ensemble, weighting.start(lies.num_clients)))
    return float(weights[np.isin(lies.ensemble.clients, lies.liars)].sum(axis=0).mean())


def _dumped(case: Case) -> dict[str, Any] | None:
    return None if case.poison is None else {"kind": kind_of(case.poison)} | dump(case.poison)


def _key(arm: Arm, case: Case, experiment: Experiment) -> str:
    """SHA-256, in hexadecimal, of an arm on what is heard in one case of one run."""
    own = arm.key(experiment.run_id, experiment.seed)
    table = {"arm": own, "poison": _dumped(case), "attackers": case.attackers}
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def _check(home: Path, base: Experiment, arm: Arm, case: Case, row: dict[str, Any]) -> None:
    """With nobody lying, the run's own rule gives the run's own student."""
    server = base.server
    own = Arm(server.loss, server.weighting, server.aggregator, server.geometry).bare()
    told = row.get("student") if case.poison is None and arm == own else None
    if told is not None and told != summary_of(home)["hashes"]["student"]:
        raise CheckFailed(
            f"{home}: with nobody lying, the run's own rule gives another student than the run "
            f"itself; delete it and {_ROWS} if the program or the machine has changed"
        )


def _default(name: str) -> Path:
    return Path("runs") / f"poison-{Path(name).stem}-{time.strftime('%Y%m%d-%H%M%S')}"
