"""The training loop: it learns, it repeats itself bit by bit, it leaves no traces."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.arrays import Floats
from common.component import component
from common.configure import find, kinds
from common.failures import ConfigError
from common.labels import LabelGeometry
from server.aggregators import Targets
from server.distil import Schedule, distil, predict, weighted_loss
from server.losses import DistillationLoss
from server.losses.kl import Kl
from server.losses.transport import Transport
from server.students import fingerprint
from server.students.frozen_mlp import FrozenMlp

GRADES = LabelGeometry.ordinal(list("abc"))
# Where an expected label tells distributions apart, unlike on a line.
CORNERS = LabelGeometry(tuple("abc"), np.eye(3), np.sqrt(2) * (1 - np.eye(3)))
SHORT = Schedule(steps=25, batch_size=32, learning_rate=1e-2)


def student() -> nn.Module:
    return FrozenMlp(hidden=16).build(6, 3, np.random.default_rng(0))


def lesson_of(teachers: int = 3, samples: int = 100) -> tuple[Floats, Targets]:
    """Features (N, 6) and teachers who read the first three of them, each with some noise."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(samples, 6)).astype(np.float32)
    scores = 2 * features[:, :3] + rng.normal(scale=0.3, size=(teachers, samples, 3))
    probs = np.exp(scores) / np.exp(scores).sum(axis=2, keepdims=True)
    weights = np.full((teachers, samples), 1 / teachers)
    return features, Targets(probs.astype(np.float32), weights.astype(np.float32))


@pytest.mark.parametrize("kind", kinds(DistillationLoss))
def test_student_comes_to_agree_with_its_teachers(kind: str) -> None:
    features, targets = lesson_of()
    module, loss = student(), find(DistillationLoss, kind)()
    schedule = Schedule(steps=100, batch_size=50, learning_rate=1e-2)
    history = distil(
        module, features, targets, loss, CORNERS, schedule, np.random.default_rng(2)
    ).losses
    wanted = targets.probs.mean(axis=0).argmax(axis=1)
    assert len(history) == 10
    assert history[-1] < history[0]
    assert np.mean(predict(module, features).argmax(axis=1) == wanted) > 0.9


def test_same_description_same_bits() -> None:
    features, targets = lesson_of()

    def train(seed: int) -> tuple[list[float], str]:
        module = student()
        rng = np.random.default_rng(seed)
        lesson = distil(module, features, targets, Transport(), GRADES, SHORT, rng)
        return lesson.losses, fingerprint(module)

    first = train(1)
    torch.rand(3)  # what others draw in between does not matter
    assert train(1) == first
    assert train(2) != first


def test_the_global_generator_is_left_as_found() -> None:
    features, targets = lesson_of()
    before = torch.random.get_rng_state()
    distil(student(), features, targets, Kl(), GRADES, SHORT, np.random.default_rng(0))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_every_sample_is_seen_once_per_epoch_in_batches_of_one_size() -> None:
    seen: list[torch.Tensor] = []

    class Recorder(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            seen.append(input[:, 0].long())
            return super().forward(input).log_softmax(dim=1)

    features = np.arange(50, dtype=np.float32)[:, None]
    targets = Targets(np.full((1, 50, 3), 1 / 3, np.float32), np.ones((1, 50), np.float32))
    schedule = Schedule(steps=8, batch_size=16, learning_rate=1e-6)
    distil(Recorder(1, 3), features, targets, Kl(), GRADES, schedule, np.random.default_rng(0))
    assert [len(batch) for batch in seen] == [13, 13, 12, 12] * 2
    epochs = [torch.cat(seen[:4]), torch.cat(seen[4:])]
    assert all(torch.equal(epoch.sort().values, torch.arange(50)) for epoch in epochs)
    assert not torch.equal(*epochs)


def test_one_step_is_adamw_on_the_weighted_loss() -> None:
    features, targets = lesson_of(samples=20)
    module = FrozenMlp(hidden=4, dropout=0.0).build(6, 3, np.random.default_rng(0))
    twin = copy.deepcopy(module)
    schedule = Schedule(steps=1, batch_size=20, learning_rate=0.1, weight_decay=0.5)
    taught = distil(module, features, targets, Kl(), GRADES, schedule, np.random.default_rng(0))
    history = taught.losses
    optimizer = torch.optim.AdamW(twin.parameters(), lr=0.1, weight_decay=0.5, foreach=False)
    log_q = twin(torch.from_numpy(features))
    value = torch.zeros(())
    for probs, weights in zip(targets.probs, targets.weights, strict=True):
        losses = nn.functional.kl_div(log_q, torch.from_numpy(probs), reduction="none").sum(dim=1)
        value = value + (torch.from_numpy(weights) * losses).mean()
    value.backward()
    optimizer.step()
    assert history == [pytest.approx(value.item(), rel=1e-5)]
    for mine, theirs in zip(module.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


def test_weighted_loss_by_hand() -> None:
    log_q = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]).clamp_min(1e-30).log()
    probs = torch.eye(3)[[0, 2, 2, 2]].reshape(2, 2, 3)
    weights = torch.tensor([[0.75, 0.5], [0.25, 0.5]])
    # First sample: half a label to grade a, one and a half to grade c; the second is right.
    expected = (0.75 * 0.5 + 0.25 * 1.5 + 0) / 2
    assert weighted_loss(Transport(), log_q, probs, weights, GRADES).item() == expected


