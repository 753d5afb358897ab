"""The student's recipe, its size and its fingerprint."""

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from common.configure import find, kinds
from common.encoders.hashing import Hashing
from server.students import Student, count_parameters, fingerprint
from server.students.frozen_mlp import FrozenMlp


def build(seed: int = 0) -> nn.Module:
    return FrozenMlp().build(384, 5, np.random.default_rng(seed))


def rows(recipe: Student, n: int = 7) -> torch.Tensor:
    """What the student's own reader makes of some texts."""
    texts = [" ".join(["good", "bad", "film", ""][i % 4 :]) for i in range(n)]
    return torch.from_numpy(recipe.reader(Hashing(dimensions=12), texts).read(texts))


@pytest.mark.parametrize("kind", kinds(Student))
def test_a_student_speaks_in_log_probabilities(kind: str) -> None:
    recipe = find(Student, kind)()
    inputs = rows(recipe)
    module = recipe.build(inputs.shape[1], 3, np.random.default_rng(0))
    assert inputs.dtype == torch.float32
    log_q = module(inputs)
    assert log_q.shape == (7, 3)
    assert log_q.dtype == torch.float32
    assert torch.allclose(log_q.exp().sum(dim=1), torch.ones(7))


@pytest.mark.parametrize("kind", kinds(Student))
def test_its_first_weights_come_from_the_generator_alone(kind: str) -> None:
    def print_of(seed: int) -> str:
        return fingerprint(find(Student, kind)().build(12, 3, np.random.default_rng(seed)))

    before = torch.random.get_rng_state()
    assert print_of(1) == print_of(1)
    assert print_of(1) != print_of(2)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_first_weights_are_uniform_as_torch_draws_them() -> None:
    hidden = build().get_submodule("hidden")
    assert isinstance(hidden, nn.Linear)
    weights, bound = hidden.weight.detach(), 1 / np.sqrt(384)
    assert weights.abs().max() <= bound
    assert float(weights.std()) == pytest.approx(bound / np.sqrt(3), rel=0.02)


def test_count_of_parameters_leaves_out_what_is_not_trained() -> None:
    module = build()
    assert count_parameters(module) == 384 * 64 + 64 + 64 * 5 + 5
    module.get_submodule("hidden").requires_grad_(False)
    assert count_parameters(module) == 64 * 5 + 5


def test_fingerprint_by_hand() -> None:
    module = nn.Linear(2, 1)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[1.0, -2.0]]))
        module.bias.copy_(torch.tensor([0.5]))
    digest = hashlib.sha256()
    digest.update(b"bias\0float32\0[1]\0" + np.float32([0.5]).tobytes())
    digest.update(b"weight\0float32\0[1, 2]\0" + np.float32([1, -2]).tobytes())
    assert fingerprint(module) == digest.hexdigest()


def test_fingerprint_sees_one_bit_the_dtype_and_buffers() -> None:
    prints = {fingerprint(build()), fingerprint(build().to(torch.bfloat16))}
    changed, buffered = build(), build()
    with torch.no_grad():
        next(changed.parameters())[0, 0] *= 1 + 1e-6
    buffered.register_buffer("count", torch.tensor(3))
    assert len(prints | {fingerprint(changed), fingerprint(buffered)}) == 4
