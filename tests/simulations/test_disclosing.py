"""What is said of bytes before there is data is what there is with it."""

from functools import cache

import numpy as np
import pytest

from simulations.catalogue import catalogue
from simulations.crossings import LABELLED
from simulations.disclosing import disclosure
from simulations.disclosure_tables import disclosed, rows
from simulations.experiment_file import read
from simulations.headers import methods
from simulations.manuals import disclosures
from simulations.preview import preview
from simulations.provision import divide
from tests.secure import SECURE
from tests.simulations.test_traffic import SETTINGS
from tests.worlds import tiny_with

CACHED = {"a part of the texts"}


@pytest.mark.parametrize("name", SETTINGS)
def test_bytes_are_those_of_the_plan(name):
    experiment = tiny_with(*SETTINGS[name])
    told, plan = disclosure(experiment), preview(experiment)
    assert told.rows == plan["rows"]["transfer"]
    assert told.labels == len(plan["labels"])
    first = plan["rounds"][0]
    assert (told.bytes_up, told.bytes_asked) == (first["up"], first["down"])
    assert sum(row["bytes_per_message"] for row in told.up) == told.bytes_up
    assert told.shrinks == (name in CACHED)
    if not told.shrinks:
        rounds = [{"up": load.bytes_up, "down": load.bytes_down} for load in told.loads]
        assert rounds == [{key: one[key] for key in ("up", "down")} for one in plan["rounds"]]
    later = len(plan["rounds"]) - 1
    assert plan["bytes_up_per_client"] <= told.bytes_up * (later + 1)
    most = told.bytes_asked * (later + 1) + told.bytes_back * later
    assert plan["bytes_down_per_client"] <= most
    if told.everyone and not told.shrinks:
        assert plan["bytes_down_per_client"] == most


def test_a_table_by_hand():
    """160 texts, a quarter of them shared, three labels: 56 bytes of header, 40 x 3 codes."""
    words = "num_rounds = 3; server.loss = 'kl'; server.weighting = 'uniform'; wire.bits_down = 4"
    refined = "server.feedback = 'student'; clients.refinement = 'digest_revisit'"
    lines = "\n".join(disclosed(tiny_with(words, refined)))
    assert "N = 40 shared texts, C = 3 labels." in lines
    assert "| predictions | uint8 | 40 x 3 | 120 |\n| together | | | 176 |" in lines
    assert "feedback `student` 40 x 3, in 4 bits: 116 bytes" in lines
    assert "In 3 rounds: 528 up, 364 down." in lines  # 3 x 44 + 2 x 116
    assert lines.endswith("**Public labels**: none.")


def test_what_is_not_known_is_said_to_be_at_most():
    some = "num_rounds = 3; data.num_clients = 5; data.partition = 'iid'"
    cohort = "server.cohort = { kind = 'round_robin', share = 0.4 }"
    assert ": at most " in list(disclosed(tiny_with(some, cohort)))[-3]
    assert "at most" not in "\n".join(disclosed(tiny_with(some)))
    assert not any("bit" in line for line in disclosed(tiny_with(*SECURE)) if "key" in line)


def test_a_data_set_of_which_nothing_is_known_is_refused():
    experiment = read("digits")
    assert experiment.data.dataset.extent() is None
    with pytest.raises(ValueError, match="nobody knows"):
        disclosure(experiment)


@cache
def table():
    return rows("")


@pytest.mark.parametrize("name", methods())
def test_every_method_has_a_row(name):
    (row,) = [line for line in table() if line.startswith(f"| [`{name}`]({name}.md) |")]
    told, made = disclosure(read(name)), read(name)
    for extra in made.disclosed:
        assert extra in row
    assert f"{told.bytes_up:,} bytes" in row
    assert (f"of {made.data.labelled_transfer} texts" in row) == bool(made.server.needs_labels)
    assert ("feedback" in row) == (made.server.feedback is not None)


@pytest.mark.data
@pytest.mark.parametrize("name", ["knot", "lelp", "knot_sick", "knot_meld"])
def test_the_shared_texts_are_as_many_as_is_said(name):
    experiment = read(name)
    if not experiment.data.dataset.is_cached():
        pytest.skip("its data set is not here")
    told, (corpus, parts) = disclosure(experiment), divide(experiment)
    assert told.labels == len(corpus.geometry)
    assert len(parts.transfer) == told.rows or (len(parts.transfer) < told.rows and not told.exact)
    assert len(np.unique(corpus.labels)) == told.labels


def test_all_that_needs_labels_is_in_the_tables():
    text = "\n".join(disclosures(catalogue("weightings") | catalogue("reweightings")))
    for setting in LABELLED:
        assert f"| `{setting}` | nothing else; the server needs public labels" in text
    schedule = "{ steps = 2 }"
    keys = tiny_with(
        "data.labelled_transfer = 8; server.loss = 'kl'; server.weighting = 'stacking'",
        f"server.label_weight = 0.5; server.fine_tuning = {schedule}",
        "server.pretraining = { start = true, teacher = false }; server.reweighting = 'rw_kd'",
    ).server.label_keys
    assert set(keys) == {*LABELLED, "server.weighting", "server.reweighting"}
    for family in ("weightings", "reweightings"):
        for member in catalogue(family)[family]:
            (row,) = [x for x in text.splitlines() if f"{family[:-1]} `{member['kind']}`" in x[:40]]
            assert ("public labels" in row) == bool(member["needs_public"])
