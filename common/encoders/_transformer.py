"""A frozen transformer that turns token batches into sentence vectors. Imports torch."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging

from common.arrays import Floats, Ints
from common.encoders._cutting import Row, cut
from common.failures import ConfigError, DataError


@dataclass(frozen=True, eq=False)
class Transformer:
    """A loaded model with its tokenizer.

    Attributes:
        model: in evaluation mode, on its device.
        tokenizer: truncates to ``max_tokens`` and never pads.
        max_tokens: tokens of a text that are read.
        width: D, the size of a sentence vector.
        pad: the id that fills up a batch; masked out, so any id would do.
    """

    model: Any
    tokenizer: Any
    max_tokens: int
    width: int
    pad: int

    def encode(
        self,
        texts: Sequence[str],
        batch_size: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> Floats:
        """Sentence vectors of shape (N, D), float32, each of length sqrt(D)."""
        rows = [cut(self.tokenizer, text, self.max_tokens, self.pad) for text in texts]
        # Neighbours in length share a batch, so that little of it is padding.
        order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids))
        features = np.empty((len(rows), self.width), dtype=np.float32)
        for start in range(0, len(rows), batch_size):
            batch = order[start : start + batch_size]
            features[batch] = self._forward([rows[i] for i in batch])
            if progress is not None:
                progress(start + len(batch), len(rows))
        return features

    @torch.inference_mode()
    def _forward(self, rows: list[Row]) -> Floats:
        ids, mask = (self._placed(a) for a in _padded([row.ids for row in rows], self.pad))
        more = self._segments(rows)
        hidden = self.model(input_ids=ids, attention_mask=mask, **more).last_hidden_state.float()
        vectors = _pooled(hidden, mask.unsqueeze(-1).float()).cpu().numpy()
        return np.asarray(vectors, dtype=np.float32)

    def _segments(self, rows: list[Row]) -> dict[str, torch.Tensor]:
        """Which token is of which text of a pair, for models that were taught to tell."""
        told = getattr(self.model.config, "type_vocab_size", 0) > 1
        if not (told and any(any(row.segments) for row in rows)):
            return {}
        return {"token_type_ids": self._placed(_padded([row.segments for row in rows], 0)[0])}

    def _placed(self, numbers: Ints) -> torch.Tensor:
        return torch.from_numpy(numbers).to(self.model.device)


@lru_cache(maxsize=2)
def load(folder: Path, weights: str, max_tokens: int, dtype: str, device: str) -> Transformer:
    """Load once per process, so that all logical clients of a worker share one model.

    Args:
        folder: configuration, tokenizer and weights.
        weights: hash of the folder; a changed folder is loaded anew.
        max_tokens: tokens of a text that are read.
        dtype: ``float32`` or ``bfloat16``.
        device: ``cpu`` or ``cuda``.

    Raises:
        DataError: the folder holds no usable model.
        ConfigError: the model reads fewer tokens than asked for, or there is no such device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("there is no CUDA device; write device = 'cpu'")
    model, tokenizer = _read(folder)
    limit = getattr(model.config, "max_position_embeddings", max_tokens)
    if max_tokens > limit:
        raise ConfigError(f"max_tokens = {max_tokens} is too long; this model reads {limit}")
    # A tokenizer file may ask for padding to a fixed length. Those pads cost time, and once
    # their mask is lost they cost accuracy too.
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    model = model.to(device=device, dtype=getattr(torch, dtype)).eval()
    pad = getattr(model.config, "pad_token_id", None) or 0
    return Transformer(model, tokenizer, max_tokens, int(model.config.hidden_size), int(pad))


def _read(folder: Path) -> tuple[Any, Any]:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        # Weights that are not in the file are drawn from the global stream: leave it alone.
        with torch.random.fork_rng(devices=[]):
            model, facts = AutoModel.from_pretrained(
                folder, config=config, local_files_only=True, output_loading_info=True
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise DataError(f"model {folder.name!r} cannot be loaded; save it anew") from error
    if any(not name.startswith("pooler.") for name in facts["missing_keys"]):
        raise DataError(f"model {folder.name!r} lacks weights of its encoder; save it anew")
    if getattr(config, "is_encoder_decoder", False):
        raise DataError(f"model {folder.name!r} also decodes; write a plain encoder, as minilm")
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise DataError(f"model {folder.name!r} has no fast tokenizer; save one beside it")
    return model, tokenizer.backend_tokenizer


def _padded(rows: list[list[int]], pad: int) -> tuple[Ints, Ints]:
    ids = np.full((len(rows), max(map(len, rows))), pad, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return ids, mask


def _pooled(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the real tokens, scaled to length sqrt(D).

    Source: Reimers and Gurevych, "Sentence-BERT", EMNLP 2019, section 3 (mean pooling);
    the scaling gives features of unit variance, which a small network trains on well.
    """
    mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
    return torch.nn.functional.normalize(mean, dim=-1) * math.sqrt(hidden.shape[-1])
