"""The hook lasts as long as a process, so every test looks at it from a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

TRY = """
import os, sys
from pathlib import Path
from server.walls import keep_out
keep_out(Path(sys.argv[1]))
try:
    eval(sys.argv[2])
except PermissionError as error:
    print("refused", error)
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
