"""The closed form against differences of all pairs."""

import pytest
import torch

from server.losses.comparative import Comparative
from tests.server.losses.pairs import FLAT, assert_minimal, pairs, teachers


@pytest.mark.parametrize("rows", [2, 3, 12])
def test_the_closed_form_is_the_mean_over_all_pairs(rows: int) -> None:
    q, p = pairs(rows)
    of_student, of_target = q[:, None] - q[None], p[:, None] - p[None]
    expected = (of_student - of_target).square().sum(dim=2).mean(dim=1)
    assert torch.allclose(Comparative()(q.log(), p, FLAT), expected)


def test_an_error_made_everywhere_costs_nothing() -> None:
    p = torch.tensor([[0.2, 0.3, 0.5], [0.3, 0.3, 0.4], [0.5, 0.2, 0.3]])
    q = p + torch.tensor([0.1, -0.15, 0.05])
    assert Comparative()(q.log(), p, FLAT).max() < 1e-12


def test_one_sample_has_nothing_to_compare() -> None:
    q, p = pairs(2)
    assert torch.equal(Comparative()(q[:1].log(), p[:1], FLAT), torch.zeros(1).double())


def test_the_largest_error_is_eight() -> None:
    log_q = (1e3 * torch.eye(2)).log_softmax(dim=1).repeat(50, 1)
    p = torch.eye(2).roll(1, dims=0).repeat(50, 1)
    p[0] = torch.tensor([1.0, 0.0])
    assert Comparative()(log_q, p, FLAT).max() < 8


def test_several_teachers_are_averaged_if_trusted_equally_everywhere() -> None:
    p, weights = teachers()
    same = weights[:, :1].expand_as(weights)
    q = (same[..., None] * p).sum(dim=0)
    assert_minimal(Comparative(), q, p, same)
