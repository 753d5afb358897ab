import os
import subprocess
import sys
import tomllib

import pytest

from clients.teachers.constant import Constant
from common.failures import ConfigError
from server.losses.kl import Kl
from server.losses.sinkhorn import Sinkhorn
from server.losses.transport import Transport
from server.weightings.knot import Knot
from server.weightings.uniform import Uniform
from simulations.experiment import Experiment, read, shipped, to_toml


def refused(*overrides, name="synthetic", seed=None):
    """The one line with which these overrides are refused."""
    with pytest.raises(ConfigError) as failure:
        read(name, list(overrides), seed)
    line = str(failure.value)
    assert failure.value.exit_code == 2
    assert "\n" not in line
    assert line
    return line


@pytest.mark.parametrize("name", shipped())
def test_shipped_experiments_are_written_out_whole(name, tmp_path):
    made = read(name)
    path = tmp_path / "written.toml"
    path.write_text(to_toml(made))
    assert read(str(path)) == made
    assert read(str(path)).run_id == made.run_id
    table = tomllib.loads(path.read_text())
    assert table["server"]["schedule"]["batch_size"] == made.server.schedule.batch_size
    assert set(table) == {f for f in Experiment.__dataclass_fields__ if f != "__pydantic_config__"}


def test_quickstart_and_synthetic_are_shipped():
    assert {"quickstart", "synthetic"} <= set(shipped())
    assert read("quickstart").data.num_clients == 4


def test_overrides_apply_in_order():
    made = read("synthetic", ["seed = 1; num_rounds = 3", "seed = 2", ""])
    assert (made.seed, made.num_rounds) == (2, 3)


def test_the_seed_option_wins():
    assert read("synthetic", ["seed = 1"], seed=0).seed == 0
    assert read("synthetic", ["seed = 1"]).seed == 1
    assert "seed must be at least 0, got -1" in refused(seed=-1)


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("clients.encoder = { kind = 'sentence', model = 'a;b' }; seed = 3", "a;b"),
        ('clients.encoder = { kind = "sentence", model = "a;b" }; seed = 3', "a;b"),
        ("""clients.encoder = { kind = "sentence", model = "it's;" }; seed = 3""", "it's;"),
        ("""clients.encoder = { kind = 'sentence', model = 'a";b' }; seed = 3""", 'a";b'),
        (r"""clients.encoder = { kind = "sentence", model = "a\";b" }; seed = 3""", 'a";b'),
        (r"""clients.encoder = { kind = "sentence", model = "a\\" }; seed = 3""", "a\\"),
        (r"""clients.encoder = { kind = 'sentence', model = 'a\' }; seed = 3""", "a\\"),
        ("clients.encoder = { kind = 'sentence', model = 'a' } ;; seed = 3 ;", "a"),
    ],
)
def test_semicolons_separate_outside_strings_only(text, model):
    made = read("synthetic", [text])
    assert made.clients.encoder.model == model
    assert made.seed == 3


def test_a_table_with_a_kind_replaces_the_old_one_whole():
    was = read("quickstart")
    assert was.server.weighting == Knot(distance="l2")
    made = read("quickstart", ["server.weighting = { kind = 'uniform' }"])
    assert made.server.weighting == Uniform()
    made = read("quickstart", ["server.loss = { kind = 'sinkhorn', epsilon = 0.5 }"])
    assert made.server.loss == Sinkhorn(epsilon=0.5)
    again = ["server.loss = { kind = 'sinkhorn', epsilon = 0.5 }", "server.loss.kind = 'sinkhorn'"]
    assert read("quickstart", again).server.loss == Sinkhorn()
    assert made.server.weighting == was.server.weighting


def test_a_table_without_a_kind_changes_what_it_names():
    made = read("quickstart", ["server.weighting.distance = 'symmetric_kl'"])
    assert made.server.weighting == Knot(distance="symmetric_kl")
    made = read("quickstart", ["server = { schedule = { steps = 5 } }"])
    assert made.server.schedule.steps == 5
    assert made.server.loss == Transport()
    assert made.server.weighting == Knot(distance="l2")


def test_a_kind_may_stand_alone_and_be_refined_later():
    assert read("synthetic", ["server.loss = 'kl'"]).server.loss == Kl()
    made = read("synthetic", ["server.loss = 'sinkhorn'", "server.loss.epsilon = 0.25"])
    assert made.server.loss == Sinkhorn(epsilon=0.25)
    assert read("synthetic", ["clients.teacher = 'constant'"]).clients.teacher == Constant()


