"""Intervals over test samples: measured by the observer, written down, shown."""

import re

import numpy as np
import pytest

from common.files import read_json
from common.metrics import METRICS
from simulations.events import silent
from simulations.examination import Examination
from simulations.reporting import rows as report_rows
from simulations.reporting.report import build_report
from simulations.runner import execute
from simulations.summary import lines
from tests.simulations.run_folders import STARS, arm, complete, spread
from tests.worlds import tiny_with

DASH = "\N{EN DASH}"
STUDENT = {"accuracy": 0.5, "semantic_distance": 0.88, "temperature": 1.3}
SPREAD = {"accuracy": [0.45, 0.55], "semantic_distance": [0.77, 0.99], "temperature": None}


def summarised(**more):
    other = {"accuracy": 0.4, "semantic_distance": 1.0}
    return {"student": STUDENT, "bounds": {"ensemble": other}, **more}


def written(summary, positions=None):
    sections = report_rows.metric_sections(summary, {"positions": positions})
    return sections[0][0], {title: row for _, rows in sections for title, _, row in rows}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    made = tiny_with("bounds = true")
    return [
        execute(
            made,
            "tiny",
            out=tmp_path_factory.mktemp("runs") / name,
            backend="inline",
            address=None,
            progress=silent,
        )
        for name in ("one", "two")
    ]


def test_a_run_writes_the_intervals_of_student_and_bounds(runs):
    summary = read_json(runs[0] / "summary.json")
    intervals = summary["intervals"]
    assert (intervals["level"], intervals["draws"]) == (0.95, 1000)
    assert set(intervals["bounds"]) == {"bayes", "centralised", "ensemble"}
    for metrics, found in (
        (summary["student"], intervals["student"]),
        *((summary["bounds"][name], intervals["bounds"][name]) for name in intervals["bounds"]),
    ):
        assert tuple(found) == METRICS == tuple(metrics)
        for name, interval in found.items():
            if name in ("temperature", "sharpening_temperature") or metrics[name] is None:
                assert interval is None
            else:
                low, high = interval
                assert low <= metrics[name] <= high, name


def test_the_same_run_has_the_same_intervals(runs):
    one, two = (read_json(folder / "summary.json")["intervals"] for folder in runs)
    assert one == two


def test_the_final_summary_names_the_students_intervals(runs):
    told = [line for line in lines(read_json(runs[0] / "summary.json"), runs[0]) if "95 %" in line]
    assert len(told) == 1
    assert re.fullmatch(
        r"student, 95 % over test samples, not seeds: "
        r"accuracy 0\.\d{3} to 0\.\d{3}, sem\. distance \d\.\d{3} to \d\.\d{3}",
        told[0],
    )
    assert len(lines(read_json(runs[0] / "summary.json"), runs[0])) <= 16


def test_every_arm_is_seen_on_the_same_rows():
    labels, probs = arm(0.5, 300)
    slice_labels, on_slice = arm(0.5, 100, seed=1)
    exam = Examination(STARS, np.zeros((300, 1)), labels, None, np.zeros((100, 1)), slice_labels)
    one, same = (exam.intervals(probs, on_slice, np.random.default_rng(3)) for _ in range(2))
    assert one == same
    assert one["w1_human"] is None
    sharper = exam.intervals(probs**2, on_slice, np.random.default_rng(3))
    # The top label is the same and so are the rows, hence the same interval of accuracy.
    assert sharper["accuracy"] == one["accuracy"]
    assert sharper["nll"] != one["nll"]


def test_the_report_puts_the_students_interval_behind_its_number():
    intervals = {"level": 0.95, "student": SPREAD}
    heading, rows = written(summarised(intervals=intervals))
    assert "95 % over test samples, not over seeds" in heading
    assert rows["accuracy"] == [f"0.500 (0.450{DASH}0.550)", "0.400"]
    assert rows["temperature"] == ["1.300", DASH]


def test_intervals_are_stretched_with_their_numbers():
    intervals = {"level": 0.95, "student": SPREAD}
    rows = written(summarised(intervals=intervals), [-2.2, -1.0, 0.0, 1.0, 2.2])[1]
    assert rows["semantic distance"][0] == f"0.880 (0.770{DASH}0.990)"
    assert rows["semantic distance, on 0..4"][0] == f"0.800 (0.700{DASH}0.900)"


@pytest.mark.parametrize("old", [{}, {"intervals": None}, {"intervals": {"student": None}}])
def test_a_summary_without_intervals_is_shown_as_before(old):
    heading, rows = written(summarised(**old))
    assert heading == "predictions as they are"
    assert rows["accuracy"] == ["0.500", "0.400"]


def test_a_number_that_is_missing_has_no_interval():
    summary = {"student": {"accuracy": 0.5, "rps": None}, "bounds": {"ensemble": {"rps": 0.1}}}
    summary["intervals"] = {"student": {"rps": [0.1, 0.2]}}
    assert written(summary)[1]["ranked probability score"] == [DASH, "0.100"]


def test_the_page_shows_them(tmp_path):
    folder = complete(tmp_path / "run")
    page = build_report(folder)
    low, high = spread(0.72)["accuracy"]
    assert f"({low:.3f}{DASH}{high:.3f})" in page
    assert page.count("over test samples, not over seeds") == 1
    summary = read_json(folder / "summary.json")
    assert any("95 % over test samples" in line for line in lines(summary, folder))
    assert len(lines(summary, folder)) <= 16
    summary.pop("intervals")
    assert "not over seeds" not in build_report(folder, summary)
    assert not any("95 %" in line for line in lines(summary, folder))
