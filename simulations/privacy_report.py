"""``privacy.json`` and ``fedknot privacy``: what crossed, what is promised, what was measured.

What crossed is counted in the audit logs, and what was spent in the clients' ledgers; only how
things are named comes from the terms. Promise and measurement are kept apart, for neither stands
for the other, and "none" is said out loud.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from clients.budget import spent
from clients.mechanisms import Spending
from common.failures import FolderError
from common.files import read_json
from common.gaussian_dp import composed
from server.draws import Draw
from simulations.attack_findings import told
from simulations.experiment import Experiment
from simulations.experiment_file import read
from simulations.folder import refuse_later, summary_of
from simulations.guarantee import drawn, gaussian_mu, guarantee, taught_by
from simulations.limits import limits
from simulations.what_crossed import crossed

SCHEMA = 1
UNMEASURED = "not measured: type fedknot attack DIR"
_UNCOVERED = (
    "how many examples a client has",
    "who answers, and when",
    "settings that were chosen by looking at private data",
    "one person's examples at several clients",
    "the encoder and the transfer texts, which are public",
)
_OUTSIDE = (
    "the server itself, which sees every answer",
    "the rest of this folder: answers, the key of the noise, logs, tables, pictures and every "
    "figure about single clients, teachers or their ensemble; covered are the student and what "
    "clients are told back",
    "who takes part, who answers, and when",
    "settings that were chosen by looking at private data",
    "one person's examples at several clients",
    "the encoder and the transfer texts, which are public",
)


def privacy_report(folder: Path, summary: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``privacy.json``.

    Args:
        folder: the run folder, served.
        summary: what ``summary.json`` holds or will hold.

    Returns:
        ``crossed`` (:func:`simulations.what_crossed.crossed`), ``guarantee``, ``measured`` (of
        ``attack.json``, if it lies there: :func:`simulations.attack_findings.told`), ``cost`` and
        ``limits`` (:func:`simulations.limits.limits`).
    """
    experiment = read(str(folder / "experiment.toml"))
    promised, found = _promised(folder, experiment), measured(folder)
    return {
        "schema": SCHEMA,
        "status": summary["status"],
        "crossed": crossed(folder, accounted=_covers_answers(experiment, promised)),
        "guarantee": promised,
        "measured": found,
        "cost": _cost(summary) | without_protection(found),
        "limits": limits(folder, summary),
    }


def of_folder(folder: Path) -> dict[str, Any]:
    """The report of a finished run, made anew from what lies there; nothing is written.

    Raises:
        FolderError: it is no run folder, one of a later version, or the run is not complete.
    """
    refuse_later(folder)
    summary = summary_of(folder)
    if summary["status"] != "complete":
        raise FolderError(f"{folder} holds a run that is {summary['status']}; resume it first")
    return privacy_report(folder, summary)


def measured(folder: Path) -> dict[str, Any]:
    """What attacks on this run found, if anybody tried; it is no bound on what others find."""
    path = folder / "attack.json"
    if not path.exists():
        return {"attacked": False, "say": UNMEASURED}
    try:
        return told(read_json(path))
    except (ValueError, KeyError, TypeError, AttributeError) as damage:
        raise FolderError(f"{path} is damaged; type fedknot attack anew") from damage


def without_protection(found: Mapping[str, Any]) -> dict[str, float | None]:
    """For the section "cost": the student's accuracy where nothing protects, if that is known."""
    return {"without_protection": found.get("without_protection")}


def _covers_answers(experiment: Experiment, promised: Mapping[str, Any]) -> bool:
    """Whether answers are covered when they cross; noise of the server comes after that."""
    return promised["epsilon"] is not None and experiment.server.hiding is None


def _hidden(draws: Sequence[Draw]) -> dict[str, Any]:
    """What the promise of a trusted server rests on."""
    return {
        "trainings": len(draws),
        "counted": "noised sum",
        "mu": round(composed([draw.mu for draw in draws]), 6),
        "accountant": "closed form of Gaussian differential privacy",
        "spent": [
            f"round {draw.round}: {draw.clients} clients on {draw.rows} texts, sigma "
            f"{draw.sigma:.4g} on the sum"
            for draw in draws
        ],
        "noise": "the operating system",
        "not_covered": list(_OUTSIDE),
    }


def _promised(folder: Path, experiment: Experiment) -> dict[str, Any]:
    """The ``privacy`` of the summary, and from the ledgers what it rests on."""
    made = guarantee(folder, experiment)
    mechanism = experiment.clients.mechanism
    if experiment.server.hiding is not None and made["epsilon"] is not None:
        return made | _hidden(drawn(folder))
    if mechanism is None or made["epsilon"] is None:
        return made | {"trainings": 0, "mu": None, "accountant": None, "spent": []}
    ledgers = [spent(store) for store in taught_by(folder, experiment)]
    worst = max(ledgers, key=mechanism.epsilon, default=[])
    return made | {
        "trainings": len(worst),
        "mu": _mu(worst),
        "accountant": _accountant(worst),
        "spent": [_told(one) for one in worst],
        "noise": _noise(worst),
        "not_covered": list(_UNCOVERED),
    }


def _whole(ledger: Sequence[Spending]) -> bool:
    return all(one.sampling == 1 for one in ledger)


def _mu(ledger: Sequence[Spending]) -> float | None:
    """Of Gaussian privacy; None where samples were drawn, which is not exactly Gaussian."""
    mu = gaussian_mu(ledger)
    return None if mu is None else round(mu, 6)


def _noise(ledger: Sequence[Spending]) -> str:
    private = all(one.private for one in ledger)
    return "the operating system" if private else "seeded: NOT PRIVATE"


def _accountant(ledger: Sequence[Spending]) -> str:
    if _whole(ledger):
        return "closed form of Gaussian differential privacy"
    return f"dp-accounting {version('dp-accounting')}, privacy loss distributions"


def _told(one: Spending) -> str:
    part = "" if one.sampling == 1 else f" on samples of {one.sampling:g}"
    return f"{one.steps} noised sums{part}, noise multiplier {one.noise_multiplier:.4g}"


def _cost(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The student's accuracy beside what it could have been; null where that was not measured."""
    bounds = summary.get("bounds") or {}
    alone = [t["accuracy"] for t in bounds.get("teachers", []) if t is not None]
    return {
        "student": _accuracy(summary.get("student")),
        "mean_teacher": sum(alone) / len(alone) if alone else None,
        "ensemble": _accuracy(bounds.get("ensemble")),
        "centralised": _accuracy(bounds.get("centralised")),
    }


def _accuracy(metrics: Mapping[str, Any] | None) -> float | None:
    return None if metrics is None else float(metrics["accuracy"])
