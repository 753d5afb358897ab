"""Published models with the part that a teacher trains. Imports torch and transformers."""

import copy
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from torch import nn

from clients.teachers._naming import OF_THE_RUN
from clients.teachers._network import Network
from common.encoders import _weights
from common.encoders._pretrained import Pooled, Scores, open_classifier, open_encoder
from common.failures import ConfigError, DataError

_HEAD = ("head.weight", "head.bias")
Layers = int | Literal["all"]


def fine_tuned(model: str, layers: Layers, max_tokens: int, num_labels: int) -> Network:
    """A sentence encoder and a head; the last ``layers`` layers and the head are to be trained."""
    return _fine_tuned(*_opened(model), layers, max_tokens, num_labels)


def adapted(model: str, settings: dict[str, Any], max_tokens: int, num_labels: int) -> Network:
    """A sentence encoder with low-rank adapters and a head, which alone are to be trained."""
    fixed = tuple(sorted(settings.items()))
    return _adapted(*_opened(model), fixed, max_tokens, num_labels)


def classifier(model: str, trained: bool, max_tokens: int, num_labels: int) -> Network:
    """A model for sequence classification, all of it to be trained or nothing.

    Raises:
        DataError: it is to be taken as it is, but does not tell these labels apart.
    """
    return _classifier(*_opened(model), trained, max_tokens, num_labels)


def _opened(model: str) -> tuple[Path, str]:
    if model == OF_THE_RUN:
        raise ConfigError("model = 'encoder' means a run's; write model = 'minilm'")
    folder = _weights.locate(model)
    return folder, _weights.folder_sha256(folder)


@lru_cache(maxsize=2)
def _encoder(folder: Path, sha256: str, max_tokens: int) -> tuple[Any, Any, int]:
    return open_encoder(folder, max_tokens)


@lru_cache(maxsize=2)
def _fine_tuned(
    folder: Path, sha256: str, layers: Layers, max_tokens: int, num_labels: int
) -> Network:
    encoder, tokens, width = _encoder(folder, sha256, max_tokens)
    module = Pooled(encoder, width, num_labels)
    own = [*_top(module, layers), *_HEAD]
    return _network(module, tokens, own, (_HEAD[:1], _HEAD), num_labels, sha256)


@lru_cache(maxsize=2)
def _adapted(
    folder: Path,
    sha256: str,
    settings: tuple[tuple[str, Any], ...],
    max_tokens: int,
    num_labels: int,
) -> Network:
    from peft import LoraConfig, inject_adapter_in_model

    encoder, tokens, width = _encoder(folder, sha256, max_tokens)
    encoder = copy.deepcopy(encoder)  # adapters are put into the model itself
    try:
        encoder = inject_adapter_in_model(LoraConfig(**dict(settings)), encoder).eval()
    except ValueError as error:
        raise ConfigError(
            "lora: the model has no layers of these names; write targets = ['...'] with the "
            "names of its attention's linear layers, as q_lin or q_proj"
        ) from error
    module = Pooled(encoder, width, num_labels)
    own = [name for name, _ in module.named_parameters() if "lora_" in name]
    fresh = [name for name in own if "lora_A" in name]  # B stays zero: no change at first
    return _network(module, tokens, [*own, *_HEAD], ([*fresh, _HEAD[0]], _HEAD), num_labels, sha256)


@lru_cache(maxsize=2)
def _classifier(
    folder: Path, sha256: str, trained: bool, max_tokens: int, num_labels: int
) -> Network:
    found = open_classifier(folder, num_labels, max_tokens)
    if found.fresh and not trained:
        raise DataError(
            f"model {folder.name!r} has no head for {num_labels} labels; write fine_tune = true"
        )
    module = Scores(found.model)
    own = [name for name, _ in module.named_parameters()] if trained else []
    fresh = [f"model.{name}" for name in found.fresh]
    return _network(module, found.tokens, own, (fresh, fresh), num_labels, sha256)


def _network(
    module: nn.Module,
    tokens: Any,
    own: Sequence[str],
    fresh_and_fast: tuple[Sequence[str], Sequence[str]],
    num_labels: int,
    sha256: str,
) -> Network:
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(False)  # what is trained is put over it
        del name
    fresh, fast = map(frozenset, fresh_and_fast)
    return Network(
        module.eval(),
        tokens.rows,
        tokens.pad,
        tuple(own),
        fresh,
        fast,
        num_labels,
        bytes.fromhex(sha256),
    )


def _top(module: nn.Module, layers: Layers) -> list[str]:
    """Names of the parameters of the last layers; a pooler is never used."""
    names = [name for name, _ in module.named_parameters() if name.startswith("encoder.")]
    names = [name for name in names if not re.search(r"(^|\.)pooler\.", name)]
    if layers == "all":
        return names
    stacks = [(n, s) for n, s in module.named_modules() if isinstance(s, nn.ModuleList)]
    if not stacks:
        raise ConfigError("fine_tuned: this model has no stack of layers; write layers = 'all'")
    path, stack = max(stacks, key=lambda found: len(found[1]))
    if layers > len(stack):
        raise ConfigError(f"fine_tuned: this model has {len(stack)} layers; write layers = 'all'")
    chosen = tuple(f"{path}.{i}." for i in range(len(stack) - layers, len(stack)))
    return [name for name in names if name.startswith(chosen)]
