"""A run that is cut short anywhere and gone on with ends as if nothing had happened."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.audit import released, verified
from common.failures import CheckFailed, FolderError
from common.files import read_json, read_lines, write_json
from common.terms import Terms
from server.checkpoint import MANIFEST, PARTS
from simulations.events import silent
from simulations.experiment_file import to_toml
from simulations.folder import create
from simulations.identity import keep_identity
from simulations.loop import federate
from simulations.provision import provision
from simulations.resumption import resume
from simulations.runner import execute
from simulations.verification import verify
from tests.simulations.kills import Death, killed_at
from tests.worlds import hashes, outcome, tiny_with

LEARNED = "server.geometry = { kind = 'learned', every = 2 }"
WORLDS = {"plain": ("num_rounds = 3",), "learned": ("num_rounds = 3", LEARNED)}
# Every third moment of the world that writes more, and every sixth of the other.
STEPS = {"plain": 6, "learned": 3}


@pytest.fixture(scope="module", autouse=True)
def frozen_code():
    """Who works on the program while its tests run changes its code, and that is refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simulations.identity._code", lambda: "the same code")
        yield


def work(experiment, folder):
    """All of a run that is the parties'; as often as one likes."""
    provision(experiment, folder, silent)
    federate(folder, silent)


def content(folder):
    """What must be the same, however often the run was cut short."""
    log = verified(folder / "audit" / "server.jsonl", outcome(folder)["audit_head"])
    for entry in log:
        del entry["time"], entry["previous"]
    lines = read_lines(folder / "rounds.jsonl")
    for line in lines:
        del line["seconds"]
    rows = [row.rsplit(",", 1)[0] for row in (folder / "clients.csv").read_text().splitlines()]
    counts = {k: v for k, v in outcome(folder).items() if isinstance(v, int | dict | str)}
    for volatile in ("seconds", "audit_head"):
        del counts[volatile]
    told = [released(verified(path)) for path in sorted(folder.glob("audit/client-*.jsonl"))]
    kept = ("releases/*/*.bin", "student/*", "checkpoint/geometry.json", "checkpoint/w*")
    paths = sorted(p for pattern in kept for p in folder.glob(pattern) if p.suffix != ".part")
    files = {str(p.relative_to(folder)): p.read_bytes() for p in paths}
    return {"log": log, "lines": lines, "rows": rows, "counts": counts, "told": told} | files


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Per world: the experiment, the content of a whole run, the number of its moments."""
    made = {}
    for name, overrides in WORLDS.items():
        experiment = tiny_with(*overrides)
        for _ in range(2):  # once more, with features in the cache as they will be from now on
            folder = create(tmp_path_factory.mktemp(name) / "run", name, experiment.seed)
            with killed_at(None) as moments:
                work(experiment, folder)
        made[name] = experiment, content(folder), list(moments)
    return made


def cut_short(experiment, folder, *moments):
    """Die at each of these moments in turn, then come to the end."""
    create(folder, "x", experiment.seed)
    for moment in moments:
        with pytest.raises(Death), killed_at(moment):
            work(experiment, folder)
    with killed_at(None):
        work(experiment, folder)
    return content(folder)


def places(moments):
    """Around every part of every checkpoint, and some of all others."""
    near = [n for n, (_, _, words) in enumerate(moments) if "checkpoint" in str(words[-1])]
    return sorted({*near, *range(0, len(moments), 23)})


def test_there_are_moments_of_all_kinds(undisturbed):
    """So that the tests below are about something."""
    _, _, moments = undisturbed["plain"]
    written = {Path(str(words[-1])).name for when, _, words in moments if when == "after"}
    assert {*PARTS, MANIFEST, "terms.json", "teacher.safetensors", "1.bin"} <= written
    assert len(moments) > 300


@pytest.mark.parametrize("share", range(4))
def test_killed_at_a_moment_of_a_commit_and_gone_on_with(undisturbed, tmp_path, share):
    experiment, expected, moments = undisturbed["plain"]
    for moment in places(moments)[share::12]:
        assert cut_short(experiment, tmp_path / str(moment), moment) == expected, moment


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("share", range(10))
def test_killed_at_any_moment_and_gone_on_with(undisturbed, tmp_path, world, share):
    experiment, expected, moments = undisturbed[world]
    for moment in range(share, len(moments), 10)[:: STEPS[world]]:
        assert cut_short(experiment, tmp_path / "run", moment) == expected, moments[moment]
        shutil.rmtree(tmp_path / "run")


@pytest.mark.exhaustive
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("share", range(10))
def test_killed_at_every_moment_and_gone_on_with(undisturbed, tmp_path, world, share):
    experiment, expected, moments = undisturbed[world]
    for moment in range(share, len(moments), 10):
        assert cut_short(experiment, tmp_path / "run", moment) == expected, moments[moment]
        shutil.rmtree(tmp_path / "run")


@pytest.mark.parametrize("seed", range(3))
def test_killed_again_and_again(undisturbed, tmp_path, seed):
    """Also while it goes on; a learned cost goes on from where it was."""
    experiment, expected, moments = undisturbed["learned"]
    rng = random.Random(seed)
    first, later = rng.randrange(len(moments)), [rng.randrange(20) for _ in range(3)]
    assert cut_short(experiment, tmp_path / "run", first, *later) == expected


def test_what_was_done_is_not_done_again(undisturbed, tmp_path, monkeypatch):
    """Teachers, features and committed rounds are kept: their files are not even touched."""
    experiment, expected, moments = undisturbed["plain"]
    commits = [n for n, (_, _, words) in enumerate(moments) if str(words[-1]).endswith(MANIFEST)]
    folder = create(tmp_path / "run", "x", experiment.seed)
    with pytest.raises(Death), killed_at(commits[3] + 1):  # the second round is committed
        work(experiment, folder)
    kept = [*folder.glob("clients/*/*.*"), *folder.glob("clients/*/releases/[12].bin")]
    before = {path: path.stat().st_mtime_ns for path in kept}
    assert len(before) >= 4 * 6
    told = []
    provision(experiment, folder, silent)
    federate(folder, lambda *step: told.append(step))
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    assert [step[1:] for step in told if step[0] == "distil"] == [(n, 4) for n in range(1, 5)]
    assert content(folder) == expected


def test_lines_of_the_round_that_was_not_committed_are_put_aside(undisturbed, tmp_path):
    experiment, expected, moments = undisturbed["plain"]
    first = next(n for n, (_, _, words) in enumerate(moments) if "record.json" in str(words[-1]))
    assert cut_short(experiment, tmp_path / "run", first) == expected
    aside = read_lines(tmp_path / "run" / "audit" / "server-cut.jsonl")
    assert [(e["direction"], e["round"]) for e in aside] == [("down", 1)] * 4 + [("up", 1)] * 4
    log = verified(tmp_path / "run" / "audit" / "client-2.jsonl")
    assert [e["attempts"] for e in log if e["direction"] == "up"] == [1, 2, 1, 1]


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """A finished run by the command's own way, report and all."""
    folder = tmp_path_factory.mktemp("complete") / "run"
    return run(tiny_with(*WORLDS["learned"]), folder)


