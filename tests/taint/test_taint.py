"""The black-box taint test: whole runs, searched from outside for what clients alone may hold.

A clean run must show nothing. It would prove little by itself: the same search has to catch
every leak that is injected on purpose (``controls.py``), each by a client of its own.
"""

import shutil
from pathlib import Path

import pytest

from server.plan import open_coordinator
from server.students import fingerprint
from simulations.events import silent
from tests.taint.canaries import Canaries
from tests.taint.controls import CONTROLS, SERVER, Control
from tests.taint.harness import Scene, private_rows, run
from tests.taint.search import Searcher, files

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(580),
    pytest.mark.filterwarnings("default"),
]

FEW = [c for c in CONTROLS if c.name in ("extra_record", "context_state", "teacher_file")]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Nothing goes wrong; every secret there is; an observer that opens every teacher."""
    home = tmp_path_factory.mktemp("clean")
    return run(home, [], Canaries(4), moved=True, unlike=True, bounds=True)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return injected(tmp_path_factory.mktemp("few"), FEW)


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return injected(tmp_path_factory.mktemp("every"), CONTROLS)


def injected(home: Path, controls: "list[Control] | tuple[Control, ...]") -> Scene:
    """A run in which client k + 1 does what control k says; the others behave."""
    leaks = [(k, c) for k, c in enumerate(controls, start=1) if c.name != "broken_row"]
    broken = tuple(k for k, c in enumerate(controls, start=1) if c.name == "broken_row")
    faults = [{"leak": c.name, "client": k} for k, c in leaks]
    clients = 4 * (len(controls) // 4 + 1)  # the data set has four groups
    size = max(160, 20 * clients)
    scene = run(home, faults, Canaries(clients), size=size, broken=broken, moved=True)
    assert scene.code == 0, scene.err
    for number, (_, control) in enumerate(leaks):
        assert (home / f"faults.json.{number}.0").exists(), f"{control.name} never happened"
    return scene


def test_a_clean_run_shows_nothing_anywhere(clean: Scene) -> None:
    """Not in releases, audit logs, report, pictures, logs, on the screen, or in Ray's folder.

    Nothing is excepted but the clients' own stores and processes. The number of examples is
    not disclosed here, so it may stand nowhere either.
    """
    assert clean.code == 0, clean.err
    assert clean.summary["clients"] == {"asked": 4, "answered": 4, "lost": 0, "quarantined": 0}
    assert clean.summary["isolated"]
    assert {find for find in clean.finds if not find.place.startswith("memory")} == set()
    assert {"ray's session folder", "numbers in what workers printed"} <= set(clean.searched)


def test_the_memory_of_every_process_but_the_clients_is_clean(clean: Scene) -> None:
    """The server's above all; the command's and Ray's own services' as well."""
    if clean.forbidden:
        pytest.skip(clean.forbidden)
    assert {f"memory of {who}" for who in ("the server", "the command", "raylet")} <= set(
        clean.searched
    )
    assert {find for find in clean.finds if find.place.startswith("memory")} == set()


def test_the_clients_did_hold_what_was_searched_for(clean: Scene) -> None:
    found = files(clean.folder / "clients", Searcher(clean.canaries.needles()))
    assert {(find.client, find.what) for find in found} >= {
        (client, what) for client in range(4) for what in ("text", "label", "weight")
    }
    for client in range(4):
        shard = clean.folder / "clients" / str(client) / "shard.jsonl"
        assert len(shard.read_text().splitlines()) == clean.canaries.examples(client)


def test_no_text_that_the_data_set_gave_a_client_is_elsewhere(clean: Scene) -> None:
    """Canaries are planted after provisioning; these texts came in by the front door."""
    private = {row.encode() for row in private_rows(clean) if "filler" not in row}
    assert len(private) > 60
    for path in clean.folder.rglob("*"):
        if path.is_file() and path.relative_to(clean.folder).parts[0] != "clients":
            data = path.read_bytes()
            assert not [row for row in private if row in data], path


def test_a_run_with_faults_says_so(clean: Scene) -> None:
    """A pause is a fault too: this interface can never pass unnoticed."""
    assert clean.summary["faults"] is True
    assert clean.out.startswith("FAULTS WERE INJECTED")


FEEDBACK = (
    "num_rounds = 2; server.feedback = 'consensus'; clients.refinement = 'digest_revisit'; "
    "server.cohort = { kind = 'random_share', share = 0.99 }"
)


@pytest.mark.slow
def test_a_clean_run_with_a_feedback_shows_nothing_anywhere(tmp_path: Path) -> None:
    """Predictions come up, go down and come up again; texts and weights stay where they were."""
    scene = run(tmp_path, [], Canaries(4), more=FEEDBACK, unlike=True, bounds=True)
    assert scene.code == 0, scene.err
    assert [row["refined"] for row in scene.summary["personal"]] == [1] * 4
    assert scene.summary["clients"] == {"asked": 4, "answered": 4, "lost": 0, "quarantined": 0}
    assert scene.finds == set()
    assert len(list(scene.folder.glob("clients/*/teacher-2.safetensors"))) == 4


def check(scene: Scene, client: int, control: Control) -> None:
    """The control did what it should have come to, and nothing else.

    Where memory may not be read, a control that only memory shows is skipped: it proves nothing.
    """
    assert scene.table[client] == control.status
    assert {verdict for who, verdict in scene.verdicts() if who == client} == (
        set() if control.verdict is None else {control.verdict}
    )
    places = {find.place for find in scene.finds if find.client == client}
    assert places <= control.found | control.may
    assert {find.what for find in scene.finds if find.client == client} <= {control.what}
    if scene.forbidden and SERVER in control.found:
        pytest.skip(scene.forbidden)
    assert control.found <= places


def from_releases(scene: Scene, home: Path) -> str:
    """The student of a server that was sent the accepted answers and never the others."""
    for name in ("terms.json", "transfer.jsonl", "validation.jsonl"):
        shutil.copy(scene.folder / name, home)
    for name in ("checkpoint", "audit", "releases"):
        (home / name).mkdir()
    shutil.copy(scene.folder / "checkpoint" / "plan.json", home / "checkpoint")
    coordinator, _ = open_coordinator(home, silent)
    coordinator.resume(None)
    question = coordinator.ask(1)
    released = sorted((scene.folder / "releases" / "1").glob("*.bin"), key=lambda p: int(p.stem))
    coordinator.books.sent(question, [int(path.stem) for path in released])
    for path in released:
        coordinator.admit(question, int(path.stem), path.read_bytes())
    coordinator.learn(question)
    return fingerprint(coordinator.learner.student)


@pytest.mark.parametrize("name", [c.name for c in FEW])
def test_three_leaks_are_caught(few: Scene, name: str) -> None:
    """One by the gate, one in memory, one in a file."""
    client, control = next((k, c) for k, c in enumerate(FEW, start=1) if c.name == name)
    check(few, client, control)


def test_the_aggregate_is_the_one_without_the_refused(few: Scene, tmp_path: Path) -> None:
    assert sorted(p.stem for p in (few.folder / "releases" / "1").iterdir()) == ["0", "2", "3"]
    assert from_releases(few, tmp_path) == few.summary["hashes"]["student"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [c.name for c in CONTROLS])
def test_every_leak_is_caught(every: Scene, name: str) -> None:
    client, control = next((k, c) for k, c in enumerate(CONTROLS, start=1) if c.name == name)
    check(every, client, control)


@pytest.mark.slow
def test_those_who_behave_beside_them_are_not_seen(every: Scene) -> None:
    assert {find for find in every.finds if find.client < 0} == set()  # nobody's: the path of all
    for client in {0, *range(len(CONTROLS) + 1, every.canaries.clients)}:
        assert every.places(client) == set()
        assert every.table[client] == ("answered", "accepted")
    last = len(CONTROLS) + 1  # in whose name a stray answer came
    assert {verdict for who, verdict in every.verdicts() if who == last} == {
        "accepted",
        "wrong_client",
    }


@pytest.mark.slow
def test_the_aggregate_is_the_one_without_all_who_were_refused(
    every: Scene, tmp_path: Path
) -> None:
    out = {k for k, c in enumerate(CONTROLS, start=1) if c.left_out}
    stems = {int(p.stem) for p in (every.folder / "releases" / "1").iterdir()}
    assert stems == set(range(every.canaries.clients)) - out
    assert from_releases(every, tmp_path) == every.summary["hashes"]["student"]


@pytest.fixture(scope="module")
def disloyal(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A server that reads all stores by a subprocess, and loads the loader of data."""
    faults = [{"leak": "server_read"}, {"leak": "server_import"}]
    return run(tmp_path_factory.mktemp("disloyal"), faults, Canaries(4))


