"""What the report says in words and numbers, from ``summary.json`` and its neighbours.

Numbers come as JSON holds them; None (not asked for, not measured, never reached) is
printed as a dash. Distances are in label coordinates unless a row says otherwise.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from common.metrics import METRICS

Table = Mapping[str, Any]
Arm = tuple[str, float, float]
"""Name, accuracy (0..1) and Semantic Distance of one arm, as a picture wants them."""
Row = tuple[str, str, list[str]]
"""Title, direction ("up", "down", "") and one written number per arm."""

_SECTIONS = (
    (
        "predictions as they are",
        (
            ("accuracy", "accuracy", "up"),
            ("macro_f1", "macro F1", "up"),
            ("quadratic_kappa", "quadratic weighted kappa", "up"),
            ("semantic_distance", "semantic distance", "down"),
            ("semantic_distance_mean", "semantic distance, plain mean", "down"),
            ("w1", "transport cost to the gold label", "down"),
            ("w1_human", "transport cost to the raters", "down"),
            ("rps", "ranked probability score", "down"),
            ("ece", "calibration error", "down"),
            ("ece_classwise", "calibration error, mean over labels", "down"),
            ("nll", "negative log-likelihood", "down"),
            ("brier", "Brier score", "down"),
        ),
    ),
    (
        "at the temperature fitted for likelihood",
        (
            ("temperature", "temperature", ""),
            ("semantic_distance_at_temperature", "semantic distance", "down"),
        ),
    ),
    (
        "at the temperature fitted for distance: what sharpening alone gives",
        (
            ("sharpening_temperature", "temperature", ""),
            ("semantic_distance_at_sharpening_temperature", "semantic distance", "down"),
        ),
    ),
)
_BOUNDS = ("ensemble", "centralised", "bayes")
_NAMES = ("student", *_BOUNDS, "best teacher", "mean teacher")
_EXTRAS = {
    "bias": "what the teacher says of the fixed list of content-free texts, in one row",
    "familiarity": "how far each transfer text is from the client's own texts",
    "num_examples": "the number of private samples",
}
_DASH = "\N{EN DASH}"


def size(value: float | None) -> str:
    """Bytes in powers of 1000, three digits: ``40.4 kB``."""
    if value is None:
        return _DASH
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def seconds(value: float | None) -> str:
    """A duration: ``0.42 s``, ``12.3 s``, ``3 min 05 s``."""
    if value is None:
        return _DASH
    if value < 100:
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    return f"{int(value // 60)} min {int(value % 60):02d} s"


def number(value: float | None) -> str:
    """Three decimals, or a dash for what is not there."""
    return _DASH if value is None else f"{value:.3f}"


def sentence(summary: Table, texts: int | None) -> str:
    """The result in one sentence; ``texts`` is the size of the transfer texts in bytes."""
    student = _arm(summary, "student")
    if summary.get("status") != "complete" or student.get("accuracy") is None:
        return _unfinished(summary)
    clients = (summary.get("clients") or {}).get("answered") or summary.get("num_clients")
    best = _arm(summary, "best teacher").get("accuracy")
    against = f" (best single teacher: {_percent(best)})" if best is not None else ""
    return (
        f"From the predictions of {_counted(clients, 'client')} alone, the server taught a student "
        f"that is right on {_percent(student['accuracy'])} of the test samples{against}, at a "
        f"semantic distance of {number(student.get('semantic_distance'))}{_saving(summary, texts)}."
    )


def arm_names(summary: Table) -> list[str]:
    """The columns of the table: the student, and every bound that was measured."""
    return [name for name in _NAMES if name == "student" or _arm(summary, name)]


def metric_sections(summary: Table, pictures: Table) -> list[tuple[str, list[Row]]]:
    """The table of metrics in sections: as they are, then at each fitted temperature.

    Semantic distances of labels on a line are printed once more, multiplied by
    (C - 1) / (last position - first), so that they read on KNOT's scale 0..C-1. The student's
    numbers carry their interval where the summary has one; the first heading says over what.
    """
    arms = [_arm(summary, name) for name in arm_names(summary)]
    known = summary.get("intervals") or {}
    spread, positions = known.get("student") or {}, pictures.get("positions")
    written = [
        (heading, [row for key in keys for row in _rows(key, arms, spread, positions)])
        for heading, keys in _SECTIONS
    ]
    written = [(heading, rows) for heading, rows in written if rows]
    if written and spread:
        heading, rows = written[0]
        percent = f"{100 * known.get('level', 0.95):g} %"
        told = f"{heading} (in brackets: {percent} over test samples, not over seeds)"
        written[0] = (told, rows)
    return written


def student_sections(summaries: Sequence[Table]) -> list[tuple[str, list[Row]]]:
    """The same table for the students of several runs, each in its own label coordinates."""
    arms = [_arm(summary, "student") for summary in summaries]
    written = [
        (head, [r for key in keys for r in _rows(key, arms, {}, None)]) for head, keys in _SECTIONS
    ]
    return [(heading, rows) for heading, rows in written if rows]


def drawn_arms(summary: Table, pictures: Table) -> tuple[list[Arm], list[Arm], Arm | None]:
    """Teachers, bounds and student as the picture wants them; what lacks a number is left out."""
    measured = (summary.get("bounds") or {}).get("teachers") or []
    named = [{"name": f"client {k}", **row} for k, row in enumerate(measured) if row]
    teachers = _points(pictures.get("teachers") or named)
    bounds = [{"name": name, **_arm(summary, name)} for name in _BOUNDS]
    others = _points([*bounds, {"name": "one human rater", **(pictures.get("human") or {})}])
    drawn = {"name": "student", **_arm(summary, "student")}
    return teachers, others, next(iter(_points([drawn])), None)


def traffic_bars(summary: Table, texts: int | None) -> list[tuple[str, float, str]]:
    """Bytes of one client: what it sent, all it took part in, and FedAvg of the same student.

    ``texts`` is the size of the transfer texts, which every client needs once.
    """
    wire = summary.get("wire") or {}
    bars = [
        ("predictions, up", wire.get("bytes_up_per_client")),
        ("with questions and transfer texts, down", _both_ways(summary, texts)),
        ("FedAvg of this student, both ways", wire.get("fedavg_bytes_per_client")),
    ]
    return [(name, value, size(value)) for name, value in bars if value]


def crossed(summary: Table, settings: Table, terms: Table) -> list[str]:
    """What left the clients, in plain words: by the terms of the run, else by its settings."""
    wire = summary.get("wire") or {}
    bits = terms.get("bits") or (settings.get("wire") or {}).get("bits")
    coded = "" if bits is None else f", {_counted(bits, 'bit')} per probability"
    texts = f"{terms['rows']:,} transfer texts" if "rows" in terms else "transfer texts"
    extras = terms.get("disclosed", settings.get("disclose")) or []
    told = ", ".join(_EXTRAS.get(name, str(name)) for name in extras) or "nothing"
    lines = [
        f"Up: soft predictions on the {texts}{coded}. Besides: {told}.",
        "Down: questions without content; the transfer texts are public and were agreed on before.",
    ]
    if terms.get("secure_sum"):
        lines[0] = (
            f"Up: masked words on the {texts}, of which the server learns nothing but their sum "
            "over all clients of a round, and before them one public key of each. It is no "
            "differential privacy: the sum itself tells what it tells."
        )
    if (down := terms.get("bits_down")) is not None:
        lines[1] = (
            f"Down: questions without content, and before every round but the first what the "
            f"server made of the predictions, on the same texts, {_counted(down, 'bit')} per "
            "probability. It tells each client about the others; of two, either can work out "
            "what the other said."
        )
    if wire.get("messages") is not None:
        told = f"{_counted(wire['messages'], 'message')} accepted, {wire.get('rejected')} refused"
        lines.append(
            f"{told}; {size(wire.get('bytes_up'))} up, {size(wire.get('bytes_down'))} down."
        )
    return lines


def _unfinished(summary: Table) -> str:
    if summary.get("status") == "interrupted":
        return "This run was interrupted before there was a student to score."
    if summary.get("status") == "failed":
        return "This run failed before a student could be scored."
    return "This run is complete, but its student was not scored."


def _saving(summary: Table, texts: int | None) -> str:
    """Both directions, because FedAvg's figure holds both and the transfer set is not free."""
    wire = summary.get("wire") or {}
    up, fedavg = wire.get("bytes_up_per_client"), wire.get("fedavg_bytes_per_client")
    if up is None:
        return ""
    both = _both_ways(summary, texts)
    counted = "" if both is None else f", {size(both)} with the transfer texts it needs"
    compared = f" (FedAvg of the same student: {size(fedavg)} both ways)" if fedavg else ""
    return f"; each client sent {size(up)}{counted}{compared}"


