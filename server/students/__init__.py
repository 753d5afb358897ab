"""Students: recipes for the model the server trains and publishes."""

import hashlib
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import nn


class Student(ABC):
    """A recipe for a student; the model itself is a :class:`torch.nn.Module`."""

    @abstractmethod
    def build(self, num_features: int, num_labels: int, rng: np.random.Generator) -> nn.Module:
        """An untrained student whose first weights are drawn from ``rng`` alone.

        Returns:
            A module from features (B, D), float32, to log-probabilities (B, C).
        """


def count_parameters(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def fingerprint(module: nn.Module) -> str:
    """SHA-256, in hexadecimal, over parameters and buffers sorted by name.

    Each tensor contributes its name, dtype, shape and bytes; equal fingerprints mean equal
    bits, whatever file the tensors came from.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        dtype = str(tensor.dtype).removeprefix("torch.")
        digest.update(f"{name}\0{dtype}\0{list(tensor.shape)}\0".encode())
        # Bytes by view, since numpy has no bfloat16.
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(plain.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
