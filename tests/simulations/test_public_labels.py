"""Transfer texts whose labels are public: who gets them, and who may ask for them."""

import numpy as np
import pytest

from common.configure import load
from common.encoders import Encoder
from common.failures import ConfigError
from common.files import read_lines
from common.terms import Terms
from server.archive import open_weights
from server.plan import LABELS
from simulations.events import silent
from simulations.examination import open_examination
from simulations.loop import federate
from simulations.opened import open_stores
from simulations.provision import divide
from tests.worlds import hashes, outcome, stocked, tiny_with

SHORT = "{ steps = 20, batch_size = 16 }"


def test_labels_are_those_of_the_corpus_and_only_as_many_as_asked_for(tmp_path):
    experiment = tiny_with("data.labelled_transfer = 9")
    folder = stocked(experiment, tmp_path / "run")
    corpus, parts = divide(experiment)
    lines = read_lines(folder / LABELS)
    rows = [line["row"] for line in lines]
    assert len(rows) == 9
    assert rows == sorted(set(rows))
    assert [line["label"] for line in lines] == corpus.labels[parts.transfer[rows]].tolist()
    texts = [row["text"] for row in read_lines(folder / "transfer.jsonl")]
    assert [texts[row] for row in rows] == [corpus.texts[r] for r in parts.transfer[rows]]


def test_nobody_has_labels_unless_asked_for(tmp_path):
    folder = stocked(tiny_with(), tmp_path / "run")
    assert not (folder / LABELS).exists()


def test_more_labels_than_texts_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"labelled_transfer is 100000 .* or less"):
        stocked(tiny_with("data.labelled_transfer = 100000"), tmp_path / "run")


@pytest.mark.parametrize(
    "key",
    [
        "server.label_weight = 0.3",
        "server.pretraining.start = true",
        f"server.fine_tuning = {SHORT}",
    ],
)
def test_what_needs_labels_says_how_to_have_some(key):
    with pytest.raises(ConfigError, match=r"data\.labelled_transfer = 200"):
        tiny_with(key)


def test_a_key_that_is_not_given_changes_no_run_id():
    plain = tiny_with()
    assert tiny_with("server.reweighting = 'none'").run_id == plain.run_id
    assert tiny_with("data.labelled_transfer = 5").run_id != plain.run_id


@pytest.mark.parametrize("kind", ["validation", "stacking", "ca_mkd"])
def test_at_test_time_teachers_are_weighed_by_the_labels_of_the_run(tmp_path, kind):
    """The observer's ensemble: weights from shared texts, none from the labels of test rows."""
    words = ("data.labelled_transfer = 20; bounds = true", f"server.weighting = '{kind}'")
    experiment = tiny_with(*words)
    folder = stocked(experiment, tmp_path / "run")
    federate(folder, silent)
    terms = Terms.read(folder / "terms.json")
    exam = open_examination(folder, terms, *divide(experiment), silent)
    opened = open_stores(experiment, folder, exam, load(Encoder, dict(terms.encoder)))
    probs = np.stack([test for test, _ in opened.alone().values()])
    _, weights = open_weights(folder)
    unknown = np.setdiff1d(np.arange(weights.shape[1]), [x["row"] for x in _labels(folder)])
    expected = np.einsum("k,knc->nc", weights[:, unknown[0]], probs)
    assert opened.together()[0] == pytest.approx(expected, abs=0.01)  # the run's are quantised


def _labels(folder):
    return read_lines(folder / LABELS)


def test_a_run_with_a_teacher_of_the_servers_own(tmp_path):
    """It is weighed as the last one, resumes to the same bits, and is no client."""
    words = (
        "data.labelled_transfer = 20",
        f"server.pretraining.schedule = {SHORT}",
        "server.label_weight = 0.2",
        "server.schedule.holdout = 0.2",
    )
    folders = [stocked(tiny_with(*words), tmp_path / name) for name in ("one", "two")]
    for folder in folders:
        federate(folder, silent)
    assert hashes(folders[0]) == hashes(folders[1])
    clients, weights = open_weights(folders[0])
    assert clients.tolist() == [0, 1, 2, 3, 4]
    assert np.allclose(weights.sum(axis=0), 1)
    assert outcome(folders[0])["clients"]["asked"] == 4


SEEN = (
    "{ kind = 'reinforced', instance = 'hidden' }",
    "{ kind = 'gate', inputs = 'hidden' }",
)


@pytest.mark.parametrize("weighting", SEEN)
def test_a_whole_run_steers_by_what_a_student_that_reads_texts_sees_in_them(weighting, tmp_path):
    student = "{ kind = 'transformer', layers = 1, width = 8, vocabulary = 600, max_tokens = 8 }"
    labels = "num_rounds = 2; data.labelled_transfer = 20; server.aggregator = 'keep_all'"
    made = (f"server.weighting = {chosen}" for chosen in (weighting, "'uniform'"))
    steered, plain = (
        stocked(tiny_with(f"server.student = {student}", labels, one), tmp_path / str(number))
        for number, one in enumerate(made)
    )
    for folder in (steered, plain):
        federate(folder, silent)
    assert hashes(steered)[0] != hashes(plain)[0]
