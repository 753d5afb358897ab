"""The table of the fault tests in ``docs/reliability.md`` names tests that exist."""

import ast
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reliability.md"
NAMED = re.compile(r"`([\w/]+\.py)::(\w+\*?)`")


def rows():
    """Number of the fault, and what stands in its row."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [(int(m[1]), line) for line in lines if (m := re.match(r"\| R(\d+) \|", line))]


def functions_in(path):
    """Names of all test functions of a file."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return [n.name for n in body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]


def test_every_fault_has_a_row():
    assert [number for number, _ in rows()] == list(range(1, 31))


@pytest.mark.parametrize(("number", "row"), rows(), ids=[f"R{number}" for number, _ in rows()])
def test_a_row_names_tests_that_are_there(number, row):
    named = NAMED.findall(row)
    assert named
    assert row.count("::") == len(named)
    for file, name in named:
        assert [t for t in functions_in(TESTS / file) if fnmatchcase(t, name)], f"{file}::{name}"


def test_the_tests_of_this_package_stand_in_the_row_of_their_number():
    table = dict(rows())
    for path in Path(__file__).parent.glob("test_*.py"):
        for name in functions_in(path):
            if number := re.match(r"test_r(\d+)_", name):
                patterns = [n for f, n in NAMED.findall(table[int(number[1])]) if path.name in f]
                assert any(fnmatchcase(name, pattern) for pattern in patterns), name
