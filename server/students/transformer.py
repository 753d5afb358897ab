"""A transformer that reads the texts themselves."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import numpy as np
import torch
from pydantic import Field
from safetensors.torch import load_file, save
from torch import Tensor, nn
from typing_extensions import override

from common.component import component
from common.encoders import Encoder, _weights
from common.failures import ConfigError
from server.reading import Reader
from server.students import Student, as_json

_SCRATCH, _PREFIX, _WEIGHTS = "scratch", "model.", "model.safetensors"


@final
@component
class Transformer(Student):
    """A small transformer from scratch, or a published one that is trained further.

    ``student/`` is then a model of Hugging Face with its tokenizer, for
    ``AutoModelForSequenceClassification.from_pretrained``. From scratch, word pieces are made
    from the public transfer set. All weights are trained: of a published model, write a small
    ``server.schedule.learning_rate``, such as 1e-4.

    Attributes:
        model: ``scratch``, or as in the encoder ``sentence``: ``minilm``, a Hugging Face name,
            a folder with a saved model and fast tokenizer.
        layers: from scratch: of the transformer; the defaults are the shape of KNOT's student.
        width: from scratch: of its vectors; a multiple of ``heads``.
        heads: from scratch: of the attention.
        vocabulary: from scratch: rows of the embedding table; pieces there are at most so many.
        dropout: from scratch: share of units silenced at every training step.
        max_tokens: tokens of a text that are read, the special ones included.

    Reference: Devlin et al., *BERT*, NAACL 2019; Turc et al., *Well-Read Students Learn
    Better*, 2019 (its smallest shape).
    """

    reads: ClassVar[Literal["features", "texts"]] = "texts"

    model: str = _SCRATCH
    layers: int = Field(default=2, ge=1, le=24)
    width: int = Field(default=128, ge=2, le=4096)
    heads: int = Field(default=2, ge=1, le=64)
    vocabulary: int = Field(default=8192, ge=600, le=1 << 20)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    max_tokens: int = Field(default=64, ge=4, le=8192)

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ConfigError(
                f"transformer: {self.heads} heads cannot share a width of {self.width}; "
                f"write width = {self.heads * max(1, self.width // self.heads)}"
            )

    @override
    def build(self, num_features: int, num_labels: int, rng: np.random.Generator) -> nn.Module:
        from server.students._reads import Reads

        with torch.random.fork_rng(devices=[]):  # the library draws from the global stream
            torch.manual_seed(int(rng.integers(2**63)))
            return Reads(self._model(num_labels)).eval()

    @override
    def reader(self, encoder: Encoder, shared: Sequence[str]) -> Reader:
        from common.encoders._pretrained import Tokens
        from server.students._reads import TokenIds
        from server.students._vocabulary import made_from

        if self.model != _SCRATCH:
            found = self._published(2)  # the tokenizer is the same for any number of labels
            return TokenIds(found.tokens, found.tokenizer)
        tokenizer = made_from(shared, self.vocabulary, self.max_tokens)
        return TokenIds(Tokens(tokenizer.backend_tokenizer, self.max_tokens, 0), tokenizer)

    @override
    def files(self, module: nn.Module, reader: Reader, about: dict[str, Any]) -> dict[str, bytes]:
        from server.students._reads import Reads, TokenIds

        assert isinstance(module, Reads), "of build"
        assert isinstance(reader, TokenIds), "of reader"
        model: Any = module.model
        names = dict(enumerate(about.get("outputs", about["labels"])))
        more = {
            "architectures": [type(model).__name__],
            "id2label": {str(number): name for number, name in names.items()},
            "label2id": {name: number for number, name in names.items()},
            "fedknot": about,
        }
        tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        return _saved(reader.tokenizer) | {
            "config.json": as_json(model.config.to_diff_dict() | more),
            _WEIGHTS: save(tensors, {"format": "pt"}),
        }

    @override
    def stored(self, home: Path) -> dict[str, Tensor]:
        return {_PREFIX + name: tensor for name, tensor in load_file(home / _WEIGHTS).items()}

    def _model(self, num_labels: int) -> Any:
        # Function level: whoever only reads a configuration need not import transformers.
        from transformers import BertConfig, BertForSequenceClassification

        if self.model != _SCRATCH:
            return self._trainable(num_labels)
        shape = BertConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=4 * self.width,
            max_position_embeddings=self.max_tokens,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
        )
        shape.num_labels = num_labels
        return BertForSequenceClassification(shape)

    def _trainable(self, num_labels: int) -> Any:
        """The published model; what it lacks is drawn here, by the seed of this student."""
        found = self._published(num_labels)
        for name, parameter in found.model.named_parameters():
            if name in found.fresh and parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.02)
        return found.model

    def _published(self, num_labels: int) -> Any:
        from common.encoders._pretrained import open_classifier

        return open_classifier(_weights.locate(self.model), num_labels, self.max_tokens)


def _saved(tokenizer: Any) -> dict[str, bytes]:
    """The files of a tokenizer, truncation and padding left to whoever loads it."""
    tokenizer.backend_tokenizer.no_truncation()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}