@pytest.mark.slow
def test_a_server_that_loads_the_loader_is_caught(disloyal: Scene) -> None:
    """By the check of its own process."""
    assert disloyal.code == 1
    assert disloyal.summary["status"] == "failed"
    log = (disloyal.folder / "logs" / "serve.log").read_text()
    assert "the server's process imported ['simulations.datasets'" in log


@pytest.mark.slow
def test_a_server_that_reads_stores_by_a_subprocess_is_caught(disloyal: Scene) -> None:
    """By the search of its memory, which is the only place."""
    assert {find.place for find in disloyal.finds} <= {SERVER}
    if disloyal.forbidden:
        pytest.skip(disloyal.forbidden)
    for client in range(4):
        assert SERVER in disloyal.places(client)


@pytest.mark.slow
def test_a_server_that_opens_a_store_meets_the_wall(tmp_path: Path) -> None:
    scene = run(tmp_path, [{"leak": "server_open"}], Canaries(4))
    assert scene.code == 1
    assert scene.summary["status"] == "failed"
    log = (scene.folder / "logs" / "serve.log").read_text()
    assert "the server's process may not open what is private" in log
    assert scene.finds == set()


@pytest.fixture(scope="module")
def disclosed(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Every client declares its number of examples; one also prints it."""
    home, printer = tmp_path_factory.mktemp("disclosed"), [{"leak": "print_number", "client": 1}]
    return run(home, printer, Canaries(4), more="disclose = ['num_examples']", unlike=True)


@pytest.mark.slow
def test_a_disclosed_number_of_examples_is_found_where_it_was_declared(disclosed: Scene) -> None:
    """The one exception there can be, which proves that the search for numbers works."""
    assert disclosed.code == 0, disclosed.err
    found = {(f.place, f.client) for f in disclosed.finds if f.place != "ray/worker.out"}
    assert found == {(f"releases/1/{client}.bin", client) for client in range(4)}
    assert {find.what for find in disclosed.finds} == {"examples"}


@pytest.mark.slow
def test_a_printed_number_of_examples_is_found_in_rays_folder(disclosed: Scene) -> None:
    found = {f.client for f in disclosed.finds if f.place == "ray/worker.out"}
    assert found == {1}


@pytest.mark.slow
def test_pseudo_subclasses_hold_no_text_and_no_weight(tmp_path: Path) -> None:
    """Schema 2: directions, means and embeddings stay where the texts are."""
    more = "clients.subclasses = { count = 2 }; server.loss = 'kl'"
    scene = run(tmp_path, [], Canaries(4), more=more, unlike=True)
    assert scene.code == 0, scene.err
    assert scene.finds == set()


@pytest.mark.slow
def test_a_disclosed_familiarity_holds_no_text_and_no_weight(tmp_path: Path) -> None:
    """It tells how near texts are, which no search can see; it hides nothing else."""
    more = "disclose = ['familiarity']; server.weighting = 'familiarity'"
    scene = run(tmp_path, [], Canaries(4), more=more)
    assert scene.code == 0, scene.err
    assert scene.finds == set()


SUMMED = "wire.secure_sum = true; k_min = 2; server.aggregator = 'mean'"


@pytest.mark.slow
def test_a_clean_run_with_a_secure_sum_shows_nothing_anywhere(tmp_path: Path) -> None:
    scene = run(tmp_path, [], Canaries(4), more=SUMMED, unlike=True)
    assert scene.code == 0, scene.err
    assert scene.summary["clients"] == {"asked": 4, "answered": 4, "lost": 0, "quarantined": 0}
    assert len(list((scene.folder / "sums").iterdir())) == 2
    assert set(scene.finds) == set()


@pytest.mark.slow
def test_leaks_beside_masked_words_are_caught(tmp_path: Path) -> None:
    """The controls of the gate, of the server's memory and of the run folder, once more.

    Two whose messages are refused are two lost parties: the others make a second attempt.
    """
    leaks = {1: "extra_record", 2: "trailing_bytes", 3: "context_state", 4: "teacher_file"}
    faults = [{"leak": leak, "client": client} for client, leak in leaks.items()]
    scene = run(tmp_path, faults, Canaries(8), size=240, more=SUMMED)
    assert scene.code == 0, scene.err
    assert scene.table[1] == ("quarantined", "wrong_field")
    assert scene.table[2] == ("quarantined", "too_large")
    assert {scene.table[k] for k in (0, 3, 4, 5, 6, 7)} == {("answered", "accepted")}
    places = {(find.client, find.place) for find in scene.finds}
    assert 4 in {client for client, place in places if not place.startswith("memory")}
    assert {client for client, _ in places} <= {1, 2, 3, 4}
    if scene.forbidden:
        pytest.skip(scene.forbidden)
    assert (3, SERVER) in places
