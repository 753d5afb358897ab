"""The table of positive controls in ``docs/privacy.md`` names tests that exist, and all of them."""

import ast
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "privacy.md"
NAMED = re.compile(r"`([\w/]+\.py)::(\w+\*?)`")


def rows():
    """What stands in each row of the table."""
    text = PAGE.read_text(encoding="utf-8").split("\n## Positive controls\n")[1].split("\n## ")[0]
    return [line for line in text.splitlines() if line.startswith("| ")][1:]


def functions_in(path):
    """Test functions of a file, with what they say of themselves."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    tests = [n for n in body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]
    return {node.name: ast.get_docstring(node) or "" for node in tests}


@pytest.mark.parametrize("row", rows(), ids=[row.split("|")[1].strip() for row in rows()])
def test_a_row_names_tests_that_are_there(row):
    named = NAMED.findall(row)
    assert named
    assert row.count("::") == len(named)
    for file, name in named:
        assert [t for t in functions_in(TESTS / file) if fnmatchcase(t, name)], f"{file}::{name}"


def test_what_calls_itself_a_control_of_privacy_stands_in_the_table():
    named = {(file, name) for row in rows() for file, name in NAMED.findall(row)}
    files = {file for file, _ in named}
    for file in sorted(files):
        for name, about in functions_in(TESTS / file).items():
            if "ositive control" in about:
                assert any(f == file and fnmatchcase(name, n) for f, n in named), name
