import json

import numpy as np
import pytest

from common.failures import ConfigError
from simulations import estimate
from simulations.preview import preview, table
from simulations.provision import divide
from simulations.reporting.plan_page import check_name, write_plan
from simulations.skew import label_tv
from tests.tables import rows, write_csv
from tests.worlds import tiny_with

BAD = (
    "data.corruptions = [{ kind = 'label_noise', clients = [2] },"
    "{ kind = 'vocabulary', clients = [2] }]"
)


@pytest.fixture(scope="module")
def plan():
    return preview(tiny_with(BAD))


def test_a_plan_is_json_and_counts_every_row(plan):
    assert json.loads(json.dumps(plan, allow_nan=False)) == plan
    assert sum(c["rows"] for c in plan["clients"]) == plan["rows"]["private"]
    assert all(sum(c["counts"]) == c["rows"] for c in plan["clients"])
    assert "estimate" not in plan


def test_a_plan_shows_what_clients_hold_not_what_they_should(plan):
    corpus, parts = divide(tiny_with())
    clean = [np.bincount(corpus.labels[rows], minlength=3).tolist() for rows in parts.clients]
    shown = [c["counts"] for c in plan["clients"]]
    assert [one == other for one, other in zip(shown, clean, strict=True)] == [
        True,
        True,
        False,
        True,
    ]
    assert [c["corruptions"] for c in plan["clients"]] == [
        [],
        [],
        ["label_noise", "vocabulary"],
        [],
    ]
    own = [c["words_shared_with_transfer"] for c in plan["clients"]]
    assert own[2] < 0.8 * min(own[0], own[1], own[3])
    assert [c["skew"] for c in plan["clients"]] == pytest.approx(
        label_tv(np.array(shown)), abs=1e-4
    )


def test_a_label_without_rows_is_a_warning(tmp_path):
    path = write_csv(tmp_path / "x.csv", rows(200))
    labels = "{ names = ['bad', 'fair', 'never', 'good'] }"
    made = preview(
        tiny_with(
            f"data.dataset = {{ kind = 'files', paths = ['{path}'], labels = {labels} }}",
            "data.partition = 'iid'",
        )
    )
    assert made["labels_without_rows"] == ["never"]
    (line,) = [line for line in table(made) if line.startswith("warning")]
    assert "no row of the data set has the label 'never'; check data.dataset.labels" in line


def test_without_such_labels_there_is_no_warning(plan):
    assert plan["labels_without_rows"] == []
    assert not any(line.startswith("warning") for line in table(plan))


def test_a_person_sees_the_same(plan):
    lines = table(plan)
    assert any("label_noise + vocabulary" in line for line in lines)
    assert any(f"Gini of sizes {plan['size_gini']:.3f}" in line for line in lines)
    assert not any("estimate" in line for line in lines)
    shown = table(plan, most=2)
    assert any("2 more; --json lists all" in line for line in shown)


def test_overlap_is_seen_where_it_is():
    made = preview(tiny_with("data.dataset.vocabulary = 2; data.dataset.words_per_text = 3"))
    shared = made["overlap"]
    assert shared["texts_compared"] == made["rows"]["transfer"]
    assert 0 < shared["private"]["exact"] <= shared["private"]["near"] <= shared["texts_compared"]
    assert shared["test"]["near"] > 0


def test_a_rehearsal_estimates_every_phase():
    made = preview(tiny_with(), rehearsed=True)
    guess = made["estimate"]
    assert list(guess["seconds"]) == ["fixed", "encode", "teachers", "distil", "evaluate", "total"]
    assert all(value >= 0 for value in guess["seconds"].values())
    parts = [value for name, value in guess["seconds"].items() if name != "total"]
    assert guess["seconds"]["total"] == pytest.approx(sum(parts), abs=0.1)
    assert guess["process_mb"] > 50
    assert any(line.startswith("estimate, from a rehearsal") for line in table(made))


def test_twice_the_steps_take_about_twice_as_long():
    """Of a student large enough that a step is more than its overhead."""

    def distil(steps):
        experiment = tiny_with(
            f"server.schedule = {{ steps = {steps}, batch_size = 512 }}",
            "server.student.hidden = 256",
        )
        return estimate.estimate(experiment, *divide(experiment))["seconds"]["distil"]

    assert 2 < distil(4000) / max(distil(400), 1e-9) < 50


def test_the_heat_map_is_a_picture_or_a_page(plan, tmp_path):
    write_plan(tmp_path / "plan.png", plan, table(plan))
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")
    write_plan(tmp_path / "plan.html", plan, table(plan))
    page = (tmp_path / "plan.html").read_text()
    assert "<svg" in page
    assert "client 2 (" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


@pytest.mark.parametrize("name", ["plan.pdf", "plan", "nowhere/plan.png"])
def test_other_names_are_refused_before_anything_is_done(tmp_path, name):
    with pytest.raises(ConfigError, match="--out"):
        check_name(tmp_path / name)