def test_progress_counts_the_steps() -> None:
    features, targets = lesson_of()
    told: list[tuple[int, int]] = []
    distil(
        student(),
        features,
        targets,
        Kl(),
        GRADES,
        Schedule(steps=3),
        np.random.default_rng(0),
        lambda done, total: told.append((done, total)),
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_inputs_may_be_read_only_and_are_not_written_to() -> None:
    features, targets = lesson_of()
    kept = features.copy()
    for array in (features, targets.probs, targets.weights):
        array.flags.writeable = False
    distil(student(), features, targets, Kl(), GRADES, SHORT, np.random.default_rng(0))
    assert np.array_equal(features, kept)


def test_predict_is_free_of_dropout_and_of_the_batching() -> None:
    module = student().train()
    features = np.random.default_rng(0).normal(size=(4100, 6)).astype(np.float32)
    probs = predict(module, features)
    assert probs.shape == (4100, 3)
    assert probs.dtype == np.float32
    assert np.allclose(probs.sum(axis=1), 1, atol=1e-6)
    assert np.allclose(probs[4090:], predict(module, features[4090:]), atol=1e-6)
    assert probs.tobytes() == predict(module, features).tobytes()


def test_a_loss_that_cannot_serve_the_labels_is_refused_before_training() -> None:
    @component
    class Choosy(DistillationLoss):
        def __call__(self, log_q: Tensor, p: Tensor, geometry: LabelGeometry) -> Tensor:
            return log_q.sum(dim=1)

        def check(self, geometry: LabelGeometry) -> None:
            raise ConfigError("write another loss")

    features, targets = lesson_of()
    module = student()
    before = fingerprint(module)
    with pytest.raises(ConfigError, match="write another loss"):
        distil(module, features, targets, Choosy(), GRADES, SHORT, np.random.default_rng(0))
    assert fingerprint(module) == before


@pytest.mark.parametrize(
    ("field", "value"), [("probs", np.nan), ("probs", -0.5), ("probs", 3.0), ("weights", np.inf)]
)
def test_targets_that_are_none_are_refused_before_training(field: str, value: float) -> None:
    features, targets = lesson_of()
    getattr(targets, field)[0, 3] = value
    module = student()
    before = fingerprint(module)
    with pytest.raises(ValueError, match="must"):
        distil(module, features, targets, Transport(), GRADES, SHORT, np.random.default_rng(0))
    assert fingerprint(module) == before


def test_a_learned_geometry_is_told_of_every_step_and_handed_back() -> None:
    features, targets = lesson_of()
    told: list[int] = []

    def refine(
        geometry: LabelGeometry, step: int, q: Tensor, p: Tensor, weights: Tensor
    ) -> LabelGeometry:
        told.append(step)
        assert [x.shape for x in (q, p, weights)] == [(25, 3), (3, 25, 3), (3, 25)]
        assert not q.requires_grad
        return LabelGeometry.ordinal(list("abc"), [0, 1, 1 + step])

    schedule = Schedule(steps=4, batch_size=25)
    taught = distil(
        student(),
        features,
        targets,
        Transport(),
        GRADES,
        schedule,
        np.random.default_rng(0),
        refine=refine,
    )
    assert told == [1, 2, 3, 4]
    assert taught.geometry.points[:, 0].tolist() == [0, 1, 5]


def test_divergence_is_said_in_one_line() -> None:
    features, targets = lesson_of()
    wild = Schedule(steps=20, learning_rate=1e30)
    with pytest.raises(ConfigError, match="smaller learning_rate"):
        distil(student(), features, targets, Kl(), GRADES, wild, np.random.default_rng(0))


class _Unsound(nn.Module):
    """Learns like any other, and says nothing of use when it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, rows: Tensor) -> Tensor:
        said = self.layer(rows).log_softmax(dim=1)
        return said if self.training else said * torch.nan


def test_divergence_that_only_the_held_out_texts_show_is_said_in_one_line() -> None:
    features, targets = lesson_of()
    held = Schedule(steps=20, holdout=0.2)
    with pytest.raises(ConfigError, match="smaller learning_rate"):
        distil(_Unsound(), features, targets, Kl(), GRADES, held, np.random.default_rng(0))


def test_dropout_is_on_while_training_and_off_afterwards() -> None:
    modes: list[bool] = []
    features, targets = lesson_of()
    module = student().eval()
    module.register_forward_hook(lambda layer, _, __: modes.append(layer.training))
    distil(module, features, targets, Kl(), GRADES, SHORT, np.random.default_rng(0))
    assert modes == [True] * 25
    assert not module.training
