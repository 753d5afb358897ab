import numpy as np
import pytest
from sklearn.datasets import load_digits

from common.encoders.numbers import Numbers
from common.failures import DataError
from simulations.datasets.digits import Digits
from simulations.experiment_file import read


def test_the_texts_hold_the_pictures():
    corpus, pictures = Digits().load(np.random.default_rng(0)), load_digits()
    features = Numbers(dimensions=64, high=16.0).encode(corpus.texts)
    assert np.array_equal(features, (pictures.data / 16).astype(np.float32))
    assert np.array_equal(corpus.labels, pictures.target)
    assert corpus.geometry.names == tuple("0123456789")
    assert np.array_equal(corpus.geometry.cost, 1 - np.eye(10))
    assert corpus.texts[0].startswith("0 0 5 13 9 1 0 0 ")


def test_the_shipped_experiment_reads_them_with_numbers():
    experiment = read("digits")
    assert experiment.data.dataset == Digits()
    assert experiment.clients.encoder == Numbers(dimensions=64, low=0.0, high=16.0)


def test_a_missing_package_is_one_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match=r"pip install 'fedknot\[sklearn\]'"):
        Digits().load(np.random.default_rng(0))
