"""What a sweep's metrics are drawn against: every key that is a scale, also skew by its alpha."""

import json
import re

import pytest

from simulations.sweeping.asked import typed
from simulations.sweeping.figures import axes_of
from simulations.sweeping.grid import short, written
from simulations.sweeping.report import build_sweep_report
from simulations.sweeping.table import over_seeds, scale

SKEW = "data.partition"
METRICS = ("accuracy", "macro_f1", "semantic_distance", "ece")


def dirichlet(alpha, **more):
    return {"kind": "dirichlet", "alpha": alpha} | more


@pytest.mark.parametrize(
    ("values", "name", "numbers"),
    [
        ([4, 16.5], SKEW, [4.0, 16.5]),
        ([7], SKEW, [7.0]),
        ([dirichlet(0.1), dirichlet(100)], f"{SKEW}.alpha", [0.1, 100.0]),
        ([dirichlet(0.1, min_size=2), dirichlet(1.0, min_size=2)], f"{SKEW}.alpha", [0.1, 1.0]),
        ([{"steps": 2}, {"steps": 4}], f"{SKEW}.steps", [2.0, 4.0]),
        ([{"a": {"b": 1, "c": 0}}, {"a": {"b": 2, "c": 0}}], f"{SKEW}.a.b", [1.0, 2.0]),
        ([dirichlet(0.1)], SKEW, None),
        ([dirichlet(0.1, min_size=2), dirichlet(1.0, min_size=3)], SKEW, None),
        ([dirichlet(0.1), dirichlet(1.0, min_size=3)], SKEW, None),
        ([dirichlet(0.1), {"kind": "quantity", "alpha": 1.0}], SKEW, None),
        ([dirichlet(0.1), "iid"], SKEW, None),
        ([{"on": True}, {"on": False}], SKEW, None),
        ([True, False], SKEW, None),
        (["kl", "transport"], SKEW, None),
        ([[1], [2]], SKEW, None),
    ],
)
def test_a_key_is_a_scale_where_one_number_differs(values, name, numbers):
    assert scale(SKEW, values) == (name, numbers)


def swept(**vary):
    """``sweep.json`` of a grid with two seeds, with made-up figures."""
    keys = [key.replace("__", ".") for key in vary]
    listed = dict(zip(keys, vary.values(), strict=True))
    found = {key: list(map(written, values)) for key, values in listed.items()}
    grid = [[]]
    for names in found.values():
        grid = [[*told, name] for told in grid for name in names]
    settings = []
    for place, told in enumerate(grid):
        seeds = [dict.fromkeys(METRICS, 0.3 + 0.01 * place + 0.02 * s) for s in range(2)]
        figures = {state: over_seeds(seeds) for state in ("raw", "fitted")}
        settings.append({"values": told, "complete": 2, "of": 2, **figures})
    measured = [scale(key, values) for key, values in listed.items()]
    made = {
        "experiment": "x",
        "vary": found,
        "numbers": {key: numbers for key, (_, numbers) in zip(keys, measured, strict=True)},
        "titles": short(keys),
        "axes": short([name for name, _ in measured]),
        "seeds": [0, 1],
        "cells": [],
        "settings": settings,
        "notes": [],
    }
    return json.loads(json.dumps(made))


def pictures(made):
    """The alternative texts of the page's pictures."""
    return re.findall(r'<svg[^>]*aria-label="([^"]*)"', build_sweep_report(made))


def test_metrics_are_drawn_with_intervals_against_clients_and_against_skew():
    made = swept(data__num_clients=[4, 64], data__partition=[dirichlet(0.1), dirichlet(100.0)])
    told = pictures(made)
    for heading in ("Accuracy", "Semantic distance"):
        for axis in ("num_clients", "alpha"):
            assert f"{heading} against {axis}, with 95 % intervals over seeds" in told
    assert "Heat map: accuracy, mean over seeds, by alpha and num_clients" in told
    clients, skew = axes_of(made)
    assert (skew.title, skew.labels, skew.is_wide) == ("alpha", ("0.1", "100"), True)
    assert (clients.title, clients.is_wide) == ("num_clients", True)
    page = build_sweep_report(made)
    assert all(line in page for line in ("alpha 0.1", "alpha 100", "num_clients 64"))


def test_where_nothing_is_a_scale_the_first_key_is_drawn():
    told = pictures(swept(server__loss=["kl", "transport"], server__weighting=["knot", "uniform"]))
    against = [text for text in told if " against " in text]
    assert len(against) == 4
    assert all(" against loss, " in text for text in against)


def test_a_table_of_an_earlier_version_is_drawn():
    made = swept(data__num_clients=[4, 8], data__partition=[dirichlet(0.1), dirichlet(1.0)])
    made.pop("axes")
    made["numbers"]["data.partition"] = None
    assert "Accuracy against num_clients, with 95 % intervals over seeds" in pictures(made)


def test_the_shipped_sweep_over_skew_is_drawn_against_it():
    measured = [scale(key, values) for key, values in typed("skew").vary]
    assert measured == [
        ("data.num_clients", [4.0, 16.0, 64.0, 256.0]),
        ("data.partition.alpha", [0.1, 1.0, 100.0]),
    ]