@pytest.fixture
def copied(complete, tmp_path):
    """That run, moved to another place: it can be damaged."""
    return Path(shutil.copytree(complete, tmp_path / "moved"))


def run(experiment, folder):
    return execute(
        experiment, "synthetic", out=folder, backend="inline", address=None, progress=silent
    )


def go_on(folder, experiment=None, **more):
    said = []
    options = {"backend": None, "address": None, "progress": silent, "say": said.append} | more
    resume(folder, experiment, None, **options)
    return said


def summary_of(folder):
    return read_json(folder / "summary.json")


def test_a_complete_run_is_left_alone(copied):
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    (said,) = go_on(copied)
    assert "is complete" in said
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before


DAMAGES = {
    "no summary": lambda f: None,
    "interrupted": lambda f: write_json(f / "summary.json", {"status": "interrupted"}),
    "half a summary": lambda f: (f / "summary.json").write_text('{"status": "comp'),
    "student": lambda f: flip(f / "student" / "head.safetensors"),
    "no student": lambda f: shutil.rmtree(f / "student"),
    "outcome": lambda f: (f / "checkpoint" / "server.json").write_text("{"),
    "release": lambda f: flip(f / "releases" / "2" / "1.bin"),
    "rounds": lambda f: (f / "rounds.jsonl").write_text("{"),
    "log": lambda f: (f / "audit" / "server.jsonl").write_text(""),
    "geometry": lambda f: (f / "checkpoint" / "geometry.json").write_text("{}"),
    "checkpoint": lambda f: flip(f / "checkpoint" / "3" / "student.safetensors"),
    "checkpoints": lambda f: [flip(f / "checkpoint" / n / "record.json") for n in "23"],
    "teacher": lambda f: [flip(f / "clients/1/teacher.safetensors"), redo(f)],
    "features": lambda f: [flip(f / "clients/1/features.npy"), redo(f)],
}


