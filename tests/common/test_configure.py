from abc import ABC, abstractmethod
from typing import Literal

import pytest
from pydantic import Field

from common.component import component
from common.configure import dump, find, kind_of, kinds, load, unknown
from common.failures import ConfigError
from simulations.catalogue import FAMILIES

MEMBERS = [(family, kind) for family in FAMILIES.values() for kind in kinds(family)]


class Shape(ABC):
    @abstractmethod
    def area(self): ...


@component
class UnitSquare(Shape):
    def area(self):
        return 1.0


@component
class HTTPDisc(Shape):
    radius: float = Field(default=1.0, gt=0, le=100)
    edge: Literal["sharp", "soft"] = "sharp"
    dents: tuple[int, ...] = ()
    note: str | None = None
    inner: Shape | None = None

    def area(self):
        return 3 * self.radius**2


@component
class Drawing:
    title: str
    shapes: tuple[Shape, ...] = ()
    paper: Shape = Field(default_factory=UnitSquare)
    copies: int = Field(default=1, ge=1)
    glossy: bool = False

    def __post_init__(self):
        if self.title == "bad":
            raise ValueError("write a good title")


def complete(family, kind):
    """Whether it can be built without settings; the others have samples in their contract tests."""
    try:
        find(family, kind)()
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(("family", "kind"), [m for m in MEMBERS if complete(*m)])
def test_every_member_survives_being_written_down(family, kind):
    made = load(family, kind, "here")
    table = {"kind": kind_of(made)} | dump(made)
    again = load(family, table, "here")
    assert again == made
    assert type(again) is type(made) is find(family, kind)
    assert table["kind"] == kind
    assert {"kind": kind_of(again)} | dump(again) == table
    assert all(name.islower() for name in table)


@pytest.mark.parametrize(("family", "kind"), MEMBERS)
def test_every_member_refuses_a_key_it_does_not_know(family, kind):
    assert_helpful(family, {"kind": kind, "zzzzz": 1}, "here", "zzzzz")


@pytest.mark.parametrize("family", FAMILIES.values())
def test_every_family_names_its_members(family):
    assert kinds(family) == sorted(kinds(family))
    line = assert_helpful(family, {}, "here", "say which kind")
    assert all(kind in line for kind in kinds(family))
    assert_helpful(family, "zzzzzzzz", "here", *kinds(family))
    assert_helpful(
        family, kinds(family)[0][:-1] + "_", "here", f"did you mean '{kinds(family)[0]}'"
    )
    for odd in ("", "../kl", "__init__", "_deal", "Kl", "os"):
        assert_helpful(family, odd, "here", "unknown here")
    for odd in (3, None, [], ["kl"], True, {"kind": 3}, {"kind": None}, {"Kind": "kl"}):
        assert_helpful(family, odd, "here", "say which kind")


def assert_helpful(target, table, where, *words):
    """The message is one line that holds these words."""
    with pytest.raises(ConfigError) as failure:
        load(target, table, where)
    line = str(failure.value)
    assert "\n" not in line
    assert failure.value.exit_code == 2
    for word in words:
        assert word in line
    return line


def test_members_of_a_module_are_found_by_their_snake_case_names():
    assert kinds(Shape) == ["http_disc", "unit_square"]
    assert find(Shape, "http_disc") is HTTPDisc
    assert kind_of(HTTPDisc()) == "http_disc"
    assert load(Shape, "unit_square").area() == 1.0


def test_a_string_stands_for_a_kind_with_its_defaults():
    made = load(Drawing, {"title": "t", "paper": "http_disc", "shapes": ["unit_square"]})
    assert made == Drawing("t", (UnitSquare(),), HTTPDisc())


def test_components_nest():
    table = {
        "title": "nested",
        "shapes": [
            {"kind": "http_disc", "radius": 2, "dents": [1, 2], "inner": "unit_square"},
            {"kind": "unit_square"},
        ],
    }
    made = load(Drawing, table)
    assert made.shapes[0] == HTTPDisc(radius=2.0, dents=(1, 2), inner=UnitSquare())
    assert load(Drawing, dump(made)) == made
    assert dump(made) == {
        "title": "nested",
        "shapes": [
            {
                "kind": "http_disc",
                "radius": 2.0,
                "edge": "sharp",
                "dents": [1, 2],
                "inner": {"kind": "unit_square"},
            },
            {"kind": "unit_square"},
        ],
        "paper": {"kind": "unit_square"},
        "copies": 1,
        "glossy": False,
    }


