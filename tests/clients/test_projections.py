"""LELP's formulas against scipy and scikit-learn."""

import numpy as np
import pytest
from scipy.linalg import null_space
from scipy.special import softmax
from sklearn.decomposition import PCA

from clients.config import ClientConfig
from clients.projections import project
from clients.subclasses import Subclasses
from clients.teachers import Teacher
from clients.teachers.frozen_linear import FrozenLinear
from clients.teachers.frozen_mlp import FrozenMlp
from clients.voice import Voice, splitting
from common.configure import find, kinds, load
from common.failures import ConfigError
from common.quantise import to_codes
from common.seeds import stream
from common.subclasses import merged_codes
from tests.common.tiny_bert import save_tiny_bert
from tests.small import small

C, S, D = 3, 4, 20
PLAIN = Subclasses(count=S, rotate=False)


def shard(examples=120):
    rng = np.random.default_rng(0)
    labels = np.arange(examples) % C
    spread = rng.normal(size=(C, D, D))
    rows = np.stack([spread[c] @ rng.normal(size=D) for c in labels]) + labels[:, None]
    return rows.astype(np.float32), labels, rng.normal(size=(C, D)).astype(np.float32)


def rng():
    return stream(0, "subclasses")


def by_hand(rows, labels, head, asked, temperature=1.0):
    """Shares (N, C, S): scipy's null space, scikit-learn's PCA per class, a softmax."""
    basis = null_space(head.astype(np.float64))  # (D, D - C)
    made = []
    for c in range(C):
        own = rows[labels == c].astype(np.float64) @ basis
        pca = PCA(S, svd_solver="full").fit(own)
        largest = np.abs(pca.components_ @ basis.T).argmax(axis=1)
        signs = np.sign((pca.components_ @ basis.T)[np.arange(S), largest])
        inner = (asked.astype(np.float64) @ basis - pca.mean_) @ pca.components_.T * signs
        of_own = (own - pca.mean_) @ pca.components_.T
        made.append(softmax(inner / (temperature * np.sqrt((of_own**2).mean())), axis=1))
    return np.stack(made, axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_shares_are_those_of_the_formula(temperature):
    rows, labels, head = shard()
    asked = np.random.default_rng(1).normal(size=(9, D)).astype(np.float32)
    wanted = Subclasses(count=S, rotate=False, temperature=temperature)
    found = project(rows, labels, head, wanted, rng()).shares(asked)
    np.testing.assert_allclose(found, by_hand(rows, labels, head, asked, temperature), atol=1e-6)


def test_what_the_head_reads_tells_nothing_unless_it_may():
    rows, labels, head = shard()
    asked = rows[:5]
    moved = asked + np.array([1.0, -2.0, 0.5]) @ head
    blind = project(rows, labels, head, PLAIN, rng())
    seeing = project(rows, labels, head, Subclasses(count=S, null_space=False), rng())
    np.testing.assert_allclose(blind.shares(moved), blind.shares(asked), atol=1e-4)
    assert np.abs(seeing.shares(moved) - seeing.shares(asked)).max() > 0.05


def test_a_rotation_spreads_the_variance_and_nothing_else():
    rows, labels, head = shard()
    straight = project(rows, labels, head, PLAIN, rng()).directions.numpy()
    turned = project(rows, labels, head, Subclasses(count=S), rng()).directions.numpy()
    for one, other in zip(straight, turned, strict=True):
        gram = one.T @ one
        np.testing.assert_allclose(other.T @ other, gram, atol=1e-9)  # the same plane
        assert np.abs(one - other).max() > 0.1 * np.abs(one).max()


def test_few_texts_or_none_split_evenly():
    rows, labels, head = shard()
    kept = (labels == 0) | ((labels == 1) & (np.arange(len(labels)) < 3 * S))
    few = project(rows[kept], labels[kept], head, PLAIN, rng())
    assert np.bincount(labels[kept], minlength=3).tolist() == [40, S, 0]
    shares = few.shares(rows[:7])
    assert np.all(shares[:, 1:] == 1 / S)
    assert np.ptp(shares[:, 0]) > 0.1
    assert np.all(project(rows[:0], labels[:0], head, PLAIN, rng()).shares(rows[:3]) == 1 / S)


def test_texts_that_do_not_differ_split_evenly():
    rows, labels, head = shard()
    same = np.repeat(rows[:1], len(labels), axis=0)
    assert np.allclose(project(same, labels, head, PLAIN, rng()).shares(rows), 1 / S)


def test_fewer_coordinates_than_directions():
    rows, labels, head = shard()
    found = project(rows[:, :4], labels, head[:, :4], PLAIN, rng()).shares(rows[:, :4])
    np.testing.assert_allclose(found.sum(axis=2), 1)
    assert np.ptp(found) > 0.1


def test_same_inputs_same_bits():
    rows, labels, head = shard()
    one, two = (project(rows, labels, head, Subclasses(), rng()).shares(rows) for _ in range(2))
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("bias", ["mean", "argmax"])
@pytest.mark.parametrize("bits", [1, 4, 8, 16])
def test_the_sum_over_subclasses_is_what_a_teacher_says_without(bits, bias):
    rows, labels, _ = shard()
    teacher = FrozenLinear().fit(rows, labels, C, rng())
    probs = teacher.predict(rows)
    voice = splitting(teacher, bits, (rows, labels), Subclasses(count=S), rng(), bias)
    codes, mean = voice.codes(probs, rows), voice.bias_codes(probs, rows)
    assert codes.shape == (len(rows), C * S)
    assert np.array_equal(merged_codes(codes, S), to_codes(probs, bits))
    assert np.array_equal(merged_codes(mean, S), Voice(bits, bias=bias).bias_codes(probs, rows))


def test_embeddings_and_head_give_the_prediction():
    """Up to the bias, which no subclass looks at."""
    rows, labels, _ = shard()
    linear = FrozenLinear().fit(rows, labels, C, rng())
    scores = linear.embed(rows) @ linear.head().T + linear.tensors()["weights"][:, -1]
    np.testing.assert_allclose(softmax(scores, axis=1), linear.predict(rows), atol=1e-5)
    mlp = FrozenMlp(hidden=8).fit(rows, labels, C, rng())
    scores = mlp.embed(rows) @ mlp.head().T + mlp.tensors()["output.bias"]
    np.testing.assert_allclose(softmax(scores, axis=1), mlp.predict(rows), atol=1e-5)


EMBEDDING = [kind for kind in kinds(Teacher) if find(Teacher, kind).embeds]


@pytest.mark.parametrize("kind", EMBEDDING)
def test_every_teacher_that_embeds_does(kind, tmp_path):
    teacher = small(Teacher, kind, save_tiny_bert(tmp_path))
    rows, labels, _ = shard(24)
    inputs = rows if teacher.reads == "features" else [f"good film {n % 5}" for n in labels]
    for held in (inputs, inputs[:0]):
        made = teacher.fit(held, labels[: len(held)], C, rng())
        embedded, head = made.embed(inputs), made.head()
        assert embedded.shape == (24, head.shape[1])
        assert head.shape[0] == C
        scores = embedded @ head.T
        level = np.log(made.predict(inputs)) - scores  # the bias, and one number for each text
        level -= level.mean(axis=1, keepdims=True)
        np.testing.assert_allclose(level, np.tile(level[:1], (24, 1)), atol=1e-3)
        assert made.embed(inputs[:0]).shape == (0, head.shape[1])


@pytest.mark.parametrize("kind", sorted(set(kinds(Teacher)) - set(EMBEDDING)))
def test_other_teachers_are_refused_before_anything_is_trained(kind):
    table = {"teacher": kind, "encoder": "hashing", "subclasses": {"count": 2}}
    with pytest.raises(ConfigError, match=r"no last linear layer.*write"):
        load(ClientConfig, table)
    assert load(ClientConfig, table | {"subclasses": {"count": 1}}).num_subclasses == 1


def test_settings_survive_and_none_is_the_default():
    assert ClientConfig().subclasses is None
    assert load(ClientConfig, {"subclasses": {}}).subclasses == Subclasses()
