"""Every sentence a verdict can be, on figures made by hand."""

import pytest

from simulations.comparing.evidence import CONTROLS, MEASURES, Evidence
from simulations.comparing.paired import Difference
from simulations.comparing.verdicts import verdict


def gap(mean, half=0.006):
    return Difference((mean - 0.001, mean + 0.001), 0.5, 0.5, 0.01, half)


def evidence(seeds=5, missing=(), **given):
    """Differences by control: raw, fitted, sharpened, accuracy; a number or (number, half)."""
    standard = dict.fromkeys(CONTROLS, (-0.02, -0.02, -0.02, 0.0))
    found = {
        (control, measure): gap(*value) if isinstance(value, tuple) else gap(value)
        for control, values in (standard | given).items()
        if control not in missing
        for measure, value in zip(MEASURES, values, strict=True)
    }
    return Evidence("knot + transport", seeds, found, dict.fromkeys(missing, "why not"))


def said(**given):
    found = verdict(evidence(**given))
    assert found.sentence.startswith("knot + transport: ")
    assert found.sentence.endswith(".")
    assert "\n" not in found.sentence
    return found.finding, found.sentence, found.did_something


def test_geometry_that_beats_every_control():
    finding, sentence, did = said(kl=(-0.03, -0.025, -0.024, 0.0))
    assert (finding, did) == ("geometry", True)
    assert "geometry did something" in sentence
    assert "-0.020 ± 0.006 to symmetric_kl, fitted for likelihood" in sentence
    assert "discrete" not in sentence
    assert "accuracy" not in sentence


def test_discrete_costs_that_do_as_well_are_named():
    finding, sentence, _ = said(discrete=(0.0, 0.0, 0.001, 0.0))
    assert finding == "geometry"
    assert "not shown to be lower than with all labels equally far apart" in sentence
    assert "equally far apart" not in said(missing=("discrete",))[1]


def test_sharpening():
    finding, sentence, did = said(
        symmetric_kl=(-0.021, 0.005, -0.009, 0.0), permuted=(0.0, 0.007, 0.007, 0.0)
    )
    assert (finding, did) == ("sharpening", False)
    assert sentence == (
        "knot + transport: lower raw distance than kl by 0.020 ± 0.006, but not clearly at the "
        "temperature fitted for likelihood (+0.005 ± 0.006 to symmetric_kl) and not clearly than "
        "with permuted labels (+0.007 ± 0.006 fitted for likelihood, +0.007 ± 0.006 fitted for "
        "distance): sharpening, not geometry."
    )


def test_one_of_the_two_temperatures_is_enough_to_explain():
    for row in ((-0.02, -0.02, 0.001, 0.0), (-0.02, 0.001, -0.02, 0.0)):
        finding, sentence, _ = said(kl=row)
        assert finding == "sharpening"
        assert "permuted" not in sentence


def test_any_order_of_the_labels_gives_as_much():
    finding, sentence, did = said(permuted=(-0.001, 0.001, -0.002, 0.0))
    assert (finding, did) == ("permuted", False)
    assert "another order of the labels gives most of it" in sentence
    assert "at the temperature" not in sentence


def test_half_a_gain_within_a_wide_interval_is_not_called_sharpening():
    wide = (-0.018, 0.03)
    finding, sentence, did = said(kl=(-0.02, wide, wide, 0.0))
    assert (finding, did) == ("undecided", False)
    assert "5 seeds do not show that it is geometry, nor that it is not" in sentence


def test_a_gain_over_kl_that_symmetric_kl_also_has():
    finding, sentence, _ = said(symmetric_kl=(-0.001, 0.0, 0.0, 0.0))
    assert finding == "control"
    assert (
        "lower raw distance than kl by 0.020 ± 0.006, but not clearly than symmetric_kl" in sentence
    )
    assert "symmetric_kl, which knows no geometry, gives most of it" in sentence
    assert "+0.000 ± 0.006 to symmetric_kl) or fitted for distance" in sentence
    row = (0.001, 0.0, 0.0, 0.0)
    assert "which knows no geometry, gives as much" in said(symmetric_kl=row)[1]
    finding, sentence, _ = said(symmetric_kl=((-0.015, 0.02), 0.0, 0.0, 0.0))
    assert finding == "undecided"


def test_worse_than_its_controls():
    finding, sentence, did = said(kl=(0.02, 0.03, 0.02, 0.0), symmetric_kl=(0.01, 0.03, 0.02, 0.0))
    assert (finding, did) == ("worse", False)
    assert "higher raw distance than kl by 0.020 ± 0.006" in sentence
    assert "geometry did not help" in sentence


def test_worse_raw_but_better_at_both_temperatures_is_geometry():
    assert said(kl=(0.02, -0.02, -0.02, 0.0))[0] == "geometry"


def test_nothing_to_see():
    tie = (0.001, 0.001, 0.0, 0.0)
    finding, sentence, did = said(kl=tie, symmetric_kl=tie, permuted=tie)
    assert (finding, did) == ("nothing", False)
    assert "no raw difference to kl that 5 seeds can show (+0.001 ± 0.006" in sentence


@pytest.mark.parametrize(("name", "called"), [("permuted", "permuted labels"), ("kl", "kl")])
def test_the_same_student_as_a_control(name, called):
    made = evidence()
    zero = {(name, measure): Difference((0.0,) * 5, 1.0, 1.0, 0.05, 0.0) for measure in MEASURES}
    found = verdict(Evidence(made.arm, 5, {**made.found, **zero}, {}))
    assert (found.finding, found.did_something) == ("same", False)
    assert f"the very figures of {called} in every seed" in found.sentence


def test_one_seed_says_nothing():
    found = {(c, m): Difference((-0.02,)) for c in CONTROLS for m in MEASURES}
    made = verdict(Evidence("knot + transport", 1, found, {}))
    assert (made.finding, made.did_something) == ("one_seed", None)
    assert "one seed says nothing about variance" in made.sentence
    assert "-0.020 raw, -0.020 at the temperature fitted for likelihood" in made.sentence
    assert "±" not in made.sentence


def test_without_a_control_there_is_no_verdict():
    finding, sentence, did = said(missing=("permuted",))
    assert (finding, did) == ("no_control", None)
    assert "permuted labels is missing (why not)" in sentence
    assert said(missing=("kl", "symmetric_kl"))[0] == "no_control"
    assert said(missing=("kl",))[0] == "geometry"


@pytest.mark.parametrize(("change", "way"), [(-0.02, "lower"), (0.02, "higher")])
def test_accuracy_is_mentioned_where_it_moved(change, way):
    row = (-0.02, -0.02, -0.02, change)
    sentence = said(kl=row, symmetric_kl=row)[1]
    assert f"; its accuracy is {way} than that of kl by 0.020 ± 0.006." in sentence
    assert "accuracy" not in said(kl=row)[1] or way == "lower"


def test_the_harder_control_counts():
    made = evidence(kl=(-0.03, 0.01, -0.03, -0.01), symmetric_kl=(-0.02, -0.02, -0.02, 0.01))
    assert [made.best(m) for m in MEASURES] == ["symmetric_kl", "kl", "symmetric_kl", "kl"]
