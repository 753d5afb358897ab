"""What the student of a finished cell scores: raw, and at its temperature fitted for likelihood."""

import hashlib
import json
from pathlib import Path
from typing import Any

from common.files import read_json
from common.terms import Terms
from server.archive import open_student
from server.distil import predict
from simulations.events import silent
from simulations.examination import open_examination
from simulations.experiment import Experiment
from simulations.folder import summary_of
from simulations.identity import PRIVATE
from simulations.redivided import divide_again


def grade(folder: Path, experiment: Experiment) -> dict[str, Any]:
    """``figures.json`` of a complete run folder.

    Returns:
        ``raw`` as the run itself measured; ``fitted``: the same metrics at the temperature
        of ``raw``, without those that belong to a temperature; ``seconds`` of the run; and
        ``program``, by which cells of other versions of the program are told apart.
    """
    summary = summary_of(folder)
    raw = summary["student"]
    return {
        "raw": raw,
        "fitted": _fitted(folder, experiment, raw["temperature"]),
        "seconds": summary["seconds"]["total"],
        "student": summary["hashes"]["student"],
        "program": program(folder),
    }


def program(folder: Path) -> str:
    """16 hex digits; the same for runs by the same program on the same system."""
    kept = json.dumps(read_json(folder / PRIVATE / "identity.json")["program"], sort_keys=True)
    return hashlib.sha256(kept.encode()).hexdigest()[:16]


def _fitted(folder: Path, experiment: Experiment, temperature: float | None) -> dict[str, float]:
    if temperature is None:
        return {}
    terms = Terms.read(folder / "terms.json")
    exam = open_examination(folder, terms, *divide_again(folder, experiment), silent)
    return exam.warmed(predict(open_student(folder), exam.inputs), temperature)
