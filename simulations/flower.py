"""The second process: the server, with Flower's simulation engine around it.

Everything that depends on flwr's deprecated in-process engine is in this file (ADR 2);
it is used because only there actors can be told to heal.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import Empty, Queue, SimpleQueue
from typing import Final, NoReturn

from flwr.app import Context, Message
from flwr.server.superlink.fleet.vce import vce_api
from flwr.server.superlink.linkstate import LinkState
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

_LOOK_SECONDS: Final = 0.5  # whether it is all over

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
    app, post = ServerApp(), Post()
    vce_api.add_messages_to_queue = post.deliver

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        del context
        patient, failure = PatientGrid(grid, post.announce), None
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


class Post:
    """Hands messages to the engine's workers as soon as they are there.

    The engine itself looks ten times a second, for every node, through all messages that have not
    been answered: up to a tenth of a second of every exchange goes by before anybody works, and
    the processor's time grows with the square of the nodes (flwr 1.41, ``vce_api``).
    """

    def __init__(self) -> None:
        self._nodes: SimpleQueue[int] = SimpleQueue()

    def announce(self, messages: Iterable[Message]) -> None:
        """Say that these have been pushed."""
        for message in messages:
            self._nodes.put(message.metadata.dst_node_id)

    def deliver(
        self,
        state: LinkState,
        queue: Queue[Message],
        nodes_mapping: dict[int, int],
        f_stop: threading.Event,
    ) -> None:
        """What the engine has a thread do, in place of its ``add_messages_to_queue``."""
        del nodes_mapping  # the engine asks for every one of them
        while not f_stop.is_set():
            with contextlib.suppress(Empty):
                node = self._nodes.get(timeout=_LOOK_SECONDS)
                for message in state.get_message_ins(node_id=node, limit=1):
                    queue.put(message)


def _not_the_deprecation(record: logging.LogRecord) -> bool:
    return "run_simulation" not in record.getMessage()
