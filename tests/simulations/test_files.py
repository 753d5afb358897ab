import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.configure import dump, kind_of, load
from common.failures import ConfigError, DataError
from common.label_presets import emotion7
from common.pairs import SEPARATOR, parted
from simulations.datasets import Dataset, Part
from simulations.datasets.files import Files
from simulations.partitions.iid import Iid
from simulations.split import split
from tests.tables import LABELS, rows, write_csv

RNG = np.random.default_rng
TWO = {"names": ["no", "yes"]}


def made(path, **settings):
    paths = path if isinstance(path, list) else [str(path)]
    return load(Dataset, {"kind": "files", "paths": paths, "labels": TWO} | settings)


def corpus(path, **settings):
    return made(path, **settings).load(RNG(0))


def jsonl(path, *table):
    path.write_text("".join(json.dumps(row) + "\n" for row in table))
    return path


def labelled(*texts):
    return [{"text": text, "label": ("no", "yes")[i % 2]} for i, text in enumerate(texts)]


def refused(path, **settings):
    with pytest.raises(DataError) as caught:
        corpus(path, **settings)
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
    return str(caught.value)


def parquet(path, columns):
    pq = pytest.importorskip("pyarrow.parquet")
    pa = pytest.importorskip("pyarrow")
    pq.write_table(pa.table(columns), path)
    return path


def as_parquet(path, table):
    return parquet(path, {key: [row[key] for row in table] for key in table[0]})


WRITERS = {
    "csv": write_csv,
    "tsv": lambda path, table: write_csv(path, table, "\t"),
    "jsonl": lambda path, table: jsonl(path, *table),
    "parquet": as_parquet,
}


@pytest.mark.parametrize("layout", WRITERS)
def test_every_layout_gives_the_same_corpus(layout, tmp_path):
    table = rows(30)
    path = WRITERS[layout](tmp_path / f"reviews.{layout}", table)
    found = corpus(path, labels=LABELS, columns={"group": "site"})
    assert found.texts == tuple(row["text"] for row in table)
    assert found.labels.tolist() == [LABELS["names"].index(row["label"]) for row in table]
    assert found.group_names == ("north", "south")
    assert [found.group_names[g] for g in found.groups] == [row["site"] for row in table]
    assert found.geometry.points[:, 0].tolist() == [0, 1, 2]
    assert found.parts is None


def test_the_layout_can_be_said(tmp_path):
    path = write_csv(tmp_path / "reviews.txt", labelled("a", "b"))
    assert corpus(path, format="csv").texts == ("a", "b")
    with pytest.raises(ConfigError, match=r"ends in none of \.csv"):
        corpus(path)


def test_several_files_are_one_after_the_other(tmp_path):
    one = write_csv(tmp_path / "one.csv", labelled("a", "b"))
    two = jsonl(tmp_path / "two.jsonl", {"label": "no", "text": "c", "more": 1})
    assert corpus([str(one), str(two)]).texts == ("a", "b", "c")


def test_relative_paths_are_kept_in_full(tmp_path, monkeypatch):
    write_csv(tmp_path / "here.csv", labelled("a", "b"))
    monkeypatch.chdir(tmp_path)
    dataset = made("here.csv")
    monkeypatch.chdir("/")
    again = load(Dataset, {"kind": kind_of(dataset), **dump(dataset)})
    assert again == dataset
    assert again.load(RNG(0)).texts == ("a", "b")


ODD_TEXTS = {
    "blank": " \t ",
    "nul": "a\x00b",
    "right to left": "\u202e\u05e9\u05dc\u05d5\u05dd\u202c",
    "emoji": "\U0001f642\U0001f9d1\u200d\U0001f680",
    "line ends": "one\r\ntwo\nthree\rfour",
    "quotes": 'he said "no", twice',
    "separator": f"one{SEPARATOR}two",
    "next line": "a\x85b\u2028c",
    "formula": "=1+1",
}


