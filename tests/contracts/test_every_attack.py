"""What every attack keeps, found by its family and never listed by hand."""

import json
import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from clients.mechanisms import Mechanism
from clients.teachers.frozen_linear import FrozenLinear
from common.configure import dump, find, kinds, load
from common.encoders.numbers import Numbers
from simulations.attacks import Attack
from simulations.attacks._scene import narrowed, set_up
from simulations.attacks._stores import open_run
from simulations.attacks._taken import take
from simulations.events import silent
from simulations.runner import execute
from tests.simulations.attacks.scenes import SMALL, game
from tests.worlds import tiny_with

SIZE = replace(SMALL, targets=8, shadows=8, federations=(2, 4), audits=4)
FEATURES = 16  # as many as the encoder of the tiny world gives
EVERY = pytest.mark.parametrize("kind", kinds(Attack))


@lru_cache(maxsize=1)
def of_texts():
    """Made-up features; the texts are numbers, which count as words."""
    return few(game(FrozenLinear(penalty=0.1), signal=1.0, features=FEATURES, size=SIZE))


@lru_cache(maxsize=1)
def of_pictures():
    """The same game, in which every feature is a grey value."""
    made = game(FrozenLinear(penalty=0.1), signal=1.0, features=FEATURES, size=SIZE)
    return few(replace(made, encoder=Numbers(dimensions=FEATURES)))


def few(made):
    """Of the rows the control, the experiment's own, and the guarantee."""
    scene = set_up(made, silent)
    return narrowed(scene, (*scene.rows[:2], scene.rows[-1]))


SCENES = pytest.mark.parametrize("scene", [of_texts, of_pictures])


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """A finished run of clients that look at features."""
    home = tmp_path_factory.mktemp("attacked") / "run"
    linear = tiny_with("clients.teacher = { kind = 'frozen_linear', penalty = 0.1 }")
    execute(linear, "synthetic", out=home, backend="inline", address=None, progress=silent)
    return take(open_run(home, SIZE), silent)


def played(kind, scene):
    """Its findings as JSON; None where it cannot be played, with a reason that is one line."""
    attack = find(Attack, kind)()
    if (why := attack.obstacle(scene)) is not None:
        assert_one_line(why)
        return None
    return written(attack.run(scene))


def written(findings):
    return json.loads(json.dumps([vars(f) for f in findings], allow_nan=False))


def assert_one_line(text):
    assert text.strip() == text
    assert text
    assert "\n" not in text


def assert_told(found, kind):
    assert found
    for one in found:
        assert one["attack"] == kind
        assert one["defence"]
        assert one["place"]
        assert_one_line(one["sentence"])
        assert one["sentence"].endswith(".")
        if one["fault"]:
            assert_one_line(one["fault"])
        for value in one["figures"].values():
            assert not isinstance(value, float) or math.isfinite(value)
        assert_sound(one["figures"])


def assert_sound(figures):
    """Where candidates were ranked, intervals hold the figures, which are shares."""
    if "auc" not in figures:
        return
    spans = [(figures["auc"], figures["auc_interval"])]
    spans += [(figures["tpr"][rate], figures["tpr_interval"][rate]) for rate in figures["tpr"]]
    for value, (low, high) in spans:
        assert 0 <= low <= value <= high <= 1
    assert 0 < figures["negatives"] < figures["decisions"]
    for bound in figures.get("bound", {}).values():
        assert 0 <= bound <= 1


@EVERY
def test_it_comes_back_from_its_table_and_names_its_source(kind):
    attack = load(Attack, {"kind": kind})
    assert load(Attack, {"kind": kind, **dump(attack)}) == attack
    assert type(attack) is find(Attack, kind)
    assert "20" in type(attack).__doc__  # the year of a paper


@EVERY
@SCENES
def test_the_same_scene_gives_the_same_findings_and_they_are_sound(kind, scene):
    scene = scene()
    before = [np.copy(row.targets.shared) for row in scene.rows]
    found = played(kind, scene)
    if found is not None:
        assert_told(found, kind)
        names = {row.defence.name for row in scene.rows} | set(kinds(Mechanism))
        assert {one["defence"] for one in found} <= names
        assert found == played(kind, scene)
    for copy, row in zip(before, scene.rows, strict=True):  # it is left as it was
        np.testing.assert_array_equal(copy, row.targets.shared)


@EVERY
def test_it_can_be_played_somewhere(kind):
    attack = find(Attack, kind)()
    assert any(attack.obstacle(scene()) is None for scene in (of_texts, of_pictures))


@EVERY
def test_a_finished_run_is_attacked_likewise_or_it_is_said_why_not(kind, taken):
    attack = find(Attack, kind)()
    if (why := attack.obstacle_in(taken)) is not None:
        assert_one_line(why)
        return
    found = written(attack.against(taken))
    assert_told(found, kind)
    assert found == written(attack.against(taken))
    assert {one["defence"] for one in found} <= {*taken.rows, *kinds(Mechanism)}
