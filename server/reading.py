"""How texts become what a student is given: one row of numbers for each."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from typing_extensions import override

from common.arrays import Floats
from common.encoders import Encoder, encode_cached

Progress = Callable[[int, int], None]


class Reader(ABC):
    """Turns texts into a matrix, so that nobody who trains a student need know what it reads."""

    @abstractmethod
    def read(
        self, texts: Sequence[str], shelf: Path | None = None, progress: Progress | None = None
    ) -> Floats:
        """Shape (N, D), float32: features, or token ids.

        Args:
            texts: N texts.
            shelf: a folder in which what takes long may be kept; None to keep nothing.
            progress: told (texts done, N) now and then.
        """


@final
@dataclass(frozen=True)
class Features(Reader):
    """The features of the run's encoder."""

    encoder: Encoder

    @override
    def read(
        self, texts: Sequence[str], shelf: Path | None = None, progress: Progress | None = None
    ) -> Floats:
        if shelf is None:
            return self.encoder.encode(list(texts), progress)
        return encode_cached(self.encoder, texts, shelf, progress)
