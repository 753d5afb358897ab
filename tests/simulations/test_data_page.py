"""What docs/data.md says to write for copies of published data can be run on their layouts."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from common.configure import load
from common.label_presets import emotion7, nli
from common.pairs import parted
from simulations.datasets import Dataset, Part

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
MELD = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode\r\n"
SICK = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\r\n"


def snippet(name):
    """The data set of the first table behind an anchor."""
    found = re.search(rf'<a id="{name}"></a>\s+```toml\n(.*?)```', PAGE, re.DOTALL)
    return tomllib.loads(found[1])["data"]["dataset"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_copy_in_the_layout_of_meld(here):
    names = emotion7().names
    lines = [f'{i},"No, {i}",Ross,{e},x,{i // 2},{i % 2},1,1\r\n' for i, e in enumerate(names)]
    for file in ("train_sent_emo.csv", "test_sent_emo.csv"):
        (here / file).write_text(MELD + "".join(lines), newline="")
    found = load(Dataset, snippet("meld-like")).load(np.random.default_rng(0))
    assert [found.geometry.names[i] for i in found.labels] == [*names, *names]
    assert found.texts[3] == "No, 3"
    assert found.parts.tolist() == [Part.TRAIN] * 7 + [Part.TEST] * 7
    assert found.documents[0] == found.documents[1] != found.documents[2]


def test_a_copy_in_the_layout_of_sick(here):
    names = nli().names
    lines = [f'{i}\tA "dog {i}\tNo dog\t3.6\t{e.upper()}\r\n' for i, e in enumerate(names)]
    for file in ("SICK_train.txt", "SICK_test_annotated.txt"):
        (here / file).write_text(SICK + "".join(lines), newline="")
    found = load(Dataset, snippet("sick-like")).load(np.random.default_rng(0))
    assert found.labels.tolist() == [0, 1, 2] * 2
    assert found.geometry.points.tolist() == nli().points.tolist()
    assert parted(found.texts[1]) == ('A "dog 1', "No dog")
