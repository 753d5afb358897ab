"""Which number format a machine encodes in; decided once per machine, then remembered."""

import hashlib
import platform
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from common.failures import FolderError
from common.files import read_json, write_json
from common.places import cache_dir, cache_root

Dtype = Literal["float32", "bfloat16"]
_GAIN = 1.2
_FILE, _KEY = "machine.json", "encoder_dtype"
_FLAGS = {"avx512_bf16", "amx_bf16"}
_CPU_FACTS = ("model name", "flags", "CPU part", "Features")


@lru_cache(maxsize=1)
def machine() -> str:
    """SHA-256 in hex over processor type, instruction sets and the version of torch."""
    facts = [platform.machine(), platform.processor(), version("torch")]
    facts += [f"{key}:{value}" for key, value in sorted(_cpu_facts().items())]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware, as far as Linux tells.

    Elsewhere there is no public way to ask, and float32 is always right.
    """
    return not _FLAGS.isdisjoint(_cpu_facts().get("flags", "").split())


def choose(weights: str, seconds: Callable[[Dtype], float]) -> Dtype:
    """bfloat16 where it is at least 1.2 times as fast, else float32.

    Args:
        weights: hash of the model, which the answer may depend on.
        seconds: measures one format; asked once per machine, then the answer is read
            from ``machine.json``, so that the same machine always gives the same bits.
    """
    if not has_bfloat16():
        return "float32"
    name = f"{machine()[:16]}/{weights[:16]}"
    known = _remembered().get(name)
    if known in ("float32", "bfloat16"):
        return "bfloat16" if known == "bfloat16" else "float32"
    choice: Dtype = "float32"
    if seconds("float32") >= _GAIN * seconds("bfloat16"):
        choice = "bfloat16"
    return choice if _remember(name, choice) else "float32"


def _remembered() -> dict[str, Any]:
    try:
        table = read_json(cache_root() / _FILE)
    except (OSError, ValueError):
        return {}
    formats = table.get(_KEY) if isinstance(table, dict) else None
    return formats if isinstance(formats, dict) else {}


def _remember(name: str, choice: Dtype) -> bool:
    """False where nothing can be written: an answer that may change is not given."""
    try:
        write_json(cache_dir() / _FILE, {_KEY: {**_remembered(), name: choice}})
    except (OSError, FolderError):
        return False
    return True


@lru_cache(maxsize=1)
def _cpu_facts() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs if key.strip() in _CPU_FACTS}
