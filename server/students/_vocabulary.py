"""Word pieces made from public texts."""

from collections import Counter
from collections.abc import Sequence

from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece
from transformers import PreTrainedTokenizerFast

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_MOST_LETTERS, _LEAST_COUNT = 256, 2


def made_from(texts: Sequence[str], size: int, max_tokens: int) -> PreTrainedTokenizerFast:
    """A tokenizer of at most ``size`` pieces; the same for the same texts in any order.

    Every letter is a piece, at the start of a word and inside; then words, the most frequent
    first and of equal ones the first in the alphabet. Other words are cut into the longest
    pieces there are (Wu et al., *Google's Neural Machine Translation System*, 2016, section
    4.1, for the cutting; their learning of pieces has ties that no order decides).
    """
    cut = Tokenizer(WordPiece(unk_token="[UNK]"))
    cut.normalizer = normalizers.BertNormalizer(lowercase=True)
    cut.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    vocabulary = {piece: number for number, piece in enumerate(_pieces(cut, texts, size))}
    cut.model = WordPiece(vocabulary, unk_token="[UNK]")
    start, end = (("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"]))
    cut.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[start, end]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=cut,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=max_tokens,
    )


def _pieces(cut: Tokenizer, texts: Sequence[str], size: int) -> list[str]:
    words: Counter[str] = Counter()
    for text in texts:
        plain = cut.normalizer.normalize_str(text.encode("utf-8", "replace").decode())
        words.update(word for word, _ in cut.pre_tokenizer.pre_tokenize_str(plain))
    letters: Counter[str] = Counter()
    for word, count in words.items():
        letters.update(dict.fromkeys(word, count))
    alphabet = sorted(_ranked(letters)[:_MOST_LETTERS])
    known = [*_SPECIAL, *alphabet, *(f"##{letter}" for letter in alphabet)]
    often = Counter({w: n for w, n in words.items() if n >= _LEAST_COUNT and len(w) > 1})
    return [*known, *_ranked(often)][:size]


def _ranked(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda piece: (-counts[piece], piece))