@pytest.mark.parametrize("name", ODD_TEXTS)
@pytest.mark.parametrize("layout", ["csv", "jsonl", "parquet"])
def test_a_text_of_any_kind_arrives(layout, name, tmp_path):
    text = ODD_TEXTS[name]
    path = WRITERS[layout](tmp_path / f"odd.{layout}", labelled(text, "plain"))
    expected = text.replace(SEPARATOR, " ")
    assert corpus(path, cleaning={"strip": False}).texts == (expected, "plain")
    assert corpus(path).texts == (expected.strip(), "plain")


@pytest.mark.parametrize("layout", WRITERS)
def test_a_line_of_a_megabyte(layout, tmp_path):
    long = "word " * 200_000
    path = WRITERS[layout](tmp_path / f"long.{layout}", labelled(long, "b", "c"))
    limit = csv.field_size_limit()
    assert corpus(path).texts == (long.strip(), "b", "c")
    assert csv.field_size_limit() == limit


def test_a_lone_surrogate_survives(tmp_path):
    path = jsonl(tmp_path / "broken.jsonl", *labelled("\ud800 half", "b"))
    assert corpus(path).texts == ("\ud800 half", "b")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("comma", [",", "\t"])
def test_line_ends_and_a_byte_order_mark_are_no_text(end, mark, comma, tmp_path):
    lines = [f"label{comma}text", f"no{comma}a", "", f"yes{comma}b", ""]
    path = tmp_path / ("x.csv" if comma == "," else "x.tsv")
    path.write_bytes((mark + end.join(lines)).encode())
    assert corpus(path).texts == ("a", "b")


