"""What teachers are worth together: by which weights, and that test rows make none."""

import numpy as np
import pytest

from common.configure import load
from common.encoders import Encoder
from common.terms import Terms
from server.weightings.exp_guard import ExpGuard
from simulations.events import silent
from simulations.examination import open_examination
from simulations.loop import federate
from simulations.opened import Opened, open_stores
from simulations.provision import divide
from tests.worlds import stocked, tiny_with


def opened(folder, *words) -> Opened:
    experiment = tiny_with(*words)
    stocked(experiment, folder)
    federate(folder, silent)
    terms = Terms.read(folder / "terms.json")
    exam = open_examination(folder, terms, *divide(experiment), silent)
    return open_stores(experiment, folder, exam, load(Encoder, dict(terms.encoder)))


def test_a_rule_over_many_texts_finds_no_weights_in_test_rows(tmp_path):
    """Told apart: by its scores over the test rows the mixture would be another."""
    found = opened(tmp_path / "run", "server.weighting = { kind = 'exp_guard', strength = 50 }")
    probs = np.stack([test for test, _ in found.alone().values()])
    assert found.together()[0] == pytest.approx(probs.mean(axis=0), abs=1e-6)
    guard = ExpGuard(strength=50)
    weights = guard.weigh(found._ensemble("test"), guard.start(len(probs)))
    other = np.einsum("kn,knc->nc", weights / weights.sum(axis=0), probs)
    assert np.abs(other - probs.mean(axis=0)).max() > 0.01


def test_a_rule_for_each_text_weighs_at_test_time_as_in_the_run(tmp_path):
    found = opened(tmp_path / "run", "server.weighting = 'margin'")
    probs = np.stack([test for test, _ in found.alone().values()])
    top = np.sort(probs, axis=2)
    margins = top[:, :, -1] - top[:, :, -2]
    expected = np.einsum("kn,knc->nc", margins / margins.sum(axis=0), probs)
    assert found.together()[0] == pytest.approx(expected, abs=1e-5)