def flip(path, place=-40):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def redo(folder):
    """As if the last round had not been committed."""
    shutil.rmtree(folder / "checkpoint" / "3")
    (folder / "checkpoint" / "server.json").unlink()


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_is_damaged_the_figures_are_the_same(copied, complete, damage):
    expected = summary_of(complete)
    (copied / "summary.json").unlink()
    DAMAGES[damage](copied)
    said = go_on(copied)
    made = summary_of(copied)
    for key in ("status", "hashes", "student", "clients", "intervals"):
        assert made[key] == expected[key]
    same = ("bytes_up", "bytes_down", "messages", "rejected")
    assert {k: made["wire"][k] for k in same} == {k: expected["wire"][k] for k in same}
    if damage != "rounds":  # nothing reads them again once the server has ended
        assert content(copied).keys() == content(complete).keys()
    warned = damage in ("release", "log", "checkpoint", "checkpoints")
    assert [line.count("\n") for line in said] == [0] * warned
    assert all("going on from" in line for line in said)
    assert read_json(copied / "checkpoint" / "call.json")["resumed"] == 1
    assert not (copied / "lock").exists()


def refused(folder, **more):
    with pytest.raises(FolderError) as refusal:
        go_on(folder, **more)
    assert refusal.value.exit_code == 6
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def rename_code(folder):
    path = folder / "checkpoint" / "private" / "identity.json"
    table = read_json(path)
    table["program"] |= {"code": "an older one", "torch": "1.0"}
    write_json(path, table)


def change_text(folder):
    path = folder / "transfer.jsonl"
    path.write_text(path.read_text().replace("be", "bo", 1))


CHANGES = {
    "num_rounds: 3 -> 4": lambda f: write(f, *WORLDS["learned"], "num_rounds = 4"),
    "data.num_clients: 4 -> 8": lambda f: write(f, *WORLDS["learned"], "data.num_clients = 8"),
    'program.code: "an older one" -> ': rename_code,
    'program.torch: "1.0" -> ': rename_code,
    "transfer_set: ": change_text,
    "num_clients: 4 -> 3": lambda f: shutil.rmtree(f / "clients" / "3"),
    "clients.2: ": lambda f: flip(f / "clients" / "2" / "shard.jsonl", 12),
    "files.checkpoint/plan.json: ": lambda f: flip(f / "checkpoint" / "plan.json", -8),
}


def write(folder, *overrides):
    (folder / "experiment.toml").write_text(to_toml(tiny_with(*overrides)))


@pytest.mark.parametrize("change", CHANGES)
def test_another_run_is_refused_and_the_difference_is_named(copied, change):
    (copied / "summary.json").unlink()
    redo(copied)
    CHANGES[change](copied)
    assert change in refused(copied)
    assert not (copied / "lock").exists()


def test_another_experiment_is_refused_also_where_the_run_is_complete(copied):
    other = tiny_with(*WORLDS["learned"], "seed = 8")
    assert "seed: 7 -> 8" in refused(copied, experiment=other)
    assert summary_of(copied)["status"] == "complete"
    assert go_on(copied, experiment=tiny_with(*WORLDS["learned"])) != []


