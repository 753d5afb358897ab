import math

import numpy as np
import pytest

from common.encoders.hashing import Hashing
from common.files import read_lines
from common.labels import LabelGeometry
from common.metrics import evaluate
from server.archive import open_student
from server.distil import predict


def test_rounds_say_how_the_student_does_on_validation(server, answers):
    server.admit((client, answers[client]) for client in (0, 2))
    server.learn()
    (line,) = read_lines(server.folder / "rounds.jsonl")
    assert (line["round"], line["asked"], line["answered"]) == (1, 4, 2)
    assert line["bytes_up"] == 2 * len(answers[0])
    assert math.isfinite(line["loss"])
    assert line["seconds"] >= 0
    rows = read_lines(server.folder / "validation.jsonl")
    features = Hashing(dimensions=16).encode([row["text"] for row in rows])
    probs = predict(open_student(server.folder), features)
    labels = np.array([row["label"] for row in rows])
    geometry = LabelGeometry.ordinal(server.terms.labels)
    expected = evaluate(probs, labels, geometry, validation=None)
    assert line["student"]["accuracy"] == pytest.approx(expected["accuracy"], abs=1e-6)
    assert line["student"]["nll"] == pytest.approx(expected["nll"], abs=1e-6)
