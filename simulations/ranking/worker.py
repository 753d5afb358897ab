"""A process that does errands of a league: ``python -m simulations.ranking.worker``."""

import os

from simulations.environment import QUIET

os.environ.update(QUIET)  # before anything imports flwr, ray or torch

from simulations.crews.serving import serve
from simulations.ranking.task import Errand

if __name__ == "__main__":
    raise SystemExit(serve(lambda line: Errand.read(line).run()))