def test_loading_leaves_the_table_as_it_was():
    table = {"title": "t", "paper": {"kind": "http_disc", "radius": 3.0}}
    load(Drawing, table)
    assert table == {"title": "t", "paper": {"kind": "http_disc", "radius": 3.0}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"copiess": 2}, ["[page]", "'copiess'", "did you mean 'copies'"]),
        ({"zzzz": 2}, ["'zzzz'", "write one of", "copies, glossy, paper, shapes, title"]),
        ({"copies": 0}, ["page.copies", "at least 1", "got 0"]),
        ({"copies": 1.5}, ["page.copies", "integer", "got 1.5"]),
        ({"copies": "2"}, ["page.copies", "integer", "got '2'"]),
        ({"copies": True}, ["page.copies", "integer", "got True"]),
        ({"glossy": 1}, ["page.glossy", "boolean", "got 1"]),
        ({"title": 3}, ["page.title", "string", "got 3"]),
        ({"title": "bad"}, ["page", "write a good title"]),
        ({"shapes": "unit_square"}, ["page.shapes", "a list", "got 'unit_square'"]),
        ({"shapes": ["unit_squire"]}, ["page.shapes[0]", "did you mean 'unit_square'"]),
        ({"paper": {"kind": "http_disc", "radius": 0}}, ["page.paper.radius", "more than 0"]),
        ({"paper": {"kind": "http_disc", "radius": 101}}, ["page.paper.radius", "at most 100"]),
        (
            {"paper": {"kind": "http_disc", "radius": float("nan")}},
            ["page.paper.radius", "got nan"],
        ),
        (
            {"paper": {"kind": "http_disc", "radius": float("inf")}},
            ["page.paper.radius", "got inf"],
        ),
        (
            {"paper": {"kind": "http_disc", "edge": "hard"}},
            ["page.paper.edge", "'sharp' or 'soft'"],
        ),
        ({"paper": {"kind": "http_disc", "dents": [1, "x"]}}, ["page.paper.dents.1", "got 'x'"]),
        ({"paper": {"kind": "http_disc", "dent": 1}}, ["[page.paper]", "did you mean 'dents'"]),
        ({"paper": {"kind": "unit_square", "side": 1}}, ["[page.paper]", "nothing to set"]),
        ({"paper": {"radius": 1}}, ["page.paper", "say which kind", "http_disc, unit_square"]),
        ({"paper": {"kind": "http_disc", "inner": {"kind": "disc"}}}, ["page.paper.inner"]),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_to_write(changes, words):
    assert_helpful(Drawing, {"title": "t"} | changes, "page", *words)


def test_what_is_missing_is_named():
    assert_helpful(Drawing, {}, "page", "page.title is missing", "write it into [page]")
    assert_helpful(Drawing, {}, "", "title is missing")


@pytest.mark.parametrize("table", [3, "text", ["title"], None])
def test_a_section_must_be_a_table(table):
    assert_helpful(Drawing, table, "page", "page must be a table", repr(table))


def test_classes_inside_functions_are_not_members():
    class Lost(Shape):
        pass

    with pytest.raises(ConfigError):
        find(Shape, "lost")


def test_unknown_names_have_a_hint_where_one_is_near():
    assert unknown("loss", "transportt", ["kl", "transport"]) == (
        "unknown loss 'transportt'; did you mean 'transport'?"
    )
    assert unknown("loss", "zzz", ["transport", "kl"]) == (
        "unknown loss 'zzz'; write one of: kl, transport"
    )


def test_components_are_frozen_and_strict():
    made = HTTPDisc()
    with pytest.raises(AttributeError):
        made.radius = 2.0
    with pytest.raises(ValueError, match="radius"):
        HTTPDisc(radius="1")
    with pytest.raises(ValueError, match="unexpected"):
        HTTPDisc(diameter=1.0)
    assert HTTPDisc(radius=2) == HTTPDisc(radius=2.0)
