"""A small transformer over hashed words. Imports torch."""

import re
import zlib
from collections.abc import Sequence
from functools import lru_cache, partial

import torch
from torch import Tensor, nn
from typing_extensions import override

from clients.teachers._network import Network
from common.encoders._cutting import Row
from common.pairs import SEPARATOR, is_window, parted

_WORDS = re.compile(r"\w+|[^\w\s]|\x1f")
_PAD, _START, _SPECIAL = 0, 1, 2


class Small(nn.Module):
    """Embeddings, a transformer's encoder, the mean over the words, and a linear head."""

    def __init__(self, shape: tuple[int, int, int, int], most: int, num_labels: int) -> None:
        """Make one.

        Args:
            shape: layers, width, heads and rows of the embedding table.
            most: words of a text that are read.
            num_labels: C.
        """
        super().__init__()
        layers, width, heads, buckets = shape
        self.words, self.places = nn.Embedding(buckets, width), nn.Embedding(most, width)
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(0.1)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.1, activation="gelu", batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, num_labels)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)

    @override
    def forward(self, ids: Tensor, mask: Tensor, segments: Tensor) -> Tensor:
        """Scores (B, C) of word ids (B, L)."""
        del segments  # the separator of a pair is a word of its own
        made = self.words(ids) + self.places(torch.arange(ids.shape[1]))
        hidden = self.encoder(self.dropout(self.norm(made)), src_key_padding_mask=mask == 0)
        real = mask.unsqueeze(-1).float()
        scores: Tensor = self.head((hidden * real).sum(dim=1) / real.sum(dim=1))
        return scores


@lru_cache(maxsize=4)
def network(shape: tuple[int, int, int, int], most: int, num_labels: int) -> Network:
    """The one that all clients of a process share; every teacher draws its own weights.

    Args:
        shape: layers, width, heads and rows of the embedding table.
        most: words of a text that are read.
        num_labels: C.
    """
    with torch.random.fork_rng(devices=[]):  # torch's layers draw from the global stream
        module = Small(shape, most, num_labels).eval()
    names = tuple(name for name, _ in module.named_parameters())
    # The norms start from one and stay; every matrix, and every bias, is the teacher's own.
    fresh = frozenset(name for name in names if not name.endswith(("norm.weight", "bias")))
    fresh = frozenset(name for name in fresh if "norm" not in name)
    rows = partial(_rows, buckets=shape[3], most=most)
    return Network(module, rows, _PAD, names, fresh, frozenset(), num_labels, bytes(32))


def _rows(texts: Sequence[str], buckets: int, most: int) -> list[Row]:
    return [_row(text, buckets, most) for text in texts]


def _row(text: str, buckets: int, most: int) -> Row:
    """A start, then every word by its CRC-32; Weinberger et al., ICML 2009 (hashing)."""
    data = (word.encode("utf-8", "surrogatepass") for word in _words(text.lower(), most - 1))
    ids = [_START, *(_SPECIAL + zlib.crc32(word) % (buckets - _SPECIAL) for word in data)]
    return Row(ids, [0] * len(ids))


def _words(text: str, most: int) -> list[str]:
    """The first words; of a text behind its context the last of the context, then its own."""
    if not is_window(text):
        return _WORDS.findall(text)[:most]
    before, own = (_WORDS.findall(part or "") for part in parted(text))
    own = [SEPARATOR, *own]
    return [*before[max(0, len(before) + len(own) - most) :], *own][:most]
