import os
import subprocess
import sys

import pytest

from common.failures import ConfigError
from server.weightings.uniform import Uniform
from simulations.experiment_file import read
from tests.refused import refused


def test_what_a_weighting_needs_is_declared(monkeypatch):
    made = read("synthetic")
    assert made.disclosed == ("bias",)
    assert read("synthetic", ["server.weighting = 'uniform'"]).disclosed == ()
    both = read("synthetic", ["disclose = ['num_examples']"])
    assert both.disclosed == ("bias", "num_examples")
    monkeypatch.setattr(Uniform, "needs", frozenset({"num_examples"}))
    line = refused("server.weighting = 'uniform'")
    assert "write disclose = ['num_examples']" in line
    allowed = ["server.weighting = 'uniform'", "disclose = ['num_examples']"]
    assert read("synthetic", allowed).disclosed == ("num_examples",)


def test_familiarity_is_disclosed_on_purpose_or_not_at_all():
    line = refused("server.weighting = 'familiarity'")
    assert "write disclose = ['familiarity']" in line
    told = ["disclose = ['familiarity']", "server.weighting = 'familiarity'"]
    assert read("synthetic", told).disclosed == ("familiarity",)
    own = ["data.labelled_transfer = 20", "server.pretraining = {}"]
    with pytest.raises(ConfigError, match=r"pretraining\.teacher = false"):
        read("synthetic", told + own)


def test_the_bias_is_part_of_the_run_id_unless_it_is_a_mean():
    assert read("synthetic", ["clients.bias = 'mean'"]).run_id == read("synthetic").run_id
    assert read("synthetic", ["clients.bias = 'argmax'"]).run_id != read("synthetic").run_id


def test_the_classes_of_vader_are_part_of_the_run_id_unless_they_are_five():
    five, three = (read("quickstart", [f"data.dataset.classes = {n}"]).run_id for n in (5, 3))
    assert five == read("quickstart").run_id != three


def test_how_familiarity_is_found_matters_only_where_it_is_told():
    ways = ["clients.familiarity.neighbours = 1"]
    assert read("synthetic", ways).run_id == read("synthetic").run_id
    told = ["disclose = ['familiarity']"]
    assert read("synthetic", told + ways).run_id != read("synthetic", told).run_id
    assert read("synthetic", told).run_id != read("synthetic").run_id


@pytest.mark.parametrize("kind", ["validation", "stacking", "ca_mkd"])
def test_a_weighting_by_labels_says_how_to_have_some(kind):
    assert "data.labelled_transfer = 200" in refused(f"server.weighting = '{kind}'")
    read("synthetic", [f"server.weighting = '{kind}'", "data.labelled_transfer = 20"])


def test_a_label_that_is_weighed_must_be_taught():
    """Refused when the experiment is read, not when all teachers are trained."""
    weighed = "server.reweighting = { kind = 'rw_kd', terms = 'label_teachers' }"
    labels = "data.labelled_transfer = 20"
    assert "server.label_weight = 0.5" in refused(f"{weighed}; {labels}")
    read("synthetic", [weighed, labels, "server.label_weight = 0.5"])


def test_the_run_id_is_the_same_in_another_process():
    reading = "from simulations.experiment_file import read"
    code = f"{reading}; print(read('synthetic', ['seed = 3']).run_id)"
    env = os.environ | {"PYTHONHASHSEED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
    )
    made = done.stdout.strip()
    assert made == read("synthetic", ["seed = 3"]).run_id
    assert len(bytes.fromhex(made)) == 16


def test_what_only_the_observer_does_leaves_the_bytes_alone():
    assert read("synthetic", ["bounds = false"]).run_id == read("synthetic").run_id


@pytest.mark.parametrize(
    "override",
    [
        "seed = 8",
        "num_rounds = 3",
        "k_min = 2",
        "disclose = ['num_examples']",
        "clients.prior_correction = 1.0",
        "data.num_clients = 8",
        "data.dataset.size = 1204",
        "data.partition = 'iid'",
        "clients.teacher.learning_rate = 0.5",
        "clients.encoder.dimensions = 17",
        "server.loss = 'kl'",
        "server.schedule.steps = 61",
        "wire.bits = 4",
    ],
)
def test_any_other_experiment_has_another_run_id(override):
    assert read("synthetic", [override]).run_id != read("synthetic").run_id


def test_how_an_experiment_is_written_does_not_matter():
    short = read("synthetic", ["server.loss = 'kl'; data.transfer_fraction = 0.25"])
    long = read("synthetic", ["data = { transfer_fraction = 0.25 }", "server.loss = {kind = 'kl'}"])
    assert short == long
    assert short.run_id == long.run_id
