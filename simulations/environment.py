"""What a run ran on: versions, machine, revision; recorded, never sent anywhere."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "fedknot",
    "flwr",
    "ray",
    "torch",
    "transformers",
    "numpy",
    "POT",
    "scikit-learn",
    "pydantic",
)

MAX_NODES = 32
"""With more clients than this a node looks after several: Flower slows down with the square."""

# Nothing of ours or below us phones home, and one thread a process keeps the bits.
QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_task_events_report_interval_ms": "0",
    "OMP_NUM_THREADS": "1",
    "PYTHONUTF8": "1",  # paths of any script, whatever the locale; Ray fails without
    "TOKENIZERS_PARALLELISM": "false",
}

# By this, Ray keeps its services on the loopback address, on Linux too; otherwise they
# listen where other machines can reach them.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


def describe() -> dict[str, Any]:
    """The content of ``environment.json``."""
    return {
        "versions": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "revision": _revision(),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _revision() -> str | None:
    home = Path(__file__).resolve().parents[1]
    call = ["git", "-C", str(home), "rev-parse", "--show-toplevel", "HEAD"]
    try:
        done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    top, _, revision = done.stdout.strip().partition("\n")
    # A copy of the package inside somebody else's repository has no revision of ours.
    return revision if done.returncode == 0 and Path(top) == home else None
