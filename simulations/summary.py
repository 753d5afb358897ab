"""``summary.json``: the figures of a run, and a dozen lines of them that a person reads."""

from pathlib import Path
from typing import Any

from common.faults import stamped
from common.files import read_json, write_json
from simulations.experiment import Experiment
from simulations.guarantee import NONE, guarantee
from simulations.personal import line

PHASES = (
    "start",
    "encode",
    "teachers",
    "refine",
    "predict",
    "aggregate",
    "distil",
    "evaluate",
    "total",
)


def complete(
    folder: Path,
    experiment: Experiment,
    student: dict[str, Any],
    bounds: dict[str, Any] | None,
    call: dict[str, Any],
    intervals: dict[str, Any],
) -> dict[str, Any]:
    """The summary of a run that has ended well, but for the seconds of what is going on.

    Args:
        folder: the run folder; the server's outcome is read from it.
        experiment: as resolved.
        student: its metrics on the test rows.
        bounds: teachers, ensemble, centralised and perhaps the optimum, or None.
        call: how the run was called.
        intervals: of the student's and the bounds' metrics, over test samples.
    """
    served = read_json(folder / "checkpoint" / "server.json")
    outside = folder / "checkpoint" / "outside.json"
    watched = read_json(outside) if outside.exists() else {}
    seconds = dict.fromkeys(set(PHASES) - {"refine"}, 0.0) | served["seconds"]
    for phase, more in watched.get("seconds", {}).items():
        seconds[phase] += more
    return _frame(experiment, call) | {
        "status": "complete",
        "faults": stamped(folder),
        "privacy": guarantee(folder, experiment),
        "isolated": served["isolated"],
        "student": student,
        "bounds": bounds,
        "intervals": intervals,
        "wire": _wire(experiment, served),
        "seconds": {phase: round(seconds[phase], 3) for phase in _phases(seconds)},
        "memory": {
            "driver_peak_mb": served["driver_peak_mb"],
            "worker_peak_mb": watched.get("worker_peak_mb", served["driver_peak_mb"]),
        },
        "clients": served["clients"],
        "hashes": {
            "student": served["student_sha256"],
            "predictions": served["predictions_sha256"],
            "transfer_set": read_json(folder / "terms.json")["transfer_sha256"],
        },
    }


def broken(folder: Path, experiment: Experiment, call: dict[str, Any], status: str) -> None:
    """Write the summary of a run that was interrupted or failed: null figures."""
    made = _frame(experiment, call) | {
        "status": status,
        "faults": stamped(folder),
        "isolated": None,
        "student": None,
        "bounds": None,
        "intervals": None,
        "wire": None,
        "seconds": None,
        "memory": None,
        "clients": None,
        "hashes": None,
    }
    write_json(folder / "summary.json", made)


def lines(summary: dict[str, Any], folder: Path) -> list[str]:
    """At most 17 lines for a person."""
    return _warning(summary) + _told(summary, folder)


def _warning(summary: dict[str, Any]) -> list[str]:
    told = "FAULTS WERE INJECTED: this run is a test of failures, its figures stand for nothing"
    return [told] if summary.get("faults") else []


def _told(summary: dict[str, Any], folder: Path) -> list[str]:
    if summary["status"] != "complete":
        return [f"{summary['experiment']}: {summary['status']}; what there is, is in {folder}"]
    head = "{experiment} with seed {seed}: {num_clients} clients, {rounds} round(s)"
    made = [head.format(**summary), ""]
    made.append(f"{'':24}accuracy  macro-F1  sem. distance  at fitted T    ECE")
    made += [_row(name, metrics) for name, metrics in _rows(summary)]
    made += _spread(summary.get("intervals") or {})
    wire, seconds, memory = summary["wire"], summary["seconds"], summary["memory"]
    ratio = wire["fedavg_bytes_per_client"] / max(wire["bytes_up_per_client"], 1)
    took = ", ".join(f"{p} {seconds[p]:.1f}" for p in _phases(seconds)[:-1])
    own = [line(summary["personal"])] if summary.get("personal") else []
    return [
        *made,
        *own,
        "",
        f"sent up per client: {wire['bytes_up_per_client']:,} bytes of predictions "
        f"(FedAvg of the same student: {wire['fedavg_bytes_per_client']:,}, {ratio:.0f}x)",
        f"privacy guarantee: {_guarantee(summary['privacy'])}; "
        f"processes isolated: {'yes' if summary['isolated'] else 'no'}",
        f"seconds: {took}; total {seconds['total']:.1f}",
        f"memory: driver {memory['driver_peak_mb']:.0f} MB, worker {_mb(memory)}",
        f"report: {folder / 'report.html'}",
    ]


