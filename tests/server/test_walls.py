"""The hook lasts as long as a process, so every test looks at it from a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

TRY = """
import os, sqlite3, sys
from pathlib import Path
from server.walls import keep_out
keep_out(Path(sys.argv[1]))
try:
    eval(sys.argv[2])
except PermissionError as error:
    print("refused", error)
except FileExistsError:
    print("exists")
else:
    print("opened")
"""


@pytest.fixture
def folder(tmp_path):
    for name in ("run/clients/0", "run/releases", "cache/data", "cache/observer", "cache/sites"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "run" / "checkpoint" / "private").mkdir(parents=True)
    (tmp_path / "run" / "checkpoint" / "private" / "identity.json").write_text("{}")
    for name in ("clients/0/shard.jsonl", "split.json", "experiment.toml", "terms.json"):
        (tmp_path / "run" / name).write_text("{}")
    (tmp_path / "cache" / "data" / "texts").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    return tmp_path / "run"


def attempt(folder: Path, expression: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", TRY, str(folder), expression],
        env={"FEDKNOT_CACHE": str(folder.parent / "cache"), "PYTHONPATH": "."},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()[0]


@pytest.mark.parametrize(
    "path",
    [
        "run/clients/0/shard.jsonl",
        "run/releases/../clients/0/shard.jsonl",
        "link/clients/0/shard.jsonl",
        "run/split.json",
        "run/experiment.toml",
        "run/checkpoint/private/identity.json",
        "cache/data/texts",
    ],
)
def test_what_is_private_cannot_be_opened(folder, path):
    assert attempt(folder, f"open({str(folder.parent / path)!r})") == "refused"
    assert attempt(folder, f"Path({str(folder.parent / path)!r}).read_bytes()") == "refused"


@pytest.mark.parametrize("path", ["run/clients", "run/clients/0", "cache/observer", "cache/sites"])
def test_what_is_private_cannot_be_listed(folder, path):
    assert attempt(folder, f"os.listdir({str(folder.parent / path)!r})") == "refused"
    assert attempt(folder, f"list(Path({str(folder.parent / path)!r}).iterdir())") == "refused"


@pytest.mark.parametrize("path", ["run/terms.json"])
def test_what_is_public_can(folder, path):
    assert attempt(folder, f"open({str(folder.parent / path)!r})") == "opened"
    assert attempt(folder, f"os.listdir({str(folder)!r})") == "opened"


@pytest.mark.parametrize("name", ["run/clients/0/shard.jsonl", "cache/data/texts"])
def test_what_is_private_is_no_database(folder, name):
    path = str(folder.parent / name)
    assert attempt(folder, f"sqlite3.connect({path!r})") == "refused"
    assert attempt(folder, f"sqlite3.connect(Path({path!r}))") == "refused"
    for address in (f"file:{path}?mode=ro", f"file://{path}", f"file://localhost{path}#x"):
        assert attempt(folder, f"sqlite3.connect({address!r}, uri=True)") == "refused"
    address = "file:" + path.replace("a", "%61")
    assert attempt(folder, f"sqlite3.connect({address!r}, uri=True)") == "refused"


@pytest.mark.parametrize("act", ["os.rename", "os.replace", "os.link"])
def test_what_is_private_gets_no_other_name(folder, act):
    shard, other = str(folder / "clients" / "0" / "shard.jsonl"), str(folder / "releases" / "x")
    assert attempt(folder, f"{act}({shard!r}, {other!r})") == "refused"
    assert attempt(folder, f"{act}({other!r}, {shard!r})") == "refused"
    assert attempt(folder, f"Path({shard!r}).rename({other!r})") == "refused"


LINKED = {
    "the folder": "[os.rename(home, home + '-old'), os.symlink(private, home)]",
    "the file": "os.symlink(private + '/shard.jsonl', home + '/shard.jsonl')",
}


@pytest.mark.parametrize("what", LINKED)
@pytest.mark.parametrize(("name", "outcome"), [("shard.jsonl", "refused"), ("x", "opened")])
def test_a_folder_that_was_opened_before_may_lead_elsewhere_now(folder, what, name, outcome):
    """What is remembered of a folder ends with the folder, and says nothing of its files."""
    home, private = str(folder / "releases"), str(folder / "clients" / "0")
    steps = f"open(home + '/x', 'w').close(), {LINKED[what]}"
    if (what, name) != ("the folder", "x"):  # it has moved away with its folder
        steps += f", open(home + '/{name}').close()"
    assert attempt(folder, f"(lambda home, private: [{steps}])({home!r}, {private!r})") == outcome


NEW = "os.O_WRONLY | os.O_CREAT | os.O_EXCL"


@pytest.mark.parametrize("name", ["run/clients/0/new", "link/clients/0/new", "run/clients/new"])
def test_nothing_new_is_made_where_it_is_private(folder, name):
    path = str(folder.parent / name)
    assert attempt(folder, f"os.open({path!r}, {NEW})") == "refused"
    assert attempt(folder, f"open({path!r}, 'x')") == "refused"


def test_nothing_new_is_made_through_a_link(folder):
    """What is new is not looked at for a link, for the system itself follows none there."""
    link, private = str(folder / "releases" / "x"), str(folder / "clients" / "0" / "new")
    for how in (f"os.open({link!r}, {NEW})", f"open({link!r}, 'x')"):
        step = f"[os.path.lexists({link!r}) or os.symlink({private!r}, {link!r}), {how}]"
        assert attempt(folder, step) == "exists"
    assert not (folder / "clients" / "0" / "new").exists()


def test_many_folders_are_told_apart(folder):
    """More than are remembered, in turn and again: each leads where it led."""
    home, private = str(folder / "releases"), str(folder / "clients" / "0" / "shard.jsonl")
    steps = "[(os.makedirs(home + f'/{n % 40}', exist_ok=True), "
    steps += "open(home + f'/{n % 40}/x', 'a').close()) for n in range(90)]"
    public = f"(lambda home: {steps})({home!r})"
    assert attempt(folder, public) == "opened"
    assert attempt(folder, f"[{public}, open({private!r})]") == "refused"


@pytest.mark.parametrize("name", ["run", "run/clients", "cache", "link/clients/0"])
def test_no_folder_with_what_is_private_moves_away(folder, name):
    path, other = str(folder.parent / name), str(folder.parent / "elsewhere")
    assert attempt(folder, f"os.rename({path!r}, {other!r})") == "refused"


def test_the_server_may_name_and_keep_its_own(folder):
    public, other = str(folder / "terms.json"), str(folder / "terms.json.new")
    assert attempt(folder, f"os.link({public!r}, {other!r})") == "opened"
    assert attempt(folder, f"os.replace({other!r}, {public!r})") == "opened"
    assert attempt(folder, f"sqlite3.connect({str(folder / 'own.db')!r})") == "opened"
    assert attempt(folder, "sqlite3.connect(':memory:')") == "opened"


APART = """
import sys
from flwr.supercore.object_ref import load_app
from server.walls import assert_apart
apps = tomllib.loads(open("pyproject.toml").read())["tool"]["flwr"]["app"]["components"]
for name in apps.values():
    load_app(name, Exception, ".")
assert_apart()
for name in sys.argv[1:]:
    __import__(name)
assert_apart()
"""


def loaded(*names):
    call = [sys.executable, "-c", "import tomllib" + APART, *names]
    root = Path(__file__).parents[2]
    return subprocess.run(call, cwd=root, capture_output=True, text=True, check=False)


def test_what_flower_loads_in_the_servers_process_is_no_client():
    """``flwr run`` has the clients' app loaded there, to see whether it can be."""
    done = loaded()
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["clients.app", "simulations.split", "simulations.datasets"])
def test_a_process_that_loaded_what_is_private_is_found_out(name):
    assert "the server's process imported ['" in loaded(name).stderr
