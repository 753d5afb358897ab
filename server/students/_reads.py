"""The module of a student that reads texts: token ids in, log-probabilities out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from common.arrays import Floats
from common.encoders._pretrained import Tokens
from server.reading import Progress, Reader

_NOTHING = -1  # behind the last token of a text; no id, so that every id can be told from it
_ROWS_AT_ONCE = 128


@final
@dataclass(frozen=True, eq=False)
class TokenIds(Reader):
    """Texts as ids of tokens: exact in float32, for no vocabulary has 2^24 pieces.

    Attributes:
        tokens: the tokenizer.
        tokenizer: the same, as Hugging Face saves it.
    """

    tokens: Tokens
    tokenizer: Any

    @override
    def read(
        self, texts: Sequence[str], shelf: Path | None = None, progress: Progress | None = None
    ) -> Floats:
        ids = np.full((len(texts), self.tokens.max_tokens), _NOTHING, dtype=np.float32)
        for row, read in enumerate(self.tokens.rows(texts)):
            ids[row, : len(read.ids)] = read.ids
        if progress is not None:
            progress(len(texts), len(texts))
        return ids


class Reads(nn.Module):
    """A model for sequence classification of Hugging Face, given rows of ids."""

    def __init__(self, model: nn.Module) -> None:
        """Wrap ``model``."""
        super().__init__()
        self.model = model

    @override
    def forward(self, rows: Tensor) -> Tensor:
        """Log-probabilities (B, C) of ids (B, L), float32; asked at leisure, in small parts."""
        if self.training:
            return self._log_probs(rows)
        return torch.cat([self._log_probs(part) for part in rows.split(_ROWS_AT_ONCE)])

    def _log_probs(self, rows: Tensor) -> Tensor:
        mask = rows != _NOTHING
        longest = max(1, int(mask.sum(dim=1).max())) if len(rows) else 1
        ids, mask = rows[:, :longest].long().clamp_min(0), mask[:, :longest]
        scores: Tensor = self.model(input_ids=ids, attention_mask=mask.long()).logits
        return torch.log_softmax(scores, dim=1)
