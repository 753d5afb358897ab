"""R16, R17: a disk that is full or closed is one line, and the run goes on once it is not."""

import os

import pytest

from common.audit import verified
from tests.reliability.commands import INLINE, SMALL, fedknot, hashes_of, summary_of
from tests.reliability.conftest import mounted

ALMOST_NOTHING, PLENTY = "8k", "64m"


@pytest.mark.parametrize("size", ["8k", "200k", "300k"])
def test_r16_a_full_disk_is_one_line_and_the_run_can_be_resumed(call, tmp_path, undisturbed, size):
    """It gets full while parties are provisioned, while a round ends, while one reports."""
    with mounted(tmp_path / "disk", size) as disk:
        folder = disk.place / "run"
        done = call("run", *SMALL, *INLINE, "--out", folder)
        assert done.code == 6
        assert done.is_one_line("free some space or give another --out")
        assert not list(folder.rglob("*.part"))
        for log in folder.glob("audit/*.jsonl"):
            verified(log)
        if (folder / "summary.json").exists():
            assert summary_of(folder)["status"] == "failed"
        disk.resize(PLENTY)
        assert call("run", "--resume", folder, *INLINE).code == 0
        assert hashes_of(folder) == hashes_of(undisturbed)


def test_r16_a_full_cache_is_one_line_that_names_it(call, tmp_path, monkeypatch):
    """The run folder has room; what is left of the run goes on with another cache."""
    with mounted(tmp_path / "cache", ALMOST_NOTHING) as disk:
        monkeypatch.setenv("FEDKNOT_CACHE", str(disk.place))
        done = call("run", *SMALL, *INLINE, "--out", tmp_path / "run")
        assert done.code == 6
        assert done.is_one_line("set FEDKNOT_CACHE to a folder with room")
        assert summary_of(tmp_path / "run")["status"] == "failed"
        disk.resize(PLENTY)
        assert call("run", "--resume", tmp_path / "run", *INLINE).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("size", range(30, 360, 40))
def test_r16_wherever_the_disk_gets_full(call, tmp_path, undisturbed, size):
    test_r16_a_full_disk_is_one_line_and_the_run_can_be_resumed(
        call, tmp_path, undisturbed, f"{size}k"
    )


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.filterwarnings("default")
def test_r16_a_full_disk_on_ray(tmp_path, undisturbed):
    with mounted(tmp_path / "disk", "160k") as disk:
        folder = disk.place / "run"
        done = fedknot("run", *SMALL, "--quiet", "--out", folder)
        assert done.code == 6
        assert done.is_one_line("free some space or give another --out")
        disk.resize(PLENTY)
        assert fedknot("run", "--resume", folder, "--quiet").code == 0
        assert hashes_of(folder) == hashes_of(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [2_000, 65_536])
def test_r16_a_limit_on_the_size_of_files(tmp_path, limit):
    """``prlimit --fsize``: the report is larger than the one, a checkpoint than the other."""
    words = ("run", *SMALL, *INLINE, "--out", tmp_path / "run")
    done = fedknot(*words, before=("prlimit", f"--fsize={limit}"))
    assert done.code == 6
    assert done.is_one_line("free some space or give another --out")
    assert fedknot("run", "--resume", tmp_path / "run", "--quiet").code == 0


def test_r17_a_closed_disk_is_refused_before_anything_is_done(call, tmp_path):
    """Read-only for everybody, root too."""
    with mounted(tmp_path / "disk", PLENTY) as disk:
        disk.close()
        done = call("run", *SMALL, *INLINE, "--out", disk.place / "run")
        assert done.code == 6
        assert done.is_one_line("read-only file system", "give another --out")
        assert list(disk.place.iterdir()) == []


def test_r17_a_disk_that_is_closed_later_cannot_be_resumed_on(call, tmp_path, undisturbed):
    with mounted(tmp_path / "disk", "200k") as disk:
        folder = disk.place / "run"
        assert call("run", *SMALL, *INLINE, "--out", folder).code == 6
        disk.close()
        done = call("run", "--resume", folder, "--quiet")
        assert done.code == 6
        assert done.is_one_line("cannot write")
        disk.resize(PLENTY)
        assert call("run", "--resume", folder, *INLINE).code == 0
        assert hashes_of(folder) == hashes_of(undisturbed)


NAMES = {
    "odd": " a run  with spaces, 'quotes' \"and\" $HOME %s {0} [a-z]* # \n",
    "unicode": "Lauf \u00e4 \u8dd1 \U0001f600 \u05e9\u05dc\u05d5\u05dd",
    "long": "x" * 200,
}


@pytest.mark.parametrize("name", NAMES)
def test_r17_paths_of_any_kind(call, tmp_path, undisturbed, name):
    folder = tmp_path / NAMES[name]
    done = call("run", *SMALL, *INLINE, "--out", folder)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{folder}/report.html\n"
    assert hashes_of(folder) == hashes_of(undisturbed)
    assert call("inspect", folder).code == 0
    assert call("report", folder).code == 0


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.filterwarnings("default")
def test_r17_paths_of_any_kind_on_ray(tmp_path, undisturbed):
    """Everything at once, 200 characters and more: Ray's own sockets lie elsewhere."""
    folder = tmp_path / NAMES["unicode"] / NAMES["odd"] / NAMES["long"]
    done = fedknot("run", *SMALL, "--quiet", "--out", folder)
    assert (done.code, done.err) == (0, "")
    assert hashes_of(folder) == hashes_of(undisturbed)


def test_r17_a_name_that_no_system_takes_is_one_line(call, tmp_path):
    done = call("run", *SMALL, *INLINE, "--out", tmp_path / ("x" * 300))
    assert done.code == 6
    assert done.is_one_line("file name too long")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_r17_a_folder_of_somebody_elses_is_refused(call, tmp_path):
    tmp_path.chmod(0o500)
    done = call("run", *SMALL, *INLINE, "--out", tmp_path / "run")
    tmp_path.chmod(0o700)
    assert done.code == 6
    assert done.is_one_line("permission denied")
