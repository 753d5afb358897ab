import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.encoders.hashing import Hashing
from common.encoders.numbers import Numbers
from common.encoders.sentence import Sentence
from common.pairs import SEPARATOR, behind, is_window, joined, parted, single
from common.transfer import TransferSet


@given(st.text(), st.text())
def test_a_pair_comes_apart_again(first, second):
    assert parted(joined(first, second)) == (single(first), single(second))
    assert parted(single(first)) == (single(first), None)
    assert len(joined(first, second)) == len(first) + len(second) + 1


@given(st.text(), st.text())
def test_only_a_text_behind_its_context_is_one(first, second):
    made = behind(first, second)
    assert parted(made) == (single(first), single(second))
    assert is_window(made)
    assert made != joined(first, second)  # so that no cache takes one for the other
    assert not any(map(is_window, (joined(first, second), single(first), single(second))))


def test_a_pair_survives_the_transfer_set(tmp_path):
    texts = TransferSet((joined("a\nb", "c"), joined("", ""), "plain"))
    texts.save(tmp_path / "transfer.jsonl")
    assert TransferSet.read(tmp_path / "transfer.jsonl", texts.sha256) == texts


def test_hashing_keeps_the_two_texts_apart():
    encoder = Hashing(dimensions=4096)

    def row(text):
        return encoder.encode([text])[0]

    plain, pair, turned = row("rain"), row(joined("rain", "wet")), row(joined("wet", "rain"))
    assert not np.array_equal(pair, turned)
    assert np.array_equal(row(joined("rain", "")), plain)
    # By hand: the first word in the column of its code, the second in that of its marked code.
    columns = [zlib.crc32(word.encode()) % 4096 for word in ("rain", SEPARATOR + "wet")]
    assert sorted(np.flatnonzero(pair).tolist()) == sorted(columns)
    assert np.allclose(np.abs(pair[columns]), np.sqrt(4096 / 2))


def test_sentence_reads_a_pair_as_two_segments():
    import torch
    from transformers import AutoModel, AutoTokenizer

    from common.encoders import _weights

    folder = _weights.locate("minilm")
    model = AutoModel.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    first, second = "It rains in the old town.", "The streets are wet " * 30
    asked = tokenizer(first, second, truncation="longest_first", max_length=32, return_tensors="pt")
    assert asked["token_type_ids"].sum() > 5
    with torch.inference_mode():
        mean = model(**asked).last_hidden_state[0].mean(dim=0).numpy()
    expected = mean / np.linalg.norm(mean) * np.sqrt(384)
    encoder = Sentence(max_tokens=32, dtype="float32", device="cpu")
    # Beside a text that is no pair, in the same batch.
    found = encoder.encode([joined(first, second), "A plain text."])
    assert found[0] == pytest.approx(expected, abs=2e-4)
    assert found[1] == pytest.approx(encoder.encode(["A plain text."])[0], abs=2e-4)


@pytest.mark.parametrize("most", [8, 12, 20, 64])
def test_a_context_loses_its_oldest_and_the_text_stays_whole(most):
    """Cut against the lists of word pieces, which the tokenizer gives part by part."""
    from tokenizers import Tokenizer

    from common.encoders import _weights
    from common.encoders._cutting import cut

    tokenizer = Tokenizer.from_file(str(_weights.locate("minilm") / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(most)
    context, text = "We were on a break!\nYou say so.", "Not this again, please."
    tokenizer.no_truncation()
    pieces = {p: tokenizer.encode(p, add_special_tokens=False).ids for p in (context, text)}
    tokenizer.enable_truncation(most)
    start, end = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    room = max(0, most - 3 - len(pieces[text]))
    before = pieces[context][max(0, len(pieces[context]) - room) :]
    own = pieces[text][: most - 3]
    found = cut(tokenizer, behind(context, text), most, 0)
    assert found.ids == [start, *before, end, *own, end]
    assert found.segments == [0] * (2 + len(before)) + [1] * (1 + len(own))
    # What is no such text is cut as ever.
    assert cut(tokenizer, context * 9, most, 0).ids == tokenizer.encode(context * 9).ids
    assert len(tokenizer.encode(context * 9).ids) == most


def test_sentence_reads_the_newest_context_and_the_whole_text():
    encoder = Sentence(max_tokens=20, dtype="float32", device="cpu")
    text = "All of this is to be read, to its very end."
    rows = encoder.encode(
        [
            behind("Old. " * 30 + "New.", text),
            behind("Old. " * 30 + "Yes.", text),
            behind("Odd. " * 3 + "Old. " * 30 + "New.", text),
        ]
    )
    assert np.array_equal(rows[0], rows[2])
    assert not np.allclose(rows[0], rows[1], atol=1e-3)


def test_numbers_are_scaled():
    encoder = Numbers(dimensions=3, low=-1, high=3)
    found = encoder.encode(["-1 1 3", "0\n2.0\t1e9", " -7 inf 1", "1 2", "1 2 3 4", "a b c", ""])
    assert found.dtype == np.float32
    assert found.tolist() == [[0, 0.5, 1], [0.25, 0.75, 1]] + [[0, 0, 0]] * 5


def test_a_scale_without_width_is_refused():
    with pytest.raises(ValueError, match="high must be more than low"):
        Numbers(low=1, high=1)
