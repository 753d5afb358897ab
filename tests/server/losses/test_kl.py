"""Forward divergence against scipy."""

import pytest
from scipy.special import rel_entr

from server.losses.kl import Kl
from tests.server.losses.pairs import FLAT, assert_minimal, pairs, teachers


def test_kl_is_what_scipy_says() -> None:
    q, p = pairs()
    expected = rel_entr(p.numpy(), q.numpy()).sum(axis=1)
    assert Kl()(q.log(), p, FLAT).numpy() == pytest.approx(expected)


def test_kl_is_zero_at_the_target() -> None:
    _, p = pairs()
    log_q = p.clamp_min(1e-300).log()
    assert Kl()(log_q, p, FLAT).abs().max() < 1e-12


def test_several_teachers_are_averaged() -> None:
    p, weights = teachers()
    assert_minimal(Kl(), (weights[..., None] * p).sum(dim=0), p, weights)
