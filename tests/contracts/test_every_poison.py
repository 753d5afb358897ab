"""What every poison must satisfy; members are enumerated, never named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.configure import dump, find, kind_of, kinds, load
from common.labels import LabelGeometry
from common.quantise import BITS, to_codes
from common.reasons import Reason
from common.records import Flags, Layout, encode
from server.admission import Admission
from simulations.poisoning.lies import lie
from simulations.poisons import Poison, Scene

every_poison = pytest.mark.parametrize(
    "poison", [pytest.param(find(Poison, kind)(), id=kind) for kind in kinds(Poison)]
)


def scene(seed: int, honest: int = 4, attackers: int = 2, samples: int = 6, labels: int = 5):
    """A scene in which honest clients say anything, on the grid of 8 bits."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet([0.3] * labels, size=(honest + attackers, samples))
    probs = to_codes(probs, 8).astype(np.float64) / 255
    names = [f"grade {c}" for c in range(labels)]
    return Scene(probs[:honest], probs[honest:], LabelGeometry.ordinal(names), rng)


@every_poison
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    honest=st.integers(1, 4),
    attackers=st.integers(1, 3),
    labels=st.integers(2, 7),
)
def test_lies_are_distributions(poison, seed, honest, attackers, labels):
    said = poison.say(scene(seed, honest, attackers, labels=labels))
    assert said.shape == (attackers * poison.voices, 6, labels)
    assert np.all(said >= 0)
    assert np.allclose(said.sum(axis=2), 1, atol=1e-12)


@every_poison
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("flags", [Flags.none, Flags.bias, Flags.scalar | Flags.num_examples])
def test_lies_pass_the_gate(poison, bits, flags):
    layout = Layout(6, 5, bits, flags, bytes(32))
    said = poison.say(scene(1))
    gate = Admission(layout, 1, set(range(len(said))))
    for client, probs in enumerate(said):
        payload = encode(lie(probs, client, layout), layout)
        assert gate.admit(client, payload) is Reason.accepted
        assert np.array_equal(gate.admitted[client].codes, to_codes(probs, bits))


@every_poison
def test_the_same_scene_gives_the_same_bits(poison):
    assert np.array_equal(poison.say(scene(3)), poison.say(scene(3)))


@every_poison
def test_attackers_change_nothing_in_place(poison):
    made = scene(4)
    honest, own = made.honest.copy(), made.own.copy()
    poison.say(made)
    assert np.array_equal(made.honest, honest)
    assert np.array_equal(made.own, own)


@every_poison
def test_it_comes_back_from_its_table(poison):
    table = {"kind": kind_of(poison)} | dump(poison)
    assert load(Poison, table) == poison
