import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from common import files
from common.failures import FolderError
from simulations import pictures
from simulations.reporting import figures
from simulations.reporting import rows as report_rows
from simulations.reporting.report import build_report, write_report
from tests.simulations.run_folders import complete, skeleton, unfinished


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return complete(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def text(finished):
    return build_report(finished)


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """What a browser makes of a page: its tags, its texts, and whether tags are closed."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts, self.open, self.attributes = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.texts))


def edit(folder, name, change):
    table = files.read_json(folder / name)
    change(table)
    files.write_json(folder / name, table)
    return folder


def written(summary, drawings):
    sections = report_rows.metric_sections(summary, drawings)
    return {title: values for _, rows in sections for title, _, values in rows}


def drawn(page):
    return page.tags.count("svg")


def test_a_complete_run_shows_everything(folder, text):
    page = Page(text)
    summary = files.read_json(folder / "summary.json")
    assert page.open == []
    assert drawn(page) == 5
    assert f"{100 * summary['student']['accuracy']:.1f} %" in page.text
    for arm in (summary["student"], *(summary["bounds"][k] for k in ("ensemble", "centralised"))):
        for value in arm.values():
            assert f"{value:.3f}" in page.text
    assert "No formal privacy guarantee." in page.text
    assert "Isolated: yes." in page.text
    assert "10.2 kB" in page.text
    assert "200 kB" in page.text
    assert "4 asked, 4 answered, 0 lost, 0 quarantined." in page.text
    assert "ab" * 32 in page.text
    assert 'weighting = { kind = "knot", distance = "l2" }' in page.text
    assert "torch 2.13.0" in page.text
    assert "driver 612 MB, largest worker 844 MB." in page.text


def test_the_page_needs_nothing_from_outside(text):
    page = Page(text)
    assert not {"script", "link", "iframe", "object", "embed"} & set(page.tags)
    assert "http" not in text
    assert "@import" not in text
    assert all(v.startswith("#") for k, v in page.attributes if k in ("href", "xlink:href"))
    assert not [k for k, _ in page.attributes if k.startswith("on") or k == "src"]
    names = [v for k, v in page.attributes if k == "id"]
    assert len(names) == len(set(names))
    references = {v[1:] for k, v in page.attributes if k == "href"}
    assert references <= set(names)


def test_every_picture_says_what_it_is(text):
    for picture in re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL):
        root = ElementTree.fromstring(picture)
        assert root.get("role") == "img"
        assert root.get("aria-label") == root.findtext("title")


def test_same_folder_same_bytes_and_nothing_is_touched(folder, text):
    before = sorted(folder.iterdir())
    assert build_report(folder) == text
    assert sorted(folder.iterdir()) == before


def test_the_report_is_written_into_the_folder(tmp_path):
    folder = unfinished(tmp_path / "run", "failed")
    assert write_report(folder) == folder / "report.html"
    assert (folder / "report.html").read_text(encoding="utf-8") == build_report(folder)


def test_a_summary_can_be_given_before_it_is_written(tmp_path):
    folder = unfinished(tmp_path / "run", "failed")
    wanted = build_report(folder)
    summary = files.read_json(folder / "summary.json")
    (folder / "summary.json").unlink()
    assert build_report(folder, summary) == wanted


@pytest.mark.parametrize(
    ("status", "words"), [("failed", "This run failed"), ("interrupted", "interrupted before")]
)
def test_an_unfinished_run_gets_its_page(tmp_path, status, words):
    page = Page(build_report(unfinished(tmp_path / "run", status)))
    assert page.open == []
    assert drawn(page) == 0
    assert words in page.text
    assert page.text.count("timeout") == 3
    assert "None" not in page.text
    assert "nan" not in page.text


@pytest.mark.parametrize("status", ["complete", "interrupted", "failed"])
def test_a_bare_summary_is_enough(tmp_path, status):
    files.write_json(tmp_path / "summary.json", skeleton(status, 4))
    page = Page(build_report(tmp_path))
    assert page.open == []
    assert "None" not in page.text


def test_any_other_file_may_be_missing(folder):
    (folder / "pictures.json").unlink()
    summary = None
    for name in [None, *sorted({path.name for path in folder.iterdir()} - {"summary.json"})]:
        if name is not None:
            # Nothing is left to draw, which makes it quick.
            (folder / name).unlink()
            summary = skeleton("complete", 4)
        page = Page(build_report(folder, summary))
        assert page.open == []
        assert "None" not in page.text


def test_without_bounds_the_student_stands_alone(folder):
    edit(folder, "summary.json", lambda table: table.update(bounds=None))
    edit(folder, "pictures.json", lambda table: (table.pop("teachers"), table.pop("human")))
    page = Page(build_report(folder))
    assert drawn(page) == 5
    assert "best teacher" not in page.text


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(FolderError, match=r"no summary\.json"):
        build_report(tmp_path)


@pytest.mark.parametrize(
    "name", ["summary.json", "pictures.json", "experiment.toml", "rounds.jsonl", "environment.json"]
)
def test_a_damaged_file_is_named(folder, name):
    (folder / name).write_text("{ half")
    with pytest.raises(FolderError, match=re.escape(name)):
        build_report(folder)


def test_text_from_data_is_never_markup_or_mathematics(folder):
    evil = "<script>alert(1)</script>"

    def spoil(table):
        table["labels"] = [evil, "$x^", "a & b", "$\\frac$", "\u6b63\u9762"]
        table["holdings"]["client_names"][0] = evil
        table["teachers"][0]["name"] = '"><b>'

    edit(folder, "pictures.json", spoil)
    edit(folder, "summary.json", lambda table: table.update(experiment=evil))
    edit(folder, "environment.json", lambda table: table.update(machine=evil))
    (folder / "experiment.toml").write_text(f"name = '{evil}'\n")
    page = Page(build_report(folder))
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert page.open == []
    assert evil in page.text
    assert "$x^" in page.text
    assert "\u6b63\u9762" in page.text


def test_many_clients_share_a_row_and_the_page_stays_small(tmp_path):
    text = build_report(complete(tmp_path / "run", clients=60))
    page = Page(text)
    assert drawn(page) == 5
    assert "60 teachers" in page.text
    assert "60 clients, in order" in page.text
    assert len(text) < 500_000


@pytest.mark.parametrize("size", [2, 20])
def test_any_number_of_labels_can_be_drawn(size):
    names = [f"label number {c}" for c in range(size)]
    counts = np.eye(size, dtype=int).tolist()
    assert ElementTree.fromstring(figures.svg(figures.confusion(counts, names), "x"))
    assert ElementTree.fromstring(figures.svg(figures.holdings(counts, names, names), "x"))
    # A label without samples, and a federation without any, are drawn too.
    nothing = [[0] * size for _ in range(size)]
    assert ElementTree.fromstring(figures.svg(figures.confusion(nothing, names), "x"))
    assert ElementTree.fromstring(figures.svg(figures.holdings(nothing, names, names), "x"))


def test_the_result_plots_the_picture_of_the_report(folder):
    drawing = figures.teachers_figure(
        files.read_json(folder / "pictures.json"), files.read_json(folder / "summary.json")
    )
    left, right = drawing.axes
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names[:4] == ["student", "ensemble", "centralised", "one human rater"]
    assert names[4:] == ["tweets", "products", "films", "news"]
    summary = files.read_json(folder / "summary.json")
    assert left.lines[0].get_xdata()[0] == summary["student"]["accuracy"]
    assert right.lines[0].get_xdata()[0] == summary["student"]["semantic_distance"]


def test_distances_are_stretched_to_knots_scale():
    summary = {"student": {"accuracy": 0.5, "semantic_distance": 0.88}, "bounds": None}
    positions = {"positions": [-2.2, -1.0, 0.0, 1.0, 2.2]}
    rows = written(summary, positions)
    assert rows["semantic distance"] == ["0.880"]
    assert rows["semantic distance, on 0..4"] == ["0.800"]
    already = report_rows.metric_sections(summary, {"positions": [0, 1, 2, 3, 4]})
    flat = report_rows.metric_sections(summary, {"positions": None})
    assert [row[0] for _, rows in flat for row in rows] == ["accuracy", "semantic distance"]
    assert already == flat


def test_teachers_that_never_answered_count_for_nothing():
    best = {"accuracy": 0.4, "semantic_distance": 1.0, "ece": 0.1}
    other = {"accuracy": 0.2, "semantic_distance": 2.0, "ece": None}
    empty = {"accuracy": None, "semantic_distance": None}
    summary = {"student": best, "bounds": {"teachers": [other, None, empty, best]}}
    assert report_rows.arm_names(summary) == ["student", "best teacher", "mean teacher"]
    rows = written(summary, {})
    assert rows["accuracy"] == ["0.400", "0.400", "0.300"]
    assert rows["calibration error"] == ["0.100", "0.100", "\N{EN DASH}"]


def test_the_bytes_of_a_client_count_the_texts_it_was_handed(folder, text):
    summary = files.read_json(folder / "summary.json")
    # 2,000 texts of 15 words of 6 bytes (the accent takes two), one question, one answer.
    bars = report_rows.traffic_bars(summary, 2000 * 15 * 6)
    assert [value for _, value, _ in bars] == [10_156, 10_156 + 44 + 180_000, 199_720]
    assert "190 kB with the transfer texts it needs" in Page(text).text
    assert "transfer texts it needs" not in report_rows.sentence(summary, None)


def test_what_crossed_follows_the_terms():
    terms = {"rows": 2000, "bits": 1, "disclosed": ["bias", "num_examples"]}
    line = report_rows.crossed({"wire": None}, {"disclose": []}, terms)[0]
    assert "2,000 transfer texts, 1 bit per probability" in line
    assert "content-free texts" in line
    assert "the number of private samples" in line
    assert "Besides: nothing." in report_rows.crossed({}, {}, {})[0]


def test_a_guarantee_is_printed_as_it_is(folder):
    given = {"guarantee": "dp", "epsilon": 7.2, "delta": 1e-5, "unit": "example"}
    edit(folder, "summary.json", lambda table: table.update(privacy=given, isolated=False))
    text = Page(build_report(folder)).text
    assert "Guarantee: dp" in text
    assert "\u03b5 = 7.2, \u03b4 = 1e-05, per example" in text
    assert "No formal" not in text
    assert "Isolated: no." in text


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, "\N{EN DASH}"),
        (0, "0 B"),
        (999, "999 B"),
        (40448, "40.4 kB"),
        (999_600, "1 MB"),
        (35_200_000, "35.2 MB"),
        (4.1e9, "4.1 GB"),
        (2e12, "2 TB"),
    ],
)
def test_sizes(value, wanted):
    assert report_rows.size(value) == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(None, "\N{EN DASH}"), (0.4, "0.40 s"), (38.14, "38.1 s"), (185.2, "3 min 05 s")],
)
def test_durations(value, wanted):
    assert report_rows.seconds(value) == wanted


def test_numbers_are_computed_without_drawing_or_learning():
    code = (
        "import sys, common.metrics, simulations.pictures, simulations.reporting.rows;"
        "print([m for m in ('matplotlib', 'torch', 'scipy', 'ot', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_pictures_survive_json(folder):
    table = files.read_json(folder / "pictures.json")
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    assert len(pictures.reliability(np.full((1, 2), 0.5), np.array([0]))["count"]) == 15
