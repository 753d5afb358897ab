"""Language models that are trained further, by teachers and by students. Imports torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging
from typing_extensions import override

from common.encoders import _transformer
from common.encoders._cutting import Row, cut
from common.failures import ConfigError, DataError


class Tokens:
    """A tokenizer that truncates, never pads, and takes any string."""

    def __init__(self, backend: Any, max_tokens: int, pad: int) -> None:
        """Take over ``backend``, a :class:`tokenizers.Tokenizer`.

        Args:
            backend: changed in place.
            max_tokens: tokens of a text that are read, the special ones included.
            pad: the id that fills up a batch.
        """
        backend.no_padding()
        backend.enable_truncation(max_tokens)
        self.backend, self.max_tokens, self.pad = backend, max_tokens, pad

    def rows(self, texts: Sequence[str]) -> list[Row]:
        """One row of at least one token for each text."""
        return [cut(self.backend, text, self.max_tokens, self.pad) for text in texts]


class Pooled(nn.Module):
    """A language model, the mean over its tokens, and one linear layer: scores (B, C)."""

    def __init__(self, encoder: nn.Module, width: int, num_labels: int) -> None:
        """Put a layer of zeros on ``encoder``, whose vectors have ``width`` entries."""
        super().__init__()
        # Not initialised, for that would draw from the global stream.
        self.encoder, self.head = encoder, nn.utils.skip_init(nn.Linear, width, num_labels)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @override
    def forward(self, ids: Tensor, mask: Tensor, segments: Tensor) -> Tensor:
        """Scores (B, C) of token ids (B, L)."""
        hidden = _called(self.encoder, ids, mask, segments).last_hidden_state
        scores: Tensor = self.head(_transformer._pooled(hidden, mask.unsqueeze(-1).float()))
        return scores


class Scores(nn.Module):
    """A model for sequence classification as Hugging Face saves it: scores (B, C)."""

    def __init__(self, model: nn.Module) -> None:
        """Wrap ``model``."""
        super().__init__()
        self.model = model

    @override
    def forward(self, ids: Tensor, mask: Tensor, segments: Tensor) -> Tensor:
        """Scores (B, C) of token ids (B, L)."""
        scores: Tensor = _called(self.model, ids, mask, segments).logits
        return scores


class Classifier(NamedTuple):
    """What :func:`open_classifier` found.

    Attributes:
        model: of Hugging Face, in evaluation mode.
        tokens: its tokenizer.
        fresh: names of parameters that were not in the files and are yet to be learned.
        tokenizer: as Hugging Face saves it.
    """

    model: Any
    tokens: Tokens
    fresh: frozenset[str]
    tokenizer: Any


def open_encoder(folder: Path, max_tokens: int) -> tuple[Any, Tokens, int]:
    """An encoder of one's own to train: model, tokenizer, width.

    Raises:
        DataError: the folder holds no usable model.
        ConfigError: it reads fewer tokens than asked for.
    """
    # Past the cache: what the encoders of this process share is never to be changed.
    made = _transformer.load.__wrapped__(folder, "", max_tokens, "float32", "cpu")
    return made.model, Tokens(made.tokenizer, max_tokens, made.pad), made.width


def open_classifier(folder: Path, num_labels: int, max_tokens: int) -> Classifier:
    """A model for sequence classification with C labels; parts that lack are drawn anew.

    Raises:
        DataError: the folder holds no usable model.
        ConfigError: it reads fewer tokens than asked for.
    """
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        if config.num_labels != num_labels:
            config.num_labels = num_labels
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        with torch.random.fork_rng(devices=[]):  # parts that lack come from the global stream
            torch.manual_seed(0)
            model, facts = AutoModelForSequenceClassification.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise DataError(f"model {folder.name!r} cannot be loaded; save it anew") from error
    limit = getattr(config, "max_position_embeddings", max_tokens)
    if max_tokens > limit:
        raise ConfigError(f"max_tokens = {max_tokens} is too long; this model reads {limit}")
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise DataError(f"model {folder.name!r} has no fast tokenizer; save one beside it")
    other = {key[0] for key in facts["mismatched_keys"]} | set(facts["missing_keys"])
    pad = getattr(config, "pad_token_id", None) or 0
    # Without it some models refuse batches, and others take the last pad for the last word.
    model.config.pad_token_id = pad
    tokens = Tokens(tokenizer.backend_tokenizer, max_tokens, int(pad))
    return Classifier(model.float().eval(), tokens, frozenset(other), tokenizer)


def padded(rows: Sequence[Row], pad: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, mask and segments, each (B, L), int64."""
    width = max(len(row.ids) for row in rows)
    ids, mask, segments = (torch.full((len(rows), width), fill) for fill in (pad, 0, 0))
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = torch.tensor(row.ids)
        segments[i, : len(row.ids)] = torch.tensor(row.segments)
        mask[i, : len(row.ids)] = 1
    return ids, mask, segments


def _called(model: nn.Module, ids: Tensor, mask: Tensor, segments: Tensor) -> Any:
    """The model's answer; segments are for models that were taught to tell."""
    told = getattr(model.config, "type_vocab_size", 0) > 1 and bool(segments.any())
    more = {"token_type_ids": segments} if told else {}
    return model(input_ids=ids, attention_mask=mask, **more)
