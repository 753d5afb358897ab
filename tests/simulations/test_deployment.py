"""Flower's deployment engine: a SuperLink, SuperNodes with a store each, no simulation."""

import subprocess
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from common.files import read_lines
from simulations.events import silent
from simulations.experiment_file import read
from simulations.runner import execute
from tests.superlinks import flower, superlink, supernode
from tests.worlds import hashes, tallies

CLIENTS = 3
SUM = (
    f"data.num_clients = {CLIENTS}; num_rounds = 1; k_min = {CLIENTS}; wire.secure_sum = true; "
    "server.aggregator = 'mean'; data.partition = 'iid'; data.dataset.size = 400; bounds = false; "
    "server.schedule = { steps = 20 }"
)
pytestmark = [pytest.mark.exhaustive, pytest.mark.filterwarnings("default")]


def total(folder: Path) -> bytes:
    return (folder / "sums" / "1.sum").read_bytes()


def texts_of(folder: Path) -> list[str]:
    shards = folder.glob("clients/*/shard.jsonl")
    return [row["text"] for shard in shards for row in read_lines(shard)]


@pytest.mark.timeout(1200)
def test_secure_sums_over_a_superlink_are_those_of_a_simulation(tmp_path: Path) -> None:
    """Three SuperNodes; each is told where its store is, and has a registry of sites of its own."""
    out = tmp_path / "deployed"
    with ExitStack() as stack:
        env, address = stack.enter_context(superlink(tmp_path / "link", simulation=False))
        for node in range(CLIENTS):
            about = f"partition-id={node} num-partitions={CLIENTS} store='{out / 'clients'}'"
            home = tmp_path / f"node {node}"
            node_home = supernode(home, address, about, FEDKNOT_CACHE=str(home / "cache"))
            stack.enter_context(node_home)
        call = [flower("flwr"), "run", str(Path(__file__).parents[2]), "here", "--stream"]
        call += ["--run-config", f'experiment="synthetic" set="{SUM}" out="{out}"']
        cwd = tmp_path / "link" / "cwd"
        done = subprocess.run(call, env=env, cwd=cwd, capture_output=True, text=True)
    assert (out / "summary.json").exists(), done.stdout[-3000:] + done.stderr[-3000:]
    simulated = execute(
        read("synthetic", [SUM]),
        "synthetic",
        out=tmp_path / "simulated",
        backend="inline",
        address=None,
        progress=silent,
    )
    assert len(np.frombuffer(total(out), "<u4")) > 0
    assert total(out) == total(simulated)
    assert hashes(out) == hashes(simulated)
    assert set(tallies(out).values()) == {("answered", "accepted")}
    assert len(tallies(out)) == CLIENTS
    for client in range(CLIENTS):  # sums are equal, masks are not
        name = f"releases/1/{client}.bin"
        assert (out / name).read_bytes() != (simulated / name).read_bytes()
    seen = (tmp_path / "link" / "log.txt").read_text(errors="replace") + done.stdout + done.stderr
    assert not [text for text in texts_of(out) if text in seen]