def test_a_folder_of_an_earlier_version_is_refused_in_one_line(copied):
    shutil.rmtree(copied / "checkpoint" / "private")
    assert go_on(copied) != []  # it is complete
    (copied / "summary.json").unlink()
    assert "by a version that could not resume" in refused(copied)


def test_what_is_no_run_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "not a run folder" in refused(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_without_a_word_needs_the_experiment(tmp_path, tiny):
    folder = create(tmp_path / "run", "x", 7)
    assert "name the experiment" in refused(folder)
    go_on(folder, experiment=tiny, backend="inline")
    assert summary_of(folder)["status"] == "complete"


def test_a_folder_in_use_is_refused(copied):
    (copied / "summary.json").unlink()
    code = (
        "from common.lock import held; from pathlib import Path; import sys\n"
        "with held(Path(sys.argv[1])): print(1, flush=True); sys.stdin.read()"
    )
    call = [sys.executable, "-c", code, str(copied)]
    with subprocess.Popen(call, stdin=-1, stdout=-1) as process:
        process.stdout.readline()
        assert "in use by process" in refused(copied)
        process.stdin.close()
    go_on(copied)
    assert summary_of(copied)["status"] == "complete"


def test_a_failed_run_goes_on_once_the_reason_is_gone(tmp_path):
    experiment = tiny_with("num_rounds = 2")
    folder, steps = tmp_path / "run", []

    def break_down(phase, done, total):
        steps.append(phase)
        if steps.count("distil") > 5:
            raise CheckFailed("in the second round")

    with pytest.raises(CheckFailed):
        execute(experiment, "x", out=folder, backend="inline", address=None, progress=break_down)
    assert summary_of(folder)["status"] == "failed"
    assert go_on(folder) == []
    again = run(experiment, tmp_path / "again")
    assert summary_of(folder)["hashes"] == summary_of(again)["hashes"]
    assert summary_of(folder)["student"] == summary_of(again)["student"]


def test_verify_agrees_and_changes_nothing(complete):
    before = sorted(complete.rglob("*"))
    assert verify(complete, silent)["hashes"] == summary_of(complete)["hashes"]
    assert sorted(complete.rglob("*")) == before


FORGERIES = {
    "the split (test)": lambda f: shift(f / "split.json", "test"),
    "the transfer set differs": change_text,
    "the release of client 3 in round 2 differs": lambda f: flip(f / "releases" / "2" / "3.bin"),
    "the release of client 0 in round 1 (audit log)": lambda f: forge(f),
    "the student differs": lambda f: flip(f / "student" / "head.safetensors", -4),
    "the student (summary.json)": lambda f: say_other(f, "student"),
    "predictions (summary.json)": lambda f: say_other(f, "predictions"),
}


def shift(path, part):
    table = read_json(path)
    table[part] = table[part][::-1]
    write_json(path, table)


def forge(folder):
    """Somebody dropped the first release and wrote the log anew, chain and all."""
    from common.audit import AuditLog

    path = folder / "audit" / "server.jsonl"
    payload = (folder / "releases" / "1" / "1.bin").read_bytes()
    path.unlink()
    AuditLog(path).append("up", 0, 1, payload, schema=1)


def say_other(folder, name):
    summary = summary_of(folder)
    summary["hashes"][name] = "0" * 64
    write_json(folder / "summary.json", summary)


@pytest.mark.parametrize("difference", FORGERIES)
def test_verify_names_the_first_difference(copied, difference):
    FORGERIES[difference](copied)
    with pytest.raises(CheckFailed) as failure:
        verify(copied, silent)
    assert failure.value.exit_code == 7
    assert difference in str(failure.value)
    assert "\n" not in str(failure.value)


def test_verify_wants_a_complete_run(copied):
    write_json(copied / "summary.json", summary_of(copied) | {"status": "interrupted"})
    with pytest.raises(FolderError, match="resume it first"):
        verify(copied, silent)


SLOWLY = "server.schedule.steps = 40; data.dataset.size = 600; num_rounds = 4"


def command(*words):
    frozen = "import simulations.identity as i; i._code = lambda: 'the same code'"
    call = f"{frozen}\nfrom simulations.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", call, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def survived(folder, seed, deaths, longest, backend):
    """Kill by SIGKILL at random moments, resume each time; the exit code of the last."""
    rng, words = random.Random(seed), ["run", "synthetic", "--set", SLOWLY]
    call = [*words, "--out", folder, "--backend", backend]
    for _ in range(deaths):
        process = command(*call)
        time.sleep(rng.uniform(0.5, longest))
        process.kill()
        _, err = process.communicate()
        assert "Traceback" not in err
        if (folder / "checkpoint").is_dir():
            call = [*words, "--resume", folder, "--backend", backend]
    process = command(*call)
    _, err = process.communicate(timeout=200)
    return process.returncode, err


@pytest.fixture(scope="module")
def slow_world(tmp_path_factory):
    from simulations.experiment_file import read

    return run(read("synthetic", [SLOWLY]), tmp_path_factory.mktemp("slow") / "run")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sigkill_at_ten_random_moments(tmp_path, slow_world):
    code, err = survived(tmp_path / "run", 0, 10, 9.0, "inline")
    assert (code, "Traceback" in err) == (0, False), err
    assert summary_of(tmp_path / "run")["hashes"] == summary_of(slow_world)["hashes"]


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("default")
def test_sigkill_at_random_moments_on_ray(tmp_path, slow_world):
    code, err = survived(tmp_path / "run", 1, 3, 25.0, "ray")
    assert (code, "Traceback" in err) == (0, False), err
    assert summary_of(tmp_path / "run")["hashes"] == summary_of(slow_world)["hashes"]


@pytest.mark.ray
@pytest.mark.filterwarnings("default")
def test_begun_here_and_ended_on_ray(tmp_path, slow_world):
    """Back ends may change; the server was not by itself all the time, and the summary says so."""
    from simulations.experiment_file import read

    experiment, steps = read("synthetic", [SLOWLY]), []

    def stop(phase, done, total):
        steps.append(phase)
        if steps.count("distil") > 90:  # in the third round
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(
            experiment,
            "x",
            out=tmp_path / "run",
            backend="inline",
            address=None,
            progress=stop,
        )
    assert summary_of(tmp_path / "run")["status"] == "interrupted"
    seen = []
    go_on(tmp_path / "run", backend="ray", progress=lambda *step: seen.append(step))
    made, expected = summary_of(tmp_path / "run"), summary_of(slow_world)
    assert made["hashes"] == expected["hashes"]
    assert made["student"] == expected["student"]
    assert (made["isolated"], made["backend"]) == (False, "ray")
    assert max(done for phase, done, _ in seen if phase == "distil") == 40
    assert sum(phase == "distil" for phase, _, _ in seen) == 80


@pytest.mark.slow
def test_asked_twice_it_ends_at_once(tmp_path):
    process = command(
        "run",
        "synthetic",
        "--backend",
        "inline",
        "--out",
        tmp_path / "run",
        "--set",
        "clients.teacher.min_steps = 50000000",
    )
    while not list((tmp_path / "run").glob("clients/0/features.npy")):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_the_terms_say_the_same_token_after_a_move(copied, complete):
    """A moved folder is the same run: the stores are told where the public files lie."""
    (copied / "summary.json").unlink()
    redo(copied)
    go_on(copied)
    assert Terms.read(copied / "terms.json") == Terms.read(complete / "terms.json")
    about = json.loads((copied / "clients" / "0" / "client.json").read_text())
    assert about["public"] == str(copied)
    assert hashes(copied) == hashes(complete)


def test_what_runs_keep_to_themselves_is_not_the_servers(complete):
    assert (complete / "checkpoint" / "private").stat().st_mode & 0o777 == 0o700
    keep_identity(complete, tiny_with(*WORLDS["learned"]))
