"""Several runs on one page, and the style that all pages share."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from common.failures import ConfigError, FolderError
from common.files import read_json, write_json
from simulations import cli
from simulations.events import silent
from simulations.reporting.beside import build_side_by_side
from simulations.reporting.page import template
from simulations.runner import execute
from tests.worlds import tiny_with


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    home = tmp_path_factory.mktemp("beside")
    made = []
    for name, settings in (("one", "seed = 1"), ("two", "seed = 1; num_rounds = 2; wire.bits = 4")):
        made.append(home / name)
        execute(
            tiny_with(settings),
            name,
            out=made[-1],
            backend="inline",
            address=None,
            progress=silent,
        )
    return made


@pytest.fixture
def fedknot(monkeypatch, capsys):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["fedknot", *map(str, words)])
        code = cli._call()
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_the_page_shows_what_differs_figures_curves_and_clients(runs):
    page = build_side_by_side(runs)
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>", page, re.DOTALL)
    told = {re.sub("<.*?>", "", head): re.findall(r"<td.*?>(.*?)</td>", row) for head, row in rows}
    assert told["wire.bits"] == ["8", "4"]
    assert told["num_rounds"] == ["1", "2"]
    assert "seed" not in told
    figures = [read_json(run / "summary.json")["student"] for run in runs]
    assert told["accuracy ↑"] == [f"{found['accuracy']:.3f}" for found in figures]
    assert told["all"] == ["4 answered"] * 2
    assert told["3"] == ["answered"] * 2
    assert page.count("<svg") == 1
    assert "<script" not in page
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", page)


def test_the_same_folders_give_the_same_page(runs):
    assert build_side_by_side(runs) == build_side_by_side(runs)


def test_a_run_that_failed_has_a_column_too(runs, tmp_path):
    folder = shutil.copytree(runs[0], tmp_path / "<b>broken</b>")
    table = read_json(folder / "summary.json")
    nothing = dict.fromkeys(("student", "wire", "seconds", "memory", "clients", "hashes"))
    write_json(folder / "summary.json", table | nothing | {"status": "failed"})
    csv = (folder / "clients.csv").read_text().replace("0,answered,accepted", "0,lost,timeout")
    (folder / "clients.csv").write_text(csv)
    page = build_side_by_side([*runs, folder])
    assert "lost: timeout" in page
    assert "<b>" not in page


def test_bad_input_is_refused(runs, tmp_path):
    with pytest.raises(ConfigError, match="twice"):
        build_side_by_side([runs[0], runs[0]])
    with pytest.raises(FolderError, match="summary"):
        build_side_by_side([runs[0], tmp_path])


def test_the_command_writes_one_page(fedknot, runs, tmp_path, monkeypatch):
    out = tmp_path / "both.html"
    assert fedknot("report", *runs, "--out", out) == (0, f"{out}\n", "")
    assert "2 runs side by side" in out.read_text()
    monkeypatch.chdir(tmp_path)
    assert fedknot("report", *runs)[:2] == (0, "side-by-side.html\n")
    assert fedknot("report", runs[0])[:2] == (0, f"{runs[0] / 'report.html'}\n")
    alone = tmp_path / "alone.html"
    assert fedknot("report", runs[0], "--out", alone)[0] == 0
    assert alone.read_bytes() == (runs[0] / "report.html").read_bytes()
    code, _, err = fedknot("report", *runs, "--out", tmp_path / "no" / "where.html")
    assert (code, err.count("\n")) == (6, 1)
    assert fedknot("report")[0] == 2


def test_every_page_has_the_one_frame():
    home = Path(template.__code__.co_filename).parents[1]
    texts = {path: path.read_text() for path in home.rglob("*.html")}
    (base,) = (text for text in texts.values() if "<html" in text)
    assert '{% include "style.html" %}' in base
    assert sum(text.startswith('{% extends "base.html" %}') for text in texts.values()) >= 7