@settings(max_examples=50)
@given(texts=st.lists(st.text(), min_size=2, max_size=8))
def test_no_text_changes_in_csv_and_json(texts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    table = labelled(*texts)
    read = jsonl(folder / "x.jsonl", *table)
    wanted = tuple(text.replace(SEPARATOR, " ") for text in texts)
    assert corpus(read, cleaning={"strip": False}).texts == wanted
    if "".join(texts).isprintable():
        read = write_csv(folder / "x.csv", table)
        assert corpus(read, cleaning={"strip": False}).texts == wanted


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_a_missing_text_is_the_empty_text(nothing, tmp_path):
    table = [{"text": "a", "label": "no"}, {"label": "yes", "text": nothing}, {"label": "no"}]
    found = corpus(jsonl(tmp_path / "x.jsonl", *table))
    assert found.texts == ("a", "", "")
    assert len(set(found.documents.tolist())) == 3
    path = parquet(tmp_path / "x.parquet", {"text": ["a", None], "label": ["no", "yes"]})
    assert corpus(path).texts == ("a", "")


def test_cleaning_takes_what_it_is_told_to(tmp_path):
    table = [
        *({"text": text, "label": "no"} for text in ("Same", " same ", "", "  ")),
        {"text": "else", "label": "yes"},
        {"text": "untold", "label": "-1"},
        {"text": "unsaid", "label": None},
    ]
    path = jsonl(tmp_path / "x.jsonl", *table)
    assert "line 6: the label is none of" in refused(path)
    told = {"drop_unlabelled": True}
    assert corpus(path, cleaning=told).texts == ("Same", "same", "", "", "else")
    assert corpus(path, cleaning=told | {"drop_empty": True}).texts == ("Same", "same", "else")
    once = told | {"drop_duplicates": True}
    assert corpus(path, cleaning=once).texts == ("Same", "", "else")
    assert corpus(path, cleaning=told | {"strip": False}).texts[1] == " same "


def test_pairs_are_one_string(tmp_path):
    table = [
        {"a": "It rains.", "b": "It is wet.", "label": "yes"},
        {"a": f"odd{SEPARATOR}one", "b": None, "label": "no"},
    ]
    columns = {"text": "a", "text_pair": "b"}
    found = corpus(jsonl(tmp_path / "x.jsonl", *table), columns=columns)
    assert [parted(text) for text in found.texts] == [("It rains.", "It is wet."), ("odd one", "")]


def test_labels_are_spelt_as_the_cells_spell_them(tmp_path):
    table = [{"text": c, "label": v} for c, v in zip("abcd", (0, 1.0, "1", " 0 "), strict=True)]
    labels = TWO | {"values": ["0", "1"]}
    assert corpus(jsonl(tmp_path / "x.jsonl", *table), labels=labels).labels.tolist() == [
        0,
        1,
        1,
        0,
    ]


def test_labels_lie_where_they_are_told_to(tmp_path):
    path = write_csv(tmp_path / "x.csv", labelled("a", "b"))

    def cost(**more):
        return corpus(path, labels=TWO | more).geometry.cost[0, 1]

    assert cost() == cost(geometry="discrete") == 1
    assert cost(geometry="points", points=[[0, 0], [3, 4]]) == 5
    names = list(reversed(emotion7().names))
    table = [{"text": str(i), "label": name} for i, name in enumerate(names)]
    found = corpus(
        jsonl(tmp_path / "x.jsonl", *table), labels={"names": names, "geometry": "emotion7"}
    )
    assert found.geometry.names == tuple(names)
    assert np.array_equal(found.geometry.cost, emotion7().cost[::-1, ::-1])


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        ({"names": ["no", "yes"], "geometry": "line"}, "write one of ordinal, discrete, points"),
        ({"names": ["no", "yes"], "geometry": "nli"}, "nli is for the labels contradiction"),
        ({"names": ["no", "yes"], "points": [[1], [2]]}, "belong together"),
        ({"names": ["no", "yes"], "values": ["0"]}, "values: 2 are needed"),
        ({"names": ["no", "no"]}, "names: 'no' and 'no' are read alike"),
        ({"names": ["no", "no "]}, "names: 'no' and 'no ' are read alike"),
        ({"names": ["no", "yes", "so"], "values": ["lo", "lo", "hi"]}, "values: 'lo' and 'lo'"),
        ({"names": ["no", "yes"], "values": ["1", "1.0"]}, "values: '1' and '1.0' are read alike"),
        ({"name": ["no", "yes"]}, "did you mean 'names'"),
    ],
)
def test_labels_that_make_no_sense(labels, line, tmp_path):
    with pytest.raises(ConfigError, match=line):
        made(tmp_path / "x.csv", labels=labels)


NUMBERS = {"names": ["none", "one", "ten", "less"], "values": ["0", "1", "10", "-1"]}


@pytest.mark.parametrize(
    "cells", [["0", "1", "10", "-1"], ["0.0", "1.0", "10.0", "-1.0"], [" 0 ", "1.00", "10", "-1"]]
)
def test_a_whole_number_is_the_same_with_a_point(cells, tmp_path):
    """As other programs write a column of whole numbers in which a cell is missing."""
    table = [{"text": str(i), "label": cell} for i, cell in enumerate(cells)]
    path = write_csv(tmp_path / "x.csv", table)
    assert corpus(path, labels=NUMBERS).labels.tolist() == [0, 1, 2, 3]
    path = jsonl(tmp_path / "x.jsonl", *(row | {"label": float(row["label"])} for row in table))
    assert corpus(path, labels=NUMBERS).labels.tolist() == [0, 1, 2, 3]


def test_a_label_may_be_named_with_a_point(tmp_path):
    labels = {"names": ["1.0", "2.0", "1.10", "1.1", "007", "7"]}
    cells = ["2.0", "1", 1.0, "1.10", "1.1", "007", "7.0"]
    table = [{"text": str(i), "label": cell} for i, cell in enumerate(cells)]
    found = corpus(jsonl(tmp_path / "x.jsonl", *table), labels=labels)
    assert found.labels.tolist() == [1, 0, 0, 2, 3, 4, 5]
    assert found.geometry.names == tuple(labels["names"])


