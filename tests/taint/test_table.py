"""The table of controls in ``docs/privacy.md`` has one row for each leak, and names its tests."""

import ast
import re
from pathlib import Path

import pytest

from common.faults import LEAKS
from tests.taint.controls import CONTROLS

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "privacy.md"
OTHERS = {"broken_row", "leaks_beside_masked_words"}
"""Controls that no single leak of :data:`common.faults.LEAKS` makes."""


def rows():
    """Names in the first column, what catches it, and names in the last, row by row."""
    _, _, after = PAGE.read_text(encoding="utf-8").partition("| control | what is injected |")
    table = after.split("\n\n")[0].splitlines()[2:]
    cells = [row.split("|")[1:-1] for row in table]
    return [(_named(row[0]), row[2], _named(row[3])) for row in cells]


def _named(cell):
    return re.findall(r"`(\w+)`", cell)


def functions():
    """Names of all tests of whole runs."""
    body = ast.parse((HERE / "test_taint.py").read_text(encoding="utf-8")).body
    return [n.name for n in body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]


def test_every_control_has_a_row_and_every_row_is_a_control():
    listed = [name for names, _, _ in rows() for name in names]
    assert len(listed) == len(set(listed))
    assert set(listed) - {"num_examples"} == set(LEAKS) | OTHERS


def test_every_leak_of_a_client_is_a_control_of_the_run_with_all_of_them():
    """But for the one that prints a number, which only a run with unlike numbers can show."""
    clients = {name for name in LEAKS if not name.startswith("server_")} - {"print_number"}
    assert {control.name for control in CONTROLS} == clients | {"broken_row"}


@pytest.mark.parametrize("row", rows(), ids=[row[0][0] for row in rows()])
def test_a_row_names_tests_that_are_there(row):
    assert row[2]
    for test in row[2]:
        assert [name for name in functions() if f"test_{test}" in name], test


def test_a_row_says_how_its_control_is_caught():
    """By the gate, with this code; or by the search, and not both."""
    said = {name: how for names, how, _ in rows() for name in names}
    for control in CONTROLS:
        if control.status[0] == "quarantined" and control.verdict is not None:
            assert f"gate, `{control.verdict}`" in said[control.name]
        assert ("search" in said[control.name]) == bool(control.found)
