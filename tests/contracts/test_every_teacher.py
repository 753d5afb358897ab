import numpy as np
import pytest
import torch
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from clients.teachers import Shard, Teacher
from common.configure import dump, find, kind_of, kinds, load
from common.encoders import Encoder
from common.failures import DataError
from common.seeds import stream
from tests.common.tiny_bert import save_tiny_bert
from tests.small import small

C, D = 4, 6
SHARDS = {
    "many": np.arange(150) % C,
    "two labels of four": np.arange(30) % 2 * 3,
    "one label": np.full(20, 2),
    "one example": np.array([1]),
    "the same text, two labels": np.arange(24) % 2,
    "empty": np.empty(0, np.int64),
}
NAMES = ("good", "bad", "film", "phone")
FILLERS = ("the", "a", "is", "was", "very", "not", ".")
LEARNERS = [kind for kind in kinds(Teacher) if find(Teacher, kind).learns]
FITTED = {}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A language model of three layers' worth of nothing; no network is needed."""
    return save_tiny_bert(tmp_path_factory.mktemp("model"))


@pytest.fixture(params=kinds(Teacher))
def teacher(request, model):
    return small(Teacher, request.param, model)


@pytest.fixture(params=LEARNERS)
def learner(request, model):
    return small(Teacher, request.param, model)


def shard(teacher, name, seed=0):
    labels, rng = SHARDS[name], stream(seed, "shard")
    same = name == "the same text, two labels"
    if teacher.reads == "texts":
        texts = [" ".join([NAMES[c], *rng.choice(FILLERS, 4)]) for c in labels]
        return (texts[:1] * len(texts) if same else texts), labels
    features = rng.normal(size=(len(labels), D)) + np.eye(C, D)[labels] * 3
    return np.repeat(features[:1] if same else features, len(labels) if same else 1, 0).astype(
        np.float32
    ), labels


def questions(teacher, n=50):
    rng = stream(1, "questions")
    if teacher.reads == "features":
        return rng.normal(scale=3, size=(n, D)).astype(np.float32)
    odd = ["", "\ud800", "one\x1ftwo", "unheard " * 40]
    made = [" ".join(rng.choice(NAMES + FILLERS, 1 + i % 7)) for i in range(n)]
    return (odd + made)[:n] if n > 4 else made


def fitted(teacher, name, seed=0, anew=False):
    key = (repr(teacher), name, seed)
    if anew or key not in FITTED:
        FITTED[key] = teacher.fit(*shard(teacher, name, seed), C, stream(seed, "fit"))
    return FITTED[key]


def test_it_says_what_it_reads(teacher):
    assert teacher.reads in ("features", "texts")


@pytest.mark.parametrize("name", SHARDS)
def test_rows_are_distributions(teacher, name):
    made = fitted(teacher, name)
    for n in (50, 1, 0):
        probs = made.predict(questions(teacher, n))
        assert probs.shape == (n, C)
        assert probs.dtype == np.float32
        assert (probs >= 0).all()
        np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("name", ["many", "one example", "empty"])
def test_same_stream_same_bits_whatever_the_global_one(teacher, name):
    asked, before = questions(teacher), torch.get_rng_state()
    first = fitted(teacher, name, anew=True).predict(asked)
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(3)
    assert fitted(teacher, name, anew=True).predict(asked).tobytes() == first.tobytes()


@pytest.mark.parametrize("name", SHARDS)
def test_a_restored_teacher_predicts_the_same_bits(teacher, name):
    made, asked = fitted(teacher, name), questions(teacher)
    stored = load_tensors(save_tensors(made.tensors()))
    again = load(Teacher, {"kind": kind_of(teacher), **dump(teacher)}).restore(stored, C)
    assert again.predict(asked).tobytes() == made.predict(asked).tobytes()
    assert again.tensors().keys() == made.tensors().keys()


def test_two_teachers_of_one_process_are_kept_apart(learner):
    """Clients share a worker, and a published model: one's training must not be another's."""
    asked = questions(learner)
    first = fitted(learner, "many").predict(asked)
    second = fitted(learner, "two labels of four", anew=True).predict(asked)
    assert fitted(learner, "many").predict(asked).tobytes() == first.tobytes()
    assert np.abs(first - second).max() > 1e-3


def test_every_row_is_answered_on_its_own(teacher):
    """Whom it stands beside and where changes no more than the last bits."""
    made, asked = fitted(teacher, "many"), questions(teacher)
    order = stream(2, "order").permutation(len(asked))
    if teacher.reads == "texts":
        moved, alone = [asked[i] for i in order], asked[7:8]
    else:
        moved, alone = asked[order], asked[7:8]
    probs = made.predict(asked)
    np.testing.assert_allclose(made.predict(moved), probs[order], atol=1e-5)
    np.testing.assert_allclose(made.predict(alone), probs[7:8], atol=1e-5)


def test_foreign_tensors_are_refused(teacher):
    stored = fitted(teacher, "many").tensors()
    for damaged, num_labels in ((stored, C + 1), ({}, C), ({"x": np.zeros(C)}, C)):
        with pytest.raises(DataError, match="teacher"):
            teacher.restore(damaged, num_labels)


def test_an_empty_shard_teaches_nothing(learner):
    probs = fitted(learner, "empty").predict(questions(learner))
    np.testing.assert_allclose(probs, 1 / C, atol=1e-7)


def test_the_only_label_is_predicted_and_the_others_stay_possible(learner):
    probs = fitted(learner, "one label").predict(shard(learner, "one label")[0])
    assert (probs.argmax(axis=1) == 2).all()
    assert (probs > 0).all()


def test_labels_that_the_shard_lacks_stay_possible(teacher):
    probs = fitted(teacher, "two labels of four").predict(questions(teacher))
    assert (probs > 0).all()


def test_progress_ends_at_all(teacher):
    seen = []
    inputs = shard(teacher, "many")
    teacher.fit(*inputs, C, stream(0, "fit"), lambda done, of: seen.append((done, of)))
    assert all(done <= of for done, of in seen)
    assert not seen or seen[-1][0] == seen[-1][1]


def test_the_shard_is_left_as_it_was(teacher):
    inputs, labels = shard(teacher, "many")
    copies = inputs.copy(), labels.copy()
    labels.setflags(write=False)
    if teacher.reads == "features":
        inputs.setflags(write=False)
    teacher.fit(inputs, labels, C, stream(0, "fit"))
    np.testing.assert_array_equal(inputs, copies[0])
    np.testing.assert_array_equal(labels, copies[1])
    labels.setflags(write=True)


def test_a_resolved_recipe_is_resolved(teacher):
    encoder = load(Encoder, "hashing")
    assert teacher.resolved(encoder).resolved(encoder) == teacher.resolved(encoder)


def test_fitted_together_is_fitted_alone(teacher):
    names = ["two labels of four", "empty", "many", "one example"]
    shards = [Shard(*shard(teacher, name), stream(0, "fit")) for name in names]
    made = teacher.fit_together(shards, C)
    assert len(made) == len(names)
    for together, name in zip(made, names, strict=True):
        alone = fitted(teacher, name).tensors()
        assert together.tensors().keys() == alone.keys()
        for key, value in alone.items():
            np.testing.assert_array_equal(together.tensors()[key], value)
