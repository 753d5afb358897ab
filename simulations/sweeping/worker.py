"""A process that does cells, one after the other: ``python -m simulations.sweeping.worker``."""

import os

from simulations.environment import QUIET

os.environ.update(QUIET)  # before anything imports flwr, ray or torch

from simulations.crews.serving import serve
from simulations.sweeping.cell import Order, do

if __name__ == "__main__":
    raise SystemExit(serve(lambda line: do(Order.read(line))))