def test_minus_one_is_a_label_where_one_is_spelt_so(tmp_path):
    cells = ["-1", "1", "", "-1.0"]
    table = [{"text": str(i), "label": cell} for i, cell in enumerate(cells)]
    path = write_csv(tmp_path / "x.csv", table)
    drop = {"cleaning": {"drop_unlabelled": True}}
    assert corpus(path, labels=NUMBERS, **drop).labels.tolist() == [3, 1, 3]
    three = {"names": ["none", "one", "ten"], "values": ["0", "1", "10"]}
    with pytest.raises(DataError, match="have the same label"):
        corpus(path, labels=three, **drop)


def test_gold_is_the_share_of_votes(tmp_path):
    table = [
        {"text": "a", "label": "no", "n": 3, "y": 1},
        {"text": "b", "label": "yes", "n": "0", "y": 0.5},
    ]
    found = corpus(jsonl(tmp_path / "x.jsonl", *table), columns={"gold": ["n", "y"]})
    assert found.gold.tolist() == [[0.75, 0.25], [0, 1]]


@pytest.mark.parametrize("cell", [None, "many", -1, float("nan"), float("inf"), 0])
def test_votes_that_are_none(cell, tmp_path):
    good = {"text": "a", "label": "no", "n": 0, "y": 1}
    path = jsonl(tmp_path / "x.jsonl", good, {"text": "b", "label": "yes", "n": 0, "y": cell})
    assert "x.jsonl, line 2" in refused(path, columns={"gold": ["n", "y"]})


def test_documents_are_what_a_column_says_and_what_is_alike(tmp_path):
    table = [
        {"text": "one two three", "label": "no", "d": 1},
        {"text": "something else", "label": "yes", "d": 1.0},
        {"text": "five words in a row", "label": "no", "d": None},
        {"text": "five words in a row now", "label": "no"},
        {"text": "!!", "label": "no"},
        {"text": "!!", "label": "yes"},
    ]
    path = jsonl(tmp_path / "x.jsonl", *table)
    assert corpus(path, columns={"document": "d"}).documents.tolist() == [0, 0, 1, 1, 2, 2]
    apart = corpus(path, cleaning={"near_duplicates": False}).documents.tolist()
    assert apart == [0, 1, 2, 3, 4, 4]


def test_a_list_of_texts_is_a_document(tmp_path):
    table = [
        {"text": ["hello", "bye"], "label": ["no", "yes"], "place": "here"},
        {"text": ["well"], "label": ["no"], "place": "there"},
    ]
    found = corpus(jsonl(tmp_path / "x.jsonl", *table), columns={"group": "place"})
    assert found.texts == ("hello", "bye", "well")
    assert found.documents.tolist() == [0, 0, 1]
    assert found.groups.tolist() == [0, 0, 1]
    table[0]["label"] = ["no"]
    assert "line 1: lists of 2 entries" in refused(jsonl(tmp_path / "y.jsonl", *table))


def test_a_missing_group_has_a_name(tmp_path):
    table = [{"text": c, "label": y, "g": g} for c, y, g in (("a", "no", None), ("b", "yes", "x"))]
    assert corpus(jsonl(tmp_path / "x.jsonl", *table), columns={"group": "g"}).group_names == (
        "unknown",
        "x",
    )


def test_a_test_file_is_the_test_set(tmp_path):
    table = rows(90)
    main = write_csv(tmp_path / "main.csv", table[:60])
    test = write_csv(tmp_path / "test.csv", [*table[60:], table[0]])
    settings = {"labels": LABELS, "columns": {"group": "site"}, "test_paths": [str(test)]}
    found = corpus(main, **settings)
    assert found.texts == tuple(row["text"] for row in [*table, table[0]])
    assert found.parts.tolist() == [Part.TRAIN] * 60 + [Part.TEST] * 31
    cut = split(
        found,
        transfer_fraction=0.25,
        test_fraction=0.2,
        validation_size=5,
        partition=Iid(),
        num_clients=2,
        seed=0,
    )
    assert cut.test.tolist() == list(range(60, 91))
    assert len(cut.transfer) == 15
    drawn = corpus(main, **settings, size=30)
    assert np.bincount(drawn.parts).tolist() == [30, 0, 31]


