"""The parts of a run as processes of their own: provision, cluster, serve, observe.

Started by the command line or by the server's app, never by hand. Each ends when the
pipe on its standard input closes, so that no part outlives who started it.
"""

import os

from simulations.environment import QUIET

os.environ.update(QUIET)  # before anything imports flwr, ray or torch

import argparse
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

from common import faults
from common.failures import Failure
from common.files import full_disk_is_a_failure
from simulations.events import Reporter


def main() -> int:
    """Run one part; its exit code is that of the failure, if there is one."""
    words = _arguments()
    reporter = Reporter(words.events)
    if words.leash:
        _follow_parent()
    try:
        with full_disk_is_a_failure():
            PARTS[words.part](words, reporter)
    except Failure as failure:
        return _told(failure, reporter)
    return 0


def _told(failure: Failure, reporter: Reporter) -> int:
    reporter.failure(failure.exit_code, str(failure))
    print(f"fedknot: {failure}", file=sys.stderr, flush=True)
    return failure.exit_code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulations")
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--experiment")
    parser.add_argument("--set", default="")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--address")
    parser.add_argument("--clients", type=int)
    parser.add_argument("--session", type=Path)
    parser.add_argument("--events", type=int)
    parser.add_argument("--leash", action="store_true")
    return parser.parse_args()


def _follow_parent() -> None:
    """End this process at once when standard input closes."""

    def wait() -> None:
        os.read(0, 1)  # the buffered reader would hold a lock while the interpreter ends
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _provision(words: argparse.Namespace, reporter: Reporter) -> None:
    import torch

    from common.files import write_json
    from simulations.clock import Clock
    from simulations.experiment_file import read, to_toml
    from simulations.folder import create, keep_call
    from simulations.identity import keep_identity
    from simulations.provision import provision

    torch.set_num_threads(1)
    if words.folder is not None:
        provision(read(str(words.folder / "experiment.toml")), words.folder, reporter.progress)
        faults.reach("provisioned")
        return
    experiment = read(words.experiment, [words.set])
    folder = create(words.out, words.experiment, experiment.seed)
    (folder / "experiment.toml").write_text(to_toml(experiment))
    name = Path(words.experiment).stem
    keep_call(folder, experiment=name, backend="flwr run", started=time.time())
    keep_identity(folder, experiment)
    clock = Clock(reporter.progress)
    provision(experiment, folder, clock)
    # Nobody outside watches the workers' memory there.
    outside = {"seconds": clock.seconds(), "worker_peak_mb": None}
    write_json(folder / "checkpoint" / "outside.json", outside)
    print(folder)


def _cluster(words: argparse.Namespace, reporter: Reporter) -> None:
    from simulations.cluster import host

    del reporter
    host(words.folder, words.session, words.clients)


def _serve(words: argparse.Namespace, reporter: Reporter) -> None:
    from simulations.flower import launch

    def leave(failure: Failure | None) -> NoReturn:
        os._exit(0 if failure is None else _told(failure, reporter))

    launch(words.folder, words.address, words.clients, reporter.progress, leave)


def _observe(words: argparse.Namespace, reporter: Reporter) -> None:
    import torch

    from simulations.observe import observe

    torch.set_num_threads(1)
    observe(words.folder, reporter.progress)


def _abandon(words: argparse.Namespace, reporter: Reporter) -> None:
    from simulations.experiment_file import read
    from simulations.runner import abandon

    del reporter
    abandon(read(str(words.folder / "experiment.toml")), words.folder, "failed")


PARTS = {
    "provision": _provision,
    "cluster": _cluster,
    "serve": _serve,
    "observe": _observe,
    "abandon": _abandon,
}

if __name__ == "__main__":
    raise SystemExit(main())
