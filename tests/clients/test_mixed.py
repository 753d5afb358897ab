"""Teachers of several kinds in one run, and what a client's tasks remember."""

import re

import numpy as np
import pytest
from safetensors.numpy import load_file
from transformers import AutoTokenizer

from clients.client import Client
from clients.config import ClientConfig
from clients.public import features_of
from clients.store import Store
from clients.teachers.constant import Constant
from clients.teachers.frozen_mlp import FrozenMlp
from common.blanks import blanks
from common.configure import dump, load
from common.encoders.hashing import Hashing
from common.failures import ConfigError
from common.messages import Question
from common.records import HEADER
from simulations.experiment_file import read, to_toml
from simulations.results import run
from tests.common.tiny_bert import save_tiny_bert
from tests.worlds import TINY, stocked, tiny_with

MIXED = (
    "clients.teachers = [{ kind = 'frozen_mlp', hidden = 4, epochs = 1, min_steps = 4 }, "
    "'constant', { kind = 'sklearn', estimator = 'multinomial_nb', weights = 'counts' }]"
)


def ready(folder, client):
    made = Client(Store(folder / "clients" / str(client)))
    made.encode()
    made.train()
    return made


def ask(client, store, server_round=1):
    return client.answer(Question(server_round, 1, store.terms().binding)).payload


def test_a_list_is_gone_through_by_client():
    config = tiny_with(MIXED).clients
    assert [type(config.of(k)).__name__ for k in range(5)] == [
        "FrozenMlp",
        "Constant",
        "Sklearn",
        "FrozenMlp",
        "Constant",
    ]


def test_one_or_several_but_not_both():
    with pytest.raises(ConfigError, match="exclude each other; write one of them"):
        load(ClientConfig, {"teacher": "constant", "teachers": ["constant"]})
    with pytest.raises(ConfigError, match="teachers"):
        tiny_with("clients.teachers = []")


def test_the_later_of_teacher_and_teachers_wins_on_the_command_line():
    assert tiny_with(MIXED, "clients.teacher = 'constant'").clients.recipes == (Constant(),)
    assert len(tiny_with("clients.teacher = 'constant'", MIXED).clients.recipes) == 3


def test_nothing_said_is_one_teacher_for_all_and_changes_no_run_id():
    assert ClientConfig().recipes == (FrozenMlp(),)
    assert "teachers" not in dump(ClientConfig())
    assert dump(ClientConfig(teacher=FrozenMlp())) == dump(ClientConfig())


def test_a_mixed_experiment_survives_its_own_file(tmp_path):
    experiment = tiny_with(MIXED)
    (tmp_path / "e.toml").write_text(to_toml(experiment))
    assert read(str(tmp_path / "e.toml")) == experiment


def test_a_store_knows_its_own_recipe_and_no_other(tmp_path):
    folder = stocked(tiny_with(MIXED), tmp_path / "run")
    kinds = [
        Store(folder / "clients" / str(k)).about()["config"]["teacher"]["kind"] for k in range(4)
    ]
    assert kinds == ["frozen_mlp", "constant", "sklearn", "frozen_mlp"]
    assert all(
        "teachers" not in Store(folder / "clients" / str(k)).about()["config"] for k in range(4)
    )


def test_features_are_kept_for_those_who_read_them(tmp_path):
    folder = stocked(tiny_with(MIXED), tmp_path / "run")
    for client in range(4):
        ready(folder, client)
    kept = {path.parent.name for path in folder.glob("clients/*/features.npy")}
    assert kept == {"0", "3"}


def test_a_mixed_run_reports_every_kind(tmp_path):
    result = run(
        "synthetic", overrides=[*TINY, MIXED, "bounds = true"], out=tmp_path / "r", backend="inline"
    )
    bounds = result.summary["bounds"]
    assert bounds["kinds"] == ["frozen_mlp", "constant", "sklearn", "frozen_mlp"]
    assert all(teacher is not None for teacher in bounds["teachers"])
    assert result.summary["clients"]["answered"] == 4
    assert "multinomial_nb" in (tmp_path / "r" / "experiment.toml").read_text()


def test_an_assignment_says_who_follows_what(tmp_path):
    config = tiny_with(MIXED, "clients.assignment = [2, 2, 0, 1]").clients
    kinds = [type(config.of(k)).__name__ for k in range(4)]
    assert kinds == ["Sklearn", "Sklearn", "FrozenMlp", "Constant"]
    folder = stocked(tiny_with(MIXED, "clients.assignment = [2, 2, 0, 1]"), tmp_path / "run")
    told = [Store(folder / "clients" / str(k)).about()["config"] for k in range(4)]
    named = [table["teacher"]["kind"] for table in told]
    assert named == ["sklearn", "sklearn", "frozen_mlp", "constant"]
    assert all("assignment" not in table and "teachers" not in table for table in told)


