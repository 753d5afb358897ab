import tomllib

import pytest

from clients.teachers.constant import Constant
from server.losses.kl import Kl
from server.losses.sinkhorn import Sinkhorn
from server.losses.transport import Transport
from server.weightings.knot import Knot
from server.weightings.uniform import Uniform
from simulations.experiment import Experiment
from simulations.experiment_file import read, shipped, to_toml
from tests.refused import refused


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
