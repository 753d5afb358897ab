"""The server's memory between rounds as bytes and back: student, weighting, ground cost.

The optimiser is not part of it, for every round makes its own; nor is any generator, for every
round's stream has a name. What is read back is, bit for bit, what was written.
"""

import dataclasses

import numpy as np
import torch
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from common.arrays import Floats, Ints
from common.labels import LabelGeometry
from server.weightings import State


def pack_student(student: torch.nn.Module) -> bytes:
    """All parameters and buffers."""
    return save_tensors({name: t.contiguous() for name, t in student.state_dict().items()})


def restore_student(student: torch.nn.Module, data: bytes) -> None:
    """Put what :func:`pack_student` packed into a student of the same recipe."""
    student.load_state_dict(load_tensors(data))
    student.eval()


def pack_state(state: State) -> bytes:
    """What a weighting remembers."""
    return save_arrays({name: np.array(array, order="C") for name, array in state.items()})


def restore_state(data: bytes) -> State:
    """What :func:`pack_state` packed; the arrays may be written to."""
    return {name: np.array(array) for name, array in load_arrays(data).items()}


def pack_weights(clients: Ints, weights: Floats) -> bytes:
    """Who answered, (K,), and whom the server believed on which text, (K, N), as float32."""
    tensors = {
        "clients": torch.from_numpy(np.require(clients, np.int64, ["C", "W"])),
        "weights": torch.from_numpy(np.require(weights, np.float32, ["C", "W"])),
    }
    return save_tensors(tensors)


def pack_geometry(geometry: LabelGeometry) -> bytes:
    """Where the labels lie and what moving between them costs now."""
    arrays = {"points": geometry.points, "cost": geometry.cost}
    return save_arrays({name: np.array(array, order="C") for name, array in arrays.items()})


def restore_geometry(built: LabelGeometry, data: bytes) -> LabelGeometry:
    """What :func:`pack_geometry` packed.

    Args:
        built: the geometry of the first step; whatever else it carries (where a learned cost
            set out from) never changes, and is kept.
        data: the bytes.
    """
    arrays = load_arrays(data)
    return dataclasses.replace(built, points=arrays["points"], cost=arrays["cost"])
