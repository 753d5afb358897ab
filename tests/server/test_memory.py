import numpy as np
import pytest
import torch

from common.configure import find, kinds
from common.labels import LabelGeometry
from server.geometries.learned import Learned
from server.memory import (
    pack_geometry,
    pack_state,
    pack_student,
    restore_geometry,
    restore_state,
    restore_student,
)
from server.students import Student, fingerprint

LABELS = LabelGeometry.ordinal(("bad", "so-so", "good"), (0, 1, 2.5))


@pytest.mark.parametrize("kind", kinds(Student))
def test_a_student_comes_back_bit_by_bit(kind):
    recipe = find(Student, kind)()
    one, other = (recipe.build(8, 3, np.random.default_rng(seed)) for seed in (0, 1))
    assert fingerprint(one) != fingerprint(other)
    restore_student(other, pack_student(one))
    assert fingerprint(one) == fingerprint(other)
    assert not other.training


def test_what_a_weighting_remembers_comes_back_and_can_be_written_to():
    state = {
        "trust": np.random.default_rng(0).random((4, 3)),
        "turned": np.arange(6.0).reshape(2, 3).T,
        "count": np.array(7),
        "seen": np.array([True, False]),
        "none": np.zeros((0, 2), np.float32),
    }
    back = restore_state(pack_state(state))
    assert back.keys() == state.keys()
    for name, array in state.items():
        assert np.array_equal(back[name], array)
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
        back[name][...] = 0
    assert restore_state(pack_state({})) == {}


def test_a_learned_cost_comes_back_with_where_it_set_out_from():
    recipe = Learned(every=1)
    built = moved = recipe.build(LABELS)
    q, p = torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([[[0.1, 0.3, 0.6]]])
    for step in (1, 2, 3):
        moved = recipe.refine(moved, step, q, p, torch.ones(1, 1))
    back = restore_geometry(recipe.build(LABELS), pack_geometry(moved))
    assert not np.array_equal(back.cost, built.cost)
    assert np.array_equal(back.cost, moved.cost)
    after = [recipe.refine(g, 4, q, p, torch.ones(1, 1)).cost for g in (back, moved)]
    assert np.array_equal(*after)
