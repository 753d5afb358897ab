import numpy as np
import pytest
import torch
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from clients.teachers import Teacher
from common.configure import dump, kind_of, kinds, load
from common.failures import DataError
from common.seeds import stream

C, D = 4, 6
SHARDS = {
    "many": np.arange(150) % C,
    "two labels of four": np.arange(30) % 2 * 3,
    "one label": np.full(20, 2),
    "one example": np.array([1]),
    "empty": np.empty(0, np.int64),
}


@pytest.fixture(params=kinds(Teacher))
def teacher(request):
    return load(Teacher, request.param)


def shard(labels, seed=0):
    features = stream(seed, "shard").normal(size=(len(labels), D)) + np.eye(C, D)[labels] * 3
    return features.astype(np.float32), labels


def questions(n=50):
    return stream(1, "questions").normal(scale=3, size=(n, D)).astype(np.float32)


def fitted(teacher, labels, seed=0):
    return teacher.fit(*shard(labels), C, stream(seed, "fit"))


@pytest.mark.parametrize("labels", SHARDS.values(), ids=SHARDS)
def test_rows_are_distributions(teacher, labels):
    made = fitted(teacher, labels)
    for n in (50, 1, 0):
        probs = made.predict(questions(n))
        assert probs.shape == (n, C)
        assert probs.dtype == np.float32
        assert (probs >= 0).all()
        np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("labels", SHARDS.values(), ids=SHARDS)
def test_same_stream_same_bits_whatever_the_global_one(teacher, labels):
    before = torch.get_rng_state()
    first = fitted(teacher, labels).predict(questions())
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(3)
    assert fitted(teacher, labels).predict(questions()).tobytes() == first.tobytes()


@pytest.mark.parametrize("labels", SHARDS.values(), ids=SHARDS)
def test_a_restored_teacher_predicts_the_same_bits(teacher, labels):
    made = fitted(teacher, labels)
    stored = load_tensors(save_tensors(made.tensors()))
    again = load(Teacher, {"kind": kind_of(teacher), **dump(teacher)}).restore(stored, C)
    assert again.predict(questions()).tobytes() == made.predict(questions()).tobytes()
    assert again.tensors().keys() == made.tensors().keys()


def test_foreign_tensors_are_refused(teacher):
    stored = fitted(teacher, SHARDS["many"]).tensors()
    for damaged, num_labels in ((stored, C + 1), ({}, C), ({"x": np.zeros(C)}, C)):
        with pytest.raises(DataError, match="teacher"):
            teacher.restore(damaged, num_labels)


def test_an_empty_shard_teaches_nothing(teacher):
    probs = fitted(teacher, SHARDS["empty"]).predict(questions())
    np.testing.assert_allclose(probs, 1 / C, atol=1e-7)


def test_the_only_label_is_predicted_and_the_others_stay_possible(teacher):
    probs = fitted(teacher, SHARDS["one label"]).predict(shard(SHARDS["one label"])[0])
    assert (probs.argmax(axis=1) == 2).all()
    assert (probs > 0).all()


def test_progress_ends_at_all(teacher):
    seen = []
    labels = SHARDS["many"]
    teacher.fit(*shard(labels), C, stream(0, "fit"), lambda done, of: seen.append((done, of)))
    assert all(done <= of for done, of in seen)
    assert not seen or seen[-1][0] == seen[-1][1]


def test_the_shard_is_left_as_it_was(teacher):
    features, labels = shard(SHARDS["many"])
    copies = features.copy(), labels.copy()
    features.setflags(write=False)
    labels.setflags(write=False)
    teacher.fit(features, labels, C, stream(0, "fit"))
    np.testing.assert_array_equal(features, copies[0])
    np.testing.assert_array_equal(labels, copies[1])
