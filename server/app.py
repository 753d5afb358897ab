"""Flower adapter: the server's app, for our launcher and for ``flwr run`` alike."""

import os
import re
import subprocess
import sys
from pathlib import Path

# A privacy tool must not phone home; flwr reads this when it is imported.
os.environ["FLWR_TELEMETRY_ENABLED"] = "0"

import psutil
import torch
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp

from common.failures import KINDS, Failure
from common.faults import stamp
from common.lock import held
from server import faults
from server.checkpoint import newest
from server.hush import hush
from server.patience import PatientGrid
from server.plan import open_coordinator
from server.progress import Progress
from server.strategy import FederatedDistillation
from server.walls import assert_apart, keep_out

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Started by ``flwr run``: have the simulator provision, serve, have it observe.

    The simulator's parts run in processes of their own, so that this one never holds
    private or test data.
    """
    words = ["--experiment", str(context.run_config["experiment"])]
    for option in ("set", "out"):
        if context.run_config.get(option):
            words += [f"--{option}", str(context.run_config[option])]
    folder = Path(_simulator("provision", *words).splitlines()[-1])
    keep_out(folder)
    hush()
    with held(folder):
        try:
            serve(grid, folder, lambda phase, done, total: None)
            assert_apart()
            _simulator("observe", str(folder))
        except BaseException:
            _simulator("abandon", str(folder))
            raise


def serve(grid: Grid, folder: Path, progress: Progress) -> None:
    """Run all rounds of a provisioned run folder that are not committed; write the outcome.

    Args:
        grid: of Flower; if it is patient already, its owner can ask it what is still owed.
        folder: the run folder.
        progress: told (phase, done, total).
    """
    torch.set_num_threads(1)  # the number of threads changes the bits
    stamp(folder)
    coordinator, terms = open_coordinator(folder, progress)

    def reach(phase: str, server_round: int) -> None:
        faults.reach(phase, folder, server_round)

    done = coordinator.resume(newest(folder, terms.run)[0])
    strategy = FederatedDistillation(coordinator, progress, reach, done)
    patient = grid if isinstance(grid, PatientGrid) else PatientGrid(grid)
    left, seconds = terms.num_rounds - done, coordinator.timeouts.predict
    strategy.start(patient, ArrayRecord(), left, timeout=seconds)
    strategy.finish()
    reach("served", terms.num_rounds)
    coordinator.finish({"driver_peak_mb": peak_mb()})


def peak_mb() -> float:
    """The largest memory this process has had, in MB of 10^6 bytes."""
    if sys.platform == "win32":
        return float(round(psutil.Process().memory_info().peak_wset / 1e6, 1))
    import resource  # Unix only

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)


def _simulator(*words: str) -> str:
    """Run one part of the simulator in its own process; return what it prints.

    Raises:
        Failure: of the kind, and with the one line, with which the part ended.
    """
    call = [sys.executable, "-P", "-m", "simulations", *words]
    # Flower puts its copy of the app there, without the files it does not pack.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(call, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        line = (done.stderr.strip().splitlines() or ["the simulator failed"])[-1]
        raise KINDS.get(done.returncode, Failure)(re.sub(r"^fedknot: ", "", line))
    return done.stdout.strip()
