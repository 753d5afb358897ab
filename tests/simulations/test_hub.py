import numpy as np
import pytest

from common.configure import dump, kind_of, load
from common.failures import ConfigError, DataError
from common.pairs import parted
from simulations.datasets import Dataset, Part
from simulations.datasets._hub_presets import PRESETS
from simulations.datasets._table import Place, Table
from simulations.datasets.hub import Hub
from tests.tables import LABELS, rows

datasets = pytest.importorskip("datasets")
datasets.disable_progress_bars()
RNG = np.random.default_rng


def saved(folder, **splits):
    """A folder as ``save_to_disk`` makes it."""
    made = {name: datasets.Dataset.from_dict(columns) for name, columns in splits.items()}
    datasets.DatasetDict(made).save_to_disk(folder)
    return str(folder)


def hub(**settings):
    return load(Dataset, {"kind": "hub"} | settings)


def columns(table):
    return {key: [row[key] for row in table] for key in table[0]}


def test_a_saved_folder_is_read(tmp_path):
    table = rows(50)
    path = saved(tmp_path / "saved", train=columns(table[:40]), test=columns(table[40:]))
    settings = {"path": path, "labels": LABELS, "columns": {"group": "site"}}
    found = hub(**settings).load(RNG(0))
    assert found.texts == tuple(row["text"] for row in table[:40])
    assert found.group_names == ("north", "south")
    found = hub(**settings, test_split="test").load(RNG(0))
    assert found.texts == tuple(row["text"] for row in table)
    assert found.parts.tolist() == [Part.TRAIN] * 40 + [Part.TEST] * 10
    assert len(hub(**settings, size=20).load(RNG(0))) == 20
    assert len(hub(**settings, split="test").load(RNG(0))) == 10


def test_a_preset_reads_a_saved_folder_of_its_layout(tmp_path):
    features = datasets.Features(
        {
            "premise": datasets.Value("string"),
            "hypothesis": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["entailment", "neutral", "contradiction"]),
        }
    )
    table = {
        "premise": ["It rains.", "It rains.", "It rains."],
        "hypothesis": ["It is wet.", "It is dry.", "Who knows?"],
        "label": [0, 2, -1],
    }
    made = datasets.Dataset.from_dict(table, features=features)
    datasets.DatasetDict({"train": made, "test": made}).save_to_disk(tmp_path / "snli")
    found = hub(preset="snli", path=str(tmp_path / "snli")).load(RNG(0))
    assert len(found) == 4  # the unlabelled rows are dropped
    assert parted(found.texts[1]) == ("It rains.", "It is dry.")
    assert [found.geometry.names[i] for i in found.labels[:2]] == ["entailment", "contradiction"]
    assert found.geometry.cost[found.labels[0], found.labels[1]] == 2


def test_dialogues_are_unrolled(tmp_path):
    table = {"dialog": [["hi", "oh no"], ["great"]], "emotion": [[0, 5], [4]], "act": [[1, 1], [1]]}
    path = saved(tmp_path / "dialogues", train=table, test=table)
    found = hub(preset="daily_dialog", path=path).load(RNG(0))
    assert found.texts == ("hi", "oh no", "great") * 2
    assert [found.geometry.names[i] for i in found.labels[:3]] == ["neutral", "sadness", "joy"]
    assert found.documents.tolist() == [0, 0, 1, 2, 2, 3]


def row_of(preset, place, value):
    """One row as the hub has it: all columns that the preset names, and one that it does not."""
    named = preset.columns
    made = {named.text: f"text {place}", named.label: value, "idx": place}
    if named.text_pair is not None:
        made[named.text_pair] = f"pair {place}"
    for name, cell in ((named.group, f"group {place % 2}"), (named.document, f"source {place}")):
        if name is not None:
            made[name] = cell
    return made


def folder_of(preset, path):
    """A saved folder with the preset's own columns, values and splits; every label comes up."""
    values = [int(value) for value in preset.labels.values]
    splits = {}
    for start, split in enumerate((preset.split, preset.test_split or "unused")):
        table = [row_of(preset, 100 * start + i, value) for i, value in enumerate(2 * values)]
        table.append(row_of(preset, 100 * start + 99, -1))  # nobody labelled it
        splits[split] = columns(table)
    return saved(path, **splits)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_reads_its_own_layout(tmp_path, name):
    preset = PRESETS[name]
    found = hub(preset=name, path=folder_of(preset, tmp_path / name)).load(RNG(0))
    size = len(preset.labels.names)
    parts = 2 if preset.test_split else 1
    assert found.geometry.names == preset.labels.names
    assert found.labels.tolist() == [*range(size)] * 2 * parts
    places = [100 * part + i for part in range(parts) for i in range(2 * size)]
    if preset.columns.text_pair is None:
        assert found.texts == tuple(f"text {place}" for place in places)
    else:
        assert [parted(text) for text in found.texts] == [
            (f"text {p}", f"pair {p}") for p in places
        ]
    if preset.test_split:
        published = [Part.TRAIN] * 2 * size + [Part.TEST] * 2 * size
        assert found.parts.tolist() == published
    else:
        assert found.parts is None
    grouped = preset.columns.group is not None
    assert found.group_names == (("group 0", "group 1") if grouped else ("everybody",))


