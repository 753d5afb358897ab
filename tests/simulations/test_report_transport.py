import re
from xml.etree import ElementTree

import numpy as np
import pytest

from common import files
from common.labels import LabelGeometry
from simulations import diagnostics
from simulations.reporting import drawing, figures, figures_geometry, figures_transport
from simulations.reporting.report import build_report
from tests.simulations.run_folders import NAMES, STARS, skeleton
from tests.simulations.test_report import Page


def found(used, clients=4, given=None, alpha=0.3, seed=0):
    """What ``pictures.json`` holds of these geometries and of made-up predictions."""
    rng, size = np.random.default_rng(seed), len(used)
    q = rng.dirichlet(np.full(size, alpha), size=30)
    p = rng.dirichlet(np.full(size, alpha), size=(clients, 30))
    weights, texts = rng.random((clients, 30)), [f"transfer text {n}" for n in range(30)]
    return {
        "loss": "kl",
        "loss_uses_cost": False,
        "geometry": "permuted",
        **diagnostics.geometries(used, given or used),
        "disputes": diagnostics.disputes(q, p, np.arange(clients), weights, used, texts),
    }


def cloud(size, name="a label with a long name, number {}", axes=3):
    points = np.random.default_rng(size).normal(size=(size, axes))
    return LabelGeometry.from_matrix(
        [name.format(c) for c in range(size)],
        np.linalg.norm(points[:, None] - points[None], axis=2),
    )


@pytest.fixture
def shown(tmp_path):
    """Makes the page of a run whose pictures hold these diagnostics and nothing else."""

    def made(told, labels=NAMES):
        files.write_json(tmp_path / "summary.json", skeleton("complete", 4))
        kept = {"labels": list(labels), "positions": None, "diagnostics": told}
        files.write_json(tmp_path / "pictures.json", kept)
        return build_report(tmp_path)

    return made


def svgs(text):
    return re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)


def test_a_run_of_today_shows_cost_points_and_three_disputes(shown):
    told = found(STARS)
    text = shown(told)
    page = Page(text)
    assert page.open == []
    pictures = [ElementTree.fromstring(svg) for svg in svgs(text)]
    assert len(pictures) == 2 + 3
    assert all(root.get("aria-label") == root.findtext("title") for root in pictures)
    assert len({root.findtext("title") for root in pictures}) == 5
    names = [v for k, v in page.attributes if k == "id"]
    assert len(names) == len(set(names))
    for one in told["disputes"]:
        assert one["text"] in page.text
        assert f"Transfer text {one['row']}, weighted mean cost" in page.text
        for teacher in one["teachers"]:
            assert f"client {teacher['client']}, weight" in text
    assert "stress 0: the line shows the costs exactly" in page.text
    assert "The loss of this run, kl , does not look at it." in page.text
    assert "data set's own" not in page.text
    assert "heaviest of" not in page.text
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b", page.text)


def test_another_geometry_stands_beside_the_data_sets_own(shown):
    text = shown(found(STARS.permuted([2, 0, 4, 1, 3]), given=STARS))
    assert len(svgs(text)) == 4 + 3
    assert Page(text).text.count("The data set's own.") == 2
    assert "(<code>permuted</code>)" in text


def test_a_run_of_old_shows_what_it_has(shown):
    text = shown(None)
    assert svgs(text) == []
    assert "disagree" not in text


@pytest.mark.parametrize("clients", [1, 200])
def test_any_number_of_clients(shown, clients):
    text = shown(found(STARS, clients))
    page = Page(text)
    assert len(svgs(text)) == 2 + 3
    assert page.text.count("Shown: the 4 heaviest of 200 teachers") == 3 * (clients == 200)
    assert len(text) < 200_000


