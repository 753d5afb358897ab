"""A whole run by the command, stopped three times to plant and to search; all from outside."""

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from clients.store import Store
from common.files import read_json, read_lines, write_json, write_lines
from tests.owned import sessions
from tests.taint.canaries import Canaries, Needle, text_forms
from tests.taint.search import Find, Searcher, counted, files, memory, numbers

OWN = ("clients",)
"""Folders that may hold everything: the clients' own stores."""

WORLD = (
    "data.dataset = {{ kind = 'synthetic', size = {size}, num_labels = 3 }}; "
    "data.num_clients = {clients}; data.validation_size = 16; "
    "clients.teacher = {{ kind = 'frozen_mlp', hidden = 4, epochs = 1, min_steps = 4 }}; "
    "clients.encoder = {{ kind = 'hashing', dimensions = 16 }}; "
    "server.student = {{ kind = 'frozen_mlp', hidden = 4 }}; "
    "server.schedule = {{ steps = 4 }}; num_rounds = 1; bounds = {bounds}"
)
PATIENCE_SECONDS = 240.0


@dataclass
class Scene:
    """What a run left, and what the search found.

    Attributes:
        folder: the run folder.
        canaries: what the clients held.
        code: the command's exit code.
        out: its standard output; ``err`` its standard error.
        finds: secrets outside the clients' stores and processes.
        searched: what was searched, with the number of bytes or files, for the report.
        forbidden: why the memory could not be read, or None.
    """

    folder: Path
    canaries: Canaries
    code: int = -1
    out: str = ""
    err: str = ""
    finds: set[Find] = field(default_factory=set)
    searched: list[str] = field(default_factory=list)
    forbidden: str | None = None

    @property
    def summary(self) -> dict[str, Any]:
        return read_json(self.folder / "summary.json")

    @property
    def table(self) -> dict[int, tuple[str, str]]:
        """``clients.csv`` as {client: (status, reason)}."""
        with (self.folder / "clients.csv").open() as file:
            return {int(r["client"]): (r["status"], r["reason"]) for r in csv.DictReader(file)}

    def verdicts(self) -> set[tuple[int, str]]:
        """(client, verdict) of all that came up to the gate."""
        entries = read_lines(self.folder / "audit" / "server.jsonl")
        return {(e["client"], e["verdict"]) for e in entries if e["direction"] == "up"}

    def places(self, client: int) -> set[str]:
        """Where anything of this client was found."""
        return {find.place for find in self.finds if find.client == client}


def run(
    home: Path,
    faults: list[dict[str, Any]],
    canaries: Canaries,
    *,
    size: int = 160,
    more: str = "",
    broken: tuple[int, ...] = (),
    moved: bool = False,
    unlike: bool = False,
    bounds: bool = False,
) -> Scene:
    """Run the command with canaries in every store; search everywhere while it lives and after.

    Args:
        home: an empty folder; the run folder will be in it.
        faults: what is to go wrong, beside the pauses that this function needs itself.
        canaries: what to plant, for K clients.
        size: of the data set.
        more: further settings.
        broken: clients whose last row has the canary for a label, so that they fail on it.
        moved: whether the stores lie under paths that are themselves canaries, one for all and
            one for each, until the observer comes.
        unlike: whether every client holds a number of texts of its own.
        bounds: whether the observer opens every teacher.
    """
    scene = Scene(home / "run", canaries)
    searcher = Searcher(canaries.needles())
    pauses = {name: home / f"go.{name}" for name in ("provisioned", "asked", "served")}
    entries = [*faults, *({"pause": str(p), "phase": name} for name, p in pauses.items())]
    (home / "faults.json").write_text(json.dumps(entries))
    settings = WORLD.format(size=size, clients=canaries.clients, bounds=str(bounds).lower())
    with _command(home, "; ".join([settings, *([more] if more else [])]), scene) as process:
        if _reached(pauses["provisioned"], process):
            rows = _plant_texts(scene, broken, unlike)
            away = _move(scene, home) if moved else scene.folder / "clients"
            pauses["provisioned"].touch()
        if _reached(pauses["asked"], process):
            _plant_weights(scene, away)
            pauses["asked"].touch()
        if _reached(pauses["served"], process):
            _search_living(scene, process, Searcher([*scene.canaries.needles(), *rows]), unlike)
            if moved:
                _move_back(scene, away)
            pauses["served"].touch()
        scene.out, scene.err = process.communicate(timeout=PATIENCE_SECONDS)
        scene.code = process.returncode
    _search_dead(scene, searcher, unlike)
    return scene


