"""What this machine can do at all: products, copies, exponentials, one thread."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

_SECONDS = 0.03  # for each measurement


@dataclass(frozen=True)
class Limits:
    """Physical limits, measured in the same run as what is compared with them.

    Attributes:
        gemm_gflops: large float32 matrix product.
        gemm_double_gflops: the same in float64.
        skinny_gflops: (4096, 7) by (7, 462), the product inside the vertex solver.
        copy_gbps: bytes read and written per second, arrays of 64 MB.
        copy_cached_gbps: the same, arrays of 256 KB.
        exp_ns: per float32 exponential.
        operation_us: the least that one torch operation takes.
    """

    gemm_gflops: float
    gemm_double_gflops: float
    skinny_gflops: float
    copy_gbps: float
    copy_cached_gbps: float
    exp_ns: float
    operation_us: float


def measure() -> Limits:
    """Measure; under half a second."""
    large, cached = torch.rand(16_000_000), torch.rand(65_536)
    ones = torch.ones(1)
    return Limits(
        gemm_gflops=_gflops(512, 512, 512, torch.float32),
        gemm_double_gflops=_gflops(512, 512, 512, torch.float64),
        skinny_gflops=_gflops(4096, 7, 462, torch.float32),
        copy_gbps=_copy_gbps(large),
        copy_cached_gbps=_copy_gbps(cached),
        exp_ns=1e9 * _best(lambda: torch.exp(cached, out=torch.empty_like(cached))) / len(cached),
        operation_us=1e6 * _best(lambda: ones.neg()),
    )


def _gflops(rows: int, inner: int, columns: int, dtype: torch.dtype) -> float:
    a, b = torch.rand(rows, inner, dtype=dtype), torch.rand(inner, columns, dtype=dtype)
    out = torch.empty(rows, columns, dtype=dtype)
    return 2e-9 * rows * inner * columns / _best(lambda: torch.mm(a, b, out=out))


def _copy_gbps(source: Tensor) -> float:
    target = torch.empty_like(source)
    return 2e-9 * source.numel() * source.element_size() / _best(lambda: target.copy_(source))


def _best(work: Callable[[], object]) -> float:
    """Seconds of the fastest call."""
    work()
    times: list[float] = []
    ends = time.perf_counter() + _SECONDS
    while not times or time.perf_counter() < ends:
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)