def test_going_round_said_one_by_one_is_the_same_but_for_its_name():
    plain = tiny_with(MIXED)
    assert "assignment" not in dump(plain)["clients"]
    spelt = tiny_with(MIXED, "clients.assignment = [0, 1, 2, 0]")
    assert [plain.clients.of(k) for k in range(4)] == [spelt.clients.of(k) for k in range(4)]
    assert plain.run_id != spelt.run_id


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (("clients.assignment = [0, 0, 0, 0]",), "there is no such list; write clients.teachers"),
        ((MIXED, "clients.assignment = [0, 1, 2, 3]"), "names recipe 3.* write 0 to 2"),
        ((MIXED, "clients.assignment = [0, 1, 2]"), "about 3 clients, and there are 4"),
        ((MIXED, "clients.assignment = [0, 1, 1, 0]"), "gives recipe 2 .* to nobody"),
        ((MIXED, "clients.assignment = [0, 1, 2, -1]"), "assignment"),
        ((MIXED, "clients.assignment = [0, 1, 2, true]"), "assignment"),
        ((MIXED, "clients.assignment = []"), "assignment"),
    ],
)
def test_an_assignment_that_does_not_fit_is_one_line(changes, line):
    with pytest.raises(ConfigError, match=line) as caught:
        tiny_with(*changes)
    assert "\n" not in str(caught.value)


def test_models_with_different_words_mix_with_every_other_kind(tmp_path):
    """Two organisations' own models read with their own tokenizers; only predictions meet."""
    one = save_tiny_bert(tmp_path / "one")
    other = save_tiny_bert(tmp_path / "other", words=["ba", "be", "bi", "##bo", "zu", "##za", "lo"])
    read_by = [AutoTokenizer.from_pretrained(folder).get_vocab() for folder in (one, other)]
    assert read_by[0].keys() != read_by[1].keys()
    assert len(read_by[0]) != len(read_by[1])
    teachers = [
        f"{{ kind = 'sequence_classifier', model = '{folder}', max_tokens = 16, min_steps = 2, "
        "epochs = 1, batch_size = 64 }"
        for folder in (one, other)
    ]
    teachers += ["{ kind = 'frozen_mlp', hidden = 4, epochs = 1, min_steps = 4 }", "'sklearn'"]
    mixed = f"clients.teachers = [{', '.join(teachers)}]; clients.assignment = [1, 0, 2, 3]"
    result = run(
        "synthetic", overrides=[*TINY, mixed, "bounds = true"], out=tmp_path / "r", backend="inline"
    )
    kinds = ["sequence_classifier", "sequence_classifier", "frozen_mlp", "sklearn"]
    bounds = result.summary["bounds"]
    assert bounds["kinds"] == kinds
    page = (tmp_path / "r" / "report.html").read_text()
    for client, (kind, figures) in enumerate(zip(kinds, bounds["teachers"], strict=True)):
        assert 0 <= figures["accuracy"] <= 1
        assert figures["semantic_distance"] >= 0
        told = f"{figures['accuracy']:.3f}"
        row = rf"client {client}[^<]*</th><td>{kind}</td>\s*<td class=.num.>{told}<"
        assert re.search(row, page)
    kept = [load_file(tmp_path / "r" / "clients" / str(k) / "teacher.safetensors") for k in (0, 1)]
    sizes = [
        next(tensor.shape[0] for name, tensor in k.items() if "word_embeddings" in name)
        for k in kept
    ]
    assert sizes == [len(read_by[1]), len(read_by[0])]
    assert bounds["teachers"][0] != bounds["teachers"][1]


def test_a_later_round_is_the_first_with_another_header(tmp_path):
    folder = stocked(tiny_with("num_rounds = 3"), tmp_path / "run")
    store = Store(folder / "clients" / "2")
    client = ready(folder, 2)
    one = ask(client, store)
    (store.root / "teacher.safetensors").unlink()  # nothing is asked of it again
    two = ask(Client(store), store, 2)
    assert one[HEADER.size :] == two[HEADER.size :]
    assert [i for i in range(len(one)) if one[i] != two[i]] == [8]


def test_cold_equals_warm(tmp_path):
    """A release made from an earlier one, and one made by asking the teacher."""
    warm, cold = (stocked(tiny_with("num_rounds = 3"), tmp_path / name) for name in "ab")
    stores = [Store(folder / "clients" / "1") for folder in (warm, cold)]
    clients = [ready(folder, 1) for folder in (warm, cold)]
    ask(clients[0], stores[0], 1)
    assert ask(clients[0], stores[0], 3) == ask(clients[1], stores[1], 3)


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:60], lambda _: b""])
def test_a_damaged_release_is_no_ground_for_another(tmp_path, damage):
    folder = stocked(tiny_with("num_rounds = 2"), tmp_path / "run")
    store, client = Store(folder / "clients" / "2"), ready(folder, 2)
    one = ask(client, store)
    path = store.root / "releases" / "1.bin"
    path.write_bytes(damage(path.read_bytes()))
    assert ask(client, store, 2)[HEADER.size :] == one[HEADER.size :]


def test_public_features_are_those_of_the_encoder_and_cannot_be_changed():
    encoder, texts = load(Hashing, {"dimensions": 16}), ("a b", "c")
    cold = features_of(encoder, texts)
    assert features_of(Hashing(dimensions=16), texts) is cold
    np.testing.assert_array_equal(cold, encoder.encode(texts))
    with pytest.raises(ValueError, match="read-only"):
        cold[0] = 0
    for _ in range(3):  # bounded, and what was forgotten comes back the same
        features_of(encoder, blanks("content_free"))
        features_of(Hashing(dimensions=8), texts)
    np.testing.assert_array_equal(features_of(encoder, texts), cold)
