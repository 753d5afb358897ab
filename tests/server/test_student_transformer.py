"""The student that reads texts: its words, its module, the folder it is published in."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from common.configure import load
from common.encoders.hashing import Hashing
from common.failures import ConfigError
from server.archive import open_reader, open_student
from server.distil import predict
from server.students import Student, fingerprint
from server.students.transformer import Transformer
from simulations.results import load as load_run
from simulations.results import run
from tests.common.tiny_bert import save_tiny_bert
from tests.worlds import TINY

TEXTS = ["a good film", "a bad film, a bad phone", "", "unheard of", "\ud800", "one\x1ftwo"]
SMALL = "{ kind = 'transformer', width = 8, vocabulary = 600, max_tokens = 16, layers = 1 }"


def reader(recipe, shared=TEXTS):
    return recipe.reader(Hashing(), shared)


def small(**more):
    return Transformer(width=8, vocabulary=600, max_tokens=16, layers=1, **more)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One run whose student reads texts and whose teachers do, too: no features anywhere."""
    teacher = "clients.teacher = { kind = 'sklearn', max_words = 50 }"
    folder = tmp_path_factory.mktemp("runs") / "run"
    overrides = [*TINY, f"server.student = {SMALL}", teacher, "bounds = true"]
    return run("synthetic", overrides=overrides, out=folder, backend="inline")


def test_ids_are_exact_and_texts_of_any_kind_are_read():
    ids = reader(small()).read(TEXTS)
    assert ids.shape == (len(TEXTS), 16)
    assert ids.dtype == np.float32
    assert np.array_equal(ids, ids.astype(np.int64))
    assert (ids[:, 0] == 2).all()  # [CLS]
    assert ids.max() < 600


def test_words_come_from_the_shared_texts_in_any_order():
    words = reader(small(), TEXTS).tokenizer.get_vocab()
    assert words == reader(small(), TEXTS[::-1]).tokenizer.get_vocab()
    assert {"film", "bad"} <= words.keys()  # both occur more than once
    assert "phone" not in words


def test_an_unknown_word_is_spelled():
    assert reader(small()).tokenizer.tokenize("filmed") == ["film", "##e", "##d"]


def test_padding_says_nothing():
    recipe = small()
    module = recipe.build(16, 3, np.random.default_rng(0))
    ids = torch.from_numpy(reader(recipe).read(TEXTS))
    together = module(ids)
    for row in range(len(TEXTS)):
        torch.testing.assert_close(module(ids[row : row + 1]), together[row : row + 1])


def test_gradients_reach_every_weight_that_is_used():
    recipe = small(dropout=0.0)
    module = recipe.build(16, 3, np.random.default_rng(0)).train()
    module(torch.from_numpy(reader(recipe).read(TEXTS)))[:, 0].sum().backward()
    assert all(p.grad is not None for p in module.parameters())


def test_a_published_model_is_trained_further(tmp_path):
    model = str(save_tiny_bert(tmp_path / "model"))
    recipe = load(Student, {"kind": "transformer", "model": model, "max_tokens": 16})
    one, same, other = (recipe.build(16, 3, np.random.default_rng(s)) for s in (0, 0, 1))
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)
    stored = load_file(tmp_path / "model" / "model.safetensors")
    kept = one.state_dict()["model.bert.embeddings.word_embeddings.weight"].numpy()
    assert np.array_equal(kept, stored["embeddings.word_embeddings.weight"])
    assert np.isfinite(predict(one, reader(recipe).read(TEXTS))).all()


def test_heads_that_cannot_share_the_width_are_refused():
    with pytest.raises(ConfigError, match="write width = 6"):
        load(Student, {"kind": "transformer", "width": 8, "heads": 3})


def test_the_folder_loads_with_hugging_face(finished):
    home = finished.folder / "student"
    tokenizer = AutoTokenizer.from_pretrained(home)
    model = AutoModelForSequenceClassification.from_pretrained(home).eval()
    texts = ["w001 w002", "baba bebe", "unheard"]
    with torch.inference_mode():
        batch = tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=16)
        batch.pop("token_type_ids", None)
        expected = torch.softmax(model(**batch).logits, dim=1).numpy()
    np.testing.assert_allclose(load_run(finished.folder).student(texts), expected, atol=1e-6)
    assert list(model.config.id2label.values()) == ["grade 0", "grade 1", "grade 2"]
    assert "AutoModelForSequenceClassification" in (home / "README.md").read_text()


def test_it_is_found_again_with_the_same_bits(finished):
    student = open_student(finished.folder)
    assert fingerprint(student) == finished.summary["hashes"]["student"]
    ids = open_reader(finished.folder).read(["baba bebe"])
    assert predict(student, ids).shape == (1, 3)


def test_features_that_nobody_reads_are_not_computed(finished):
    assert not list(finished.folder.glob("clients/*/features.npy"))
    assert finished.summary["bounds"]["kinds"] == ["sklearn"] * 4


def test_the_same_run_gives_the_same_student(finished, tmp_path):
    teacher = "clients.teacher = { kind = 'sklearn', max_words = 50 }"
    overrides = [*TINY, f"server.student = {SMALL}", teacher]
    again = run("synthetic", overrides=overrides, out=tmp_path / "again", backend="inline")
    assert again.summary["hashes"] == finished.summary["hashes"]
