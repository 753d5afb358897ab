"""One run folder as one page: ``report.html``, self-contained, opened from disk.

The page is a pure function of the folder's files (same files, same bytes): it holds no
date of its own, no script and no address. Everything printed went through Jinja2's
autoescape; a run that was interrupted or failed still gets its page, with what there is.
"""

import csv
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Template
from markupsafe import Markup

from common.failures import FolderError
from common.files import read_json, read_lines, write_text
from simulations.reporting import figures
from simulations.reporting import rows as report_rows
from simulations.reporting import transport as report_transport
from simulations.reporting.coded import MOST_CODED, coded_rows
from simulations.reporting.own_teachers import MOST_TEACHERS, teacher_rows
from simulations.reporting.page import template
from simulations.reporting.personal import personal_rows
from simulations.reporting.privacy import section

PHASES = ("start", "encode", "teachers", "refine", "predict", "aggregate", "distil", "evaluate")


@dataclass(frozen=True)
class Run:
    """What the report reads of a run folder; a missing file is empty.

    Attributes:
        summary: ``summary.json``, the only file that must be there.
        experiment: ``experiment.toml`` as written.
        settings: the same as a table.
        terms: ``terms.json``, what the server was told of the run.
        texts: size of the transfer texts of ``transfer.jsonl``, UTF-8 bytes, or None.
        rounds: the lines of ``rounds.jsonl``.
        clients: the rows of ``clients.csv``, all text.
        environment: ``environment.json``.
        pictures: ``pictures.json`` (see :mod:`simulations.pictures`).
    """

    summary: Mapping[str, Any]
    experiment: str
    settings: dict[str, Any]
    terms: dict[str, Any]
    texts: int | None
    rounds: list[dict[str, Any]]
    clients: list[dict[str, str]]
    environment: dict[str, Any]
    pictures: dict[str, Any]


def write_report(folder: Path, summary: Mapping[str, Any] | None = None) -> Path:
    """Write ``report.html`` into the run folder, atomically; returns its path.

    Args:
        folder: the run folder.
        summary: what ``summary.json`` will hold, where it is not written yet.

    Raises:
        FolderError: the folder is no run folder or one of its files is damaged.
    """
    path = folder / "report.html"
    write_text(path, build_report(folder, summary))
    return path


def build_report(folder: Path, summary: Mapping[str, Any] | None = None) -> str:
    """The page of one run folder as one HTML string; nothing is written.

    Arguments and errors as for :func:`write_report`.
    """
    run = read_run(folder, summary)
    page: str = _template().render(
        run=run,
        summary=run.summary,
        sentence=report_rows.sentence(run.summary, run.texts),
        arms=report_rows.arm_names(run.summary),
        metrics=report_rows.metric_sections(run.summary, run.pictures),
        crossed=report_rows.crossed(run.summary, run.settings, run.terms),
        phases=_phases(run.summary.get("seconds") or {}),
        absent=[row for row in run.clients if row.get("status") != "answered"],
        transport=report_transport.drawn(run.pictures),
        personal=personal_rows(run.summary, run.pictures),
        teachers=teacher_rows(run.summary, run.pictures),
        most_teachers=MOST_TEACHERS,
        coded=coded_rows(folder),
        most_coded=MOST_CODED,
        report=section(folder),
        **_drawings(run),
    )
    return page


def _template() -> Template:
    filters = {
        "size": report_rows.size,
        "seconds": report_rows.seconds,
        "number": report_rows.number,
    }
    return template(Path(__file__).parent, filters=filters)


def read_run(folder: Path, summary: Mapping[str, Any] | None = None) -> Run:
    """What a page shows of a run folder; arguments and errors as for :func:`write_report`."""
    if summary is None:
        summary = _file(folder, "summary.json", read_json, None)
    if summary is None:
        raise FolderError(f"{folder} holds no summary.json; give the folder of a finished run")
    return Run(
        summary=summary,
        experiment=_file(folder, "experiment.toml", _text, ""),
        settings=_file(folder, "experiment.toml", lambda path: tomllib.loads(_text(path)), {}),
        terms=_file(folder, "terms.json", read_json, {}),
        texts=_file(folder, "transfer.jsonl", _text_bytes, None),
        rounds=_file(folder, "rounds.jsonl", read_lines, []),
        clients=_file(folder, "clients.csv", _table, []),
        environment=_file(folder, "environment.json", read_json, {}),
        pictures=_file(folder, "pictures.json", read_json, {}),
    )


def _file(folder: Path, name: str, read: Callable[[Path], Any], missing: Any) -> Any:
    try:
        return read(folder / name)
    except FileNotFoundError:
        return missing
    except ValueError as error:
        raise FolderError(f"{folder / name} is damaged; run the experiment again") from error


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _text_bytes(path: Path) -> int:
    return sum(len(row["text"].encode("utf-8", "surrogatepass")) for row in read_lines(path))


def _table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(_text(path).splitlines()))


def _phases(seconds: Mapping[str, float | None]) -> list[tuple[str, float, float]]:
    """Name, seconds and share of the longest, for each phase that was measured."""
    known = [(name, seconds[name]) for name in PHASES if seconds.get(name) is not None]
    longest = max((value or 0.0 for _, value in known), default=0.0) or 1.0
    return [(name, value or 0.0, (value or 0.0) / longest) for name, value in known]


def _drawings(run: Run) -> dict[str, Markup | None]:
    """Five of the pictures; None where the run has nothing to draw."""
    pictures = run.pictures
    labels = pictures.get("labels") or []
    return {
        "who_holds_what": _holdings(pictures.get("holdings"), labels),
        "against_bounds": _against_bounds(run),
        "reliability": _reliability(pictures.get("reliability")),
        "confusion": _confusion(pictures, labels),
        "traffic": _traffic(run),
    }


def _holdings(held: dict[str, Any] | None, labels: list[str]) -> Markup | None:
    if not held or not held["clients"]:
        return None
    names = held.get("client_names") or [f"client {k}" for k in range(len(held["clients"]))]
    figure = figures.holdings(held["clients"], names, labels)
    return figures.svg(figure, "Heat map: how many samples of each label each client holds")


def _against_bounds(run: Run) -> Markup | None:
    teachers, others, student = report_rows.drawn_arms(run.summary, run.pictures)
    if not (teachers or others or student):
        return None
    figure = figures.arms(teachers, others, student)
    return figures.svg(figure, "Accuracy and semantic distance of teachers, bounds and student")


def _reliability(curves: dict[str, Any] | None) -> Markup | None:
    drawn = {name: curve for name, curve in (curves or {}).items() if curve and any(curve["count"])}
    if not drawn:
        return None
    return figures.svg(figures.reliability(drawn), "Reliability diagram: accuracy by confidence")


def _confusion(pictures: dict[str, Any], labels: list[str]) -> Markup | None:
    if not pictures.get("confusion"):
        return None
    figure = figures.confusion(
        pictures["confusion"], labels, pictures.get("positions"), pictures.get("expected_position")
    )
    return figures.svg(figure, "Confusion: gold label against the student's label, in per cent")


def _traffic(run: Run) -> Markup | None:
    bars = report_rows.traffic_bars(run.summary, run.texts)
    if not bars:
        return None
    return figures.svg(
        figures.traffic(bars, report_rows.size), "Bytes per client: predictions against FedAvg"
    )
