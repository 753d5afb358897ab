import hashlib
import struct
from dataclasses import fields, replace

import numpy as np
import pytest

from common.records import HEADER, Flags
from common.terms import Terms

TERMS = Terms(
    run="ab" * 16,
    site="cd" * 16,
    num_rounds=2,
    num_clients=4,
    k_min=3,
    labels=("low", "middle", "high"),
    points=[[-2.2], [0.1], [1 / 3]],
    cost=[[0, 2.3, 2.2 + 1 / 3], [2.3, 0, 1 / 3 - 0.1], [2.2 + 1 / 3, 1 / 3 - 0.1, 0]],
    rows=10,
    transfer_sha256="ef" * 32,
    blanks="content_free",
    blanks_sha256="01" * 32,
    bits=4,
    disclosed=("bias", "num_examples"),
    encoder={"kind": "hashing", "dimensions": 16},
)


def test_what_is_saved_is_read_bit_by_bit(tmp_path):
    TERMS.save(tmp_path / "terms.json")
    back = Terms.read(tmp_path / "terms.json")
    assert back == TERMS
    assert np.array_equal(back.geometry.points, np.array(TERMS.points))
    assert np.array_equal(back.geometry.cost, np.array(TERMS.cost))
    assert (back.binding, back.layout) == (TERMS.binding, TERMS.layout)


def test_the_binding_by_hand():
    digest = hashlib.sha256(b"fedknot binding 1")
    for part in ("ab" * 16, "ef" * 32, "01" * 32, "low", "middle", "high", "1"):
        digest.update(struct.pack("<I", len(part)) + part.encode())
    assert TERMS.binding == digest.digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"run": "ac" * 16},
        {"transfer_sha256": "ee" * 32},
        {"blanks_sha256": "02" * 32},
        {"labels": ("middle", "low", "high")},
        {"labels": ("low", "middle", "High")},
        {"labels": ("lowm", "iddle", "high")},
        {"labels": ("low", "middle")},
        {"labels": ("low", "middle", "high", "1")},
        {"labels": ("low", "middle", "\ud800")},
    ],
)
def test_whoever_means_something_else_has_another_binding(changes):
    assert replace(TERMS, **changes).binding != TERMS.binding


def test_where_the_stores_are_is_not_part_of_what_is_agreed():
    assert replace(TERMS, site="00" * 16).binding == TERMS.binding


def test_the_layout_is_the_one_that_was_agreed_on():
    layout = TERMS.layout
    assert (layout.rows, layout.classes, layout.bits, layout.schema) == (10, 3, 4, 1)
    assert layout.flags == Flags.bias | Flags.num_examples
    assert layout.binding == TERMS.binding
    assert layout.length == HEADER.size + 15 + 2 + 4
    assert replace(TERMS, disclosed=()).layout.flags == Flags.none


def test_terms_hold_public_matters_only():
    assert {field.name for field in fields(Terms)} == {
        "run",
        "site",
        "num_rounds",
        "num_clients",
        "k_min",
        "labels",
        "points",
        "cost",
        "rows",
        "transfer_sha256",
        "blanks",
        "blanks_sha256",
        "bits",
        "disclosed",
        "encoder",
        "bias",
        "bits_down",
        "subclasses",
        "secure_sum",
        "cache",
    }


def test_subclasses_are_another_schema_of_as_many_columns_and_bound():
    split = replace(TERMS, subclasses=4)
    layout = split.layout
    assert (layout.schema, layout.classes, layout.subclasses) == (2, 12, 4)
    assert layout.length == HEADER.size + 60 + 6 + 4
    assert split.binding != TERMS.binding
    assert split.layout_down is None