def test_a_draw_is_of_the_size_asked_for(tmp_path):
    path = write_csv(tmp_path / "x.csv", rows(60))
    whole, drawn = corpus(path, labels=LABELS), corpus(path, labels=LABELS, size=25)
    places = [whole.texts.index(text) for text in drawn.texts]
    assert len(places) == 25
    assert places == sorted(places)
    with pytest.raises(ConfigError, match="only 60 rows; write at most 60"):
        corpus(path, labels=LABELS, size=61)


def test_a_wrong_encoding_names_the_line(tmp_path):
    path = tmp_path / "mixed.csv"
    path.write_bytes("text,label\nfür,no\n".encode() + "Käse,yes\n".encode("latin-1"))
    line = refused(path)
    assert line.startswith("mixed.csv, line 3: the bytes there are not utf-8-sig")
    assert "K" not in line.removeprefix("mixed.csv, line 3").split("write")[0]
    path.write_bytes("text,label\nfür,no\nKäse,yes\n".encode("cp1252"))
    assert corpus(path, encoding="cp1252").texts == ("für", "Käse")
    with pytest.raises(ConfigError, match="did you mean 'utf-8'"):
        corpus(path, encoding="utf8x")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", "x.csv is empty"),
        ("text,label\n", "no rows are left of x.csv (data.dataset.paths)"),
        ("text,label\na,no\nb,no\n", "all rows of x.csv (data.dataset.paths) have the same label"),
        ("text;label\na, b;no\n", "x.csv seems to be separated by ';'; write format = 'csv' and"),
        ('"text";"label"\n"a";"no"\n', "and delimiter = ';'"),
        ("text\tlabel\na\tno\n", "x.csv seems to be separated by tabs; write format = 'tsv'"),
        ("text,label\na,no\nb\n", "x.csv, line 3: 1 cells, but the header line has 2"),
        ('text,label\na,no\n"open,yes\n', "x.csv, line 3: not CSV from here on"),
        ("text,text\na,no\n", "two columns of the header line have the same name"),
        ("text,label\na,no\nb,maybe\n", "x.csv, line 3: the label is none of the 2 of labels"),
        ("text,label\na,no\nb,\n", "x.csv, line 3: the label is missing"),
        ("txt,label\na,no\n", "columns.text = 'text', but x.csv has no such column; did you mean"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_line(content, line, tmp_path):
    (tmp_path / "x.csv").write_text(content)
    assert line in refused(tmp_path / "x.csv")


def test_the_file_that_lacks_a_column_is_named(tmp_path):
    good = write_csv(tmp_path / "good.csv", labelled("a", "b"))
    bad = write_csv(tmp_path / "nolabel.csv", [{"text": "c", "more": "1"}])
    line = refused([str(good), str(bad)])
    assert "nolabel.csv has no such column; there are: text, more" in line
    line = refused(good, test_paths=[str(bad)])
    assert "nolabel.csv has no such column" in line
    empty = tmp_path / "empty.csv"
    empty.write_text("text,more\n")
    assert "empty.csv has no such column" in refused([str(good), str(empty)])


def test_files_of_one_label_or_no_rows_are_named_with_their_key(tmp_path):
    good = write_csv(tmp_path / "good.csv", labelled("a", "b"))
    same = [
        str(write_csv(tmp_path / f"{i}.csv", [{"text": f"{i}", "label": "no"}])) for i in range(5)
    ]
    line = refused(same)
    assert "all rows of 0.csv, 1.csv, 2.csv and 2 more (data.dataset.paths) have" in line
    line = refused(good, test_paths=same[:2])
    assert "all rows of 0.csv, 1.csv (data.dataset.test_paths) have the same label" in line
    (tmp_path / "header.csv").write_text("text,label\n")
    line = refused(good, test_paths=[str(tmp_path / "header.csv")])
    assert "no rows are left of header.csv (data.dataset.test_paths)" in line


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_the_delimiter_can_be_said(delimiter, tmp_path):
    texts = ('a, "b"; c|d\te', "plain")
    path = write_csv(tmp_path / "x.csv", labelled(*texts), delimiter)
    assert corpus(path, delimiter=delimiter).texts == texts


def test_commas_where_tabs_are_meant(tmp_path):
    path = write_csv(tmp_path / "x.tsv", labelled("a", "b"))
    line = refused(path)
    assert "separated by ','; write format = 'csv' and delimiter = ','" in line
    assert corpus(path, format="csv", delimiter=",").texts == ("a", "b")


@pytest.mark.parametrize("encoding", ["undefined", "hex", "utf\0", ""])
def test_an_encoding_that_is_none(encoding, tmp_path):
    path = write_csv(tmp_path / "x.csv", labelled("für", "b"))
    with pytest.raises(ConfigError, match=r"unknown data\.dataset\.encoding") as caught:
        corpus(path, encoding=encoding)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("told", ["utf-8-sig", "utf-8", "cp1252"])
def test_a_byte_order_mark_says_which_encoding(encoding, told, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("text,label\nfür,no\nb,yes\n", encoding=encoding)
    line = refused(path, encoding=told)
    assert line == f"x.csv begins as {encoding} does; write encoding = '{encoding}'"
    for known in (encoding, f"{encoding}-le"):
        assert corpus(path, encoding=known).texts == ("für", "b")


@pytest.mark.parametrize("bad", ["{", "[1]", '"text"', "[" * 100_000])
def test_a_line_that_is_no_object(bad, tmp_path):
    (tmp_path / "x.jsonl").write_text('{"text": "a", "label": "no"}\n' + bad + "\n")
    assert "x.jsonl, line 2" in refused(tmp_path / "x.jsonl")


def test_a_cell_that_is_no_text(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", *labelled("a", {"b": 1}))
    assert "x.jsonl, line 2: a text is expected, not dict" in refused(path)


def test_a_damaged_parquet_file(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and no more")
    assert "not a whole Parquet file" in refused(tmp_path / "x.parquet")


def test_a_missing_file(tmp_path):
    assert "cannot be read (no such file" in refused(tmp_path / "x.csv")


def test_no_message_shows_what_stands_in_a_cell(tmp_path):
    secret = "my private words, which nobody else may ever see!"
    (tmp_path / "x.csv").write_text(f'"{secret}",no\n"{secret}",yes\n')
    assert "private" not in refused(tmp_path / "x.csv")
    path = jsonl(tmp_path / "x.jsonl", {"text": secret, "label": secret})
    assert "private" not in refused(path)


def test_the_provenance_is_that_of_the_bytes(tmp_path):
    path = write_csv(tmp_path / "x.csv", labelled("a", "b"))
    before = made(path).provenance()
    assert before == made(path).provenance()
    path.write_text(path.read_text() + "c,no\n")
    assert made(path).provenance() != before
    assert isinstance(made(path), Files)


def test_a_hundred_thousand_equal_texts_are_one_document(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("text,label\n" + "the same words again,no\n" * 100_000 + "else,yes\n")
    found = corpus(path)
    assert len(found) == 100_001
    assert set(found.documents.tolist()) == {0, 1}
    with pytest.raises(DataError, match="no whole document fits"):
        split(
            found,
            transfer_fraction=0.25,
            test_fraction=0.2,
            validation_size=0,
            partition=Iid(),
            num_clients=2,
            seed=0,
        )
