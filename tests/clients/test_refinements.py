"""What teachers make of a consensus: formulas by hand, and laws for all that can."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from clients.config import ClientConfig
from clients.refinements import Lesson, Plan, Refinement, Stage, softened
from clients.teachers import Teacher
from clients.teachers._refining import digesting, revisiting
from clients.teachers.frozen_linear import FrozenLinear
from clients.teachers.frozen_mlp import FrozenMlp
from clients.teachers.sklearn import Sklearn
from common.configure import dump, find, kind_of, kinds, load
from common.failures import ConfigError
from common.seeds import stream
from tests.common.tiny_bert import save_tiny_bert
from tests.small import small

C, D, M, N = 3, 5, 24, 40
REFINABLE = [kind for kind in kinds(Teacher) if find(Teacher, kind).refines]
UNREFINABLE = sorted(set(kinds(Teacher)) - set(REFINABLE))
PLAN = Plan(Stage(6, None, None), Stage(1, None, None), 1.0, 1.0)
NAMES = ("good", "bad", "film")
TWO = np.arange(M) % 2


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_bert(tmp_path_factory.mktemp("model"))


@pytest.fixture(params=REFINABLE)
def teacher(request, model):
    return small(Teacher, request.param, model)


def inputs(teacher, labels, seed):
    rng = stream(seed, "inputs")
    if teacher.reads == "texts":
        return [" ".join([NAMES[c], *rng.choice(["the", "a", "is", "was"], 3)]) for c in labels]
    features = rng.normal(size=(len(labels), D)) + 3 * np.eye(C, D)[labels]
    return features.astype(np.float32)


def lesson_for(teacher, labels=TWO, shift=1):
    """The client knows two labels; the consensus calls every label by the next one's name."""
    shared = np.arange(N) % C
    consensus = 0.1 / C + 0.9 * np.eye(C)[(shared + shift) % C]
    return Lesson(inputs(teacher, shared, 1), consensus, inputs(teacher, labels, 2), labels)


def fitted(teacher, lesson):
    return teacher.fit(lesson.private, lesson.labels, C, stream(0, "fit"))


def agreement(made, lesson):
    probs = made.predict(lesson.shared).astype(np.float64)
    return float((lesson.consensus * np.log(probs)).sum(axis=1).mean())


def test_some_can_and_some_cannot():
    assert {"frozen_mlp", "frozen_linear", "sklearn", "tiny_transformer"} <= set(REFINABLE)
    assert {"constant", "oracle"} <= set(UNREFINABLE)


def test_a_refined_teacher_agrees_more_with_the_consensus(teacher):
    lesson = lesson_for(teacher)
    before = fitted(teacher, lesson)
    after = teacher.refine(before, lesson, PLAN, stream(0, "refine", 2))
    assert agreement(after, lesson) > agreement(before, lesson) + 0.01
    probs = after.predict(lesson.shared)
    assert probs.dtype == np.float32
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-6)


def test_the_teacher_before_and_the_lesson_are_left_as_they_were(teacher):
    lesson = lesson_for(teacher)
    before, kept = fitted(teacher, lesson), lesson.consensus.copy()
    said = before.predict(lesson.shared)
    teacher.refine(before, lesson, PLAN, stream(0, "refine", 2))
    assert before.predict(lesson.shared).tobytes() == said.tobytes()
    assert np.array_equal(lesson.consensus, kept)


def test_same_stream_same_bits_whatever_the_global_one(teacher):
    lesson = lesson_for(teacher)
    before, state = fitted(teacher, lesson), torch.get_rng_state()
    one = teacher.refine(before, lesson, PLAN, stream(0, "refine", 2))
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    two = teacher.refine(before, lesson, PLAN, stream(0, "refine", 2))
    assert one.predict(lesson.shared).tobytes() == two.predict(lesson.shared).tobytes()


def test_a_stored_one_predicts_the_same_bits_and_goes_on(teacher):
    lesson = lesson_for(teacher)
    made = teacher.refine(fitted(teacher, lesson), lesson, PLAN, stream(0, "refine", 2))
    recipe = load(Teacher, {"kind": kind_of(teacher), **dump(teacher)})
    again = recipe.restore(load_tensors(save_tensors(made.tensors())), C)
    assert again.predict(lesson.shared).tobytes() == made.predict(lesson.shared).tobytes()
    on = [teacher.refine(one, lesson, PLAN, stream(0, "refine", 3)) for one in (made, again)]
    assert on[0].predict(lesson.shared).tobytes() == on[1].predict(lesson.shared).tobytes()


def test_a_client_without_a_text_learns_from_the_others(teacher):
    lesson = lesson_for(teacher, labels=np.empty(0, np.int64))
    before = fitted(teacher, lesson)
    after = teacher.refine(before, lesson, PLAN, stream(0, "refine", 2))
    assert agreement(after, lesson) > agreement(before, lesson) + 0.01


@pytest.mark.parametrize("kind", UNREFINABLE)
def test_who_cannot_says_so_before_the_run(kind):
    table = {"teacher": kind, "refinement": "digest_revisit"}
    with pytest.raises(ConfigError, match=f"{kind}.*write") as failure:
        load(ClientConfig, table)
    assert "\n" not in str(failure.value)
    with pytest.raises(ConfigError, match=kind):
        load(Teacher, kind).refine(None, None, PLAN, stream(0, "refine"))
    assert load(ClientConfig, table | {"refinement": "none"}).refinement is None