def test_the_presets_whose_test_part_is_published():
    """What GLUE and others keep to themselves, or never had, is drawn from the training rows."""
    splits = {name: preset.test_split for name, preset in PRESETS.items()}
    assert {name for name, split in splits.items() if not split} == {"amazon"}
    assert splits["multi_nli"] == splits["mnli"] == "validation_matched"
    assert {"cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst2", "wnli"} <= splits.keys()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_gives_way_to_what_is_said(name):
    dataset = hub(preset=name, split="here", revision="abc", config=["one"])
    asked = dataset._asked()
    assert (asked.split, asked.revision, asked.config) == ("here", "abc", ("one",))
    assert asked.labels == PRESETS[name].labels
    assert asked.name == PRESETS[name].name
    assert "abc" in dataset.provenance()
    assert load(Dataset, {"kind": kind_of(dataset), **dump(dataset)}) == dataset


def test_several_configurations_are_several_clients(monkeypatch):
    asked = []

    def fetched(preset, config, split):
        asked.append((preset.name, preset.data_files.format(config=config), split))
        table = [
            {"text": config + row["text"], "rating": 5.0, "parent_asin": "x"} for row in rows(2)
        ]
        table[0]["rating"] = 1
        return datasets.Dataset.from_list([row | {"rating": float(row["rating"])} for row in table])

    monkeypatch.setattr("simulations.datasets.hub._fetched", fetched)
    found = hub(preset="amazon", config=["Books", "Toys"]).load(RNG(0))
    assert found.group_names == ("Books", "Toys")
    assert found.groups.tolist() == [0, 0, 1, 1]
    assert [found.geometry.names[i] for i in found.labels[:2]] == ["very negative", "very positive"]
    assert asked[0] == (
        "json",
        "hf://datasets/McAuley-Lab/Amazon-Reviews-2023/raw/review_categories/Books.jsonl",
        "train",
    )


def test_the_configuration_that_lacks_a_column_is_named(monkeypatch):
    def fetched(preset, config, split):
        table = [row | {"rating": float(i % 5 + 1)} for i, row in enumerate(rows(10))]
        lacking = () if config == "Books" else ("text",)
        whole = [row | {"parent_asin": "x"} for row in table]
        return datasets.Dataset.from_list(
            [{key: cell for key, cell in row.items() if key not in lacking} for row in whole]
        )

    monkeypatch.setattr("simulations.datasets.hub._fetched", fetched)
    with pytest.raises(DataError, match="'text', but Toys train has no such column"):
        hub(preset="amazon", config=["Books", "Toys"]).load(RNG(0))


@pytest.mark.parametrize(
    "error", [ConnectionError("no\nway"), ValueError("bad"), datasets.exceptions.DatasetsError("x")]
)
def test_no_network_is_one_line(error, monkeypatch):
    def load_dataset(*_, **__):
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(DataError, match=r"nyu-mll/glue sst2.*cannot be loaded.*network") as caught:
        hub(preset="sst2").load(RNG(0))
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)


def test_an_error_of_the_http_client_is_one_line(monkeypatch):
    httpx = pytest.importorskip("httpx")

    def load_dataset(*_, **__):
        raise httpx.ConnectError("nobody there")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(DataError, match="ConnectError"):
        hub(preset="sst2").load(RNG(0))


def test_a_missing_package_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    for settings in ({"preset": "sst2"}, {"path": str(tmp_path), "labels": LABELS}):
        with pytest.raises(DataError, match=r"pip install 'fedknot\[hub\]'"):
            hub(**settings).load(RNG(0))


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "preset: name one"),
        ({"name": "x"}, "give name"),
        ({"labels": LABELS}, "give name"),
        ({"preset": "sst3"}, "did you mean 'sst"),
        ({"preset": "sst2", "size": 5}, "size must be at least 20"),
        ({"preset": "sst2", "path": "x", "config": ["a"]}, "config: has no effect beside path"),
        ({"preset": "sst2", "path": "x", "name": "a"}, "name: has no effect .* leave name out"),
        ({"preset": "sst2", "path": "x", "revision": "a"}, "revision: has no effect"),
        ({"preset": "sst2", "path": "x", "data_files": "a"}, "data_files: has no effect"),
    ],
)
def test_settings_that_make_no_sense(settings, line):
    with pytest.raises(ConfigError, match=line):
        hub(**settings)


def test_what_is_wrong_with_a_folder_is_one_line(tmp_path):
    path = saved(tmp_path / "saved", train=columns(rows(10)))
    with pytest.raises(DataError, match="unknown split 'tranin'; did you mean 'train'"):
        hub(path=path, labels=LABELS, split="tranin").load(RNG(0))
    with pytest.raises(DataError, match="'txt', but train has no such column; did you mean 'text'"):
        hub(path=path, labels=LABELS, columns={"text": "txt"}).load(RNG(0))
    with pytest.raises(DataError, match="no folder made with save_to_disk"):
        hub(path=str(tmp_path), labels=LABELS).load(RNG(0))


def test_a_place_says_the_row():
    assert str(Place("train", 3, "row")) == "train, row 3"
    assert len(Table({"a": [1]}, [Place("x", 1)])) == 1
    assert isinstance(hub(preset="sst2"), Hub)