@pytest.mark.parametrize(
    "geometry",
    [
        LabelGeometry.ordinal(["no", "yes, and with a name that does not end where one hopes"]),
        LabelGeometry.discrete("abcde"),
        cloud(7, axes=2),
        cloud(20),
        LabelGeometry.ordinal([f"grade {c}" for c in range(20)]),
        LabelGeometry.ordinal([f"grade {c}" for c in range(100)]),
        LabelGeometry("abc", np.zeros((3, 1)), np.zeros((3, 3))),
        LabelGeometry.ordinal("abc", (0, 1e-9, 1e6)),
    ],
    ids=["two", "even", "plane", "twenty", "line", "hundred", "free", "uneven"],
)
def test_any_labels(shown, geometry):
    text = shown(found(geometry), geometry.names)
    pictures = svgs(text)
    assert len(pictures) == 2 + 3
    assert Page(text).open == []
    for picture in pictures:
        root = ElementTree.fromstring(picture)
        assert float(root.get("width").removesuffix("pt")) <= 8.6 * 72 + 0.01
        assert "nan" not in picture
    assert len(text) < 700_000


def test_no_difference_at_all_is_drawn_too(shown):
    p = np.full((2, 4, 5), 0.2)
    told = found(STARS) | {
        "disputes": diagnostics.disputes(
            p[0], p, np.arange(2), np.zeros((2, 4)), STARS, ["", "b", "c", "d"]
        )
    }
    assert "weight 0.50, cost 0" in shown(told)


def test_texts_and_names_are_never_markup_or_mathematics(shown):
    evil, names = "<script>alert(1)</script>", ["</svg><script>", "$x^", "a & b", "$\\frac$", "e"]
    told = found(LabelGeometry.ordinal(names))
    told["loss"] = told["geometry"] = told["disputes"][0]["text"] = evil
    page = Page(shown(told, names))
    assert "script" not in page.tags
    assert page.open == []
    assert evil in page.text
    assert "$x^" in page.text


def test_same_numbers_same_bytes(shown):
    told = found(STARS)
    assert shown(told) == shown(told)


def inside(figure):
    """Whether every text and patch lies on the figure, whose unit is the inch."""
    (axes,) = figure.axes
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    width, height = figure.get_size_inches() * figure.dpi
    slack = 0.06 * figure.dpi
    return all(
        b.x0 > -slack and b.y0 > -slack and b.x1 < width + slack and b.y1 < height + slack
        for b in boxes
    )


@pytest.mark.parametrize("size", [2, 5, 20, 60])
@pytest.mark.parametrize("line", [True, False])
def test_nothing_is_cut_off(size, line):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    geometry = cloud(size)
    if line:
        geometry = LabelGeometry.ordinal(geometry.names, np.arange(size) ** 1.5)
    told = found(geometry)
    drawings = [
        figures_geometry.plane(told["used"], geometry.names),
        figures_transport.plans(told["disputes"][0], told["used"]["cost"], geometry.names),
    ]
    for figure in drawings:
        FigureCanvasAgg(figure)
        assert inside(figure)


def test_bands_leave_and_arrive_with_the_mass_of_the_bars():
    told = found(STARS)
    figure = figures_transport.plans(told["disputes"][0], told["used"]["cost"], STARS.names)
    (axes,) = figure.axes
    bars = sum(type(patch).__name__ == "Rectangle" for patch in axes.patches)
    bands = sum(type(patch).__name__ == "PathPatch" for patch in axes.patches)
    assert bars == 2 * 5 * 4
    assert bands == sum(len(teacher["moves"]) for teacher in told["disputes"][0]["teachers"])


@pytest.mark.parametrize(
    ("value", "short", "full"),
    [
        (0, "0", "0"),
        (0.7, "0.7", "0.700"),
        (1.4271, "1.43", "1.43"),
        (10, "10", "10.0"),
        (99.96, "100", "100"),
        (1234.5, "1234", "1234"),
        (1e-7, "1e-07", "1.00e-07"),
    ],
)
def test_numbers_have_three_digits(value, short, full):
    assert drawing.digits(value) == short
    assert drawing.digits(value, full=True) == full


def test_long_names_keep_both_ends():
    assert drawing.short("short") == "short"
    made = drawing.short("the same long beginning, number 17")
    assert len(made) == drawing.LONGEST_NAME
    assert made.endswith("number 17"[-8:])


def test_the_cost_is_written_into_its_map():
    figure = figures_geometry.cost_map(STARS.cost.tolist(), NAMES)
    text = figures.svg(figure, "x")
    assert ElementTree.fromstring(text)
    assert text.count(">3.2<") == 4
    assert text.count(">4.4<") == 2
