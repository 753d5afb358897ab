"""Sentence vectors of a frozen language model."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal, final

from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.blanks import blanks
from common.component import component
from common.encoders import Encoder, _precision, _weights, fingerprint_of

if TYPE_CHECKING:
    from common.encoders._transformer import Transformer

_PROBE_TEXTS, _PROBE_REPEATS = 64, 2


@final
@component
class Sentence(Encoder):
    """The mean of a language model's last layer over a text's tokens, of length sqrt(D).

    The two texts of a pair (``common/pairs.py``) are the model's two segments, read together;
    where they are too long together, the longer one loses tokens first.

    Attributes:
        model: ``minilm`` (all-MiniLM-L6-v2, D = 384, installed with the project), a
            Hugging Face name, or a folder with a saved model and fast tokenizer.
        max_tokens: tokens of a text, or of both texts of a pair, that are read, the special
            ones included.
        batch_size: texts encoded at once; B.
        dtype: the model's number format; ``auto`` is bfloat16 where this machine was
            measured to be at least 1.2 times as fast in it, else float32.
        device: ``auto`` is a CUDA device where there is one, else the processor.
    """

    model: str = "minilm"
    max_tokens: int = Field(default=64, ge=4, le=8192)
    batch_size: int = Field(default=32, ge=1)
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @override
    def encode(
        self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None
    ) -> Floats:
        return self._loaded().encode(texts, self.batch_size, progress)

    @override
    def fingerprint(self) -> str:
        fixed = self.resolved()
        return fingerprint_of(
            recipe="sentence-2 mean sqrt(D)",
            model=_weights.folder_sha256(_weights.locate(self.model)),
            max_tokens=self.max_tokens,
            batch_size=self.batch_size,
            dtype=fixed.dtype,
            device=self._where(),
            # The same weights give other last bits under other code or another processor.
            machine=_precision.machine(),
            transformers=version("transformers"),
            tokenizers=version("tokenizers"),
        )

    @override
    def resolved(self) -> "Sentence":
        made = dataclasses.replace(self, model=self._model())
        if made.dtype != "auto":
            return made
        weights = _weights.folder_sha256(_weights.locate(self.model))
        on_cpu = self._where() == "cpu"
        dtype = _precision.choose(weights, made._seconds) if on_cpu else "float32"
        return dataclasses.replace(made, dtype=dtype)

    def _where(self) -> Literal["cpu", "cuda"]:
        """The device of this process: a worker may have none where the machine has one."""
        return _device() if self.device == "auto" else self.device

    def _model(self) -> str:
        """The same model, also for a process with another working directory."""
        is_folder = _weights.is_folder(self.model)
        return str(_weights.locate(self.model)) if is_folder else self.model

    def _loaded(self) -> "Transformer":
        # Function level: torch and transformers take seconds to import, and whoever only
        # reads a configuration or a cache needs neither.
        from common.encoders._transformer import load

        fixed, folder = self.resolved(), _weights.locate(self.model)
        weights = _weights.folder_sha256(folder)
        return load(folder, weights, self.max_tokens, str(fixed.dtype), self._where())

    def _seconds(self, dtype: Literal["float32", "bfloat16"]) -> float:
        """Processor seconds over 64 fixed texts, on the one thread that a worker has."""
        import torch

        from common.encoders._transformer import load

        # Past the cache: the format that loses is not to stay in memory.
        folder = _weights.locate(self.model)
        loaded = load.__wrapped__(folder, "", self.max_tokens, dtype, "cpu")
        texts, threads = blanks("random_tokens")[:_PROBE_TEXTS], torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return min(_timed(loaded, texts, self.batch_size) for _ in range(_PROBE_REPEATS))
        finally:
            torch.set_num_threads(threads)


def _timed(loaded: "Transformer", texts: Sequence[str], batch_size: int) -> float:
    start = time.thread_time()
    loaded.encode(texts, batch_size)
    return time.thread_time() - start


def _device() -> Literal["cpu", "cuda"]:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
