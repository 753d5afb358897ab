import numpy as np
import pytest

from common.configure import dump, kind_of, kinds, load
from common.encoders import Encoder, encode_cached, resolve

TEXTS = ["The film was good.", "", "It was a bad phone, a very bad phone!", "\ud800\x00", "ok"]


@pytest.fixture(scope="module", params=kinds(Encoder))
def encoder(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDKNOT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield load(Encoder, request.param)


def test_one_finite_row_per_text(encoder):
    features = encoder.encode(TEXTS)
    assert features.shape[0] == len(TEXTS)
    assert features.ndim == 2
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


def test_no_texts_give_no_rows_of_the_same_width(encoder):
    assert encoder.encode([]).shape == (0, encoder.encode(TEXTS).shape[1])


def test_same_texts_same_bits(encoder):
    assert encoder.encode(TEXTS).tobytes() == encoder.encode(tuple(TEXTS)).tobytes()


def test_rows_follow_the_texts(encoder):
    order = [3, 0, 4, 2, 1]
    shuffled = encoder.encode([TEXTS[i] for i in order])
    cosine = (shuffled * encoder.encode(TEXTS)[order]).sum(axis=1)
    lengths = (shuffled**2).sum(axis=1)
    np.testing.assert_allclose(cosine, lengths, rtol=1e-2)


def test_equal_recipes_have_equal_fingerprints(encoder):
    again = load(Encoder, {"kind": kind_of(encoder), **dump(encoder)})
    assert again == encoder
    assert again.fingerprint() == encoder.fingerprint()
    assert len(bytes.fromhex(encoder.fingerprint())) == 32


def test_resolving_changes_no_bit(encoder):
    fixed = resolve(encoder)
    assert resolve(fixed) == fixed
    assert fixed.fingerprint() == encoder.fingerprint()
    assert fixed.encode(TEXTS).tobytes() == encoder.encode(TEXTS).tobytes()


def test_the_cache_changes_no_bit(encoder, tmp_path):
    cold = encode_cached(encoder, TEXTS, tmp_path)
    warm = encode_cached(encoder, TEXTS, tmp_path)
    assert cold.tobytes() == warm.tobytes() == encoder.encode(TEXTS).tobytes()


def test_progress_ends_at_all(encoder):
    seen = []
    encoder.encode(TEXTS, lambda done, of: seen.append((done, of)))
    assert seen[-1] == (len(TEXTS), len(TEXTS))
