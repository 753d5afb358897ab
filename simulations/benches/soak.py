"""``fedknot bench soak``: a run is killed again and again, and must end as if nothing had been."""

import secrets
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, Final

from common.failures import CheckFailed, Failure, FolderError
from common.files import write_json
from simulations.benches._command import COMMAND
from simulations.benches._place import Calm, Place, Plan
from simulations.benches._processes import end
from simulations.benches._storm import Run
from simulations.benches._strikes import Marksman
from simulations.benches._traces import STAGES, trace
from simulations.events import Progress

_CALM_SECONDS: Final = 3600.0
_MOST_FAILURES: Final = 10
"""After so many runs that were not as promised there is nothing more to learn."""


def soak(
    plan: Plan,
    out: Path | None,
    report: Progress,
    say: Callable[[str], None],
    command: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Kill runs of the small world at random moments, and compare what comes of them.

    Every kill is a SIGKILL, at a moment that is uniform over the time for which the undisturbed
    run is at work: of the command, of one of its parts, or of a Ray worker. What ended is gone
    on with by ``--resume``; what is complete is compared, and the next run begins.

    Args:
        plan: how often, and what.
        out: a new or empty folder; None for one under ``runs/``. Runs that were as promised are
            removed from it; all others stay, with their logs.
        report: told ("kills", spent, all).
        say: told a line after every run.
        command: how ``fedknot`` is called; None for :data:`COMMAND`.

    Returns:
        Plain numbers, strings, lists and dicts; ``findings`` is empty if all is well. The same
        is in ``soak.json`` in the folder.

    Raises:
        FolderError: the folder is not empty.
        Failure: the undisturbed run fails.
    """
    started = time.monotonic()
    place = Place(_made(out, plan), secrets.token_hex(8), command or COMMAND, plan)
    marksman, runs = Marksman(plan.kills, plan.backend, plan.seed), list[Run]()
    try:
        calm = _undisturbed(place)
        say(f"undisturbed: {calm.seconds:.1f} s, of which {calm.working:.1f} s at work")
        while marksman.left and sum(bool(run.findings) for run in runs) < _MOST_FAILURES:
            report("kills", plan.kills - marksman.left, plan.kills)
            run = Run(place.home / f"run-{len(runs) + 1}", place, calm)
            runs.append(run)
            run.weather(marksman)
            say(_told(run))
            _tidy(run)
        report("kills", plan.kills - marksman.left, plan.kills)
    finally:
        end(place.token)
    made = _result(plan, calm, runs, marksman, time.monotonic() - started)
    write_json(place.home / "soak.json", made)
    return made | {"folder": str(place.home)}


def check(made: dict[str, Any]) -> None:
    """Pass if every run was as promised, and every kill was spent.

    Raises:
        CheckFailed: something differs.
    """
    if made["findings"]:
        first = made["findings"][0]
        raise CheckFailed(
            f"{len(made['findings'])} of {made['runs']} runs were not as promised; the first, "
            f"run {first['run']}: {first['what'][0]}"
        )


def lines(made: dict[str, Any]) -> list[str]:
    """The same for a person."""
    plan, over = made["plan"], made["overhead"]
    shown = [
        "{kills} kills over runs of {rounds} rounds x {clients} clients, {backend}, "
        "seed {seed}".format(**plan),
        f"  by kind     {_counts(made['kills'])}",
        f"  by stage    {_counts(made['stages'])}",
        f"  runs        {made['runs']} ({made['complete']} complete), {made['resumes']} resumes, "
        f"{made['missed']} times the run was faster than the kill",
        f"  exit codes  {_counts(made['exits'])}",
        f"  seconds     undisturbed {made['undisturbed_seconds']:.1f}, all {made['seconds']:.0f}",
        f"  per kill    median {_seconds(over['median'])}, worst {_seconds(over['worst'])} more",
    ]
    for found in made["findings"]:
        shown += [f"run {found['run']} ({found['folder']}; {_kills(found['kills'])}):"]
        shown += [f"  {what}" for what in found["what"]]
    if not made["findings"]:
        shown.append("every run ended with the same bits, and left nothing behind")
    return shown


def _made(out: Path | None, plan: Plan) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    home = out or Path("runs") / f"soak-{plan.seed}-{stamp}"
    if home.is_dir() and any(home.iterdir()):
        raise FolderError(f"{home} exists and is not empty; give another --out")
    home.mkdir(parents=True, exist_ok=True)
    return home.resolve()


def _undisturbed(place: Place) -> Calm:
    folder = place.home / "undisturbed"
    command = place.start(folder)
    command.await_work(_CALM_SECONDS)
    begun = command.seconds
    if not command.wait(_CALM_SECONDS) or command.process.returncode != 0:
        raise Failure(f"the undisturbed run fails: {command.last_words()}")
    return Calm(command.seconds, command.seconds - begun, trace(folder))


def _tidy(run: Run) -> None:
    """Keep the evidence, and only that."""
    if run.findings:
        write_json(run.folder.with_suffix(".json"), _finding(run))
    else:
        shutil.rmtree(run.folder)
        run.folder.with_suffix(".log").unlink()


def _result(
    plan: Plan, calm: Calm, runs: list[Run], marksman: Marksman, seconds: float
) -> dict[str, Any]:
    extra = [_overhead(run) for run in runs if run.complete and run.kills]
    stages = {name: marksman.stages[name] for name in STAGES if marksman.stages[name]}
    exits = Counter("hung" if code is None else str(code) for run in runs for code in run.exits)
    return {
        "schema": 1,
        "plan": asdict(plan),
        "kills": dict(marksman.spent.most_common()),
        "stages": stages,
        "missed": marksman.missed,
        "runs": len(runs),
        "complete": sum(run.complete for run in runs),
        "resumes": sum(len(run.exits) - 1 for run in runs),
        "exits": dict(exits.most_common()),
        "undisturbed_seconds": round(calm.seconds, 2),
        "seconds": round(seconds, 1),
        "overhead": {
            "median": round(median(extra), 2) if extra else None,
            "worst": round(max(extra), 2) if extra else None,
        },
        "findings": [_finding(run) for run in runs if run.findings],
    }


def _finding(run: Run) -> dict[str, Any]:
    return {
        "run": int(run.folder.name.removeprefix("run-")),
        "folder": str(run.folder),
        "what": run.findings,
        "kills": [asdict(kill) for kill in run.kills],
        "exits": run.exits,
    }


def _overhead(run: Run) -> float:
    """Seconds that a kill cost, on the mean of the run: work done again, and starting again."""
    return (run.seconds - run.calm.seconds) / len(run.kills)


def _told(run: Run) -> str:
    """A line about one run."""
    how = "NOT AS PROMISED" if run.findings else "equal"
    kills = _kills([asdict(kill) for kill in run.kills])
    return f"{run.folder.name}: {how}, {run.seconds:.1f} s, {kills}"


def _kills(kills: list[dict[str, Any]]) -> str:
    told = [f"{k['kind']} in {k['stage']} after {k['after']:.1f} s" for k in kills]
    return f"killed: {', '.join(told)}" if told else "nothing killed"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
