"""The second process: the server, with Flower's simulation engine around it.

Everything that depends on flwr's deprecated in-process engine is in this file (ADR 2);
it is used because only there actors can be told to heal.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation

from common.failures import Failure
from server.app import serve
from server.hush import hush
from server.patience import PatientGrid
from server.walls import assert_apart, keep_out
from simulations.environment import MAX_NODES
from simulations.events import Progress
from simulations.node import RemoteClientApp

# Ray restarts a dead actor and runs its task again; Flower alone would keep handing
# messages to the corpse. Clients are idempotent by (run, round, client).
_HEALING = {"num_cpus": 1, "num_gpus": 0.0, "max_restarts": -1, "max_task_retries": 2}


def launch(
    folder: Path,
    address: str,
    num_clients: int,
    progress: Progress,
    leave: Callable[[Failure | None], NoReturn],
) -> None:
    """Serve a provisioned run folder to clients on the Ray cluster at ``address``.

    Args:
        folder: the run folder.
        address: of the head of the cluster.
        num_clients: K.
        progress: told (phase, done, total).
        leave: ends this process with the failure that there is, if any. It is called where a
            client is still at a task that nobody waits for: the engine would.
    """
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        del context
        patient, failure = PatientGrid(grid), None
        try:
            serve(patient, folder, progress)
        except Failure as error:
            if not patient.owed:
                raise
            failure = error
        if patient.owed:
            assert_apart()
            leave(failure)

    keep_out(folder)
    hush()
    logging.getLogger("flwr").addFilter(_not_the_deprecation)
    run_simulation(
        server_app=app,
        client_app=RemoteClientApp(),
        num_supernodes=min(num_clients, MAX_NODES),
        backend_config={
            "client_resources": dict(_HEALING),
            # What workers print is the clients'; Flower would have it sent to this process.
            "init_args": {"address": address, "log_to_driver": False},
        },
    )
    assert_apart()


def _not_the_deprecation(record: logging.LogRecord) -> bool:
    return "run_simulation" not in record.getMessage()