def _both_ways(summary: Table, texts: int | None) -> float | None:
    """Bytes one client sends, is asked with, and was handed before the first round."""
    wire = summary.get("wire") or {}
    up, down = wire.get("bytes_up_per_client"), wire.get("bytes_down")
    asked = (summary.get("clients") or {}).get("asked") or summary.get("num_clients")
    if texts is None or up is None or down is None or not asked:
        return None
    return float(up + down / asked + texts)


def _arm(summary: Table, name: str) -> Table:
    bounds = summary.get("bounds") or {}
    teachers = [row for row in bounds.get("teachers") or [] if row and _scored(row)]
    if name == "student":
        return summary.get("student") or {}
    if name == "best teacher":
        return max(teachers, key=lambda row: float(row["accuracy"]), default={})
    if name == "mean teacher":
        return {key: _mean([row.get(key) for row in teachers]) for key in METRICS if teachers}
    return bounds.get(name) or {}


def _scored(row: Table) -> bool:
    return row.get("accuracy") is not None and row.get("semantic_distance") is not None


def _points(rows: Sequence[Table]) -> list[Arm]:
    return [
        (str(row["name"]), float(row["accuracy"]), float(row["semantic_distance"]))
        for row in rows
        if _scored(row)
    ]


def _rows(
    key: tuple[str, str, str],
    arms: Sequence[Table],
    spread: Table,
    positions: Sequence[float] | None,
) -> list[Row]:
    name, title, way = key
    values = [arm.get(name) for arm in arms]
    if all(value is None for value in values):
        return []
    rows = [(title, way, _written(values, spread.get(name), 1.0))]
    scale = _scale(positions) if name.startswith("semantic_distance") else None
    if scale is not None and positions:
        on = f"{title}, on 0..{len(positions) - 1}"
        rows.append((on, way, _written(values, spread.get(name), scale)))
    return rows


def _written(
    values: Sequence[float | None], interval: Sequence[float] | None, scale: float
) -> list[str]:
    """Every arm's number times ``scale``; the first, the student's, with its interval."""
    made = [number(None if value is None else value * scale) for value in values]
    if interval and values[0] is not None:
        low, high = interval
        made[0] += f" ({number(low * scale)}{_DASH}{number(high * scale)})"
    return made


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _scale(positions: Sequence[float] | None) -> float | None:
    """What turns label coordinates into 0..C-1; None off a line or where it changes nothing."""
    if not positions or positions[-1] - positions[0] == len(positions) - 1:
        return None
    return (len(positions) - 1) / (positions[-1] - positions[0])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _counted(count: int | None, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