def test_a_file_is_read_from_its_path(tmp_path, monkeypatch):
    (tmp_path / "mine.toml").write_text("[data]\ndataset = 'synthetic'\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    made = read("mine.toml", ["data.num_clients = 8"])
    assert made == read(str(tmp_path / "mine.toml"), ["data.num_clients = 8"])
    assert made.data.num_clients == 8
    assert (made.seed, made.k_min, made.num_rounds, made.bounds) == (7, 1, 1, False)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    assert "there is no experiment file" in refused(name=str(tmp_path / "none.toml"))
    (tmp_path / "latin.toml").write_bytes(b"# \xe4\n")
    assert "latin.toml cannot be read as UTF-8" in refused(name=str(tmp_path / "latin.toml"))
    (tmp_path / "broken.toml").write_text("[data\n")
    assert "broken.toml is not TOML" in refused(name=str(tmp_path / "broken.toml"))
    (tmp_path / "empty.toml").write_text("")
    assert "data is missing" in refused(name=str(tmp_path / "empty.toml"))
    (tmp_path / "folder.toml").mkdir()
    assert "there is no experiment file" in refused(name=str(tmp_path / "folder.toml"))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("num_clients = 3", ["'num_clients'", "did you mean 'data.num_clients'"]),
        ("num_client = 3", ["did you mean 'data.num_clients'"]),
        ("transfer_fraction = 0.1", ["did you mean 'data.transfer_fraction'"]),
        ("bits = 4", ["did you mean 'wire.bits'"]),
        ("loss = 'kl'", ["did you mean 'server.loss'"]),
        ("teacher = 'constant'", ["did you mean 'clients.teacher'"]),
        ("num_round = 3", ["did you mean 'num_rounds'"]),
        ("zzzz = 3", ["'zzzz'", "write one of", "num_rounds"]),
        ("data.num_client = 3", ["[data]", "did you mean 'num_clients'"]),
        ("server.los = 'kl'", ["[server]", "did you mean 'loss'"]),
        ("server.loss = 'transportt'", ["server.loss", "did you mean 'transport'"]),
        ("server.loss.epsilon = 1", ["[server.loss]", "'epsilon'"]),
        ("data.num_clients = 0", ["data.num_clients must be at least 1, got 0"]),
        ("data.num_clients = -1", ["data.num_clients must be at least 1, got -1"]),
        ("data.num_clients = 2.5", ["data.num_clients", "integer", "got 2.5"]),
        ("data.num_clients = '4'", ["data.num_clients", "integer", "got '4'"]),
        ("data.transfer_fraction = 1", ["data.transfer_fraction must be less than 1"]),
        ("data.transfer_fraction = nan", ["data.transfer_fraction", "got nan"]),
        ("server.schedule.learning_rate = inf", ["learning_rate", "finite", "got inf"]),
        ("num_rounds = 0", ["num_rounds must be at least 1, got 0"]),
        ("k_min = 0", ["k_min must be at least 1, got 0"]),
        ("k_min = 5", ["k_min is 5", "only 4 clients", "write k_min = 4 or less"]),
        ("wire.bits = 3", ["wire.bits must be 1, 2, 4, 8 or 16, got 3"]),
        ("disclose = ['accuracy']", ["disclose", "num_examples", "'accuracy'"]),
        ("disclose = 'num_examples'", ["disclose must be a list"]),
        ("bounds = 'yes'", ["bounds", "boolean", "'yes'"]),
        ("data = 3", ["data must be a table, got 3"]),
        ("server.schedule = 'fast'", ["server.schedule must be a table"]),
        ("seed = [", ["not TOML", "write for example"]),
        ("loss = kl", ["not TOML", "strings in quotes"]),
        ("seed", ["not TOML"]),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_to_write(override, words):
    line = refused(override)
    for word in words:
        assert word in line


def test_unknown_experiments_have_a_hint():
    assert "did you mean 'quickstart'" in refused(name="quickstrat")
    assert all(name in refused(name="zzzz") for name in shipped())
    assert "unknown experiment" in refused(name="../synthetic")


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
    code = "from simulations.experiment import read; print(read('synthetic', ['seed = 3']).run_id)"
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