def test_an_estimator_without_weights_of_examples_says_so_before_the_run():
    with pytest.raises(ConfigError, match="k_neighbours takes no weights"):
        load(
            ClientConfig,
            {
                "teacher": {"kind": "sklearn", "estimator": "k_neighbours"},
                "refinement": "digest_revisit",
            },
        )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_gradient_of_the_digest_is_that_of_kl_by_hand(temperature):
    rng = stream(0, "gradient")
    scores, consensus = rng.normal(size=(N, C)), rng.dirichlet(np.ones(C), N)
    consensus[0] = [1, 0, 0]
    rows = rng.permutation(N)[:7]
    z = torch.tensor(scores[rows], dtype=torch.float32, requires_grad=True)
    value = digesting(consensus, temperature)(z, torch.from_numpy(rows))
    value.backward()
    p = consensus[rows] ** (1 / temperature)
    p /= p.sum(axis=1, keepdims=True)
    q = softmax(scores[rows] / temperature, axis=1)
    np.testing.assert_allclose(z.grad, temperature * (q - p) / len(rows), atol=1e-6)
    cross = -(p * log_softmax(scores[rows] / temperature, axis=1)).sum(axis=1).mean()
    np.testing.assert_allclose(value.item(), temperature**2 * cross, rtol=1e-5)


def test_one_step_of_each_stage_is_adamw_by_hand():
    """No dropout, one batch a stage: the new weights follow from the old ones on paper."""
    teacher = FrozenMlp(hidden=4, dropout=0.0, weight_decay=0.1, epochs=1, min_steps=1)
    lesson = lesson_for(teacher)
    before = fitted(teacher, lesson)
    plan = Plan(Stage(1, 0.05, N), Stage(1, 0.01, M), 2.0, 1.0)
    after = teacher.refine(before, lesson, plan, stream(0, "refine")).tensors()
    net = {k: torch.tensor(v, requires_grad=True) for k, v in before.tensors().items()}
    soft = torch.tensor(softened(lesson.consensus, 2.0)).float()
    for rate, rows in ((0.05, lesson.shared), (0.01, lesson.private)):
        hidden = torch.relu(torch.tensor(rows) @ net["hidden.weight"].T + net["hidden.bias"])
        scores = hidden @ net["output.weight"].T + net["output.bias"]
        if rows is lesson.shared:
            loss = -4 * (soft * torch.log_softmax(scores / 2, 1)).sum(1).mean()
        else:
            loss = -torch.log_softmax(scores, 1)[np.arange(M), lesson.labels].mean()
        grads = torch.autograd.grad(loss, list(net.values()))
        # The first step of Adam goes by the sign of the gradient, but for epsilon.
        net = {
            k: (w * (1 - rate * 0.1) - rate * g / (g.abs() + 1e-8)).detach().requires_grad_()
            for (k, w), g in zip(net.items(), grads, strict=True)
        }
    for name, tensor in net.items():
        np.testing.assert_allclose(after[name], tensor.detach(), atol=2e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_linear_teacher_solves_the_joint_problem(temperature):
    teacher = FrozenLinear(penalty=3.0)
    lesson = lesson_for(teacher)
    plan = Plan(Stage(1, None, None), Stage(1, None, None), temperature, 0.5)
    made = teacher.refine(fitted(teacher, lesson), lesson, plan, stream(0, "refine"))
    own, shared = (np.c_[x, np.ones(len(x))] for x in (lesson.private, lesson.shared))
    soft = softened(lesson.consensus, temperature)

    def value(flat):
        w = flat.reshape(C, D + 1)
        said = log_softmax(own @ w.T, axis=1)[np.arange(M), lesson.labels]
        back = (soft * log_softmax(shared @ w.T / temperature, axis=1)).sum()
        return -said.sum() - 0.5 * temperature**2 * back + 1.5 * (w**2).sum()

    best = minimize(value, np.zeros(C * (D + 1)), method="BFGS").x.reshape(C, D + 1)
    np.testing.assert_allclose(made.tensors()["weights"], best, atol=1e-3)


def test_the_sklearn_teacher_is_fitted_to_weighted_rows():
    teacher = Sklearn(settings={"C": 2.0}, ngrams=1)
    lesson = lesson_for(teacher)
    plan = dataclasses.replace(PLAN, share=0.25)
    made = teacher.refine(fitted(teacher, lesson), lesson, plan, stream(0, "refine"))
    texts = [*lesson.private, *lesson.shared]
    words = TfidfVectorizer(token_pattern=r"(?u)\w+|[^\w\s]").fit(texts)
    rows = words.transform([*lesson.private, *np.repeat(lesson.shared, C)])
    labels = np.r_[lesson.labels, np.tile(np.arange(C), N)]
    weights = np.r_[np.ones(M), 0.25 * lesson.consensus.ravel()]
    oracle = LogisticRegression(C=2.0).fit(rows, labels, sample_weight=weights)
    expected = oracle.predict_proba(words.transform(lesson.shared))
    lifted = (1 - C * teacher.floor) * expected + teacher.floor
    np.testing.assert_allclose(made.predict(lesson.shared), lifted, atol=1e-3)


def test_revisiting_is_cross_entropy():
    scores = stream(0, "scores").normal(size=(4, C))
    labels, rows = np.array([0, 2, 1, 1, 0]), np.array([3, 0, 4, 1])
    value = revisiting(labels)(torch.tensor(scores), torch.from_numpy(rows))
    expected = -log_softmax(scores, axis=1)[np.arange(4), labels[rows]].mean()
    np.testing.assert_allclose(value.item(), expected)


def test_the_settings_become_a_plan():
    made = load(Refinement, {"kind": "digest_revisit", "digest_epochs": 3, "batch_size": 8})
    assert made.plan().digest == Stage(3, None, 8)
    assert made.plan().revisit.batch_size == 8
    for key, value in (("digest_epochs", -1), ("temperature", 0.0), ("share", 0.0)):
        with pytest.raises(ConfigError, match=key):
            load(Refinement, {"kind": "digest_revisit", key: value})