def _guarantee(privacy: dict[str, Any]) -> str:
    if privacy["epsilon"] is None:
        return str(privacy["guarantee"])
    noise = f", {privacy['noise']}" if "noise" in privacy else ""
    cost = f"epsilon {privacy['epsilon']:.3g} at delta {privacy['delta']:g}"
    return f"{privacy['guarantee']}, {cost}{noise}"


def _phases(seconds: dict[str, float]) -> tuple[str, ...]:
    """The phases in their order; runs without a feedback have no refinement."""
    return tuple(p for p in PHASES if p in seconds or p != "refine")


def _spread(intervals: dict[str, Any]) -> list[str]:
    """One line, where there are intervals at all."""
    student = intervals.get("student") or {}
    named = (("accuracy", "accuracy"), ("semantic_distance", "sem. distance"))
    told = [
        f"{title} {student[key][0]:.3f} to {student[key][1]:.3f}"
        for key, title in named
        if student.get(key)
    ]
    head = f"student, {100 * intervals.get('level', 0.95):g} % over test samples, not seeds: "
    return [head + ", ".join(told)] if told else []


def _mb(memory: dict[str, Any]) -> str:
    worker = memory["worker_peak_mb"]
    return "not watched" if worker is None else f"{worker:.0f} MB"


def _rows(summary: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    rows = [("student", summary["student"])]
    bounds = summary["bounds"]
    if bounds is None:
        return rows
    teachers = [t for t in bounds["teachers"] if t is not None]
    best = max(teachers, key=lambda t: float(t["accuracy"]))
    known = [k for k in best if all(t[k] is not None for t in teachers)]
    mean = {k: sum(t[k] for t in teachers) / len(teachers) for k in known}
    optimum = [("Bayes optimum", bounds["bayes"])] if bounds.get("bayes") else []
    return [
        *rows,
        ("best teacher", best),
        ("mean teacher", mean),
        ("ensemble at test time", bounds["ensemble"]),
        ("centralised bound", bounds["centralised"]),
        *optimum,
    ]


def _row(name: str, m: dict[str, Any]) -> str:
    fitted = m["semantic_distance_at_temperature"]
    return (
        f"{name:24}{m['accuracy']:8.3f}{m['macro_f1']:10.3f}{m['semantic_distance']:15.3f}"
        f"{fitted:13.3f}{m['ece']:7.3f}"
    )


def _frame(experiment: Experiment, call: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema": 1,
        "status": "failed",
        "experiment": call["experiment"],
        "seed": experiment.seed,
        "num_clients": experiment.data.num_clients,
        "rounds": experiment.num_rounds,
        "backend": call["backend"],
        "privacy": dict(NONE),
    }


def _wire(experiment: Experiment, served: dict[str, Any]) -> dict[str, Any]:
    senders = max(served["senders"], 1)
    return {
        "bytes_up": served["bytes_up"],
        "envelope_up": served["envelope_up"],
        "bytes_down": served["bytes_down"],
        "bytes_up_per_client": round(served["bytes_up"] / senders),
        "fedavg_bytes_per_client": 2 * 4 * served["parameters"] * experiment.num_rounds,
        "messages": served["messages"],
        "rejected": served["rejected"],
    }