@contextmanager
def _command(home: Path, settings: str, scene: Scene) -> "Iterator[subprocess.Popen[str]]":
    call = [sys.executable, "-c", "from simulations.cli import main; main()", "run", "synthetic"]
    call += ["--set", settings, "--out", str(scene.folder)]
    env = {**os.environ, "FEDKNOT_FAULTS": str(home / "faults.json")}
    env |= {"FEDKNOT_CACHE": str(home / "cache")}
    process = subprocess.Popen(
        call, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def _reached(pause: Path, process: "subprocess.Popen[str]") -> bool:
    """Wait until the run is at a pause; False if it ended before."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if Path(f"{pause}.reached").exists():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.05)
    raise TimeoutError(f"the run never came to {pause.name}")


def _plant_texts(scene: Scene, broken: tuple[int, ...], unlike: bool) -> list[Needle]:
    """Give every client its canaries; return its own rows as needles, as they are in memory."""
    shared = {row["text"] for row in read_lines(scene.folder / "transfer.jsonl")}
    shared |= {row["text"] for row in read_lines(scene.folder / "validation.jsonl")}
    needles = []
    for client in range(scene.canaries.clients):
        shard = scene.folder / "clients" / str(client) / "shard.jsonl"
        rows = read_lines(shard)
        own = next(row["text"] for row in rows if row["text"] not in shared)
        needles += [Needle(client, f"row {client}", f, d) for f, d in text_forms(own)[:2]]
        named = {"label_name": scene.canaries.label(client)}
        texts = enumerate(scene.canaries.texts(client))
        rows += [{"text": t, "label": n % 3, **named} for n, t in texts]
        if client in broken:
            rows.append({"text": "bad", "label": scene.canaries.token(client)})
        missing = scene.canaries.examples(client) - len(rows) if unlike else 0
        rows += [{"text": f"filler {n % 7}", "label": n % 3} for n in range(missing)]
        write_lines(shard, rows, mode=0o600)
    return needles


def _move(scene: Scene, home: Path) -> Path:
    """Have the site file its stores under paths that nobody else is to know."""
    away = home / scene.canaries.path()
    (scene.folder / "clients").rename(away)
    for client in range(scene.canaries.clients):
        (away / str(client)).rename(away / scene.canaries.home(client))
        (away / str(client)).symlink_to(scene.canaries.home(client))
    token = read_json(scene.folder / "terms.json")["site"]
    write_json(home / "cache" / "sites" / f"{token}.json", {"stores": str(away)}, mode=0o600)
    return away


def _move_back(scene: Scene, away: Path) -> None:
    for client in range(scene.canaries.clients):
        (away / str(client)).unlink()
        (away / scene.canaries.home(client)).rename(away / str(client))
    away.rename(scene.folder / "clients")


def _plant_weights(scene: Scene, stores: Path) -> None:
    """Write each client's pattern over two weights of its teacher."""
    for client in range(scene.canaries.clients):
        store = Store(stores / str(client))
        tensors = store.teacher()
        if tensors is None:
            continue  # it failed to train one
        name = max(tensors, key=lambda n: tensors[n].size)
        kept = tensors[name]
        changed = scene.canaries.weight(client) + kept.tobytes()[8:]
        tensors[name] = np.frombuffer(changed, dtype=kept.dtype).reshape(kept.shape)
        store.keep_teacher(tensors)


def _search_living(
    scene: Scene, process: "subprocess.Popen[str]", searcher: Searcher, unlike: bool
) -> None:
    """Every process but the clients' own, and Ray's session folder before it is removed.

    Numbers of examples are looked for in what workers printed, and in no other file there: Ray
    writes ports, process ids and sizes of as many digits.
    """
    for role, pid in _strangers(process.pid).items():
        try:
            scene.finds |= memory(pid, f"memory of {role}", searcher)
            scene.searched.append(f"memory of {role}")
        except PermissionError as error:
            scene.forbidden = f"this machine forbids reading /proc/PID/mem: {error}"
    for session in sessions(process.pid):
        found = files(session, searcher)
        scene.finds |= {Find(f"ray/{_ray(f.place)}", f.client, f.what, f.form) for f in found}
        scene.searched.append("ray's session folder")
        printed = (p for p in session.rglob("worker-*") if p.suffix in (".out", ".err"))
        for path in printed if unlike else ():
            scene.finds |= counted(path.read_bytes(), f"ray/{_ray(path.name)}", _counts(scene))
            scene.searched.append("numbers in what workers printed")


def _strangers(pid: int) -> dict[str, int]:
    """Role and process id of all processes of a run that are not the clients'."""
    made, root = {}, psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        words = process.cmdline()
        if words and not any(map(_of_a_client, words)):
            made.setdefault(_role(words), process.pid)
    return made


def _of_a_client(word: str) -> bool:
    return word.startswith("ray::") or word.endswith("default_worker.py")


def _role(words: list[str]) -> str:
    if "simulations" in words:
        return {"serve": "the server"}.get(words[words.index("simulations") + 1], "the cluster")
    if "from simulations.cli" in " ".join(words):
        return "the command"
    # Ray's services: programs of their own, or Python files.
    return next((Path(w).stem for w in words if w.endswith(".py")), Path(words[0]).name)


def _ray(place: str) -> str:
    """Ray names a worker's files by random ids."""
    name = Path(place).name
    return f"worker{Path(name).suffix}" if name.startswith(("worker-", "python-core")) else name


def _search_dead(scene: Scene, searcher: Searcher, unlike: bool) -> None:
    """The run folder without the stores, and what the command said."""
    scene.finds |= files(scene.folder, searcher, OWN)
    scene.searched.append(f"{sum(p.is_file() for p in scene.folder.rglob('*'))} files")
    for name, text in (("screen", scene.out), ("screen", scene.err)):
        found = searcher.deep(text.encode())
        scene.finds |= {Find(name, n.client, n.what, n.form) for n in found}
    if unlike:
        # What Ray's services wrote is copied there: times and sizes, of as many digits.
        scene.finds |= numbers(scene.folder, _counts(scene), (*OWN, "logs/ray"))
        scene.finds |= counted((scene.out + scene.err).encode(), "screen", _counts(scene))


def _counts(scene: Scene) -> dict[int, int]:
    return {k: scene.canaries.examples(k) for k in range(scene.canaries.clients)}


def private_rows(scene: Scene) -> set[str]:
    """Every text in a store that is in no public file."""
    public = {
        row["text"]
        for name in ("transfer", "validation")
        for row in read_lines(scene.folder / f"{name}.jsonl")
    }
    stores = scene.folder.glob("clients/*/shard.jsonl")
    return {row["text"] for shard in stores for row in read_lines(shard)} - public
