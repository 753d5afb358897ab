"""Files that cannot be used, by the command: one line, the code of its kind, no private text."""

import sys

import pytest

from simulations import cli
from tests.tables import rows, write_csv

PRIVATE = "quite private words"


@pytest.fixture
def plan(tmp_path, monkeypatch, capsys):
    """``fedknot plan --quick`` of an experiment of files in this folder."""

    def call(*paths, more="", clients=2, partition="'iid'", labels=""):
        here = [str(tmp_path / path) for path in paths]
        experiment = tmp_path / "mine.toml"
        experiment.write_text(
            f"[data]\nnum_clients = {clients}\nvalidation_size = 5\npartition = {partition}\n"
            f"[data.dataset]\nkind = 'files'\npaths = {here}\n"
            f"labels = {{ names = ['bad', 'fair', 'good']{labels} }}\n"
            f"{more}\n[clients]\nencoder = 'hashing'\n"
        )
        monkeypatch.setattr(sys, "argv", ["fedknot", "plan", str(experiment), "--quick"])
        code = cli._call()
        out, err = capsys.readouterr()
        return code, out, err

    return call


def private(count=60):
    return [row | {"text": f"{PRIVATE} {row['text']}"} for row in rows(count)]


def renamed(folder):
    table = [{"txt": row["text"], "label": row["label"]} for row in private()]
    write_csv(folder / "bad.csv", table)


def unknown_label(folder):
    table = private()
    table[30]["label"] = PRIVATE
    write_csv(folder / "bad.csv", table)


def two_encodings(folder):
    write_csv(folder / "bad.csv", private())
    with (folder / "bad.csv").open("ab") as file:
        file.write(f"{PRIVATE} für,bad,north\n".encode() + "Käse,bad,north\n".encode("latin-1"))


def one_label(folder):
    write_csv(folder / "bad.csv", [row | {"label": "fair"} for row in private()])


def header_only(folder):
    (folder / "bad.csv").write_text("text,label,site\n")


def semicolons(folder):
    write_csv(folder / "bad.csv", private(), ";")


def utf_16(folder):
    write_csv(folder / "bad.csv", private())
    text = (folder / "bad.csv").read_text()
    (folder / "bad.csv").write_text(text, encoding="utf-16")


@pytest.mark.parametrize(
    ("write", "line"),
    [
        (renamed, "bad.csv has no such column; did you mean 'txt'? there are: txt, label"),
        (unknown_label, "bad.csv, line 32: the label is none of the 3 of labels"),
        (two_encodings, "bad.csv, line 63: the bytes there are not utf-8-sig"),
        (one_label, "all rows of bad.csv (data.dataset.paths) have the same label"),
        (header_only, "no rows are left of bad.csv (data.dataset.paths)"),
        (semicolons, "bad.csv seems to be separated by ';'; write format = 'csv' and delimiter"),
        (utf_16, "bad.csv begins as utf-16 does; write encoding = 'utf-16'"),
    ],
)
def test_a_bad_file_is_one_line_and_code_4(plan, write, line, tmp_path):
    write(tmp_path)
    code, out, err = plan("bad.csv")
    assert (code, out) == (4, "")
    assert err.startswith("fedknot: ")
    assert err.count("\n") == 1
    assert line in err
    assert PRIVATE not in err


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"clients": 100}, "data.num_clients = 100, but only"),
        ({"clients": 3, "partition": "'natural'", "more": "columns.group = 'site'"}, "2 natural"),
        ({"labels": ", values = ['a', 'a', 'b']"}, "values: 'a' and 'a' are read alike"),
        ({"more": "encoding = 'undefined'"}, "unknown data.dataset.encoding 'undefined'"),
    ],
)
def test_settings_that_do_not_fit_the_file_are_one_line_and_code_2(plan, settings, line, tmp_path):
    """Among them: more clients than rows, for no client is ever left without one."""
    write_csv(tmp_path / "good.csv", private())
    code, out, err = plan("good.csv", **settings)
    assert (code, out) == (2, "")
    assert err.startswith("fedknot: ")
    assert err.count("\n") == 1
    assert line in err


def test_a_site_that_has_no_private_rows_is_no_client(plan, tmp_path):
    """One that stands in the test file only is no natural group of the private rows."""
    write_csv(tmp_path / "good.csv", private())
    elsewhere = [row | {"site": "elsewhere"} for row in rows(90)[60:]]
    write_csv(tmp_path / "test.csv", elsewhere)
    more = f"test_paths = ['{tmp_path / 'test.csv'}']\ncolumns.group = 'site'"
    code, out, err = plan("good.csv", more=more, partition="'natural'")
    assert (code, err) == (0, "")
    assert "private rows on 2 clients" in out


def test_a_label_without_rows_is_a_line_of_the_plan(plan, tmp_path):
    write_csv(tmp_path / "two.csv", [row for row in private(90) if row["label"] != "fair"])
    code, out, err = plan("two.csv")
    assert (code, err) == (0, "")
    assert "warning: no row of the data set has the label 'fair'" in out
